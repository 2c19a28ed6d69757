"""Clash score of heavy atoms."""

from functools import cache

import numpy as np
from scipy.spatial import KDTree

from rna_predict.chemistry.radii import ACCEPTORS, CLASH_OVERLAP, DONORS, HYDROGEN_BOND_ALLOWANCE, VDW_RADIUS
from rna_predict.chemistry.residues import ATOMS, BASE_N_SLOT, MAX_ATOMS, RESIDUES, element
from rna_predict.contracts import Structure
from rna_predict.evaluation.covalent import bonds_between, residue_types

NEAR_BONDS = 3
"""Atoms at most this many bonds apart do not clash."""


def find_clashes(structure: Structure) -> np.ndarray:
    """Pairs of atoms [N, 2], flat indices i < j, whose van der Waals spheres overlap by more than 0.4 Å.

    Heavy atoms only, with Bondi's radii; a donor and an acceptor of a hydrogen bond may come 0.3 Å closer (see
    `chemistry.radii`). Left out: atoms up to three bonds apart, and atoms of one base, which is rigid. The score is
    therefore lower than MolProbity's, which adds hydrogens: compare it with that of natives by this function.
    """
    atom_N = np.flatnonzero(structure.mask_LA.reshape(-1))
    xyz_N3 = structure.xyz_LA3.reshape(-1, 3)[atom_N]
    reach = 2 * max(VDW_RADIUS.values()) - CLASH_OVERLAP
    pair_P2 = KDTree(xyz_N3).query_pairs(reach, output_type="ndarray")
    distance_P = np.linalg.norm(xyz_N3[pair_P2[:, 0]] - xyz_N3[pair_P2[:, 1]], axis=-1)
    pair_P2 = np.sort(atom_N[pair_P2], axis=1)
    i_P, j_P = pair_P2[:, 0], pair_P2[:, 1]
    radius, donor, acceptor = _atom_tables()
    type_L = residue_types(structure)
    key_i = type_L[i_P // MAX_ATOMS], i_P % MAX_ATOMS
    key_j = type_L[j_P // MAX_ATOMS], j_P % MAX_ATOMS
    bonding_P = (donor[key_i] & acceptor[key_j]) | (acceptor[key_i] & donor[key_j])
    overlap_P = radius[key_i] + radius[key_j] - distance_P - HYDROGEN_BOND_ALLOWANCE * bonding_P
    same_base_P = i_P // MAX_ATOMS == j_P // MAX_ATOMS
    same_base_P &= (i_P % MAX_ATOMS >= BASE_N_SLOT) & (j_P % MAX_ATOMS >= BASE_N_SLOT)
    clash_P = (overlap_P > CLASH_OVERLAP) & (bonds_between(structure, i_P, j_P) > NEAR_BONDS) & ~same_base_P
    return pair_P2[clash_P]


def clash_score(structure: Structure) -> float | None:
    """Clashes per 1,000 heavy atoms; None of a structure without atoms."""
    atoms = int(structure.mask_LA.sum())
    return 1000.0 * len(find_clashes(structure)) / atoms if atoms else None


@cache
def _atom_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radius, donor and acceptor of each residue type and slot, [4, MAX_ATOMS] each."""
    radius = np.zeros((len(RESIDUES), MAX_ATOMS))
    donor = np.zeros((len(RESIDUES), MAX_ATOMS), dtype=bool)
    acceptor = np.zeros_like(donor)
    for row, letter in enumerate(RESIDUES):
        for slot, atom in enumerate(ATOMS[letter]):
            radius[row, slot] = VDW_RADIUS[element(atom)]
            donor[row, slot] = atom in DONORS[letter]
            acceptor[row, slot] = atom in ACCEPTORS[letter]
    return radius, donor, acceptor
