"""The real pipeline through Snakemake, on the 12-nt hairpin: whole, and killed on its way."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

TARGET = "results/preds/hairpin.pdb"


QUICK = {"stage_c": {"choice": "default", "overrides": ["starts=2", "kept=1"]}}
QUICK |= {"stage_d": {"choice": "default", "overrides": ["models=1", "steps=4", "refine_iterations=100"]}}


def contents(folder: Path) -> dict[str, bytes]:
    """Every result below `results/stages` and `results/preds`, temporary files left out."""
    files = [path for part in ("stages", "preds") for path in (folder / "results" / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if not path.name.startswith(".")}


@pytest.fixture(scope="module")
def undisturbed(copy_of_workflow, tmp_path_factory):
    """One run to the end, its results and how long it took."""
    workflow = copy_of_workflow(tmp_path_factory.mktemp("undisturbed"))
    workflow.configure(**QUICK)
    start = time.monotonic()
    workflow.run("--cores", "2", TARGET)
    return workflow, contents(workflow.folder), time.monotonic() - start


def test_a_single_id_runs_to_models_with_every_file_of_the_contract(undisturbed):
    workflow, files, _ = undisturbed
    stage = "results/stages/hairpin/"
    assert set(files) == {
        *(f"{stage}{name}" for name in ("sequence.fasta", "a_adjacency.safetensors", "a_adjacency.dbn")),
        *(f"{stage}{name}" for name in ("a_family.json", "a_family.a3m")),
        *(f"{stage}{name}" for name in ("t_templates.safetensors", "t_templates.json")),
        *(f"{stage}{name}" for name in ("b_torsions.safetensors", "b_embeddings.safetensors")),
        *(f"{stage}{name}" for name in ("c_coordinates.safetensors", "c_coordinates.pdb")),
        *(f"{stage}{name}" for name in ("d_models.cif", "d_confidence.json")),
        *(TARGET, "results/preds/hairpin.cif"),
    }
    residues = {line[17:26] for line in files[TARGET].decode().splitlines() if line.startswith("ATOM")}
    assert len(residues) == 12
    assert "models: 1\n" in (workflow.folder / "results" / "config" / "stage_d.yaml").read_text()
    assert len(json.loads(files[f"{stage}d_confidence.json"])["models"]) == 1
    assert workflow.planned(TARGET) == {}


def test_one_stage_alone_can_be_run_again_to_the_same_result(undisturbed):
    workflow, files, _ = undisturbed
    workflow.run("--cores", "2", "--forcerun", "stage_c_reconstruction", "--", TARGET)
    assert contents(workflow.folder) == files


@pytest.mark.slow
def test_killed_at_random_moments_the_same_command_completes_with_the_same_result(workflow, undisturbed):
    _, files, seconds = undisturbed
    workflow.configure(**QUICK)
    moments = random.Random(20)
    for _ in range(5):
        process = workflow.start("--cores", "2", TARGET)
        time.sleep(moments.uniform(1.0, seconds))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        found = contents(workflow.folder)
        assert {name: files[name] for name in found} == found, "a file under its own name is whole"
    workflow.run("--cores", "2", TARGET)
    assert contents(workflow.folder) == files


def jobs_of(folder: Path, word: str) -> list[psutil.Process]:
    """Processes of the command line that work in a folder, by a word of their command."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if word in process.cmdline() and process.cwd() == str(folder):
                found.append(process)
    return found


def test_fault_21_a_job_that_outlives_snakemake_corrupts_nothing(workflow, undisturbed):
    """Snakemake is killed, its job goes on; the same command at once, without unlock, ends with the same files."""
    _, files, _ = undisturbed
    workflow.configure(**QUICK)
    process = workflow.start("--cores", "2", TARGET)
    while not (orphans := jobs_of(workflow.folder, "stage-c")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert orphans[0].is_running(), "it lives on"
    workflow.run("--cores", "2", TARGET)
    psutil.wait_procs(orphans, timeout=300)
    assert contents(workflow.folder) == files
    assert not [path for path in (workflow.folder / "results" / "stages").rglob(".*") if path.is_file()]
    assert workflow.planned(TARGET) == {}


def test_a_wrong_letter_in_one_line_fails_that_rna_and_says_where(workflow):
    workflow.samples("good GGGCUUCGGCCC", "bad GGGCUUCGGCCN")
    text = workflow.run("--cores", "2", "--until", "prepare_input", code=1)
    assert "bad: failed: 'N' at position 12" in text
    assert (workflow.folder / "results" / "stages" / "good" / "sequence.fasta").is_file()


def test_the_interpreter_of_snakemake_runs_the_jobs_without_an_activated_environment(workflow):
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment["PATH"] = "/usr/bin:/bin"
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "results/stages/hairpin/sequence.fasta"]
    subprocess.run(command, cwd=workflow.folder, env=environment, check=True, capture_output=True)
