"""`bench networks`: what it reports of its measurements, and how it measures memory."""

import subprocess
import sys

import pytest

from rna_predict.cli import bench_networks
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


ALONE = """
import torch
from rna_predict.cli.resident import resident_mb
large = torch.ones(50_000_000)
del large
before = resident_mb(reset=True)
kept = torch.ones(20_000_000)
del kept
print(resident_mb(reset=False) - before)
small = [torch.ones(10_000) for _ in range(2000)]
del small
before = resident_mb(reset=True)
small = [torch.ones(10_000) for _ in range(1500)]
print(resident_mb(reset=False) - before)
"""
"""In a process of its own, as the probe runs: what else a test process has freed would blur it."""


def test_the_peak_counts_what_was_freed_again_and_no_memory_is_free_because_earlier_work_left_it():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    freed_again, after_earlier_work = map(float, done.stdout.split())
    assert 70 < freed_again < 100
    assert 50 < after_earlier_work < 70


def test_a_block_is_measured_in_a_process_of_its_own():
    found = bench_networks.ask(Job(network="pairformer", side="ours", tokens=20, threads=1, runs=3))
    assert 0 < found.seconds < 10
    assert 0 <= found.peak_mb < 200
