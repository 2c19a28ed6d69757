"""Confidence of models by the quality network."""

import logging

import numpy as np
import torch
from torch import Tensor

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts.record import UNTRAINED, weights_notes
from rna_predict.errors import ConfigError, PredictionError
from rna_predict.nn.device import choose_device
from rna_predict.nn.opened import NetworkSource, OpenedNetwork, open_for_prediction
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.judged import Confidence
from rna_predict.stage_d_diffusion.quality_features import KINDS, quality_features, readable
from rna_predict.stage_d_diffusion.quality_network import ERROR_CENTRES, QualityModel

log = logging.getLogger(__name__)


def judges(inputs: StageDInputs, config: StageDConfig) -> bool:
    """Whether the quality network judges this RNA's models.

    Raises:
        ConfigError: it is asked for, and stage B has not the distograms that it reads.
    """
    if config.confidence == "heuristic":
        return False
    known = readable(inputs.embeddings)
    if config.confidence == "learned" and not known:
        raise ConfigError(
            f"stage_d.confidence: learned reads distograms of {', '.join(KINDS)}, stage B's of {inputs.id} are of "
            f"{', '.join(inputs.embeddings.distogram_atoms)}. Use stage_b.backend=geometry, or stage_d.confidence=auto."
        )
    return known


def opened_quality(config: StageDConfig) -> OpenedNetwork:
    """The network that the config names: its weights, the package's own, or a profile's starting values.

    Raises:
        ConfigError: no such device or profile.
        WeightsError: a file is refused, or the partial checkpoint belongs to other weights.
    """
    named = {"weights": config.weights, "untrained_profile": config.untrained_profile, "partial": config.partial}
    source = NetworkSource.or_carried("quality_small", **named)
    opened = open_for_prediction(QualityModel, source, choose_device(config.device, "stage_d.device"))
    if not opened.header.trained:
        log.warning("stage D's quality network runs on %s (%s)", UNTRAINED, opened.header.source)
    return opened


def method_of(opened: OpenedNetwork) -> str:
    """What the provenance says of it."""
    notes = weights_notes(opened.merged, opened.header.trained)
    return f"confidence: quality network, profile {opened.header.architecture.name}{notes}"


def quality_confidence(xyz_SLA3: np.ndarray, inputs: StageDInputs, opened: OpenedNetwork) -> list[Confidence]:
    """Judge models of one secondary structure, one after the other.

    pTM is the network's own guess of the TM-score on C3', not AF3's sum over PAE: that takes the best frame of what is
    expected, which lies far below the best superposition of what is there (docs/decisions/0031).

    Args:
        xyz_SLA3: float32 [S, L, MAX_ATOMS, 3], Å.
        inputs: what they were made from.
        opened: of `opened_quality`.

    Raises:
        PredictionError: the network gives numbers that are none.
    """
    found = []
    for xyz_LA3 in xyz_SLA3:
        features = quality_features(xyz_LA3, inputs.adjacency, inputs.embeddings, inputs.coordinates.built_L)
        with torch.inference_mode():
            said = opened.network.module(features.to(opened.device))
        if not all(bool(each.isfinite().all()) for each in (said.lddt_BL, said.pae_BLLE, said.pde_BLLE, said.tm_B)):
            raise PredictionError(f"{inputs.id}: the quality network gives NaN or infinity: damaged weights.")
        plddt_L = (100 * said.lddt_BL[0].sigmoid()).cpu().numpy()
        found.append(
            Confidence(
                plddt_LA=np.repeat(plddt_L[:, None], MAX_ATOMS, axis=1).clip(0, 100).astype(np.float32),
                pae_LL=_expected(said.pae_BLLE[0]),
                pde_LL=_expected(said.pde_BLLE[0]),
                ptm=float(said.tm_B[0].sigmoid()),
            )
        )
    return found


def _expected(logits_LLE: Tensor) -> np.ndarray:
    """Å, the mean over the bins; 0 between a residue and itself."""
    error_LL = logits_LLE.softmax(-1).cpu() @ torch.tensor(ERROR_CENTRES)
    return error_LL.fill_diagonal_(0).numpy()
