"""What OpenMM is given, and that it comes back."""

import dataclasses

import numpy as np
import pytest

from rna_predict.chemistry.residues import BONDS, O3, O5, OP1, OP2, P
from rna_predict.contracts import Structure
from rna_predict.errors import InputError

pytest.importorskip("openmm")

from rna_predict.relax.molecule import molecule_of


def part(structure, kept):
    """Some residues of a structure."""
    return Structure(
        id=structure.id,
        sequence="".join(np.array(list(structure.sequence))[kept]),
        xyz_LA3=structure.xyz_LA3[kept],
        mask_LA=structure.mask_LA[kept],
        number_L=structure.number_L[kept],
    )


def test_all_atoms_and_bonds_of_a_strand_but_its_5_phosphate(native):
    strand = part(native, np.arange(1, native.length))  # the second residue has a phosphate
    molecule = molecule_of(strand)
    assert molecule.outside == [(0, P), (0, OP1), (0, OP2)]
    assert molecule.topology.getNumAtoms() == strand.mask_LA.sum() - 3
    bonds = sum(len(BONDS[letter]) for letter in strand.sequence) + strand.length - 1
    assert molecule.topology.getNumBonds() == bonds - 3
    assert molecule.topology.getNumChains() == 1
    names = [atom.name for atom in molecule.topology.atoms()]
    assert [names[index] for index in molecule.standing] == ["O5'", "C5'", "C4'"]
    assert all(index < 20 for index in molecule.standing)


def test_positions_go_out_in_nanometres_and_come_back(native):
    strand = part(native, np.arange(1, native.length))
    molecule = molecule_of(strand)
    back = molecule.with_positions(molecule.nm_N3)
    assert back.xyz_LA3 == pytest.approx(strand.xyz_LA3, abs=1e-9)
    moved = molecule.with_positions(molecule.nm_N3 + 0.1)
    shift_LA3 = moved.xyz_LA3 - strand.xyz_LA3
    assert shift_LA3[0, P] == pytest.approx(0)
    assert shift_LA3[0, O5] == pytest.approx(1.0)
    assert (shift_LA3[~strand.mask_LA] == 0).all()


def test_a_strand_begins_where_numbers_jump_or_the_link_is_open(native):
    gap = part(native, np.delete(np.arange(native.length), 10))
    molecule = molecule_of(gap)
    assert np.flatnonzero(molecule.first_L).tolist() == [0, 10]
    assert {residue for residue, _ in molecule.outside} >= {10}
    assert molecule.topology.getNumChains() == 2
    xyz_LA3 = native.xyz_LA3.copy()
    xyz_LA3[8:] += np.where(native.mask_LA[8:, :, None], 30.0, 0.0)
    apart = dataclasses.replace(native, xyz_LA3=xyz_LA3)
    assert np.flatnonzero(molecule_of(apart).first_L).tolist() == [0, 8]


def test_a_residue_without_an_atom_is_named(native):
    mask_LA = native.mask_LA.copy()
    mask_LA[4, O3] = False
    lacking = dataclasses.replace(native, mask_LA=mask_LA, xyz_LA3=native.xyz_LA3 * mask_LA[..., None])
    with pytest.raises(InputError, match=rf"17ra_A: {native.sequence[4]} 5 lacks O3'"):
        molecule_of(lacking)
