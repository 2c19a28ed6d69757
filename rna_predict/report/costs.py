"""Time and memory of each job of an RNA, as Snakemake measured them."""

import csv
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One job.

    Attributes:
        job: name of the rule.
        seconds: wall time.
        peak_mb: largest resident memory, MB; None of a job that ended before it could be measured.
    """

    job: str
    seconds: float
    peak_mb: float | None


def read_costs(folder: Path) -> tuple[Cost, ...]:
    """The benchmark files `<rule>.tsv` of a folder; none where it is not there.

    Raises:
        InputError: a file is not what Snakemake writes.
    """
    paths = sorted(folder.glob("*.tsv"))
    known = {job: place for place, job in enumerate(JOBS)}
    paths.sort(key=lambda path: known.get(path.stem, len(JOBS)))
    return tuple(_cost(path) for path in paths)


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
