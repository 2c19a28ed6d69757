import gzip
import itertools

import numpy as np
import pytest
from biotite.structure import info
from biotite.structure.io.pdb import PDBFile

from rna_predict.chemistry.chirality import CHIRAL_CENTRES, CHIRAL_SLOTS, SUGAR_CENTRES
from rna_predict.chemistry.ideal import ANGLE_O_P_OP, BOND_ANGLES, OP_OFFSET, ideal_bond, ideal_bonds
from rna_predict.chemistry.residues import ATOMS, GLYCOSIDIC_N, RESIDUES

BENCH = ("1ehz_A", "4e8n_A")


@pytest.fixture(scope="module", params=BENCH)
def residues(request, chains_dir) -> list[tuple[str, dict[str, np.ndarray]]]:
    with gzip.open(chains_dir / f"{request.param}.pdb.gz", "rt") as file:
        atoms = PDBFile.read(file).get_structure(model=1)
    grouped: dict[int, tuple[str, dict[str, np.ndarray]]] = {}
    for atom in atoms:
        grouped.setdefault(int(atom.res_id), (str(atom.res_name), {}))[1][str(atom.atom_name)] = atom.coord
    return list(grouped.values())


def test_gelbin_values():
    assert ideal_bond("A", "C2'", "C1'").value == 1.528
    assert ideal_bond("G", "O3'", "P").value == 1.607
    assert ideal_bond("C", "N1", "C1'").value == ideal_bond("A", "C1'", "N9").value == 1.470
    assert ideal_bond("U", "P", "OP2").sd == 0.017
    assert BOND_ANGLES["C3'", "O3'", "P"].value == 119.7


@pytest.mark.parametrize("residue", RESIDUES)
def test_every_bond_has_an_ideal_length_near_the_ccd(residue):
    ccd = {str(a.atom_name): a.coord for a in info.residue(residue)}
    for first, second, ideal in ideal_bonds(residue):
        if first == "P" or second == "P":
            continue  # the CCD's ideal phosphate is protonated
        assert np.linalg.norm(ccd[first] - ccd[second]) == pytest.approx(ideal.value, abs=0.055), (first, second)


def test_unbonded_atoms_have_no_ideal_length():
    for pair in (("C1'", "N1"), ("N9", "N1"), ("O4'", "O3'")):
        with pytest.raises(KeyError, match="not bonded"):
            ideal_bond("A", *pair)


def test_ideal_lengths_are_those_of_natives(residues):
    off: dict[tuple[str, str], list[float]] = {}
    for letter, atoms in residues:
        for first, second, ideal in ideal_bonds(letter):
            if first in atoms and second in atoms:
                off.setdefault((first, second), []).append(
                    float(np.linalg.norm(atoms[first] - atoms[second])) - ideal.value
                )
    assert len(off) == 30  # 13 of the backbone with both C1'-N, 17 kinds of base bond
    for pair, values in off.items():
        assert abs(np.median(values)) < 0.02, pair


def test_handedness_of_natives(residues):
    wrong, seen = dict.fromkeys(CHIRAL_CENTRES, 0), 0
    for letter, atoms in residues:
        named = {"N" if name == GLYCOSIDIC_N[letter] else name: xyz for name, xyz in atoms.items()}
        for centre, neighbours in CHIRAL_CENTRES.items():
            if all(name in named for name in (centre, *neighbours)):
                a, b, c = (named[name] - named[centre] for name in neighbours)
                wrong[centre] += float(np.dot(a, np.cross(b, c))) < 0
                seen += 1
    assert seen > 300, "too few residues to say anything"
    assert sum(wrong[centre] for centre in SUGAR_CENTRES) == 0
    assert wrong["P"] <= 0.02 * len(residues)


@pytest.mark.parametrize("residue", RESIDUES)
def test_handedness_of_the_ccd_and_slots(residue):
    ccd = {str(a.atom_name): a.coord for a in info.residue(residue)}
    assert len(CHIRAL_SLOTS[residue]) == 4
    for slots in CHIRAL_SLOTS[residue]:
        x, a, b, c = (ccd[ATOMS[residue][slot]] for slot in slots)
        assert np.dot(a - x, np.cross(b - x, c - x)) > 2


def test_phosphate_angles_agree_with_each_other():
    """Spherical trigonometry: the offset and O-P-OP give O3'-P-OP and OP1-P-OP2 back."""
    bridge, side, turn = np.radians([BOND_ANGLES["O3'", "P", "O5'"].value, ANGLE_O_P_OP, OP_OFFSET])
    to_o3 = np.cos(bridge) * np.cos(side) + np.sin(bridge) * np.sin(side) * np.cos(turn)
    between = np.cos(side) ** 2 + np.sin(side) ** 2 * np.cos(2 * turn)
    assert np.degrees(np.arccos(to_o3)) == pytest.approx(ANGLE_O_P_OP, abs=0.05)
    assert np.degrees(np.arccos(between)) == pytest.approx(119.6, abs=0.05)


def test_op1_is_pro_s_and_sits_where_the_constants_say(residues):
    turns = []
    for (_, before), (_, here) in itertools.pairwise(residues):
        if not {"P", "OP1", "O5'"} <= here.keys() or np.linalg.norm(before["O3'"] - here["P"]) > 1.8:
            continue
        o3, o5, op1 = (here["P"] - x for x in (before["O3'"], here["O5'"], here["OP1"]))
        # priorities O3' > O5' > OP1 > OP2; counterclockwise seen against OP2 is S
        turns.append(float(np.dot(-o3, np.cross(-o5, -op1))) > 0)
    assert len(turns) > 60
    assert np.mean(turns) > 0.98
