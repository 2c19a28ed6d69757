"""RMSD, TM-score and lDDT against other programs, and what each does to moved, mirrored and disturbed models."""

import dataclasses
import shutil
import subprocess

import numpy as np
import pytest

from rna_predict.chemistry.residues import C1, C3
from rna_predict.contracts import Structure
from rna_predict.errors import InputError
from rna_predict.evaluation.correspondence import common, shared_atoms
from rna_predict.evaluation.lddt import lddt
from rna_predict.evaluation.superposition import fit, rmsd
from rna_predict.evaluation.tm_score import d0_rna, tm_score

TM_ORACLE = {
    ("17ra_A", 2.0): (0.3663, 0.3287),
    ("17ra_A", 6.0): (0.1568, 0.1722),
    ("1duh_A", 6.0): (0.4417, 0.4264),
    ("1ehz_A", 6.0): (0.5957, 0.6049),
    ("1ehz_A", 15.0): (0.2679, 0.2892),
    ("1nbs_B", 15.0): (0.4861, 0.4747),
    ("3igi_A", 15.0): (0.7319, 0.7333),
}
"""TM-scores (C3', C1') that the program TMscore (tm-align 20190822) gave with `-d <RNA d0>` for these disturbances."""


def pair(model: Structure, native: Structure):
    return shared_atoms(model, native, common(model, native))


def atom_array(structure: Structure):
    import biotite.structure as struc

    residue_N, slot_N = np.nonzero(structure.mask_LA)
    array = struc.AtomArray(len(residue_N))
    array.coord = structure.xyz_LA3[residue_N, slot_N].astype(np.float32)
    array.res_id = structure.number_L[residue_N]
    array.chain_id[:] = "A"
    return array


@pytest.mark.parametrize(("name", "size"), TM_ORACLE)
def test_tm_score_equals_the_stored_values_of_tmscore(native, disturbed, name, size):
    atoms = pair(disturbed(native(name), size), native(name))
    assert tm_score(atoms, "C3'") == pytest.approx(TM_ORACLE[name, size][0], abs=3e-4)
    assert tm_score(atoms, "C1'") == pytest.approx(TM_ORACLE[name, size][1], abs=3e-4)


@pytest.mark.skipif(shutil.which("TMscore") is None, reason="the program TMscore (Debian tm-align) is not installed")
@pytest.mark.parametrize("slot", [C3, C1])
@pytest.mark.parametrize("model_name", ["mirror", "disturbed", "2tra_A"])
def test_tm_score_equals_tmscore_where_it_is_installed(native, disturbed, mirrored, tmp_path, slot, model_name):
    target = native("1ehz_A")
    model = {"mirror": mirrored(target), "disturbed": disturbed(target, 9.0)}.get(model_name) or native(model_name)
    size = min(model.length, target.length)
    for name, structure in (("model", model), ("native", target)):
        lines = []
        for k in range(size):
            x, y, z = structure.xyz_LA3[k, slot]
            lines.append(f"ATOM  {k + 1:5d}  CA  GLY A{k + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C\n")
        (tmp_path / f"{name}.pdb").write_text("".join(lines) + "TER\n")
    files = [str(tmp_path / "model.pdb"), str(tmp_path / "native.pdb")]
    output = subprocess.run(
        ["TMscore", *files, "-d", f"{d0_rna(size):.6f}"], capture_output=True, text=True, check=True
    )
    expected = next(float(line.split()[2]) for line in output.stdout.splitlines() if line.startswith("TM-score"))
    atoms = pair(target, target)
    trimmed = dataclasses.replace(
        atoms,
        model_LA3=model.xyz_LA3[:size],
        native_LA3=target.xyz_LA3[:size],
        native_mask_LA=target.mask_LA[:size],
        mask_LA=atoms.mask_LA[:size] & np.eye(23, dtype=bool)[slot],
    )
    assert tm_score(trimmed, "C3'" if slot == C3 else "C1'") == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("length", "d0"), [(11, 0.3), (12, 0.4), (16, 0.5), (20, 0.6), (29, 0.7), (30, 0.7588), (76, 2.7134)]
)
def test_d0_follows_the_rna_formula_and_its_steps(length, d0):
    assert d0_rna(length) == pytest.approx(d0, abs=1e-4)


