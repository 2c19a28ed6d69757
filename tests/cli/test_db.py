"""`rna-predict db`: what it prints, which exit codes it gives, and what `add` leaves behind."""

import dataclasses
import json
import math

import numpy as np
import pytest

from rna_predict.cli.stage_files import RECORDS
from rna_predict.contracts import Embeddings, RnaSequence
from rna_predict.formats.models import write_ensemble
from rna_predict.training.tracking import open_tracker

LETTERS = {"h": "GGGCUUCGGCCC", "k": "GGGCUUCGGCCCA"}


def last_json(result) -> dict:
    return json.loads(result.out.splitlines()[-1])


@pytest.fixture
def tracked(tmp_path):
    with open_tracker(tmp_path / "runs") as tracker:
        one = tracker.start_run("small", {"lr": 0.1}, base_sha256="b" * 64, run="one")
        tracker.log_metrics(one, 1, {"loss": 2.0, "grad": math.nan})
        tracker.log_metrics(one, 2, {"loss": 0.000123})
        tracker.log_metrics(one, 2, {"loss": 3.0}, "validation")
        tracker.start_run("other", {}, run="two")
        (tmp_path / "x.safetensors").write_bytes(b"x")
        tracker.log_checkpoint(one, "best", tmp_path / "x.safetensors", 2)
        tracker.end_run(one, "finished")
    return tmp_path / "runs"


def test_runs_metrics_and_checkpoints_are_printed(run, tracked, tmp_path):
    result = run("db", "runs", tracked)
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines()[1:3]]
    assert [(row[0], row[1], row[2]) for row in rows] == [("one", "small", "finished"), ("two", "other", "running")]
    assert [row[7] for row in rows] == ["2", "-"]
    assert last_json(result) == {"runs": 2, "finished": 1, "running": 1}

    result = run("db", "metrics", tracked, "one")
    assert [line.split()[:4] for line in result.out.splitlines()[1:5]] == [
        ["grad", "train", "1", "nan"],
        ["loss", "train", "1", "2"],
        ["loss", "train", "2", "0.000123"],
        ["loss", "validation", "2", "3"],
    ]
    last = {"train/grad": None, "train/loss": 0.000123, "validation/loss": 3.0}
    assert last_json(result) == {"run": "one", "values": 4, "not_finite": 1, "last": last}
    assert last_json(run("db", "metrics", tracked, "one", "--name", "loss", "--split", "train"))["values"] == 2

    for words in ((), ("one",)):
        (found,) = last_json(run("db", "checkpoints", tracked, *words))["checkpoints"]
        assert (found["tag"], found["step"], found["file"]) == ("best", 2, str(tmp_path / "x.safetensors"))
        assert len(found["sha256"]) == 64
    assert last_json(run("db", "checkpoints", tracked, "two")) == {"checkpoints": []}


@pytest.fixture
def stages(run, tmp_path, lattice_ensemble):
    """Stage files of two RNAs: h as networks would leave them, k from the prior table."""
    root = tmp_path / "stages"
    run("prepare", "--root", root, *(f"{id}={letters}" for id, letters in LETTERS.items()))
    (tmp_path / "table.yaml").write_text("backend: prior-table\n")
    for words in (("stage-a",), ("stage-templates",), ("stage-b", "--config", tmp_path / "table.yaml")):
        assert run(*words, "--root", root, *LETTERS).code == 0
    as_networks(root, "h", vectors(0))
    for id, letters in LETTERS.items():
        made = [name for name in RECORDS if (root / id / f"{name}.safetensors").exists()]
        inputs = {name: RECORDS[name].load(root / id / f"{name}.safetensors").digest() for name in made}
        ensemble = lattice_ensemble(RnaSequence(id=id, sequence=letters))
        provenance = dataclasses.replace(ensemble.provenance, inputs=inputs, weights="d" * 64)
        ensemble = dataclasses.replace(ensemble, provenance=provenance)
        write_ensemble(ensemble, root / id / "d_models.cif", root / id / "d_confidence.json")
    return root


def vectors(seed):
    return np.random.default_rng(seed).normal(size=(len(LETTERS["h"]), 16)).astype(np.float32)


def as_networks(root, id, single):
    path = root / id / "b_embeddings.safetensors"
    record = Embeddings.load(path)
    provenance = dataclasses.replace(record.provenance, method="trunk", weights="e" * 64)
    inputs = np.ones((record.length, 4), dtype=np.float32)
    dataclasses.replace(record, inputs_LI=inputs, single_LS=single, channels=[], provenance=provenance).save(path)


