"""The submission file of Kaggle's Stanford RNA 3D Folding: C1' of five models of every residue of every target.

One line a residue, targets and residues in the order of the sequences that were asked for:
`ID,resname,resid,x_1,y_1,z_1,…,x_5,y_5,z_5` with ID `<target>_<resid>`, resid from 1, Å with three decimals. What is
written is read back and checked before it takes its name; the same check serves files from elsewhere.
"""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from rna_predict.atomic import atomic_path
from rna_predict.contracts import RnaSequence
from rna_predict.errors import InputError
from rna_predict.geometry.numpy_measures import superposed_rmsd

MODELS = 5

HEAD = ("ID", "resname", "resid")
COLUMNS = (*HEAD, *(f"{axis}_{model}" for model in range(1, MODELS + 1) for axis in "xyz"))

GREATEST = 9999.999
"""Å; a coordinate beyond stands for a missing one (-1e18 in the competition's labels) or is a fault."""

LEAST_RMSD = 0.05
"""Å between any two models after superposition; below they are one model, turned or rounded."""


class SubmissionError(InputError):
    """A submission is refused; `target`, `row` (line of the file, 0 for none) and `field` say where."""

    def __init__(self, message: str, target: str, row: int = 0, field: str = "") -> None:
        super().__init__(message)
        self.target, self.row, self.field = target, row, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetModels:
    """Five models of one target.

    Attributes:
        sequence: the target.
        c1_ML3: float64 [5, L, 3], C1' in Å, best model first.
    """

    sequence: RnaSequence
    c1_ML3: np.ndarray

    def __post_init__(self) -> None:
        """Raise SubmissionError where there are not five models of every residue."""
        expected = (MODELS, self.sequence.length, 3)
        if self.c1_ML3.shape != expected:
            raise SubmissionError(
                f"{self.sequence.id}: C1' of shape {self.c1_ML3.shape}, expected {expected} ({MODELS} models). "
                f"Predict it again with {MODELS} models.",
                self.sequence.id,
            )


def write_submission(targets: Sequence[TargetModels], path: Path) -> None:
    """Write all targets in their order, whole or not at all.

    Raises:
        SubmissionError: what would be written does not pass `check_submission`; nothing is written then.
    """
    text = "".join(_lines(targets))
    check_submission(text, [target.sequence for target in targets], path.name)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="ascii", newline="\n")


def _lines(targets: Sequence[TargetModels]) -> Iterator[str]:
    yield ",".join(COLUMNS) + "\n"
    for target in targets:
        point_LM3 = target.c1_ML3.transpose(1, 0, 2).round(3) + 0.0  # + 0.0 turns -0.0 into 0.0
        for place, (letter, point_M3) in enumerate(zip(target.sequence.sequence, point_LM3, strict=True), start=1):
            numbers = ",".join(f"{value:.3f}" for value in point_M3.reshape(-1).tolist())
            yield f"{target.sequence.id}_{place},{letter},{place},{numbers}\n"


def check_submission(text: str, sequences: Sequence[RnaSequence], name: str) -> None:
    """Check a whole file: columns, rows, letters, coordinates, and that the five models of a target differ.

    Args:
        text: its content.
        sequences: the targets that were asked for, in order.
        name: of the file, for messages.

    Raises:
        SubmissionError: at the first fault, with target, line, field, value and remedy.
    """
    rows = csv.reader(io.StringIO(text))
    header = next(rows, [])
    if tuple(header) != COLUMNS:
        wrong = next(
            (k for k, pair in enumerate(zip(header, COLUMNS, strict=False)) if pair[0] != pair[1]), len(header)
        )
        field = COLUMNS[min(wrong, len(COLUMNS) - 1)]
        raise SubmissionError(
            f"{name}: line 1: {len(header)} columns, column {wrong + 1} is not {field}. The columns are "
            f"{','.join(COLUMNS[:6])},…,{','.join(COLUMNS[-3:])}.",
            "",
            1,
            field,
        )
    check = _Check(name, sequences)
    try:
        for row in rows:
            check.row(rows.line_num, row)
    except csv.Error as error:
        message = f"{name}: line {rows.line_num}: is no line of CSV ({error}). Write the file again."
        raise SubmissionError(message, "", rows.line_num) from error
    check.end()


