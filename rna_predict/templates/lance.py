"""A library in a folder with a LanceDB table, and the only door to lancedb and pyarrow in this package's folder.

A row is a chain or a loop: what is searched, the embedding, and the packed coordinates, which are read when it is hit.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rna_predict.errors import ContractError, InputError
from rna_predict.templates.embedding import DIMENSION
from rna_predict.templates.library import (
    AGAIN,
    SCHEMA,
    VERSION,
    Atoms,
    MemoryLibrary,
    Packed,
    Row,
    chain_positions,
    check_packed,
    check_rows,
    checked_header,
    row_digest,
    row_of,
    unpack,
)

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "templates"
MANIFEST = "library.json"
"""Schema, digest and origin, beside the table."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LanceLibrary:
    """An open table; what is searched is in memory, coordinates are on disk."""

    folder: Path
    rows: tuple[Row, ...]
    digest: str
    made_by: dict[str, str]
    row_digests: tuple[str, ...] = field(repr=False)
    table: Any = field(repr=False)

    @classmethod
    def open(cls, folder: Path) -> "LanceLibrary":
        """Open a folder that `write` made.

        Raises:
            ContractError: missing, damaged, or of another schema or version.
        """
        import lancedb

        path = folder / MANIFEST
        if not path.is_file():
            raise ContractError(f"{folder}: is no library of templates (no {MANIFEST}). {AGAIN}")
        with _readable(folder):
            header = checked_header(path, path.read_text(encoding="utf-8"))
            table = lancedb.connect(str(folder)).open_table(TABLE)
            known = [name for name in Row._fields if name in table.schema.names or name != "strands"]
            columns = table.search().select(["position", *known, "digest"]).limit(None).to_arrow().sort_by("position")
            rows = tuple(row_of(row) for row in zip(*(columns[name].to_pylist() for name in known), strict=True))
            digests = tuple(columns["digest"].to_pylist())
            library = cls(
                folder=folder,
                rows=rows,
                digest=header["digest"],
                made_by=header["made_by"],
                row_digests=digests,
                table=table,
            )
        check_rows(rows)
        return library

    def atoms(self, position: int) -> Atoms:
        """Coordinates of the chain at a position.

        Raises:
            ContractError: they are damaged.
        """
        with _readable(self.folder):
            found = self.table.search().where(f"position = {position}").select(["xyz", "atoms", "linked"]).to_arrow()
            values = {name: found[name][0].values.to_numpy() for name in ("xyz", "atoms", "linked")}
            packed = Packed(
                xyz_N3=values["xyz"].reshape(-1, 3), atoms_L=values["atoms"], linked_L=values["linked"].astype(np.uint8)
            )
        check_packed(self.rows[position], packed)
        if row_digest(self.rows[position], packed) != self.row_digests[position]:
            raise ContractError(f"{self.folder}: the atoms of {self.rows[position].id} are damaged. {AGAIN}")
        return unpack(packed)

    def nearest(self, vector: np.ndarray, count: int) -> list[int]:
        """Positions of the `count` chains whose embeddings are nearest, the nearest first.

        Raises:
            ContractError: the table is damaged.
        """
        with _readable(self.folder):
            query = self.table.search(vector).metric("dot").select(["position", "_distance"]).limit(count)
            if (chains := len(chain_positions(self.rows))) < len(self.rows):
                query = query.where(f"position < {chains}", prefilter=True)
            found = query.to_arrow()
        return found["position"].to_pylist()


def write(library: MemoryLibrary, folder: Path) -> None:
    """Write a library as a folder, whole or not at all; one that is there is replaced.

    Raises:
        InputError: the folder cannot be written to, or is there and no library.
    """
    import lancedb
    import pyarrow as pa

    if folder.exists() and not (folder / MANIFEST).is_file():
        raise InputError(f"{folder}: is there and no library of templates. Name another --out.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        batch = pa.RecordBatch.from_pylist(list(_records(library)), schema=_schema())
        lancedb.connect(str(temporary)).create_table(TABLE, data=pa.Table.from_batches([batch]))
        header = {"schema": SCHEMA, "version": VERSION, "made_by": library.made_by, "digest": library.digest}
        (temporary / MANIFEST).write_text(json.dumps(header, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{folder}: the library cannot be written ({reason}). Free space or permissions?") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _schema() -> "pa.Schema":
    """Columns of the table; `position` is the row's place, `digest` what `row_digest` says of it."""
    import pyarrow as pa

    columns: dict[str, pa.DataType] = {"position": pa.int32()} | dict.fromkeys(Row._fields, pa.string())
    columns["strands"] = pa.list_(pa.int32())
    columns |= {"digest": pa.string(), "vector": pa.list_(pa.float32(), DIMENSION)}
    columns |= {"xyz": pa.list_(pa.int16()), "atoms": pa.list_(pa.int32()), "linked": pa.list_(pa.uint8())}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def _records(library: MemoryLibrary) -> Iterator[dict[str, Any]]:
    pairs: Sequence[tuple[Row, Packed]] = list(zip(library.rows, library.packed, strict=True))
    for position, (row, packed) in enumerate(pairs):
        arrays = {"xyz": packed.xyz_N3.ravel(), "atoms": packed.atoms_L, "linked": packed.linked_L}
        labels = {"position": position, "digest": row_digest(row, packed), "vector": library.vectors[position]}
        yield row._asdict() | labels | arrays


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Turn lancedb's errors about files into ours."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, LookupError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ContractError(f"{folder}: no readable library of templates ({reason}). {AGAIN}") from error
