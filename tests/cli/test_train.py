"""What `rna-predict train` refuses before it starts."""

import pytest

from rna_predict.cli import train


def test_without_the_extra_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setattr(train, "find_spec", lambda name: None if name == "peft" else object())
    result = run("train", "small")
    assert result.code == 2
    assert result.err == "rna-predict: train: peft not installed. pip install 'rna-predict[train]'\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name an experiment, or a file with its settings"),
        (("small", "--config", "x.yaml"), "name an experiment, or a file with its settings"),
        (("--config", "x.yaml", "--set", "trainer.steps=1"), "the settings in --config are complete"),
        (("--config", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
        (("small", "--config-dir", "nowhere"), "nowhere/experiment/small.yaml: no such file"),
    ],
)
def test_what_cannot_be_meant_is_refused(run, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("train", *words)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.splitlines()) == 1


def test_a_folder_that_is_no_dataset_is_named(run, root, tmp_path):
    words = ("--config-dir", root / "config", "--set", f"data.dataset={tmp_path}", "--out", tmp_path / "run")
    result = run("train", "small", *words)
    assert result.code == 2
    assert f"{tmp_path}: is no dataset" in result.err
    assert not (tmp_path / "run").exists()
