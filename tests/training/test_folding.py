"""Stage A's network is trained, resumed and taken up like any other: one rule, one loader."""

import dataclasses
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from rna_predict.contracts import RnaSequence
from rna_predict.data.folding_examples import collate_pieces, folding_piece
from rna_predict.data.pair_table import PairManifest, PairRow, digest_of_rows, read_pair_table, write_pair_table
from rna_predict.errors import ConfigError, WeightsError
from rna_predict.nn.partial import read_partial
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.training.curves import read_curve
from rna_predict.training.folding import FoldingStream, build_folding, folding_held_out, measure_folding
from rna_predict.training.run import train

STEM = ("GGCAC", "GUGCC")
SETTINGS = (
    *("network.untrained_profile=nano", "data.crop=24", "data.budget=60", "data.min_length=8", "optimiser.warmup=2"),
    *("trainer.steps=8", "trainer.save_every=2", "trainer.log_every=1", "validation.every=4", "trainer.devices=1"),
    *("trainer.strategy=auto", "trainer.precision=32-true", "optimiser.accumulate=2"),
)


def hairpin(number: int, split: str) -> PairRow:
    loop = "".join(random.Random(number).choice("ACGU") for _ in range(4 + number % 5))
    text = "(" * 5 + "." * len(loop) + ")" * 5
    return PairRow(
        id=f"h{number}",
        sequence=STEM[0] + loop + STEM[1],
        dot_bracket=text,
        source="drawn" if number % 2 else "consensus",
        family=f"f{number // 2}",
        cluster=f"f{number // 2}/{number}",
        split=split,
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Hairpins in families of two; three families are held out."""
    splits = ["train"] * 12 + ["validation"] * 4 + ["test"] * 2 + ["within"]
    rows = [hairpin(number, split) for number, split in enumerate(splits)]
    folder = tmp_path_factory.mktemp("pairs")
    manifest = PairManifest(
        digest=digest_of_rows(rows),
        rows=len(rows),
        families=10,
        refused={},
        splits={},
        accessions={},
        settings={},
        package_version="test",
    )
    write_pair_table(folder, rows, manifest)
    return folder


@pytest.fixture(scope="module")
def folding(root, table):
    """`folding("trainer.steps=2", …)` is the config of such a training with other values."""
    from rna_predict.config import resolve_experiment

    def make(*overrides: str):
        return resolve_experiment("folding", root / "config", [f"data.dataset={table}", *SETTINGS, *overrides])

    return make


@pytest.fixture(scope="module")
def finished(folding, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folding") / "run"
    return folder, train(folding(), folder)


def test_it_leaves_curves_and_weights_of_stage_a(finished):
    folder, outcome = finished
    assert outcome.status == "finished"
    columns, rows = read_curve(folder / "train.csv")
    assert {"folding", "folding_draft"} <= set(columns)
    assert all(0 < row["folding"] < 10 for row in rows)
    assert [row["step"] for row in read_curve(folder / "validation.csv")[1]] == [4, 8]
    partial = read_partial(outcome.partial)
    assert partial.stages == ("stage_a",)
    assert partial.header.architecture.name == "nano"


def test_stage_a_takes_the_partial_checkpoint_up(finished):
    folder, _ = finished
    sequence = RnaSequence(id="x", sequence=STEM[0] + "GAAA" + STEM[1] + "AUCGAUCCAGUAGCUCA")
    base = StageAConfig(backend="rfold", untrained_profile="nano", family="off")
    before = predict_adjacency(sequence, base)
    after = predict_adjacency(sequence, dataclasses.replace(base, partial=str(folder / "partial.safetensors")))
    assert np.abs(after.probability_LL - before.probability_LL).max() > 1e-3
    assert after.provenance.weights != before.provenance.weights
    other = dataclasses.replace(base, untrained_profile="small", partial=str(folder / "partial.safetensors"))
    with pytest.raises(WeightsError, match="trained on weights"):
        predict_adjacency(sequence, other)


def test_what_is_handed_on_measures_what_the_last_validation_did(finished, folding, table):
    """The best weights, put on a fresh network, give the validation's numbers."""
    folder, outcome = finished
    config, pipeline = folding(), build_folding(folding()).eval()
    state = read_partial(outcome.partial).tensors
    with torch.no_grad():
        for key, parameter in pipeline.model.named_parameters():
            parameter.copy_(state[key])
    rows = [measure_folding(pipeline, one, config) for one in folding_held_out(read_pair_table(table), config)]
    stated = next(row for row in read_curve(folder / "validation.csv")[1] if row["step"] == outcome.best[0])
    assert np.mean([row.loss for row in rows]) == pytest.approx(stated["loss"], abs=1e-6)
    assert np.mean([row.f1 for row in rows]) == pytest.approx(stated["f1"], abs=1e-6)


def test_killed_at_a_random_step_it_goes_on_bit_for_bit(finished, root, table, tmp_path):
    sets = [word for one in (f"data.dataset={table}", *SETTINGS) for word in ("--set", one)]
    words = [sys.executable, "-m", "rna_predict", "train", "folding", "--out", str(tmp_path / "run")]
    words += ["--config-dir", str(root / "config"), *sets]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    curve, rows = tmp_path / "run" / "train.csv", random.randint(1, 6)
    while process.poll() is None and not (curve.is_file() and curve.read_text().count("\n") > rows):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    done = subprocess.run(words, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("train.csv", "validation.csv", "partial.safetensors", "last.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (finished[0] / name).read_bytes(), name


def test_what_is_held_out_neither_trains_nor_is_forgotten(folding, table):
    config, rows = folding(), read_pair_table(table)
    stream = FoldingStream(rows, config)
    trained = {rows.ids[position] for position in stream.position_N}
    assert trained == {row.id for row in rows.of_split("train")}
    assert {one.row.family for one in folding_held_out(rows, config)} == {"f6", "f7"}
    with pytest.raises(ConfigError, match="is held out"):
        FoldingStream(rows, folding("data.only=[h18]"))


def test_pieces_are_cut_with_what_is_known_of_them(table):
    row = next(read_pair_table(table).of_split("train"))
    whole = folding_piece(row, np.arange(row.length), told=True, alone_weight=0.5)
    assert whole.weight_L.tolist() == [1.0] * 5 + [0.5] * (row.length - 10) + [1.0] * 5
    assert whole.energy_MLL.shape == (2, row.length, row.length)
    piece = folding_piece(row, np.arange(2, row.length), told=False)
    assert piece.partner_L[-1] == piece.partner_L[-2] == -1
    assert piece.weight_L[-2:].tolist() == [0.0, 0.0], "their partners were cut off"
    assert piece.partner_L[0] == row.length - 5
    both = collate_pieces([whole, piece])
    assert both.features.told_B.tolist() == [True, False]
    assert both.weight_BL[1, -2:].tolist() == [0.0, 0.0]


def test_a_measure_of_the_other_model_is_no_monitor(folding):
    with pytest.raises(ConfigError, match=r"validation\.monitor: lddt is no measure of the model folding"):
        folding("validation.monitor=lddt")
