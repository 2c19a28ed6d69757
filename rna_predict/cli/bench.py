"""`rna-predict bench NAME`: measure one thing, print a table and, last, one JSON object of the figures."""

import importlib
import json
from collections.abc import Sequence
from typing import Annotated

import typer

from rna_predict.cli.console import table
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

BENCHMARKS = {
    "reconstruction": "rna_predict.cli.bench_reconstruction",
    "baseline": "rna_predict.cli.bench_baseline",
}
"""Name and module; the module's `run()` returns the table's rows, header first, and the figures."""


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


def print_result(rows: Sequence[Sequence[object]], figures: dict[str, object]) -> None:
    """Print the table, header first, and the JSON line."""
    if rows:
        typer.echo(table([str(cell) for cell in rows[0]], rows[1:]))
        typer.echo()
    typer.echo(json.dumps(figures))
