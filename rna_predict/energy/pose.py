"""Where each nucleotide of each sample is: base frames and torsions, and how a step in the variables moves them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rna_predict.geometry.frames import Frame
from rna_predict.geometry.nucleotide import NucleotideShape, place_atoms

TORSION_LEVER = 2.5
"""Å that an atom moves, about, when a torsion turns by one radian; brings all variables to one scale."""

TURN_LEVER = 3.5
"""Å that an atom moves, about, when a single nucleotide turns by one radian."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Variables of S samples of one RNA.

    Attributes:
        rotation_SL33: base frames.
        origin_SL3: Å.
        torsion_SL4: χ, γ, β, α in radians.
    """

    rotation_SL33: Tensor
    origin_SL3: Tensor
    torsion_SL4: Tensor

    @property
    def frame(self) -> Frame:
        """The base frames."""
        return Frame(self.rotation_SL33, self.origin_SL3)

    def atoms(self, shape: NucleotideShape) -> Tensor:
        """All heavy atoms, [S, L, MAX_ATOMS, 3]."""
        return place_atoms(shape, self.frame, self.torsion_SL4)

    def sample(self, index: Tensor) -> "Pose":
        """The samples of that index."""
        return Pose(
            rotation_SL33=self.rotation_SL33[index],
            origin_SL3=self.origin_SL3[index],
            torsion_SL4=self.torsion_SL4[index],
        )

    def with_samples(self, index: Tensor, other: "Pose") -> "Pose":
        """The same pose with the samples of that index taken from `other`."""

        def put(own: Tensor, new: Tensor) -> Tensor:
            return own.index_copy(0, index, new)

        return Pose(
            rotation_SL33=put(self.rotation_SL33, other.rotation_SL33),
            origin_SL3=put(self.origin_SL3, other.origin_SL3),
            torsion_SL4=put(self.torsion_SL4, other.torsion_SL4),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """Which residues move as one rigid body.

    Attributes:
        body_L: int64 [L], body of each residue.
        count: number of bodies G.
    """

    body_L: Tensor
    count: int

    def centres(self, origin_SL3: Tensor) -> Tensor:
        """Mean origin of each body, [S, G, 3]."""
        samples = origin_SL3.shape[0]
        total = origin_SL3.new_zeros(samples, self.count, 3).index_add(1, self.body_L, origin_SL3)
        size = torch.bincount(self.body_L, minlength=self.count).to(origin_SL3)
        return total / size[:, None]

    def levers(self, origin_SL3: Tensor) -> Tensor:
        """Å that a body's residues move, about, when it turns by one radian, [S, G]."""
        arm = (origin_SL3 - self.centres(origin_SL3)[:, self.body_L]).square().sum(-1)
        total = arm.new_zeros(arm.shape[0], self.count).index_add(1, self.body_L, arm)
        size = torch.bincount(self.body_L, minlength=self.count).to(arm)
        return (total / size + TURN_LEVER**2).sqrt()


def each_alone(length: int, device: torch.device | None = None) -> Bodies:
    """Every residue a body of its own."""
    return Bodies(body_L=torch.arange(length, device=device), count=length)


def turn(vector: Tensor) -> Tensor:
    """Rotation matrices of axis-angle vectors [..., 3] in radians, smooth at zero."""
    squared = vector.square().sum(-1)
    small = squared < 1e-8
    safe = torch.where(small, torch.ones_like(squared), squared).sqrt()
    first = torch.where(small, 1 - squared / 6, torch.sin(safe) / safe)[..., None, None]
    half = torch.sin(safe / 2) / safe  # 2 sin²(θ/2) keeps the digits that 1 - cos θ loses
    second = torch.where(small, 0.5 - squared / 24, 2 * half**2)[..., None, None]
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*vector.shape[:-1], 3, 3)
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + first * cross + second * (cross @ cross)


def moved(pose: Pose, step_SD: Tensor, bodies: Bodies) -> Pose:
    """The pose after a step: bodies turn about their centres and shift, torsions change.

    Args:
        pose: the reference.
        step_SD: [S, 6·G + 4·L], in Å: turns and torsions are scaled by their levers.
        bodies: G rigid bodies.
    """
    samples, length = pose.origin_SL3.shape[:2]
    rigid = step_SD[:, : 6 * bodies.count].reshape(samples, bodies.count, 6)
    torsion = step_SD[:, 6 * bodies.count :].reshape(samples, length, 4)
    rotation = turn(rigid[..., :3] / bodies.levers(pose.origin_SL3)[..., None])[:, bodies.body_L]
    centre = bodies.centres(pose.origin_SL3)[:, bodies.body_L]
    arm = (rotation @ (pose.origin_SL3 - centre)[..., None])[..., 0]
    return Pose(
        rotation_SL33=rotation @ pose.rotation_SL33,
        origin_SL3=arm + centre + rigid[:, bodies.body_L, 3:],
        torsion_SL4=pose.torsion_SL4 + torsion / TORSION_LEVER,
    )


def step_size(length: int, bodies: Bodies) -> int:
    """Number of variables of a step."""
    return 6 * bodies.count + 4 * length
