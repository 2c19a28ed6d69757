"""Results of stages A, B and C as the networks read them: converted as at prediction, then cut and padded."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from rna_predict.data.padding import stacked
from rna_predict.data.stage_results import StageResults
from rna_predict.nn.stage_inputs import FrameAtoms, StageInputs
from rna_predict.stage_d_diffusion.network_inputs import record_inputs

PartT = TypeVar("PartT")


def to_inputs(results: StageResults) -> StageInputs:
    """A whole chain's results, B = 1; where stage C failed, there are coordinates, all of them masked."""
    inputs = record_inputs(results.adjacency, results.torsions, results.coordinates)
    if not results.failure:
        return inputs
    length = results.adjacency.length
    absent = FrameAtoms(xyz_BL33=torch.zeros(1, length, 3, 3), mask_BL=torch.zeros(1, length, dtype=torch.bool))
    return replace(inputs, coordinates=absent)


def cut(inputs: StageInputs, index_L: np.ndarray) -> StageInputs:
    """The inputs of some residues, at rising positions; a residue whose partner is left out has none."""
    return _cut(inputs, torch.from_numpy(index_L))


def collate(batch: Sequence[StageInputs], rows: Sequence[int], length: int) -> StageInputs:
    """One padded batch; what is padded, and what one of them lacks and another has, is 0, and False in the masks.

    Args:
        batch: inputs of several examples.
        rows: batch size of each, which empty inputs do not show.
        length: residues to pad to.
    """
    return _collated(StageInputs, batch, rows, length)


def _cut(part: PartT, index: Tensor) -> PartT:
    kept: dict[str, Any] = {}
    for name in _names(part):
        value = getattr(part, name)
        if isinstance(value, Tensor):
            for axis in (axis for axis, letter in enumerate(_axes(name)) if letter == "L"):
                value = value.index_select(axis, index)
        kept[name] = value if value is None or isinstance(value, Tensor) else _cut(value, index)
    return type(part)(**kept)


def _collated(kind: type[PartT], parts: Sequence[PartT | None], rows: Sequence[int], length: int) -> PartT:
    merged: dict[str, Any] = {}
    for name in _names(kind):
        values = [None if part is None else getattr(part, name) for part in parts]
        there = [value for value in values if value is not None]
        if not there:
            merged[name] = None
        elif isinstance(there[0], Tensor):
            filled = [
                there[0].new_zeros(count, *[0] * (there[0].dim() - 1)) if value is None else value
                for value, count in zip(values, rows, strict=True)
            ]
            longest = [max(value.shape[axis] for value in there) for axis in range(there[0].dim())]
            sizes = [length if letter == "L" else size for letter, size in zip(_axes(name), longest, strict=True)]
            merged[name] = stacked(filled, *sizes[1:])
        else:
            merged[name] = _collated(type(there[0]), values, rows, length)
    return kind(**merged)


def _names(part: Any) -> list[str]:
    return [field.name for field in fields(part)]


def _axes(name: str) -> str:
    """What each axis of a field counts, e.g. BL82: residues are L."""
    return name.rpartition("_")[2]
