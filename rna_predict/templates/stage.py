"""The call that the workflow and the pipeline make: base pairs in, known structures on the RNA out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rna_predict import __version__
from rna_predict.atomic import atomic_path
from rna_predict.chemistry.chains import linked
from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts import Adjacency, MotifHit, Provenance, TemplateHits, alternatives_of, digest_of
from rna_predict.contracts.templates import STRETCH
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.library import Library, open_library
from rna_predict.templates.local import LocalHit, all_local
from rna_predict.templates.local_worth import read_stretch_calibration
from rna_predict.templates.motif_worth import read_motif_calibration
from rna_predict.templates.motifs import find_motif, rings
from rna_predict.templates.search import Found, allowed, far_enough, search
from rna_predict.templates.threading import Threaded, thread

TM_FOR_LDDT = 0.2
"""A template whose expected TM-score is at most this much below a loop's expected lDDT says as much of the loop."""

LEAST_AGREEMENT = 0.8
"""Share of a stretch's pairs that the RNA must have."""

FEWEST_FREE = 4
"""Residues of a stretch that nothing else holds, at least."""

FOLD_TM = 0.5
"""Least expected TM-score of a template that holds its residues: no stretch speaks of them."""


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
    looked = None
    if opened is not None and config.motifs and adjacency.length >= config.min_length:
        stretches = all_local(adjacency.sequence, opened, config, adjacency.breaks)
        looked = PieceSearch(opened, config, _counts(adjacency.sequence, opened, config), stretches)
    others = tuple(_find(other, config, opened, looked) for other in alternatives_of(adjacency))
    return replace(_find(adjacency, config, opened, looked), alternatives=others)


class PieceSearch(NamedTuple):
    """What the search for loops and stretches knows of an RNA whatever its pairs.

    Attributes:
        library: where to look.
        config: what counts.
        counts: whether the chain at a position of the library does.
        stretches: local alignments by letters alone.
    """

    library: Library
    config: TemplatesConfig
    counts: Callable[[int], bool]
    stretches: Sequence[LocalHit]


def _find(
    adjacency: Adjacency, config: TemplatesConfig, opened: Library | None, looked: PieceSearch | None
) -> TemplateHits:
    """Those of one secondary structure."""
    if opened is None:
        return thread_hits(adjacency, [], None, config)
    found = search(adjacency, opened, config)
    if looked is None:
        return thread_hits(adjacency, found, opened, config)
    pieces = _uncovered(search_motifs(adjacency, looked), found)
    held_L = adjacency.partner_L >= 0
    for residue_N in [one.residue_N for one in (*pieces, *(hit for hit in found if hit.expected_tm >= FOLD_TM))]:
        held_L[residue_N] = True
    pieces += _uncovered(search_stretches(adjacency, looked, held_L), found)
    return thread_hits(adjacency, found, opened, config, pieces)


class Piece(NamedTuple):
    """A known loop or stretch for some of an RNA's residues.

    Attributes:
        kind: of the loop, or `STRETCH`.
        chain: position of the known chain in its library.
        residue_N: int64 [N], the RNA's residues.
        place_N: int64 [N], the chain's.
        similarity: of the letters, in [0, 1].
        agreement: of a loop with others of similar letters, of a stretch's pairs with the RNA's, in [0, 1].
        expected: lDDT.
    """

    kind: str
    chain: int
    residue_N: np.ndarray
    place_N: np.ndarray
    similarity: float
    agreement: float
    expected: float


def search_motifs(adjacency: Adjacency, looked: PieceSearch) -> list[Piece]:
    """Known loops for those of an RNA, the highest expected lDDT first.

    Raises:
        ContractError: the library or the calibration cannot be used.
    """
    calibration = read_motif_calibration()
    found = []
    for ring in rings(adjacency.sequence, adjacency.partner_L, breaks=adjacency.breaks):
        motif = find_motif(ring, looked.library, looked.counts)
        if motif is not None and (expected := calibration.expected(motif.vector)) >= looked.config.min_expected_lddt:
            found.append(
                Piece(
                    kind=ring.shape[0],
                    chain=motif.chain,
                    residue_N=ring.residue_N,
                    place_N=motif.known.residue_N,
                    similarity=motif.similarity,
                    agreement=motif.agreement,
                    expected=expected,
                )
            )
    return sorted(found, key=lambda one: (-one.expected, int(one.residue_N[0])))


