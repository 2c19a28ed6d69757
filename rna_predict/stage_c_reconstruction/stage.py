"""Stage C: all heavy atoms from stage A's pairs and stage B's torsions."""

import dataclasses
import logging

import numpy as np

from rna_predict import __version__
from rna_predict.contracts import (
    BUILD_METHODS,
    Adjacency,
    Coordinates,
    Embeddings,
    Provenance,
    RnaSequence,
    TemplateHits,
    Torsions,
    alternatives_of,
    digest_of,
    require_same_rna,
)
from rna_predict.contracts.loops import LoopDecomposition, decompose
from rna_predict.energy.priors import believed_pairs
from rna_predict.errors import PredictionError
from rna_predict.stage_c_reconstruction.config import StageCConfig

log = logging.getLogger(__name__)

_METHOD_OF_STATE = {
    "stem5": "helix",
    "stem3": "helix",
    "hairpin": "hairpin",
    "bulge": "internal",
    "internal": "internal",
    "multiloop": "multiloop",
    "external": "external",
    "pseudoknot": "pseudoknot",
}


def reconstruct(
    sequence: RnaSequence,
    adjacency: Adjacency,
    torsions: Torsions,
    config: StageCConfig,
    embeddings: Embeddings | None = None,
    templates: TemplateHits | None = None,
) -> Coordinates:
    """Rebuild the coordinates of one RNA.

    Args:
        sequence: the RNA.
        adjacency: of stage A.
        torsions: of stage B.
        config: settings.
        embeddings: of stage B, whose distances the assembly follows where a trained network made them.
        templates: known structures on the RNA; the assembly begins with the atoms of the best.

    Returns:
        The coordinates, and as alternatives those of the other secondary structures that stage B knows, each with the
        digest of its adjacency; one that does not become a whole chain is left out, and a warning says so.

    Raises:
        ContractError: an input was made for another RNA.
        PredictionError: no whole chain came out (`assembly`), or the torsions cannot be used (`nerf`).
    """
    told = [record for record in (embeddings, templates) if record is not None]
    require_same_rna(sequence, adjacency, torsions, *told)
    coordinates = _rebuilt(sequence, adjacency, torsions, config, embeddings, templates)
    if embeddings is None or config.method == "nerf":
        return coordinates
    structures, others = alternatives_of(adjacency), []
    hits = [None] * len(structures) if templates is None else alternatives_of(templates)
    for one, own, known, found in zip(
        structures, alternatives_of(torsions), alternatives_of(embeddings), hits, strict=False
    ):
        try:
            others.append(_rebuilt(sequence, one, own, config, known, found))
        except PredictionError as error:
            log.warning("%s: %s is left out: %s", sequence.id, one.provenance.method, error)
    return dataclasses.replace(coordinates, alternatives=tuple(others))


def _rebuilt(
    sequence: RnaSequence,
    adjacency: Adjacency,
    torsions: Torsions,
    config: StageCConfig,
    embeddings: Embeddings | None,
    templates: TemplateHits | None,
) -> Coordinates:
    """The coordinates of one secondary structure."""
    if config.method == "nerf":
        from rna_predict.stage_c_reconstruction.nerf import rebuild

        xyz_LA3 = rebuild(sequence, torsions)
        built_L = np.full(sequence.length, BUILD_METHODS.index("nerf"), dtype=np.uint8)
    else:
        from rna_predict.stage_c_reconstruction.assembly import assemble
        from rna_predict.stage_c_reconstruction.distance_geometry import Known

        partner_L, known = adjacency.partner_L, None
        if embeddings is not None and tells_distances(embeddings):
            partner_L, known = _believed(adjacency, embeddings), Known(embeddings=embeddings, templates=templates)
        loops = decompose(partner_L, sequence.breaks)
        xyz_LA3 = assemble(loops, partner_L, torsions, config, known)
        built_L = how_built(loops)
    return Coordinates(
        id=sequence.id,
        sequence=sequence.sequence,
        breaks=sequence.breaks,
        xyz_LA3=xyz_LA3,
        built_L=built_L,
        provenance=Provenance(
            method=config.method,
            package_version=__version__,
            inputs={"a_adjacency": adjacency.digest(), "b_torsions": torsions.digest()}
            | ({} if embeddings is None else {"b_embeddings": embeddings.digest()})
            | ({} if templates is None else {"templates": templates.digest()}),
            config=digest_of(dataclasses.asdict(config)),
        ),
    )


def _believed(adjacency: Adjacency, embeddings: Embeddings) -> np.ndarray:
    """Stage A's pairs without those that stage B's distances contradict, which are logged."""
    partner_L = believed_pairs(adjacency.partner_L, embeddings)
    lost = int((adjacency.partner_L >= 0).sum() - (partner_L >= 0).sum()) // 2
    if lost:
        log.warning("%s: stage B's distances contradict %d of stage A's pairs, which are left out", adjacency.id, lost)
    return partner_L


def tells_distances(embeddings: Embeddings) -> bool:
    """Whether a trained network made the distograms: random weights say nothing, and the prior table too little.

    Its records are known by the names of their channels, which no network has.
    """
    return not embeddings.provenance.untrained and not embeddings.channels


def how_built(loops: LoopDecomposition) -> np.ndarray:
    """uint8 [L], index into `BUILD_METHODS`: helix for stems, the loop's kind elsewhere."""
    return np.array([BUILD_METHODS.index(_METHOD_OF_STATE[state]) for state in loops.states], dtype=np.uint8)