class _Check:
    """Goes through the rows of a file and the residues that it owes side by side."""

    def __init__(self, name: str, sequences: Sequence[RnaSequence]) -> None:
        self._name = name
        self._owed = [(target, place) for target in sequences for place in range(1, target.length + 1)]
        self._place = {f"{target.id}_{place}": n for n, (target, place) in enumerate(self._owed)}
        self._line: dict[str, int] = {}
        self._points: list[list[float]] = []

    def row(self, line: int, row: list[str]) -> None:
        """The next row, on this line of the file."""
        id = row[0] if row else ""
        target, place = self._expected(line, id)
        self._line[id] = line
        if len(row) != len(COLUMNS):
            raise self._error(line, target, "row", f"{len(row)} cells", f"Write {len(COLUMNS)}")
        letter = target.sequence[place - 1]
        if row[1] != letter:
            raise self._error(line, target, "resname", f"{row[1]!r}, the sequence has {letter}", "Write its letter")
        if row[2] != str(place):
            raise self._error(line, target, "resid", f"{row[2]!r}, the ID says {place}", "Count residues from 1")
        values = [self._number(line, target, *cell) for cell in zip(COLUMNS[3:], row[3:], strict=True)]
        for model in range(MODELS):
            if values[3 * model : 3 * model + 3] == [0.0, 0.0, 0.0]:
                field = f"x_{model + 1}, y_{model + 1}, z_{model + 1}"
                raise self._error(line, target, field, "all zero: no atom lies there", "Predict the target again")
        self._points.append(values)
        if place == target.length:
            self._finish(line, target)

    def end(self) -> None:
        """After the last row."""
        if len(self._line) < len(self._owed):
            target, place = self._owed[len(self._line)]
            more = len(self._owed) - len(self._line) - 1
            raise self._error(
                0, target, "ID", f"{target.id}_{place} (and {more} more) is missing at the end", "Add its row"
            )

    def _expected(self, line: int, id: str) -> tuple[RnaSequence, int]:
        """What this row must be; the error says whether it is unknown, twice there, or not in its order."""
        if id not in self._place:
            remedy = "Remove the row, or add its sequence"
            raise self._error(line, None, "ID", f"{id!r} is no residue of the {len(self._owed)} asked for", remedy)
        own = self._owed[self._place[id]]
        if id in self._line:
            remedy = "Remove one"
            raise self._error(line, own[0], "ID", f"{id} stands on line {self._line[id]} already", remedy)
        if self._place[id] != len(self._line):
            target, place = self._owed[len(self._line)]
            remedy = "Write every residue once, in order"
            raise self._error(line, target, "ID", f"{id} stands where {target.id}_{place} belongs", remedy)
        return own

    def _number(self, line: int, target: RnaSequence, field: str, cell: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not abs(value) <= GREATEST:
            found = f"{cell!r} is no coordinate in Å (a number within ±{GREATEST})"
            raise self._error(line, target, field, found, "Predict the target again")
        return value

    def _finish(self, line: int, target: RnaSequence) -> None:
        """After a target's last row: its models differ, and no model is one point."""
        point_ML3 = np.array(self._points).reshape(-1, MODELS, 3).transpose(1, 0, 2)
        self._points = []
        for first, second in combinations(range(MODELS), 2):
            apart = _apart(point_ML3[first], point_ML3[second])
            if apart < LEAST_RMSD:
                field = f"x_{first + 1} to z_{second + 1}"
                found = f"models {first + 1} and {second + 1} are the same ({apart:.3f} Å apart)"
                raise self._error(line, target, field, found, f"Give {MODELS} models that differ")

    def _error(self, line: int, target: RnaSequence | None, field: str, found: str, remedy: str) -> SubmissionError:
        name = "" if target is None else target.id
        where = [self._name, *([f"line {line}"] if line else []), *([f"target {name}"] if name else []), field]
        return SubmissionError(f"{': '.join(where)}: {found}. {remedy}.", name, line, field)


def _apart(first_L3: np.ndarray, second_L3: np.ndarray) -> float:
    """RMSD in Å after superposition; without it below three points, which fit each other nearly always."""
    if len(first_L3) < 3:
        return float(np.sqrt(((first_L3 - second_L3) ** 2).sum(axis=-1).mean()))
    return superposed_rmsd(first_L3, second_L3)
