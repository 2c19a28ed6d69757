"""A training from its settings to a partial checkpoint that fits a fresh network; resumed it is the same training."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rna_predict.errors import ConfigError, InputError, TrainingError, WeightsError
from rna_predict.nn.partial import attach_partial, frozen_keys, partial_load_state_dict, read_partial
from rna_predict.nn.weights import open_network
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion.network import DiffusionModel
from rna_predict.training.curves import read_curve
from rna_predict.training.module import TrainingModule
from rna_predict.training.pipeline import Pipeline, build_pipeline
from rna_predict.training.run import run_key, train
from rna_predict.training.validation import measure, validation_chains, validation_examples

ADAPTED = ("adapters.rank=2", "adapters.dropout=0.1", "optimiser.accumulate=2", "losses.rollout_every=2")


@pytest.fixture(scope="module")
def finished(resolved, tmp_path_factory):
    """A run that nothing disturbed: adapters, dropout, two batches a step, recorded."""
    folder = tmp_path_factory.mktemp("finished")
    config = resolved(*ADAPTED, f"trainer.tracking={folder / 'tracking'}")
    return config, folder / "run", train(config, folder / "run", "straight")


def command(folder: Path, root: Path, settings: list[str]) -> list[str]:
    sets = [word for one in [*settings, *ADAPTED] for word in ("--set", one)]
    words = ["train", "default", "--out", str(folder), "--config-dir", str(root / "config"), *sets]
    return [sys.executable, "-m", "rna_predict", *words]


def started(words: list[str]) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def await_rows(folder: Path, rows: int, process: subprocess.Popen) -> None:
    """Until the curve has so many lines with its header."""
    curve = folder / "train.csv"
    while process.poll() is None:
        if curve.is_file() and curve.read_text().count("\n") > rows:
            return
        time.sleep(0.01)
    raise AssertionError(process.stdout.read())


def same_results(folder: Path, other: Path) -> None:
    for name in ("train.csv", "validation.csv", "partial.safetensors", "best.safetensors", "last.safetensors"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name


def test_it_leaves_curves_weights_and_a_summary(finished):
    _, folder, outcome = finished
    assert outcome.status == "finished"
    assert outcome.partial == folder / "partial.safetensors"
    columns, rows = read_curve(folder / "train.csv")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(row["loss"] > 0 and row["gradient_norm"] > 0 for row in rows)
    assert {"diffusion_mse", "distogram", "torsion_direction", "pairs", "plddt"} <= set(columns)
    validations = read_curve(folder / "validation.csv")[1]
    assert [row["step"] for row in validations] == [3, 6]
    assert all(0 < row["lddt"] < 1 and row["rmsd"] > 0 and 0 < row["head_mcq"] < 180 for row in validations)
    summary = json.loads((folder / "run.json").read_text())
    best = max(validations, key=lambda row: row["lddt"])
    assert summary["best"] == {"step": best["step"], "lddt": best["lddt"]}
    assert summary["validated_on"] == ["2kgp_A", "1f1t_A"]
    header = read_partial(folder / "partial.safetensors").header
    assert (header.step, header.sha256) == (best["step"], summary["sha256"])
    assert header.base_sha256 == open_network(Trunk, untrained_profile="nano").header.sha256


def test_the_partial_file_is_small_holds_no_frozen_key_and_fits_fresh_networks_exactly(finished):
    _, folder, _ = finished
    partial = read_partial(folder / "partial.safetensors")
    fresh = [open_network(build, untrained_profile="nano") for build in (Trunk, DiffusionModel)]
    full = sum(4 * each.numel() for network in fresh for each in network.module.state_dict().values())
    assert (folder / "partial.safetensors").stat().st_size < full / 5
    claimed: set[str] = set()
    for network in fresh:
        layout = set(network.module.state_dict())
        attach_partial(network.module, partial, network.header.sha256)
        report = partial_load_state_dict(network.module, partial.tensors)
        assert set(report.missing) == frozen_keys(network.module) == layout - set(report.loaded)
        assert not report.unexpected
        assert not set(report.missing) & set(partial.tensors)
        claimed |= set(report.loaded)
    assert claimed == set(partial.tensors)


def test_fresh_networks_with_the_file_measure_what_the_training_measured(finished, dataset):
    """The very numbers of the last validation, from files alone: no dummy, no state of the run."""
    from rna_predict.data.dataset import open_dataset

    config, folder, _ = finished
    partial, networks = read_partial(folder / "last.safetensors"), []
    for build in (Trunk, DiffusionModel):
        network = open_network(build, untrained_profile="nano")
        attach_partial(network.module, partial, network.header.sha256)
        networks.append(network)
    pipeline = Pipeline(*networks, head_torsions=True).eval()
    expected = read_curve(folder / "validation.csv")[1][-1]
    rows = [measure(pipeline, *one, config) for one in validation_examples(open_dataset(dataset), config)]
    for name in ("loss", "lddt", "tm_c3", "rmsd", "head_mcq", "distogram"):
        assert sum(getattr(row, name) for row in rows) / len(rows) == pytest.approx(expected[name], abs=1e-6), name


def test_the_run_is_recorded(finished):
    from rna_predict.training.tracking_read import TrackingReader

    config, folder, _ = finished
    found = TrackingReader(Path(config.trainer.tracking))
    (run,) = found.runs()
    assert (run.name, run.status) == ("straight", "finished")
    losses = {row.step: row.value for row in found.metrics(run.run) if row.name == "loss" and row.split == "train"}
    assert losses == {int(row["step"]): row["loss"] for row in read_curve(folder / "train.csv")[1]}
    assert {row.tag for row in found.checkpoints(run.run)} == {"best", "last"}


def test_the_same_call_again_changes_nothing(finished):
    config, folder, _ = finished
    before = {path: path.read_bytes() for path in folder.glob("*.*") if path.name != "run.json"}
    assert train(config, folder, "straight").status == "finished"
    assert {path: path.read_bytes() for path in before} == before


def test_killed_at_a_random_step_it_goes_on_bit_for_bit(finished, root, settings, tmp_path):
    """Kill -9; the loss curve, the validations and the weights are those of the run that nothing disturbed."""
    words = command(tmp_path / "run", root, settings)
    step = random.SystemRandom().randint(2, 5)
    process = started(words)
    await_rows(tmp_path / "run", step, process)
    process.kill()
    process.wait()
    assert not (tmp_path / "run" / "partial.safetensors").exists()
    stated = (tmp_path / "run" / "state.json").exists()  # a kill between a row and its state comes before the first
    said = subprocess.run(words, capture_output=True, text=True, check=True).stderr
    assert ("going on from step_0000000" in said) == stated, said
    same_results(finished[1], tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_writes_the_state_and_the_same_command_goes_on(finished, root, settings, tmp_path, number):
    words = command(tmp_path / "run", root, settings)
    process = started(words)
    await_rows(tmp_path / "run", 1, process)
    process.send_signal(number)
    said = process.communicate()[0]
    assert process.returncode == 75, said
    done = json.loads((tmp_path / "run" / "state.json").read_text())["checkpoints"][0]["step"]
    assert done == read_curve(tmp_path / "run" / "train.csv")[1][-1]["step"], "no step is lost"
    subprocess.run(words, capture_output=True, text=True, check=True)
    same_results(finished[1], tmp_path / "run")


def test_other_settings_begin_anew_and_lose_nothing(finished, resolved, tmp_path):
    config = resolved("trainer.steps=3", "validation.every=0", "trainer.keep=last")
    train(config, tmp_path / "run")
    first = (tmp_path / "run" / "partial.safetensors").read_bytes()
    other = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, seed=1))
    train(other, tmp_path / "run")
    assert (tmp_path / "run" / "before_1" / "partial.safetensors").read_bytes() == first
    assert (tmp_path / "run" / "partial.safetensors").read_bytes() != first
    assert read_curve(tmp_path / "run" / "train.csv")[1][0]["step"] == 1


def test_what_changes_no_number_changes_no_key(finished, resolved, dataset, tmp_path):
    from rna_predict.data.dataset import open_dataset

    chains = open_dataset(dataset)
    key = run_key(resolved(), chains, "base")
    for same in ("trainer.log_every=7", "trainer.save_every=5", "data.workers=1", f"trainer.tracking={tmp_path}"):
        assert run_key(resolved(same), chains, "base") == key
    for other in ("trainer.steps=7", "adapters.rank=3", "losses.pairs=0.5", "data.crop=23", "optimiser.ema=0.5"):
        assert run_key(resolved(other), chains, "base") != key
    assert run_key(resolved(), chains, "other base") != key
    chains.splits["17ra_A"] = "left_out"
    assert run_key(resolved(), chains, "base") != key


def test_two_trainings_in_one_folder_do_not_mix(resolved, tmp_path):
    import fcntl

    (tmp_path / ".running").write_text("")
    with (tmp_path / ".running").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another training writes there"):
            train(resolved(), tmp_path)


@pytest.fixture
def poisoned(monkeypatch):
    """The third batch's losses are not finite."""
    real = Pipeline.losses

    def losses(self, example, settings, draws):
        found = real(self, example, settings, draws)
        calls.append(example.ids)
        return found | ({"pairs": found["distogram"] * float("nan")} if len(calls) == 3 else {})

    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(Pipeline, "losses", losses)
    return calls


