"""Read the sample sheet: tab-separated, columns id, sequence and (optional) files, as strictly as FASTA."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from rna_predict.contracts import RnaSequence
from rna_predict.errors import InputError
from rna_predict.formats.fasta import FastaOptions, RecordFailure
from rna_predict.formats.normalise import check_length, checked_sequence
from rna_predict.formats.reading import Notice, read_text

REQUIRED = ("id", "sequence")
FILES = ("structure", "msa", "reactivity")
COLUMNS = (*REQUIRED, *FILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """One RNA of the sheet; `structure`, `msa` and `reactivity` are paths as they stand there, or None."""

    rna: RnaSequence
    structure: Path | None
    msa: Path | None
    reactivity: Path | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSheet:
    """Usable rows in file order, conversions, and rows that failed."""

    rows: list[SampleRow] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    failures: list[RecordFailure] = field(default_factory=list)


def read_sample_sheet(path: Path, options: FastaOptions | None = None) -> SampleSheet:
    """Read all rows. Lines that are blank or start with # are left out; blanks around a cell are dropped.

    Raises:
        InputError: no rows, a missing, unknown or repeated column, a row with too many cells, an id twice (case
            ignored, both lines named), a file that is no text.
    """
    path = Path(path)
    options = options or FastaOptions()
    numbered = _cells(path, read_text(path, options.max_bytes, strict=False))
    if not numbered:
        raise InputError(f"{path}: the sample sheet is empty. Write a line with the columns {', '.join(COLUMNS)}.")
    _, header = numbered[0]
    _check_header(path, header)
    if len(numbered) == 1:
        raise InputError(f"{path}: the sample sheet has a header and no rows. Add a line for each RNA.")
    rows = [(line, _row(path, line, header, cells)) for line, cells in numbered[1:]]
    _refuse_duplicates(path, rows)
    sheet = SampleSheet()
    for line, row in rows:
        _take(sheet, line, row, options)
    return sheet


def _cells(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """Line numbers and cells of the lines that hold something; a row is one line, quoted cells are unquoted."""
    rows: list[tuple[int, list[str]]] = []
    for line, raw in enumerate(text.split("\n"), start=1):
        if not raw.strip(" \t") or raw.lstrip(" \t").startswith("#"):
            continue
        try:
            cells = next(csv.reader([raw], delimiter="\t", strict=True))
        except csv.Error as error:  # an open quote, or a cell beyond csv.field_size_limit
            raise InputError(f"{path}: line {line}: {error}. Correct the line.") from error
        cells = [cell.strip(" ") for cell in cells]
        while cells and not cells[-1]:  # tabs at the end of the line
            cells.pop()
        rows.append((line, cells))
    return rows


def _check_header(path: Path, header: list[str]) -> None:
    for column in REQUIRED:
        if column not in header:
            raise InputError(
                f"{path}: no column {column!r} in {ascii(header)[:200]}. The sheet is tab-separated with the columns "
                f"{', '.join(COLUMNS)}."
            )
    for column in header:
        if column not in COLUMNS or header.count(column) > 1:
            what = "twice" if column in COLUMNS else f"unknown; known are {', '.join(COLUMNS)}"
            raise InputError(f"{path}: column {ascii(column)[:80]} is {what}. Correct the first line.")


def _row(path: Path, line: int, header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) > len(header):
        raise InputError(f"{path}: line {line}: {len(cells)} cells for {len(header)} columns. Remove the extra tabs.")
    return dict.fromkeys(COLUMNS, "") | dict(zip(header, cells, strict=False))


def _refuse_duplicates(path: Path, rows: list[tuple[int, dict[str, str]]]) -> None:
    first: dict[str, int] = {}
    for line, row in rows:
        other = first.setdefault(row["id"].casefold(), line)
        if other != line and row["id"]:
            shown = ascii(row["id"][:80])
            raise InputError(f"{path}: id {shown} stands in lines {other} and {line}; case is ignored. Rename one.")


def _take(sheet: SampleSheet, line: int, row: dict[str, str], options: FastaOptions) -> None:
    try:
        if options.max_length:
            check_length("".join(row["sequence"].split()), options.max_length, options.pair_channels)
        rna, notices = checked_sequence(row["id"], row["sequence"], options.ambiguous)
        for column in FILES:
            if "\0" in row[column]:
                raise InputError(f"{column}: the path holds a NUL character. Remove it.")
    except InputError as error:
        sheet.failures.append(RecordFailure(id=ascii(row["id"][:80])[1:-1], line=line, reason=str(error)))
        return
    files = {column: Path(row[column]) if row[column] else None for column in FILES}
    sheet.rows.append(SampleRow(rna=rna, line=line, **files))
    sheet.notices.extend(Notice(kind=n.kind, message=n.message, id=rna.id, line=line) for n in notices)
