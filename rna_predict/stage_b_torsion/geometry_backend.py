"""Stage B's geometry network: one RNA through it, its distances and torsions as numpy arrays."""

import logging
from dataclasses import dataclass

import numpy as np
import torch

from rna_predict.contracts import Adjacency, Embeddings, Provenance, RnaSequence
from rna_predict.contracts.record import UNTRAINED, weights_notes
from rna_predict.errors import PredictionError
from rna_predict.nn.device import choose_device
from rna_predict.nn.opened import NetworkSource, OpenedNetwork, open_for_prediction
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.geometry_features import geometry_features
from rna_predict.stage_b_torsion.geometry_network import BINS, GEOMETRY_ATOMS, GeometryModel
from rna_predict.stage_b_torsion.torsion_values import TorsionValues, head_values

log = logging.getLogger(__name__)

BYTES_PER_PAIR = 2400
"""Peak memory of the network for each pair of residues, distograms included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryResult:
    """What the network made of one RNA.

    Attributes:
        distogram_GLLB: float32, logits over the bins `wide` for each of `GEOMETRY_ATOMS`.
        single_LS: float32.
        pair_LLZ: float32.
        torsions: of the torsion head.
        inputs: digests of what went in, by name.
        weights: hash of the weights.
        method: how it was made, for the provenance.
    """

    distogram_GLLB: np.ndarray
    single_LS: np.ndarray
    pair_LLZ: np.ndarray
    torsions: TorsionValues
    inputs: dict[str, str]
    weights: str
    method: str

    def embeddings(self, sequence: RnaSequence, provenance: Provenance) -> Embeddings:
        """The record."""
        return Embeddings(
            id=sequence.id,
            sequence=sequence.sequence,
            breaks=sequence.breaks,
            provenance=provenance,
            inputs_LI=np.zeros((sequence.length, 0), dtype=np.float32),
            single_LS=self.single_LS,
            pair_LLZ=self.pair_LLZ,
            distogram_GLLB=self.distogram_GLLB,
            distogram_atoms=list(GEOMETRY_ATOMS),
            distogram_bins=BINS,
            conformer_seed=0,
            channels=[],
        )


def opened_geometry(config: StageBConfig) -> OpenedNetwork:
    """The network that the config names: its weights, the package's own, or a profile's starting values.

    Raises:
        ConfigError: no such device or profile.
        WeightsError: a file is refused, or the partial checkpoint belongs to other weights.
    """
    named = {"weights": config.weights, "untrained_profile": config.untrained_profile, "partial": config.partial}
    source = NetworkSource.or_carried("geometry_small", **named)
    opened = open_for_prediction(GeometryModel, source, choose_device(config.device, "stage_b.device"))
    if not opened.header.trained:
        log.warning("stage B's geometry network runs on %s (%s)", UNTRAINED, opened.header.source)
    return opened


def run_geometry(sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig) -> GeometryResult:
    """One RNA through the geometry network.

    Raises:
        ConfigError: the device or the profile cannot be used.
        WeightsError: the weights file or the partial checkpoint is refused.
        PredictionError: the network gives numbers that are none.
    """
    opened = opened_geometry(config)
    features = geometry_features(adjacency).to(opened.device)
    with torch.inference_mode():
        found = opened.network.module(features)
        total = found.distance_BGLLD.sum(dtype=torch.float64) + found.torsions.vector_BL82.sum(dtype=torch.float64)
        if not bool(total.isfinite()):
            raise PredictionError(f"{sequence.id}: the geometry network gives NaN or infinity: damaged weights.")
        torsions = head_values(found.torsions)
    notes = weights_notes(opened.merged, opened.header.trained)
    return GeometryResult(
        distogram_GLLB=_array(found.distance_BGLLD[0].log_softmax(-1)),
        single_LS=_array(found.single_BLS[0]),
        pair_LLZ=_array(found.pair_BLLZ[0]),
        torsions=torsions,
        inputs={"a_adjacency": adjacency.digest()},
        weights=opened.header.sha256,
        method=f"geometry network, profile {opened.header.architecture.name}{notes}",
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Float32 array that nobody else can write to, so that the record takes it without a copy."""
    array = tensor.float().cpu().contiguous().numpy()
    array.flags.writeable = False
    return array
