"""The transformer of the denoiser, conditioned through adaptive LayerNorm (AF3 Algorithms 23-26).

What a block reads of the conditioning is split from what it does with it: `modulation` (of the single conditioning)
and `bias` (of the pair conditioning) are apart, so that what does not depend on the noise is made once per RNA.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm as normalised
from torch.nn.functional import linear, silu
from torch.utils.checkpoint import checkpoint

from rna_predict.nn.attention import GatedAttention, masked_bias
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.windows import WindowAttention

TRANSITION_FACTOR = 2
"""Hidden channels of a conditioned transition for each of its channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Modulation:
    """What a block reads of the single conditioning: scales and shifts of AdaLN, gates of AdaLN-Zero; (…, c_a) each.

    Attributes:
        attention_scale: of the norm before the attention.
        attention_shift: of the norm before the attention.
        key_scale: of the second norm, which keys and values pass in atom transformers; None elsewhere.
        key_shift: of that second norm.
        attention_gate: on the attention's output.
        transition_scale: of the norm before the transition.
        transition_shift: of the norm before the transition.
        transition_gate: on the transition's output.
    """

    attention_scale: Tensor
    attention_shift: Tensor
    key_scale: Tensor | None
    key_shift: Tensor | None
    attention_gate: Tensor
    transition_scale: Tensor
    transition_shift: Tensor
    transition_gate: Tensor


