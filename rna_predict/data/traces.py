"""C1' traces for training: chains of which an experiment, or who published it, gives one atom a residue.

A table of coordinates becomes a folder of PDB files that `dataset build` reads, with an index of clusters and splits.
Known structures of all atoms are few; stage B's geometry network learns distances from traces too.
"""

import csv
import gzip
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rna_predict.chemistry.residues import C1, MAX_ATOMS, RESIDUES
from rna_predict.contracts import Structure
from rna_predict.contracts.sequence import ID_PATTERN
from rna_predict.data.sources import SPLITS
from rna_predict.data.splits import TEST, TRAIN, VALIDATION
from rna_predict.data.whole_folder import whole_folder
from rna_predict.errors import ConfigError, InputError
from rna_predict.formats.pdb import pdb_text
from rna_predict.formats.reading import read_text

WORD = 8
"""Letters of the words that near sequences share; a sequence with fewer is near to none."""

CLUSTER_SHARE = 0.5
"""A trace joins the cluster of a chain with which it shares this much of the larger set of words."""

MISSING = 1e17
"""Å; what is farther out is no coordinate: Kaggle writes -1e18 for atoms that were not seen."""

FORMATS = (("id", "resid", "resname", "x", "y", "z"), ("ID", "resid", "resname", "x_1", "y_1", "z_1"))
"""Columns of the two kinds of tables: ours, and Kaggle's train_labels.csv, whose ID is `<target>_<resid>`."""

INDEX = "index.csv"
INDEX_COLUMNS: tuple[str, ...] = ("id", "pdb_id", "cluster", "split", "resolution", "method", "date")
LEFT_OUT = "left_out.tsv"
"""Which traces are not in the folder, and why; no other folder has such a file."""

ENTRY = re.compile(r"([0-9][A-Za-z0-9]{3})_.*")
"""A name that begins with a PDB id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The C1' atoms of one chain.

    Attributes:
        id: the chain's name in its table.
        sequence: all residues, those without an atom too; N for what is none of A C G U.
        number_L: int64, residue numbers.
        point_L3: float64, Å; NaN where no atom was seen.
    """

    id: str
    sequence: str
    number_L: np.ndarray
    point_L3: np.ndarray

    @property
    def seen_L(self) -> np.ndarray:
        """bool [L], residues that a file can hold: a known letter with an atom."""
        return np.isfinite(self.point_L3).all(1) & np.array([letter in RESIDUES for letter in self.sequence])

    def structure(self, id: str) -> Structure:
        """What was seen, as a structure of this name; what was not is a gap in the numbers."""
        seen_L = self.seen_L
        xyz_LA3 = np.zeros((int(seen_L.sum()), MAX_ATOMS, 3))
        mask_LA = np.zeros(xyz_LA3.shape[:2], dtype=bool)
        xyz_LA3[:, C1], mask_LA[:, C1] = self.point_L3[seen_L], True
        letters = "".join(letter for letter, seen in zip(self.sequence, seen_L, strict=True) if seen)
        return Structure(id=id, sequence=letters, xyz_LA3=xyz_LA3, mask_LA=mask_LA, number_L=self.number_L[seen_L])


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """Which traces are taken, and under what names."""

    share: float = 0.5
    """Share of the smaller set of words at which a trace is near a held-out sequence."""
    min_length: int = 20
    """Fewest residues whose atoms were seen."""
    prefix: str = ""
    """Put before all ids, where traces and other chains would have names in common."""

    def __post_init__(self) -> None:
        """Raise ConfigError for values that mean nothing."""
        if not 0 < self.share <= 1:
            raise ConfigError(f"share: {self.share} is not above 0 and at most 1.")
        if self.min_length < 2:
            raise ConfigError(f"min_length: {self.min_length}; at least 2, a distance needs two atoms.")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownChain:
    """An all-atom chain of the index that traces are laid beside.

    Attributes:
        id: its name.
        sequence: its letters.
        cluster: its sequence cluster.
        split: where it stands.
        stated: what its index says besides, by column.
    """

    id: str
    sequence: str
    cluster: str
    split: str
    stated: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What traces are compared with, and what is known of them besides.

    Attributes:
        held_out: sequences by id that nothing near may be trained on.
        chains: all-atom chains whose clusters traces join.
        entry_of: PDB id by the trace's id.
        date_of: day of deposition by the trace's id, YYYY-MM-DD.
    """

    held_out: dict[str, str]
    chains: Sequence[KnownChain]
    entry_of: dict[str, str]
    date_of: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTrace:
    """A trace that is taken, with its id in the folder and its cluster."""

    trace: Trace
    id: str
    cluster: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A trace that is not taken; `kind` is a short stable name, `reason` for people."""

    id: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceReport:
    """What was made of a table.

    Attributes:
        cluster_of: cluster of each trace that was taken, by its id in the folder.
        residues: atoms that were written.
        own_clusters: clusters that traces founded.
        left_out: the others.
    """

    cluster_of: dict[str, str]
    residues: int
    own_clusters: int
    left_out: list[LeftOut]


