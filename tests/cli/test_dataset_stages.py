"""`rna-predict dataset stages`: what it makes and says, and that a killed run leaves nothing wrong or running."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rna_predict.data import stage_results
from rna_predict.data.dataset import open_dataset
from rna_predict.data.stage_results import StageResultsStore
from rna_predict.errors import PredictionError
from rna_predict.stage_c_reconstruction.config import StageCConfig

NAMES = ("165d_A", "165d_B", "17ra_A", "1am0_A")


@pytest.fixture(scope="module")
def built(chains_dir, tmp_path_factory):
    """A dataset of four short chains, of which 17ra_A validates and 1am0_A tests."""
    from rna_predict.data.build import BuildSettings, build_dataset
    from rna_predict.data.sources import find_sources
    from rna_predict.data.splits import SplitSettings

    folder = tmp_path_factory.mktemp("set")
    (folder / "in").mkdir()
    for name in NAMES:
        shutil.copy(chains_dir / f"{name}.pdb.gz", folder / "in")
    split = SplitSettings(validation_ids=("17ra_A",), test_ids=("1am0_A",))
    build_dataset(find_sources(folder / "in"), folder / "set", BuildSettings(split=split))
    return folder / "set"


@pytest.fixture
def dataset(built, tmp_path):
    shutil.copytree(built, tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def quick(monkeypatch):
    """Stage C takes no time; whom it names cannot be built."""
    stage, unbuilt = stage_results.reconstruct, set()

    def run(sequence, adjacency, torsions, config):
        if sequence.id in unbuilt:
            raise PredictionError(f"{sequence.id}: no whole chain")
        return stage(sequence, adjacency, torsions, StageCConfig(method="nerf"))

    monkeypatch.setattr(stage_results, "reconstruct", run)
    return unbuilt


def last_json(result) -> dict:
    return json.loads(result.out.splitlines()[-1])


def test_results_of_chains_that_train_or_validate_lie_beside_the_dataset(run, dataset, quick):
    result = run("dataset", "stages", dataset)
    assert result.code == 0
    assert last_json(result) == {
        "store": f"{dataset}.stages",
        "chains": 3,
        "pairs": ["native", "predicted"],
        "found": 0,
        "made": 6,
        "without_coordinates": [],
        "failed": [],
    }
    assert "17ra_A (21 nt), predicted pairs: made a_adjacency, b_torsions, c_coordinates in " in result.err
    store = StageResultsStore(dataset.with_name("set.stages"))
    for id in NAMES[:3]:
        for pairs in ("native", "predicted"):
            assert store.get(open_dataset(dataset).get(id), pairs).made == ()
    assert not store.path("1am0_A", "native").exists()
    again = last_json(run("dataset", "stages", dataset, "--split", "test", "--split", "train", "--pairs", "native"))
    assert (again["chains"], again["found"], again["made"]) == (3, 2, 1)


def test_folder_length_and_stage_c_can_be_chosen(run, dataset, quick, tmp_path):
    words = ("--store", tmp_path / "here", "--max-length", "9", "--pairs", "predicted", "--no-coordinates")
    assert last_json(run("dataset", "stages", dataset, *words))["made"] == 2
    names = {path.name for path in (tmp_path / "here").rglob("*.safetensors")}
    assert names == {"a_adjacency.safetensors", "b_torsions.safetensors"}
    assert not dataset.with_name("set.stages").exists()


def test_chains_without_coordinates_are_listed_and_failures_are_exit_code_1(run, dataset, quick, monkeypatch):
    quick.add("17ra_A")
    result = run("dataset", "stages", dataset, "--pairs", "native")
    assert result.code == 0
    reason = "17ra_A: no whole chain"
    assert last_json(result)["without_coordinates"] == [{"id": "17ra_A", "pairs": "native", "reason": reason}]
    assert f"17ra_A, native pairs: without coordinates: {reason}" in result.err.splitlines()[-1]
    monkeypatch.setattr(stage_results, "predict_torsions", lambda *words: 1 / 0)
    result = run("dataset", "stages", dataset, "--pairs", "predicted", "--max-length", "9")
    assert result.code == 1
    assert [one["id"] for one in last_json(result)["failed"]] == ["165d_A", "165d_B"]
    assert "165d_B, predicted pairs: failed: ZeroDivisionError" in result.err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--pairs", "mine"), "pairs: 'mine' is unknown. Use one of: native, predicted"),
        (("--split", "all"), "--split all: is unknown. Use one of: train, validation"),
        (("--split", "left_out"), "has no chain in left_out"),
        (("--max-length", "5"), "has no chain of at most 5 residues in train, validation"),
    ],
)
def test_what_cannot_be_made_exits_2_and_leaves_nothing(run, dataset, words, named):
    result = run("dataset", "stages", dataset, *words)
    assert result.code == 2
    assert named in result.err
    assert not dataset.with_name("set.stages").exists()


def children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_until(condition, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for child processes as Linux shows them")
def test_killed_while_two_processes_work_the_next_run_goes_on(run, dataset, quick):
    command = [sys.executable, "-m", "rna_predict", "dataset", "stages", str(dataset), "--pairs", "native"]
    command += ["--max-length", "9", "--processes", "2"]
    store = StageResultsStore(dataset.with_name("set.stages"))
    begun = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: list(store.folder.rglob("b_torsions.safetensors")), 120)
    workers = children(begun.pid)
    assert len(workers) >= 2
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    wait_until(lambda: not any(os.path.exists(f"/proc/{worker}") for worker in workers), 30)  # noqa: PTH110
    made = {path.parent.name for path in store.folder.rglob("c_coordinates.safetensors")}
    result = run("dataset", "stages", dataset, "--pairs", "native", "--max-length", "9")
    figures = last_json(result)
    assert (figures["found"], figures["made"]) == (len(made), 2 - len(made))
    assert figures["failed"] == figures["without_coordinates"] == []
    assert store.get(open_dataset(dataset).get("165d_A"), "native").made == ()
