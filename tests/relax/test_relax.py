"""Relaxing a real RNA: better geometry, the same fold; and the prediction as it was where that fails."""

import dataclasses
import random

import numpy as np
import pytest

from rna_predict.chemistry.residues import C4, C5, O5, OP1, OP2, P
from rna_predict.contracts.structure import whole_structure
from rna_predict.errors import ConfigError
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.formats.structure import read_structure
from rna_predict.relax import stage
from rna_predict.relax.config import RelaxConfig
from rna_predict.relax.minimise import minimise, openmm_version
from rna_predict.relax.molecule import molecule_of
from rna_predict.relax.stage import relax

openmm = pytest.importorskip("openmm")

QUICK = RelaxConfig(solvent="none")


@pytest.fixture(scope="module")
def relaxed(rough):
    return relax(rough, QUICK)


def test_a_rough_model_becomes_a_molecule_and_keeps_its_fold(rough, relaxed):
    before, after = geometry_report(rough), geometry_report(relaxed.structure)
    assert relaxed.kept == ""
    assert before.bonds.bonds_over_006 > 150
    assert after.bonds.bonds_over_006 == 0
    assert after.bonds.breaks == 0
    assert after.clashes <= before.clashes
    assert after.inverted == 0
    assert 0.05 < relaxed.moved < 0.5
    assert relaxed.energies[1] < relaxed.energies[0] - 1000
    assert relaxed.before.pairs <= relaxed.after.pairs
    assert relaxed.how.startswith(
        f"relaxed by {relaxed.moved:.2f} A: AMBER OL3, no charges, restraints of 5 kcal/mol/A^2"
    )
    assert relaxed.how.isascii()


def test_what_is_not_coordinates_stays(rough, relaxed):
    found = relaxed.structure
    assert (found.id, found.sequence) == (rough.id, rough.sequence)
    assert (found.number_L == rough.number_L).all()
    assert (found.mask_LA == rough.mask_LA).all()
    assert (found.xyz_LA3[~rough.mask_LA] == 0).all()


def test_it_is_the_same_each_time_and_leaves_the_random_numbers_alone(rough, relaxed):
    random.seed(5)
    expected = random.random()
    random.seed(5)
    again = relax(rough, QUICK)
    assert again.structure.xyz_LA3 == pytest.approx(relaxed.structure.xyz_LA3, abs=1e-6)
    assert random.random() == expected


def test_the_5_phosphate_and_what_it_hangs_on_stand_still_and_nothing_runs_into_them(chains_dir):
    native = read_structure(chains_dir / "1l2x_A.pdb.gz")
    whole = native.mask_LA[0, [P, OP1, OP2]].all()
    strand = native if whole else _from_second(native)
    found = relax(strand, QUICK)
    slots = [P, OP1, OP2, O5, C5, C4]
    moved = molecule_of(strand).with_positions(minimise(molecule_of(strand), QUICK).nm_N3)
    assert moved.xyz_LA3[0, slots] == pytest.approx(strand.xyz_LA3[0, slots], abs=1e-5)
    assert found.after.geometry.bonds.breaks == 0
    assert found.after.geometry.clashes <= found.before.geometry.clashes


def _from_second(native):
    return dataclasses.replace(
        native,
        sequence=native.sequence[1:],
        xyz_LA3=native.xyz_LA3[1:],
        mask_LA=native.mask_LA[1:],
        number_L=native.number_L[1:],
    )


def test_an_obstacle_keeps_other_atoms_away():
    """Two strands: an atom of the second is put 2 Å from the phosphate that waits outside."""
    from rna_predict.cli.fold_paths import a_form
    from rna_predict.contracts import RnaSequence

    one = a_form(RnaSequence(id="x", sequence="GA"))
    other = a_form(RnaSequence(id="x", sequence="CC"))
    shift = one.xyz_LA3[0, OP1] + [0, 0, 2.2] - other.xyz_LA3[1, 16]
    xyz_LA3 = np.concatenate([one.xyz_LA3, np.where(other.mask_LA[..., None], other.xyz_LA3 + shift, 0.0)])
    two = whole_structure("x", "GACC", xyz_LA3)
    two = dataclasses.replace(two, number_L=np.array([1, 2, 11, 12]))
    molecule = molecule_of(two)
    assert {residue for residue, _ in molecule.outside} == {0, 2}
    moved = molecule.with_positions(minimise(molecule, QUICK).nm_N3)
    gap = np.linalg.norm(moved.xyz_LA3[3, 16] - moved.xyz_LA3[0, OP1])
    assert gap > 2.6


@pytest.mark.parametrize("solvent", ["vacuum", "obc2"])
def test_charges_and_water_are_there_when_they_are_asked_for(native, solvent):
    found = minimise(molecule_of(native), RelaxConfig(solvent=solvent, iterations=2))
    without = minimise(molecule_of(native), RelaxConfig(solvent="none", iterations=2))
    assert found.energy_before < without.energy_before - 1000
    assert found.stopped


def test_a_rough_start_does_not_stick_in_the_solvent(chains_dir):
    """Straight into charges the minimiser gives up on this one before its first step (125,804 kJ/mol of 141,750)."""
    native = read_structure(chains_dir / "1i6u_D.pdb.gz")
    rng = np.random.default_rng(0)
    rng.normal(size=native.xyz_LA3.shape)
    noise = rng.normal(0, 0.2, native.xyz_LA3.shape) * native.mask_LA[..., None]
    rough = dataclasses.replace(native, xyz_LA3=native.xyz_LA3 + noise)
    found = minimise(molecule_of(rough), RelaxConfig(solvent="vacuum"))
    assert found.energy_before > 100_000
    assert found.energy_after < 0


def test_the_clock_stops_the_minimiser(rough):
    found = minimise(molecule_of(rough), RelaxConfig(solvent="none", seconds=1e-9, iterations=10000))
    assert found.stopped
    assert np.isfinite(found.nm_N3).all()
    assert not minimise(molecule_of(rough), RelaxConfig(solvent="none", iterations=5000)).stopped


def test_a_result_that_is_worse_is_not_taken(rough, monkeypatch):
    monkeypatch.setattr(stage, "worsened", lambda before, after: "clashes: 1 before, 2 after")
    found = relax(rough, QUICK)
    assert found.structure is rough
    assert found.kept == "clashes: 1 before, 2 after"
    assert found.how == "not relaxed, as it would be worse: clashes: 1 before, 2 after"
    assert found.moved > 0


def test_what_openmm_cannot_take_is_kept_with_its_reason(native, monkeypatch):
    mask_LA = native.mask_LA.copy()
    mask_LA[4, O5] = False
    lacking = dataclasses.replace(native, mask_LA=mask_LA, xyz_LA3=native.xyz_LA3 * mask_LA[..., None])
    found = relax(lacking, QUICK)
    assert found.structure is lacking
    assert "lacks O5'" in found.kept
    assert found.how.startswith("not relaxed: ")

    def fail(*_, **__):
        raise openmm.OpenMMException("out of luck")

    monkeypatch.setattr(openmm, "Context", fail)
    found = relax(native, QUICK)
    assert found.structure is native
    assert "OpenMM: out of luck" in found.kept


def test_without_openmm_the_remedy_is_named(native, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(ConfigError, match=r"pip install 'rna-predict\[relax\]'"):
        relax(native, QUICK)
    monkeypatch.undo()
    assert openmm_version() == openmm.__version__
