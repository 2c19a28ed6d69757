"""Tensors of several chains put together as one."""

from collections.abc import Sequence

import torch
from torch import Tensor


def stacked(tensors: Sequence[Tensor], *sizes: int) -> Tensor:
    """Tensors one below the other, their axes after the first filled up with 0 to `sizes`."""
    rows = []
    for tensor in tensors:
        padded = tensor.new_zeros(tensor.shape[0], *sizes, *tensor.shape[1 + len(sizes) :])
        padded[tuple(slice(length) for length in tensor.shape)] = tensor
        rows.append(padded)
    return torch.cat(rows)
