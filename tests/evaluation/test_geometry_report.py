"""What a structure's own geometry says, on natives and on faults made by hand."""

import csv
import dataclasses

import numpy as np
import pytest

from rna_predict.chemistry.residues import BASE_N_SLOT, C1, C2, C3, C4, C5, MAX_ATOMS, O2, O3, O4, O5, OP1, SLOT
from rna_predict.contracts import Structure
from rna_predict.evaluation.bond_geometry import bond_geometry
from rna_predict.evaluation.clashes import clash_score, find_clashes
from rna_predict.evaluation.covalent import FAR, bonds_between
from rna_predict.evaluation.entanglement import count_pierced_rings, find_pierced_rings
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.evaluation.stereochemistry import base_flatness, count_inverted, count_nonplanar


def edited(structure: Structure, xyz_LA3: np.ndarray) -> Structure:
    return dataclasses.replace(structure, xyz_LA3=np.where(structure.mask_LA[..., None], xyz_LA3, 0.0))


def two_residues(first: Structure, i: int, second_A3: np.ndarray, letter: str) -> Structure:
    """Residue i of `first` and another one, far apart in number."""
    mask_A = first.mask_LA[first.sequence.index(letter)]
    xyz_LA3 = np.stack([first.xyz_LA3[i], np.where(mask_A[:, None], second_A3, 0.0)])
    return Structure(
        id="two",
        sequence=first.sequence[i] + letter,
        xyz_LA3=xyz_LA3,
        mask_LA=np.stack([first.mask_LA[i], mask_A]),
        number_L=np.array([1, 50]),
    )


@pytest.fixture(scope="module")
def xray_natives(shared_dir, native) -> list[Structure]:
    """Thirty chains from crystals at 2.5 Å or better, the first of each cluster."""
    chosen: dict[str, str] = {}
    with (shared_dir / "data" / "rna3d" / "index.csv").open() as file:
        for row in csv.DictReader(file):
            fine = row["resolution"] and float(row["resolution"]) <= 2.5 and int(row["length"]) <= 120
            if fine and row["method"].startswith("X-RAY"):
                chosen.setdefault(row["cluster80"], row["id"])
    return [native(name) for name in list(chosen.values())[:30]]


def test_natives_have_few_faults(xray_natives):
    reports = [geometry_report(structure) for structure in xray_natives]
    assert len(reports) == 30
    assert np.median([report.clash_score for report in reports]) < 5.0
    assert np.median([report.bonds.bonds_over_003 / report.bonds.bonds for report in reports]) < 0.02
    assert np.median([report.bonds.angle_outliers / report.bonds.angles for report in reports]) < 0.02
    # three deposited centres of 3,500 are the wrong way round: 1csl_B C15, 1et4_A C12, 1hq1_B C49
    assert sum(report.inverted for report in reports) <= 3
    assert sum(report.pierced for report in reports) == 0
    assert sum(report.nonplanar for report in reports) <= 5
    assert sum(report.bonds.breaks for report in reports) <= 3


def test_the_report_does_not_change_when_the_structure_is_moved(native, moved):
    structure = native("1ehz_A")
    here, there = geometry_report(structure), geometry_report(moved(structure, 5))
    assert here.bonds.bond_max == pytest.approx(there.bonds.bond_max, abs=1e-9)
    for name in ("clashes", "inverted", "pierced", "nonplanar", "atoms_missing"):
        assert getattr(here, name) == getattr(there, name)
    assert (here.bonds.breaks, here.bonds.angle_outliers) == (there.bonds.breaks, there.bonds.angle_outliers)


def test_disturbance_is_seen_in_clashes_bonds_and_angles(native, disturbed):
    reports = [geometry_report(disturbed(native("1ehz_A"), size)) for size in (0.5, 2.0, 6.0)]
    rows = np.array([(r.clashes, r.bonds.bonds_over_006, r.bonds.angle_outliers, r.nonplanar) for r in reports])
    assert (np.diff(rows, axis=0) > 0).all()


