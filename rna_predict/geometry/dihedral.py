"""Distances, angles and dihedrals of points, batched over any leading axes, with gradients that stay finite.

`numpy_measures` holds the same functions for callers that must not import torch.
"""

import torch
from jaxtyping import Float
from torch import Tensor

TINY = 1e-12
"""Squared lengths (Å²) below this count as zero; the measure is then 0 and so is its gradient."""


def distance(a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """Distance between a and b, Å; 0 with a zero gradient where they coincide."""
    return _norm(a - b)


def angle(a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"], c: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """Angle a-b-c at b in [0, π]; 0 where two points coincide.

    Computed as atan2(|u x v|, u·v), which is exact near 0 and π where arccos loses half of the digits.
    """
    u, v = a - b, c - b
    return _atan2(_norm(torch.linalg.cross(u, v)), (u * v).sum(-1))


def dihedral(
    a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"], c: Float[Tensor, "*b 3"], d: Float[Tensor, "*b 3"]
) -> Float[Tensor, "*b"]:
    """Dihedral a-b-c-d in [-π, π], IUPAC sign: positive when d turns clockwise seen from b to c.

    0 with a zero gradient where it is undefined (three points on a line or coinciding points).
    """
    ab, bc, cd = b - a, c - b, d - c
    abc, bcd = torch.linalg.cross(ab, bc), torch.linalg.cross(bc, cd)
    return _atan2(_norm(bc) * (ab * bcd).sum(-1), (abc * bcd).sum(-1))


def bond_angle_dihedral(
    a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"], c: Float[Tensor, "*b 3"], d: Float[Tensor, "*b 3"]
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Distance c-d, angle b-c-d and dihedral a-b-c-d together, for little more than the dihedral alone."""
    ab, bc, cd = b - a, c - b, d - c
    abc, bcd = torch.linalg.cross(ab, bc), torch.linalg.cross(bc, cd)
    bend = _atan2(_norm(bcd), -(bc * cd).sum(-1))
    return _norm(cd), bend, _atan2(_norm(bc) * (ab * bcd).sum(-1), (abc * bcd).sum(-1))


def wrap(radians: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """The same angles in (-π, π]."""
    return torch.pi - torch.remainder(torch.pi - radians, 2 * torch.pi)


def _norm(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    squared = (v * v).sum(-1)
    zero = squared < TINY
    # sqrt has an infinite slope at 0; `where` alone would still send NaN backwards
    return torch.where(zero, torch.zeros_like(squared), torch.where(zero, torch.ones_like(squared), squared).sqrt())


def _atan2(y: Float[Tensor, "*b"], x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    undefined = x * x + y * y < TINY
    return torch.atan2(torch.where(undefined, torch.zeros_like(y), y), torch.where(undefined, torch.ones_like(x), x))
