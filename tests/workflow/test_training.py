"""Training through Snakemake: from structures to a partial checkpoint, and to predictions that take it up."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from rna_predict.nn.partial import read_partial

TARGET = "results/preds/hairpin.pdb"
PARTIAL = "results/checkpoints/quick/partial.safetensors"
CHAINS = ("17ra_A", "1am0_A", "1l2x_A")
EXPERIMENT = """# @package _global_
defaults: [default, _self_]
network: {weights: nowhere.safetensors}
data: {crop: 16, budget: 32, coordinates: false, native_pairs: 1.0}
losses: {copies: 1, rollout_steps: 1}
optimiser: {learning_rate: 0.01, warmup: 0, ema: 0.0}
validation: {every: 0}
trainer: {steps: 2, keep: last}
"""
QUICK = {
    "stage_c": {"choice": "default", "overrides": ["method=nerf"]},
    "stage_d": {"choice": "default", "overrides": ["models=1", "diffusion_steps=20", "guidance=false", "refine=false"]},
}
AFTER_TRAINING = dict.fromkeys(
    ("train", "stage_b_torsion", "stage_c_reconstruction", "stage_d_diffusion", "export_prediction"), 1
)
RETRAINED = {"resolve_training": 1} | AFTER_TRAINING


def one_thread(target):
    """Arguments that let a training run as it did before, whatever this machine has."""
    return ("--cores", "2", "--set-threads", "train=1", "--", target)


def coordinates(workflow):
    """What the prediction says of atoms' places."""
    return [line[30:54] for line in (workflow.folder / TARGET).read_text().splitlines() if line.startswith("ATOM")]


@pytest.fixture(scope="module")
def prepared(copy_of_workflow, chains_dir, tmp_path_factory):
    """The workflow with an experiment and structures to train on; nothing has run."""
    workflow = copy_of_workflow(tmp_path_factory.mktemp("training"))
    (workflow.folder / "structures").mkdir()
    for name in CHAINS:
        shutil.copy(chains_dir / f"{name}.pdb.gz", workflow.folder / "structures")
    (workflow.folder / "config" / "experiment" / "quick.yaml").write_text(EXPERIMENT)
    workflow.samples("hairpin GGGCUUCGGCCC")
    workflow.configure(**QUICK, untrained="nano", dataset={"structures": "structures"}, tracking="results/tracking")
    return workflow


@pytest.fixture(scope="module")
def trained(prepared):
    """The same after a training that was asked for by its path."""
    assert prepared.done(*one_thread(PARTIAL)) == {"build_dataset": 1, "resolve_training": 1, "train": 1}
    return prepared


@pytest.fixture(scope="module")
def predicted(trained):
    """Predictions without a checkpoint, with one of another training, and after that changed again."""
    trained.run(*one_thread(TARGET))
    found = [coordinates(trained)]
    trained.configure(checkpoints="quick", training={"overrides": ["trainer.seed=1"]})
    assert trained.done(*one_thread(TARGET)) == RETRAINED | {"resolve_config": 2}
    found.append(coordinates(trained))
    trained.configure(training={"overrides": ["trainer.seed=1", "trainer.steps=3"]})
    assert trained.done(*one_thread(TARGET)) == RETRAINED
    return trained, [*found, coordinates(trained)]


def test_a_path_asked_for_builds_the_dataset_and_trains_on_the_networks_of_the_config(trained):
    partial = read_partial(trained.folder / PARTIAL)
    assert partial.header.step == 2
    assert partial.stages == ("stage_b", "stage_d")
    settings = yaml.safe_load((trained.folder / "results" / "config" / "train" / "quick.yaml").read_text())
    assert settings["network"]["untrained_profile"] == "nano"
    assert settings["network"]["weights"] == "", "the config's source takes the place of the experiment's"
    assert settings["data"]["dataset"] == "results/dataset/chains"
    assert (trained.folder / "results" / "dataset" / "chains.stages").is_dir()


