"""lDDT over all heavy atoms."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from rna_predict.evaluation.correspondence import SharedAtoms

INCLUSION_RADIUS = 15.0
"""Å in the native."""

THRESHOLDS = (0.5, 1.0, 2.0, 4.0)
"""Å by which a distance may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lddt:
    """Local distance difference test.

    Attributes:
        value: share of the native's distances that the model keeps, mean over the thresholds; None when the native
            has no pair of atoms of two residues within the radius.
        residue_L: float64, the same for the pairs with an atom in each residue of the native.
        defined_L: bool, False where a residue has no such pair; `residue_L` is 0 there and means nothing.
    """

    value: float | None
    residue_L: np.ndarray
    defined_L: np.ndarray


def lddt(atoms: SharedAtoms) -> Lddt:
    """Compare all distances between atoms of different residues that are within 15 Å in the native.

    An atom that the model lacks keeps none of its distances. No penalty for bad stereochemistry, and OP1 and OP2 are
    taken by their names. Distances do not tell a structure from its mirror image: lDDT of a mirrored model is high,
    TM-score and inverted sugar centres are what shows it.

    Source: Mariani, Biasini, Barbato, Schwede, Bioinformatics 29 (2013) 2722.
    """
    residue_N, slot_N = np.nonzero(atoms.native_mask_LA)
    native_N3 = atoms.native_LA3[residue_N, slot_N]
    model_N3 = atoms.model_LA3[residue_N, slot_N]
    present_N = atoms.mask_LA[residue_N, slot_N]
    length = len(atoms.native_mask_LA)
    if not len(native_N3):
        return Lddt(value=None, residue_L=np.zeros(length), defined_L=np.zeros(length, dtype=bool))
    pair_P2 = KDTree(native_N3).query_pairs(INCLUSION_RADIUS, output_type="ndarray")
    i_P, j_P = pair_P2[:, 0], pair_P2[:, 1]
    apart_P = residue_N[i_P] != residue_N[j_P]
    i_P, j_P = i_P[apart_P], j_P[apart_P]
    if not len(i_P):
        return Lddt(value=None, residue_L=np.zeros(length), defined_L=np.zeros(length, dtype=bool))
    difference_P = np.abs(_distance(model_N3, i_P, j_P) - _distance(native_N3, i_P, j_P))
    difference_P[~(present_N[i_P] & present_N[j_P])] = np.inf
    kept_P = np.zeros(len(i_P))
    for threshold in THRESHOLDS:
        kept_P += difference_P <= threshold
    kept_P /= len(THRESHOLDS)
    ends = np.concatenate([residue_N[i_P], residue_N[j_P]])
    total_L = np.bincount(ends, minlength=length)
    kept_L = np.bincount(ends, weights=np.concatenate([kept_P, kept_P]), minlength=length)
    return Lddt(value=float(kept_P.mean()), residue_L=kept_L / np.maximum(total_L, 1), defined_L=total_L > 0)


def _distance(xyz_N3: np.ndarray, i_P: np.ndarray, j_P: np.ndarray) -> np.ndarray:
    """Distances of pairs of atoms, Å."""
    difference_P3 = xyz_N3[i_P] - xyz_N3[j_P]
    return np.sqrt(np.einsum("px,px->p", difference_P3, difference_P3))
