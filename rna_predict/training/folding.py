"""Stage A's network as it is trained: known secondary structures in, the choice of each residue's partner out."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rna_predict.data.batches import Share
from rna_predict.data.crops import contiguous_crop
from rna_predict.data.folding_examples import FoldingExample, FoldingPiece, collate_pieces, folding_piece
from rna_predict.data.pair_table import PairRow, PairTable
from rna_predict.errors import ConfigError
from rna_predict.evaluation.base_pairs import score_pairs
from rna_predict.stage_a_adjacency.krook import rooks
from rna_predict.stage_a_adjacency.loss import folding_losses
from rna_predict.stage_a_adjacency.network import FoldingModel
from rna_predict.training.config import LossSettings, TrainConfig
from rna_predict.training.one_network import OneNetwork, open_for_training
from rna_predict.training.pipeline import Draws, weighted_sum
from rna_predict.training.stream import BatchStream, seed_of


class FoldingPipeline(OneNetwork):
    """The network of stage A and its losses."""

    def terms(self, settings: LossSettings) -> dict[str, float]:
        """Losses by name with their weights."""
        known = {"folding": settings.folding, "folding_draft": settings.folding_draft}
        return {name: weight for name, weight in known.items() if weight}

    def losses(self, example: FoldingExample, settings: LossSettings, draws: Draws) -> dict[str, Tensor]:
        """Every loss by name, unweighted, of one batch."""
        del settings, draws
        return folding_losses(self.model(example.features), example.partner_BL, example.weight_BL)


def build_folding(config: TrainConfig) -> FoldingPipeline:
    """Open the network and put on it what the config trains; everything else is frozen.

    Raises:
        ConfigError: modules do not fit the network.
        WeightsError: the weights file is refused, or nothing is trained.
    """
    return FoldingPipeline(open_for_training(FoldingModel, config)).train()


class FoldingStream(BatchStream):
    """Known secondary structures, whole where they are no longer than a crop."""

    chains: PairTable

    def make(self, position: int, epoch: int) -> FoldingPiece:
        """A piece of one RNA; whether the network is told the energy models is drawn."""
        row, settings = self.chains[position], self.settings
        rng = np.random.default_rng(seed_of(self.seed, row.id, epoch))
        told = bool(rng.random() < settings.told_share)
        index_L = contiguous_crop(row.length, settings.crop, rng)
        consensus = row.source in settings.consensus_sources
        return folding_piece(row, index_L, told=told, alone_weight=settings.consensus_alone if consensus else 1.0)

    def put_together(self, made: list[FoldingPiece]) -> FoldingExample:
        """One batch."""
        return collate_pieces(made)


def folding_stream(chains: PairTable, config: TrainConfig, share: Share | None = None) -> FoldingStream:
    """The stream of a table."""
    return FoldingStream(chains, config, share)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldingMeasures:
    """Of one RNA, whole; the matching is read as rooks.

    Attributes:
        loss: what is trained on, weighted, told the energy models.
        f1: of base pairs, told the energy models.
        f1_untold: the same from the sequence alone.
        precision: told.
        recall: told.
    """

    loss: float
    f1: float | None
    f1_untold: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutRow:
    """A known secondary structure that validates."""

    row: PairRow
    consensus_alone: float

    @property
    def id(self) -> str:
        """Its name."""
        return self.row.id

    def example(self, *, told: bool) -> FoldingExample:
        """The whole RNA."""
        index_L = np.arange(self.row.length)
        return collate_pieces([folding_piece(self.row, index_L, told=told, alone_weight=self.consensus_alone)])


def folding_held_out(chains: PairTable, config: TrainConfig) -> list[HeldOutRow]:
    """One row of each family of the split `validation`, drawn by its id, as many as the config asks for.

    Raises:
        ConfigError: there is none.
    """
    settings, data = config.validation, config.data
    drawn: dict[str, tuple[int, PairRow]] = {}
    for row in chains.of_split("validation"):
        if row.id in data.exclude or not data.min_length <= row.length <= (settings.max_length or row.length):
            continue
        rank = seed_of("validation", row.id)
        if row.family not in drawn or rank < drawn[row.family][0]:
            drawn[row.family] = (rank, row)
    if not drawn:
        raise ConfigError(
            f"{chains.folder}: no row of the split validation is at most {settings.max_length} nt. Make the table with "
            "a validation share, raise validation.max_length, or set validation.every=0, trainer.keep=last."
        )
    ordered = [row for _, row in sorted(drawn.values(), key=lambda each: each[0])]
    chosen = ordered[: settings.chains or None]
    weight = {row.id: data.consensus_alone if row.source in data.consensus_sources else 1.0 for row in chosen}
    return [HeldOutRow(row=row, consensus_alone=weight[row.id]) for row in chosen]


@torch.no_grad()
def measure_folding(pipeline: FoldingPipeline, held_out: HeldOutRow, config: TrainConfig) -> FoldingMeasures:
    """Loss and agreement of pairs of one RNA, told the energy models and not."""
    device = next(pipeline.parameters()).device
    row = held_out.row
    found, losses = [], {}
    for told in (True, False):
        example = held_out.example(told=told).to(device)
        scores = pipeline.model(example.features)
        partner_L = rooks(scores.pair_BLL[0].cpu().numpy(), scores.alone_BL[0].cpu().numpy())
        found.append(score_pairs(partner_L, row.partner_L, row.sequence).exact)
        losses = losses or folding_losses(scores, example.partner_BL, example.weight_BL)
    told_score, untold_score = found
    return FoldingMeasures(
        loss=float(weighted_sum(losses, pipeline.terms(config.losses))),
        f1=told_score.f1,
        f1_untold=untold_score.f1,
        precision=told_score.precision,
        recall=told_score.recall,
    )
