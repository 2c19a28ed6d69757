"""Models of other secondary structures than stage A's first: they stand at the end of an ensemble."""

import dataclasses
import logging
from collections.abc import Callable

import numpy as np

from rna_predict.contracts import alternatives_of
from rna_predict.errors import PredictionError
from rna_predict.formats.dot_bracket import to_dot_bracket
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.heuristic_confidence import aligned_error, heuristic_confidence, predicted_tm
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.judged import Confidence, Judged, Sample

log = logging.getLogger(__name__)

TERM = "alternative"
"""Term of a model that says which of the adjacency's alternatives it is of, from 1; those of the first have none."""

Draw = Callable[[StageDInputs, StageDConfig], list[Sample]]
"""Samples of one secondary structure."""


def most_alternatives(config: StageDConfig) -> int:
    """How many models may be of other structures: fewer than those of the first."""
    return min(config.alternatives, (config.models - 1) // 2)


def draw_alternatives(inputs: StageDInputs, config: StageDConfig, draw: Draw) -> list[tuple[Sample, StageDInputs]]:
    """A model of each other structure with its inputs, likeliest first; one that is not a good molecule is left out.

    The seeds are the last of the ensemble's. What is left out is named in a warning.
    """
    found: list[tuple[Sample, StageDInputs]] = []
    others = inputs.alternatives()[: most_alternatives(config)]
    for place, other in enumerate(others):
        own = dataclasses.replace(config, models=1, seed=config.seed + config.models - len(others) + place)
        try:
            sample = draw(other, own)[0]
        except PredictionError as error:
            log.warning("%s: alternative %d is left out: %s", inputs.id, place + 1, error)
            continue
        if not sample.report.acceptable:
            log.warning("%s: alternative %d is left out: its model is strained", inputs.id, place + 1)
            continue
        chance = inputs.adjacency.chance_of(other.adjacency)
        structure = to_dot_bracket(other.adjacency.partner_L)
        log.info("%s: alternative %d, of a chance of at most %.2f: %s", inputs.id, place + 1, chance, structure)
        found.append((sample, other))
    return found


def behind(
    judged: Judged,
    first: StageDInputs,
    others: list[tuple[Sample, StageDInputs]],
    confidences: list[Confidence],
    scores: list[float],
) -> Judged:
    """The ensemble with models of other structures behind its own: a score counts as at most the lowest of its own.

    Energies of two structures do not say which is right (docs/decisions/0028-candidates.md).

    Args:
        judged: models of the first structure.
        first: what they were made from.
        others: of `draw_alternatives`.
        confidences: of each of these.
        scores: of each of these.
    """
    if not others:
        return judged
    known = [structure.digest() for structure in alternatives_of(first.adjacency)]
    named = [
        dataclasses.replace(sample, terms=sample.terms | {TERM: 1.0 + known.index(other.adjacency.digest())})
        for sample, other in others
    ]
    lowest = min(judged.scores)
    return dataclasses.replace(
        judged,
        samples=[*judged.samples, *named],
        confidences=[*judged.confidences, *confidences],
        scores=[*judged.scores, *(min(score, lowest) for score in scores)],
        method=f"{judged.method}; {len(others)} models on other secondary structures",
    )


def mixed_confidence(sample: Sample, own: list[Sample], first: StageDInputs, other: StageDInputs) -> Confidence:
    """By the formulas: what both structures say, each with its chance; the error is at least the distance from `own`.

    Args:
        sample: a model of the other structure.
        own: models of the first.
        first: what those were made from.
        other: what the model was made from.
    """
    chance = first.adjacency.chance_of(other.adjacency)
    believed = dataclasses.replace(first.adjacency, partner_L=other.adjacency.partner_L, alternatives=())
    xyz_SLA3 = sample.xyz_LA3[None]
    under_other = heuristic_confidence(xyz_SLA3, other.adjacency, other.embeddings)[0]
    under_first = heuristic_confidence(xyz_SLA3, believed, first.embeddings)[0]

    def mean(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        return (chance * one + (1 - chance) * two).astype(np.float32)

    together_SLA3 = np.stack([sample.xyz_LA3, *(one.xyz_LA3 for one in own)])
    spread_LL = aligned_error(together_SLA3, 0).astype(np.float32)
    pae_LL = np.maximum(mean(under_other.pae_LL, under_first.pae_LL), spread_LL)
    return Confidence(
        plddt_LA=mean(under_other.plddt_LA, under_first.plddt_LA),
        pae_LL=pae_LL,
        pde_LL=mean(under_other.pde_LL, under_first.pde_LL),
        ptm=predicted_tm(pae_LL),
    )
