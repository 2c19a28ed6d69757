"""`rna-predict relax`: any model to any of the formats, B-factors and provenance kept."""

import dataclasses
import json

import numpy as np
import pytest

from rna_predict.cli.fold_paths import a_form
from rna_predict.contracts import RnaSequence
from rna_predict.formats.models import write_ensemble
from rna_predict.formats.pdb import write_pdb
from rna_predict.formats.structure import read_structure
from rna_predict.formats.structure_file import read_b_factors, write_structure

pytest.importorskip("openmm")

HAIRPIN = RnaSequence(id="hairpin", sequence="GGGCUUCG")


@pytest.fixture
def model(tmp_path):
    """A single A-form strand with a B-factor of its own for each atom."""
    path = tmp_path / "in" / "hairpin.pdb"
    path.parent.mkdir()
    strand = a_form(HAIRPIN)
    b_LA = np.where(strand.mask_LA, np.arange(strand.mask_LA.size).reshape(strand.mask_LA.shape) % 90 + 5.25, 0.0)
    write_pdb(strand, path, b_LA)
    return path


def test_a_pdb_file_is_relaxed_into_a_file_or_a_folder(run, model, tmp_path):
    result = run("relax", model, tmp_path / "out.pdb", "--solvent", "none")
    assert result.code == 0, result.err
    figures = json.loads(result.out.splitlines()[-1])
    assert figures["relaxed"] is True
    assert figures["energy_after"] < figures["energy_before"]
    assert "hairpin: relaxed by" in result.err
    given, found = read_structure(model), read_structure(tmp_path / "out.pdb", id="hairpin")
    assert 0.01 < np.abs(found.xyz_LA3 - given.xyz_LA3).max() < 3
    assert (read_b_factors(tmp_path / "out.pdb", found) == read_b_factors(model, given)).all()
    remarks = [line[11:] for line in (tmp_path / "out.pdb").read_text().splitlines() if line.startswith("REMARK")]
    assert " ".join(remarks).startswith("relaxed by ")

    assert run("relax", model, tmp_path / "folder", "--solvent", "none").code == 0
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["hairpin.cif", "hairpin.pdb"]
    cif = tmp_path / "folder" / "hairpin.cif"
    assert read_structure(cif).xyz_LA3 == pytest.approx(found.xyz_LA3, abs=1e-3)
    assert (read_b_factors(cif, read_structure(cif)) == read_b_factors(model, given)).all()
    assert "relaxed by" in cif.read_text()


def test_an_ensemble_s_best_model_is_written_as_export_does(run, lattice_ensemble, tmp_path):
    given = lattice_ensemble(HAIRPIN)
    strand = a_form(HAIRPIN)
    best = dataclasses.replace(given.models[0], xyz_LA3=strand.xyz_LA3.astype(np.float32))
    given = dataclasses.replace(given, models=(best, given.models[1]))
    write_ensemble(given, tmp_path / "d_models.cif", tmp_path / "d_confidence.json")
    words = ("--confidence", tmp_path / "d_confidence.json", "--solvent", "none")
    result = run("relax", tmp_path / "d_models.cif", tmp_path / "relaxed", *words)
    assert result.code == 0, result.err
    pdb, cif = (tmp_path / "relaxed" / f"hairpin.{ending}" for ending in ("pdb", "cif"))
    found = read_structure(pdb)
    assert read_structure(cif).xyz_LA3 == pytest.approx(found.xyz_LA3, abs=1e-3)
    assert np.abs(found.xyz_LA3 - strand.xyz_LA3).max() > 0.01
    assert set(read_b_factors(pdb, found)[found.mask_LA]) == {50.0}
    assert "lattice; relaxed by" in cif.read_text()
    assert "REMARK   1 relaxed by" in pdb.read_text()


def test_a_model_that_cannot_be_relaxed_is_written_as_it_was(run, model, tmp_path):
    structure = read_structure(model)
    mask_LA = structure.mask_LA.copy()
    mask_LA[3, 5] = False
    lacking = dataclasses.replace(structure, mask_LA=mask_LA, xyz_LA3=structure.xyz_LA3 * mask_LA[..., None])
    write_pdb(lacking, model, np.full(mask_LA.shape, 12.5))
    result = run("relax", model, tmp_path / "out.cif")
    assert result.code == 0
    assert "WARNING" in result.err
    assert "not relaxed: hairpin: C 4 lacks C4'" in result.err
    assert json.loads(result.out.splitlines()[-1])["relaxed"] is False
    found = read_structure(tmp_path / "out.cif", id="hairpin")
    assert found.xyz_LA3 == pytest.approx(lacking.xyz_LA3, abs=1e-3)


def test_wrong_files_and_settings_are_refused(run, model, tmp_path):
    (tmp_path / "x.txt").write_text("")
    for words, said in (
        ((tmp_path / "no.pdb", tmp_path / "o.pdb"), "no such file"),
        ((model, tmp_path / "x.txt"), "ends in none of"),
        ((model, tmp_path / "o.pdb", "--solvent", "water"), "'water' is not one of"),
    ):
        result = run("relax", *words)
        assert result.code == 2
        assert said in result.err


def test_other_endings_are_no_structure_files(tmp_path):
    from rna_predict.errors import InputError

    strand = a_form(HAIRPIN)
    with pytest.raises(InputError, match=r"ends in neither \.pdb"):
        write_structure(strand, tmp_path / "x.xyz", np.zeros(strand.mask_LA.shape))
    foreign = dataclasses.replace(strand, number_L=strand.number_L + 100)
    write_pdb(strand, tmp_path / "x.pdb")
    with pytest.raises(InputError, match="made anew"):
        read_b_factors(tmp_path / "x.pdb", foreign)
