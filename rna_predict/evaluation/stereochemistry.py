"""Inverted sugar centres and bases that are not flat."""

from functools import cache

import numpy as np

from rna_predict.chemistry.chirality import CHIRAL_SLOTS
from rna_predict.chemistry.residues import ATOMS, BASE_N_SLOT, RESIDUES
from rna_predict.contracts import Structure
from rna_predict.evaluation.covalent import residue_types

NOT_FLAT = 0.1
"""Å; rms distance of a base's atoms from their best plane above which it is called non-planar."""


def signed_volumes(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Triple product of each sugar centre in Å³ and its mask, [L, 4] each, columns `chirality.SUGAR_CENTRES`.

    Positive in β-D-ribose, about 2.5 Å³; `chemistry.chirality` fixes the order of the neighbours.
    """
    slot_L44 = _center_slots()[residue_types(structure)]
    row_L11 = np.arange(structure.length)[:, None, None]
    point_L443 = structure.xyz_LA3[row_L11, slot_L44]
    mask_L4 = np.asarray(structure.mask_LA[row_L11, slot_L44].all(axis=-1))
    arm_L433 = point_L443[:, :, 1:] - point_L443[:, :, :1]
    volume_L4 = (arm_L433[:, :, 0] * np.cross(arm_L433[:, :, 1], arm_L433[:, :, 2])).sum(axis=-1)
    return volume_L4, mask_L4


def count_inverted(structure: Structure) -> int:
    """Sugar centres (C1', C2', C3', C4') whose handedness is not that of β-D-ribose."""
    volume_L4, mask_L4 = signed_volumes(structure)
    return int((mask_L4 & (volume_L4 <= 0)).sum())


def base_flatness(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Rms distance [L] of each base's heavy atoms from their best plane, Å, and the mask of complete bases."""
    rms_L, mask_L = np.zeros(structure.length), np.zeros(structure.length, dtype=bool)
    for letter in RESIDUES:
        slots = slice(BASE_N_SLOT, len(ATOMS[letter]))
        row_N = np.flatnonzero(np.array(list(structure.sequence)) == letter)
        row_N = row_N[structure.mask_LA[row_N, slots].all(axis=1)]
        if len(row_N):
            points = structure.xyz_LA3[row_N, slots]
            points = points - points.mean(axis=1, keepdims=True)
            smallest_N = np.linalg.svd(points, compute_uv=False)[:, -1]
            rms_L[row_N] = smallest_N / np.sqrt(points.shape[1])
            mask_L[row_N] = True
    return rms_L, mask_L


def count_nonplanar(structure: Structure) -> int:
    """Bases whose atoms lie more than 0.1 Å (rms) off their best plane."""
    rms_L, mask_L = base_flatness(structure)
    return int((mask_L & (rms_L > NOT_FLAT)).sum())


@cache
def _center_slots() -> np.ndarray:
    """Slots [4 residue types, 4 centres, 4 atoms]: the centre, then its three neighbours."""
    return np.array([CHIRAL_SLOTS[letter] for letter in RESIDUES])
