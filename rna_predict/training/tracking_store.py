"""The only door to lancedb of tracking: a folder of tables that many processes append to at once.

Nothing is ever changed in place. Three things were seen with lancedb 0.40 and eight processes:

* `create_table(exist_ok=True)` is no way to create one table from several processes: it is an overwrite, and rows that
  another process had been told were stored were gone. A table here is built under a name of its own and renamed, which
  the file system lets one process do.
* An append is whole or not there, also when its process is killed. But appends of single rows starve each other, and
  lancedb gives up after 20 tries. A lock lets one process append at a time; where the file system has none, or its
  holder sleeps, appends go on without it and are tried again.
* A merge by key (`merge_insert`) writes one key twice. So readers choose the newest row of each key.
"""

import fcntl
import json
import logging
import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rna_predict.errors import ConfigError, ContractError, InputError
from rna_predict.training.tracking_rows import EMBEDDINGS, MARK, MARKER, ROWS, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

TRIES = 8
BACKOFF = 0.05
"""Seconds before the second try, at most; each further one waits up to twice as long."""
PATIENCE = 10.0
"""Seconds that an append waits for the lock before it goes on without."""
KEPT = timedelta(hours=1)
"""How old a version must be before `optimize` removes it: nobody reads or writes from it any more."""

TROUBLE = (OSError, RuntimeError, ValueError)
"""What lancedb raises about files, conflicts and damage."""


def need_lancedb() -> Any:
    """The module lancedb.

    Raises:
        ConfigError: it is not installed; the message names the command.
    """
    try:
        import lancedb
    except ImportError as error:
        raise ConfigError(
            f"runs are tracked in LanceDB, and lancedb is not installed ({error}). pip install lancedb"
        ) from error
    return lancedb


class Store:
    """The tables of one folder."""

    def __init__(self, folder: Path) -> None:
        """Open a folder that `create_folder` made.

        Raises:
            InputError: there is no such folder.
            ContractError: it is no tracking folder, or of another version.
        """
        self.folder = folder
        _check_marker(folder)
        self._db = _connect(folder)
        self._open: dict[str, Any] = {}

    def vector_tables(self) -> list[str]:
        """Names of the tables of vectors, one for each width."""
        found = (path.stem for path in self.folder.glob(f"{EMBEDDINGS}*.lance"))
        return sorted(name for name in found if name.removeprefix(EMBEDDINGS).isdecimal())

    def ensure(self, name: str) -> None:
        """Create a table of vectors unless it is there.

        Raises:
            InputError: the folder cannot be written to.
        """
        if not (self.folder / f"{name}.lance").exists():
            with _translated(self.folder), _new_folder(self.folder, ".table.") as building:
                _build(building, [name])
                _rename(building / f"{name}.lance", self.folder / f"{name}.lance")

    def append(self, name: str, rows: "pa.Table") -> None:
        """Add rows, all of them or none; they are there for everybody when this returns.

        Raises:
            InputError: they cannot be written.
            ContractError: the table is missing, damaged or of another schema.
        """

        def add() -> None:
            with _turn(self.folder / f".{name}.lock", PATIENCE):
                self._table(name).add(rows.combine_chunks())

        self._persist(name, add)

    def read(self, name: str, where: str = "", columns: Sequence[str] | None = None) -> "pa.Table":
        """Rows in the order in which they were added, those of other processes included.

        Raises:
            ContractError: the table is missing, damaged or of another schema.
        """
        with _readable(self.folder, name):
            query = self._table(name).search().limit(None)
            query = query.where(where) if where else query
            return (query.select(list(columns)) if columns else query).to_arrow()

    def nearest(self, name: str, vector: Any, where: str, limit: int) -> list[dict[str, Any]]:
        """Rows by the distance of their vectors, all rows compared; `_distance` is its square.

        Raises:
            ContractError: the table is missing, damaged or of another schema.
        """
        columns = [field for field in schema_of(name).names if field != "vector"]
        with _readable(self.folder, name):
            query = self._table(name).search(vector, vector_column_name="vector").distance_type("l2")
            return query.where(where, prefilter=True).select([*columns, "_distance"]).limit(limit).to_list()

    def optimize(self) -> bool:
        """Merge small files and remove versions older than `KEPT`; others may read and append meanwhile.

        Returns:
            Whether it was done: not where another process is at it.

        Raises:
            InputError: a table could not be rewritten.
            ContractError: a table is missing, damaged or of another schema.
        """
        with _turn(self.folder / ".optimize.lock", 0) as mine:
            for name in [*ROWS, *self.vector_tables()] if mine else []:
                self._persist(name, lambda name=name: self._table(name).optimize(cleanup_older_than=KEPT))
        return mine

    def _table(self, name: str) -> Any:
        if name not in self._open:
            with _readable(self.folder, name):
                found = self._db.open_table(name)
                columns = {field.name: field.type for field in found.schema}
            if columns != {field.name: field.type for field in schema_of(name)}:
                told = ", ".join(columns)
                raise ContractError(f"{self.folder}: table {name!r} has other columns ({told}). {_ANOTHER}")
            self._open[name] = found
        return self._open[name]

    def _persist(self, name: str, action: Callable[[], object]) -> None:
        """Do something to a table, again after a pause where it fails.

        A write that failed may have been stored all the same; readers count equal rows once.
        """
        for attempt in range(1, TRIES + 1):
            try:
                action()
                return
            except TROUBLE as error:
                logger.debug("%s: table %s: try %d: %s", self.folder, name, attempt, _reason(error))
                self._open.pop(name, None)
                if attempt == TRIES:
                    told = f"{self.folder}: table {name!r} cannot be written after {TRIES} tries ({_reason(error)})."
                    raise InputError(f"{told} Free space or permissions?") from error
            time.sleep(random.uniform(0.5, 1) * BACKOFF * 2 ** (attempt - 1))


