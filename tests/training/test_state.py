"""States of a run on disk, its curves, its schedule and its running mean."""

import csv
import json
import math
import pickle

import pytest
import torch
from torch import nn

from rna_predict.errors import TrainingError, WeightsError
from rna_predict.training.config import OptimiserSettings
from rna_predict.training.curves import Curve, read_curve
from rna_predict.training.optimiser import RunningMean, build_optimiser, learning_share
from rna_predict.training.state import StateFolder, WholeCheckpoints, set_aside


@pytest.fixture
def state(tmp_path):
    """Three checkpoints after steps 2, 4 and 6."""
    folder = StateFolder(tmp_path, "key")
    for step in (2, 4, 6):
        WholeCheckpoints().save_checkpoint({"step": step}, folder.path(step))
        folder.note(step)
    return folder


def test_the_last_two_stay_and_the_newest_is_gone_on_from(state):
    assert [path.name for path in sorted(state.path(0).parent.iterdir())] == [
        "step_00000004.ckpt",
        "step_00000006.ckpt",
    ]
    assert state.newest() == state.path(6)
    assert WholeCheckpoints().load_checkpoint(state.newest()) == {"step": 6}


def test_another_run_does_not_take_it_up(state):
    other = StateFolder(state.folder, "other")
    assert other.newest() is None
    assert other.foreign()
    assert not state.foreign()


def test_one_flipped_byte_is_found_and_the_one_before_named(state):
    path = state.path(6)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(TrainingError, match=r"step_00000006\.ckpt: does not match its sha256.*go on from step 4"):
        state.newest()
    path.unlink()
    with pytest.raises(TrainingError, match="is gone"):
        state.newest()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "key"}'])
def test_a_damaged_list_of_states_is_no_list(state, text):
    (state.folder / "state.json").write_text(text)
    with pytest.raises(TrainingError, match=r"state\.json: "):
        state.newest()


def test_code_in_a_state_does_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.ckpt", "evil.pkl"):
        with pytest.raises(TrainingError, match="no readable state"):
            WholeCheckpoints().load_checkpoint(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_leaves_the_old_state(state, monkeypatch):
    before = state.path(6).read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        WholeCheckpoints().save_checkpoint({"step": 6}, state.path(6))
    assert state.path(6).read_bytes() == before
    assert len([*state.path(6).parent.iterdir()]) == 2


def test_what_is_set_aside_is_all_there(tmp_path):
    (tmp_path / "a.csv").write_text("a")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "b").write_text("b")
    (tmp_path / ".running").write_text("")
    assert set_aside(tmp_path, (".running",)) == tmp_path / "before_1"
    (tmp_path / "a.csv").write_text("again")
    assert set_aside(tmp_path, (".running",)) == tmp_path / "before_2"
    assert set_aside(tmp_path, (".running",)) is None
    assert (tmp_path / "before_1" / "a.csv").read_text() == "a"
    assert (tmp_path / "before_1" / "state" / "b").read_text() == "b"
    assert (tmp_path / "before_2" / "a.csv").read_text() == "again"


def test_a_curve_reads_as_it_was_written_and_goes_on_behind_its_step(tmp_path):
    curve = Curve(tmp_path / "train.csv")
    values = [0.1 + 0.2, 1e-17, 3.0, 1 / 3]
    for step, value in enumerate(values, start=1):
        curve.add(step, {"loss": value, "plddt": None if step % 2 else value})
    columns, rows = read_curve(curve.path)
    assert columns == ["step", "loss", "plddt"]
    assert [row["loss"] for row in rows] == values
    assert math.isnan(rows[0]["plddt"])
    with curve.path.open("a") as file:
        file.write("5,0.12")  # a kill in the middle of a line
    again = Curve(curve.path)
    again.begin(2)
    again.add(3, {"loss": 7.0, "plddt": 8.0})
    assert [(row["step"], row["loss"]) for row in read_curve(curve.path)[1]] == [
        (1, values[0]),
        (2, values[1]),
        (3, 7.0),
    ]
    with pytest.raises(TrainingError, match="no column 'other'"):
        again.add(4, {"other": 1.0})


def test_a_file_that_is_no_curve_is_named(tmp_path):
    (tmp_path / "train.csv").write_text("something else\n1,2\n")
    with pytest.raises(TrainingError, match=r"train\.csv: is no curve"):
        Curve(tmp_path / "train.csv").begin(3)


def test_the_learning_rate_rises_then_falls_to_its_share():
    settings = OptimiserSettings(warmup=4, final_share=0.1)
    shares = [learning_share(settings, 24, step) for step in range(25)]
    assert shares[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert shares[14] == pytest.approx(0.55)
    assert shares[24] == pytest.approx(0.1)
    assert sorted(shares[4:], reverse=True) == shares[4:]
    flat = OptimiserSettings(warmup=0, decay="constant")
    assert {learning_share(flat, 24, step) for step in range(25)} == {1.0}


def test_vectors_do_not_decay_and_frozen_tensors_are_not_stepped():
    module = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    module[0].bias.requires_grad_(False)
    optimiser, _ = build_optimiser(module, OptimiserSettings(weight_decay=0.5), 10)
    found = {group["weight_decay"]: [tuple(each.shape) for each in group["params"]] for group in optimiser.param_groups}
    assert found == {0.5: [(3, 3)], 0.0: [(3,), (3,)]}


def test_the_running_mean_is_the_mean_that_its_decay_says():
    module = nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    mean = RunningMean(module, 0.25)
    expected = 0.0
    for step in range(1, 5):
        module.weight.data.fill_(float(step))
        mean.update()
        decay = min(0.25, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert mean.mean["weight"].item() == pytest.approx(expected, rel=1e-6)
    with mean.applied():
        assert module.weight.item() == pytest.approx(expected, rel=1e-6)
    assert module.weight.item() == 4.0
    with pytest.raises(RuntimeError, match="inside"), mean.applied():
        raise RuntimeError("inside")
    assert module.weight.item() == 4.0, "the weights come back also after an error"


def test_without_decay_the_mean_is_the_weights():
    module = nn.Linear(2, 2)
    mean = RunningMean(module, 0.0)
    module.weight.data.normal_()
    mean.update()
    assert torch.equal(mean.mean["weight"], module.weight)


def test_a_mean_of_other_parameters_is_refused_and_changes_nothing():
    mean, other = RunningMean(nn.Linear(2, 2), 0.9), RunningMean(nn.Linear(2, 3), 0.9)
    kept = {name: each.clone() for name, each in mean.mean.items()}
    with pytest.raises(WeightsError, match="other parameters"):
        mean.load_state_dict(other.state_dict())
    assert all(torch.equal(each, kept[name]) for name, each in mean.mean.items())


def test_curves_are_plain_csv(tmp_path):
    curve = Curve(tmp_path / "x.csv")
    curve.add(1, {"loss": 2.0})
    assert list(csv.reader(curve.path.open())) == [["step", "loss"], ["1", "2"]]
    assert json.loads(curve.path.read_text().splitlines()[1].split(",")[1]) == 2
