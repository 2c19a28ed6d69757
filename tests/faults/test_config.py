"""Faults 13 and 14: settings that are wrong, or that want to run something."""

import time

import pytest

WRONG = {
    "stage_d.modles=3": "modles",
    "stage_d.models=many": "models",
    "stage_d.models=-1": "models",
    "stage_c.steps_open=nan": "steps_open",
    "stage_a.temperature_celsius=.nan": "temperature_celsius",
    "stage_e.models=1": "stage_e",
    "stage_a.max_length=-5": "max_length",
}


@pytest.mark.parametrize("setting", WRONG)
def test_fault_13_wrong_settings(run, tmp_path, fasta, setting):
    result = run("predict", fasta, "--out", tmp_path / "out", "--set", setting)
    assert result.code == 2
    assert WRONG[setting] in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_fault_13_a_group_that_is_not_there(run, tmp_path, fasta):
    folder = tmp_path / "config"
    folder.mkdir()
    result = run("predict", fasta, "--out", tmp_path / "out", "--config-dir", folder)
    assert result.code == 2
    assert "no such file. Choices for stage_a: none" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("optimiser.learning_rate=nan", "learning_rate"),
        ("optimiser.learning_rate=.nan", "learning_rate"),
        ("data.crop=-4", "crop"),
        ("trainer.stpes=3", "stpes"),
        ("trainer.steps=few", "steps"),
    ],
)
def test_fault_13_wrong_settings_of_a_training(run, root, tmp_path, setting, named):
    words = ("--config-dir", root / "config", "--set", "network.untrained_profile=nano", "--set", "data.dataset=x")
    result = run("train", "default", "--out", tmp_path / "run", *words, "--set", setting)
    assert result.code == 2
    assert named in result.err
    assert not (tmp_path / "run").exists()


UNSAFE = {
    "an object": "models: !!python/object/apply:os.system ['touch {P}']\n",
    "a module": "models: !!python/name:os.system\n",
    "a target": "_target_: os.system\ncommand: touch {P}\n",
    "a nested target": "models:\n  _target_: os.system\n  _args_: [touch {P}]\n",
    "a resolver": "models: ${{oc.env:HOME}}\n",
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_fault_14_unsafe_yaml(run, root, tmp_path, fasta, name):
    """Each is refused by name within seconds, nothing runs and nothing is written."""
    folder, planted = tmp_path / "config", tmp_path / "P"
    for stage in ("stage_a", "templates", "stage_b", "stage_c", "stage_d"):
        (folder / stage).mkdir(parents=True)
        (folder / stage / "default.yaml").write_text("{}\n")
    (folder / "stage_d" / "default.yaml").write_text(UNSAFE[name].format(P=planted))
    start = time.monotonic()
    result = run("predict", fasta, "--out", tmp_path / "out", "--config-dir", folder)
    assert time.monotonic() - start < 60
    assert result.code == 2
    assert "stage_d" in result.err
    assert not planted.exists()
    assert not (tmp_path / "out").exists()