def test_a_torn_chain_is_one_break(native):
    structure = native("1ehz_A")
    before = bond_geometry(structure)
    xyz_LA3 = structure.xyz_LA3.copy()
    xyz_LA3[40:] += np.array([0.0, 0.0, 40.0])
    after = bond_geometry(edited(structure, xyz_LA3))
    assert (before.links, before.breaks) == (75, 0)
    assert (after.breaks, after.break_share) == (1, pytest.approx(1 / 75))
    assert after.bond_max is not None
    assert after.bond_max > 30.0


def test_a_gap_in_the_numbers_is_no_break_and_a_missing_phosphate_is_left_out(native):
    structure = native("1ehz_A")
    keep = np.r_[0:16, 20:76]
    part = Structure(
        id="gap",
        sequence="".join(np.array(list(structure.sequence))[keep]),
        xyz_LA3=structure.xyz_LA3[keep],
        mask_LA=structure.mask_LA[keep],
        number_L=structure.number_L[keep],
    )
    assert (bond_geometry(part).links, bond_geometry(part).breaks) == (70, 0)
    mask_LA = structure.mask_LA.copy()
    mask_LA[30, 0] = False
    bare = bond_geometry(dataclasses.replace(structure, mask_LA=mask_LA))
    assert (bare.links, bare.links_left_out, bare.breaks) == (74, 1, 0)


def test_a_stretched_base_bond_is_found(native):
    structure = native("1duh_A")
    k = structure.sequence.index("G")
    n2, c2 = SLOT["G"]["N2"], SLOT["G"]["C2"]
    xyz_LA3 = structure.xyz_LA3.copy()
    outward = xyz_LA3[k, n2] - xyz_LA3[k, c2]
    xyz_LA3[k, n2] += 0.5 * outward / np.linalg.norm(outward)
    assert bond_geometry(edited(structure, xyz_LA3)).bond_max == pytest.approx(0.5, abs=0.05)


def test_one_overlap_is_one_clash(native):
    structure = native("1ehz_A")
    uridine = structure.sequence.index("U")
    base_A3 = structure.xyz_LA3[uridine]
    shift = structure.xyz_LA3[30, OP1] - base_A3[SLOT["U"]["C5"]]
    direction = structure.xyz_LA3[30, OP1] - structure.xyz_LA3[30, 0]
    direction /= np.linalg.norm(direction)
    found = {}
    for gap in (2.0, 2.7, 3.2):  # C and O touch at 3.22 Å and clash below 2.82 Å
        pair = two_residues(structure, 30, base_A3 + shift + gap * direction, "U")
        hits = {tuple(hit) for hit in find_clashes(pair).tolist()}
        found[gap] = (OP1, MAX_ATOMS + SLOT["U"]["C5"]) in hits
    assert found == {2.0: True, 2.7: True, 3.2: False}


def test_a_hydrogen_bond_may_be_closer_than_a_contact_without_one(native):
    structure = native("1ehz_A")
    uridine = structure.sequence.index("U")
    base_A3 = structure.xyz_LA3[uridine]
    direction = structure.xyz_LA3[30, OP1] - structure.xyz_LA3[30, 0]
    direction /= np.linalg.norm(direction)
    clash = {}
    for atom in ("N3", "O4"):  # a donor, and an acceptor that OP1 cannot bind to
        shift = structure.xyz_LA3[30, OP1] - base_A3[SLOT["U"][atom]]
        pair = two_residues(structure, 30, base_A3 + shift + 2.5 * direction, "U")
        clash[atom] = [OP1, MAX_ATOMS + SLOT["U"][atom]] in find_clashes(pair).tolist()
    assert clash == {"N3": False, "O4": True}


def test_neighbours_by_bonds_never_clash(native):
    structure = native("1ehz_A")
    flat = np.arange(2 * MAX_ATOMS)
    i, j = (grid.ravel() for grid in np.meshgrid(flat[:MAX_ATOMS], flat[MAX_ATOMS:], indexing="ij"))
    count = bonds_between(structure, i, j).reshape(MAX_ATOMS, MAX_ATOMS)
    assert (count[8, 0], count[7, 0], count[8, O5], count[3, 0]) == (1, 2, 2, 5)  # O3'-P, C3'-P, O3'-O5', O5'-P
    apart = dataclasses.replace(structure, number_L=structure.number_L + 5 * (np.arange(76) > 0))
    assert (bonds_between(apart, i, j) == FAR).all()
    assert bonds_between(structure, np.array([C1]), np.array([BASE_N_SLOT]))[0] == 1
    assert clash_score(structure) is not None


