"""`rna-predict bench run`: the whole workflow on one RNA of 76 nt and one of 200 nt, as a user starts it.

Wall time of `snakemake --cores 2 <one id>` in a warm environment, start of Python and torch in every job included, and
the peak memory of the largest job, from Snakemake's own benchmark files. Run it in the checkout.
"""

import csv
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rna_predict.errors import InputError, PredictionError

TRNA = "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"

CORES = 2

LONG = 200

Row = dict[str, Any]


def run() -> tuple[list[Row], dict[str, Any]]:
    """A row for each stage and RNA; seconds and GB of the whole in the figures."""
    if not Path("Snakefile").is_file():
        raise InputError("bench run: no Snakefile here; start it in the checkout of the workflow")
    rows: list[Row] = []
    figures: dict[str, Any] = {"cores": CORES}
    long = "".join(random.Random(0).choices("ACGU", k=LONG))
    for name, letters in (("nt76", TRNA), (f"nt{LONG}", long)):
        with tempfile.TemporaryDirectory() as folder:
            seconds, stages = _timed(Path(folder), name, letters)
        rows += [{"rna": name, **stage} for stage in stages]
        rows.append({"rna": name, "rule": "whole workflow", "seconds": seconds, "peak_gb": None})
        figures[f"seconds_{name}"] = seconds
        figures[f"peak_gb_{name}"] = max(stage["peak_gb"] for stage in stages if stage["peak_gb"] is not None)
    return rows, figures


def _timed(folder: Path, name: str, letters: str) -> tuple[float, list[Row]]:
    sheet, results = folder / "samples.tsv", folder / "results"
    sheet.write_text(f"id\tsequence\tstructure\n{name}\t{letters}\t\n")
    settings = [f"samples={sheet}", f"results={results}"]
    command = [sys.executable, "-m", "snakemake", "--cores", str(CORES), "--quiet", "all", "--config", *settings]
    start = time.perf_counter()
    done = subprocess.run([*command, "--", f"{results}/preds/{name}.pdb"], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise PredictionError(f"bench run: the workflow failed on {name}: {done.stderr[-800:]}")
    return seconds, [_stage(path) for path in sorted((results / "benchmarks" / name).glob("*.tsv"))]


def _stage(path: Path) -> Row:
    with path.open() as file:
        row = next(csv.DictReader(file, delimiter="\t"))
    peak = row["max_rss"]
    return {
        "rule": path.stem,
        "seconds": float(row["s"]),
        "peak_gb": None if peak in ("NA", "-") else float(peak) / 1024,
    }
