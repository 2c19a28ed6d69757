"""Rigid frames: from three atoms, composed, inverted, applied; the frames of a residue's sugar and of its base."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rna_predict.chemistry.base_frames import STANDARD_BASES
from rna_predict.chemistry.residues import BASE_N_SLOT, BASES, C1, C3, C4, MAX_ATOMS


class Frame(NamedTuple):
    """A rigid motion x → rotation x + origin, from local to global coordinates.

    Attributes:
        rotation: [..., 3, 3], columns are the frame's axes.
        origin: [..., 3], Å.
    """

    rotation: Tensor
    origin: Tensor

    def apply(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
        """Local points [..., n, 3] in global coordinates; the frame's batch axes are those of the points."""
        return points @ self.rotation.mT + self.origin[..., None, :]

    def compose(self, inner: "Frame") -> "Frame":
        """First `inner`, then this one."""
        return Frame(self.rotation @ inner.rotation, (self.rotation @ inner.origin[..., None])[..., 0] + self.origin)

    def invert(self) -> "Frame":
        """The motion that undoes this one."""
        back = self.rotation.mT
        return Frame(back, -(back @ self.origin[..., None])[..., 0])


def frame_from_atoms(a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"], c: Float[Tensor, "*b 3"]) -> Frame:
    """AF2 Algorithm 21: origin b, x towards c, a in the xy plane with y > 0.

    Coinciding points or points on a line have no frame: the axes that cannot be found are zero, so mask them.
    """
    x = _unit(c - b)
    towards_a = a - b
    y = _unit(towards_a - (towards_a * x).sum(-1, keepdim=True) * x)
    return Frame(torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1), b)


def sugar_frame(xyz_LA3: Float[Tensor, "*b l a 3"]) -> Frame:
    """Frame of each residue's C1', C3', C4' (the frame atoms of AF3, section 4.3.2): origin C3', x towards C4'."""
    return frame_from_atoms(xyz_LA3[..., C1, :], xyz_LA3[..., C3, :], xyz_LA3[..., C4, :])


def base_frame(
    xyz_LA3: Float[Tensor, "*b l a 3"], mask_LA: Bool[Tensor, "*b l a"], sequence: str
) -> tuple[Frame, Bool[Tensor, "*b l"]]:
    """Standard base reference frame of each residue (Olson et al. 2001), by superposing the standard base.

    Returns:
        The frames, and a mask that is False where fewer than three base atoms are present.
    """
    from rna_predict.geometry.superpose import superpose  # superpose returns a Frame

    standard = xyz_LA3.new_zeros(len(sequence), MAX_ATOMS - BASE_N_SLOT, 3)
    for i, letter in enumerate(sequence):
        atoms = [STANDARD_BASES[letter][name] for name in BASES[letter]]
        standard[i, : len(atoms)] = standard.new_tensor(atoms)
    present = mask_LA[..., BASE_N_SLOT:]
    frame = superpose(standard.expand(*present.shape, 3), xyz_LA3[..., BASE_N_SLOT:, :], present.to(xyz_LA3.dtype))
    return frame, present.sum(-1) >= 3


def _unit(v: Tensor) -> Tensor:
    squared = (v * v).sum(-1, keepdim=True)
    zero = squared < 1e-12
    return torch.where(zero, torch.zeros_like(v), v / torch.where(zero, torch.ones_like(squared), squared).sqrt())
