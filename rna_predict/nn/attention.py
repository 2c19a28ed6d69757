"""Gated multi-head attention, and the single representation's attention with a bias from the pair representation."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from rna_predict.nn.layers import Linear, gated, layer_norm
from rna_predict.nn.rows import by_rows, row_slices

MASKED = -1e9
"""Added to the score of a padded key: the softmax gives exactly 0, and finite values where every key is padded."""


def only_if_padded(mask: Tensor) -> Tensor | None:
    """The mask, or None where nothing is padded, which saves applying it everywhere."""
    return None if bool(mask.all()) else mask


def masked_bias(bias: Tensor, mask: Tensor | None) -> Tensor:
    """Add `MASKED` to the keys (last axis of `bias`) that `mask` says to be padded; `mask` broadcasts to `bias`."""
    if mask is None:
        return bias
    return bias.masked_fill(~mask, MASKED)


def pair_bias(pair_BLLZ: Tensor, norm: nn.Module, layer: nn.Module, chunk_rows: int | None = None) -> Tensor:
    """The bias of an attention, (B, H, L, L): `layer` of `norm` of the pair representation, a few rows at a time."""
    slices = row_slices(pair_BLLZ, chunk_rows)
    parts = [part for _, part in by_rows(lambda rows: layer(norm(pair_BLLZ[:, rows])).permute(0, 3, 1, 2), slices)]
    return parts[0].contiguous() if len(parts) == 1 else torch.cat(parts, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """softmax(query · key / sqrt(width) + bias) · value, without ever holding all scores where torch can avoid it.

    Torch's fused kernel takes four axes and a bias that broadcasts over the first two. More leading axes are merged
    when the bias has them all (or there is none); else the first one becomes a loop, so that a bias shared by many
    rows is never copied for each of them.

    Args:
        query: (…, H, Q, W).
        key: (…, H, K, W).
        value: (…, H, K, W).
        bias: broadcasts to (…, H, Q, K), with as many axes; or None.

    Returns:
        (…, H, Q, W).
    """
    if bias is not None:
        bias = bias.to(query.dtype)
    if query.dim() <= 4:
        return scaled_dot_product_attention(query, key, value, attn_mask=bias)
    lead = query.shape[:-3]
    if bias is None or bias.shape[:-3] == lead:
        query, key, value = (t.flatten(0, -4) for t in (query, key, value))
        merged = None if bias is None else bias.flatten(0, -4)
        return scaled_dot_product_attention(query, key, value, attn_mask=merged).unflatten(0, lead)
    shared = bias.shape[0] == 1
    rows = [attend(query[i], key[i], value[i], bias[0 if shared else i]) for i in range(lead[0])]
    return rows[0].unsqueeze(0) if len(rows) == 1 else torch.stack(rows)


class GatedAttention(nn.Module):
    """Multi-head attention with a gate on its output: what Algorithms 13, 14 and 24 share.

    Args:
        channels: of query, key and output.
        heads: number of heads.
        width: channels of one head; None for channels / heads.
        query_bias: whether the query's projection has a bias (Algorithm 24).
        zero_output: whether the output layer starts at zero; where AdaLN-Zero follows it does not.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        width: int | None = None,
        query_bias: bool = False,
        zero_output: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        hidden = heads * (channels // heads if width is None else width)
        self.linear_q = Linear(channels, hidden, bias=query_bias)
        self.linear_k = Linear(channels, hidden)
        self.linear_v = Linear(channels, hidden)
        self.linear_g = Linear(channels, hidden, init="zeros")
        self.linear_o = Linear(hidden, channels, init="zeros" if zero_output else "lecun")

    def forward(
        self, query: Float[Tensor, "*lead q c"], key: Float[Tensor, "*lead k c"], bias: Tensor | None
    ) -> Float[Tensor, "*lead q c"]:
        """Attend from `query` to `key`.

        Args:
            query: (…, Q, C).
            key: (…, K, C); keys and values are both made of it.
            bias: broadcasts to (…, H, Q, K), with as many axes, padded keys at `MASKED`; or None.
        """
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(-2, -3)
            for layer, x in ((self.linear_q, query), (self.linear_k, key), (self.linear_v, key))
        )
        value = attend(q, k, v, bias).transpose(-2, -3).flatten(-2)
        return self.linear_o(gated(self.linear_g(query), value))


class PairBiasAttention(nn.Module):
    """AF3 Algorithm 24 without conditioning, as the Pairformer uses it (Algorithm 17, line 7).

    Protenix has no mask here; ours keeps padded residues from being attended to.

    Args:
        c_s: channels of the single representation.
        c_z: channels of the pair representation.
        heads: number of heads, which divides c_s.
    """

    def __init__(self, c_s: int, c_z: int, heads: int) -> None:
        super().__init__()
        self.layernorm_a = layer_norm(c_s)
        self.layernorm_z = layer_norm(c_z)
        self.linear_nobias_z = Linear(c_z, heads)
        self.attention = GatedAttention(c_s, heads, query_bias=True, zero_output=True)

    def forward(
        self,
        single_BLS: Float[Tensor, "b l s"],
        pair_BLLZ: Float[Tensor, "b l l z"],
        mask_BL: Bool[Tensor, "b l"] | None = None,
    ) -> Float[Tensor, "b l s"]:
        """The update of the single representation (not yet added); `mask_BL` is False where a residue is padding."""
        bias_BHLL = pair_bias(pair_BLLZ, self.layernorm_z, self.linear_nobias_z)
        bias_BHLL = masked_bias(bias_BHLL, None if mask_BL is None else mask_BL[:, None, None, :])
        single_BLS = self.layernorm_a(single_BLS)
        return self.attention(single_BLS, single_BLS, bias_BHLL)
