"""Log lines and progress on stderr; tables and JSON alone go to stdout, so that they can be piped."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LOG = logging.getLogger("rna_predict")

_errors = Console(stderr=True)


def start_logging(verbose: bool) -> None:
    """Plain lines `time level text` in a file or pipe, coloured ones on a terminal."""
    level = logging.DEBUG if verbose else logging.INFO
    if _errors.is_terminal:
        handler: logging.Handler = RichHandler(console=_errors, show_path=False, markup=False, highlighter=None)
        handler.setFormatter(logging.Formatter("%(message)s", datefmt="%H:%M:%S"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    LOG.handlers[:] = [handler]
    LOG.setLevel(level)
    LOG.propagate = False


class Steps:
    """A progress bar that counts finished items and names the step at work; silent without a terminal."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total)

    def now(self, text: str) -> None:
        """Name the step at work."""
        self._progress.update(self._task, description=text)

    def done(self) -> None:
        """Count one item."""
        self._progress.advance(self._task)


@contextmanager
def steps(total: int) -> Iterator[Steps]:
    """Show progress over `total` items while the block runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_errors, transient=True, disable=not _errors.is_terminal) as progress:
        yield Steps(progress, total)


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Columns aligned with blanks, numbers to the right: readable on screen, in a file, and to `awk`."""
    cells = [[str(cell) for cell in header], *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    lines = ("  ".join(_pad(k, cell, widths[k]) for k, cell in enumerate(row)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def _pad(column: int, cell: str, width: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