def test_a_prediction_trains_first_and_changes_with_the_training(predicted):
    workflow, (without, first, second) = predicted
    assert len(without) == len(first) == len(second) > 200
    assert without != first != second != without
    log = (workflow.folder / "results/logs/hairpin/stage_d_diffusion.log").read_text()
    assert "stage_d: partial.safetensors (step 3) merged into starting values of profile nano" in log


def test_only_a_changed_setting_trains_again(predicted):
    workflow, _ = predicted
    experiments = workflow.folder / "config" / "experiment"
    assert workflow.planned(TARGET) == {}
    (experiments / "quick.yaml").write_text("# a comment\n" + EXPERIMENT)
    (experiments / "unused.yaml").write_text(EXPERIMENT)
    for path in ("results/config/train/quick.yaml", "config/config.yaml", "config/optimiser/default.yaml"):
        (workflow.folder / path).touch()
    assert workflow.planned(TARGET) == {}
    (experiments / "quick.yaml").write_text(EXPERIMENT.replace("copies: 1", "copies: 2"))
    assert workflow.planned(TARGET) == RETRAINED
    (experiments / "quick.yaml").write_text(EXPERIMENT)


def test_trainings_and_predictions_are_tracked(predicted):
    from rna_predict.training.tracking_read import TrackingReader

    workflow, _ = predicted
    assert workflow.planned() == {"track_predictions": 1, "all": 1}
    workflow.run("--cores", "1", "track_predictions")
    found = TrackingReader(workflow.folder / "results" / "tracking")
    assert [(run.name, run.status) for run in found.runs()] == [("quick", "finished")] * 3
    assert [one.id for one in found.predictions()] == ["hairpin"]
    assert workflow.planned() == {}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_stopped_training_goes_on_to_the_same_bytes(trained, number):
    folder = trained.folder / "results" / "checkpoints" / "long"
    settings = EXPERIMENT.replace("steps: 2,", "steps: 15, save_every: 1,")
    (trained.folder / "config" / "experiment" / "long.yaml").write_text(settings)
    command = one_thread("results/checkpoints/long/partial.safetensors")
    trained.run(*command)
    whole = (folder / "partial.safetensors").read_bytes()
    shutil.rmtree(folder)

    process = trained.start(*command)
    await_state(folder, process)
    os.killpg(process.pid, number)
    text, _ = process.communicate()
    assert ("returned non-zero exit status 75" in text) == (number == signal.SIGTERM), text
    assert not (folder / "partial.safetensors").exists()

    trained.run(*command)
    assert "going on from step_" in (trained.folder / "results" / "logs" / "train" / "long.log").read_text()
    assert (folder / "partial.safetensors").read_bytes() == whole
    shutil.rmtree(folder)


def await_state(folder: Path, process) -> None:
    """Return when a training has written its first state."""
    for _ in range(2400):
        if (folder / "state.json").is_file():
            return
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.05)
    pytest.fail("no state was written")


@pytest.fixture
def outside(workflow):
    """A workflow on stand-ins, with an experiment, weights, and a dataset that was built elsewhere."""
    workflow.stand_in()
    workflow.samples("one ACGUACGU")
    (workflow.folder / "chains").mkdir()
    for name in ("chains/dataset.json", "chains/splits.tsv", "w.safetensors", "mine.safetensors"):
        (workflow.folder / name).write_text("first")
    (workflow.folder / "config" / "experiment" / "quick.yaml").write_text(EXPERIMENT)
    workflow.configure(weights="w.safetensors", training={"dataset": "chains/", "overrides": ["adapters=full"]})
    return workflow


