"""Stage A: a sequence becomes pair probabilities and a valid matching."""

import dataclasses

from rna_predict import __version__
from rna_predict.contracts import Adjacency, GivenStructure, Provenance, RnaSequence, digest_of
from rna_predict.errors import InputError
from rna_predict.stage_a_adjacency import viennarna
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Backend, Constraints
from rna_predict.stage_a_adjacency.given import constrain, override

BACKENDS: dict[str, Backend] = {"viennarna": viennarna.fold}
"""Folding backends by the name in `StageAConfig.backend`; a learned one takes its place here."""

BYTES_PER_PAIR = 80
"""Peak memory of ViennaRNA's partition function and the hand-over of its matrix, measured at 1,000 and 2,000 nt."""


def predict_adjacency(sequence: RnaSequence, config: StageAConfig, given: GivenStructure | None = None) -> Adjacency:
    """Fold one RNA, or take or respect the structure that the user gives.

    The provenance's method says which: `viennarna`, `given`, or `viennarna+given`.

    Raises:
        InputError: longer than `max_length`, or a given structure of another length.
        PredictionError: the given pairs cannot be folded around (only with given_mode constrain).
    """
    if sequence.length > config.max_length:
        need = BYTES_PER_PAIR * sequence.length**2 / 1e9
        raise InputError(
            f"{sequence.id}: {sequence.length} nt is longer than stage_a.max_length {config.max_length}; the "
            f"partition function would need about {need:.1f} GB. Raise max_length, or split the sequence."
        )
    if given is None:
        fold, method = BACKENDS[config.backend](sequence.sequence, config, Constraints()), config.backend
    else:
        if given.length != sequence.length:
            raise InputError(
                f"{given.source}: the given structure has {given.length} residues, "
                f"{sequence.id} has {sequence.length}. Give one that fits the sequence."
            )
        if config.given_mode == "override":
            fold, method = override(sequence.sequence, given, config), "given"
        else:
            fold = constrain(sequence.sequence, given, config, BACKENDS[config.backend])
            method = f"{config.backend}+given"
    return Adjacency(
        id=sequence.id,
        sequence=sequence.sequence,
        provenance=Provenance(
            method=method,
            package_version=__version__,
            inputs={} if given is None else {"given": given.digest()},
            config=digest_of(dataclasses.asdict(config)),
        ),
        probability_LL=fold.probability_LL,
        partner_L=fold.partner_L,
        given=given is not None,
    )
