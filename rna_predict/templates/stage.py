"""The call that the workflow and the pipeline make: base pairs in, known structures on the RNA out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rna_predict import __version__
from rna_predict.atomic import atomic_path
from rna_predict.chemistry.chains import linked
from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts import Adjacency, MotifHit, Provenance, TemplateHits, alternatives_of, digest_of
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.library import Library, open_library
from rna_predict.templates.motif_worth import read_motif_calibration
from rna_predict.templates.motifs import FoundMotif, find_motif, rings
from rna_predict.templates.search import Found, allowed, identity_of, search
from rna_predict.templates.threading import Threaded, thread

TM_FOR_LDDT = 0.2
"""A template whose expected TM-score is at most this much below a loop's expected lDDT says as much of the loop."""


def find_templates(adjacency: Adjacency, config: TemplatesConfig, library: Library | None = None) -> TemplateHits:
    """Look for known structures that are like an RNA, and thread them onto it.

    Args:
        adjacency: stage A's result, which also names the RNA.
        config: where to look, and what counts.
        library: an open library, instead of the one that `config` names.

    Returns:
        None to `config.max_hits` templates, the best first; alternatives as the adjacency has them.

    Raises:
        ContractError: the library or the calibration cannot be used.
    """
    opened = library or open_library(config.library) if config.enabled else None
    others = tuple(_find(other, config, opened) for other in alternatives_of(adjacency))
    return replace(_find(adjacency, config, opened), alternatives=others)


def _find(adjacency: Adjacency, config: TemplatesConfig, opened: Library | None) -> TemplateHits:
    """Those of one secondary structure."""
    if opened is None:
        return thread_hits(adjacency, [], None, config)
    found = search(adjacency, opened, config)
    return thread_hits(adjacency, found, opened, config, search_motifs(adjacency, opened, config))


def search_motifs(adjacency: Adjacency, library: Library, config: TemplatesConfig) -> list[tuple[FoundMotif, float]]:
    """Known loops for those of an RNA with their expected lDDT, the highest first.

    Raises:
        ContractError: the library or the calibration cannot be used.
    """
    if not config.motifs or adjacency.length < config.min_length:
        return []

    @cache
    def counts(position: int) -> bool:
        row = library.rows[position]
        if not allowed(row, config):
            return False
        return (
            config.max_identity >= 1 or row.loop or identity_of(adjacency.sequence, row.sequence) <= config.max_identity
        )

    calibration = read_motif_calibration()
    found = []
    for ring in rings(adjacency.sequence, adjacency.partner_L, breaks=adjacency.breaks):
        motif = find_motif(ring, library, counts)
        if motif is not None and (expected := calibration.expected(motif.vector)) >= config.min_expected_lddt:
            found.append((motif, expected))
    return sorted(found, key=lambda one: (-one[1], int(one[0].ring.residue_N[0])))


def thread_hits(
    adjacency: Adjacency,
    found: Sequence[Found],
    library: Library | None,
    config: TemplatesConfig,
    loops: Sequence[tuple[FoundMotif, float]] = (),
) -> TemplateHits:
    """The contract of what a search found; `library` is None where none was searched.

    A known loop is left out where a template covers all of it and is worth as much.
    """
    sequence, length = adjacency.sequence, adjacency.length
    threaded: list[Threaded] = []
    inputs = {"a_adjacency": adjacency.digest(), "library": "none"}
    if library is not None:
        inputs["library"] = library.digest
        for one in found:
            threaded.append(thread(sequence, one.row.sequence, library.atoms(one.position), one.position_L))

    def stacked(name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        values = [getattr(one, name) for one in threaded]
        return np.stack(values) if values else np.zeros((0, *shape), dtype=dtype)

    return TemplateHits(
        id=adjacency.id,
        sequence=sequence,
        breaks=adjacency.breaks,
        provenance=Provenance(
            method="templates" if config.enabled else "off",
            package_version=__version__,
            inputs=inputs,
            config=digest_of(asdict(config)),
        ),
        xyz_KLA3=stacked("xyz_LA3", (length, MAX_ATOMS, 3), np.float32),
        mask_KLA=stacked("mask_LA", (length, MAX_ATOMS), np.bool_),
        mask_KL=stacked("mask_L", (length,), np.bool_),
        position_KL=stacked("position_L", (length,), np.int32),
        linked_KL=stacked("linked_L", (length - 1,), np.bool_) & linked(length, adjacency.breaks),
        hits=tuple(one.hit for one in found),
        **({} if library is None else _motif_arrays(sequence, library, _uncovered(loops, found))),
    )


def _uncovered(loops: Sequence[tuple[FoundMotif, float]], found: Sequence[Found]) -> list[tuple[FoundMotif, float]]:
    """The loops that no template covers which is worth as much."""

    def covered(motif: FoundMotif, expected: float) -> bool:
        own = motif.ring.residue_N
        return any(one.expected_tm >= expected - TM_FOR_LDDT and (one.position_L[own] >= 0).all() for one in found)

    return [(motif, expected) for motif, expected in loops if not covered(motif, expected)]


def _motif_arrays(sequence: str, library: Library, loops: Sequence[tuple[FoundMotif, float]]) -> dict[str, Any]:
    """The motifs' part of the contract."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("residue_N", "xyz_NA3", "mask_NA", "linked_N")}
    hits: list[MotifHit] = []
    for motif, expected in loops:
        row = library.rows[motif.chain]
        atoms = library.atoms(motif.chain)
        letters = "".join(sequence[n] for n in motif.ring.residue_N)
        threaded = thread(letters, row.sequence, atoms, motif.known.residue_N)
        kept_N = threaded.mask_L
        if kept_N.sum() < 2:
            continue
        start = sum(hit.size for hit in hits)
        parts["residue_N"].append(motif.ring.residue_N[kept_N].astype(np.int32))
        parts["xyz_NA3"].append(threaded.xyz_LA3[kept_N])
        parts["mask_NA"].append(threaded.mask_LA[kept_N])
        parts["linked_N"].append(np.append(threaded.linked_L, False)[kept_N])
        hits.append(
            MotifHit(
                id=row.id,
                kind=motif.ring.shape[0],
                start=start,
                size=int(kept_N.sum()),
                similarity=motif.similarity,
                agreement=motif.agreement,
                expected_lddt=expected,
                letters="".join(row.sequence[n] for n in motif.known.residue_N[kept_N]),
            )
        )
    if not hits:
        return {}
    return {f"motif_{name}": np.concatenate(values) for name, values in parts.items()} | {"motifs": tuple(hits)}


def write_summary(templates: TemplateHits, path: Path) -> None:
    """Write what was found as JSON, a hit an object, whole or not at all."""
    content = {
        "id": templates.id,
        "sequence": templates.sequence,
        "library": templates.provenance.inputs.get("library", "none"),
        "hits": [hit._asdict() for hit in templates.hits],
        "motifs": [motif._asdict() for motif in templates.motifs],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