ALONE = ("validation.every=0", "trainer.keep=last", "trainer.save_every=1")


def test_a_loss_that_is_no_number_stops_with_the_chains_named_and_keeps_the_last_good_weights(
    poisoned, resolved, tmp_path
):
    with pytest.raises(TrainingError, match=r"step 3: loss, pairs is not finite; chains of the step: ") as error:
        train(resolved(*ALONE), tmp_path)
    assert all(id in str(error.value) for id in poisoned[2])
    assert read_partial(tmp_path / "last.safetensors").header.step == 2
    assert not (tmp_path / "partial.safetensors").exists()


def test_or_it_is_skipped_and_counted(poisoned, resolved, tmp_path, caplog):
    outcome = train(resolved(*ALONE, "trainer.on_nan=skip"), tmp_path)
    assert outcome.steps == 6
    rows = read_curve(tmp_path / "train.csv")[1]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if row["loss"] != row["loss"]] == [3]
    assert "skipped" in caplog.text
    assert all(each.isfinite().all() for each in load_file(tmp_path / "partial.safetensors").values())
    poisoned.clear()
    with pytest.raises(TrainingError, match=r"trainer\.max_skips is 0"):
        train(resolved(*ALONE, "trainer.on_nan=skip", "trainer.max_skips=0"), tmp_path / "other")


