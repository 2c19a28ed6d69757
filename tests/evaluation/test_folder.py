"""Folders: what fails is named and counted, and never averaged in."""

import dataclasses
import json
import shutil
import subprocess
import sys

import gemmi
import numpy as np
import pytest

from rna_predict.errors import InputError
from rna_predict.evaluation.folder import MEASURES, SCORED, evaluate_folders, structure_files, summarise
from rna_predict.evaluation.scores import score
from rna_predict.formats.pdb import write_pdb

NAMES = ("17ra_A", "1duh_A", "1ehz_A")


@pytest.fixture
def folders(tmp_path, chains_dir):
    predictions, natives = tmp_path / "preds", tmp_path / "natives"
    predictions.mkdir()
    natives.mkdir()
    for name in NAMES:
        shutil.copy(chains_dir / f"{name}.pdb.gz", natives)
    return predictions, natives


def test_each_fault_has_its_status_and_only_scored_rows_are_averaged(folders, native, disturbed):
    predictions, natives = folders
    write_pdb(disturbed(native("17ra_A"), 1.0), predictions / "17ra_A.pdb")
    write_pdb(native("1duh_A"), predictions / "1ehz_A.pdb")
    (predictions / "1duh_A.pdb").write_text("<html><body>404 not found</body></html>\n")
    (predictions / "orphan.pdb").write_text("ATOM\n")
    (natives / "broken.cif").write_text("data_broken\nloop_\n")
    write_pdb(native("1duh_A"), predictions / "broken.pdb")
    shutil.copy(natives / "17ra_A.pdb.gz", natives / "absent.pdb.gz")
    rows, figures = evaluate_folders(predictions, natives)
    assert {row["id"]: row["status"] for row in rows} == {
        "17ra_A": SCORED,
        "1duh_A": "unreadable_prediction",
        "1ehz_A": "contradiction",
        "absent": "missing_prediction",
        "broken": "unreadable_native",
        "orphan": "no_native",
    }
    assert (figures["targets"], figures[SCORED], figures["tm_c3_n"]) == (6, 1, 1)
    for row in rows:
        if row["status"] == SCORED:
            assert figures["tm_c3"] == row["tm_c3"]
            assert figures["lddt"] == row["lddt"]
        else:
            assert row["reason"]
            assert all(row[measure] is None for measure in MEASURES)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    json.dumps(rows, allow_nan=False)


def test_an_undefined_measure_is_left_out_of_its_mean_and_counted(native, disturbed):
    from rna_predict.evaluation.folder import score_row

    target = native("1duh_A")
    row = score_row(score(disturbed(target, 2.0), target))
    without = row | {"id": "no_pairs", "inf_nwc": None, "tm_c3": 0.25}
    failed = row | {"id": "failed", "status": "missing_prediction", "tm_c3": -1.0, "inf_nwc": -1.0}
    figures = summarise([row, without, failed])
    assert figures["inf_nwc"] == row["inf_nwc"]
    assert (figures["inf_nwc_n"], figures["tm_c3_n"]) == (1, 2)
    assert figures["tm_c3"] == pytest.approx((row["tm_c3"] + 0.25) / 2)
    assert figures["tm_c3_median"] == pytest.approx((row["tm_c3"] + 0.25) / 2)
    nothing = summarise([failed])
    assert (nothing["tm_c3"], nothing["tm_c3_median"], nothing["tm_c3_n"]) == (None, None, 0)


def test_natives_with_several_chains_need_a_name(folders, native, chains_dir):
    predictions, natives = folders
    write_pdb(native("17ra_A"), predictions / "complex.pdb")
    both = gemmi.read_structure(str(chains_dir / "17ra_A.pdb.gz"))
    other = gemmi.read_structure(str(chains_dir / "1duh_A.pdb.gz"))[0][0]
    other.name = "B"
    both[0].add_chain(other)
    both.write_pdb(str(natives / "complex.pdb"))
    rows, _ = evaluate_folders(predictions, natives, ids=["complex"])
    assert rows[0]["status"] == "unreadable_native"
    assert "several RNA chains" in str(rows[0]["reason"])
    rows, figures = evaluate_folders(predictions, natives, chains={"complex": "A"}, ids=["complex"])
    assert (rows[0]["status"], figures["targets"]) == (SCORED, 1)
    assert rows[0]["rmsd"] == pytest.approx(0.0, abs=1e-6)


def test_the_pdb_is_taken_before_the_cif_and_the_plain_file_before_the_packed(tmp_path):
    for name in ("a.cif", "a.pdb.gz", "a.pdb", "b.cif.gz", "c.txt", "d.json", "e.ent"):
        (tmp_path / name).touch()
    assert {id: path.name for id, path in structure_files(tmp_path).items()} == {
        "a": "a.pdb",
        "b": "b.cif.gz",
        "e": "e.ent",
    }


def test_a_missing_or_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        evaluate_folders(tmp_path / "nowhere", tmp_path)
    with pytest.raises(InputError, match="no structure file"):
        evaluate_folders(tmp_path, tmp_path)


def test_scores_hold_every_measure_and_a_lone_residue_has_none_that_needs_three(native):
    target = native("1ehz_A")
    scores = score(target, target)
    assert (scores.tm_c3, scores.tm_c1, scores.lddt, scores.inf_all, scores.pair_f1) == (
        pytest.approx(1.0),
        pytest.approx(1.0),
        1.0,
        1.0,
        1.0,
    )
    assert (scores.rmsd, scores.mcq) == (pytest.approx(0.0, abs=1e-9), pytest.approx(0.0, abs=1e-6))
    lone = dataclasses.replace(
        target,
        sequence=target.sequence[:1],
        xyz_LA3=target.xyz_LA3[:1],
        mask_LA=target.mask_LA[:1],
        number_L=np.array([1]),
    )
    alone = score(lone, lone)
    assert (alone.tm_c3, alone.lddt, alone.inf_wc, alone.di, alone.pair_f1) == (None, None, None, None, None)
    assert alone.rmsd == pytest.approx(0.0, abs=1e-9)


def test_a_collapsed_model_scores_badly_and_holds_no_nan(folders, native):
    predictions, natives = folders
    target = native("17ra_A")
    flat = dataclasses.replace(target, xyz_LA3=target.mask_LA[..., None] * np.ones(3))
    write_pdb(flat, predictions / "17ra_A.pdb")
    rows, _ = evaluate_folders(predictions, natives, ids=["17ra_A"])
    assert (rows[0]["status"], rows[0]["inf_all"], rows[0]["inf_stacking"]) == (SCORED, 0.0, 0.0)
    assert float(rows[0]["tm_c3"] or 0) < 0.1
    assert float(rows[0]["clash"] or 0) > 1e5
    json.dumps(rows, allow_nan=False)


def test_evaluation_needs_no_torch():
    code = "import sys, rna_predict.evaluation.folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
