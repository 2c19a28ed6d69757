"""The MSA module: what an alignment says about pairs of residues."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import embedding

from rna_predict.nn.architecture import RESTYPES, Architecture
from rna_predict.nn.attention import masked_bias, only_if_padded, pair_bias
from rna_predict.nn.features import AlignmentFeatures, Features
from rna_predict.nn.layers import Linear, gated, layer_norm
from rna_predict.nn.pairformer import PairformerBlock, own, run_block
from rna_predict.nn.rows import Update, add, by_rows, join, row_dropout, row_slices
from rna_predict.nn.transition import Transition

PRODUCT_CHANNELS = 32
"""Channels of each side of the outer product."""

AVERAGE_HEADS, AVERAGE_WIDTH = 8, 8
"""Heads and channels of a head of the weighted averaging (the paper has 32 channels)."""

MSA_DROPOUT = 0.15
"""Share of channels that training drops from the weighted averaging, the same in all rows."""

MSA_FACTOR = 4
"""Hidden channels of the alignment's transition divided by c_m."""


class OuterProductMean(nn.Module):
    """AF3 Algorithm 9: mean over the alignment's rows of the outer product of two residues.

    Never in half precision, also under autocast: a sum over thousands of rows loses too much.

    The product is contracted in the cheaper order: with few rows (none but the query, as a rule) the output layer's
    weight is first applied to one side, which saves the (L, L, 32 · 32) outer products.

    Args:
        c_m: channels of the alignment representation.
        c_z: channels of the pair representation.
    """

    EPS = 1e-3
    """Added to the number of rows, as AF2 and Protenix do."""

    def __init__(self, c_m: int, c_z: int) -> None:
        super().__init__()
        self.layer_norm = layer_norm(c_m)
        self.linear_1 = Linear(c_m, PRODUCT_CHANNELS)
        self.linear_2 = Linear(c_m, PRODUCT_CHANNELS)
        self.linear_out = Linear(PRODUCT_CHANNELS**2, c_z, bias=True, init="zeros")

    def forward(
        self,
        msa_BMLC: Float[Tensor, "b m l c"],
        mask_BM: Bool[Tensor, "b m"] | None = None,
        chunk_rows: int | None = None,
    ) -> Float[Tensor, "b l l z"]:
        """The update of the pair representation (not yet added); `mask_BM` is False for rows that are padding."""
        return join(self.updates(msa_BMLC, mask_BM, chunk_rows))

    def updates(
        self, msa_BMLC: Tensor, mask_BM: Tensor | None = None, chunk_rows: int | None = None
    ) -> Iterator[Update]:
        """The update row by row of the pair representation, as `rows.add` takes it."""
        with torch.autocast(msa_BMLC.device.type, enabled=False):
            left, right = self._sides(msa_BMLC.to(self.linear_1.weight.dtype), mask_BM)
        depth = msa_BMLC.shape[1]
        count_B = left.new_full(left.shape[:1], depth) if mask_BM is None else mask_BM.sum(1).to(left.dtype)
        norm_B111 = (count_B + self.EPS).view(-1, 1, 1, 1)
        product = self._layer_first if self._is_shallow(depth, left.shape[2]) else self._outer_first

        def rows_of(rows: slice) -> Tensor:
            with torch.autocast(left.device.type, enabled=False):
                return (product(left[:, :, rows], right) + self.linear_out.bias) / norm_B111

        slices = row_slices(left.transpose(1, 2), chunk_rows, positions=left.shape[0] * left.shape[2])
        yield from by_rows(rows_of, slices)

    def _is_shallow(self, depth: int, length: int) -> bool:
        """Whether the layer first takes fewer multiplications for a pair, and no larger temporary for a row."""
        hidden, c_z = PRODUCT_CHANNELS, self.linear_out.out_features
        return depth * hidden * c_z < hidden**2 * (depth + c_z) and depth * c_z <= length * hidden

    def _sides(self, msa_BMLC: Tensor, mask_BM: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.layer_norm(msa_BMLC)
        left, right = self.linear_1(x), self.linear_2(x)
        if mask_BM is not None:
            left = left * mask_BM[:, :, None, None]
        return left, right

    def _outer_first(self, left_BMRC: Tensor, right_BMLC: Tensor) -> Tensor:
        (b, m, r, c), length = left_BMRC.shape, right_BMLC.shape[2]
        outer = left_BMRC.reshape(b, m, r * c).transpose(1, 2) @ right_BMLC.reshape(b, m, length * c)
        outer_BRLCC = outer.view(b, r, c, length, c).transpose(2, 3)
        return outer_BRLCC.reshape(b, r, length, c * c) @ self.linear_out.weight.t()

    def _layer_first(self, left_BMRC: Tensor, right_BMLC: Tensor) -> Tensor:
        (b, m, r, c), length = left_BMRC.shape, right_BMLC.shape[2]
        weight_CEZ = self.linear_out.weight.t().unflatten(0, (c, c))
        # (B, R, M · E, Z): what each row and channel of the right side is multiplied with.
        half = (left_BMRC.transpose(1, 2) @ weight_CEZ.flatten(1)).view(b, r, m * c, -1)
        return right_BMLC.permute(0, 2, 1, 3).reshape(b, 1, length, m * c) @ half


class WeightedAveraging(nn.Module):
    """AF3 Algorithm 10: each row of the alignment is averaged over residues, with weights from the pair representation.

    Args:
        c_m: channels of the alignment representation.
        c_z: channels of the pair representation.
    """

    def __init__(self, c_m: int, c_z: int) -> None:
        super().__init__()
        hidden = AVERAGE_HEADS * AVERAGE_WIDTH
        self.layernorm_m = layer_norm(c_m)
        self.linear_no_bias_mv = Linear(c_m, hidden)
        self.layernorm_z = layer_norm(c_z)
        self.linear_no_bias_z = Linear(c_z, AVERAGE_HEADS)
        self.linear_no_bias_mg = Linear(c_m, hidden, init="zeros")
        self.linear_no_bias_out = Linear(hidden, c_m, init="zeros")

    def forward(
        self,
        msa_BMLC: Float[Tensor, "b m l c"],
        pair_BLLZ: Float[Tensor, "b l l z"],
        mask_BL: Bool[Tensor, "b l"] | None = None,
        chunk_rows: int | None = None,
    ) -> Float[Tensor, "b m l c"]:
        """The update of the alignment (not yet added); `mask_BL` is False where a residue is padding."""
        return join(self.updates(msa_BMLC, pair_BLLZ, mask_BL, chunk_rows))

    def updates(
        self, msa_BMLC: Tensor, pair_BLLZ: Tensor, mask_BL: Tensor | None = None, chunk_rows: int | None = None
    ) -> Iterator[Update]:
        """The update row by row of the alignment, as `rows.add` takes it."""
        bias_BHLL = pair_bias(pair_BLLZ, self.layernorm_z, self.linear_no_bias_z, chunk_rows)
        bias_BHLL = masked_bias(bias_BHLL, None if mask_BL is None else mask_BL[:, None, None, :])
        weight_BHLL = bias_BHLL.softmax(-1)

        def average(rows: slice) -> Tensor:
            x = self.layernorm_m(msa_BMLC[:, rows])
            value_BRLHC = self.linear_no_bias_mv(x).unflatten(-1, (AVERAGE_HEADS, AVERAGE_WIDTH))
            value_BHLX = value_BRLHC.permute(0, 3, 2, 1, 4).flatten(3)
            found = (weight_BHLL.to(value_BHLX.dtype) @ value_BHLX).unflatten(3, (x.shape[1], AVERAGE_WIDTH))
            found_BRLC = found.permute(0, 3, 2, 1, 4).flatten(3)
            return self.linear_no_bias_out(gated(self.linear_no_bias_mg(x), found_BRLC))

        yield from by_rows(average, row_slices(msa_BMLC, chunk_rows))


class MSAStack(nn.Module):
    """AF3 Algorithm 8, lines 7-8: the alignment's own updates."""

    def __init__(self, c_m: int, c_z: int) -> None:
        super().__init__()
        self.dropout = MSA_DROPOUT
        self.msa_pair_weighted_averaging = WeightedAveraging(c_m, c_z)
        self.transition_m = Transition(c_m, MSA_FACTOR)

    def overwrite(
        self, msa_BMLC: Tensor, pair_BLLZ: Tensor, mask_BL: Tensor | None = None, chunk_rows: int | None = None
    ) -> Tensor:
        """The alignment after both updates; overwrites it where no gradient is recorded."""
        updates = self.msa_pair_weighted_averaging.updates(msa_BMLC, pair_BLLZ, mask_BL, chunk_rows)
        msa_BMLC = add(msa_BMLC, updates, row_dropout(msa_BMLC, self.dropout, self.training))
        return add(msa_BMLC, self.transition_m.updates(msa_BMLC, chunk_rows))


class MSABlock(nn.Module):
    """AF3 Algorithm 8, lines 6-13; the last block has no stack for the alignment, which nothing would read."""

    def __init__(self, architecture: Architecture, *, last: bool) -> None:
        super().__init__()
        c_m, c_z = architecture.c_m, architecture.c_z
        self.outer_product_mean_msa = OuterProductMean(c_m, c_z)
        self.last = last
        if not last:
            self.msa_stack = MSAStack(c_m, c_z)
        self.pair_stack = PairformerBlock(architecture, c_z=c_z, c_s=0)

    def overwrite(
        self,
        msa_BMLC: Tensor,
        pair_BLLZ: Tensor,
        masks: tuple[Tensor | None, Tensor | None] = (None, None),
        chunk_rows: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Alignment and pair representation after the block; overwrites both where no gradient is recorded.

        Args:
            msa_BMLC: the alignment representation.
            pair_BLLZ: the pair representation.
            masks: (B, M) of rows and (B, L) of residues, or None.
            chunk_rows: rows at once.
        """
        mask_BM, mask_BL = masks
        pair_BLLZ = add(pair_BLLZ, self.outer_product_mean_msa.updates(msa_BMLC, mask_BM, chunk_rows))
        if not self.last:
            msa_BMLC = self.msa_stack.overwrite(msa_BMLC, pair_BLLZ, mask_BL, chunk_rows)
        _, pair_BLLZ = self.pair_stack.overwrite(None, pair_BLLZ, mask_BL, chunk_rows)
        return msa_BMLC, pair_BLLZ


class MSAModule(nn.Module):
    """AF3 Algorithm 8. Deviations: all rows are read (Protenix draws a random number of random rows in each cycle).

    Without an alignment it reads the query as the one row, as Protenix does when alignments are switched off. With
    alignments switched on, Protenix puts the query a second time before an RNA's rows; `featurise` does the same.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        c_m, blocks = architecture.c_m, architecture.msa_blocks
        self.linear_no_bias_m = Linear(RESTYPES + 2, c_m)
        self.linear_no_bias_s = Linear(architecture.c_inputs, c_m)
        self.blocks = nn.ModuleList(MSABlock(architecture, last=n + 1 == blocks) for n in range(blocks))

    def forward(
        self,
        pair_BLLZ: Float[Tensor, "b l l z"],
        inputs_BLI: Float[Tensor, "b l i"],
        features: Features,
        chunk_rows: int | None = None,
    ) -> Float[Tensor, "b l l z"]:
        """The pair representation after all blocks; what is given stays as it is."""
        return self.overwrite(own(pair_BLLZ), inputs_BLI, features, chunk_rows)

    def overwrite(
        self, pair_BLLZ: Tensor, inputs_BLI: Tensor, features: Features, chunk_rows: int | None = None
    ) -> Tensor:
        """As `forward`, but overwrites the pair representation where no gradient is recorded."""
        alignment = query_alone(features) if features.alignment is None else features.alignment
        msa_BMLC = self._embed(alignment, inputs_BLI)
        masks = (only_if_padded(alignment.mask_BM), only_if_padded(features.token_mask_BL))
        for block in self.blocks:
            msa_BMLC, pair_BLLZ = run_block(block, msa_BMLC, pair_BLLZ, masks, chunk_rows)
        return pair_BLLZ

    def _embed(self, alignment: AlignmentFeatures, inputs_BLI: Tensor) -> Tensor:
        """Lines 1-4: the layer on one-hot letters and two deletion features, as a look-up of its columns."""
        letter, has_deletion, deletion = self.linear_no_bias_m.weight.t().split([RESTYPES, 1, 1])
        count_BML1 = alignment.deletion_BML.unsqueeze(-1)
        msa_BMLC = embedding(alignment.residue_BML, letter)
        msa_BMLC = msa_BMLC + count_BML1.clamp(0, 1) * has_deletion
        msa_BMLC = msa_BMLC + torch.atan(count_BML1 / 3) * (2 / math.pi) * deletion
        return msa_BMLC + self.linear_no_bias_s(inputs_BLI).unsqueeze(1)


def query_alone(features: Features) -> AlignmentFeatures:
    """An alignment of one row, the query."""
    residue_BML = features.restype_BL.unsqueeze(1)
    return AlignmentFeatures(
        residue_BML=residue_BML,
        deletion_BML=torch.zeros_like(residue_BML, dtype=features.profile_BLT.dtype),
        mask_BM=torch.ones_like(residue_BML[:, :, 0], dtype=torch.bool),
    )
