"""Models of other secondary structures than stage A's first: they stand at the end of an ensemble."""

import dataclasses
import logging
from collections.abc import Callable

import numpy as np

from rna_predict.errors import PredictionError
from rna_predict.formats.dot_bracket import to_dot_bracket
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.heuristic_confidence import heuristic_confidence
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.judged import Confidence, Judged, Sample

log = logging.getLogger(__name__)

TERM = "alternative"
"""Term of a model that says which alternative it has, from 1; models of the first structure have none."""

Draw = Callable[[StageDInputs, StageDConfig], list[Sample]]
"""Samples of one secondary structure."""


def most_alternatives(config: StageDConfig) -> int:
    """How many models may be of other structures: fewer than those of the first."""
    return min(config.alternatives, (config.models - 1) // 2)


def draw_alternatives(inputs: StageDInputs, config: StageDConfig, draw: Draw) -> list[tuple[Sample, Confidence]]:
    """A model of each other structure, likeliest first; one that is not a good molecule is left out and named.

    The seeds are the last of the ensemble's. Confidence is what both structures say, each with its chance: what stage B
    expects under the other one is not to be had where the first is right.
    """
    found: list[tuple[Sample, Confidence]] = []
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
        found.append((sample, _confidence(sample, inputs, other, chance)))
    return found


def _confidence(sample: Sample, first: StageDInputs, other: StageDInputs, chance: float) -> Confidence:
    believed = dataclasses.replace(first.adjacency, partner_L=other.adjacency.partner_L, alternatives=())
    xyz_SLA3 = sample.xyz_LA3[None]
    under_other = heuristic_confidence(xyz_SLA3, other.adjacency, other.embeddings)[0]
    under_first = heuristic_confidence(xyz_SLA3, believed, first.embeddings)[0]

    def mean(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        return (chance * one + (1 - chance) * two).astype(np.float32)

    return Confidence(
        plddt_LA=mean(under_other.plddt_LA, under_first.plddt_LA),
        pae_LL=mean(under_other.pae_LL, under_first.pae_LL),
        pde_LL=mean(under_other.pde_LL, under_first.pde_LL),
        ptm=chance * under_other.ptm + (1 - chance) * under_first.ptm,
    )


def behind(judged: Judged, others: list[tuple[Sample, Confidence]], scores: list[float]) -> Judged:
    """The ensemble with models of other structures behind its own: a score counts as at most the lowest of its own.

    Energies of two structures do not say which is right (docs/decisions/0028-candidates.md).
    """
    if not others:
        return judged
    named = [
        dataclasses.replace(sample, terms=sample.terms | {TERM: float(place)})
        for place, (sample, _) in enumerate(others, start=1)
    ]
    lowest = min(judged.scores)
    return dataclasses.replace(
        judged,
        samples=[*judged.samples, *named],
        confidences=[*judged.confidences, *(confidence for _, confidence in others)],
        scores=[*judged.scores, *(min(score, lowest) for score in scores)],
        method=f"{judged.method}; {len(others)} models on other secondary structures",
    )
