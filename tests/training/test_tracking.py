"""Tracking: nothing that was acknowledged is lost or told twice, whoever else writes, dies or repeats itself."""

import fcntl
import json
import math
import signal
import subprocess
import sys
import time
from datetime import timedelta

import numpy as np
import pytest

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts import Ensemble, Model, Provenance, RnaSequence, digest_of
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import ContractError, InputError
from rna_predict.training import tracking_store
from rna_predict.training.tracking import open_tracker
from rna_predict.training.tracking_read import TrackingReader

WRITERS, FLUSHES, STEPS = 8, 12, 25
VICTIM = WRITERS

WRITER = f"""
import sys, time
from pathlib import Path
import numpy as np
import lancedb
from rna_predict.contracts import RnaSequence
from rna_predict.training.tracking import open_tracker

folder, go, number = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
forever = number == {VICTIM}
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
with open_tracker(folder) as tracker:
    run = tracker.start_run("writer", {{"number": number}}, run=f"run-{{number}}")
    tracker.add_embeddings(RnaSequence(id=f"rna-{{number}}", sequence="ACGU"), np.full((4, 3), number), "w", "m")
    flush = 0
    while forever or flush < {FLUSHES}:
        for step in range(flush * {STEPS}, (flush + 1) * {STEPS}):
            tracker.log_metrics(run, step, {{"loss": number + step / 1000, "bad": float("nan")}})
        tracker.flush()
        flush += 1
        print(flush, flush=True)
    tracker.end_run(run, "finished")
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder that eight processes made and filled at once while a ninth was killed, and what that one had stored."""
    place = tmp_path_factory.mktemp("written")
    folder, go = place / "runs", place / "go"
    command = [sys.executable, "-c", WRITER, str(folder), str(go)]
    writers = [
        subprocess.Popen([*command, str(k)], stdout=subprocess.PIPE, stderr=(place / f"{k}.log").open("w"), text=True)
        for k in range(WRITERS + 1)
    ]
    victim = writers[VICTIM]
    try:
        assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * len(writers)
        go.touch()
        while int(victim.stdout.readline()) < 5:
            pass
        time.sleep(0.01)
        victim.send_signal(signal.SIGKILL)
        acknowledged = max([5, *map(int, victim.stdout.read().split())])
        codes = [writer.wait(timeout=300) for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
    assert codes == [*[0] * WRITERS, -signal.SIGKILL], [(place / f"{k}.log").read_text() for k in range(WRITERS)]
    return TrackingReader(folder), acknowledged


def told(reader, run):
    return [(one.step, one.value) for one in reader.metrics(run, "loss")]


def test_what_many_processes_write_from_the_first_moment_is_all_there_once(written):
    reader, _ = written
    for number in range(WRITERS):
        assert told(reader, f"run-{number}") == [(step, number + step / 1000) for step in range(FLUSHES * STEPS)]
        bad = reader.metrics(f"run-{number}", "bad")
        assert [one.step for one in bad] == list(range(FLUSHES * STEPS))
        assert all(math.isnan(one.value) for one in bad)
    states = {run.run: run.status for run in reader.runs()}
    assert states == {f"run-{k}": "running" if k == VICTIM else "finished" for k in range(WRITERS + 1)}
    assert reader.embedded() == {"embeddings_3": WRITERS + 1}


def test_a_killed_process_loses_nothing_it_was_told_is_stored_and_leaves_no_part(written):
    reader, acknowledged = written
    found = told(reader, f"run-{VICTIM}")
    assert found == [(step, VICTIM + step / 1000) for step in range(len(found))]
    assert len(found) in (acknowledged * STEPS, (acknowledged + 1) * STEPS)
    assert len(reader.metrics(f"run-{VICTIM}")) == 2 * len(found)


def test_one_process_compacts_while_rows_stay(written):
    reader, _ = written
    before = [told(reader, run.run) for run in reader.runs()]
    fragments = reader.folder / "metrics.lance" / "data"
    assert open_tracker(reader.folder).optimize()
    assert [told(reader, run.run) for run in reader.runs()] == before
    assert len(list(fragments.iterdir())) > 1  # the old ones stay for an hour, for those who still read them


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(tracking_store, "BACKOFF", 0.0001)
    monkeypatch.setattr(tracking_store, "PATIENCE", 0.01)


def test_a_resumed_run_tells_each_step_once_with_its_newest_value(folder):
    with open_tracker(folder) as first:
        run = first.start_run("r", {"lr": 0.1})
        for step in range(6):
            first.log_metrics(run, step, {"loss": 10.0 + step})
        first.log_metrics(run, 5, {"loss": 1.0}, split="validation")
    with open_tracker(folder) as second:
        assert second.start_run("r", {"lr": 0.2}, run=run) == run
        for step in range(4, 8):
            second.log_metrics(run, step, {"loss": 20.0 + step})
        second.end_run(run, "finished")
    assert [one.value for one in first.metrics(run, "loss", "train")] == [10, 11, 12, 13, 24, 25, 26, 27]
    assert [one.value for one in first.metrics(run, split="validation")] == [1.0]
    (state,) = first.runs()
    assert (state.status, json.loads(state.config)) == ("finished", {"lr": 0.2})
    assert state.started < state.time
    assert first.progress()[run].step == 7


def test_a_run_resumed_on_a_machine_whose_clock_is_behind_is_still_newer(folder):
    first = open_tracker(folder)
    first._last += timedelta(days=365 * 300)
    run = first.start_run("r", {})
    first.log_metrics(run, 1, {"loss": 1.0})
    first.flush()
    with open_tracker(folder) as second:
        second.start_run("r", {}, run=run)
        second.log_metrics(run, 1, {"loss": 2.0})
    assert [one.value for one in first.metrics(run)] == [2.0]


def test_what_is_not_flushed_is_not_there_yet_and_a_full_buffer_flushes(folder, monkeypatch):
    monkeypatch.setattr("rna_predict.training.tracking.BUFFER_ROWS", 3)
    tracker = open_tracker(folder)
    run = tracker.start_run("r", {})
    tracker.log_metrics(run, 0, {"a": 1.0, "b": 2.0})
    assert tracker.metrics(run) == []
    tracker.log_metrics(run, 1, {"a": math.inf})
    assert [(one.name, one.value) for one in tracker.metrics(run)] == [("a", 1.0), ("a", math.inf), ("b", 2.0)]


def test_a_checkpoint_is_named_with_its_digest_and_a_tag_moves_on(folder, tmp_path):
    tracker = open_tracker(folder)
    run = tracker.start_run("r", {})
    old, new = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    tracker.log_checkpoint(run, "step_1", old, 1)
    tracker.log_checkpoint(run, "best", old, 1)
    tracker.log_checkpoint(run, "best", new, 2, {"loss": math.nan})
    found = {one.tag: one for one in TrackingReader(folder).checkpoints(run)}
    assert {tag: (one.step, one.file) for tag, one in found.items()} == {"step_1": (1, str(old)), "best": (2, str(new))}
    assert found["best"].sha256 == digest_of(new)
    assert json.loads(found["best"].meta) == {"loss": None}
    with pytest.raises(InputError, match="no such file"):
        tracker.log_checkpoint(run, "last", tmp_path / "3", 3)


def rna(id, sequence="GGGCUUCGGCCC"):
    return RnaSequence(id=id, sequence=sequence)


def vectors(seed, length=12):
    return np.random.default_rng(seed).normal(size=(length, 16)).astype(np.float32)


def test_the_planted_residue_and_rna_are_found_with_their_distance(folder):
    planted = vectors(1) + 0.0
    planted[6] = vectors(0)[2]
    planted[6, 0] += 0.25
    shifted = vectors(0) + np.float32(0.5)
    with open_tracker(folder) as tracker:
        tracker.add_embeddings(rna("a"), vectors(0), "w1", "trunk")
        tracker.add_embeddings(rna("b"), planted, "w1", "trunk")
        tracker.add_embeddings(rna("c"), shifted, "w1", "trunk")
        tracker.add_embeddings(rna("other"), vectors(0), "w2", "trunk")
    reader = TrackingReader(folder)
    first, *rest = reader.similar_residues("a", 3, top=5)
    assert (first.id, first.position, first.letter) == ("b", 7, "C")
    assert first.distance == pytest.approx(0.25, abs=1e-6)
    assert len(rest) == 4
    assert all(one.position > 0 and one.weights == "w1" and one.distance > 0.25 for one in rest)
    assert ("a", 3) not in [(one.id, one.position) for one in rest]

    means = reader.similar_rnas("a")
    assert [one.id for one in means] == ["b", "c"]
    assert means[0].distance == pytest.approx(np.linalg.norm(planted.mean(0) - vectors(0).mean(0)), rel=1e-5)
    assert means[1].distance == pytest.approx(0.5 * 16**0.5, rel=1e-5)

    assert [one.id for one in reader.similar(vectors(0)[2], 1, "w2")] == ["other"]
    with pytest.raises(InputError, match=r"2 weights have this width. Say which: w1, w2"):
        reader.similar(vectors(0)[2])
    with pytest.raises(InputError, match=r"no vectors of width 3. Widths: 16"):
        reader.similar(np.zeros(3))
    for wrong in (0, 13):  # 0 is where the mean lies
        with pytest.raises(InputError, match=f"no residue {wrong}. Positions: 1 to 12"):
            reader.similar_residues("a", wrong)


def test_vectors_that_were_replaced_are_not_found_any_more(folder):
    with open_tracker(folder) as tracker:
        tracker.add_embeddings(rna("a"), vectors(0), "w", "trunk")
        tracker.add_embeddings(rna("b"), vectors(0), "w", "trunk")
        tracker.add_embeddings(rna("b", "GGGCUUCGGCC"), vectors(5, 11), "w", "trunk")
        tracker.add_embeddings(rna("wide"), np.ones((12, 384)), "w", "trunk")
    nearest = tracker.similar_residues("a", 3, top=100)
    assert len(nearest) == 11 + 11
    assert nearest[0].distance > 1
    assert tracker.embedded() == {"embeddings_16": 2, "embeddings_384": 1}
    assert [one.position for one in tracker.similar_residues("b", 11, top=1)]
    with pytest.raises(InputError, match="Positions: 1 to 11"):
        tracker.similar_residues("b", 12)


def test_vectors_that_do_not_fit_are_refused(folder):
    tracker = open_tracker(folder)
    for wrong in (vectors(0, 11), np.zeros((12, 0)), np.full((12, 4), np.nan)):
        with pytest.raises(ContractError, match="vectors of a"):
            tracker.add_embeddings(rna("a"), wrong, "w", "m")
    tracker.flush()
    assert tracker.embedded() == {}


def ensemble(scores, config="c"):
    letters, slots = "AC", np.stack(np.unravel_index(np.arange(27), (3, 3, 3)), axis=-1) * 1.5
    xyz = np.where(full_mask(letters)[..., None], slots[None, :MAX_ATOMS] + [[[0.0]], [[9.0]]], 0).astype(np.float32)
    plddt = np.full((2, MAX_ATOMS), 75.0, dtype=np.float32)
    error = np.ones((2, 2), dtype=np.float32)
    same = {"xyz_LA3": xyz, "plddt_LA": plddt, "pae_LL": error, "pde_LL": error, "ptm": 0.5, "terms": {"e": 2.0}}
    models = tuple(Model(ranking_score=score, seed=k, **same) for k, score in enumerate(scores))
    made = Provenance(method="m", package_version="0", config=config, weights="w")
    return Ensemble(id="a", sequence=letters, provenance=made, confidence_kind="heuristic", models=models)


def test_an_ensemble_replaces_the_one_before_as_a_whole(folder, tmp_path):
    with open_tracker(folder) as tracker:
        tracker.add_predictions(ensemble([0.9, 0.8, 0.7]), tmp_path / "old.cif")
        tracker.add_predictions(ensemble([0.6], config="other"), tmp_path / "other.cif")
        tracker.add_predictions(ensemble([0.5, 0.4]), tmp_path / "new.cif", [{"lddt": 0.3}, {"lddt": math.nan}])
    found = tracker.predictions("a")
    assert [(one.config, one.rank, one.score) for one in found] == [("c", 1, 0.5), ("c", 2, 0.4), ("other", 1, 0.6)]
    assert found[1].file == str(tmp_path / "new.cif")
    assert [json.loads(one.scores) for one in found[:2]] == [{"e": 2.0, "lddt": 0.3}, {"e": 2.0, "lddt": None}]
    assert found[0].mean_plddt == 75.0
    assert tracker.predictions("b") == []


class Shaky:
    """A table whose `add` fails the first times, after or before it wrote."""

    def __init__(self, table, failures, wrote):
        self.table, self.failures, self.wrote = table, failures, wrote

    def add(self, rows):
        self.failures -= 1
        if self.failures < 0 or self.wrote:
            self.table.add(rows)
        if self.failures >= 0:
            raise RuntimeError("lance error: Commit conflict for version 7")


def shake(monkeypatch, tracker, failures, wrote):
    opened = tracker._store._table
    shaky = {}
    monkeypatch.setattr(
        tracker._store, "_table", lambda name: shaky.setdefault(name, Shaky(opened(name), failures, wrote))
    )
    return monkeypatch.undo


@pytest.mark.parametrize("wrote", [False, True])
def test_a_write_that_conflicts_is_tried_again_and_told_once(folder, monkeypatch, quick, wrote):
    tracker = open_tracker(folder)
    run = tracker.start_run("r", {})
    tracker.add_embeddings(rna("a"), vectors(0), "w", "m")
    tracker.log_metrics(run, 1, {"loss": 1.0})
    shake(monkeypatch, tracker, 3, wrote)
    tracker.flush()
    reader = TrackingReader(folder)
    assert [one.value for one in reader.metrics(run)] == [1.0]
    assert reader._store.read("metrics").num_rows == (4 if wrote else 1)
    found = reader.similar(vectors(0)[0], top=4)
    assert len({one.position for one in found}) == 4
    assert found[0].position == 1


def test_a_write_that_keeps_failing_is_an_error_and_its_rows_are_kept(folder, monkeypatch, quick):
    tracker = open_tracker(folder)
    run = tracker.start_run("r", {})
    tracker.log_metrics(run, 1, {"loss": 1.0})
    calm = shake(monkeypatch, tracker, 100, False)
    with pytest.raises(InputError, match=r"table 'metrics' cannot be written after 8 tries .*Commit conflict"):
        tracker.flush()
    calm()
    assert tracker.metrics(run) == []
    tracker.flush()
    assert [one.value for one in tracker.metrics(run)] == [1.0]


def test_nothing_depends_on_locks(folder, monkeypatch, quick):
    tracker = open_tracker(folder)
    run = tracker.start_run("r", {})
    with (folder / ".metrics.lock").open("w") as held, (folder / ".optimize.lock").open("w") as busy:
        for lock in (held, busy):
            fcntl.flock(lock, fcntl.LOCK_EX)
        tracker.log_metrics(run, 1, {"loss": 1.0})
        tracker.flush()
        assert tracker.optimize() is False

    def no_locks(handle, how):
        raise OSError("No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    tracker.log_metrics(run, 2, {"loss": 2.0})
    assert tracker.optimize()
    assert [one.value for one in TrackingReader(folder).metrics(run)] == [1.0, 2.0]


def test_a_folder_that_cannot_be_used_is_named_with_the_remedy(folder, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        TrackingReader(folder)
    assert not folder.exists()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ContractError, match="holds no tracked runs"):
        TrackingReader(tmp_path)
    with pytest.raises(InputError, match="holds something else"):
        open_tracker(tmp_path)
    with pytest.raises(InputError, match="holds something else"):
        open_tracker(tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    folder.mkdir()
    open_tracker(folder)
    (folder / "tracking.json").write_text('{"schema": "rna_predict.tracking", "version": 9}')
    with pytest.raises(ContractError, match="version"):
        open_tracker(folder)
    (folder / "tracking.json").write_text("{")
    with pytest.raises(ContractError, match="is damaged"):
        open_tracker(folder)


@pytest.mark.parametrize("part", ["_versions", "data"])
def test_a_damaged_table_is_named(folder, part, quick):
    with open_tracker(folder) as tracker:
        run = tracker.start_run("r", {})
        tracker.log_metrics(run, 1, {"loss": 1.0})
    for path in (folder / "metrics.lance" / part).iterdir():
        path.write_bytes(b"xx")
    with pytest.raises(ContractError, match="no readable table 'metrics'"):
        TrackingReader(folder).metrics(run)


def test_a_table_that_is_gone_or_of_other_columns_is_named_also_when_writing(folder, quick):
    import shutil

    import lancedb

    tracker = open_tracker(folder)
    shutil.rmtree(folder / "metrics.lance")
    with pytest.raises(ContractError, match="no readable table 'metrics'"):
        tracker.start_run("r", {})
    lancedb.connect(str(folder)).create_table("metrics", data=[{"run": "x"}])
    with pytest.raises(ContractError, match="table 'metrics' has other columns"):
        open_tracker(folder).progress()


def test_what_is_no_run_or_number_is_refused(folder):
    tracker = open_tracker(folder)
    with pytest.raises(InputError, match="must match"):
        tracker.start_run("r", {}, run="a b")
    with pytest.raises(InputError, match="is not JSON"):
        tracker.start_run("r", {"x": object()})
    run = tracker.start_run("r", {})
    with pytest.raises(InputError, match=r"metric loss of run .* step 3: None is no number"):
        tracker.log_metrics(run, 3, {"good": 1.0, "loss": None})
    tracker.flush()
    assert tracker.metrics(run) == []
    with pytest.raises(InputError, match="'done' is none of finished, stopped, failed"):
        tracker.end_run(run, "done")
    with pytest.raises(InputError, match="start_run first"):
        tracker.log_metrics("other", 1, {})
    with pytest.raises(InputError, match=f'no run "it\'s". Runs: {run}'):
        tracker.metrics("it's")


def test_importing_it_does_not_import_lancedb():
    code = "import sys, rna_predict.training.tracking; print({'lancedb', 'pyarrow', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
