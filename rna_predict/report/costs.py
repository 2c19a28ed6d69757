"""Time and memory of each job of an RNA, as Snakemake measured them, or a batch for each of its RNAs."""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

from rna_predict.errors import InputError

JOBS = (
    "prepare_input",
    "stage_a_adjacency",
    "templates",
    "stage_b_torsion",
    "stage_c_reconstruction",
    "stage_d_diffusion",
    "export_prediction",
    "relax",
)
"""In the order in which they run; others come after them."""

OF_BATCH = {
    "stage_a": "stage_a_adjacency",
    "templates": "templates",
    "stage_b": "stage_b_torsion",
    "stage_c": "stage_c_reconstruction",
    "stage_d": "stage_d_diffusion",
}
"""A batch's status `<batch>/<name>.json`, and the rule that is called so where each RNA has its own jobs; with batches
that rule only puts files in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One job.

    Attributes:
        job: name of the rule.
        seconds: wall time.
        peak_mb: largest resident memory, MB; None of a job that ended before it could be measured.
        shared: in a batch: the time is the RNA's own, the memory that of the batch's job.
    """

    job: str
    seconds: float
    peak_mb: float | None
    shared: bool = False


def read_costs(folder: Path) -> tuple[Cost, ...]:
    """The benchmark files `<rule>.tsv` of a folder; none where it is not there.

    Raises:
        InputError: a file is not what Snakemake writes.
    """
    paths = sorted(folder.glob("*.tsv"))
    known = {job: place for place, job in enumerate(JOBS)}
    paths.sort(key=lambda path: known.get(path.stem, len(JOBS)))
    return tuple(_cost(path) for path in paths)


def read_batch_costs(batches: Path, benchmarks: Path) -> dict[str, tuple[Cost, ...]]:
    """What each RNA took within batches, by id; nothing where there are none.

    Args:
        batches: folder of `<batch>/<stage>.json`, `{id: {status, reason, seconds}}`.
        benchmarks: folder of `<batch>/<stage>.tsv`.

    Raises:
        InputError: a file is not what a batch, or Snakemake, writes.
    """
    found: dict[str, list[Cost]] = {}
    for stage, job in OF_BATCH.items():
        for path in sorted(batches.glob(f"*/{stage}.json")):
            measured = benchmarks / path.parent.name / f"{stage}.tsv"
            peak_mb = _cost(measured).peak_mb if measured.is_file() else None
            for id, seconds in _seconds(path).items():
                found.setdefault(id, []).append(Cost(job=job, seconds=seconds, peak_mb=peak_mb, shared=True))
    return {id: tuple(costs) for id, costs in found.items()}


def _seconds(path: Path) -> dict[str, float]:
    """Seconds of each RNA that a batch finished."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {str(id): float(row["seconds"]) for id, row in rows.items() if row["status"] == "done"}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: is no status of a batch ({error}). Remove it and run again.") from error


def _cost(path: Path) -> Cost:
    """The last repeat that the file holds."""
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
        seconds, peak = float(rows[-1]["s"]), rows[-1]["max_rss"]
        peak_mb = None if peak in ("-", "NA") else float(peak)
    except (KeyError, IndexError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: is no benchmark of Snakemake ({error}). Run its rule again.") from error
    if not math.isfinite(seconds):
        raise InputError(f"{path}: s: {seconds} is no time. Run its rule again.")
    return Cost(job=path.stem, seconds=seconds, peak_mb=peak_mb)
