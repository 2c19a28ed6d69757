"""Stage B's learned backend: one RNA through the trunk, and its representations as numpy arrays."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rna_predict.contracts import Adjacency, Embeddings, Provenance, RnaSequence
from rna_predict.contracts.alignment import Alignment
from rna_predict.contracts.record import UNTRAINED, weights_notes
from rna_predict.errors import ConfigError, PredictionError
from rna_predict.nn.cost import Run, peak_bytes
from rna_predict.nn.device import choose_device, choose_dtype
from rna_predict.nn.features import Representations
from rna_predict.nn.featurise import AlignmentRows, featurise
from rna_predict.nn.opened import NetworkSource, OpenedNetwork, open_for_prediction
from rna_predict.nn.stage_inputs import pair_inputs
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.torsion_values import TorsionValues, head_values
from rna_predict.stage_b_torsion.trunk import Trunk

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkResult:
    """What the trunk made of one RNA, B = 1, on the CPU in float32.

    Attributes:
        representations: input embedding, single and pair representation.
        distogram_LL64: logits between C4 (A, G) and C2 (C, U) atoms.
        torsions: of the torsion head, where the config asks for it.
        inputs: digests of what went in, by name.
        conformer_seed: how the reference conformers were turned.
        weights: hash of the weights.
        method: how it was made, for the provenance.
    """

    representations: Representations
    distogram_LL64: Tensor
    torsions: TorsionValues | None
    inputs: dict[str, str]
    conformer_seed: int
    weights: str
    method: str

    def embeddings(self, sequence: RnaSequence, provenance: Provenance) -> Embeddings:
        """The record."""
        found = self.representations
        return Embeddings(
            id=sequence.id,
            sequence=sequence.sequence,
            breaks=sequence.breaks,
            provenance=provenance,
            inputs_LI=_array(found.inputs_BLI[0]),
            single_LS=_array(found.single_BLS[0]),
            pair_LLZ=_array(found.pair_BLLZ[0]),
            distogram_GLLB=_array(self.distogram_LL64[None]),
            distogram_atoms=["C4/C2"],
            distogram_bins="af3",
            conformer_seed=self.conformer_seed,
            channels=[],
        )


def run_trunk(
    sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig, alignment: Alignment | None = None
) -> TrunkResult:
    """One RNA through the trunk, stage A's adjacency as an input.

    Raises:
        ConfigError: weights or device cannot be used, or torsions are asked of a head that was never trained.
        WeightsError: the weights file or the partial checkpoint is refused.
        PredictionError: a representation holds NaN or infinity.
    """
    device = choose_device(config.device, "stage_b.device")
    dtype = choose_dtype(config.precision, device)
    opened = opened_trunk(config, device)
    header, module = opened.header, opened.network.module
    assert isinstance(module, Trunk)
    cycles = config.cycles or header.architecture.cycles
    rows = (
        None if alignment is None else AlignmentRows(residue_ML=alignment.residue_ML, deletion_ML=alignment.deletion_ML)
    )
    features = featurise(sequence.sequence, seed=config.seed, alignment=rows, breaks=sequence.breaks).to(device)
    inputs = pair_inputs(adjacency.probability_LL, adjacency.partner_L).to(device)
    chunk_rows = config.chunk_rows or None
    with torch.inference_mode():
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            found = module(features, cycles, inputs, chunk_rows)
        found = Representations(
            inputs_BLI=found.inputs_BLI.float(), single_BLS=found.single_BLS.float(), pair_BLLZ=found.pair_BLLZ.float()
        )
        _check_finite(sequence, found)
        torsions = head_values(module.torsion_head(found.single_BLS)) if config.torsions == "head" else None
        distogram_LL64 = module.distogram(found.pair_BLLZ)[0].float().cpu()
    notes = weights_notes(opened.merged, header.trained)
    return TrunkResult(
        representations=Representations(
            inputs_BLI=found.inputs_BLI.cpu(), single_BLS=found.single_BLS.cpu(), pair_BLLZ=found.pair_BLLZ.cpu()
        ),
        distogram_LL64=distogram_LL64,
        torsions=torsions,
        inputs={"a_adjacency": adjacency.digest()} | ({} if alignment is None else {"alignment": alignment.digest()}),
        conformer_seed=config.seed,
        weights=opened.trunk_sha256,
        method=f"trunk, profile {header.architecture.name}, {cycles} cycles, {str(dtype)[6:]}{notes}",
    )


def bytes_needed(length: int, config: StageBConfig) -> int:
    """Memory of the process at the trunk's worst moment, estimated before any of it is taken.

    Raises:
        ConfigError: no such device or profile.
        WeightsError: the weights file or the partial checkpoint is refused.
    """
    architecture = opened_trunk(config, choose_device(config.device, "stage_b.device")).header.architecture
    return peak_bytes(architecture, "stage_b", Run(length=length, cycles=config.cycles or architecture.cycles))


def opened_trunk(config: StageBConfig, device: torch.device) -> OpenedNetwork:
    """The trunk that the config names; opened once for all RNAs of a command, as long as its files stay the same.

    Raises:
        ConfigError: the config asks for torsions of a head that has starting values.
        WeightsError: a file is refused, or the partial checkpoint is of stage D alone.
    """
    source = NetworkSource(weights=config.weights, untrained_profile=config.untrained_profile, partial=config.partial)
    opened = open_for_prediction(Trunk, source, device)
    if not opened.header.trained:
        log.warning("stage B's trunk runs on %s (%s): its results mean nothing", UNTRAINED, opened.header.source)
    if config.torsions == "head" and not config.untrained_profile:
        added = [key for key in opened.network.report.added if key.startswith("torsion_head.")]
        if added or not opened.header.trained:
            files = " and ".join(filter(None, (config.weights, config.partial)))
            raise ConfigError(
                f"stage_b.torsions: head, but the torsion head of {files} was never trained. Use "
                "stage_b.torsions=prior-table, or weights with a trained torsion head."
            )
    return opened


def _check_finite(sequence: RnaSequence, found: Representations) -> None:
    """A sum of NaN or infinity is not finite, and a sum needs no memory."""
    for name in ("inputs_BLI", "single_BLS", "pair_BLLZ"):
        if not bool(getattr(found, name).sum(dtype=torch.float64).isfinite()):
            raise PredictionError(
                f"{sequence.id}: the trunk's {name} holds NaN or infinity. Try stage_b.precision=float32; if it stays, "
                "the weights are damaged."
            )


def _array(tensor: Tensor) -> np.ndarray:
    """Float32 array that nobody else can write to, so that the record takes it without a copy."""
    array = tensor.contiguous().numpy()
    array.flags.writeable = False
    return array
