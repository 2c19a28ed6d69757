"""The quality network: how far each part of a model is to be trusted, from the model itself and stages A and B.

Blocks of triangle multiplications and transitions (AF3 Algorithms 11 to 13) on pairs of residues; what they make of the
neighbours of a residue gives its lDDT, what they make of a pair its errors, and all together the model's TM-score. The
model's atoms and the distograms enter as they agree (`quality_features`), not as hidden channels of stage B's network:
so it can be trained on models that networks made which did not know the RNA, and judge those of another.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding, silu

from rna_predict.evaluation.lddt import INCLUSION_RADIUS
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.pairformer import own
from rna_predict.nn.rows import add, row_dropout
from rna_predict.nn.transition import Transition
from rna_predict.nn.triangle import TriangleMultiplication
from rna_predict.stage_d_diffusion.quality_features import (
    PAIR_FEATURES,
    SEPARATIONS,
    SINGLE_FEATURES,
    QualityFeatures,
)

ERROR_EDGES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0)
"""Å, upper edges of the bins of PAE and PDE but the last, open one: finer where a model is good."""

ERROR_CENTRES = (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 4.5, 5.5, 7.0, 9.0, 11.0, 13.5, 17.5, 22.5, 27.5, 35.0)
"""Å, what each bin counts as."""

ERRORS = len(ERROR_CENTRES)

PAIR_FACTOR = 2
"""Hidden channels of the pair transition divided by those of the pair representation."""

HIDDEN = (64, 32)
"""Channels of the two layers that read a residue."""

LOG_LENGTH = 5.0
"""What the logarithm of the number of residues is divided by."""

DROPOUT = 0.15
"""Share of channels that training drops, of a triangle update the same in all its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPrediction:
    """What the network says of a batch.

    Attributes:
        lddt_BL: logits of each residue's lDDT.
        pae_BLLE: logits over `ERROR_EDGES` of the second residue's error seen from the first's frame.
        pde_BLLE: the same of the error of their distance; symmetric.
        tm_B: logit of the model's TM-score.
    """

    lddt_BL: Float[Tensor, "b l"]
    pae_BLLE: Float[Tensor, "b l l e"]
    pde_BLLE: Float[Tensor, "b l l e"]
    tm_B: Float[Tensor, " b"]


class QualityBlock(nn.Module):
    """Triangle multiplications along both kinds of edges, and a transition."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        channels = architecture.c_quality
        self.triangle_out = TriangleMultiplication(channels, channels, outgoing=True)
        self.triangle_in = TriangleMultiplication(channels, channels, outgoing=False)
        self.transition = Transition(channels, PAIR_FACTOR)

    def forward(self, pair_BLLZ: Tensor, mask_BL: Tensor | None) -> Tensor:
        """The pair representation; overwrites the given one where no gradient is recorded."""
        keys_B1L = None if mask_BL is None else mask_BL[:, None, :]
        keys_BL1 = None if mask_BL is None else mask_BL[:, :, None]
        for triangle, keys in ((self.triangle_out, keys_B1L), (self.triangle_in, keys_BL1)):
            dropped = row_dropout(pair_BLLZ, DROPOUT, self.training)
            pair_BLLZ = add(pair_BLLZ, triangle.updates(pair_BLLZ, keys), dropped)
        return add(pair_BLLZ, self.transition.updates(pair_BLLZ))


class QualityNetwork(nn.Module):
    """Features to lDDT and errors."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        channels = architecture.c_quality
        self.pair_in = Linear(PAIR_FEATURES, channels, bias=True)
        self.separation = Linear(SEPARATIONS, channels)
        self.left = Linear(SINGLE_FEATURES, channels)
        self.right = Linear(SINGLE_FEATURES, channels)
        self.blocks = nn.ModuleList(QualityBlock(architecture) for _ in range(architecture.quality_blocks))
        self.norm = layer_norm(channels)
        self.pae = Linear(channels, ERRORS, bias=True, init="zeros")
        self.pde = Linear(channels, ERRORS, bias=True, init="zeros")
        self.residue = Linear(SINGLE_FEATURES + 3 * channels, HIDDEN[0], bias=True)
        self.hidden = Linear(*HIDDEN, bias=True)
        self.lddt = Linear(HIDDEN[1], 1, bias=True, init="zeros")
        self.whole = Linear(channels + HIDDEN[1] + 1, HIDDEN[1], bias=True)
        self.tm = Linear(HIDDEN[1], 1, bias=True, init="zeros")

    def forward(self, features: QualityFeatures) -> QualityPrediction:
        """Logits, float32."""
        mask_BL = None if bool(features.mask_BL.all()) else features.mask_BL
        pair_BLLZ = own(self._embed(features))
        for block in self.blocks:
            pair_BLLZ = block(pair_BLLZ, mask_BL)
        pair_BLLZ = self.norm(pair_BLLZ)
        there_BLL = features.mask_BL[:, :, None] & features.mask_BL[:, None]
        itself_LL = torch.eye(there_BLL.shape[1], dtype=torch.bool, device=there_BLL.device)
        near_BLL = there_BLL & ~itself_LL & (features.distance_BLL < INCLUSION_RADIUS)
        whole_B1Z = _mean(pair_BLLZ.flatten(1, 2), there_BLL.flatten(1), 1)[:, None]
        around = [_mean(pair_BLLZ, near_BLL, 2), _mean(pair_BLLZ, near_BLL, 1)]
        known_BLX = torch.cat([features.single_BLF, *around, whole_B1Z.expand_as(around[0])], dim=-1)
        for layer in (self.residue, self.hidden):
            known_BLX = dropout(silu(layer(known_BLX)), DROPOUT, self.training)
        size_B1 = features.mask_BL.sum(1, keepdim=True).to(known_BLX.dtype).log() / LOG_LENGTH
        together_BX = torch.cat([whole_B1Z[:, 0], _mean(known_BLX, features.mask_BL, 1), size_B1], dim=-1)
        together_BX = dropout(silu(self.whole(together_BX)), DROPOUT, self.training)
        return QualityPrediction(
            lddt_BL=self.lddt(known_BLX)[..., 0].float(),
            pae_BLLE=self.pae(pair_BLLZ).float(),
            pde_BLLE=self.pde(pair_BLLZ + pair_BLLZ.transpose(1, 2)).float(),
            tm_B=self.tm(together_BX)[:, 0].float(),
        )

    def _embed(self, features: QualityFeatures) -> Tensor:
        pair_BLLZ = self.pair_in(features.pair_BLLP)
        pair_BLLZ = pair_BLLZ + self.left(features.single_BLF)[:, :, None] + self.right(features.single_BLF)[:, None]
        return pair_BLLZ + embedding(features.separation_BLL, self.separation.weight.mT)


class QualityModel(nn.Module):
    """Its part of the layout: all keys begin with `quality`."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.quality = QualityNetwork(architecture)

    def forward(self, features: QualityFeatures) -> QualityPrediction:
        """See `QualityNetwork`."""
        return self.quality(features)


def _mean(value: Tensor, mask: Tensor, axis: int) -> Tensor:
    """Mean over an axis where `mask` is set; 0 where it is nowhere."""
    weight = mask.to(value.dtype).unsqueeze(-1)
    return (value * weight).sum(axis) / weight.sum(axis).clamp(min=1)
