"""Rings that a bond of another residue passes through: no refinement repairs them, so they are counted."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from rna_predict.chemistry.residues import MAX_ATOMS, RINGS, SLOT
from rna_predict.contracts import Structure
from rna_predict.evaluation.covalent import present_bonds

MAX_RING = 6

LONGEST_BOND = 2.5
"""Å; what is longer is a broken bond, counted elsewhere, and passes through nothing."""

RING_REACH = 2.0
"""Å from a ring's centre within which a bond that crosses the ring must cross it (a six-ring has 1.4 Å)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PiercedRing:
    """One bond through one ring, 0-based positions; `ring` counts as in `chemistry.residues.RINGS`, ribose is 0."""

    residue: int
    ring: int
    by_residue: int


def find_pierced_rings(structure: Structure) -> list[PiercedRing]:
    """All bonds that pass through a ribose or base ring of another residue.

    A ring is the fan of triangles from its centre to its edges; a bond pierces it when its segment meets one of them
    (Möller and Trumbore, J. Graphics Tools 2 (1997) 21). A bond of the ring's own residue, its links to the
    neighbours included, never counts.
    """
    residue_R, ring_R, corner_RK = _rings(structure)
    bond_B2 = present_bonds(structure)
    xyz_N3 = structure.xyz_LA3.reshape(-1, 3)
    start_B3, end_B3 = xyz_N3[bond_B2[:, 0]], xyz_N3[bond_B2[:, 1]]
    short_B = np.linalg.norm(end_B3 - start_B3, axis=-1) < LONGEST_BOND
    bond_B2, start_B3, end_B3 = bond_B2[short_B], start_B3[short_B], end_B3[short_B]
    if not len(residue_R) or not len(bond_B2):
        return []
    corner_RK3 = xyz_N3[corner_RK]
    center_R3 = _ring_centers(corner_RK, corner_RK3)
    near = KDTree((start_B3 + end_B3) / 2).query_ball_point(center_R3, RING_REACH + LONGEST_BOND / 2)
    ring_P = np.repeat(np.arange(len(near)), [len(found) for found in near])
    bond_P = np.concatenate([np.asarray(found, dtype=int) for found in near])
    own_P = (bond_B2[bond_P] // MAX_ATOMS == residue_R[ring_P, None]).any(axis=1)
    ring_P, bond_P = ring_P[~own_P], bond_P[~own_P]
    crossed_P = _segment_meets_fan(start_B3[bond_P], end_B3[bond_P], center_R3[ring_P], corner_RK3[ring_P])
    return [
        PiercedRing(residue=int(residue_R[r]), ring=int(ring_R[r]), by_residue=int(bond_B2[b, 0] // MAX_ATOMS))
        for r, b in zip(ring_P[crossed_P], bond_P[crossed_P], strict=True)
    ]


def count_pierced_rings(structure: Structure) -> int:
    """Rings with at least one bond through them."""
    return len({(hit.residue, hit.ring) for hit in find_pierced_rings(structure)})


def _rings(structure: Structure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residue, number and corners (flat indices [R, 6], first corner repeated in a five-ring) of complete rings."""
    residues, numbers, corners = [], [], []
    for residue, letter in enumerate(structure.sequence):
        for number, names in enumerate(RINGS[letter]):
            slots = [SLOT[letter][name] for name in names]
            if structure.mask_LA[residue, slots].all():
                padded = slots + slots[:1] * (MAX_RING - len(slots))
                residues.append(residue)
                numbers.append(number)
                corners.append([residue * MAX_ATOMS + slot for slot in padded])
    return np.array(residues, dtype=int), np.array(numbers, dtype=int), np.array(corners, dtype=int)


def _ring_centers(corner_RK: np.ndarray, corner_RK3: np.ndarray) -> np.ndarray:
    """Mean of the distinct corners, [R, 3]."""
    weight_RK = np.ones(corner_RK.shape)
    weight_RK[:, -1] = corner_RK[:, -1] != corner_RK[:, 0]
    return (corner_RK3 * weight_RK[..., None]).sum(axis=1) / weight_RK.sum(axis=1, keepdims=True)


def _segment_meets_fan(
    start_P3: np.ndarray, end_P3: np.ndarray, center_P3: np.ndarray, corner_PK3: np.ndarray
) -> np.ndarray:
    """bool [P]: the segment meets a triangle (centre, corner k, corner k + 1)."""
    direction_P13 = (end_P3 - start_P3)[:, None]
    edge1_PK3 = corner_PK3 - center_P3[:, None]
    edge2_PK3 = np.roll(corner_PK3, -1, axis=1) - center_P3[:, None]
    normal_PK3 = np.cross(np.broadcast_to(direction_P13, edge2_PK3.shape), edge2_PK3)
    volume_PK = (edge1_PK3 * normal_PK3).sum(axis=-1)
    flat_PK = np.abs(volume_PK) < 1e-9  # parallel to the triangle, or the empty triangle of a five-ring's padding
    scale_PK = 1.0 / np.where(flat_PK, 1.0, volume_PK)
    offset_P13 = (start_P3 - center_P3)[:, None]
    u_PK = (offset_P13 * normal_PK3).sum(axis=-1) * scale_PK
    other_PK3 = np.cross(np.broadcast_to(offset_P13, edge1_PK3.shape), edge1_PK3)
    v_PK = (direction_P13 * other_PK3).sum(axis=-1) * scale_PK
    t_PK = (edge2_PK3 * other_PK3).sum(axis=-1) * scale_PK
    inside_PK = (u_PK >= 0) & (v_PK >= 0) & (u_PK + v_PK <= 1) & (t_PK >= 0) & (t_PK <= 1)
    return (inside_PK & ~flat_PK).any(axis=1)
