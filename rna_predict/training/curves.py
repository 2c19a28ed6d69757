"""Curves as CSV: a row a step, added as it comes; a resumed run goes on behind the row of its step."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from rna_predict.atomic import atomic_path
from rna_predict.errors import TrainingError

STEP = "step"


class Curve:
    """One file. Columns are those of the first row; numbers are written so that reading gives the same value."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []

    def begin(self, after: int) -> None:
        """Keep the rows up to step `after`; those behind it will be made again.

        Raises:
            TrainingError: the file is no curve.
        """
        if not self.path.is_file():
            return
        columns, rows = read_curve(self.path)
        kept = [row for row in rows if row[STEP] <= after]
        with atomic_path(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows([_cell(row[name]) for name in columns] for row in kept)
        self._columns = columns

    def add(self, step: int, values: Mapping[str, float | None]) -> None:
        """Write one row; a value that is not defined is left empty.

        Raises:
            TrainingError: a value has no column.
        """
        fresh = not self._columns
        if fresh:
            self._columns = [STEP, *values]
            self.path.parent.mkdir(parents=True, exist_ok=True)
        surplus = set(values) - set(self._columns)
        if surplus:
            raise TrainingError(f"{self.path}: has no column {sorted(surplus)[0]!r}. Begin a new run.")
        with self.path.open("w" if fresh else "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(self._columns)
            writer.writerow([str(step), *(_cell(values.get(name)) for name in self._columns[1:])])


def read_curve(path: Path) -> tuple[list[str], list[dict[str, float]]]:
    """Columns and rows; an empty cell is NaN. A last line that a kill cut short is left out.

    Raises:
        TrainingError: the file is no curve.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = list(csv.reader(line for line in lines if line.endswith("\n")))
    if not rows or rows[0][:1] != [STEP]:
        raise TrainingError(f"{path}: is no curve of a training. Remove it.")
    columns = rows[0]
    try:
        return columns, [dict(zip(columns, map(_number, row), strict=True)) for row in rows[1:]]
    except ValueError as error:
        raise TrainingError(f"{path}: a row is damaged ({error}). Remove it.") from error


def _number(cell: str) -> float:
    return float(cell) if cell else math.nan


def _cell(value: float | None) -> str:
    """The shortest text that reads as the same float; integers without a point."""
    if value is None or math.isnan(value):
        return ""
    return str(int(value)) if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15) else repr(value)
