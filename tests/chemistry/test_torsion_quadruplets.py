import itertools

import numpy as np
import pytest

from rna_predict.chemistry.residues import ATOMS, BONDS, RESIDUES
from rna_predict.chemistry.torsions import RING_TORSIONS, TORSIONS, quadruplet, torsion_index


@pytest.mark.parametrize("name", [*TORSIONS, *RING_TORSIONS])
@pytest.mark.parametrize("residue", RESIDUES)
def test_consecutive_atoms_of_a_torsion_are_bonded(name, residue):
    bonds = {frozenset(bond) for bond in BONDS[residue]}
    atoms = quadruplet(name, residue)
    for (first, i), (second, j) in itertools.pairwise(atoms):
        between = {(first, second), (second, first)} & {("O3'", "P")}
        assert (abs(i - j) == 1 and between) or (i == j and frozenset((first, second)) in bonds)


def test_chi_of_a_purine_uses_n9_and_of_a_pyrimidine_n1():
    assert [atom for atom, _ in quadruplet("chi", "G")] == ["O4'", "C1'", "N9", "C4"]
    assert [atom for atom, _ in quadruplet("chi", "U")] == ["O4'", "C1'", "N1", "C2"]


def test_slots_name_the_quadruplets_atoms():
    sequence = "GAUC"
    index = torsion_index(TORSIONS, sequence)
    for i in range(1, 3):
        for t, name in enumerate(TORSIONS):
            found = [
                (ATOMS[sequence[r]][s], r - i)
                for r, s in zip(index.residue_LT4[i, t], index.slot_LT4[i, t], strict=True)
            ]
            assert found == list(quadruplet(name, sequence[i]))


def test_undefined_at_chain_ends_and_over_a_break():
    names = [*TORSIONS, "eta", "theta"]
    defined = torsion_index(names, "ACGUA", np.array([True, False, True, True])).defined_LT
    undefined = {(i, names[t]) for i, t in zip(*np.nonzero(~defined), strict=True)}
    assert undefined == {
        *[(0, "alpha"), (0, "eta"), (1, "epsilon"), (1, "zeta"), (1, "eta"), (1, "theta")],
        *[(2, "alpha"), (2, "eta"), (4, "epsilon"), (4, "zeta"), (4, "eta"), (4, "theta")],
    }
