"""The measures of `dihedral` and `torsions` on numpy arrays, for callers that must not import torch.

No gradients here; tests hold both against each other.
"""

import math
from collections.abc import Sequence

import numpy as np

from rna_predict.chemistry.residues import O3, P
from rna_predict.chemistry.torsions import RING_TORSIONS, TORSIONS, torsion_index

PUCKER_SCALE = 2 * (math.sin(math.radians(36)) + math.sin(math.radians(72)))

MAX_LINK = 2.5
"""Å; an O3'-P distance above this is a break in the chain (the bond is 1.607 Å)."""


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance between points [..., 3], Å."""
    return np.asarray(np.linalg.norm(np.asarray(a) - b, axis=-1))


def angle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Angle a-b-c at b in [0, π] of points [..., 3]."""
    u, v = np.asarray(a) - b, np.asarray(c) - b
    return np.asarray(np.arctan2(np.linalg.norm(np.cross(u, v), axis=-1), (u * v).sum(-1)))


def dihedral(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Dihedral a-b-c-d in [-π, π] of points [..., 3], IUPAC sign; 0 where undefined."""
    ab, bc, cd = np.asarray(b) - a, np.asarray(c) - b, np.asarray(d) - c
    abc, bcd = np.cross(ab, bc), np.cross(bc, cd)
    return np.asarray(np.arctan2(np.linalg.norm(bc, axis=-1) * (ab * bcd).sum(-1), (abc * bcd).sum(-1)))


def measure_torsions(
    xyz_LA3: np.ndarray,
    mask_LA: np.ndarray,
    sequence: str,
    linked_L: np.ndarray | None = None,
    names: Sequence[str] = TORSIONS,
) -> tuple[np.ndarray, np.ndarray]:
    """Torsions [L, T] in [-π, π], 0 where undefined, and the mask of defined ones; see `torsions.measure_torsions`.

    For a `Structure`: `measure_torsions(s.xyz_LA3, s.mask_LA, s.sequence, s.linked_L)`.
    """
    index = torsion_index(names, sequence, linked_L)
    mask_LT = mask_LA[index.residue_LT4, index.slot_LT4].all(-1) & index.defined_LT
    points = xyz_LA3[index.residue_LT4, index.slot_LT4]
    angle_LT = dihedral(points[..., 0, :], points[..., 1, :], points[..., 2, :], points[..., 3, :])
    return np.where(mask_LT, angle_LT, 0.0), mask_LT


def pucker(nu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pseudorotation phase P in [-π, π] and amplitude τm of ring torsions [..., 5]; see `torsions.pucker`."""
    sine = (nu[..., 4] + nu[..., 1] - nu[..., 3] - nu[..., 0]) / PUCKER_SCALE
    return np.asarray(np.arctan2(sine, nu[..., 2])), np.asarray(np.hypot(sine, nu[..., 2]))


def measure_pucker(
    xyz_LA3: np.ndarray, mask_LA: np.ndarray, sequence: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Phase [L], amplitude [L] and mask [L] of every ribose; zeros where a ring atom is missing."""
    nu, mask_L5 = measure_torsions(xyz_LA3, mask_LA, sequence, names=RING_TORSIONS)
    mask_L = np.asarray(mask_L5.all(-1))
    phase_L, amplitude_L = pucker(nu)
    return np.where(mask_L, phase_L, 0.0), np.where(mask_L, amplitude_L, 0.0), mask_L


def linked_in_space(xyz_LA3: np.ndarray, mask_LA: np.ndarray) -> np.ndarray:
    """Mask [L-1], True where O3'(i) and P(i+1) are present and within `MAX_LINK`.

    Stricter than residue numbers: deposited chains and models can be broken without a gap in the numbers.
    """
    gap_L = distance(xyz_LA3[:-1, O3], xyz_LA3[1:, P])
    return np.asarray(mask_LA[:-1, O3] & mask_LA[1:, P] & (gap_L < MAX_LINK))


def wrap(radians: np.ndarray) -> np.ndarray:
    """The same angles in (-π, π]."""
    return np.pi - np.remainder(np.pi - radians, 2 * np.pi)


def superposed_rmsd(first_N3: np.ndarray, second_N3: np.ndarray) -> float:
    """Root mean square distance of two point sets after the best rigid superposition, Å; never of a mirror image.

    Source: Kabsch, Acta Cryst. A34 (1978) 827; the sum of squares follows from the singular values alone.
    """
    first_N3 = first_N3 - first_N3.mean(axis=0)
    second_N3 = second_N3 - second_N3.mean(axis=0)
    product_33 = first_N3.T @ second_N3
    singular_3 = np.linalg.svd(product_33, compute_uv=False)
    if np.linalg.det(product_33) < 0:
        singular_3[2] = -singular_3[2]
    squares = (first_N3**2).sum() + (second_N3**2).sum() - 2 * singular_3.sum()
    return float(np.sqrt(max(squares, 0.0) / len(first_N3)))
