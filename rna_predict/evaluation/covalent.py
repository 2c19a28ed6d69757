"""Covalent structure of a chain as flat atom indices: bonds, and how many bonds lie between two atoms.

A flat index is residue · MAX_ATOMS + slot.
"""

from functools import cache

import numpy as np

from rna_predict.chemistry.residues import ATOMS, BONDS, MAX_ATOMS, O3, RESIDUES, SLOT, P
from rna_predict.contracts import Structure

FAR = 99
"""Number of bonds given to atoms that no path of at most one link connects."""


def residue_types(structure: Structure) -> np.ndarray:
    """int64 [L], index into `RESIDUES`."""
    return np.array([RESIDUES.index(letter) for letter in structure.sequence])


def present_bonds(structure: Structure) -> np.ndarray:
    """Bonds [B, 2] as flat indices, both atoms present: within residues, then O3'-P between linked residues."""
    inner = [
        residue * MAX_ATOMS + np.array([(SLOT[letter][a], SLOT[letter][b]) for a, b in BONDS[letter]])
        for residue, letter in enumerate(structure.sequence)
    ]
    bond_B2 = np.concatenate([*inner, chain_links(structure)])
    return bond_B2[structure.mask_LA.reshape(-1)[bond_B2].all(axis=1)]


def chain_links(structure: Structure) -> np.ndarray:
    """O3'-P bonds [N, 2] as flat indices between residues that are neighbours by number, atoms present or not."""
    first_N = np.flatnonzero(structure.linked_L)
    return np.column_stack([first_N * MAX_ATOMS + O3, (first_N + 1) * MAX_ATOMS + P])


def bonds_between(structure: Structure, i_P: np.ndarray, j_P: np.ndarray) -> np.ndarray:
    """Number of bonds on the shortest path between atoms i < j (flat indices), `FAR` beyond the next residue."""
    table = _bond_counts()
    type_L = residue_types(structure)
    first_P, second_P = i_P // MAX_ATOMS, j_P // MAX_ATOMS
    slot_i, slot_j = i_P % MAX_ATOMS, j_P % MAX_ATOMS
    linked_L = np.append(structure.linked_L, False)
    inside = table[type_L[first_P], slot_i, slot_j]
    across = table[type_L[first_P], slot_i, O3] + 1 + table[type_L[second_P], P, slot_j]
    neighbours_P = (second_P == first_P + 1) & linked_L[first_P]
    return np.where(first_P == second_P, inside, np.where(neighbours_P, across, FAR))


@cache
def _bond_counts() -> np.ndarray:
    """Shortest paths [4, MAX_ATOMS, MAX_ATOMS] in bonds within each residue (Floyd-Warshall)."""
    count = np.full((len(RESIDUES), MAX_ATOMS, MAX_ATOMS), FAR)
    for residue, letter in enumerate(RESIDUES):
        for a, b in BONDS[letter]:
            i, j = SLOT[letter][a], SLOT[letter][b]
            count[residue, i, j] = count[residue, j, i] = 1
        for k in range(len(ATOMS[letter])):
            count[residue, k, k] = 0
            through = count[residue, :, k, None] + count[residue, None, k, :]
            count[residue] = np.minimum(count[residue], through)
    return count
