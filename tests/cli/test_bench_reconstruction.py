import importlib.util

import pytest
import torch

from rna_predict.cli import bench_reconstruction as bench
from rna_predict.errors import PredictionError


def test_parallel_and_sequential_nerf_agree():
    _, torsions = bench.helix_with_noise(60)
    internal = bench.internal_of(torsions)
    bench.check_same(internal)
    xyz = bench.build(internal)
    last = bench.sequential_nerf(internal)[-1]
    assert len(last) == len(bench.ATOMS[torsions.sequence[-1]])
    assert torch.allclose(xyz[-1, 0], torch.tensor(last[0], dtype=torch.float64), atol=1e-8)


def test_a_difference_between_the_two_is_an_error(monkeypatch):
    _, torsions = bench.helix_with_noise(5)
    build = bench.build
    monkeypatch.setattr(bench, "build", lambda internal: build(internal) + 1e-4)
    with pytest.raises(PredictionError, match="residue 1 of 5"):
        bench.check_same(bench.internal_of(torsions))


def test_natives_are_rebuilt_exactly_and_drift_with_ideal_geometry(shared_dir, monkeypatch):
    monkeypatch.setenv("RNA_PREDICT_SHARED", str(shared_dir))
    monkeypatch.setattr(bench, "DRIFT_CHAINS", ("8cf8_A",))
    figures, note = bench.drift_by_length()
    assert figures["own_internal_rmsd"] < 1e-6
    drift = figures["drift_rmsd_by_length"]
    assert 0.1 < drift["5"] < 1.5
    assert drift["5"] < drift["20"] < drift["100"]
    assert "8cf8_A" in note


def test_what_could_not_be_measured_is_null_with_its_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("RNA_PREDICT_SHARED", str(tmp_path))
    figures, note = bench.drift_by_length()
    assert figures["drift_rmsd_by_length"] is None
    assert str(tmp_path) in note
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert bench.time_mp_nerf(10)[0] is None
    assert "not installed" in bench.time_mp_nerf(10)[1]