def test_add_takes_vectors_and_models_and_skips_what_no_network_made(run, stages, tmp_path):
    out = tmp_path / "deep" / "added.json"
    for _ in range(2):
        result = run("db", "add", tmp_path / "runs", "--stages", stages, "--out", out, "h", "k")
        assert result.code == 0
        assert last_json(result) == {"rnas": 2, "residues": 12, "models": 4, "failed": []}
        assert "k: no vectors added: prior-table made the embeddings" in result.err
    written = json.loads(out.read_text())
    assert (written["rnas"], written["residues"], written["models"]) == (2, 12, 4)
    assert written["added"]["h"] == {
        "residues": 12,
        "width": 16,
        "embeddings_weights": "e" * 64,
        "models": 2,
        "method": "lattice",
        "weights": "d" * 64,
    }
    assert (written["added"]["k"]["residues"], written["added"]["k"]["width"]) == (0, None)

    result = run("db", "predictions", tmp_path / "runs")
    assert last_json(result) == {"rnas": 2, "models": 4}
    rows = [line.split() for line in result.out.splitlines()[1:5]]
    assert [row[:4] for row in rows[:2]] == [["h", "1", "0", "1.000"], ["h", "2", "1", "0.000"]]
    assert rows[0][-1] == str(stages / "h" / "d_models.cif")
    assert rows[0][5:7] == ["50.000", "d" * 12]
    assert last_json(run("db", "predictions", tmp_path / "runs", "k")) == {"rnas": 1, "models": 2}


def test_add_leaves_no_file_where_an_id_failed_but_keeps_the_others(run, stages, tmp_path):
    (stages / "k" / "d_models.cif").unlink()
    out = tmp_path / "added.json"
    result = run("db", "add", tmp_path / "runs", "--stages", stages, "--out", out, "h", "k")
    assert result.code == 1
    assert last_json(result) == {"rnas": 1, "residues": 12, "models": 2, "failed": ["k"]}
    assert "k: failed" in result.err
    assert not out.exists()
    assert last_json(run("db", "predictions", tmp_path / "runs")) == {"rnas": 1, "models": 2}


def test_similar_finds_residues_by_position_and_rnas_by_their_mean(run, tmp_path):
    with open_tracker(tmp_path / "runs") as tracker:
        planted = vectors(1)
        planted[4] = vectors(0)[1] + np.float32(0.125)
        for id, rows in {"h": vectors(0), "p": planted, "far": vectors(2) + 9}.items():
            tracker.add_embeddings(RnaSequence(id=id, sequence=LETTERS["h"]), rows, "w", "UNTRAINED trunk")
    result = run("db", "similar", tmp_path / "runs", "h:2", "--top", "3")
    assert result.code == 0
    assert result.out.splitlines()[1].split() == ["p", "5", "U", "0.500"]
    figures = last_json(result)
    assert (figures["query"], figures["found"], figures["method"]) == ("h:2", 3, "UNTRAINED trunk")
    assert figures["nearest"][0] == {"id": "p", "position": 5, "letter": "U", "distance": 0.5}
    figures = last_json(run("db", "similar", tmp_path / "runs", "h", "--weights", "w"))
    assert [(one["id"], set(one)) for one in figures["nearest"]] == [(id, {"id", "distance"}) for id in ("p", "far")]
    for query, words, named in (
        ("h:x", (), "'x' is no position"),
        ("h:13", (), "h has no residue 13. Positions: 1 to 12."),
        ("h:0", (), "h has no residue 0. Positions: 1 to 12."),
        ("q", (), "no vectors of 'q'. Add them"),
        ("h", ("--weights", "v"), "no vectors of 'h' of weights v"),
    ):
        result = run("db", "similar", tmp_path / "runs", query, *words)
        assert result.code == 2
        assert named in result.err


@pytest.mark.parametrize("words", [("runs",), ("metrics", "one"), ("checkpoints",), ("predictions",), ("similar", "h")])
def test_a_folder_that_cannot_be_read_exits_2(run, tracked, tmp_path, words):
    command, *rest = words
    result = run("db", command, tmp_path / "none", *rest)
    assert (result.code, "none: no such folder" in result.err) == (2, True)
    assert not (tmp_path / "none").exists()
    result = run("db", command, tmp_path, *rest)
    assert (result.code, "holds no tracked runs" in result.err) == (2, True)
    for table in tracked.glob("*.lance"):
        for file in (table / "_versions").iterdir():
            file.write_bytes(b"xx")
    result = run("db", command, tracked, *rest)
    assert result.code == 2
    assert ("no readable table" in result.err) == (command != "similar")  # which has no table of vectors here


def test_an_unknown_run_and_a_folder_of_something_else_exit_2(run, tracked, tmp_path):
    for command in ("metrics", "checkpoints"):
        result = run("db", command, tracked, "three")
        assert result.code == 2
        assert "no run 'three'. Runs: one, two." in result.err
    result = run("db", "add", tmp_path, "h")
    assert result.code == 2
    assert "holds something else" in result.err
