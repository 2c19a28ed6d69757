"""`rna-predict plan` states memory and time of a run before it."""

import json

import pytest

from rna_predict.cli.machine_speed import measure
from rna_predict.nn.cost import Run, peak_bytes, works
from rna_predict.nn.profiles import PROFILES
from rna_predict.nn.work import KINDS


def figures(result):
    assert result.code == 0, result.err
    return json.loads(result.out.splitlines()[-1])


def test_plan_says_that_it_estimates_and_states_memory_and_time(run):
    result = run("plan", "--length", 60, "--profile", "nano", "--models", 2, "--steps", 7, "--cycles", 3)
    found = figures(result)
    assert result.out.startswith("An estimate")
    assert (found["models"], found["steps"], found["cycles"], found["msa_rows"]) == (2, 7, 3, 1)
    assert found["pair_mb"] == pytest.approx(4 * 60**2 * 32 / 1e6, abs=0.1)
    assert found["weights_mb"] == pytest.approx(4.1, abs=0.1)
    planned = Run(length=60, cycles=3, models=2, steps=7)
    assert found["stage_d_peak_mb"] == round(peak_bytes(PROFILES["nano"], "stage_d", planned) / 1e6)
    assert 0 < found["stage_b_seconds"] < 60
    parts = [line.split()[0] for line in result.out.splitlines() if line.startswith("stage_") and "  " in line]
    assert parts.count("stage_b") == len(works(PROFILES["nano"], planned)["stage_b"])
    assert parts.count("stage_d") == len(works(PROFILES["nano"], planned)["stage_d"])


def test_plan_takes_the_defaults_of_profile_and_stage_and_a_profile_of_one_s_own(run, tmp_path):
    (tmp_path / "mine.yaml").write_text("pairformer_blocks: 2\ncycles: 6\n")
    found = figures(run("plan", "--length", 30, "--profile", "mine", "--profile-dir", tmp_path))
    assert (found["profile"], found["cycles"], found["models"], found["steps"]) == ("mine", 6, 5, 200)
    wrong = run("plan", "--length", 30, "--profile", "huge")
    assert wrong.code == 2
    assert "profile 'huge': unknown" in wrong.err


def test_the_speed_of_every_kind_of_work_is_measured():
    speeds = measure(PROFILES["nano"], 40, 2)
    assert sorted(speeds) == sorted(KINDS)
    assert min(speeds.values()) > 0