@pytest.mark.parametrize("name", ["17ra_A", "1ehz_A", "1nbs_B"])
def test_rmsd_and_lddt_equal_those_of_biotite(native, disturbed, name):
    import biotite.structure as struc

    target = native(name)
    model = disturbed(target, 4.0)
    atoms = pair(model, target)
    reference, subject = atom_array(target), atom_array(model)
    fitted, _ = struc.superimpose(reference, subject)
    assert rmsd(atoms) == pytest.approx(float(struc.rmsd(reference, fitted)), abs=1e-3)
    result = lddt(atoms)
    assert result.value == pytest.approx(float(struc.lddt(reference, subject)), abs=1e-3)
    by_residue = struc.lddt(reference, subject, aggregation="residue")
    np.testing.assert_allclose(result.residue_L, by_residue, atol=2e-3)
    assert result.defined_L.all()


def test_a_model_equal_to_its_native_is_perfect_wherever_it_lies(native, moved):
    target = native("1ehz_A")
    atoms = pair(moved(target, 1), target)
    assert rmsd(atoms) == pytest.approx(0.0, abs=1e-9)
    assert tm_score(atoms, "C3'") == pytest.approx(1.0, abs=1e-12)
    assert lddt(atoms).value == pytest.approx(1.0, abs=1e-12)


def test_measures_do_not_change_when_the_model_is_moved(native, disturbed, moved):
    target = native("1duh_A")
    model = disturbed(target, 5.0)
    here, there = pair(model, target), pair(moved(model, 4), target)
    assert rmsd(here) == pytest.approx(rmsd(there), abs=1e-9)
    assert tm_score(here) == pytest.approx(tm_score(there), abs=1e-6)
    assert lddt(here).value == pytest.approx(lddt(there).value, abs=1e-6)


def test_a_mirror_image_is_bad_by_tm_score_and_rmsd_but_not_by_lddt(native, mirrored):
    target = native("1ehz_A")
    atoms = pair(mirrored(target), target)
    assert tm_score(atoms) < 0.4
    assert rmsd(atoms) > 5.0
    assert lddt(atoms).value == pytest.approx(1.0, abs=1e-12)


def test_more_disturbance_is_worse_by_every_measure(native, disturbed):
    target = native("1ehz_A")
    rows = []
    for size in (0.5, 2.0, 5.0, 12.0):
        atoms = pair(disturbed(target, size), target)
        rows.append((rmsd(atoms), -tm_score(atoms), -tm_score(atoms, "C1'"), -(lddt(atoms).value or 0)))
    assert (np.diff(np.array(rows), axis=0) > 0).all()


def test_residues_that_the_model_lacks_count_as_lost(native):
    target = native("1ehz_A")
    keep = np.arange(38)
    half = Structure(
        id="half",
        sequence=target.sequence[:38],
        xyz_LA3=target.xyz_LA3[keep],
        mask_LA=target.mask_LA[keep],
        number_L=target.number_L[keep],
    )
    atoms = pair(half, target)
    assert tm_score(atoms) == pytest.approx(0.5, abs=1e-9)
    assert 0.2 < (lddt(atoms).value or 0) < 0.5
    assert (lddt(atoms).residue_L[60:] < 0.4).all()


def test_an_atom_that_the_model_lacks_keeps_no_distance_even_where_its_native_lies_at_the_origin(native):
    target = native("1duh_A")
    shifted = dataclasses.replace(
        target, xyz_LA3=np.where(target.mask_LA[..., None], target.xyz_LA3 - target.xyz_LA3[20, C1], 0.0)
    )
    mask_LA = shifted.mask_LA.copy()
    mask_LA[20, C1] = False
    result = lddt(pair(dataclasses.replace(shifted, mask_LA=mask_LA), shifted))
    assert result.value is not None
    assert result.value < 0.9999
    assert np.argmin(result.residue_L) == 20


def test_far_coordinates_end_and_two_atoms_are_refused(native):
    target = native("1ehz_A")
    xyz_LA3 = target.xyz_LA3 * np.linspace(1, 1e6, target.length)[:, None, None]
    wild = dataclasses.replace(target, xyz_LA3=np.where(target.mask_LA[..., None], xyz_LA3, 0.0))
    assert 0.0 < tm_score(pair(wild, target)) < 0.3
    few = dataclasses.replace(target, mask_LA=target.mask_LA & (np.arange(target.length) < 2)[:, None])
    with pytest.raises(InputError, match="needs three"):
        tm_score(pair(target, few))


def test_fit_never_reflects():
    points = np.random.default_rng(2).normal(size=(9, 3))
    rotation, _ = fit(points * np.array([-1.0, 1.0, 1.0]), points, np.ones((1, 9)))
    assert np.linalg.det(rotation[0]) == pytest.approx(1.0)
