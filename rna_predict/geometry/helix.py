"""A-form helices as base frames: where the bases of a stem lie, and how neighbours lie to each other."""

import math

import torch
from torch import Tensor

from rna_predict.chemistry.base_frames import A_FORM_STEP, PAIR_DISPLACEMENT, PROPELLER
from rna_predict.geometry.frames import Frame

DYAD = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
"""Turns the middle frame of a pair to face along the second strand."""


def relative(first: Frame, second: Frame) -> Frame:
    """`second` as seen from `first`."""
    return first.invert().compose(second)


def _turn_y(degrees: float) -> Tensor:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]], dtype=torch.float64)


def _turn_z(degrees: float) -> Tensor:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def pair_step() -> Frame:
    """Middle frame of the next pair as seen from this one, by the CEHS scheme of 3DNA (Lu & Olson 2003)."""
    half = _turn_z(A_FORM_STEP["twist"] / 2)
    rotation = half @ _turn_y(A_FORM_STEP["roll"]) @ half
    shift = torch.tensor([0.0, A_FORM_STEP["slide"], A_FORM_STEP["rise"]], dtype=torch.float64)
    return Frame(rotation, half @ _turn_y(A_FORM_STEP["roll"] / 2) @ shift)


def _base_in_pair(letters: str) -> Frame:
    """First base of the pair as seen from the middle frame."""
    x, y = PAIR_DISPLACEMENT.get(letters, (0.0, -0.06))
    return Frame(_turn_y(PROPELLER / 2), torch.tensor([x, y, 0.0], dtype=torch.float64))


def stem_frames(strand: str, partner: str) -> tuple[Frame, Frame]:
    """Base frames of an ideal A-form stem.

    Args:
        strand: letters of the 5' strand, 5'→3'.
        partner: letters of the residues that they pair with, in the same order (so 3'→5').

    Returns:
        Frames of the first and of the second strand, each (rotation [n, 3, 3], origin [n, 3]), float64.
        A pair that is not canonical takes the place of a Watson-Crick pair.
    """
    middle = Frame(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    flip = Frame(DYAD, torch.zeros(3, dtype=torch.float64))
    first, second = [], []
    for here, there in zip(strand, partner, strict=True):
        first.append(middle.compose(_base_in_pair(here + there)))
        second.append(middle.compose(flip).compose(_base_in_pair(there + here)))
        middle = middle.compose(pair_step())
    return _stack(first), _stack(second)


def at(frames: Frame, index: Tensor | int | slice) -> Frame:
    """The frames of that index on the first axis."""
    return Frame(frames.rotation[index], frames.origin[index])


def _stack(frames: list[Frame]) -> Frame:
    return Frame(torch.stack([f.rotation for f in frames]), torch.stack([f.origin for f in frames]))


def pair_relation(letters: str) -> Frame:
    """Second base of a pair as seen from the first, e.g. letters "GC"."""
    first, second = stem_frames(letters[0], letters[1])
    return relative(at(first, 0), at(second, 0))


def step_relation() -> Frame:
    """Next base of a strand as seen from this one, in an A-form stem of Watson-Crick pairs."""
    first, _ = stem_frames("GG", "CC")
    return relative(at(first, 0), at(first, 1))