def test_the_config_hands_over_weights_dataset_and_overrides(outside):
    outside.run("--cores", "1", PARTIAL)
    asked = (outside.folder / "results" / "config" / "train" / "quick.yaml").read_text()
    assert "data.dataset='chains' data.store='chains.stages' network.weights='w.safetensors'" in asked
    assert asked.endswith("network.untrained_profile='' adapters=full")
    asked = (outside.folder / PARTIAL).read_text()
    assert "--out results/checkpoints/quick --name quick --threads 1" in asked

    adapters = outside.folder / "config" / "adapters" / "full.yaml"
    for path, content in (
        (adapters, adapters.read_text() + "rank: 3\n"),
        (outside.folder / "chains" / "splits.tsv", "second"),
        (outside.folder / "w.safetensors", "second"),
    ):
        before = path.read_text()
        path.write_text(content)
        assert set(outside.planned(PARTIAL)) - {"resolve_training"} == {"train"}, path
        path.write_text(before)
    adapters.write_text("# a comment\n" + adapters.read_text())
    assert outside.planned(PARTIAL) == {}


@pytest.mark.parametrize(
    ("checkpoints", "files"),
    [
        ("quick", {"b": PARTIAL, "d": PARTIAL}),
        ({"stage_d": "quick"}, {"d": PARTIAL}),
        ({"stage_b": "mine.safetensors"}, {"b": "mine.safetensors"}),
    ],
)
def test_each_stage_takes_up_what_is_named_for_it(outside, checkpoints, files):
    outside.configure(checkpoints=checkpoints)
    text = outside.run("-n", "-p", "results/preds/one.pdb")
    resolved = dict(re.findall(r"--stage stage_(\w) (.*?) stage_", text))
    expected = {name: f"--weights=w.safetensors --partial={file}" for name, file in files.items()}
    assert resolved == {"a": "", "c": "", "b": "--weights=w.safetensors", "d": "--weights=w.safetensors"} | expected
    inputs = dict(re.findall(r"rule stage_(\w)_\w+:\n    input: (.*)", text))
    assert {name for name, named in inputs.items() if PARTIAL in named or "mine.safetensors" in named} == set(files)
    assert outside.planned("results/preds/one.pdb").get("train", 0) == (PARTIAL in files.values())


def test_training_asks_for_its_gpus_memory_and_a_day(outside):
    outside.configure(training={"dataset": "chains", "gpu": 2})
    (resources,) = re.findall(r"rule train:.*?resources: ([^\n]*)", outside.run("-n", PARTIAL), re.DOTALL)
    assert {"gpu=2", "runtime=1440", "mem_mb=16000"} <= set(resources.split(", "))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"training": {"gpus": 1}}, "'gpus' was unexpected"),
        ({"training": {"overrides": ["network.weights=x"]}}, "'network.weights=x' should not be valid under"),
        ({"checkpoints": {"stage_a": "quick"}}, "'stage_a' was unexpected"),
        ({"checkpoints": "a/b"}, "'a/b' does not match"),
        ({"checkpoints": {"stage_b": "a/b"}}, "'a/b' does not match"),
        ({"checkpoints": {}}, "{} should be non-empty"),
        ({"checkpoints": ["quick"]}, "is not of type 'string', 'object'"),
    ],
)
def test_the_schema_names_what_is_wrong(root, changes, named):
    config = yaml.safe_load((root / "config" / "config.yaml").read_text()) | {"untrained": "nano"} | changes
    with pytest.raises(WorkflowError, match=re.escape(named)):
        validate(config, str(root / "workflow" / "schemas" / "config.schema.yaml"))


def test_keys_that_need_each_other_or_exclude_each_other_are_named(workflow):
    workflow.configure(checkpoints="quick")
    assert "checkpoints: set, but not the weights" in workflow.run("-n", code=1)
    workflow.configure(untrained="nano")
    assert "training: dataset: not set" in workflow.run("-n", code=1)
    workflow.configure(dataset={"structures": "envs"})
    assert "run quick: config/experiment/quick.yaml does not exist. Choices: default," in workflow.run("-n", code=1)
    workflow.configure(training={"dataset": "y"})
    assert "training: dataset: is for a dataset built elsewhere" in workflow.run("-n", code=1)
    workflow.configure(training={})
    assert "tracking: not set" in workflow.run("-n", "track_predictions", code=1)


def test_a_run_with_a_slash_in_its_name_has_no_rule(outside):
    text = outside.run("-n", "results/checkpoints/deep/quick/partial.safetensors", code=1)
    assert "MissingRuleException" in text
