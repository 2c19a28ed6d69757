"""An analytic denoiser under the energy of stems, loops and stage B's distances; its models are judged by a network."""

import dataclasses

import numpy as np
import torch

from rna_predict.contracts import Adjacency
from rna_predict.energy.model import EnergyModel
from rna_predict.energy.pose import Pose
from rna_predict.energy.priors import believed_pairs
from rna_predict.energy.stems import stem_bodies
from rna_predict.evaluation.geometry_report import model_report
from rna_predict.stage_d_diffusion.alternative_models import behind, draw_alternatives, mixed_confidence
from rna_predict.stage_d_diffusion.analytic import AnalyticDenoiser, energy_model, scattered
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.heuristic_confidence import heuristic_confidence
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.judged import Judged, Sample
from rna_predict.stage_d_diffusion.quality_confidence import judges, method_of, opened_quality, quality_confidence
from rna_predict.stage_d_diffusion.ranking import energy_score
from rna_predict.stage_d_diffusion.sampler import SeededDraws, from_structure, noise_schedule, sample
from rna_predict.stage_d_diffusion.sampling import draw_samples

METHOD = "analytic energy"
"""What a model says of its making, before where its distances are from."""

REMEDY = "Try another stage_d.seed, more stage_d.refine_iterations, or a smaller stage_d.stem_shift."


def analytic_models(inputs: StageDInputs, config: StageDConfig) -> Judged:
    """Models around stage C's, ranked by their energy, and behind them those of other secondary structures.

    Raises:
        PredictionError: no sample of the first structure is a whole molecule.
    """
    quality = opened_quality(config) if judges(inputs, config) else None
    others = draw_alternatives(inputs, config, _drawn)
    samples = _drawn(inputs, dataclasses.replace(config, models=config.models - len(others)))
    xyz_SLA3 = np.stack([one.xyz_LA3 for one in samples])
    method = f"{METHOD}; distances: {inputs.embeddings.provenance.method}"
    if quality is None:
        confidences = heuristic_confidence(xyz_SLA3, inputs.adjacency, inputs.embeddings)
        beside = [mixed_confidence(sample, samples, inputs, other) for sample, other in others]
    else:
        confidences = quality_confidence(xyz_SLA3, inputs, quality)
        beside = [quality_confidence(sample.xyz_LA3[None], other, quality)[0] for sample, other in others]
    judged = Judged(
        samples=samples,
        confidences=confidences,
        scores=[energy_score(one) for one in samples],
        confidence_kind="heuristic" if quality is None else "learned",
        method=method if quality is None else f"{method}; {method_of(quality)}",
        weights="none" if quality is None else quality.header.sha256,
    )
    return behind(judged, inputs, others, beside, [energy_score(sample) for sample, _ in others])


def _drawn(inputs: StageDInputs, config: StageDConfig) -> list[Sample]:
    """Samples on one secondary structure."""
    partner_L = believed_pairs(inputs.adjacency.partner_L, inputs.embeddings)
    believed = dataclasses.replace(inputs.adjacency, partner_L=partner_L)
    model, start = energy_model(believed, inputs.embeddings, inputs.coordinates, config)
    return draw_samples(inputs.id, lambda seeds: _batch(model, start, believed, config, seeds), config, REMEDY)


def _batch(model: EnergyModel, start: Pose, adjacency: Adjacency, config: StageDConfig, seeds: range) -> list[Sample]:
    """One sample a seed; the very first seed alone starts from stage C's model as it is."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    keep_first = seeds.start == config.seed
    pose = scattered(start, stem_bodies(adjacency.partner_L), config, generators, keep_first)
    denoiser = AnalyticDenoiser(model=model, pose=pose, config=config)
    levels = noise_schedule(config.sigma_start, config.sigma_end, config.steps, config.rho)
    sample(denoiser, pose.atoms(model.shape), from_structure(levels, config.churn), SeededDraws(generators))

    def settled(xyz_LA3: torch.Tensor) -> bool:
        return model_report(adjacency.sequence, xyz_LA3.numpy(), adjacency.breaks).settled

    xyz_SLA3 = denoiser.finish(settled).numpy()
    terms = denoiser.terms()
    return [
        Sample(
            xyz_LA3=xyz_SLA3[k],
            seed=seed,
            terms={name: float(values[k]) for name, values in terms.items()},
            report=model_report(adjacency.sequence, xyz_SLA3[k], adjacency.breaks),
        )
        for k, seed in enumerate(seeds)
    ]
