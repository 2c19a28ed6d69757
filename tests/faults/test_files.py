"""Faults 15 and 17 to 20: processes that are killed, disks that are full, folders that cannot be written to."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from .killed import child, ended, killed_after

STAGES = ("prepare", "stage-a", "stage-templates", "stage-b", "stage-c", "stage-d", "export")


def stage_command(stage: str, folder: Path, settings: Path) -> list[str]:
    """The command that the workflow runs for the hairpin."""
    words = [stage, "--root", str(folder / "stages")]
    if stage == "prepare":
        return [*words, "hairpin=GGGCUUCGGCCC"]
    if stage == "export":
        return [*words, "--out", str(folder / "preds"), "hairpin"]
    name = "templates" if stage == "stage-templates" else stage.replace("-", "_")
    return [*words, "--config", str(settings / f"{name}.yaml"), "hairpin"]


def results(folder: Path) -> dict[str, bytes]:
    """Every file under a name of its own."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def undisturbed(stage_settings, tmp_path_factory):
    """For each stage what lies there before it and after it, and its seconds."""
    import rna_predict.pipeline  # a fork then has it, and the moments fall into the work  # noqa: F401

    folder = tmp_path_factory.mktemp("undisturbed")
    before, after, seconds = {}, {}, {}
    for stage in STAGES:
        before[stage] = tmp_path_factory.mktemp(f"before_{stage}") / "run"
        shutil.copytree(folder, before[stage])
        start = time.monotonic()
        assert ended(child(stage_command(stage, folder, stage_settings))) == 0
        seconds[stage] = time.monotonic() - start
        after[stage] = results(folder)
    return before, after, seconds


def check(stage: str, folder: Path, after: dict[str, bytes], settings: Path) -> None:
    """What has a name is whole; the same command again ends as if nothing had been."""
    found = results(folder)
    assert found == {name: after[name] for name in found}, "a file under its own name is whole"
    assert ended(child(stage_command(stage, folder, settings))) == 0
    assert results(folder) == after


@pytest.mark.parametrize("stage", STAGES)
def test_fault_15_killed_before_each_file_gets_its_name(undisturbed, stage_settings, tmp_path, stage):
    before, after, _ = undisturbed
    written = len(after[stage]) - len(results(before[stage]))
    for number in {1, written}:
        folder = tmp_path / str(number)
        shutil.copytree(before[stage], folder)
        assert ended(child(stage_command(stage, folder, stage_settings), at_rename=number)) == -9
        assert len(results(folder)) == len(results(before[stage])) + number - 1
        if number == written:
            check(stage, folder, after[stage], stage_settings)


def kill_often(stage: str, times: int, undisturbed, settings: Path, tmp_path: Path) -> None:
    before, after, seconds = undisturbed
    moments = random.Random(stage)
    folder = tmp_path / "run"
    shutil.copytree(before[stage], folder)
    killed, window = 0, seconds[stage]
    for round_ in range(times + 8):
        if killed and round_ >= times:
            break
        hit = killed_after(stage_command(stage, folder, settings), moments.uniform(0, window)) == -9
        killed += hit
        window *= 1.0 if hit else 0.7  # it was quicker than before: the machine is less busy
        found = results(folder)
        assert found == {name: after[stage][name] for name in found}, "a file under its own name is whole"
    assert killed > 0
    check(stage, folder, after[stage], settings)


