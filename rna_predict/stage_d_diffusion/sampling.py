"""Draw the models of an ensemble: batches through the sampler until enough of them are sound molecules."""

import logging
from dataclasses import dataclass

import numpy as np
import torch

from rna_predict.contracts import Adjacency
from rna_predict.energy.model import EnergyModel
from rna_predict.energy.pose import Pose
from rna_predict.energy.stems import stem_bodies
from rna_predict.errors import PredictionError
from rna_predict.evaluation.geometry_report import GeometryReport, model_report
from rna_predict.stage_d_diffusion.analytic import AnalyticDenoiser, energy_model, scattered
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.sampler import SeededDraws, from_structure, noise_schedule, sample

log = logging.getLogger(__name__)

BATCHES = 3
"""Batches that are drawn at most; later ones replace samples that were left out, with the next seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sampled model.

    Attributes:
        xyz_LA3: float32 [L, MAX_ATOMS, 3], Å.
        seed: what its noise was drawn from.
        terms: energy terms by name.
        report: its geometry.
    """

    xyz_LA3: np.ndarray
    seed: int
    terms: dict[str, float]
    report: GeometryReport


def draw_samples(inputs: StageDInputs, config: StageDConfig) -> list[Sample]:
    """`config.models` samples without breaks, pierced rings, inverted sugars, stretched bonds or many clashes.

    Where too few are that good, those that are whole but strained follow, and a warning says so.

    Raises:
        PredictionError: no sample is a whole molecule.
    """
    adjacency = inputs.adjacency
    model, start = energy_model(adjacency, inputs.embeddings, inputs.coordinates, config)
    good: list[Sample] = []
    strained: list[Sample] = []
    faults, seed = "", config.seed
    for _ in range(BATCHES):
        seeds = range(seed, seed + config.models - len(good))
        for drawn in _batch(model, start, adjacency, config, seeds):
            if drawn.report.faults:
                faults = drawn.report.faults
                log.info("%s: the sample of seed %d is left out, it has %s", adjacency.id, drawn.seed, faults)
            else:
                (good if drawn.report.acceptable else strained).append(drawn)
        seed = seeds.stop
        if len(good) == config.models:
            return good
    found = [*good, *strained][: config.models]
    if not found:
        raise PredictionError(
            f"{adjacency.id}: none of {seed - config.seed} samples is a whole molecule; the last has {faults}. "
            "Try another stage_d.seed, more stage_d.refine_iterations, or a smaller stage_d.stem_shift."
        )
    log.warning(
        "%s: %d of %d models are good, %d more are whole but strained (bonds off by over 0.06 Å or clashes)",
        adjacency.id,
        len(good),
        config.models,
        len(found) - len(good),
    )
    return found


def _batch(model: EnergyModel, start: Pose, adjacency: Adjacency, config: StageDConfig, seeds: range) -> list[Sample]:
    """One sample a seed; the very first seed alone starts from stage C's model as it is."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    keep_first = seeds.start == config.seed
    pose = scattered(start, stem_bodies(adjacency.partner_L), config, generators, keep_first)
    denoiser = AnalyticDenoiser(model=model, pose=pose, config=config)
    levels = noise_schedule(config.sigma_start, config.sigma_end, config.steps, config.rho)
    sample(denoiser, pose.atoms(model.shape), from_structure(levels, config.churn), SeededDraws(generators))

    def settled(xyz_LA3: torch.Tensor) -> bool:
        return model_report(adjacency.sequence, xyz_LA3.numpy()).settled

    xyz_SLA3 = denoiser.finish(settled).numpy()
    terms = denoiser.terms()
    return [
        Sample(
            xyz_LA3=xyz_SLA3[k],
            seed=seed,
            terms={name: float(values[k]) for name, values in terms.items()},
            report=model_report(adjacency.sequence, xyz_SLA3[k]),
        )
        for k, seed in enumerate(seeds)
    ]
