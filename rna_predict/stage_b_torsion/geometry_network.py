"""The geometry network: how far apart atoms of two residues are, and torsions, given the sequence and its pairs.

Blocks of triangle multiplications and transitions (AF3 Algorithms 11 to 13; no triangle attention, which costs more
than all the rest), with a single track that reads the pairs. No recycling, alignment or atoms: all that it knows of an
RNA is its letters, stage A's pairs, and what follows from these (`geometry_features`). Known structures are few; what a
network of this size can learn from them is the geometry of loops, junctions and frequent motifs.
"""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import embedding

from rna_predict.contracts import EDGES, bin_centres
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.attention import PairBiasAttention
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.pairformer import own
from rna_predict.nn.rows import add, row_dropout
from rna_predict.nn.transition import Transition
from rna_predict.nn.triangle import TriangleMultiplication
from rna_predict.stage_b_torsion.geometry_features import (
    CODE_SIZES,
    PAIR_FEATURES,
    SINGLE_FEATURES,
    GeometryFeatures,
)
from rna_predict.stage_b_torsion.heads import TorsionHead, TorsionPrediction

GEOMETRY_ATOMS = ("P", "C1'", "N1/N3")
"""Atoms between which distances are predicted, names of `contracts.DISTOGRAM_ATOMS`: backbone, sugar, base."""

BINS = "wide"
"""Name of its distance bins, a key of `contracts.EDGES`."""

GEOMETRY_EDGES = EDGES[BINS]
"""Upper edges in Å of all bins but the last, open one."""

PAIR_FACTOR = 2
"""Hidden channels of the pair transition divided by those of the pair representation."""

SINGLE_FACTOR = 2
"""The same of the single track."""

DROPOUT = 0.25
"""Share of channels that training drops from a triangle update, the same in all its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryPrediction:
    """What the network says of a batch.

    Attributes:
        distance_BGLLD: logits over `GEOMETRY_EDGES` between two residues' atoms, for each of `GEOMETRY_ATOMS`,
            symmetric.
        torsions: of every residue.
        single_BLS: single representation after the last block.
        pair_BLLZ: pair representation after the last block.
    """

    distance_BGLLD: Float[Tensor, "b g l l d"]
    torsions: TorsionPrediction
    single_BLS: Float[Tensor, "b l s"]
    pair_BLLZ: Float[Tensor, "b l l z"]


class GeometryBlock(nn.Module):
    """Triangle multiplications along both kinds of edges, a transition, and the single track after them."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        c_s, c_z = architecture.c_geometry_single, architecture.c_geometry
        self.triangle_out = TriangleMultiplication(c_z, architecture.c_geometry_hidden, outgoing=True)
        self.triangle_in = TriangleMultiplication(c_z, architecture.c_geometry_hidden, outgoing=False)
        self.pair_transition = Transition(c_z, PAIR_FACTOR)
        self.attention = PairBiasAttention(c_s, c_z, architecture.geometry_heads)
        self.single_transition = Transition(c_s, SINGLE_FACTOR)

    def forward(self, single_BLS: Tensor, pair_BLLZ: Tensor, mask_BL: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both representations; overwrites that of pairs where no gradient is recorded."""
        keys_B1L = None if mask_BL is None else mask_BL[:, None, :]
        keys_BL1 = None if mask_BL is None else mask_BL[:, :, None]
        for triangle, keys in ((self.triangle_out, keys_B1L), (self.triangle_in, keys_BL1)):
            pair_BLLZ = add(
                pair_BLLZ, triangle.updates(pair_BLLZ, keys), row_dropout(pair_BLLZ, DROPOUT, self.training)
            )
        pair_BLLZ = add(pair_BLLZ, self.pair_transition.updates(pair_BLLZ))
        single_BLS = single_BLS + self.attention(single_BLS, pair_BLLZ, mask_BL)
        return single_BLS + self.single_transition(single_BLS), pair_BLLZ


class GeometryNetwork(nn.Module):
    """Features to distances and torsions."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        c_s, c_z = architecture.c_geometry_single, architecture.c_geometry
        self.single_in = Linear(SINGLE_FEATURES, c_s, bias=True)
        self.pair_in = Linear(PAIR_FEATURES, c_z)
        self.left = Linear(SINGLE_FEATURES, c_z)
        self.right = Linear(SINGLE_FEATURES, c_z)
        self.codes = nn.ModuleDict({name: Linear(size, c_z) for name, size in CODE_SIZES.items()})
        self.blocks = nn.ModuleList(GeometryBlock(architecture) for _ in range(architecture.geometry_blocks))
        self.norm = layer_norm(c_z)
        self.distances = Linear(c_z, len(GEOMETRY_ATOMS) * (len(GEOMETRY_EDGES) + 1), bias=True, init="zeros")
        self.torsions = TorsionHead(c_s)

    def forward(self, features: GeometryFeatures) -> GeometryPrediction:
        """Distances and torsions, float32."""
        mask_BL = None if bool(features.mask_BL.all()) else features.mask_BL
        single_BLS = self.single_in(features.single_BLF)
        pair_BLLZ = own(self._embed(features))
        for block in self.blocks:
            single_BLS, pair_BLLZ = block(single_BLS, pair_BLLZ, mask_BL)
        logits = self.distances(self.norm(pair_BLLZ + pair_BLLZ.transpose(1, 2))).float()
        return GeometryPrediction(
            distance_BGLLD=logits.unflatten(-1, (len(GEOMETRY_ATOMS), -1)).permute(0, 3, 1, 2, 4),
            torsions=self.torsions(single_BLS),
            single_BLS=single_BLS,
            pair_BLLZ=pair_BLLZ,
        )

    def _embed(self, features: GeometryFeatures) -> Tensor:
        pair_BLLZ = self.pair_in(features.pair_BLLF)
        pair_BLLZ = pair_BLLZ + self.left(features.single_BLF)[:, :, None] + self.right(features.single_BLF)[:, None]
        for index, name in enumerate(CODE_SIZES):
            table = cast(Linear, self.codes[name]).weight.mT
            pair_BLLZ = pair_BLLZ + embedding(features.code_BLLK[..., index].long(), table)
        return pair_BLLZ


class GeometryModel(nn.Module):
    """Its part of the layout: all keys begin with `geometry`."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.geometry = GeometryNetwork(architecture)

    def forward(self, features: GeometryFeatures) -> GeometryPrediction:
        """See `GeometryNetwork`."""
        return self.geometry(features)


def distance_centres() -> Tensor:
    """Å, centre of each bin; the open one counts as half a bin beyond its edge."""
    return torch.from_numpy(bin_centres(GEOMETRY_EDGES)).float()
