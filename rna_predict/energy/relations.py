"""How one base lies to another: harmonic terms on relative frames. Base pairs, stem steps and loop priors use them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rna_predict.geometry.frames import Frame
from rna_predict.geometry.helix import relative


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """Desired frames of bases `second` as seen from bases `first`.

    Attributes:
        first: int64 [N].
        second: int64 [N].
        rotation_N33: [N, 3, 3].
        origin_N3: [N, 3], Å.
        weight_N: [N], stiffness per Å²: the energy is half of it at 1 Å off, or at about 1/ARM rad.
    """

    first: Tensor
    second: Tensor
    rotation_N33: Tensor
    origin_N3: Tensor
    weight_N: Tensor


def listed(first: list[int], second: list[int], frames: list[Frame], weights: list[float], like: Tensor) -> Relations:
    """Relations from lists, one entry each; none give empty tensors. `like` has the dtype and device."""
    rotation = torch.stack([frame[0] for frame in frames]) if frames else torch.zeros(0, 3, 3)
    origin = torch.stack([frame[1] for frame in frames]) if frames else torch.zeros(0, 3)
    return Relations(
        first=torch.tensor(first, dtype=torch.int64, device=like.device),
        second=torch.tensor(second, dtype=torch.int64, device=like.device),
        rotation_N33=rotation.to(like),
        origin_N3=origin.to(like),
        weight_N=torch.tensor(weights).to(like),
    )


def joined(*parts: Relations) -> Relations:
    """All relations of several sets."""
    return Relations(
        **{
            name: torch.cat([getattr(part, name) for part in parts])
            for name in ("first", "second", "rotation_N33", "origin_N3", "weight_N")
        }
    )


ARM = 4.0
"""Å: the lever at which a turn counts as much as a shift, about the radius of a base."""


def relation_energy(frame: Frame, relations: Relations, slack: float) -> Tensor:
    """Energy of each sample, [S]: half the weight times the squared deviation, linear beyond `slack` Å (pseudo-Huber).

    Args:
        frame: base frames, rotation [S, L, 3, 3] and origin [S, L, 3].
        relations: what is wanted.
        slack: Å at which the term turns from quadratic to linear.
    """
    rotation, origin = frame
    a, b = relations.first, relations.second
    found = relative(Frame(rotation[:, a], origin[:, a]), Frame(rotation[:, b], origin[:, b]))
    shift = (found[1] - relations.origin_N3).square().sum(-1)
    turn = (found[0] - relations.rotation_N33).square().sum((-1, -2)) / 2  # 4 sin²(θ/2)
    squared = shift + ARM**2 * turn
    return (relations.weight_N * slack**2 * (torch.sqrt(1 + squared / slack**2) - 1)).sum(-1)
