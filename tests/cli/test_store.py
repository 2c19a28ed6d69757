"""The store of jobs of many RNAs: what is found again, what fails alone, what another attempt mends."""

import errno
import json
import os
import subprocess
import sys

import pytest
import typer

from rna_predict.cli.collect import main as collect
from rna_predict.cli.store import STAGE_FILES, Store, digest_of_settings
from rna_predict.cli.stored import StageRun, run_stored
from rna_predict.errors import ContractError, PredictionError

IDS = ("one", "two", "three")


class Stage:
    """Work that writes a stage's files and counts what it did; `errors` are raised for some ids."""

    def __init__(self, stage: str = "stage_a") -> None:
        self.stage, self.did, self.loads = stage, [], 0
        self.errors: dict[str, BaseException] = {}

    def load(self):
        self.loads += 1

        def work(files, settings) -> None:
            self.did.append(files.id)
            if files.id in self.errors:
                raise self.errors[files.id]
            for name in STAGE_FILES[self.stage]:
                files.path(name).write_text(f"{self.stage} of {files.id}")

        return work


@pytest.fixture
def run(tmp_path):
    """Runs a stage in a store; returns the exit code and the status."""

    def run(stage: Stage, ids=IDS, **changes):
        status = tmp_path / f"{stage.stage}.json"
        status.unlink(missing_ok=True)
        facts = {name: {"letters": "ACGU"} for name in ids}
        settings = {"status": status, "store": tmp_path / "store", "facts": facts} | changes
        with pytest.raises(typer.Exit) as ended:
            run_stored(StageRun(stage=stage.stage, ids=ids, **settings), stage.load)
        return ended.value.exit_code, json.loads(status.read_text()) if status.is_file() else None

    return run


def test_what_is_there_is_found_whatever_job_asks_and_nothing_is_loaded_for_it(run):
    stage = Stage()
    assert run(stage)[0] == 0
    code, rows = run(stage, ids=("three", "one"))
    assert (code, stage.did, stage.loads) == (0, ["one", "two", "three"], 1)
    assert {name: row["found"] for name, row in rows.items()} == {"three": True, "one": True}
    run(stage, ids=(*IDS, "four"))
    assert stage.did[3:] == ["four"]


@pytest.mark.parametrize("changed", ["letters", "file", "settings", "named file"])
def test_a_changed_input_is_another_entry(run, tmp_path, changed):
    from rna_predict.cli.store import digest_of_path

    stage, given, weights = Stage(), tmp_path / "one.dbn", tmp_path / "w.safetensors"
    given.write_text("((..))")
    weights.write_text("first")
    config = tmp_path / "stage_a.yaml"
    config.write_text(f"weights: '{weights}'\n")
    facts = {"one": {"letters": "ACGU", "given": given}}
    run(stage, ids=("one",), facts=facts, config=config)
    digest_of_path.cache_clear()  # each job is a process of its own
    if changed == "letters":
        facts = {"one": {"letters": "ACGA", "given": given}}
    elif changed == "file":
        given.write_text("(....)")
    elif changed == "named file":
        weights.write_text("second")
    else:
        config.write_text(config.read_text() + "family: 'off'\n")
    _, rows = run(stage, ids=("one",), facts=facts, config=config)
    assert not rows["one"]["found"]
    digest_of_path.cache_clear()
    _, rows = run(stage, ids=("one",), facts=facts, config=config)
    assert rows["one"]["found"]


def test_one_that_fails_is_listed_with_its_reason_and_a_later_stage_leaves_it_out(run, tmp_path):
    stage, later = Stage(), Stage("templates")
    stage.errors["two"] = PredictionError("no whole molecule")
    code, rows = run(stage)
    assert code == 0
    assert rows["two"] == {
        **{"status": "failed", "reason": "stage_a: no whole molecule", "found": False, "entries": {}},
        "seconds": rows["two"]["seconds"],
    }
    code, rows = run(later, upstream=tmp_path / "stage_a.json")
    assert (code, later.did) == (0, ["one", "three"])
    assert rows["two"]["reason"] == "stage_a: no whole molecule"
    assert set(rows["one"]["entries"]) == {"stage_a", "templates"}
    stage.errors.clear()
    run(stage)
    assert stage.did == [*IDS, "two"]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory"), OSError(errno.ENOSPC, "full")],
)
def test_no_memory_or_disk_asks_for_another_attempt_which_finds_the_others(run, error):
    stage = Stage()
    stage.errors["one"] = error
    assert run(stage, attempts_left=1) == (1, None)
    assert stage.did == list(IDS), "the others are done first"
    stage.errors.clear()
    code, rows = run(stage)
    assert (code, stage.did[3:]) == (0, ["one"])
    assert {row["status"] for row in rows.values()} == {"done"}


