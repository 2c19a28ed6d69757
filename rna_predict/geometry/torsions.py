"""Torsions and sugar pucker measured on coordinates, batched and differentiable."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rna_predict.chemistry.torsions import RING_TORSIONS, TORSIONS, torsion_index
from rna_predict.geometry.dihedral import dihedral

PUCKER_SCALE = 2 * (math.sin(math.radians(36)) + math.sin(math.radians(72)))
"""Denominator factor of Altona and Sundaralingam 1972: tan P = (ν4+ν1-ν3-ν0) / (PUCKER_SCALE ν2)."""

_SAFE_QUADRUPLET = ((1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 1.0, 1.0))
"""Stands in for masked atoms so that no undefined dihedral sends a gradient; its value is overwritten by 0."""


def measure_torsions(
    xyz_LA3: Float[Tensor, "*b l a 3"],
    mask_LA: Bool[Tensor, "*b l a"],
    sequence: str,
    linked_L: np.ndarray | None = None,
    names: Sequence[str] = TORSIONS,
) -> tuple[Float[Tensor, "*b l t"], Bool[Tensor, "*b l t"]]:
    """Torsions of every residue.

    Args:
        xyz_LA3: coordinates in slot order, Å.
        mask_LA: True where the atom is present.
        sequence: letters A C G U.
        linked_L: bool [L-1], True where residues i and i+1 are bound; None means an unbroken chain.
        names: which torsions, default α β γ δ ε ζ χ.

    Returns:
        Angles in [-π, π], 0 where undefined, and the mask of defined ones: atoms missing, chain ends and
        breaks are False.
    """
    index = torsion_index(names, sequence, linked_L)
    residue = torch.from_numpy(index.residue_LT4).to(xyz_LA3.device)
    slot = torch.from_numpy(index.slot_LT4).to(xyz_LA3.device)
    defined = torch.from_numpy(index.defined_LT).to(xyz_LA3.device)
    mask_LT = mask_LA[..., residue, slot].all(-1) & defined
    safe = xyz_LA3.new_tensor(_SAFE_QUADRUPLET)
    points = torch.where(mask_LT[..., None, None], xyz_LA3[..., residue, slot, :], safe)
    angle_LT = dihedral(*points.unbind(-2))
    return torch.where(mask_LT, angle_LT, torch.zeros_like(angle_LT)), mask_LT


def pucker(nu: Float[Tensor, "*b 5"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Pseudorotation phase P in [-π, π] and amplitude τm > 0 of ring torsions ν0-ν4 (Altona, Sundaralingam 1972).

    The amplitude is the length of (ν2, (ν4+ν1-ν3-ν0)/scale), which equals ν2/cos P and stays defined at P = 90°.
    """
    nu0, nu1, nu2, nu3, nu4 = nu.unbind(-1)
    sine = (nu4 + nu1 - nu3 - nu0) / PUCKER_SCALE
    return torch.atan2(sine, nu2), torch.sqrt(sine * sine + nu2 * nu2)


def measure_pucker(
    xyz_LA3: Float[Tensor, "*b l a 3"], mask_LA: Bool[Tensor, "*b l a"], sequence: str
) -> tuple[Float[Tensor, "*b l"], Float[Tensor, "*b l"], Bool[Tensor, "*b l"]]:
    """Phase, amplitude and mask of every ribose; phase 0 and amplitude 1 where a ring atom is missing."""
    nu, mask_L5 = measure_torsions(xyz_LA3, mask_LA, sequence, names=RING_TORSIONS)
    mask_L = mask_L5.all(-1)
    stand_in = nu.new_tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    phase_L, amplitude_L = pucker(torch.where(mask_L[..., None], nu, stand_in))
    return phase_L, amplitude_L, mask_L
