"""The quality network as it is trained: models of known RNAs in, lDDT and errors of their parts out."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from rna_predict.data.batches import Share
from rna_predict.data.judged_models import ModelDataset, QualityExample, collate_quality
from rna_predict.errors import ConfigError, InputError
from rna_predict.stage_d_diffusion.quality_network import ERROR_EDGES, QualityModel, QualityPrediction
from rna_predict.training.config import LossSettings, TrainConfig
from rna_predict.training.one_network import OneNetwork, open_for_training
from rna_predict.training.pipeline import Draws, weighted_sum
from rna_predict.training.stream import CUTS, BatchStream, seed_of


class QualityPipeline(OneNetwork):
    """The quality network of stage D and its losses."""

    def terms(self, settings: LossSettings) -> dict[str, float]:
        """Losses by name with their weights."""
        known = {"quality": settings.quality, "pae": settings.quality_errors, "pde": settings.quality_errors}
        known |= {"tm": settings.quality_tm}
        return {name: weight for name, weight in known.items() if weight}

    def losses(self, example: QualityExample, settings: LossSettings, draws: Draws) -> dict[str, Tensor]:
        """Every loss by name, unweighted, of one batch: cross-entropies, of lDDT and TM-score as of shares."""
        del draws
        return quality_losses(self.model(example.features), example, settings)


def quality_losses(found: QualityPrediction, example: QualityExample, settings: LossSettings) -> dict[str, Tensor]:
    """Every loss by name, unweighted, of what the network said of a batch."""
    losses: dict[str, Tensor] = {}
    if settings.quality:
        known_BL = example.known_BL
        losses["quality"] = binary_cross_entropy_with_logits(found.lddt_BL[known_BL], example.lddt_BL[known_BL])
    if settings.quality_errors:
        losses["pae"] = _error_loss(found.pae_BLLE, example.pae_BLL)
        losses["pde"] = _error_loss(found.pde_BLLE, example.pde_BLL)
    whole_B = ~example.tm_B.isnan()
    if settings.quality_tm and bool(whole_B.any()):
        losses["tm"] = binary_cross_entropy_with_logits(found.tm_B[whole_B], example.tm_B[whole_B])
    return losses


def _error_loss(logits_BLLE: Tensor, error_BLL: Tensor) -> Tensor:
    known_BLL = ~error_BLL.isnan()
    edges = torch.tensor(ERROR_EDGES, device=error_BLL.device)
    return cross_entropy(logits_BLLE[known_BLL], torch.bucketize(error_BLL[known_BLL], edges))


def build_quality(config: TrainConfig) -> QualityPipeline:
    """Open the network and put on it what the config trains; everything else is frozen.

    Raises:
        ConfigError: modules do not fit the network.
        WeightsError: the weights file is refused, or nothing is trained.
    """
    return QualityPipeline(open_for_training(QualityModel, config)).train()


class QualityStream(BatchStream):
    """Stretches of models: of each chain any of its models and decoys."""

    chains: ModelDataset

    def make(self, position: int, epoch: int) -> QualityExample:
        """A stretch of one model of a chain as this epoch sees it.

        Raises:
            ContractError: a file of the chain is damaged.
            InputError: no stretch of it shows what its lDDT is.
        """
        row = self.chains.rows[position]
        for attempt in range(CUTS):
            rng = np.random.default_rng(seed_of(self.seed, row.id, epoch, attempt))
            example = self.chains.example(position, int(rng.integers(row.models + row.decoys)))
            length = min(row.length, self.settings.crop)
            start = int(rng.integers(row.length - length + 1))
            cut = example.cut(start, start + length)
            if int(cut.known_BL.sum()) > 1:
                return cut
        raise InputError(f"{row.id}: no stretch of it shows two residues. Name it in data.exclude.")

    def put_together(self, made: list[QualityExample]) -> QualityExample:
        """One batch."""
        return collate_quality(made)


def quality_stream(chains: ModelDataset, config: TrainConfig, share: Share | None = None) -> QualityStream:
    """The stream of a dataset."""
    return QualityStream(chains, config, share)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityMeasures:
    """Of the best-ranked model of one chain, whole.

    Attributes:
        loss: what is trained on, weighted.
        plddt_pearson: correlation of predicted and true lDDT of its residues; None where either is constant.
        plddt_bias: predicted less true lDDT, mean, 0 to 1.
        plddt_error: mean absolute difference of the two.
        ptm_error: absolute difference of predicted and true TM-score; None where the native has too few residues.
    """

    loss: float
    plddt_pearson: float | None
    plddt_bias: float
    plddt_error: float
    ptm_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutModel:
    """A model that validates."""

    id: str
    example: QualityExample


def quality_held_out(chains: ModelDataset, config: TrainConfig) -> list[HeldOutModel]:
    """The best-ranked model of each chain of the split `validation`.

    Raises:
        ConfigError: there is none.
    """
    settings = config.validation
    found = [
        HeldOutModel(id=chains.ids[position], example=chains.example(position))
        for position in chains.positions("validation").tolist()
        if chains.ids[position] not in config.data.exclude
        and chains.rows[position].length <= (settings.max_length or chains.rows[position].length)
    ]
    if not found:
        raise ConfigError(
            f"{chains.folder}: no models of chains that validate. Set validation.every=0, trainer.keep=last."
        )
    return found[: settings.chains or None]


@torch.no_grad()
def measure_quality(pipeline: QualityPipeline, held_out: HeldOutModel, config: TrainConfig) -> QualityMeasures:
    """Losses and measures of one model by the weights as they are."""
    example = held_out.example.to(next(pipeline.parameters()).device)
    found = pipeline.model(example.features)
    losses = quality_losses(found, example, config.losses)
    known_BL = example.known_BL
    found_N = found.lddt_BL.sigmoid()[known_BL].double()
    off = float((found.tm_B.sigmoid() - example.tm_B).abs()[0])
    true_N = example.lddt_BL[known_BL].double()
    constant = float(found_N.std()) == 0 or float(true_N.std()) == 0
    return QualityMeasures(
        loss=float(weighted_sum(losses, pipeline.terms(config.losses))),
        plddt_pearson=None if constant else float(torch.corrcoef(torch.stack([found_N, true_N]))[0, 1]),
        plddt_bias=float((found_N - true_N).mean()),
        plddt_error=float((found_N - true_N).abs().mean()),
        ptm_error=None if math.isnan(off) else off,
    )
