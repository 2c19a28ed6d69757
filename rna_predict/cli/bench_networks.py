"""`rna-predict bench networks`: time and memory of our networks beside Protenix 2.0.0 on the CPU, in the same run.

A Pairformer block of base (c_s 384, c_z 128) and a step of its whole denoiser (24 transformer blocks, 3 + 3 atom
blocks, 5 samples), with one thread and two. Each measurement is a process of its own (`network_probe`); ours and theirs
take turns, and the median of the rounds counts. Protenix runs as its inference does on a CPU: no gradient, in place,
its torch kernels, no chunks (it has none below 1,024 tokens). Our denoiser keeps its conditions between steps, as our
sampler does; Protenix's is measured with its cache, which its inference uses by default, and without. Memory is what a
run adds to weights, inputs and what is kept between steps.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

from rna_predict.cli.bench_parity import protenix_installed
from rna_predict.cli.network_probe import Job, Measured
from rna_predict.cli.threads import POOLS
from rna_predict.errors import InputError, PredictionError

RUNS = {"pairformer": {64: 9, 128: 5, 256: 2, 384: 1}, "denoiser": {76: 2, 200: 1}}
"""For each network and number of residues, timed runs in a process after the first."""

SIDES = {"pairformer": ("ours", "protenix"), "denoiser": ("ours", "protenix", "protenix without cache")}
"""Who is measured; our own first."""

THREADS = (1, 2)

ROUNDS = 3
"""Processes for each measurement."""

Row = dict[str, Any]


def run() -> tuple[list[Row], dict[str, Any]]:
    """Rows, one a network, length, number of threads and way in which Protenix runs; and their ratios by name.

    Raises:
        InputError: Protenix is not installed.
        PredictionError: a measurement failed.
    """
    if not protenix_installed():
        raise InputError(
            "bench networks: protenix 2.0.0 is not installed, and there is nothing to compare with. Run `pip install "
            "--no-deps protenix==2.0.0` and `pip install ml_collections biotite rdkit optree scikit-learn`."
        )
    rows = [row for threads in THREADS for network in RUNS for row in _rows(network, threads)]
    figures: dict[str, Any] = {}
    for row in rows:
        name = f"{row['network']}_{row['tokens']}_{row['threads']}".replace(" ", "_")
        variant = "" if row["peer"] == "protenix" else "_uncached"
        figures[f"time_ratio_{name}{variant}"] = row["time_ratio"]
        figures[f"memory_ratio_{name}{variant}"] = row["memory_ratio"]
    figures["time_ratio_384"] = figures["time_ratio_pairformer_384_1"]
    figures["memory_ratio_384"] = figures["memory_ratio_pairformer_384_1"]
    return rows, figures


def _rows(network: str, threads: int) -> Iterator[Row]:
    for tokens in RUNS[network]:
        ours, *peers = _measured(network, tokens, threads)
        for side, peer in zip(SIDES[network][1:], peers, strict=True):
            yield {
                "network": network,
                "tokens": tokens,
                "threads": threads,
                "peer": side,
                "ours_s": ours.seconds,
                "peer_s": peer.seconds,
                "time_ratio": ours.seconds / peer.seconds,
                "ours_mb": ours.peak_mb,
                "peer_mb": peer.peak_mb,
                "memory_ratio": ours.peak_mb / peer.peak_mb,
                "ours_prepare_s": ours.prepare_seconds,
                "peer_prepare_s": peer.prepare_seconds,
            }


def _measured(network: str, tokens: int, threads: int) -> list[Measured]:
    """Medians of the rounds, one for each side; the sides take turns."""
    asked = {"network": network, "tokens": tokens, "threads": threads, "runs": RUNS[network][tokens]}
    rounds = [[ask(Job(side=side, **asked)) for side in SIDES[network]] for _ in range(ROUNDS)]
    return [
        Measured(**{f.name: median(getattr(one, f.name) for one in column) for f in dataclasses.fields(Measured)})
        for column in zip(*rounds, strict=True)
    ]


def ask(job: Job) -> Measured:
    """Measure in a process of its own.

    Raises:
        PredictionError: the process failed.
    """
    environment = os.environ | dict.fromkeys(POOLS, str(job.threads)) | {"LAYERNORM_TYPE": "torch"}
    command = [sys.executable, "-m", "rna_predict.cli.network_probe", json.dumps(dataclasses.asdict(job))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise PredictionError(f"bench networks: {job} failed: {done.stderr[-800:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))
