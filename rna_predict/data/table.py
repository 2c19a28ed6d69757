"""Chains as rows of a LanceDB table: the schema, and the only door to lancedb and pyarrow in this folder."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rna_predict.data.chains import ARRAYS, ORIGIN_FIELDS, Chain, Origin, array_shapes
from rna_predict.errors import ConfigError, ContractError, InputError

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "chains"
INSTALL = "pip install lancedb"
BATCH_ROWS = 64
"""Rows that are turned into columns at once."""

_TEXT_LISTS = ("pair_class", "notices")
_NUMBERS = ("resolution",)


def need_lancedb() -> Any:
    """The module lancedb.

    Raises:
        ConfigError: it is not installed; the message names the command.
    """
    try:
        import lancedb
    except ImportError as error:
        raise ConfigError(f"datasets are LanceDB tables, and lancedb is not installed ({error}). {INSTALL}") from error
    return lancedb


def check_lancedb() -> None:
    """Raise ConfigError unless lancedb is there, without importing it: it does not like a fork after that."""
    if find_spec("lancedb") is None:
        raise ConfigError(f"datasets are LanceDB tables, and lancedb is not installed. {INSTALL}")


def chain_schema() -> "pa.Schema":
    """Columns of the table; arrays are flattened, their shapes follow from `length`.

    `position` is the row's place, `digest` what `Chain.digest` says of the row. pyarrow comes with lancedb.
    """
    import pyarrow as pa

    kinds = {"float32": pa.float32(), "int32": pa.int32(), "bool": pa.bool_()}
    columns: dict[str, pa.DataType] = {"position": pa.int32(), "id": pa.string(), "cluster": pa.string()}
    columns |= {"length": pa.int32(), "sequence": pa.string(), "digest": pa.string()}
    columns |= {name: pa.list_(kinds[dtype]) for name, (dtype, _) in array_shapes(1, 0).items()}
    columns |= {name: pa.string() for name in ORIGIN_FIELDS}
    columns |= dict.fromkeys(_TEXT_LISTS, pa.list_(pa.string()))
    columns |= dict.fromkeys(_NUMBERS, pa.float64())
    return pa.schema([pa.field(name, kind, nullable=name in _NUMBERS) for name, kind in columns.items()])


class Spool:
    """Chains on their way to the table, kept on disk: their clusters are known only when all have been read."""

    def __init__(self, path: Path) -> None:
        """Begin the file `path`; lancedb is installed."""
        import pyarrow as pa

        self._arrow = pa
        self._path = path
        self._schema = chain_schema()
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)
        self._rows: list[dict[str, Any]] = []
        self._count = 0

    def add(self, chain: Chain) -> None:
        """Keep one more chain."""
        self._rows.append(_row(chain) | {"position": self._count, "cluster": ""})
        self._count += 1
        if len(self._rows) == BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        """Nothing more will be added."""
        self._flush()
        self._writer.close()
        self._sink.close()

    def batches(self, clusters: Sequence[str]) -> Iterator["pa.RecordBatch"]:
        """What was kept, in order, each chain with its cluster."""
        pa = self._arrow
        with pa.OSFile(str(self._path), "rb") as source, pa.ipc.open_file(source) as reader:
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                own = [clusters[position.as_py()] for position in batch["position"]]
                columns = [pa.array(own) if name == "cluster" else batch[name] for name in self._schema.names]
                yield pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def remove(self) -> None:
        """Delete the file."""
        self._path.unlink()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_batch(self._arrow.RecordBatch.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def _row(chain: Chain) -> dict[str, Any]:
    arrays = {name: getattr(chain, name).ravel() for name in ARRAYS}
    texts = {"id": chain.id, "length": chain.length, "sequence": chain.sequence, "digest": chain.digest()}
    return texts | arrays | asdict(chain.origin) | {"pair_class": list(chain.pair_class)}


def chain_of(row: Mapping[str, Any]) -> Chain:
    """The chain in a row of the table (values as pyarrow scalars).

    Raises:
        ContractError: the row does not hold a valid chain.
    """
    classes = tuple(row["pair_class"].as_py())
    arrays = {}
    for name, (dtype, shape) in array_shapes(row["length"].as_py(), len(classes)).items():
        try:
            flat = row[name].values.to_numpy(zero_copy_only=False)
            arrays[name] = np.ascontiguousarray(flat, dtype=dtype).reshape(shape)
        except ValueError as error:
            raise ContractError(f"{row['id']}: column {name}: {error}. Build the dataset again.") from error
        arrays[name].flags.writeable = False
    origin: dict[str, Any] = {name: row[name].as_py() for name in ORIGIN_FIELDS}
    origin["notices"] = tuple(origin["notices"])
    return Chain(
        id=row["id"].as_py(),
        sequence=row["sequence"].as_py(),
        pair_class=classes,
        origin=Origin(**origin),
        **arrays,
    )


def create_table(folder: Path, batches: Iterable["pa.RecordBatch"]) -> None:
    """Write the table `chains` into `folder`.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    lancedb = need_lancedb()
    import pyarrow as pa

    reader = pa.RecordBatchReader.from_batches(chain_schema(), batches)
    try:
        lancedb.connect(str(folder)).create_table(TABLE, data=reader)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{folder}: the table cannot be written ({reason}). Free space or permissions?") from error


def open_table(folder: Path) -> Any:
    """The table `chains` in `folder`.

    Raises:
        ContractError: it is missing or damaged.
    """
    lancedb = need_lancedb()
    with _readable(str(folder)):
        return lancedb.connect(str(folder)).open_table(TABLE)


def read_columns(table: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    """Whole columns as lists, in the order of the rows.

    Raises:
        ContractError: the table is damaged.
    """
    with _readable(table.uri):
        found = table.search().select(["position", *names]).limit(None).to_arrow().sort_by("position")
    return {name: found[name].to_pylist() for name in names}


def read_chain(table: Any, position: int) -> Chain:
    """The chain in one row.

    Raises:
        ContractError: the table is damaged.
    """
    with _readable(table.uri):
        found = table.take_offsets([position]).to_arrow()
    row = {name: found[name][0] for name in found.column_names}
    if row["position"].as_py() != position:
        raise ContractError(f"{table.uri}: row {position} holds another chain. Build the dataset again.")
    return chain_of(row)


@contextmanager
def _readable(place: str) -> Iterator[None]:
    """Turn lancedb's errors about files into ours."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ContractError(f"{place}: no readable table {TABLE!r} ({reason}). Build the dataset again.") from error
