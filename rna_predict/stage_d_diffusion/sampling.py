"""Draw the models of an ensemble: batches through a sampler until enough of them are sound molecules."""

import logging
from collections.abc import Callable

from rna_predict.errors import PredictionError
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.judged import Sample

log = logging.getLogger(__name__)

BATCHES = 3
"""Batches that are drawn at most; later ones replace samples that were left out, with the next seeds."""

Batch = Callable[[range], list[Sample]]
"""One sample for each seed, in order."""


def draw_samples(name: str, batch: Batch, config: StageDConfig, remedy: str) -> list[Sample]:
    """`config.models` samples without breaks, pierced rings, inverted sugars, stretched bonds or many clashes.

    Where too few are that good, those that are whole but strained follow, and a warning says so.

    Args:
        name: the RNA's id for messages.
        batch: draws samples.
        config: number of models and the first seed.
        remedy: what the user may try where no sample is whole.

    Raises:
        PredictionError: no sample is a whole molecule.
    """
    good: list[Sample] = []
    strained: list[Sample] = []
    faults, seed = "", config.seed
    for _ in range(BATCHES):
        seeds = range(seed, seed + config.models - len(good))
        for drawn in batch(seeds):
            if drawn.report.faults:
                faults = drawn.report.faults
                log.info("%s: the sample of seed %d is left out, it has %s", name, drawn.seed, faults)
            else:
                (good if drawn.report.acceptable else strained).append(drawn)
        seed = seeds.stop
        if len(good) == config.models:
            return good
    found = [*good, *strained][: config.models]
    if not found:
        raise PredictionError(
            f"{name}: none of {seed - config.seed} samples is a whole molecule; the last has {faults}. {remedy}"
        )
    log.warning(
        "%s: %d of %d models are good, %d more are whole but strained (bonds off by over 0.06 Å or clashes)",
        name,
        len(good),
        config.models,
        len(found) - len(good),
    )
    return found
