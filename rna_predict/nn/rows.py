"""A few rows of a representation at a time: the large temporaries of pair updates stay small.

An update is a generator of (rows, what is added to these rows). What a row's update reads beyond the row itself is made
before the first one is yielded, so that each may be added in place before the next is computed.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rna_predict.errors import ConfigError
from rna_predict.nn.limits import CPU_POSITIONS

GPU_POSITIONS = 2**18
"""Positions at once elsewhere: 512 MB for the 512 hidden channels of a transition, enough to keep a GPU busy."""

Update = tuple[slice, Tensor]
"""Rows (of axis 1) and what is added to them."""


def row_slices(x: Tensor, chunk_rows: int | None, positions: int | None = None) -> list[slice]:
    """Slices of axis 1 of `x` (B, rows, …, C).

    Args:
        x: what has the rows.
        chunk_rows: rows of a slice; None for all while a gradient is recorded, else as many as the device likes.
        positions: positions that one row stands for; None to count those of `x`.

    Raises:
        ConfigError: `chunk_rows` is not positive.
    """
    rows = x.shape[1]
    if chunk_rows is None:
        if torch.is_grad_enabled():
            return [slice(0, rows)]
        at_once = CPU_POSITIONS if x.device.type == "cpu" else GPU_POSITIONS
        chunk_rows = max(1, at_once // max(1, x[:, :1, ..., 0].numel() if positions is None else positions))
    if chunk_rows < 1:
        raise ConfigError(f"chunk_rows: {chunk_rows} is too small; give 1 or more, or leave it out")
    return [slice(start, min(start + chunk_rows, rows)) for start in range(0, rows, chunk_rows)]


def by_rows(function: Callable[[slice], Tensor], slices: list[slice]) -> Iterator[Update]:
    """Yield `function` of each slice; several are computed anew for the gradient, if there is one (checkpointing)."""
    again = torch.is_grad_enabled() and len(slices) > 1
    for rows in slices:
        yield rows, checkpoint(function, rows, use_reentrant=False) if again else function(rows)


def join(updates: Iterable[Update]) -> Tensor:
    """All updates as one tensor."""
    parts = [part for _, part in updates]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def add(x: Tensor, updates: Iterable[Update], keep: Tensor | None = None) -> Tensor:
    """`x` plus its updates, each times `keep` (see `row_dropout`); overwrites `x` where no gradient is recorded."""
    if torch.is_grad_enabled():
        update = join(updates)
        return x + (update if keep is None else update * keep)
    for rows, part in updates:
        x[:, rows] += part if keep is None else part * keep
    return x


def row_dropout(x: Tensor, rate: float, training: bool) -> Tensor | None:
    """Factors (B, 1, …, C) of a dropout that all rows share (AF3's DropoutRowwise); None when nothing is dropped."""
    if not training or rate == 0:
        return None
    return torch.nn.functional.dropout(torch.ones_like(x[:, :1]), rate)
