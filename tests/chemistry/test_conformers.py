import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from biotite.structure import info

from rna_predict.chemistry.conformers import CONFORMER_FILE, reference_conformers
from rna_predict.chemistry.ideal import ideal_bond
from rna_predict.chemistry.residues import ATOMS, BONDS, RINGS

LETTERS = "ACGU"
CENTRES = {
    "C1'": ("O4'", "C2'", "N"),
    "C2'": ("C1'", "C3'", "O2'"),
    "C3'": ("C2'", "C4'", "O3'"),
    "C4'": ("C3'", "C5'", "O4'"),
}


def dictionary(letter):
    """Heavy atoms of the component that biotite ships."""
    atoms = info.residue(letter)
    return atoms[atoms.element != "H"]


def handedness(at, centre, letter):
    a, b, c = (at["N9" if letter in "AG" else "N1"] if name == "N" else at[name] for name in CENTRES[centre])
    return np.sign(np.dot(a - at[centre], np.cross(b - at[centre], c - at[centre])))


@pytest.mark.parametrize("letter", LETTERS)
def test_atoms_elements_and_charges_are_those_of_the_dictionary(letter):
    conformer, atoms = reference_conformers()[letter], dictionary(letter)
    number = {"C": 6, "N": 7, "O": 8, "P": 15}
    assert conformer.atoms == tuple(atoms.atom_name)
    assert conformer.element_A.tolist() == [number[symbol] for symbol in atoms.element]
    assert conformer.charge_A.tolist() == atoms.charge.tolist() == [0] * len(atoms)


@pytest.mark.parametrize("letter", LETTERS)
def test_op3_comes_first_and_then_the_slots_of_the_package(letter):
    assert reference_conformers()[letter].atoms == ("OP3", *ATOMS[letter])


def test_a_name_is_four_characters_counted_from_the_blank():
    conformer = reference_conformers()["G"]
    names = ["".join(chr(code + 32) for code in row) for row in conformer.name_A4]
    assert names[:6] == ["OP3 ", "P   ", "OP1 ", "OP2 ", "O5' ", "C5' "]
    assert conformer.name_A4[1].tolist() == [48, 0, 0, 0]


@pytest.mark.parametrize("letter", LETTERS)
def test_bonds_have_the_lengths_of_the_distance_geometry_that_public_weights_saw(letter):
    conformer = reference_conformers()[letter]
    at = dict(zip(conformer.atoms, conformer.position_A3, strict=True))
    deviations = {}
    for first, second in BONDS[letter]:
        length, ideal = np.linalg.norm(at[first] - at[second]), ideal_bond(letter, first, second).value
        deviations[first, second] = abs(length - ideal)
    # of ETKDG: P-O of an ester 1.7 Å for 1.593, an amino group's bond 1.43 Å for 1.34; OP2 is a hydroxyl here
    assert max(value for (first, _), value in deviations.items() if first == "P") < 0.25
    assert max(value for (first, _), value in deviations.items() if first != "P") < 0.12
    assert np.mean(list(deviations.values())) < 0.06
    assert 1.55 < np.linalg.norm(at["P"] - at["OP3"]) < 1.75


@pytest.mark.parametrize("letter", LETTERS)
def test_every_carbon_of_the_ribose_has_the_hand_of_the_dictionary(letter):
    conformer, atoms = reference_conformers()[letter], dictionary(letter)
    ours = dict(zip(conformer.atoms, conformer.position_A3, strict=True))
    theirs = dict(zip(atoms.atom_name, atoms.coord.astype(float), strict=True))
    for centre in CENTRES:
        assert handedness(ours, centre, letter) == handedness(theirs, centre, letter) != 0, centre


@pytest.mark.parametrize("letter", LETTERS)
def test_bases_are_flat_and_no_atoms_clash(letter):
    conformer = reference_conformers()[letter]
    at = dict(zip(conformer.atoms, conformer.position_A3, strict=True))
    base = np.array([at[name] for name in conformer.atoms[13:]])
    thickness = np.linalg.svd(base - base.mean(axis=0))[1][-1] / np.sqrt(len(base))
    assert thickness < 0.06
    assert len(RINGS[letter]) == (3 if letter in "AG" else 2)
    apart = np.linalg.norm(conformer.position_A3[:, None] - conformer.position_A3, axis=-1)
    assert apart[np.triu_indices(len(apart), 1)].min() > 1.15


def test_the_arrays_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        reference_conformers()["A"].position_A3[0] = 0


def test_the_file_is_what_its_script_writes():
    """Where RDKit is the version that drew the conformers; another one may draw others."""
    rdkit = pytest.importorskip("rdkit", reason="rdkit is not installed: only the script needs it")
    stored = json.loads(CONFORMER_FILE.read_text())
    if rdkit.__version__ != stored["rdkit"]:
        pytest.skip(f"drawn with rdkit {stored['rdkit']}, installed is {rdkit.__version__}")
    spec = importlib.util.spec_from_file_location("make_conformers", Path(__file__).with_name("make_conformers.py"))
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    built = script.build()
    for letter in LETTERS:
        assert {key: built[letter][key] for key in ("atoms", "elements", "charges")} == {
            key: stored[letter][key] for key in ("atoms", "elements", "charges")
        }
        np.testing.assert_allclose(built[letter]["positions"], stored[letter]["positions"], atol=0.01)
