"""`rna-predict bench workflow`: what the workflow costs beside the work, on many short RNAs.

Random sequences of 20 to 40 nt go through `snakemake --cores 2` in a temporary folder. *Compute* is the sum of the
seconds that the stages report for each RNA, one thread each, in a process that has done an RNA before: what the first
RNA of a job takes beyond the job's median is the loading of libraries and models, and no compute. *Overhead* is the
rest: of the two cores' time in `overhead_share`, of wall time in `overhead_seconds_per_sequence`, where the compute is
spread over both cores. Cores that are idle at the end of a run count as overhead too.

One RNA with the default settings takes 10 to 25 s of compute, nearly all in stages C and D. `--quick` (the default)
gives these two the settings `QUICK`, so that a thousand end in minutes and overhead shows; its models mean little.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
import yaml

from rna_predict.cli.bench import print_result
from rna_predict.errors import InputError, PredictionError

LENGTHS = (20, 40)
"""Shortest and longest sequence, nt."""

QUICK = {
    "stage_c": ["method=nerf"],
    "stage_d": ["models=1", "steps=1", "iterations=1", "refine_iterations=30"],
}
"""Overrides of the quick setting."""

SINGLE = ("prepare", "stage-a", "stage-templates", "stage-b", "stage-c", "stage-d", "export")
"""The commands that one RNA goes through, in order, where each job is of one RNA."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How the workflow is run."""

    sequences: int
    batches: int
    cores: int
    quick: bool
    seed: int


def command(
    sequences: Annotated[int, typer.Option(min=1, help="How many random sequences.")] = 1000,
    batches: Annotated[int, typer.Option(min=0, help="The config's `batches`; 0 is a job for each RNA.")] = 4,
    cores: Annotated[int, typer.Option(min=1, help="Cores that Snakemake may use.")] = 2,
    quick: Annotated[bool, typer.Option(help="Quick stages C and D; else the default settings.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of the sequences.")] = 0,
) -> None:
    """Wall time of the workflow on many short RNAs beside the time that the stages compute."""
    if not Path("Snakefile").is_file():
        raise InputError("bench workflow: no Snakefile here; start it in the checkout of the workflow")
    run = Run(sequences=sequences, batches=batches, cores=cores, quick=quick, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        rows, figures = measure(Path(folder), run)
    print_result(rows, figures)


def measure(folder: Path, run: Run) -> tuple[list[Row], dict[str, Any]]:
    """Run the workflow in `folder`; a row for each stage, and the figures."""
    letters = random.Random(run.seed)
    lengths = [letters.randint(*LENGTHS) for _ in range(run.sequences)]
    sheet = {f"r{k:06d}": "".join(letters.choices("ACGU", k=length)) for k, length in enumerate(lengths)}
    before = children_seconds()
    seconds, failed = run_workflow(folder, sheet, run)
    cpu = children_seconds() - before
    reported = list(reported_in_batches(folder) if run.batches else reported_alone(folder, sheet))
    rows = [
        {"stage": stage, "jobs": len(jobs), "compute_s": sum(map(warm, jobs)), "median_s": median(chain(*jobs))}
        for stage, jobs in sorted(by_stage(reported).items())
    ]
    compute = sum(row["compute_s"] for row in rows)
    overhead = seconds - compute / run.cores
    figures = {
        "sequences": run.sequences,
        "batches": run.batches,
        "cores": run.cores,
        "quick": run.quick,
        "failed": failed,
        "wall_seconds": seconds,
        "compute_seconds": compute,
        "overhead_seconds_per_sequence": overhead / run.sequences,
        "overhead_share": overhead / seconds,
        "wall_seconds_per_sequence": seconds / run.sequences,
        "cpu_seconds_per_sequence": cpu / run.sequences,
        "median_compute_seconds": sum(row["median_s"] for row in rows),
        "load_average": os.getloadavg()[0],
    }
    return rows, figures


def run_workflow(folder: Path, sheet: Mapping[str, str], run: Run) -> tuple[float, int]:
    """Wall seconds of the whole workflow, and how many RNAs have no prediction.

    Raises:
        PredictionError: no RNA has one.
    """
    (folder / "samples.tsv").write_text(
        "id\tsequence\n" + "".join(f"{name}\t{letters}\n" for name, letters in sheet.items())
    )
    settings: dict[str, Any] = {"samples": str(folder / "samples.tsv"), "results": str(folder / "results")}
    settings |= {"batches": run.batches} if run.batches else {}
    for stage, overrides in QUICK.items() if run.quick else ():
        settings[stage] = {"choice": "default", "overrides": overrides}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    options = ["--cores", str(run.cores), "--quiet", "all", "--configfile", str(folder / "config.yaml")]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *options], capture_output=True, text=True, check=False, env=environment()
    )
    seconds = time.perf_counter() - start
    made = len(list((folder / "results" / "preds").glob("*.pdb")))
    if not made:
        raise PredictionError(f"bench workflow: the workflow made nothing: {done.stderr[-800:]}")
    return seconds, len(sheet) - made


def children_seconds() -> float:
    """CPU time of all processes that this one started and that ended: on a busy machine it says more than wall time."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def environment() -> dict[str, str]:
    """The caller's, with one thread for each process: the stages set their own."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


def reported_in_batches(folder: Path) -> Iterator[tuple[str, list[float]]]:
    """Stage and each RNA's seconds of every job, in the order in which the job did them."""
    for path in sorted((folder / "results" / "batches").glob("*/*.json")):
        rows = json.loads(path.read_text()).values()
        yield path.stem, [row["seconds"] for row in rows if row["status"] == "done" and not row["found"]]


def reported_alone(folder: Path, sheet: Mapping[str, str]) -> Iterator[tuple[str, list[float]]]:
    """The same work once more, a process for each stage that does all RNAs.

    A job of one RNA cannot tell compute from loading.
    """
    root, configs = folder / "results" / "stages", folder / "results" / "config"
    ids = [name for name in sheet if (folder / "results" / "preds" / f"{name}.pdb").is_file()]
    for word in SINGLE:
        status = folder / f"{word}.json"
        config = configs / f"{word.removeprefix('stage-') if 'templates' in word else word.replace('-', '_')}.yaml"
        given = ["--config", str(config)] if word.startswith("stage-") else []
        given += ["--out", str(folder / "again")] if word == "export" else []
        words = [f"{name}={sheet[name]}" for name in ids] if word == "prepare" else ids
        again = [sys.executable, "-m", "rna_predict", word, "--root", str(root), "--status", str(status), *given]
        subprocess.run([*again, *words], capture_output=True, check=True, env=environment())
        yield word, [row["seconds"] for row in json.loads(status.read_text()).values()]


def by_stage(reported: Sequence[tuple[str, list[float]]]) -> dict[str, list[list[float]]]:
    """The jobs of each stage; a job without an RNA that was done says nothing."""
    jobs: dict[str, list[list[float]]] = {}
    for stage, seconds in reported:
        if seconds:
            jobs.setdefault(stage, []).append(seconds)
    return jobs


def warm(seconds: Sequence[float]) -> float:
    """Sum of a job's seconds without what its first RNA takes beyond the median."""
    return sum(seconds) - max(0.0, seconds[0] - median(seconds))
