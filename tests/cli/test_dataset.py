"""`rna-predict dataset`: what it prints, which exit codes it gives, and what it leaves behind."""

import json
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

NAMES = ("165d_A", "165d_B", "17ra_A", "1f1t_A")


@pytest.fixture
def structures(chains_dir, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in NAMES:
        shutil.copy(chains_dir / f"{name}.pdb.gz", folder)
    (folder / "bad.pdb").write_text("<html>")
    (tmp_path / "ids.csv").write_text("id\n17ra_A\n")
    return folder


def last_json(result) -> dict:
    return json.loads(result.out.splitlines()[-1])


def test_build_split_and_report_a_folder(run, structures, tmp_path):
    out, ids = tmp_path / "set", tmp_path / "ids.csv"
    result = run("dataset", "build", structures, "--out", out, "--validation-ids", ids)
    assert result.code == 0
    figures = last_json(result)
    assert (figures["chains"], figures["clusters"], figures["refused"]) == (4, 3, {"not_a_structure": 1})
    assert (figures["train_chains"], figures["validation_chains"]) == (3, 1)
    assert "refused, not_a_structure: 1" in result.err

    result = run("dataset", "report", out, "--verify")
    assert result.code == 0
    assert result.out.splitlines()[1].split()[:2] == ["17ra_A", "21"]
    figures = last_json(result)
    assert (figures["targets"], figures["above_and_more_than_chance"]) == (1, [])

    before = (out / "dataset.json").read_bytes()
    result = run("dataset", "split", out, "--test-share", "0.4")
    assert last_json(result)["test_chains"] >= 1
    assert "validation_chains" not in last_json(result)
    assert (out / "dataset.json").read_bytes() == before

    again = run("dataset", "build", structures, "--out", out, "--validation-ids", ids, "--processes", "2")
    assert last_json(again)["digest"] == figures["digest"]


def test_targets_may_come_with_their_sequences(run, structures, tmp_path):
    out = tmp_path / "set"
    assert run("dataset", "build", structures, "--out", out, "--min-length", "20").code == 0
    table = tmp_path / "targets.csv"
    table.write_text("id,sequence\nmine,GGGCUUCGGCCC\n17ra_A,\n")
    result = run("dataset", "report", out, "--targets", table)
    rows = {line.split()[0]: line.split() for line in result.out.splitlines()[1:3]}
    assert rows["17ra_A"][2:4] == ["17ra_A", "1.000"]  # it trains, and is near to itself
    assert rows["mine"][1] == "12"
    table.write_text("id,sequence\nnosuch,\n")
    assert "nosuch is not in the dataset" in run("dataset", "report", out, "--targets", table).err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--cluster-column", "cluster80"], "name the index"),
        (["--identity", "0.2"], "identity: 0.2"),
        (["--min-length", "1"], "min_length 1"),
        (["--validation-share", "2"], "validation_share: 2.0"),
        (["--test-from", "soon"], "test_from: 'soon'"),
        (["--min-length", "500"], "no chain could be taken (not_a_structure 1, too_short 4)"),
    ],
)
def test_what_cannot_be_built_exits_2_and_leaves_nothing(run, structures, tmp_path, words, named):
    result = run("dataset", "build", structures, "--out", tmp_path / "set", *words)
    assert result.code == 2
    assert named in result.err
    assert not (tmp_path / "set").exists()


def test_a_folder_that_is_no_dataset_is_named(run, tmp_path):
    result = run("dataset", "report", tmp_path)
    assert result.code == 2
    assert "is no dataset" in result.err


def test_download_lists_what_is_there_only_when_all_is(run, structures, tmp_path):
    (structures / "1abc.pdb.gz").write_bytes((structures / "17ra_A.pdb.gz").read_bytes())
    ids, files = tmp_path / "pdb.txt", tmp_path / "files.txt"
    ids.write_text("1ABC\n9xyz\n")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *words, **named):
            super().__init__(*words, directory=str(structures), **named)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    words = ("dataset", "download", ids, "--folder", tmp_path / "store", "--out", files, "--ending", ".pdb.gz")
    words += ("--base-url", f"http://127.0.0.1:{server.server_port}", "--tries", "1")
    result = run(*words)
    assert result.code == 1
    assert "9xyz: failed" in result.err
    assert last_json(result) == {"ids": 2, "failed": 1, "fetched": 1, "failures": ["9xyz"]}
    assert not files.exists()
    result = run(*words, "--allow-missing")
    assert (result.code, last_json(result)["kept"]) == (0, 1)
    server.shutdown()
    server.server_close()
    assert files.read_text() == "store/1abc.pdb.gz\n"
    assert run("dataset", "build", files, "--out", tmp_path / "set").code == 0
