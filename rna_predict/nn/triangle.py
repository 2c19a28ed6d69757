"""Triangle multiplication and triangle attention: updates of the pair representation along a third residue."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import linear

from rna_predict.nn.attention import GatedAttention, attend, masked_bias, pair_bias
from rna_predict.nn.layers import Linear, gated, layer_norm
from rna_predict.nn.limits import CHANNELS_AT_ONCE
from rna_predict.nn.rows import Update, by_rows, join, row_slices


class TriangleMultiplication(nn.Module):
    """AF3 Algorithms 12 (outgoing edges) and 13 (incoming edges).

    The four input projections are one matrix product, written with the channels first, as the product over the third
    residue wants them. It reads the layers' weights and does not call the layers: whoever adapts one of them changes
    its `weight` (as `torch.nn.utils.parametrize` does).

    Args:
        c_z: channels of the pair representation.
        c_hidden: channels of the product.
        outgoing: sums a[i, k] · b[j, k] over k; else a[k, i] · b[k, j].
    """

    def __init__(self, c_z: int, c_hidden: int, outgoing: bool) -> None:
        super().__init__()
        self.outgoing = outgoing
        self.layer_norm_in = layer_norm(c_z)
        self.layer_norm_out = layer_norm(c_hidden)
        self.linear_a_p = Linear(c_z, c_hidden)
        self.linear_a_g = Linear(c_z, c_hidden, init="zeros")
        self.linear_b_p = Linear(c_z, c_hidden)
        self.linear_b_g = Linear(c_z, c_hidden, init="zeros")
        self.linear_g = Linear(c_z, c_z, init="zeros")
        self.linear_z = Linear(c_hidden, c_z, init="zeros")

    def forward(
        self,
        pair_BLLZ: Float[Tensor, "b l l z"],
        mask_BLL: Bool[Tensor, "b #l #l"] | None = None,
        chunk_rows: int | None = None,
    ) -> Float[Tensor, "b l l z"]:
        """The update (not yet added).

        Args:
            pair_BLLZ: the pair representation.
            mask_BLL: pairs that exist; may be 1 along an axis. Only the third residue k needs to be masked.
            chunk_rows: rows at once; has no effect while a gradient is recorded, which needs everything anyway.
        """
        return join(self.updates(pair_BLLZ, mask_BLL, chunk_rows))

    def updates(
        self, pair_BLLZ: Tensor, mask_BLL: Tensor | None = None, chunk_rows: int | None = None
    ) -> Iterator[Update]:
        """The update row by row, as `rows.add` takes it."""
        slices = row_slices(pair_BLLZ, None if torch.is_grad_enabled() else chunk_rows)
        product_BCLL = self._multiply(self._factors(pair_BLLZ, mask_BLL, slices))
        yield from by_rows(lambda rows: self._output(product_BCLL[:, :, rows], pair_BLLZ[:, rows]), slices)

    def _factors(self, pair_BLLZ: Tensor, mask_BLL: Tensor | None, slices: list[slice]) -> Tensor:
        """Both factors as (B, 2C, L, L), a before b."""
        layers = (self.linear_a_p, self.linear_b_p, self.linear_a_g, self.linear_b_g)
        weight = torch.cat([layer.weight for layer in layers]).expand(len(pair_BLLZ), -1, -1)
        whole = None
        for rows in slices:
            x = self.layer_norm_in(pair_BLLZ[:, rows])
            value, gate = torch.bmm(weight, x.flatten(1, 2).transpose(1, 2)).unflatten(2, x.shape[1:3]).chunk(2, 1)
            part = gated(gate, value)
            if mask_BLL is not None:
                part = part * (mask_BLL if mask_BLL.shape[1] == 1 else mask_BLL[:, rows]).unsqueeze(1)
            if len(slices) == 1:
                return part
            if whole is None:
                whole = part.new_empty(*part.shape[:2], *pair_BLLZ.shape[1:3])
            whole[:, :, rows] = part
        assert whole is not None
        return whole

    def _multiply(self, factors_BCLL: Tensor) -> Tensor:
        """Product over the third residue; overwrites the first factor where no gradient is recorded."""
        a, b = factors_BCLL.chunk(2, 1)
        if torch.is_grad_enabled():
            return self._product(a, b)
        for start in range(0, a.shape[1], CHANNELS_AT_ONCE):
            channels = slice(start, start + CHANNELS_AT_ONCE)
            a[:, channels] = self._product(a[:, channels], b[:, channels])
        return a

    def _product(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b.transpose(-1, -2) if self.outgoing else a.transpose(-1, -2) @ b

    def _output(self, product_BCRL: Tensor, pair_BRLZ: Tensor) -> Tensor:
        value = self.linear_z(self.layer_norm_out(product_BCRL.permute(0, 2, 3, 1)))
        return gated(self.linear_g(self.layer_norm_in(pair_BRLZ)), value)


class TriangleAttention(nn.Module):
    """AF3 Algorithm 14 (starting node); given the transposed pair representation, Algorithm 15 (ending node).

    The scores of all rows would be (L, heads, L, L); torch's fused attention never holds them, and rows are taken a few
    at a time. The projections are one matrix product, made of the weights of the layers of `mha`.

    Args:
        c_z: channels of the pair representation.
        heads: number of heads.
        width: channels of one head.
    """

    def __init__(self, c_z: int, heads: int, width: int) -> None:
        super().__init__()
        self.layer_norm = layer_norm(c_z)
        self.linear = Linear(c_z, heads)
        self.mha = GatedAttention(c_z, heads, width=width, zero_output=True)

    def forward(
        self,
        pair_BLLZ: Float[Tensor, "b l l z"],
        mask_BLL: Bool[Tensor, "b #l #l"] | None = None,
        chunk_rows: int | None = None,
    ) -> Float[Tensor, "b l l z"]:
        """The update (not yet added).

        Args:
            pair_BLLZ: the pair representation; each row attends over its own entries.
            mask_BLL: pairs that exist. (B, 1, L) masks the same keys in all rows and costs nothing; a mask that
                differs between rows needs scores of its own for each row.
            chunk_rows: rows at once; None for all while a gradient is recorded, else few.
        """
        return join(self.updates(pair_BLLZ, mask_BLL, chunk_rows))

    def updates(
        self, pair_BLLZ: Tensor, mask_BLL: Tensor | None = None, chunk_rows: int | None = None
    ) -> Iterator[Update]:
        """The update row by row, as `rows.add` takes it."""
        bias_B1HLL = pair_bias(pair_BLLZ, self.layer_norm, self.linear, chunk_rows).unsqueeze(1)
        shared = mask_BLL is None or mask_BLL.shape[1] == 1
        if shared and mask_BLL is not None:
            bias_B1HLL = masked_bias(bias_B1HLL, mask_BLL[:, :, None, None, :])
        mha = self.mha
        weight = torch.cat([layer.weight for layer in (mha.linear_q, mha.linear_k, mha.linear_v, mha.linear_g)])

        def attend_rows(rows: slice) -> Tensor:
            bias = bias_B1HLL
            if mask_BLL is not None and not shared:
                bias = masked_bias(bias, mask_BLL[:, rows, None, None, :])
            *qkv, gate = linear(self.layer_norm(pair_BLLZ[:, rows]), weight).chunk(4, -1)
            query, key, value = (t.unflatten(-1, (mha.heads, -1)).transpose(-2, -3) for t in qkv)
            found = attend(query, key, value, bias).transpose(-2, -3).flatten(-2)
            return mha.linear_o(gated(gate, found))

        yield from by_rows(attend_rows, row_slices(pair_BLLZ, chunk_rows))
