"""The benchmark of partial checkpoints tells a file that brings everything back from one that does not."""

import importlib

import pytest

from rna_predict.cli.bench import BENCHMARKS

pytest.importorskip("peft", reason="needs peft: pip install 'rna-predict[train]'")

bench = importlib.import_module("rna_predict.cli.bench_partial_checkpoint")


def test_the_small_sizes_come_back_as_they_were(monkeypatch):
    monkeypatch.setattr(bench, "PROFILES", {"small": "", "nano": "nano_"})
    rows, figures = bench.run()
    assert [row["profile"] for row in rows] == ["small", "nano"]
    for prefix in ("", "nano_"):
        assert figures[f"{prefix}missing_equals_frozen"] is True
        assert figures[f"{prefix}finite"] is True
        assert figures[f"{prefix}max_abs_diff"] <= 1e-6
        assert figures[f"{prefix}changed_by"] > 1e-3
        assert figures[f"{prefix}partial_bytes"] < 0.1 * figures[f"{prefix}full_bytes"]
        assert figures[f"{prefix}partial_bytes"] > 4 * figures[f"{prefix}trained_parameters"]
    assert importlib.import_module(BENCHMARKS["partial-checkpoint"]) is bench


def test_a_file_that_is_not_loaded_is_seen(monkeypatch):
    monkeypatch.setattr(bench, "load_and_check", lambda network, partial: False)
    figures = bench.measure("nano")
    assert figures["missing_equals_frozen"] is False
    assert figures["max_abs_diff"] >= figures["changed_by"] > 1e-3