_ANOTHER = "Name another folder, or delete this one if nobody needs it."


def create_folder(folder: Path) -> None:
    """Make the folder and its tables unless they are there; any number of processes may do so at once.

    Raises:
        InputError: the place is taken by something else, or cannot be written to.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 (a link stays a link)
    if (folder / MARKER).is_file():
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not (folder / MARKER).is_file():
        raise InputError(f"{folder}: holds something else than tracked runs. Name a folder that does not exist yet.")
    with _translated(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _new_folder(folder.parent, f".{folder.name}.") as building:
            _build(building, list(ROWS))
            (building / MARKER).write_text(json.dumps(MARK) + "\n", encoding="ascii")
            _rename(building, folder)


def _check_marker(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Name the folder that a training run is tracked in.")
    marker = folder / MARKER
    if not marker.is_file():
        raise ContractError(f"{folder}: holds no tracked runs ({MARKER} is missing). {_ANOTHER}")
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{marker}: is damaged ({_reason(error)}). Write {json.dumps(MARK)} into it.") from error
    if found != MARK:
        raise ContractError(f"{marker}: expected {json.dumps(MARK)}, found {json.dumps(found)[:100]}. {_ANOTHER}")


def _connect(folder: Path) -> Any:
    lancedb = need_lancedb()
    with _translated(folder):  # interval 0: each read sees what others have written by then
        return lancedb.connect(str(folder), read_consistency_interval=timedelta(0))


def _build(folder: Path, names: Sequence[str]) -> None:
    database = _connect(folder)
    for name in names:
        database.create_table(name, schema=schema_of(name))


@contextmanager
def _new_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder that nobody else knows, removed in the end if it is still there."""
    building = Path(tempfile.mkdtemp(prefix=prefix, suffix=".new", dir=parent))
    try:
        building.chmod(0o755)
        yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _rename(building: Path, path: Path) -> None:
    """Give a finished folder its name; where another process was faster, its folder stays."""
    try:
        building.rename(path)
    except OSError:
        if not path.is_dir() or not any(path.iterdir()):
            raise


@contextmanager
def _turn(path: Path, patience: float) -> Iterator[bool]:
    """Hold a lock while the block runs; the kernel frees it however the process ends.

    Yields False where another process holds it after `patience` seconds, True without a lock where there are none:
    nothing depends on it.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:  # another user's file, or no permission: the append itself will tell
        yield True
        return
    try:
        yield _locked(handle, patience)
    finally:
        os.close(handle)


def _locked(handle: int, patience: float) -> bool:
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(random.uniform(0.001, 0.01))
        except OSError:
            return True
        else:
            return True


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except TROUBLE as error:
        raise InputError(f"{folder}: cannot be written ({_reason(error)}). Free space or permissions?") from error


@contextmanager
def _readable(folder: Path, name: str) -> Iterator[None]:
    try:
        yield
    except TROUBLE as error:
        raise ContractError(
            f"{folder}: no readable table {name!r} ({_reason(error)}). Restore the folder from a copy, or track in "
            f"another one."
        ) from error


def _reason(error: BaseException) -> str:
    """The first line, without the places in lancedb's own source."""
    text = re.split(r", /\S+\.rs:\d+", " ".join(str(error).split()))[0]
    return f"{type(error).__name__}: {text[:300]}"