def search_stretches(adjacency: Adjacency, looked: PieceSearch, held_L: np.ndarray) -> list[Piece]:
    """Known stretches whose pairs are sure and the RNA's, and which have residues that nothing else holds.

    Others say no more than stems and loops do: on average their lDDT is that of a model built without them.

    Args:
        adjacency: stage A's result.
        looked: what was found of the letters.
        held_L: bool [L], residues that stems, known loops and good templates hold.

    Raises:
        ContractError: the library or the calibration cannot be used.
    """
    config, calibration = looked.config, read_stretch_calibration()
    found = []
    for hit in looked.stretches:
        agreement = hit.agreement(adjacency.partner_L)
        expected = calibration.expected(hit.figures.stretch_vector(agreement))
        sure = agreement >= LEAST_AGREEMENT and hit.expected >= config.min_expected_pairs
        if sure and expected >= config.min_expected_lddt:
            similarity = hit.figures.equal / hit.figures.aligned
            found.append(Piece(STRETCH, hit.position, hit.residue_N, hit.place_N, similarity, agreement, expected))
    kept, held_L = [], held_L.copy()
    for piece in sorted(found, key=lambda one: (-one.expected, int(one.residue_N[0]))):
        if (~held_L[piece.residue_N]).sum() >= FEWEST_FREE and looked.counts(piece.chain):
            held_L[piece.residue_N] = True
            kept.append(piece)
    return kept


def _counts(sequence: str, library: Library, config: TemplatesConfig) -> Callable[[int], bool]:
    """Whether the chain at a position counts for an RNA; each is looked at once."""

    @cache
    def counts(position: int) -> bool:
        row = library.rows[position]
        return allowed(row, config) and far_enough(sequence, row, config)

    return counts


def thread_hits(
    adjacency: Adjacency,
    found: Sequence[Found],
    library: Library | None,
    config: TemplatesConfig,
    pieces: Sequence[Piece] = (),
) -> TemplateHits:
    """The contract of what a search found; `library` is None where none was searched."""
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
        **({} if library is None else _motif_arrays(sequence, library, pieces)),
    )


def _uncovered(pieces: Sequence[Piece], found: Sequence[Found]) -> list[Piece]:
    """The loops and stretches that no template covers which is worth as much."""

    def covered(piece: Piece) -> bool:
        least = piece.expected - TM_FOR_LDDT
        return any(one.expected_tm >= least and (one.position_L[piece.residue_N] >= 0).all() for one in found)

    return [piece for piece in pieces if not covered(piece)]


def _motif_arrays(sequence: str, library: Library, pieces: Sequence[Piece]) -> dict[str, Any]:
    """The motifs' part of the contract."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("residue_N", "xyz_NA3", "mask_NA", "linked_N")}
    hits: list[MotifHit] = []
    for piece in sorted(pieces, key=lambda one: (-one.expected, int(one.residue_N[0]))):
        row = library.rows[piece.chain]
        letters = "".join(sequence[n] for n in piece.residue_N)
        threaded = thread(letters, row.sequence, library.atoms(piece.chain), piece.place_N)
        kept_N = threaded.mask_L
        if kept_N.sum() < 2:
            continue
        start = sum(hit.size for hit in hits)
        parts["residue_N"].append(piece.residue_N[kept_N].astype(np.int32))
        parts["xyz_NA3"].append(threaded.xyz_LA3[kept_N])
        parts["mask_NA"].append(threaded.mask_LA[kept_N])
        parts["linked_N"].append(np.append(threaded.linked_L, False)[kept_N])
        hits.append(
            MotifHit(
                id=row.id,
                kind=piece.kind,
                start=start,
                size=int(kept_N.sum()),
                similarity=piece.similarity,
                agreement=piece.agreement,
                expected_lddt=piece.expected,
                letters="".join(row.sequence[n] for n in piece.place_N[kept_N]),
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
