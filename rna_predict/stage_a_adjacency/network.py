"""Stage A's network: which residues pair, from the sequence and, where it is given, an energy model's ensemble.

RFold (Tan et al. 2022, "RFold: RNA secondary structure prediction with decoupled optimization"): embedded tokens, an
outer product of gated attention over residues, a U-Net over the map, row and column scores of which a matching is read
as a placement of rooks that do not attack each other (`krook`). What differs from the paper:

- A residue may stay alone: each row has a score for it, beside those of its partners. Rows are therefore distributions.
- Positions enter as distances, between two residues and to both ends: there is no longest length.
- The map of scores is symmetric by construction: the mean of the U-Net's output and its transpose.
- The scores are refined once by a block that sees the first scores' distributions along rows and columns.
- The log-odds of energy models are further input channels. They may be absent: in training they are, now and then.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from rna_predict.chemistry.chains import spaced
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.pair_unet import Convolution, ConvolutionBlock, PairUNet, mask_of, over_channels

LETTERS = "ACGU"
"""Order of the letters' codes; 4 is a residue beyond the end."""

ENERGY_MODELS = 2
"""Ensembles that the network can be told: Turner 2004 and Langdon 2018."""

DISTANCE_STEPS = 4
"""Distances are told apart up to this factor's power of two: steps of a quarter of a doubling."""

DISTANCE_BINS = 48
"""Bins of distances, the last from 2^12 on."""

KERNEL = 9
"""Residues that one layer along the sequence sees at once."""

GAP = 32
"""Places without a residue between two chains: more than the layers along the sequence see at once."""

NEVER = -1e4
"""Score of a pair that cannot form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldingFeatures:
    """What the network reads.

    Attributes:
        code_BL: letters, 0 to 3 in the order of `LETTERS`, 4 where there is no residue.
        legal_BLL: the two residues can pair (`folding.can_pair`).
        energy_BMLL: log-odds of pairs by each energy model, divided by 5; zero where absent.
        told_B: whether the energy models are told.
    """

    code_BL: Int[Tensor, "b l"]
    legal_BLL: Bool[Tensor, "b l l"]
    energy_BMLL: Float[Tensor, "b m l l"]
    told_B: Bool[Tensor, " b"]

    def to(self, device: torch.device | str) -> "FoldingFeatures":
        """The same on a device."""
        return FoldingFeatures(
            code_BL=self.code_BL.to(device),
            legal_BLL=self.legal_BLL.to(device),
            energy_BMLL=self.energy_BMLL.to(device),
            told_B=self.told_B.to(device),
        )

    def apart(self, breaks: tuple[int, ...]) -> "FoldingFeatures":
        """One RNA's features with `GAP` places where there is no residue before each of `breaks`.

        The network knows such places from the ends of RNAs.
        """
        place_L = places_apart(self.code_BL.shape[1], breaks)
        size = int(place_L[-1]) + 1
        code_BL = self.code_BL.new_full((1, size), len(LETTERS))
        code_BL[:, place_L] = self.code_BL
        legal_BLL = self.legal_BLL.new_zeros(1, size, size)
        legal_BLL[:, place_L[:, None], place_L] = self.legal_BLL
        energy_BMLL = self.energy_BMLL.new_zeros(*self.energy_BMLL.shape[:2], size, size)
        energy_BMLL[:, :, place_L[:, None], place_L] = self.energy_BMLL
        return FoldingFeatures(code_BL=code_BL, legal_BLL=legal_BLL, energy_BMLL=energy_BMLL, told_B=self.told_B)

    @property
    def mask_BL(self) -> Bool[Tensor, "b l"]:
        """Where there is a residue."""
        return self.code_BL < len(LETTERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldingScores:
    """Scores of partners.

    Attributes:
        pair_BLL: score of each pair, symmetric; `NEVER` where it cannot form.
        alone_BL: score of staying alone.
        draft_BLL: `pair_BLL` before it was refined.
    """

    pair_BLL: Float[Tensor, "b l l"]
    alone_BL: Float[Tensor, "b l"]
    draft_BLL: Float[Tensor, "b l l"]

    def without_gaps(self, breaks: tuple[int, ...]) -> "FoldingScores":
        """The scores of residues alone, from those of features that `FoldingFeatures.apart` made."""
        place_L = places_apart(self.alone_BL.shape[1] - GAP * len(breaks), breaks)
        rows, columns = place_L[:, None], place_L
        return FoldingScores(
            pair_BLL=self.pair_BLL[:, rows, columns],
            alone_BL=self.alone_BL[:, place_L],
            draft_BLL=self.draft_BLL[:, rows, columns],
        )


class SequenceBlock(nn.Module):
    """Gated convolution along the sequence; places beyond the end stay zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = layer_norm(channels)
        self.gate = Linear(channels, channels, bias=True)
        self.value = Linear(channels, channels)
        self.mix = SequenceConvolution(channels)
        self.out = Linear(channels, channels, init="zeros")

    def forward(self, single_BLC: Tensor, mask_BL1: Tensor) -> Tensor:
        """Add what the neighbours say."""
        x = self.norm(single_BLC)
        mixed = self.mix((self.value(x) * mask_BL1).mT).mT
        return single_BLC + self.out(functional.silu(mixed) * torch.sigmoid(self.gate(x))) * mask_BL1


