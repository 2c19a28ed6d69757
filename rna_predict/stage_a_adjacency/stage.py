"""Stage A: a sequence becomes pair probabilities and a valid matching."""

import dataclasses
import functools
import logging
from collections.abc import Sequence

from rna_predict import __version__
from rna_predict.contracts import Adjacency, GivenStructure, Provenance, Reactivity, RnaSequence, digest_of
from rna_predict.errors import InputError
from rna_predict.stage_a_adjacency.alternatives import with_alternatives
from rna_predict.stage_a_adjacency.backends import BACKENDS
from rna_predict.stage_a_adjacency.calibrated import calibrated
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.evidence import Evidence, constraints_of, put_on_top
from rna_predict.stage_a_adjacency.family import family_evidence, stated_families
from rna_predict.stage_a_adjacency.folding import Constraints, Fold
from rna_predict.stage_a_adjacency.given import given_evidence, override
from rna_predict.stage_a_adjacency.matching import with_matching
from rna_predict.stage_a_adjacency.pseudoknots import with_pseudoknots
from rna_predict.stage_a_adjacency.reactivity import reactivity_evidence
from rna_predict.stage_a_adjacency.template_pairs import local_evidence, template_evidence
from rna_predict.templates.config import TemplatesConfig

logger = logging.getLogger(__name__)

BYTES_PER_PAIR = 500
"""Peak memory of stage A: the network took 4.2 GB at 3,000 nt; ViennaRNA's partition function alone takes 66."""


def predict_adjacency(
    sequence: RnaSequence,
    config: StageAConfig,
    given: GivenStructure | None = None,
    reactivity: Reactivity | None = None,
    templates: TemplatesConfig | None = None,
) -> Adjacency:
    """Fold one RNA, or take or respect the structure that the user gives.

    The provenance's method says which: `given`, or the backend and each source of evidence, as in `viennarna`,
    `viennarna+given`, `viennarna+reactivity`, `viennarna+family`, `viennarna+family+local+templates`.

    Args:
        sequence: the RNA.
        config: settings.
        given: a secondary structure to keep to.
        reactivity: chemical probing.
        templates: how known structures are looked for whose pairs count; without it none are.

    Raises:
        InputError: longer than `max_length`, a given structure or reactivities of another length, or sources that
            contradict each other.
        ConfigError: the backend cannot use one of the sources.
        PredictionError: the given pairs cannot be folded around (only with given_mode constrain).
    """
    _check(sequence, config, given, reactivity)
    if given is not None and config.given_mode == "override":
        fold = override(sequence.sequence, given, config)
        return _adjacency(sequence, config, fold, "given", {"given": given.digest()})
    evidence = gather(sequence, config, given, reactivity)
    if templates is not None and (local := local_evidence(sequence, config, templates)) is not None:
        evidence.append(local)
    adjacency = _folded(sequence, config, evidence)
    known = None if templates is None else template_evidence(adjacency, config, templates)
    if known is not None:
        evidence.append(known)
        adjacency = _folded(sequence, config, evidence)
    refold = functools.partial(fold_with, sequence.sequence, config, breaks=sequence.breaks)
    return with_alternatives(adjacency, evidence, config, refold)


def _folded(sequence: RnaSequence, config: StageAConfig, evidence: list[Evidence]) -> Adjacency:
    """What the backend makes of the sequence and the evidence."""
    fold = fold_with(sequence.sequence, config, evidence, sequence.breaks)
    method = "+".join([config.backend, *(source.name for source in evidence)])
    adjacency = _adjacency(sequence, config, fold, method, {source.name: source.digest for source in evidence})
    return dataclasses.replace(adjacency, stretches=tuple(one for source in evidence for one in source.stretches))


def _adjacency(
    sequence: RnaSequence, config: StageAConfig, fold: Fold, method: str, inputs: dict[str, str]
) -> Adjacency:
    return Adjacency(
        id=sequence.id,
        sequence=sequence.sequence,
        breaks=sequence.breaks,
        provenance=Provenance(
            method=method,
            package_version=__version__,
            inputs=inputs,
            config=digest_of(dataclasses.asdict(config)),
            weights=fold.weights,
        ),
        probability_LL=fold.probability_LL,
        partner_L=fold.matching,
        given="given" in inputs,
        families=stated_families(sequence, config),
    )


def gather(
    sequence: RnaSequence, config: StageAConfig, given: GivenStructure | None, reactivity: Reactivity | None
) -> list[Evidence]:
    """All that is known besides the sequence, a source each; further sources take their place here."""
    evidence: list[Evidence] = []
    if given is not None:
        evidence.append(given_evidence(sequence.sequence, given, config))
    if reactivity is not None:
        evidence.append(reactivity_evidence(reactivity))
    family = family_evidence(sequence.sequence, config, sequence.breaks)
    if family is not None and family_is_used(sequence, config):
        evidence.append(family)
    return evidence


def family_is_used(sequence: RnaSequence, config: StageAConfig) -> bool:
    """Whether the backend can take a family's pairs; where not, the log says so and the result does not name it."""
    backend = BACKENDS[config.backend]
    if "bonus_LL" not in backend.uses:
        logger.warning("%s: backend %s cannot use its family's pairs; they are left out", sequence.id, backend.name)
    return "bonus_LL" in backend.uses


def fold_with(sequence: str, config: StageAConfig, evidence: Sequence[Evidence], breaks: tuple[int, ...] = ()) -> Fold:
    """Fold under the evidence, read the matching, and put on top what a nested fold cannot hold.

    Several chains, which begin at `breaks` (as in `RnaSequence`), are folded as one complex.
    """
    constraints = constraints_of(evidence, breaks)
    fold = fold_and_match(sequence, config, constraints)
    fold = with_pseudoknots(sequence, fold, config, constraints, fold_and_match)
    return put_on_top(calibrated(fold, config), evidence)


def fold_and_match(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    """The backend's fold, with a matching read from it where it has none."""
    backend = BACKENDS[config.backend]
    config = backend.resolved(config)
    fold = backend.fold(sequence, config, constraints)
    return with_matching(sequence, fold, config, constraints)


def _check(
    sequence: RnaSequence, config: StageAConfig, given: GivenStructure | None, reactivity: Reactivity | None
) -> None:
    if sequence.length > config.max_length:
        need = BYTES_PER_PAIR * sequence.length**2 / 1e9
        raise InputError(
            f"{sequence.id}: {sequence.length} nt is longer than stage_a.max_length {config.max_length}; the "
            f"fold would need about {need:.1f} GB. Raise max_length, or split the sequence."
        )
    if given is not None and (given.length, given.breaks) != (sequence.length, sequence.breaks):
        raise InputError(
            f"{given.source}: the given structure has {_sizes(given.length, given.breaks)}, "
            f"{sequence.id} has {_sizes(sequence.length, sequence.breaks)}. Give one that fits the sequence."
        )
    if reactivity is None:
        return
    if reactivity.length != sequence.length:
        raise InputError(
            f"{reactivity.source}: reactivities of {reactivity.length} residues, "
            f"{sequence.id} has {sequence.length}. Give one for each residue, -999 for none."
        )
    if given is not None and config.given_mode == "override":
        raise InputError(
            f"{reactivity.source}: reactivities have no say beside a given structure that is the answer. Leave one "
            "out, or use given_mode constrain."
        )


def _sizes(length: int, breaks: tuple[int, ...]) -> str:
    return f"{length} residues" + (f" in {len(breaks) + 1} chains" if breaks else "")
