"""`rna-predict bench NAME`: measure one thing, print a table and, last, one JSON object of the figures."""

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from rna_predict.cli.console import table
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

BENCHMARKS = {
    "reconstruction": "rna_predict.cli.bench_reconstruction",
    "baseline": "rna_predict.cli.bench_baseline",
    "run": "rna_predict.cli.bench_run",
    "parity": "rna_predict.cli.bench_parity",
    "networks": "rna_predict.cli.bench_networks",
    "partial-checkpoint": "rna_predict.cli.bench_partial_checkpoint",
}
"""Name and module; the module's `run()` returns the table's rows, each a mapping of the same keys, and the figures."""


def bench(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(BENCHMARKS)}.")],
    threads: Annotated[int, typer.Option(min=1, help="Threads for OpenMP, BLAS and torch.")] = 1,
) -> None:
    """Run a benchmark; the last line printed is one JSON object."""
    if name not in BENCHMARKS:
        raise InputError(f"bench {name!r}: no such benchmark. Names: {', '.join(BENCHMARKS)}.")
    set_threads(threads)
    rows, figures = importlib.import_module(BENCHMARKS[name]).run()
    print_result(rows, figures)


def print_result(rows: Sequence[Mapping[str, object]], figures: Mapping[str, object]) -> None:
    """Print the table, columns by the keys of the first row, and last one line of JSON."""
    if rows:
        header = list(rows[0])
        typer.echo(table(header, ([row[name] for name in header] for row in rows)))
        typer.echo()
    rounded = {name: _rounded(value) if isinstance(value, float) else value for name, value in figures.items()}
    typer.echo(json.dumps(rounded, allow_nan=False))


def _rounded(value: float) -> float:
    """Six digits after the point; of smaller numbers the first three that count."""
    return float(f"{value:.3g}") if abs(value) < 1e-3 else round(value, 6)
