"""The call that the workflow and the pipeline make: base pairs in, known structures on the RNA out."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from rna_predict import __version__
from rna_predict.atomic import atomic_path
from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts import Adjacency, Provenance, TemplateHits, digest_of
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.library import Library, open_library
from rna_predict.templates.search import Found, search
from rna_predict.templates.threading import Threaded, thread


def find_templates(adjacency: Adjacency, config: TemplatesConfig, library: Library | None = None) -> TemplateHits:
    """Look for known structures that are like an RNA, and thread them onto it.

    Args:
        adjacency: stage A's result, which also names the RNA.
        config: where to look, and what counts.
        library: an open library, instead of the one that `config` names.

    Returns:
        None to `config.max_hits` templates, the best first.

    Raises:
        ContractError: the library or the calibration cannot be used.
    """
    if not config.enabled:
        return thread_hits(adjacency, [], None, config)
    opened = library or open_library(config.library)
    return thread_hits(adjacency, search(adjacency, opened, config), opened, config)


def thread_hits(
    adjacency: Adjacency, found: Sequence[Found], library: Library | None, config: TemplatesConfig
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
        linked_KL=stacked("linked_L", (length - 1,), np.bool_),
        hits=tuple(one.hit for one in found),
    )


def write_summary(templates: TemplateHits, path: Path) -> None:
    """Write what was found as JSON, a hit an object, whole or not at all."""
    content = {
        "id": templates.id,
        "sequence": templates.sequence,
        "library": templates.provenance.inputs.get("library", "none"),
        "hits": [hit._asdict() for hit in templates.hits],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
