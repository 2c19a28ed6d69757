"""The learned backend: AF3's diffusion on stage B's representations, guided and refined by the analytic energy."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rna_predict.energy.model import EnergyModel
from rna_predict.evaluation.geometry_report import model_report
from rna_predict.nn.features import Features
from rna_predict.nn.featurise import featurise
from rna_predict.nn.slots import from_slots, to_slots
from rna_predict.stage_d_diffusion.analytic import stage_c_pose
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.fitting import Molecules, Puckers, molecules
from rna_predict.stage_d_diffusion.guidance import GuidedDenoiser, guiding_energy
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.judged import Judged, Sample
from rna_predict.stage_d_diffusion.learned import LearnedDenoiser, bind, open_model
from rna_predict.stage_d_diffusion.learned_confidence import learned_confidence
from rna_predict.stage_d_diffusion.network_inputs import representations_of, require_same_weights, stage_inputs_of
from rna_predict.stage_d_diffusion.ranking import energy_score, learned_score
from rna_predict.stage_d_diffusion.refinement import refine
from rna_predict.stage_d_diffusion.sampler import Af3Settings, Denoiser, Schedule, SeededDraws, af3_schedule, sample
from rna_predict.stage_d_diffusion.sampling import draw_samples

log = logging.getLogger(__name__)

FAR = 2.0
"""Å of drift above which a warning says that the refined model is not the network's; native structures drift by 0.1 to
0.4 Å."""

REMEDY = (
    "Try stage_d.start=stage_c, stage_d.guidance=true, another stage_d.seed or more stage_d.refine_iterations; "
    "stage_d.refine=false writes the network's atoms as they are."
)


def diffusion_models(inputs: StageDInputs, config: StageDConfig) -> Judged:
    """Models by the networks, with learned confidence; ranked by it where the weights are trained.

    Untrained weights know no order: their models are ranked by energy where they are refined.

    Raises:
        ContractError: stage B's embeddings were made by other weights, or by none.
        ConfigError: the device or profile cannot be used.
        WeightsError: the weights file or the partial checkpoint is refused.
        PredictionError: the network gives NaN, or no sample is a whole molecule.
    """
    network = open_model(config)
    require_same_weights(inputs.embeddings, network.opened)
    representations, stage_inputs = representations_of(inputs.embeddings), stage_inputs_of(inputs)
    features = featurise(inputs.sequence, seed=inputs.embeddings.conformer_seed, breaks=inputs.adjacency.breaks)
    denoiser = bind(network, features, representations, stage_inputs, config.samples_at_once)
    sampling = LearnedSampling.make(inputs, denoiser, config, trained=network.header.trained)
    seeds = range(config.seed, config.seed + config.models)
    samples = draw_samples(inputs.id, sampling.batch, config, REMEDY) if config.refine else sampling.batch(seeds)
    confidences = learned_confidence(
        network.model.confidence_head,
        denoiser.features,
        denoiser.representations,
        np.stack([one.xyz_LA3 for one in samples]),
        config.chunk_rows or None,
    )
    by_energy = config.refine and not network.header.trained
    judged = zip(samples, confidences, strict=True)
    return Judged(
        samples=samples,
        confidences=confidences,
        scores=[energy_score(one) if by_energy else learned_score(one, confidence) for one, confidence in judged],
        confidence_kind="learned",
        method=network.method,
        weights=network.header.sha256,
    )


def af3_settings(config: StageDConfig) -> Af3Settings:
    """The sampler's numbers of a config."""
    return Af3Settings(
        steps=config.diffusion_steps,
        s_max=config.noise_max,
        s_min=config.noise_min,
        rho=config.rho,
        churn=config.diffusion_churn,
        churn_above=config.churn_above,
        noise_scale=config.noise_scale,
        step_scale=config.step_scale,
        augment=config.augment,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedSampling:
    """Everything that samples of one RNA have in common.

    Attributes:
        inputs: the RNA's records.
        denoiser: the network on this RNA.
        features: order of the flat atoms, on the CPU.
        schedule: noise levels and scales.
        start: stage C's model where sampling starts from it, else None.
        puckers: of stage C's model, [1, L]: of riboses that are not to be recognised.
        energy: of guidance and refinement.
        config: settings.
    """

    inputs: StageDInputs
    denoiser: LearnedDenoiser
    features: Features
    schedule: Schedule
    start: Molecules | None
    puckers: Puckers
    energy: EnergyModel
    config: StageDConfig

    @classmethod
    def make(
        cls, inputs: StageDInputs, denoiser: LearnedDenoiser, config: StageDConfig, trained: bool
    ) -> "LearnedSampling":
        """Read stage C's model, and choose the start."""
        pose, phase_L, amplitude_L = stage_c_pose(inputs.coordinates)
        puckers = Puckers(phase=phase_L[None], amplitude=amplitude_L[None])
        model_c = molecules(inputs.sequence, pose, puckers)
        from_c = config.start == "stage_c" or (config.start == "auto" and not trained)
        return cls(
            inputs=inputs,
            denoiser=denoiser,
            features=denoiser.features.to("cpu"),
            schedule=af3_schedule(af3_settings(config), config.sigma_start if from_c else None),
            start=model_c if from_c else None,
            puckers=puckers,
            energy=guiding_energy(inputs.adjacency, inputs.embeddings, model_c.shape, config),
            config=config,
        )

    def batch(self, seeds: range) -> list[Sample]:
        """One sample for each seed; a sample depends on its own seed alone."""
        count = len(seeds)
        each = torch.zeros(count, dtype=torch.int64)
        puckers = Puckers(phase=self.puckers.phase[each], amplitude=self.puckers.amplitude[each])
        answer = None if self.start is None else self.start.select(each)
        denoise: Denoiser = self.denoiser
        if self.config.guidance:
            denoise = GuidedDenoiser(
                sequence=self.inputs.sequence,
                denoise=self.denoiser,
                energy=self.energy,
                features=self.features,
                config=self.config,
                puckers=puckers,
                answer=answer,
            )
        draws = SeededDraws([torch.Generator().manual_seed(seed) for seed in seeds])
        flat_SA3 = sample(denoise, self._start(count, answer), self.schedule, draws)
        return self._ended(to_slots(flat_SA3.cpu(), self.features), puckers, seeds)

    def _start(self, count: int, answer: Molecules | None) -> Tensor:
        """What the first noise is added to, flat, on the network's device."""
        atoms = self.features.atom_mask_BA.shape[1]
        flat_SA3 = torch.zeros(count, atoms, 3) if answer is None else from_slots(answer.atoms(), self.features)
        return flat_SA3.to(self.denoiser.features.atom_mask_BA.device)

    def _ended(self, xyz_SLA3: Tensor, puckers: Puckers, seeds: range) -> list[Sample]:
        """Samples as they are written, refined where the config asks for it."""
        terms: dict[str, Tensor] = {}
        drifts: list[float | None] = [None] * len(seeds)
        if self.config.refine:
            refined = refine(self.inputs.sequence, xyz_SLA3, puckers, self.energy, self.config.refine_iterations)
            xyz_SLA3, terms, drifts = refined.xyz_SLA3, refined.terms, refined.drift_S.tolist()
            self._name_far(refined.drift_S, seeds)
        return [
            Sample(
                xyz_LA3=xyz_SLA3[k].numpy(),
                seed=seed,
                terms={name: float(values[k]) for name, values in terms.items()},
                report=model_report(self.inputs.sequence, xyz_SLA3[k].numpy(), self.energy.breaks),
                drift=drifts[k],
            )
            for k, seed in enumerate(seeds)
        ]

    def _name_far(self, drift_S: Tensor, seeds: range) -> None:
        for drift, seed in zip(drift_S.tolist(), seeds, strict=True):
            if drift > FAR:
                log.warning(
                    "%s: the network's atoms of seed %d were no molecule: refinement moved them by %.1f Å",
                    self.inputs.id,
                    seed,
                    drift,
                )
