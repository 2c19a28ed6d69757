"""Fault 30: the same result with one thread and two, and a manifest in which one lost byte is found."""

import json

import pytest

from .killed import child, ended


def test_fault_30_threads(predicted, command, tmp_path):
    """Two threads may sum in another order: coordinates agree to 0.05 Å, sequence and pairs are the same."""
    import numpy as np

    from rna_predict.formats.structure import read_structure

    assert ended(child([*command, "--threads", "2"])) == 0
    one, two = read_structure(predicted / "hairpin.pdb"), read_structure(tmp_path / "out" / "hairpin.pdb")
    assert one.sequence == two.sequence
    assert np.abs(one.xyz_LA3 - two.xyz_LA3).max() < 0.05


@pytest.fixture
def copied(predicted, tmp_path):
    """The results of a prediction, to be damaged."""
    import shutil

    return shutil.copytree(predicted, tmp_path / "results")


def test_fault_30_undamaged_results_verify(run, copied):
    result = run("verify", copied)
    assert result.code == 0
    assert "all 4 files are as stated" in result.err
    assert set(json.loads((copied / "manifest.json").read_text())["files"]) == {
        "hairpin.pdb",
        "hairpin.cif",
        "hairpin.json",
        "status.tsv",
    }


@pytest.mark.parametrize("name", ["hairpin.pdb", "hairpin.cif", "hairpin.json", "status.tsv", "manifest.json"])
@pytest.mark.parametrize("where", [0, 0.5, 1])
def test_fault_30_one_deleted_byte(run, copied, name, where):
    path = copied / name
    content = path.read_bytes()
    place = int(where * (len(content) - 1))
    path.write_bytes(content[:place] + content[place + 1 :])
    result = run("verify", copied)
    if name == "manifest.json" and json_equal(path.read_bytes(), content):
        assert result.code == 0  # white space says nothing
        return
    assert result.code == (2 if name == "manifest.json" else 1)
    assert str(path) in result.out + result.err


def json_equal(left: bytes, right: bytes) -> bool:
    try:
        return json.loads(left) == json.loads(right)
    except ValueError:
        return False


def test_fault_30_changed_missing_and_new_files(run, copied):
    pdb = copied / "hairpin.pdb"
    content = bytearray(pdb.read_bytes())
    content[len(content) // 2] ^= 1
    pdb.write_bytes(content)
    (copied / "hairpin.json").unlink()
    (copied / "notes.txt").write_text("mine")
    result = run("verify", copied)
    assert result.code == 1
    assert f"{pdb}: changed: its sha256 is not the stated one" in result.out
    assert f"{copied / 'hairpin.json'}: missing" in result.out
    assert f"{copied / 'notes.txt'}: not listed" in result.out
    assert "2 of 4 files are not as stated" in result.err
    assert run("manifest", copied).code == 0
    assert run("verify", copied).code == 0


def test_fault_30_logs_and_hidden_files_are_no_results(run, tmp_path):
    for name in ("preds/a.pdb", "logs/a.log", "benchmarks/a.tsv", ".running", "preds/.a.pdb.x.tmp", "stages/a/logs"):
        (tmp_path / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / name).write_text(name)
    assert run("manifest", tmp_path / "results").code == 0
    stated = json.loads((tmp_path / "results" / "manifest.json").read_text())["files"]
    assert set(stated) == {"preds/a.pdb", "stages/a/logs"}
    assert run("verify", tmp_path / "nowhere").code == 2


def test_fault_30_a_second_run_keeps_what_the_first_stated(run, copied, tmp_path, quick):
    fasta = tmp_path / "y.fasta"
    fasta.write_text(">other\nGGGGAAACCC\n")
    assert run("predict", fasta, "--out", copied, *quick).code == 0
    stated = json.loads((copied / "manifest.json").read_text())["files"]
    assert {"hairpin.pdb", "other.pdb"} <= set(stated)
    assert run("verify", copied).code == 0
    (copied / "manifest.json").write_text("{}")
    result = run("predict", fasta, "--out", copied, *quick)
    assert result.code == 0
    assert "written anew" in result.err
