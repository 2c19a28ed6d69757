"""The learned denoiser: stage D's network, bound to one RNA, behind the sampler's interface."""

import logging
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rna_predict.contracts.record import PARTIAL, UNTRAINED
from rna_predict.errors import PredictionError
from rna_predict.nn.device import choose_device
from rna_predict.nn.features import Features, Representations
from rna_predict.nn.opened import NetworkSource, OpenedNetwork, open_for_prediction
from rna_predict.nn.stage_inputs import StageInputs
from rna_predict.nn.weights import WeightsHeader
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.denoiser import Conditions
from rna_predict.stage_d_diffusion.network import DiffusionModel

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModel:
    """Stage D's network with its weights on a device, and which embeddings go with it.

    Attributes:
        model: the network.
        opened: the same with its header, its partial checkpoint, and the hash of its trunk.
    """

    model: DiffusionModel
    opened: OpenedNetwork

    @property
    def header(self) -> WeightsHeader:
        """Of the weights that it runs on."""
        return self.opened.header

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.opened.device

    @property
    def method(self) -> str:
        """How the ensemble was made, for its provenance; says UNTRAINED first where it is."""
        name = f"profile {self.header.architecture.name}"
        if self.opened.merged:
            name += f", {PARTIAL} {self.opened.merged}"
        return f"diffusion, {name}" if self.header.trained else f"{UNTRAINED} ({name}), diffusion"


def open_model(config: StageDConfig) -> OpenedModel:
    """The network that the config names; opened once for all RNAs of a command, as long as its files stay the same.

    Raises:
        ConfigError: the device or profile cannot be used.
        WeightsError: the weights file or the partial checkpoint is refused.
    """
    source = NetworkSource(weights=config.weights, untrained_profile=config.untrained_profile, partial=config.partial)
    opened = open_for_prediction(DiffusionModel, source, choose_device(config.device, "stage_d.device"))
    model, header = opened.network.module, opened.header
    assert isinstance(model, DiffusionModel)
    if not header.trained:
        log.warning("stage D runs on %s (%s): its models and their confidence mean nothing", UNTRAINED, header.source)
    return OpenedModel(model=model, opened=opened)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedDenoiser:
    """The network's guess of an RNA's clean flat atoms.

    Attributes:
        model: stage D's network.
        features: of the RNA, B = 1, on the network's device.
        representations: of the trunk, what other stages found added to the pairs.
        conditions: what does not depend on the noise.
        at_once: samples that go through the network together; a sample's result does not depend on it.
    """

    model: DiffusionModel
    features: Features
    representations: Representations
    conditions: Conditions
    at_once: int

    def __call__(self, noisy_SA3: Float[Tensor, "s a 3"], sigma: float, /) -> Float[Tensor, "s a 3"]:
        """Clean coordinates, Å, on the device and in the dtype of the noisy ones.

        Raises:
            PredictionError: the network gives NaN or infinity.
        """
        with torch.no_grad():
            parts = [self._part(part, sigma) for part in noisy_SA3.split(self.at_once)]
        clean_SA3 = torch.cat(parts).to(noisy_SA3)
        if not bool(clean_SA3.isfinite().all()):
            raise PredictionError(f"the denoiser gives NaN or infinity at {sigma:.4g} Å of noise: damaged weights?")
        return clean_SA3

    def _part(self, noisy_SA3: Tensor, sigma: float) -> Tensor:
        device = self.representations.pair_BLLZ.device
        sigma_BS = torch.full((1, 1), sigma, dtype=torch.float32, device=device)
        noisy_BSA3 = noisy_SA3[None].to(device, torch.float32)
        clean_BSA3 = self.model.diffusion_module(
            noisy_BSA3, sigma_BS, self.features, self.representations, self.conditions
        )
        return clean_BSA3[0]


def bind(
    opened: OpenedModel, features: Features, representations: Representations, stage_inputs: StageInputs, at_once: int
) -> LearnedDenoiser:
    """The network on one RNA: other stages' results enter the pairs, and everything but the noise is computed.

    Args:
        opened: the network.
        features: of the RNA, the reference conformers turned as stage B saw them.
        representations: stage B's.
        stage_inputs: of stages A, B and C.
        at_once: see `LearnedDenoiser`.
    """
    features = features.to(opened.device)
    moved = Representations(
        inputs_BLI=representations.inputs_BLI.to(opened.device),
        single_BLS=representations.single_BLS.to(opened.device),
        pair_BLLZ=representations.pair_BLLZ.to(opened.device),
    )
    with torch.no_grad():
        pair_BLLZ = opened.model.diffusion_inputs(moved.pair_BLLZ, stage_inputs.to(opened.device))
        moved = replace(moved, pair_BLLZ=pair_BLLZ)
        conditions = opened.model.diffusion_module.conditions(features, moved)
    return LearnedDenoiser(
        model=opened.model, features=features, representations=moved, conditions=conditions, at_once=at_once
    )
