"""`bench networks`: what it reports of its measurements, and how it measures memory."""

import subprocess

import pytest
import torch

from rna_predict.cli import bench_networks, network_probe
from rna_predict.cli.network_probe import Job, Measured
from rna_predict.errors import InputError, PredictionError


def test_without_protenix_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(bench_networks, "protenix_installed", lambda: False)
    with pytest.raises(InputError, match=r"pip install --no-deps protenix==2\.0\.0"):
        bench_networks.run()


def test_ratios_are_medians_of_rounds_in_which_the_sides_take_turns(monkeypatch):
    jobs = []

    def ask(job):
        jobs.append(job)
        turn = sum(other == job for other in jobs)
        size = job.tokens / 100
        seconds = {"ours": size * turn, "protenix": 4 * size * turn}.get(job.side, 8 * size)
        return Measured(seconds=seconds, prepare_seconds=0.5, peak_mb=10 if job.side == "ours" else 40)

    monkeypatch.setattr(bench_networks, "protenix_installed", lambda: True)
    monkeypatch.setattr(bench_networks, "ask", ask)
    rows, figures = bench_networks.run()
    assert [job.side for job in jobs[:6]] == ["ours", "protenix"] * 3
    assert len(rows) == 2 * (4 + 2 * 2)
    assert figures["time_ratio_384"] == pytest.approx(0.25)
    assert figures["memory_ratio_384"] == pytest.approx(0.25)
    assert figures["time_ratio_denoiser_200_2_uncached"] == pytest.approx(2 / 8)
    first = rows[0]
    assert (first["network"], first["tokens"], first["threads"], first["peer"]) == ("pairformer", 64, 1, "protenix")
    assert (first["ours_s"], first["peer_s"]) == (pytest.approx(1.28), pytest.approx(5.12))


def test_a_failed_measurement_is_an_error_with_its_reason(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="Killed")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(PredictionError, match="Killed"):
        bench_networks.ask(Job(network="pairformer", side="ours", tokens=20, threads=1, runs=1))


def test_the_peak_is_what_was_resident_at_most_since_the_reset():
    large = torch.ones(50_000_000)
    del large
    before = network_probe.resident_mb(reset=True)
    kept = torch.ones(20_000_000)
    del kept
    assert 70 < network_probe.resident_mb(reset=False) - before < 100


def test_memory_that_earlier_work_freed_is_not_taken_for_free():
    small = [torch.ones(10_000) for _ in range(2000)]
    del small
    before = network_probe.resident_mb(reset=True)
    small = [torch.ones(10_000) for _ in range(1500)]
    assert 50 < network_probe.resident_mb(reset=False) - before < 70
    assert len(small) == 1500


def test_a_block_is_measured_in_a_process_of_its_own():
    found = bench_networks.ask(Job(network="pairformer", side="ours", tokens=20, threads=1, runs=3))
    assert 0 < found.seconds < 10
    assert 0 <= found.peak_mb < 200