def read_traces(path: Path) -> list[Trace]:
    """The chains of a table in one of `FORMATS` (.gz too), in the order of their first rows.

    Raises:
        InputError: other columns, a residue number or coordinate that is none, an id that is no file name.
    """
    reader = csv.DictReader(read_text(path).splitlines())
    columns = next((names for names in FORMATS if set(names) <= set(reader.fieldnames or ())), None)
    if columns is None:
        wanted = " or ".join(", ".join(names) for names in FORMATS)
        raise InputError(
            f"{path}: expected the columns {wanted}; found {', '.join(reader.fieldnames or ()) or 'none'}."
        )
    rows: dict[str, list[tuple[str, int, tuple[float, ...]]]] = {}
    for row in reader:
        where = f"{path}: line {reader.line_num}"
        name, number, letter, *point = (row[column] or "" for column in columns)
        id = name if columns[0] == "id" else name.rpartition("_")[0]
        if not ID_PATTERN.fullmatch(id) or "." in id:
            raise InputError(f"{where}: {columns[0]} {name!r} names no chain by letters, digits, '_' and '-'.")
        try:
            placed = (_letter(letter), int(number), tuple(float(value) if value else np.nan for value in point))
        except ValueError as error:
            raise InputError(f"{where}: {error}. Correct the line.") from error
        rows.setdefault(id, []).append(placed)
    if not rows:
        raise InputError(f"{path}: holds no residue.")
    return [_trace(id, placed) for id, placed in rows.items()]


def _letter(name: str) -> str:
    letter = name.strip().upper().replace("T", "U")
    return letter if letter in tuple(RESIDUES) else "N"


def _trace(id: str, rows: list[tuple[str, int, tuple[float, ...]]]) -> Trace:
    point_L3 = np.array([point for _, _, point in rows], dtype=np.float64)
    point_L3[np.abs(point_L3) > MISSING] = np.nan
    return Trace(
        id=id,
        sequence="".join(letter for letter, _, _ in rows),
        number_L=np.array([number for _, number, _ in rows], dtype=np.int64),
        point_L3=point_L3,
    )


def read_held_out(path: Path) -> dict[str, str]:
    """Sequences by id; of a table with a column split those that validate or test.

    Raises:
        InputError: no such columns, a row without its sequence, or no row.
    """
    rows = _table(path, ("id", "sequence"))
    rows = [row for row in rows if row.get("split", TEST) in (VALIDATION, TEST)]
    empty = [row["id"] for row in rows if not row["sequence"]]
    if empty or not rows:
        raise InputError(f"{path}: {f'{empty[0]!r} has no sequence' if empty else 'no row validates or tests'}.")
    return {row["id"]: "".join(map(_letter, row["sequence"])) for row in rows}


def read_known_chains(path: Path) -> list[KnownChain]:
    """The rows of an index of all-atom chains with id, sequence, cluster80 (or cluster) and split.

    Raises:
        InputError: a column is missing or empty somewhere, or a split is none.
    """
    rows = _table(path, ("id", "sequence", "split"))
    column = next((name for name in ("cluster80", "cluster") if rows and name in rows[0]), "")
    if not column:
        raise InputError(f"{path}: no row, or no column cluster80 or cluster.")
    for row in rows:
        if not all(row[name] for name in ("id", "sequence", column)) or row["split"] not in SPLITS:
            raise InputError(f"{path}: {row['id']!r} lacks id, sequence, {column} or a split of {', '.join(SPLITS)}.")
    stated = [{name: row.get(name) or "" for name in ("pdb_id", "resolution", "method", "date")} for row in rows]
    return [
        KnownChain(id=row["id"], sequence=row["sequence"], cluster=row[column], split=row["split"], stated=more)
        for row, more in zip(rows, stated, strict=True)
    ]


def read_entries_and_dates(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """PDB ids and days by id, as far as a table with id, pdb_id, date (Kaggle: target_id, temporal_cutoff) has them.

    Raises:
        InputError: it has no ids.
    """
    rows = _table(path, ())
    id = next((name for name in ("id", "target_id") if rows and name in rows[0]), "")
    if not id:
        raise InputError(f"{path}: no row, or no column id or target_id.")
    days = {row[id]: row.get("date") or row.get("temporal_cutoff") or "" for row in rows}
    return {row[id]: row["pdb_id"] for row in rows if row.get("pdb_id")}, days


def _table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(read_text(path)))
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}; found {', '.join(reader.fieldnames or ()) or 'nothing'}.")
    return list(reader)