def test_a_state_of_other_tensors_or_weights_is_refused_and_changes_nothing(finished, resolved):
    config, folder, _ = finished
    saved = torch.load(next(iter(sorted((folder / "state").iterdir()))), weights_only=True)
    for change, match in (
        (lambda state: state["state_dict"].popitem(), "trains other tensors"),
        (lambda state: state["rna_predict"].update(base_sha256="0" * 64), "training on weights 000000000000"),
    ):
        module = TrainingModule(config)
        before = {name: each.clone() for name, each in module.state_dict().items()}
        state = {**saved, "state_dict": dict(saved["state_dict"]), "rna_predict": dict(saved["rna_predict"])}
        change(state)
        with pytest.raises(WeightsError, match=match):
            module.on_load_checkpoint(state)
        assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())


def test_bfloat16_trains_too(resolved, tmp_path):
    train(resolved(*ALONE, "trainer.precision=bf16-mixed", "trainer.steps=2"), tmp_path)
    assert all(row["loss"] > 0 for row in read_curve(tmp_path / "train.csv")[1])


def test_validation_takes_one_chain_a_cluster_and_says_when_there_is_none(resolved, dataset):
    from rna_predict.data.dataset import open_dataset

    chains = open_dataset(dataset)
    assert [chain.id for chain in validation_chains(chains, resolved())] == ["2kgp_A", "1f1t_A"]
    assert [chain.id for chain in validation_chains(chains, resolved("validation.chains=1"))] == ["2kgp_A"]
    with pytest.raises(ConfigError, match="no chain of the split validation is at most 9 nt"):
        validation_chains(chains, resolved("validation.max_length=9"))


def test_nothing_to_train_is_named(resolved):
    with pytest.raises(WeightsError, match="nothing would be trained"):
        build_pipeline(resolved("adapters.groups=[]", "adapters.full_modules=[]"))


def test_every_part_trains_from_the_first_step_on(resolved):
    """Lightning leaves modules in the mode that they have: dropout would begin with the first validation."""
    assert all(each.training for each in TrainingModule(resolved()).modules())


@pytest.mark.slow
def test_two_processes_train_as_one(resolved, root, settings, tmp_path):
    """DDP on the CPU: both end with one file, and a killed run resumes."""
    words = [
        *command(tmp_path / "run", root, settings),
        "--set",
        "trainer.devices=2",
        "--set",
        "trainer.accelerator=cpu",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in read_curve(tmp_path / "run" / "train.csv")[1]] == [1, 2, 3, 4, 5, 6]
    again = tmp_path / "again"
    words[words.index(str(tmp_path / "run"))] = str(again)
    process = started(words)
    await_rows(again, 3, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(5)  # the other process notices that it is alone
    subprocess.run(words, capture_output=True, text=True, check=True)
    same_results(tmp_path / "run", again)
