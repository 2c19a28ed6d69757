"""Rows of the tracking tables; their schemas, and what makes two rows say the same thing, follow from here."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from rna_predict.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

MARKER = "tracking.json"
"""File that says what the folder is; it is there before the folder is seen under its name."""
MARK: dict[str, object] = {"schema": "rna_predict.tracking", "version": 1}

STATUSES = ("running", "finished", "stopped", "failed")
"""What `Run.status` may be; a run that was killed stays `running`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run. Each start, resumption and end adds a row; the newest counts."""

    run: str
    """Its id."""
    name: str
    status: str
    """One of `STATUSES`."""
    started: datetime
    """When it was started first, also where it was resumed later."""
    config: str
    """JSON."""
    config_key: str
    package_version: str
    base_sha256: str
    """Of the weights that training starts from; `none` where there are none."""
    host: str
    pid: int
    time: datetime
    """When this row was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of one step. NaN and infinities are stored and come back as such."""

    run: str
    step: int
    name: str
    split: str
    value: float
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A file that a run wrote; a tag such as `best` or `last` moves to the newest."""

    run: str
    tag: str
    step: int
    file: str
    sha256: str
    """Of the file's bytes when it was logged."""
    meta: str
    """JSON."""
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One model of an ensemble; `batch` is shared by the models that were added together."""

    id: str
    rank: int
    """1 is the best."""
    seed: int
    score: float
    ptm: float
    mean_plddt: float
    method: str
    config: str
    weights: str
    file: str
    scores: str
    """JSON of further numbers: energy terms, and what an evaluation found."""
    batch: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Residue:
    """Whose vector stands in a row of `embeddings_<width>`, beside the column `vector`."""

    id: str
    position: int
    """1-based; 0 is the mean over the residues."""
    letter: str
    """Empty for the mean."""
    weights: str
    """Vectors of other weights are never compared."""
    method: str
    batch: str
    time: datetime


ROWS: dict[str, type] = {"runs": Run, "metrics": Metric, "checkpoints": Checkpoint, "predictions": Prediction}
"""Row type of each table that every folder has."""

KEYS: dict[str, tuple[str, ...]] = {
    "runs": ("run",),
    "metrics": ("run", "step", "name", "split"),
    "checkpoints": ("run", "tag"),
    "predictions": ("id", "method", "config", "weights", "rank"),
}
"""Columns by which rows replace each other: of those that agree in all of them, the newest counts."""

EMBEDDINGS = "embeddings_"
"""Tables of vectors are called this and the vectors' width."""


def schema_of(table: str) -> "pa.Schema":
    """Columns of a table of this name."""
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), datetime: pa.timestamp("us", tz="UTC")}
    row = ROWS.get(table, Residue)
    columns = [pa.field(field.name, kinds[field.type], nullable=False) for field in fields(row)]  # type: ignore[index]
    if row is Residue:
        width = int(table.removeprefix(EMBEDDINGS))
        columns.append(pa.field("vector", pa.list_(pa.float32(), width), nullable=False))
    return pa.schema(columns)


def as_table(table: str, rows: Sequence[object]) -> "pa.Table":
    """Rows of one type as columns."""
    import pyarrow as pa

    names = [field.name for field in fields(ROWS[table])]
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return pa.Table.from_pydict(columns, schema=schema_of(table))


def vector_table(residues: Sequence[Residue], vectors_NC: np.ndarray) -> "pa.Table":
    """Residues and their vectors as columns."""
    import pyarrow as pa

    schema = schema_of(f"{EMBEDDINGS}{vectors_NC.shape[1]}")
    flat = pa.array(np.ascontiguousarray(vectors_NC, dtype=np.float32).ravel())
    vectors = pa.FixedSizeListArray.from_arrays(flat, vectors_NC.shape[1])
    columns = {field.name: [getattr(row, field.name) for row in residues] for field in fields(Residue)}
    return pa.Table.from_pydict(columns | {"vector": vectors}, schema=schema)


def newest(rows: "pa.Table", keys: Sequence[str]) -> "pa.Table":
    """Of the rows that agree in `keys` the one with the latest time, in the order of their times."""
    import pyarrow as pa

    if not rows.num_rows:
        return rows
    order = [name for name in ("time", "batch") if name in rows.column_names]
    rows = rows.sort_by([(name, "ascending") for name in order])  # stable: of equal times the last row written counts
    numbered = rows.append_column("row", pa.array(np.arange(rows.num_rows)))
    last = numbered.group_by(list(keys), use_threads=False).aggregate([("row", "max")])
    return rows.take(last["row_max"].sort())


def json_text(value: Mapping[str, Any], what: str) -> str:
    """`value` as JSON; NaN and infinities become null.

    Raises:
        InputError: it holds something that JSON does not know.
    """
    try:
        return json.dumps(_finite(value), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what}: is not JSON ({error}). Hand over plain numbers, texts, lists and mappings."
        ) from error


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, (list, tuple)) else value