def test_at_the_last_attempt_what_has_no_memory_fails_alone(run):
    stage = Stage()
    stage.errors["one"] = MemoryError()
    code, rows = run(stage)
    assert (code, rows["one"]["reason"]) == (0, "stage_a: MemoryError: ")
    assert rows["two"]["status"] == rows["three"]["status"] == "done"


KILLED = """
import os, signal, sys
from pathlib import Path
from rna_predict.cli.store import STAGE_FILES
from rna_predict.cli.stored import StageRun, run_stored
from rna_predict.cli.console import start_logging
start_logging(False)
def load():
    def work(files, settings):
        print(files.id, flush=True)
        if files.id == "one":
            os.kill(os.getpid(), signal.SIGKILL)
        for name in STAGE_FILES["stage_a"]:
            files.path(name).write_text(files.id)
    return work
folder, left = Path(sys.argv[1]), int(sys.argv[2])
run = StageRun(stage="stage_a", ids=("one", "two", "three"), status=folder / "s.json", store=folder / "store",
               attempts_left=left)
try:
    run_stored(run, load)
except BaseException as ended:
    sys.exit(getattr(ended, "exit_code", 3))
"""


def test_one_that_kills_its_process_goes_last_and_is_given_up_at_the_last_attempt(tmp_path):
    done = []
    for left in (2, 1, 0):
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(left)]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        done.append((process.returncode, process.stdout.split()))
    assert done == [(-9, ["one"]), (-9, ["two", "three", "one"]), (0, [])]
    rows = json.loads((tmp_path / "s.json").read_text())
    assert {name: row["status"] for name, row in rows.items()} == {"two": "done", "three": "done", "one": "failed"}
    assert "was killed 2 times" in rows["one"]["reason"]
    assert not list((tmp_path / "store").glob(".work-*")), "what killed jobs left behind is removed"


def test_a_damaged_entry_is_made_again(run, tmp_path):
    stage = Stage()
    _, rows = run(stage, ids=("one",))
    entry = tmp_path / "store" / rows["one"]["entries"]["stage_a"]
    (entry / "a_adjacency.dbn").write_text("")
    _, rows = run(stage, ids=("one",))
    assert (stage.did, rows["one"]["found"]) == (["one", "one"], False)
    assert (entry / "a_adjacency.dbn").read_text() == "stage_a of one"


def test_two_jobs_that_make_the_same_entry_leave_one(tmp_path):
    store = Store(tmp_path)
    for number in (1, 2):
        with store.bench() as folder:
            for name in STAGE_FILES["templates"]:
                (folder / name).write_text(str(number))
            place = store.put("templates", "abc", folder, {})
    assert (place / "t_templates.json").read_text() == "1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["templates"]


def test_a_status_that_lacks_an_rna_is_refused(tmp_path):
    (tmp_path / "up.json").write_text("{}")
    run = StageRun(
        stage="templates", ids=IDS, status=tmp_path / "s.json", store=tmp_path, upstream=tmp_path / "up.json"
    )
    with pytest.raises(ContractError, match=r"up\.json: lacks one"):
        run_stored(run, Stage("templates").load)


def test_settings_are_known_by_what_they_say(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("a: 1\n")
    first = digest_of_settings(path)
    path.write_text("# a comment\na: 1\n")
    assert digest_of_settings(path) == first
    path.write_text("a: 2\n")
    assert digest_of_settings(path) != first


def test_collect_links_what_is_there_and_says_why_something_is_not(run, tmp_path, capsys):
    stage = Stage("stage_d")
    stage.errors["two"] = PredictionError("no whole molecule")
    run(stage)
    options = ["--status", str(tmp_path / "stage_d.json"), "--store", str(tmp_path / "store")]
    options += ["--stages", str(tmp_path / "stages"), "--preds", str(tmp_path / "preds")]
    os.utime(next((tmp_path / "store").rglob("prediction.pdb")), (1, 1))
    assert collect(["one", *options]) == 0
    assert sorted(path.name for path in (tmp_path / "preds").iterdir()) == ["one.cif", "one.pdb"]
    assert (tmp_path / "preds" / "one.pdb").stat().st_mtime > 1, "newer than the status, or Snakemake runs it again"
    assert (tmp_path / "preds" / "one.pdb").stat().st_nlink == 2
    assert {path.name for path in (tmp_path / "stages" / "one").iterdir()} == {"d_models.cif", "d_confidence.json"}
    assert collect(["one", *options]) == 0
    assert collect(["two", *options]) == 1
    assert "two: failed: stage_d: no whole molecule" in capsys.readouterr().err
    assert collect(["nosuch", *options]) == 2


def test_collect_starts_without_the_rest_of_the_command_line():
    heavy = ["typer", "rich", "yaml", "numpy", "torch", "rna_predict.cli.main"]
    code = f"import sys, rna_predict.cli.collect; print(*[name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


def test_looking_up_imports_neither_numpy_nor_torch():
    code = "import sys, rna_predict.cli.stored; print(*[n for n in ('numpy', 'torch', 'hydra') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []
