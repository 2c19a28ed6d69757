"""The Pairformer: triangle updates of the pair representation, and a single track that reads it."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rna_predict.nn.architecture import PAIR_HEAD_WIDTH, Architecture
from rna_predict.nn.attention import PairBiasAttention
from rna_predict.nn.rows import Update, add, row_dropout
from rna_predict.nn.transition import Transition
from rna_predict.nn.triangle import TriangleAttention, TriangleMultiplication

PAIR_DROPOUT = 0.25
"""Share of channels that training drops from a triangle update, the same in all its rows."""

SINGLE_FACTOR = 4
"""Hidden channels of the single track's transition divided by c_s."""


class PairformerBlock(nn.Module):
    """AF3 Algorithm 17, lines 2-8.

    Args:
        architecture: hidden widths of the triangle updates and heads of the single attention.
        c_z: channels of the pair representation.
        c_s: channels of the single representation; 0 for a block without a single track.
        pair_factor: hidden channels of the pair transition divided by c_z.
    """

    def __init__(self, architecture: Architecture, *, c_z: int, c_s: int, pair_factor: int = 4) -> None:
        super().__init__()
        hidden, heads = architecture.pair_hidden(c_z)
        self.dropout = PAIR_DROPOUT
        self.tri_mul_out = TriangleMultiplication(c_z, hidden, outgoing=True)
        self.tri_mul_in = TriangleMultiplication(c_z, hidden, outgoing=False)
        self.tri_att_start = TriangleAttention(c_z, heads, PAIR_HEAD_WIDTH)
        self.tri_att_end = TriangleAttention(c_z, heads, PAIR_HEAD_WIDTH)
        self.pair_transition = Transition(c_z, pair_factor)
        self.has_single = c_s > 0
        if self.has_single:
            self.attention_pair_bias = PairBiasAttention(c_s, c_z, architecture.pairformer_heads)
            self.single_transition = Transition(c_s, SINGLE_FACTOR)

    def forward(
        self,
        single_BLS: Float[Tensor, "b l s"] | None,
        pair_BLLZ: Float[Tensor, "b l l z"],
        mask_BL: Bool[Tensor, "b l"] | None = None,
        chunk_rows: int | None = None,
    ) -> tuple[Tensor | None, Tensor]:
        """Both representations after the block; what is given stays as it is.

        Args:
            single_BLS: None for a block without a single track.
            pair_BLLZ: the pair representation.
            mask_BL: False where a residue is padding, which then changes nothing elsewhere.
            chunk_rows: rows at once; None for all while a gradient is recorded, else few.
        """
        return self.overwrite(single_BLS, own(pair_BLLZ), mask_BL, chunk_rows)

    def overwrite(
        self,
        single_BLS: Tensor | None,
        pair_BLLZ: Tensor,
        mask_BL: Tensor | None = None,
        chunk_rows: int | None = None,
    ) -> tuple[Tensor | None, Tensor]:
        """As `forward`, but overwrites the pair representation where no gradient is recorded."""
        keys_B1L = None if mask_BL is None else mask_BL[:, None, :]
        keys_BL1 = None if mask_BL is None else mask_BL[:, :, None]
        pair_BLLZ = self._triangle(pair_BLLZ, self.tri_mul_out.updates(pair_BLLZ, keys_B1L, chunk_rows))
        pair_BLLZ = self._triangle(pair_BLLZ, self.tri_mul_in.updates(pair_BLLZ, keys_BL1, chunk_rows))
        pair_BLLZ = self._triangle(pair_BLLZ, self.tri_att_start.updates(pair_BLLZ, keys_B1L, chunk_rows))
        pair_BLLZ = pair_BLLZ.transpose(1, 2)
        pair_BLLZ = self._triangle(pair_BLLZ, self.tri_att_end.updates(pair_BLLZ, keys_B1L, chunk_rows))
        pair_BLLZ = pair_BLLZ.transpose(1, 2)
        pair_BLLZ = add(pair_BLLZ, self.pair_transition.updates(pair_BLLZ, chunk_rows))
        if self.has_single:
            assert single_BLS is not None
            single_BLS = single_BLS + self.attention_pair_bias(single_BLS, pair_BLLZ, mask_BL)
            single_BLS = single_BLS + self.single_transition(single_BLS)
        return single_BLS, pair_BLLZ

    def _triangle(self, pair_BLLZ: Tensor, updates: Iterator[Update]) -> Tensor:
        return add(pair_BLLZ, updates, row_dropout(pair_BLLZ, self.dropout, self.training))


class PairformerStack(nn.Module):
    """AF3 Algorithm 17. In training each block is computed anew for its gradient (checkpointing).

    Args:
        architecture: see `PairformerBlock`.
        blocks: number of blocks.
        c_z: channels of the pair representation.
        c_s: channels of the single representation; 0 for no single track.
        pair_factor: see `PairformerBlock`.
    """

    def __init__(self, architecture: Architecture, *, blocks: int, c_z: int, c_s: int, pair_factor: int = 4) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            PairformerBlock(architecture, c_z=c_z, c_s=c_s, pair_factor=pair_factor) for _ in range(blocks)
        )

    def forward(
        self,
        single_BLS: Float[Tensor, "b l s"] | None,
        pair_BLLZ: Float[Tensor, "b l l z"],
        mask_BL: Bool[Tensor, "b l"] | None = None,
        chunk_rows: int | None = None,
    ) -> tuple[Tensor | None, Tensor]:
        """Both representations after all blocks; arguments as `PairformerBlock.forward`."""
        return self.overwrite(single_BLS, own(pair_BLLZ), mask_BL, chunk_rows)

    def overwrite(
        self,
        single_BLS: Tensor | None,
        pair_BLLZ: Tensor,
        mask_BL: Tensor | None = None,
        chunk_rows: int | None = None,
    ) -> tuple[Tensor | None, Tensor]:
        """As `forward`, but overwrites the pair representation where no gradient is recorded."""
        for block in self.blocks:
            single_BLS, pair_BLLZ = run_block(block, single_BLS, pair_BLLZ, mask_BL, chunk_rows)
        return single_BLS, pair_BLLZ


def own(pair: Tensor) -> Tensor:
    """A copy that may be overwritten where no gradient is recorded; else `pair`, which nothing will overwrite."""
    return pair if torch.is_grad_enabled() else pair.clone()


def run_block(block: Any, *arguments: object) -> tuple:
    """`block.overwrite` of the arguments; in training under a checkpoint, so that only its inputs are kept."""
    if block.training and torch.is_grad_enabled():
        return checkpoint(block.overwrite, *arguments, use_reentrant=False)
    return block.overwrite(*arguments)