@pytest.mark.parametrize("stage", STAGES)
def test_fault_15_killed_at_random_moments(undisturbed, stage_settings, tmp_path, stage):
    kill_often(stage, 2, undisturbed, stage_settings, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_fault_15_killed_fifty_times(undisturbed, stage_settings, tmp_path, stage):
    kill_often(stage, 50, undisturbed, stage_settings, tmp_path)


def test_fault_15_predict_killed_while_it_writes(predicted, command, tmp_path):
    """The PDB comes last: without it nothing is taken for a result, and the next run makes all of it."""
    assert ended(child(command, at_rename=3)) == -9
    assert set(results(tmp_path / "out")) == {"status.tsv", "hairpin.cif"}
    assert ended(child(command)) == 0
    found = results(tmp_path / "out")
    for name in ("hairpin.pdb", "hairpin.cif", "hairpin.json"):
        assert found[name] == (predicted / name).read_bytes()


def fill(folder: Path, leave: int) -> None:
    """Fill a small disk but for some kilobytes."""
    free = os.statvfs(folder)
    (folder / ".filling").write_bytes(b"0" * (free.f_bavail * free.f_frsize - leave * 1024))


def test_fault_17_disk_full_in_predict(run, small_disk, predicted, quick, fasta):
    """The old models stay away, nothing partial has a result's name, and the message says what is wrong."""
    disk = small_disk(400)
    fill(disk, 24)
    result = run("predict", fasta, "--out", disk / "out", *quick)
    assert result.code == 1
    assert "hairpin: failed" in result.err
    assert "No space left on device" in result.err
    found = results(disk)
    assert {name: content for name, content in found.items() if "hairpin" in name} == {}
    assert "failed" in found["out/status.tsv"].decode()
    (disk / ".filling").unlink()
    assert run("predict", fasta, "--out", disk / "out", *quick).code == 0
    assert (disk / "out" / "hairpin.pdb").read_bytes() == (predicted / "hairpin.pdb").read_bytes()


@pytest.mark.parametrize("stage", ["stage-b", "stage-c", "stage-d", "export"])
def test_fault_17_disk_full_in_a_stage(run, small_disk, undisturbed, stage_settings, stage):
    before, after, _ = undisturbed
    disk = small_disk(2000)
    shutil.copytree(before[stage], disk / "run")
    fill(disk, 8)
    result = run(*stage_command(stage, disk / "run", stage_settings))
    assert result.code == 1
    assert "No space left on device" in result.err
    found = results(disk / "run")
    assert found == {name: after[stage][name] for name in found}, "what has a name is whole"
    assert not list(disk.rglob(".*.tmp"))
    (disk / ".filling").unlink()
    check(stage, disk / "run", after[stage], stage_settings)


@pytest.mark.parametrize("table", ["submission.csv", "figures"])
def test_fault_17_disk_full_in_tables_and_pictures(run, small_disk, undisturbed, tmp_path, table):
    before, _, _ = undisturbed
    disk = small_disk(64)
    old = disk / "submission.csv"
    old.write_text("old")
    fill(disk, 0)
    if table == "figures":
        result = run("draw", before["stage-d"] / "stages" / "hairpin", "--out", disk / "figures")
        assert result.code == 1
        assert not list((disk / "figures").rglob("*.svg"))
    else:
        result = run("manifest", disk)
        assert result.code == 2
        assert {path.name for path in disk.iterdir()} == {"submission.csv", ".filling"}
    assert "No space left on device" in result.err
    assert old.read_text() == "old"


@pytest.mark.parametrize("kind", ["a file", "below a file", "a loop", "read-only"])
def test_fault_18_output_folders(run, small_disk, predicted, fasta, tmp_path, kind):
    """Exit code 2 with one line that names the folder, and nothing computed."""
    place = {"a file": fasta, "below a file": fasta / "x", "a loop": tmp_path / "loop", "read-only": None}[kind]
    if kind == "a loop":
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
    place = place or small_disk(64, "ro")
    model = predicted / "hairpin.cif"
    commands = {
        "predict": ("predict", fasta, "--out", place),
        "config resolve": ("config", "resolve", "--stage", "stage_a", "--out", place),
        "submission": ("submission", predicted, "--sequences", fasta, "--out", place / "x.csv"),
        "relax": ("relax", model, place / "x.pdb"),
        "weights untrained": ("weights", "untrained", "nano", "--out", place / "x.safetensors"),
    }
    for name, words in commands.items():
        start = time.monotonic()
        result = run(*words)
        assert result.code == 2, (name, result.err)
        assert result.err.splitlines()[-1].startswith("rna-predict: "), name
        assert time.monotonic() - start < 60
    assert fasta.read_text().startswith(">hairpin")


def test_fault_19_temporary_folder_full_or_elsewhere(run, small_disk, predicted, command, tmp_path, monkeypatch):
    """Nothing of a result is written to TMPDIR: renames stay within one file system."""
    disk = small_disk(64)
    fill(disk, 0)
    monkeypatch.setenv("TMPDIR", str(disk))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert run(*command).code == 0
    assert (tmp_path / "out" / "hairpin.cif").read_bytes() == (predicted / "hairpin.cif").read_bytes()
    assert [path.name for path in disk.iterdir()] == [".filling"]


def test_fault_20_two_identical_runs_in_one_folder(run, predicted, command, tmp_path):
    """The second refuses while the first writes; the first ends as if it had been alone."""
    first = child(command)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "status.tsv").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(first, signal.SIGSTOP)  # on a busy machine it would be done before the second has started
    result = run(*command)
    os.kill(first, signal.SIGCONT)
    assert result.code == 2
    assert "another run is writing there" in result.err
    assert ended(first) == 0
    assert (tmp_path / "out" / "hairpin.pdb").read_bytes() == (predicted / "hairpin.pdb").read_bytes()
    assert run("verify", tmp_path / "out").code == 0


def test_fault_20_two_identical_stages_end_with_one_result(undisturbed, stage_settings, tmp_path):
    before, after, _ = undisturbed
    folder = tmp_path / "run"
    shutil.copytree(before["stage-c"], folder)
    words = stage_command("stage-c", folder, stage_settings)
    assert [ended(pid) for pid in [child(words), child(words)]] == [0, 0]
    assert results(folder) == after["stage-c"]
