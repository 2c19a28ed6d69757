"""What was tracked, read back: of every fact the newest statement, also while others write."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rna_predict.errors import InputError
from rna_predict.training.tracking_rows import EMBEDDINGS, KEYS, Checkpoint, Metric, Prediction, Run, newest
from rna_predict.training.tracking_store import Store

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A residue, or with position 0 an RNA, and how far its vector lies from the one asked for."""

    id: str
    position: int
    letter: str
    distance: float
    """Euclidean."""
    weights: str
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run came."""

    step: int
    """The last with a metric."""
    time: datetime
    """When its newest metric was logged: a run that was killed says nothing else about it."""


@dataclass(frozen=True, slots=True)
class _Vectors:
    """Vectors that were added together for one RNA."""

    table: str
    id: str
    weights: str
    batch: str

    @property
    def where(self) -> str:
        """What finds their rows."""
        return _where(id=self.id, batch=self.batch)


class TrackingReader:
    """The facts of one tracking folder."""

    def __init__(self, folder: Path) -> None:
        """Open a folder that `open_tracker` made.

        Raises:
            InputError: there is no such folder.
            ContractError: it is no tracking folder, or of another version.
        """
        self.folder = folder
        self._store = Store(folder)

    def runs(self) -> list[Run]:
        """All runs, the one started first first.

        Raises:
            ContractError: the table is damaged; so in all methods below.
        """
        return sorted(self._rows("runs", Run), key=lambda run: (run.started, run.run))

    def run(self, run: str) -> Run:
        """One run.

        Raises:
            InputError: there is none with this id.
        """
        found = self._rows("runs", Run, run=run)
        if not found:
            known = ", ".join(one.run for one in self.runs()[-20:]) or "none"
            raise InputError(f"{self.folder}: no run {run!r}. Runs: {known}.")
        return found[0]

    def progress(self) -> dict[str, Progress]:
        """How far each run came that has metrics."""
        rows = self._store.read("metrics", columns=["run", "step", "time"])
        grouped = rows.group_by("run").aggregate([("step", "max"), ("time", "max")]).to_pylist()
        return {row["run"]: Progress(step=row["step_max"], time=row["time_max"]) for row in grouped}

    def metrics(self, run: str, name: str | None = None, split: str | None = None) -> list[Metric]:
        """Numbers of a run by split, name and step; a step that was logged again has its newest value.

        Raises:
            InputError: there is no such run.
        """
        self.run(run)
        found = self._rows("metrics", Metric, run=run, name=name, split=split)
        return sorted(found, key=lambda metric: (metric.split, metric.name, metric.step))

    def checkpoints(self, run: str | None = None) -> list[Checkpoint]:
        """Files of one run or of all, by run and step, each tag's newest.

        Raises:
            InputError: there is no such run.
        """
        if run is not None:
            self.run(run)
        found = self._rows("checkpoints", Checkpoint, run=run)
        return sorted(found, key=lambda checkpoint: (checkpoint.run, checkpoint.step, checkpoint.tag))

    def predictions(self, id: str | None = None) -> list[Prediction]:
        """Models of one RNA or of all, by RNA, what made them, and rank; an ensemble replaces the one before."""
        rows = self._store.read("predictions", _where(id=id))
        counting = set(newest(rows, KEYS["predictions"][:-1])["batch"].to_pylist())
        ranked = [Prediction(**row) for row in newest(rows, KEYS["predictions"]).to_pylist()]
        found = [one for one in ranked if one.batch in counting]
        return sorted(found, key=lambda one: (one.id, one.method, one.weights, one.config, one.rank))

    def embedded(self) -> dict[str, int]:
        """Number of RNAs in each table of vectors, whatever their weights."""
        tables = self._store.vector_tables()
        return {name: len(set(self._means(name)["id"].to_pylist())) for name in tables}

    def similar(self, vector_C: np.ndarray, top: int = 10, weights: str | None = None) -> list[Neighbour]:
        """The residues whose vectors lie nearest to a vector.

        Args:
            vector_C: as wide as the vectors to compare with.
            top: how many.
            weights: sha256 of those that made it; may be left out where the vectors are all of the same.

        Raises:
            InputError: there are no vectors of this width, or of several weights.
        """
        table = f"{EMBEDDINGS}{len(vector_C)}"
        if table not in self._store.vector_tables():
            widths = ", ".join(name.removeprefix(EMBEDDINGS) for name in self._store.vector_tables()) or "none"
            raise InputError(f"{self.folder}: no vectors of width {len(vector_C)}. Widths: {widths}.")
        known = sorted(set(self._means(table)["weights"].to_pylist()))
        if weights is None and len(known) != 1:
            told = f"{self.folder}: vectors of {len(known)} weights have this width."
            raise InputError(f"{told} Say which: {', '.join(known) or 'none'}.")
        return self._nearest(table, vector_C, weights or known[0], "position > 0", top)

    def similar_residues(self, id: str, position: int, top: int = 10, weights: str | None = None) -> list[Neighbour]:
        """The residues nearest to one of an RNA, other residues of this RNA among them.

        Args:
            id: of the RNA.
            position: 1-based.
            top: how many.
            weights: of which weights; without it of those that the RNA's newest vectors come from.

        Raises:
            InputError: there is no such residue.
        """
        own = self._newest_vectors(id, weights)
        length = max(self._store.read(own.table, own.where, ["position"])["position"].to_pylist())
        if not 1 <= position <= length:
            raise InputError(f"{self.folder}: {id} has no residue {position}. Positions: 1 to {length}.")
        vector = self._vector(own, position)
        rest = f"position > 0 AND NOT (id = {_quoted(id)} AND position = {position})"
        return self._nearest(own.table, vector, own.weights, rest, top)

    def similar_rnas(self, id: str, top: int = 10, weights: str | None = None) -> list[Neighbour]:
        """The other RNAs by the distance of their residues' mean vector to this one's; arguments as above.

        Raises:
            InputError: there is no such RNA.
        """
        own = self._newest_vectors(id, weights)
        rest = f"position = 0 AND id != {_quoted(id)}"
        return self._nearest(own.table, self._vector(own, 0), own.weights, rest, top)

    def _rows(self, table: str, row: Callable[..., Any], **equal: str | None) -> list[Any]:
        """Rows with these values, of each key the newest."""
        rows = newest(self._store.read(table, _where(**equal)), KEYS[table])
        return [row(**values) for values in rows.to_pylist()]

    def _means(self, table: str, **equal: str | None) -> "pa.Table":
        """One row for each time that an RNA's vectors were added."""
        where = " AND ".join(filter(None, ("position = 0", _where(**equal))))
        return self._store.read(table, where, ["id", "weights", "batch", "time"])

    def _newest_vectors(self, id: str, weights: str | None) -> _Vectors:
        """The newest vectors of an RNA, of any width."""
        found: list[tuple[datetime, _Vectors]] = []
        for table in self._store.vector_tables():
            for row in newest(self._means(table, id=id, weights=weights), ["id", "weights"]).to_pylist():
                found.append((row["time"], _Vectors(table, id, row["weights"], row["batch"])))
        if not found:
            of = f" of weights {weights}" if weights else ""
            raise InputError(f"{self.folder}: no vectors of {id!r}{of}. Add them with `rna-predict db add`.")
        return max(found, key=lambda one: one[0])[1]

    def _vector(self, own: _Vectors, position: int) -> np.ndarray:
        rows = self._store.read(own.table, f"{own.where} AND position = {position}", ["vector"])
        return np.array(rows["vector"][0].as_py(), dtype=np.float32)

    def _nearest(self, table: str, vector_C: np.ndarray, weights: str, where: str, top: int) -> list[Neighbour]:
        """Rows by distance, without those that a later addition of the same RNA and weights replaces."""
        means = self._means(table, weights=weights)
        counting = set(newest(means, ["id"])["batch"].to_pylist())
        replaced = sorted(set(means["batch"].to_pylist()) - counting)
        where = f"weights = {_quoted(weights)} AND {where}"
        if replaced:
            where += f" AND batch NOT IN ({', '.join(map(_quoted, replaced))})"
        limit = top
        while True:  # a write that was tried again may have left equal rows
            rows = self._store.nearest(table, vector_C, where, limit)
            found: Mapping[tuple[str, int], Neighbour] = {
                (row["id"], row["position"]): _neighbour(row) for row in reversed(rows)
            }
            if len(found) >= top or len(rows) < limit:
                return sorted(found.values(), key=lambda one: (one.distance, one.id, one.position))[:top]
            limit *= 2


def _neighbour(row: Mapping[str, Any]) -> Neighbour:
    names = ("id", "position", "letter", "weights", "method")
    return Neighbour(distance=float(row["_distance"]) ** 0.5, **{name: row[name] for name in names})


def _where(**equal: str | None) -> str:
    return " AND ".join(f"{name} = {_quoted(value)}" for name, value in equal.items() if value is not None)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