@pytest.mark.parametrize("name", ["1ehz_A", "17ra_A"])
def test_a_mirror_image_has_all_sugar_centres_inverted(native, mirrored, name):
    structure = native(name)
    assert count_inverted(structure) == 0
    assert count_inverted(mirrored(structure)) == 4 * structure.length
    assert geometry_report(mirrored(structure)).inverted == 4 * structure.length


@pytest.mark.parametrize(
    ("moving", "plane"), [(O2, (C2, C1, C3)), (BASE_N_SLOT, (C1, O4, C2)), (C5, (C4, O4, C3)), (O3, (C3, C2, C4))]
)
def test_an_atom_reflected_at_its_ring_inverts_one_centre(native, moving, plane):
    structure = native("1ehz_A")
    xyz_LA3 = structure.xyz_LA3.copy()
    origin, a, b = (xyz_LA3[9, slot] for slot in plane)
    normal = np.cross(a - origin, b - origin)
    normal /= np.linalg.norm(normal)
    xyz_LA3[9, moving] -= 2 * ((xyz_LA3[9, moving] - origin) @ normal) * normal
    assert count_inverted(edited(structure, xyz_LA3)) == 1


@pytest.mark.parametrize("off_center", [False, True])
@pytest.mark.parametrize("ring", [0, 1, 2])
def test_a_bond_put_through_a_ring_is_found(native, ring, off_center):
    structure = native("1ehz_A")
    k = structure.sequence.index("A")
    corners = [[11, 9, 7, 5, 6], [12, 13, 14, 15, 21], [21, 15, 16, 18, 19, 20]][ring]
    corner_N3 = structure.xyz_LA3[k, corners]
    center = corner_N3.mean(axis=0)
    normal = np.linalg.svd(corner_N3 - center)[2][2]
    if off_center:
        center = (center + corner_N3[-1] + corner_N3[0]) / 3
    u = structure.sequence.index("U")
    base_A3 = structure.xyz_LA3[u] - structure.xyz_LA3[u, [C1, BASE_N_SLOT]].mean(axis=0)
    bond = base_A3[BASE_N_SLOT] - base_A3[C1]
    rotation = rotation_onto(bond / np.linalg.norm(bond), normal)
    through = two_residues(structure, k, base_A3 @ rotation.T + center, "U")
    hits = [hit for hit in find_pierced_rings(through) if hit.residue == 0]
    assert [(hit.ring, hit.by_residue) for hit in hits if hit.ring == ring] == [(ring, 1)]
    assert geometry_report(through).pierced == count_pierced_rings(through) >= 1
    beside = two_residues(structure, k, base_A3 @ rotation.T + center + 12.0 * normal, "U")
    assert count_pierced_rings(beside) == 0


def rotation_onto(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rotation that turns unit vector a onto b."""
    v, c = np.cross(a, b), a @ b
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + c)


def test_a_buckled_base_is_not_planar(native):
    structure = native("1duh_A")
    k = structure.sequence.index("C")
    slots = slice(BASE_N_SLOT, BASE_N_SLOT + 8)
    normal = np.linalg.svd(structure.xyz_LA3[k, slots] - structure.xyz_LA3[k, slots].mean(axis=0))[2][2]
    xyz_LA3 = structure.xyz_LA3.copy()
    xyz_LA3[k, SLOT["C"]["N4"]] += 0.8 * normal
    before, after = base_flatness(structure)[0], base_flatness(edited(structure, xyz_LA3))[0]
    assert before[k] < 0.03
    assert after[k] > 0.1
    assert count_nonplanar(edited(structure, xyz_LA3)) == count_nonplanar(structure) + 1


def test_missing_atoms_are_counted_and_do_not_stop_the_report(native):
    structure = native("17ra_A")
    mask_LA = structure.mask_LA & (np.arange(MAX_ATOMS) == C3)
    report = geometry_report(dataclasses.replace(structure, mask_LA=mask_LA))
    assert (report.atoms, report.clashes, report.bonds.bonds, report.bonds.bond_max) == (21, 0, 0, None)
    assert report.centers_left_out == 4 * 21
    assert report.bonds.links_left_out == 20
