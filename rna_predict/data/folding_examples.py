"""Known secondary structures as what stage A's network learns from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rna_predict.data.pair_table import PairRow
from rna_predict.stage_a_adjacency.featurise import ensembles_to_tell, features_of
from rna_predict.stage_a_adjacency.loss import known_weight
from rna_predict.stage_a_adjacency.network import FoldingFeatures

KEPT_ENSEMBLES = 512
"""Ensembles that are kept in memory: those of the RNAs that validate are asked for again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldingExample:
    """A batch of RNAs or pieces of them.

    Attributes:
        ids: of each.
        features: what the network reads.
        partner_BL: index of the partner, -1 for none.
        weight_BL: of each residue in the loss.
    """

    ids: tuple[str, ...]
    features: FoldingFeatures
    partner_BL: Int[Tensor, "b l"]
    weight_BL: Float[Tensor, "b l"]

    def to(self, device: torch.device | str) -> "FoldingExample":
        """The same on a device."""
        return replace(
            self,
            features=self.features.to(device),
            partner_BL=self.partner_BL.to(device),
            weight_BL=self.weight_BL.to(device),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldingPiece:
    """An RNA or a piece of it, before it is put into a batch.

    Attributes:
        id: of the RNA.
        sequence: of the piece.
        partner_L: int64 [L] within the piece, -1 for none.
        weight_L: float32 [L].
        energy_MLL: `ensembles_to_tell` of the whole RNA, cut; or None.
    """

    id: str
    sequence: str
    partner_L: np.ndarray
    weight_L: np.ndarray
    energy_MLL: np.ndarray | None


def folding_piece(row: PairRow, index_L: np.ndarray, *, told: bool, alone_weight: float = 1.0) -> FoldingPiece:
    """Cut a piece.

    Residues whose partner was cut off weigh nothing: what they pair with is not there.

    Args:
        row: the whole RNA.
        index_L: positions of a stretch, ascending.
        told: whether the network is told the energy models' ensembles.
        alone_weight: of residues without a partner; below 1 where the source leaves pairs out.
    """
    start, stop = int(index_L[0]), int(index_L[-1]) + 1
    partner_L = row.partner_L[start:stop].astype(np.int64)
    inside_L = (partner_L >= start) & (partner_L < stop)
    weight_L = np.where(partner_L < 0, alone_weight, inside_L.astype(np.float32)).astype(np.float32)
    return FoldingPiece(
        id=row.id,
        sequence=row.sequence[start:stop],
        partner_L=np.where(inside_L, partner_L - start, -1),
        weight_L=weight_L,
        energy_MLL=_ensembles(row.sequence)[:, start:stop, start:stop] if told else None,
    )


def collate_pieces(pieces: Sequence[FoldingPiece]) -> FoldingExample:
    """Put pieces into one batch; residues with a partner that is not legal weigh nothing."""
    features = features_of([piece.sequence for piece in pieces], [piece.energy_MLL for piece in pieces])
    batch, length = features.code_BL.shape
    partner_BL = torch.full((batch, length), -1, dtype=torch.int64)
    weight_BL = torch.zeros(batch, length)
    for k, piece in enumerate(pieces):
        partner_BL[k, : len(piece.sequence)] = torch.from_numpy(piece.partner_L)
        weight_BL[k, : len(piece.sequence)] = torch.from_numpy(piece.weight_L)
    return FoldingExample(
        ids=tuple(piece.id for piece in pieces),
        features=features,
        partner_BL=partner_BL,
        weight_BL=weight_BL * known_weight(features.legal_BLL, partner_BL),
    )


@lru_cache(maxsize=KEPT_ENSEMBLES)
def _ensembles(sequence: str) -> np.ndarray:
    return ensembles_to_tell(sequence).astype(np.float16)