class AdaptiveLayerNorm(nn.Module):
    """AF3 Algorithm 26: LayerNorm whose scale and shift come from the conditioning.

    Args:
        c_a: channels that are normalised.
        c_s: channels of the conditioning.
    """

    def __init__(self, c_a: int, c_s: int) -> None:
        super().__init__()
        self.layernorm_a = layer_norm(c_a, scale=False, offset=False)
        self.layernorm_s = layer_norm(c_s, offset=False)
        self.linear_s = Linear(c_s, c_a, bias=True, init="zeros")
        self.linear_nobias_s = Linear(c_s, c_a, init="zeros")

    def scale_and_shift(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """What the conditioning (…, c_s) contributes: (…, c_a) twice."""
        s = self.layernorm_s(s)
        return torch.sigmoid(self.linear_s(s)), self.linear_nobias_s(s)

    def forward(self, a: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Normalise `a`, (…, c_a); `scale` and `shift` broadcast to it."""
        return torch.addcmul(shift, self.layernorm_a(a), scale)


class ConditionedAttention(nn.Module):
    """AF3 Algorithm 24 with conditioning.

    In an atom transformer keys and values pass a second adaptive LayerNorm after the first (`layernorm_kv` of
    `layernorm_a`'s output, with the same conditioning), which the paper lacks.

    Args:
        c_a: channels of what attends.
        c_s: channels of the single conditioning.
        c_z: channels of the pair conditioning.
        heads: number of heads, which divides c_a.
        windows: whether atoms attend within windows (atom transformer) or all to all.
    """

    def __init__(self, c_a: int, c_s: int, c_z: int, heads: int, *, windows: bool) -> None:
        super().__init__()
        self.layernorm_a = AdaptiveLayerNorm(c_a, c_s)
        self.layernorm_kv = AdaptiveLayerNorm(c_a, c_s) if windows else None
        self.attention = (WindowAttention if windows else GatedAttention)(c_a, heads, query_bias=True)
        self.layernorm_z = layer_norm(c_z, offset=False)
        self.linear_nobias_z = Linear(c_z, heads)
        self.linear_a_last = Linear(c_s, c_a, bias=True, init="adaptive_zero")

    def forward(self, a: Tensor, modulation: Modulation, bias: Tensor) -> Tensor:
        """The update of `a` before its gate."""
        a = self.layernorm_a(a, modulation.attention_scale, modulation.attention_shift)
        if self.layernorm_kv is None or modulation.key_scale is None or modulation.key_shift is None:
            return self.attention(a, a, bias)
        return self.attention(a, self.layernorm_kv(a, modulation.key_scale, modulation.key_shift), bias)


class ConditionedTransition(nn.Module):
    """AF3 Algorithm 25.

    Args:
        c_a: channels that are updated.
        c_s: channels of the conditioning.
    """

    def __init__(self, c_a: int, c_s: int) -> None:
        super().__init__()
        self.adaln = AdaptiveLayerNorm(c_a, c_s)
        self.linear_nobias_a1 = Linear(c_a, TRANSITION_FACTOR * c_a, init="relu")
        self.linear_nobias_a2 = Linear(c_a, TRANSITION_FACTOR * c_a, init="relu")
        self.linear_nobias_b = Linear(TRANSITION_FACTOR * c_a, c_a)
        self.linear_s = Linear(c_s, c_a, bias=True, init="adaptive_zero")

    def forward(self, a: Tensor, modulation: Modulation) -> Tensor:
        """The update of `a` before its gate."""
        a = self.adaln(a, modulation.transition_scale, modulation.transition_shift)
        return self.linear_nobias_b(silu(self.linear_nobias_a1(a)) * self.linear_nobias_a2(a))


class DiffusionTransformerBlock(nn.Module):
    """One block of AF3 Algorithm 23.

    Attention, then transition, each added to its input, as Protenix has it; the paper adds both updates of one input.
    Arguments as those of ConditionedAttention.
    """

    def __init__(self, c_a: int, c_s: int, c_z: int, heads: int, *, windows: bool) -> None:
        super().__init__()
        self.attention_pair_bias = ConditionedAttention(c_a, c_s, c_z, heads, windows=windows)
        self.conditioned_transition_block = ConditionedTransition(c_a, c_s)

    def modulation(self, s: Tensor) -> Modulation:
        """What the block reads of the single conditioning (…, c_s)."""
        attention, transition = self.attention_pair_bias, self.conditioned_transition_block
        scale, shift = attention.layernorm_a.scale_and_shift(s)
        second = attention.layernorm_kv
        key_scale, key_shift = (None, None) if second is None else second.scale_and_shift(s)
        transition_scale, transition_shift = transition.adaln.scale_and_shift(s)
        return Modulation(
            attention_scale=scale,
            attention_shift=shift,
            key_scale=key_scale,
            key_shift=key_shift,
            attention_gate=torch.sigmoid(attention.linear_a_last(s)),
            transition_scale=transition_scale,
            transition_shift=transition_shift,
            transition_gate=torch.sigmoid(transition.linear_s(s)),
        )

    def bias(self, pair: Float[Tensor, "*lead q k z"]) -> Float[Tensor, "*lead h q k"]:
        """What the block's attention reads of the pair conditioning; nothing is masked yet."""
        return biases_of([self], pair)[0]

    def forward(self, a: Tensor, modulation: Modulation, bias: Tensor) -> Tensor:
        """Update `a`.

        Args:
            a: (…, N, c_a).
            modulation: of the single conditioning; broadcasts to `a`.
            bias: of the pair conditioning, padded keys at `MASKED`; broadcasts to (…, H, N, N), or in windows to
                (…, W, H, 32, 128), with as many axes.
        """
        a = torch.addcmul(a, self.attention_pair_bias(a, modulation, bias), modulation.attention_gate)
        return torch.addcmul(a, self.conditioned_transition_block(a, modulation), modulation.transition_gate)


def biases_of(
    blocks: Sequence[DiffusionTransformerBlock], pair: Float[Tensor, "*lead q k z"]
) -> Float[Tensor, "n *lead h q k"]:
    """What each block's attention reads of the pair conditioning; nothing is masked yet.

    The blocks' LayerNorms differ by their scales only, which are moved into their linear layers: the pairs are
    normalised once, and one product serves all blocks.
    """
    attentions = [block.attention_pair_bias for block in blocks]
    weight = torch.cat([each.linear_nobias_z.weight * each.layernorm_z.weight for each in attentions])
    bias = linear(normalised(pair, pair.shape[-1:], eps=attentions[0].layernorm_z.eps), weight)
    return bias.unflatten(-1, (len(blocks), -1)).movedim((-2, -1), (0, -3))


@dataclass(frozen=True, slots=True, kw_only=True)
class PairConditions:
    """What the token transformer's blocks read of the pair conditioning: their biases, or what these are made of.

    Attributes:
        biases: (B, 1, H, L, L) for each block, padded keys masked; empty when a block makes its own.
        pair_BLLZ: the conditioned pair representation; None when `biases` are there.
        mask_BL: residues that exist.
    """

    biases: tuple[Tensor, ...]
    pair_BLLZ: Float[Tensor, "b l l z"] | None
    mask_BL: Bool[Tensor, "b l"]

    def bias(self, index: int, block: DiffusionTransformerBlock) -> Float[Tensor, "b 1 h l l"]:
        """Bias of the block number `index`."""
        if self.pair_BLLZ is None:
            return self.biases[index]
        return masked_bias(block.bias(self.pair_BLLZ), self.mask_BL[:, None, None, :]).unsqueeze(1)


class DiffusionTransformer(nn.Module):
    """AF3 Algorithm 23: a stack of blocks, checkpointed one by one in training.

    Arguments as those of ConditionedAttention.
    """

    def __init__(self, c_a: int, c_s: int, c_z: int, heads: int, *, blocks: int, windows: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            DiffusionTransformerBlock(c_a, c_s, c_z, heads, windows=windows) for _ in range(blocks)
        )

    def forward(
        self, a_BSLC: Float[Tensor, "b s l c"], single_BSLS: Float[Tensor, "b #s l cs"], pair: PairConditions
    ) -> Float[Tensor, "b s l c"]:
        """Update `a`, where all attend to all; the single conditioning has 1 sample when all share a noise level."""
        checkpointing = self.training and torch.is_grad_enabled()
        for index, block in enumerate(self.all_blocks()):
            if checkpointing:
                a_BSLC = checkpoint(_step, block, a_BSLC, single_BSLS, pair, index, use_reentrant=False)
            else:
                a_BSLC = _step(block, a_BSLC, single_BSLS, pair, index)
        return a_BSLC

    def all_blocks(self) -> list[DiffusionTransformerBlock]:
        """The blocks in order."""
        return [cast(DiffusionTransformerBlock, block) for block in self.blocks]


def _step(
    block: DiffusionTransformerBlock, a_BSLC: Tensor, single_BSLS: Tensor, pair: PairConditions, index: int
) -> Tensor:
    return block(a_BSLC, block.modulation(single_BSLS), pair.bias(index, block))