class SequenceConvolution(nn.Conv1d):
    """Along the sequence, all channels, zeros beyond the ends."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, KERNEL, padding=KERNEL // 2)

    def reset_parameters(self) -> None:
        """Fill with torch's global generator."""
        self.fill(None)

    @torch.no_grad()
    def fill(self, generator: torch.Generator | None) -> None:
        """Variance 1 over the inputs, no bias."""
        if not self.weight.is_meta:
            self.weight.normal_(0.0, (1.0 / (self.in_channels * KERNEL)) ** 0.5, generator=generator)
        if self.bias is not None:
            self.bias.zero_()


class OuterAttention(nn.Module):
    """The map of pairs: gated attention scores of all heads, what each residue is, how far they are apart."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        c, heads = architecture.c_fold, architecture.fold_heads
        self.heads, self.width = heads, c // heads
        self.norm = layer_norm(c)
        self.query_key = Linear(c, 2 * c)
        self.gate = Linear(c, heads, bias=True)
        self.sides = Linear(c, 2 * architecture.fold_channels)
        self.scores = Linear(heads, architecture.fold_channels)
        self.distance = Linear(DISTANCE_BINS, architecture.fold_channels)
        self.letters = Linear(len(LETTERS) ** 2, architecture.fold_channels)
        self.energy = Linear(ENERGY_MODELS + 1, architecture.fold_channels)

    def forward(self, single_BLC: Tensor, features: FoldingFeatures) -> Float[Tensor, "b d l l"]:
        """Channels of each pair."""
        x = self.norm(single_BLC)
        batch, length, _ = x.shape
        query, key = self.query_key(x).view(batch, length, 2, self.heads, self.width).unbind(2)
        gate = torch.sigmoid(self.gate(x))
        score = torch.einsum("bihc,bjhc->bijh", query, key) / self.width**0.5
        score = functional.silu(score) * gate[:, :, None] * gate[:, None]
        first, second = self.sides(x).chunk(2, dim=-1)
        pair = self.scores(score) + first[:, :, None] + second[:, None]
        pair = pair + functional.embedding(distance_bins(length, x.device), self.distance.weight.mT)
        code = features.code_BL.clamp(max=len(LETTERS) - 1)
        kind = code[:, :, None] * len(LETTERS) + code[:, None]
        pair = pair + functional.embedding(kind, self.letters.weight.mT)
        told = features.told_B[:, None, None, None].to(x.dtype).expand(-1, length, length, 1)
        pair = pair + self.energy(torch.cat([features.energy_BMLL.permute(0, 2, 3, 1).to(x.dtype), told], dim=-1))
        return pair.permute(0, 3, 1, 2)


class FoldingNetwork(nn.Module):
    """Letters to scores of partners."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        c, channels = architecture.c_fold, architecture.fold_channels
        self.token = Linear(len(LETTERS) + 2 * DISTANCE_BINS, c)
        self.blocks = nn.ModuleList([SequenceBlock(c) for _ in range(architecture.fold_blocks)])
        self.outer_attention = OuterAttention(architecture)
        self.unet = PairUNet(channels, architecture.fold_levels)
        self.draft_norm, self.draft = layer_norm(channels), Convolution(channels, 1, size=1, gain=0.0)
        self.refine = ConvolutionBlock(channels + 3, channels)
        self.final_norm, self.final = layer_norm(channels), Convolution(channels, 1, size=1, gain=0.0)
        self.alone = Linear(c, 1, bias=True)
        self.norm = layer_norm(c)

    def forward(self, features: FoldingFeatures) -> FoldingScores:
        """Scores, float32."""
        mask_BL = features.mask_BL
        mask_BLL = mask_BL[:, :, None] & mask_BL[:, None]
        single_BLC = self._embed(features.code_BL, mask_BL)
        for block in self.blocks:
            single_BLC = block(single_BLC, mask_BL[..., None].to(single_BLC.dtype))
        alone_BL = self.alone(self.norm(single_BLC))[..., 0].float()
        legal_BLL = features.legal_BLL & mask_BLL
        pair_BCLL = self.unet(self.outer_attention(single_BLC, features), mask_BLL)
        draft_BLL = _symmetric(self.draft(over_channels(self.draft_norm, pair_BCLL)), legal_BLL)
        row_BLL = log_rows(draft_BLL, alone_BL)
        said = torch.stack([row_BLL, row_BLL.mT, draft_BLL], dim=1).clamp(min=-12.0) / 6.0
        said = torch.where(legal_BLL[:, None], said, -2.0).to(pair_BCLL.dtype)
        refined = self.refine(torch.cat([pair_BCLL, said], dim=1), mask_of(mask_BLL, pair_BCLL.dtype))
        pair_BLL = _symmetric(self.final(over_channels(self.final_norm, refined)), legal_BLL, draft_BLL)
        return FoldingScores(pair_BLL=pair_BLL, alone_BL=alone_BL, draft_BLL=draft_BLL)

    def _embed(self, code_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Letter and distance to both ends."""
        length_B1 = mask_BL.sum(1, keepdim=True)
        place_1L = torch.arange(code_BL.shape[1], device=code_BL.device)[None]
        start_BL = _bins(place_1L.expand_as(code_BL))
        end_BL = _bins((length_B1 - 1 - place_1L).clamp(min=0))
        weight = self.token.weight.mT
        tables = weight.split([len(LETTERS), DISTANCE_BINS, DISTANCE_BINS])
        indices = (code_BL.clamp(max=len(LETTERS) - 1), start_BL, end_BL)
        parts = [functional.embedding(index, table) for index, table in zip(indices, tables, strict=True)]
        return torch.stack(parts).sum(0) * mask_BL[..., None]


class FoldingModel(nn.Module):
    """Stage A's part of the layout: all keys begin with `folding`."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.folding = FoldingNetwork(architecture)

    def forward(self, features: FoldingFeatures) -> FoldingScores:
        """See `FoldingNetwork`."""
        return self.folding(features)


def log_rows(pair_BLL: Float[Tensor, "b l l"], alone_BL: Float[Tensor, "b l"]) -> Float[Tensor, "b l l"]:
    """Logarithm of the probability that residue i of row i has partner j, staying alone among the choices."""
    total_BL = torch.logaddexp(pair_BLL.logsumexp(-1), alone_BL)
    return pair_BLL - total_BL[..., None]


def places_apart(length: int, breaks: tuple[int, ...]) -> Int[Tensor, " l"]:
    """Place of each residue where `GAP` places lie between two chains."""
    return torch.from_numpy(spaced(length, breaks, GAP))


def distance_bins(length: int, device: torch.device) -> Int[Tensor, "l l"]:
    """Bin of the distance of two residues along the chain."""
    place_L = torch.arange(length, device=device)
    return _bins((place_L[:, None] - place_L).abs())


def _bins(distance: Tensor) -> Tensor:
    """Quarters of a doubling; small distances each have a bin of their own."""
    bins = (torch.log2(1.0 + distance.float()) * DISTANCE_STEPS).round().long()
    return bins.clamp(max=DISTANCE_BINS - 1)


def _symmetric(score_B1LL: Tensor, legal_BLL: Tensor, onto_BLL: Tensor | None = None) -> Tensor:
    """The mean of a map and its transpose, float32, on top of another; `NEVER` where no pair can form."""
    score_BLL = score_B1LL[:, 0].float()
    score_BLL = (score_BLL + score_BLL.mT) / 2
    if onto_BLL is not None:
        score_BLL = score_BLL + torch.where(legal_BLL, onto_BLL, 0.0)
    return torch.where(legal_BLL, score_BLL, NEVER)
