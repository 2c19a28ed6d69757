"""`rna-predict doctor`, tab completion, and progress that is silent without a terminal."""

import io
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from rich.console import Console

from rna_predict.cli import console, doctor_checks


@pytest.fixture
def checks(run, tmp_path):
    """`checks()` is the exit code and the rows by part."""

    def call() -> tuple[int, dict[str, dict[str, str]]]:
        result = run("doctor", "--json", "--results", tmp_path / "results")
        rows = json.loads(result.out)["checks"]
        return result.code, {row["part"]: row for row in rows}

    return call


def test_a_whole_installation_has_no_faults(checks):
    code, rows = checks()
    assert code == 0
    assert {row["state"] for row in rows.values()} <= {"ok", "missing"}
    assert all(row["remedy"] for row in rows.values() if row["state"] != "ok")
    assert rows["ViennaRNA"]["found"] == metadata.version("ViennaRNA")
    assert rows["families"]["found"] == "4108 families"
    assert {"torch", "snakemake", "openmm", "peft", "sbatch", "cores", "memory", "device", "disk"} <= set(rows)


def test_a_missing_and_an_old_package_are_faults_and_one_of_an_extra_is_not(checks, monkeypatch):
    real = metadata.version
    strange = {"gemmi": "0.1", "openmm": None, "ViennaRNA": None}

    def version(name: str) -> str:
        if strange.get(name, "") is None:
            raise metadata.PackageNotFoundError(name)
        return strange.get(name) or real(name)

    monkeypatch.setattr(doctor_checks.metadata, "version", version)
    code, rows = checks()
    assert code == 1
    assert (rows["gemmi"]["state"], rows["gemmi"]["found"]) == ("fault", "0.1, needs >=0.7")
    assert (rows["ViennaRNA"]["state"], rows["ViennaRNA"]["remedy"]) == ("fault", "pip install 'ViennaRNA>=2.6'")
    assert rows["openmm"]["state"] == "missing"
    assert "pip install 'rna-predict[relax]'" in rows["openmm"]["remedy"]


@pytest.mark.parametrize("place", [-1, 100])
def test_damaged_weights_are_a_fault(checks, monkeypatch, tmp_path, place):
    from rna_predict.nn import carried

    path = carried.carried_weights("folding_small")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    damaged = tmp_path / "folding_small.safetensors"
    damaged.write_bytes(content)
    monkeypatch.setattr(carried, "carried_weights", lambda name: damaged if name == damaged.stem else path)
    code, rows = checks()
    assert code == 1
    assert rows["weights of stage A"]["state"] == "fault"
    assert rows["weights of stage A"]["remedy"] == "Install the package again."


def test_a_folder_that_cannot_be_written_to_is_a_fault(run, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("doctor", "--results", tmp_path / "file")
    assert result.code == 1
    assert f"FAULT results: {tmp_path / 'file'}: Not a directory. Name another folder with --results" in result.out
    assert "1 faults." in result.out


def completed(words: str) -> set[str]:
    """What bash is offered after these words."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split())), "_RNA_PREDICT_COMPLETE": "complete_bash"}
    program = "from rna_predict.cli.main import main; import sys; sys.argv[0] = 'rna-predict'; main()"
    environment = os.environ | asked
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    return set(result.stdout.split())


def test_tab_completes_commands_and_options():
    assert {"predict", "plan", "doctor", "verify", "train"} <= completed("rna-predict")
    assert {"run", "fold", "stage-a"} <= completed("rna-predict bench")
    assert completed("rna-predict weights") >= {"inspect", "convert"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_shown(shell):
    environment = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    words = [str(Path(sys.executable).with_name("rna-predict")), "--show-completion", shell]
    result = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert "_RNA_PREDICT_COMPLETE" in result.stdout


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_on_a_terminal_and_is_silent_elsewhere(monkeypatch, terminal):
    written = io.StringIO()
    monkeypatch.setattr(console, "_errors", Console(file=written, force_terminal=terminal, width=80))
    with console.steps(2) as progress:
        for name in ("first", "second"):
            progress.now(name)
            progress.done()
    assert bool(written.getvalue()) == terminal
