"""A folder that appears whole or not at all, as `atomic_path` does for files."""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rna_predict.errors import InputError

logger = logging.getLogger(__name__)


@contextmanager
def whole_folder(path: Path, marker: str) -> Iterator[Path]:
    """Yield a new folder beside `path`; on success it takes its place, on error it is removed.

    What a killed run left behind is cleared away by the next. Between the two renames that exchange an old folder for
    a new one, `path` does not exist for a moment; after a kill in this moment the next run puts the old one back first.

    Args:
        path: may exist already as a folder that holds `marker`, which is then replaced, or as an empty folder.
        marker: name of a file that only folders of this kind have, so that no other folder is ever deleted.

    Raises:
        InputError: `path` is something else, cannot be written to, or another run is writing it.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 (a link stays a link; `resolve` would replace what it points to)
    building, previous = (path.with_name(f".{path.name}.{state}") for state in ("building", "previous"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(path):
        _put_back(path, previous)
        _check_replaceable(path, marker)
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        try:
            yield building
            _sync(building)
            if path.exists():
                path.rename(previous)
            building.rename(path)
            shutil.rmtree(previous, ignore_errors=True)
        finally:
            shutil.rmtree(building, ignore_errors=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One writer of `path` at a time; the kernel frees the lock however the process ends."""
    name = path.with_name(f".{path.name}.lock")
    while True:
        handle = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise InputError(f"{path}: another run is writing there. Wait for it.") from error
        except OSError as error:
            logger.warning("%s: this file system has no locks (%s); run one build at a time", path, error.strerror)
        if _is_open_at(handle, name):
            break
        os.close(handle)  # the one who held the lock before has just removed the file
    try:
        yield
    finally:
        name.unlink(missing_ok=True)
        os.close(handle)


def _is_open_at(handle: int, name: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), name.stat())
    except FileNotFoundError:
        return False


def _put_back(path: Path, previous: Path) -> None:
    if previous.exists() and not path.exists():
        previous.rename(path)
    shutil.rmtree(previous, ignore_errors=True)


def _check_replaceable(path: Path, marker: str) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path}: is a file or a link. Name a folder that does not exist yet.")
    if path.is_dir() and any(path.iterdir()) and not (path / marker).is_file():
        raise InputError(f"{path}: holds other files and is not replaced. Name a folder that does not exist yet.")


def _sync(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
