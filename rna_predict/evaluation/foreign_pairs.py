"""Which residues of a chain are paired with another chain of the same entry: their own sequence does not say why."""

from collections.abc import Iterable

import numpy as np
from scipy.spatial import KDTree

from rna_predict.chemistry.residues import SLOT
from rna_predict.contracts import Structure

PAIRING_ATOM = {"A": "N1", "G": "N1", "C": "N3", "U": "N3"}

CONTACT = 3.6
"""Å between the `PAIRING_ATOM`s of two chains, below which a residue is taken as paired with the other chain."""

SAME_PLACE = 1.0
"""Å; a chain of which more than half the pairing atoms lie this near to ours is a copy of it (an alternative model)."""


def paired_elsewhere(structure: Structure, others: Iterable[Structure]) -> np.ndarray:
    """bool [L], True where a pairing atom of another chain is near and that chain is no copy in the same place."""
    own_L3, there_L = _pairing_atoms(structure)
    elsewhere_L = np.zeros(structure.length, dtype=bool)
    for other in others:
        xyz_M3, there_M = _pairing_atoms(other)
        if not there_L.any() or not there_M.any():
            continue
        nearest, _ = KDTree(xyz_M3[there_M]).query(own_L3[there_L])
        if (nearest < SAME_PLACE).sum() <= structure.length / 2:
            elsewhere_L[there_L] |= nearest < CONTACT
    return elsewhere_L


def _pairing_atoms(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Positions [L, 3] and whether they are there [L]."""
    slots = [SLOT[letter][PAIRING_ATOM[letter]] for letter in structure.sequence]
    rows = np.arange(structure.length)
    return structure.xyz_LA3[rows, slots], structure.mask_LA[rows, slots]
