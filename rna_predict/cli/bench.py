"""`rna-predict bench NAME`: measure one thing, print a table and, last, one JSON object of the figures."""

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rna_predict.cli.console import table
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

BENCHMARKS = {
    "reconstruction": "rna_predict.cli.bench_reconstruction",
    "fold": "rna_predict.cli.bench_fold",
    "run": "rna_predict.cli.bench_run",
    "parity": "rna_predict.cli.bench_parity",
    "networks": "rna_predict.cli.bench_networks",
    "partial-checkpoint": "rna_predict.cli.bench_partial_checkpoint",
    "stage-a": "rna_predict.cli.bench_stage_a",
    "families": "rna_predict.cli.bench_families",
    "templates": "rna_predict.cli.bench_templates",
    "workflow": "rna_predict.cli.bench_workflow",
}
"""Name and module; the module's `run()` returns the table's rows, each a mapping of the same keys, and the figures."""

ABOUT = {
    "reconstruction": "Stage C's speed beside a sequential NeRF, and its drift on natives.",
    "run": "Wall time and memory of the whole workflow.",
    "parity": "The networks' outputs beside Protenix's.",
    "networks": "The networks' time and memory beside Protenix's.",
    "partial-checkpoint": "How small a partial checkpoint is, and what it brings back.",
}
"""One sentence each, for the help."""

OWN_OPTIONS = ("fold", "stage-a", "families", "templates", "workflow")
"""Benchmarks whose module has a `command` with options of its own, and no `run()`."""


class Benchmarks(TyperGroup):
    """A subcommand for each benchmark; its module is imported when it is asked for.

    Contexts and commands are click's or, in newer releases of typer, its own copies of these: they have no one name.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(BENCHMARKS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of them.

        Raises:
            InputError: no such benchmark.
        """
        if cmd_name not in BENCHMARKS:
            raise InputError(f"bench {cmd_name!r}: no such benchmark. Names: {', '.join(BENCHMARKS)}.")
        single = typer.Typer(add_completion=False)
        if cmd_name in OWN_OPTIONS:
            single.command(cmd_name)(importlib.import_module(BENCHMARKS[cmd_name]).command)
        else:
            single.command(cmd_name, help=ABOUT.get(cmd_name))(_plain(cmd_name))
        return typer.main.get_command(single)


app = typer.Typer(cls=Benchmarks, no_args_is_help=True, help="Measure one thing; the last line is one JSON object.")


@app.callback()
def bench() -> None:
    """Measure one thing; the last line printed is one JSON object."""


def _plain(name: str) -> Callable[[int], None]:
    """The subcommand of a benchmark without options of its own."""

    def run(
        threads: Annotated[int, typer.Option(min=1, help="Threads for OpenMP, BLAS and torch.")] = 1,
    ) -> None:
        """Run the benchmark as it is."""
        set_threads(threads)
        rows, figures = importlib.import_module(BENCHMARKS[name]).run()
        print_result(rows, figures)

    return run


def print_result(rows: Sequence[Mapping[str, object]], figures: Mapping[str, object]) -> None:
    """Print the table, columns by the keys of the first row, and last one line of JSON."""
    print_table(rows)
    rounded = {name: _rounded(value) if isinstance(value, float) else value for name, value in figures.items()}
    typer.echo(json.dumps(rounded, allow_nan=False))


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Print a table and an empty line, columns by the keys of the first row; nothing without rows."""
    if rows:
        header = list(rows[0])
        typer.echo(table(header, ([row[name] for name in header] for row in rows)))
        typer.echo()


def _rounded(value: float) -> float:
    """Six digits after the point; of smaller numbers the first three that count."""
    return float(f"{value:.3g}") if abs(value) < 1e-3 else round(value, 6)