def write_traces(traces: Sequence[Trace], around: Surroundings, out: Path, settings: TraceSettings) -> TraceReport:
    """Write the folder `out`: a file of each trace that is taken, `INDEX` with the all-atom chains too, `LEFT_OUT`.

    Raises:
        InputError: no trace is taken, two chains share a name, an atom does not fit into a PDB file, or `out` is
            another folder than one of traces.
    """
    with whole_folder(out, LEFT_OUT) as folder:
        kept, left_out = chosen_traces(traces, around, settings)
        if not kept:
            raise InputError(f"{out}: none of {len(traces)} traces is taken. First: {left_out[0].reason}.")
        taken = {chain.id for chain in around.chains} | {chain.cluster for chain in around.chains}
        for one in kept:
            if one.id in taken:
                raise InputError(f"{one.id}: the index names a chain or cluster so too. Set a prefix for traces.")
            text = pdb_text(one.trace.structure(one.id))
            (folder / f"{one.id}.pdb.gz").write_bytes(gzip.compress(text.encode("ascii"), mtime=0))
        _write_index(folder / INDEX, kept, around)
        lines = ["id\tkind\treason", *(f"{one.id}\t{one.kind}\t{one.reason}" for one in left_out)]
        (folder / LEFT_OUT).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return TraceReport(
        cluster_of={one.id: one.cluster for one in kept},
        residues=sum(int(one.trace.seen_L.sum()) for one in kept),
        own_clusters=len({one.cluster for one in kept} - {chain.cluster for chain in around.chains}),
        left_out=left_out,
    )


def _write_index(path: Path, kept: Sequence[KeptTrace], around: Surroundings) -> None:
    """The all-atom chains as they stand, then the traces."""
    rows = [dict(chain.stated, id=chain.id, cluster=chain.cluster, split=chain.split) for chain in around.chains]
    for one in kept:
        found = ENTRY.fullmatch(one.trace.id)
        entry = around.entry_of.get(one.trace.id) or (found[1].lower() if found else "")
        date = around.date_of.get(one.trace.id, "")
        rows.append({"id": one.id, "pdb_id": entry, "cluster": one.cluster, "split": TRAIN, "date": date})
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, INDEX_COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def chosen_traces(
    traces: Sequence[Trace], around: Surroundings, settings: TraceSettings
) -> tuple[list[KeptTrace], list[LeftOut]]:
    """Traces that are taken, and those that are not.

    A trace joins the cluster of the first chain, all-atom chains before traces, whose larger set of words it shares
    `CLUSTER_SHARE` of, else it founds one. A cluster that validates or tests takes no trace.
    """
    held_out = [(id, words(sequence)) for id, sequence in around.held_out.items()]
    closed = {chain.cluster for chain in around.chains if chain.split in (VALIDATION, TEST)}
    founders = [(chain.cluster, words(chain.sequence)) for chain in around.chains]
    copy_of = {chain.sequence: chain.id for chain in reversed(around.chains)}
    kept, left_out = [], []
    for trace in traces:
        own, seen = words(trace.sequence), int(trace.seen_L.sum())
        near = next((id for id, other in held_out if shared(own, other, min) >= settings.share), None)
        cluster = next((name for name, other in founders if shared(own, other, max) >= CLUSTER_SHARE), None)
        if trace.sequence in copy_of:
            fault = ("copy", f"all atoms of this sequence are known, {copy_of[trace.sequence]}")
        elif near is not None:
            fault = ("held_out", f"near the held-out {near}")
        elif seen < settings.min_length:
            fault = ("short", f"{seen} residues were seen, fewer than {settings.min_length}")
        elif (np.diff(trace.number_L) <= 0).any():
            fault = ("numbers", "the residue numbers do not rise")
        elif cluster in closed:
            fault = ("cluster", f"near the cluster {cluster}, which validates or tests")
        else:
            id = settings.prefix + trace.id
            if cluster is None:
                cluster = id
                founders.append((cluster, own))
            kept.append(KeptTrace(trace=trace, id=id, cluster=cluster))
            continue
        left_out.append(LeftOut(id=trace.id, kind=fault[0], reason=fault[1]))
    return kept, left_out


def words(sequence: str) -> frozenset[str]:
    """All words of `WORD` letters that are known."""
    return frozenset(word for k in range(len(sequence) - WORD + 1) if "N" not in (word := sequence[k : k + WORD]))


def shared(first: frozenset[str], second: frozenset[str], of: Callable[[int, int], int]) -> float:
    """Words in common as a share of the smaller (`min`) or larger (`max`) set; 0 where one is empty."""
    return len(first & second) / of(len(first), len(second)) if first and second else 0.0
