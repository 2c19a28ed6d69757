"""Which files a dataset is built from, and what an index says of their chains."""

import csv
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rna_predict.errors import InputError
from rna_predict.formats.entry import is_structure_file
from rna_predict.formats.reading import read_text

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

SPLITS = ("train", "validation", "test", "left_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Files in a fixed order.

    Attributes:
        root: folder that names in reports are relative to.
        files: structure files.
        others: files that are not read as their names are not those of structures.
    """

    root: Path
    files: tuple[Path, ...]
    others: tuple[Path, ...] = ()

    def name(self, path: Path) -> str:
        """The file for reports, relative to the root where it lies below it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRow:
    """What an index says of one chain; empty where it says nothing."""

    entry: str = ""
    cluster: str = ""
    split: str = ""
    resolution: float | None = None
    method: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Rows of an index by chain id, and which of the two optional columns it was asked for."""

    rows: Mapping[str, IndexRow] = field(default_factory=dict)
    has_clusters: bool = False
    has_splits: bool = False


def find_sources(source: Path) -> Sources:
    """The structure files of a folder and its subfolders by path, of a list (one path a line), or one file alone.

    Paths in a list are relative to the list; blank lines and lines with # are left out. Hidden files are not seen.

    Raises:
        InputError: no such folder or file, or nothing in it.
    """
    if source.is_dir():
        found = sorted(_walk(source), key=lambda path: path.relative_to(source).as_posix())
        files = tuple(path for path in found if is_structure_file(path))
        result = Sources(root=source, files=files, others=tuple(path for path in found if not is_structure_file(path)))
    elif is_structure_file(source):
        result = Sources(root=source.parent, files=(source,))
    else:
        lines = [line.strip() for line in read_text(source).splitlines()]
        listed = [source.parent / line for line in lines if line and not line.startswith("#")]
        result = Sources(root=source.parent, files=tuple(dict.fromkeys(listed)))
    if not result.files:
        raise InputError(f"{source}: no structure file (.pdb, .ent, .cif, .mmcif, also .gz) here.")
    return result


def _walk(folder: Path) -> list[Path]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root) / name for name in names if not name.startswith(".")]
    return found


def read_index(path: Path, cluster_column: str = "", split_column: str = "") -> Index:
    """Read a CSV with the column `id` and optionally `pdb_id`, `resolution`, `method`, `date`.

    Args:
        path: the index.
        cluster_column: column with the sequence cluster; empty leaves clustering to `clusters.greedy_clusters`.
        split_column: column with `train`, `validation`, `test` or `left_out`; empty leaves it to `splits`.

    Raises:
        InputError: a column is missing, an id occurs twice, a cluster is empty, a split, resolution or day is none.
    """
    rows: dict[str, IndexRow] = {}
    reader = csv.DictReader(read_text(path).splitlines())
    wanted = ["id", *filter(None, (cluster_column, split_column))]
    for column in wanted:
        if column not in (reader.fieldnames or ()):
            raise InputError(f"{path}: no column {column!r}; found {', '.join(reader.fieldnames or ()) or 'nothing'}.")
    for row in reader:
        where, name = f"{path}: line {reader.line_num}", row["id"]
        if name in rows:
            raise InputError(f"{where}: id {name!r} occurs twice. Remove one of the lines.")
        if any(not row[column] for column in wanted):
            raise InputError(f"{where}: a column of {', '.join(wanted)} is empty. Fill it in.")
        split = row[split_column] if split_column else ""
        if split and split not in SPLITS:
            raise InputError(f"{where}: {split_column} is {split!r}, not one of {', '.join(SPLITS)}.")
        rows[name] = IndexRow(
            entry=row.get("pdb_id") or "",
            cluster=row[cluster_column] if cluster_column else "",
            split=split,
            resolution=_number(where, row.get("resolution") or ""),
            method=row.get("method") or "",
            date=_day(where, row.get("date") or ""),
        )
    return Index(rows=rows, has_clusters=bool(cluster_column), has_splits=bool(split_column))


def read_id_table(path: Path) -> dict[str, str]:
    """The column `id` of a comma- or tab-separated table, and the column `sequence` or an empty text beside each.

    Raises:
        InputError: no such column, or no id.
    """
    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    if "id" not in (reader.fieldnames or ()):
        raise InputError(f"{path}: no column id; found {', '.join(reader.fieldnames or ()) or 'nothing'}.")
    found = {row["id"]: row.get("sequence") or "" for row in reader if row["id"]}
    if not found:
        raise InputError(f"{path}: the column id is empty.")
    return found


def _day(where: str, text: str) -> str:
    if text and not DAY.fullmatch(text):
        raise InputError(f"{where}: date is {text!r}, not a day as YYYY-MM-DD. Correct the line.")
    return text


def _number(where: str, text: str) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError as error:
        raise InputError(f"{where}: resolution is {text!r}, not a number. Correct the line.") from error
    return value if value and value > 0 else None
