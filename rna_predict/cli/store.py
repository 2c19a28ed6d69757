"""A store of stage results for jobs of many RNAs, which Snakemake does not own: it deletes the outputs of a failed job.

An entry is a folder `<store>/<stage>/<ab>/<key>` with the files of one RNA and one stage. Its key is a hash of all that
decides them: id, letters, the entries that it was made from, other input files, settings, the files that settings name,
and the package's source. So a result is found again whatever batch asks for it, and another setting never meets it.
Entries appear whole or not at all. Nothing here imports numpy or torch: looking up is cheap.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import rna_predict
from rna_predict.cli.console import LOG
from rna_predict.plain_yaml import read_yaml

STAGE_FILES = {
    "stage_a": (
        *("sequence.fasta", "a_adjacency.safetensors", "a_adjacency.dbn"),
        *("a_family.a3m", "a_family.json"),
    ),
    "templates": ("t_templates.safetensors", "t_templates.json"),
    "stage_b": ("b_torsions.safetensors", "b_embeddings.safetensors"),
    "stage_c": ("c_coordinates.safetensors", "c_coordinates.pdb"),
    "stage_d": ("d_models.cif", "d_confidence.json", "prediction.pdb", "prediction.cif"),
}
"""What an entry of each stage holds; `prediction.*` becomes `results/preds/<id>.*`."""

LISTING = "entry.json"
"""In each entry: names and sizes of its files, and what its key was made of."""

CHUNK = 1 << 20

DECIDES_NOTHING = {"__pycache__", "cli", "data", "relax", "report", "training"}
"""Folders of the package that stages A to D do not import from."""


@dataclass(frozen=True, slots=True)
class Store:
    """The folder that holds all entries."""

    root: Path

    def place(self, stage: str, key: str) -> Path:
        """Where an entry lies, or will lie."""
        return self.root / stage / key[:2] / key

    def find(self, stage: str, key: str) -> Path | None:
        """The entry, or None where there is none; one with files that are missing or cut short counts as none."""
        folder = self.place(stage, key)
        try:
            sizes = json.loads((folder / LISTING).read_text(encoding="utf-8"))["files"]
            whole = all((folder / name).stat().st_size == size for name, size in sizes.items())
        except FileNotFoundError:
            whole = False
        except (ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole and folder.exists():
            LOG.warning("%s: is damaged and is made again", folder)
        return folder if whole else None

    def put(self, stage: str, key: str, made: Path, parts: Mapping[str, Any]) -> Path:
        """Move the files of a stage from the folder `made`, which lies in the store, into a new entry.

        Returns:
            The entry; where another job made the same one meanwhile, that one.
        """
        place = self.place(stage, key)
        new = made / ".entry"
        new.mkdir()
        sizes = {}
        for name in STAGE_FILES[stage]:
            sizes[name] = (made / name).stat().st_size
            (made / name).rename(new / name)
        (new / LISTING).write_text(json.dumps({"files": sizes, "parts": parts}, indent=1) + "\n", encoding="utf-8")
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists() and self.find(stage, key) is None:
            place.rename(made / ".damaged")
        try:
            new.rename(place)
        except OSError:
            if self.find(stage, key) is None:
                raise
        return place

    @contextmanager
    def bench(self) -> Iterator[Path]:
        """A folder to work in, removed afterwards, with those that killed jobs left behind: a lock tells them apart."""
        self.root.mkdir(parents=True, exist_ok=True)
        for other in self.root.glob(".work-*"):
            _remove_if_left(other)
        folder = Path(tempfile.mkdtemp(prefix=".work-", dir=self.root))
        with (folder / ".lock").open("w") as lock:
            _try_lock(lock.fileno())
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def kills(self, stage: str, key: str) -> int:
        """How many processes ended while they made this entry."""
        path = self._tries(stage, key)
        return int(path.read_text(encoding="utf-8") or 0) if path.is_file() else 0

    def set_kills(self, stage: str, key: str, number: int) -> None:
        """Note it before an attempt, one more than so far, and take it back after; 0 removes the note."""
        path = self._tries(stage, key)
        if not number:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number), encoding="utf-8")

    def _tries(self, stage: str, key: str) -> Path:
        return self.root / stage / "tries" / key


def _try_lock(descriptor: int) -> bool:
    """Whether the lock was free; also where the file system has none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _remove_if_left(folder: Path) -> None:
    try:
        with (folder / ".lock").open("r+") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # its job lives, or is just setting it up
        return


def key_of(parts: Mapping[str, Any]) -> str:
    """sha256 of what decides an entry, in hex."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def digest_of_path(path: Path) -> str:
    """sha256 of a file's bytes, or of a folder's names, sizes and times; read once in a process."""
    state = hashlib.sha256()
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file())
        facts = [(str(file.relative_to(path)), file.stat().st_size, file.stat().st_mtime_ns) for file in found]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            state.update(chunk)
    return state.hexdigest()


@cache
def digest_of_package() -> str:
    """sha256 of the package's version, code, carried weights and tables: other ones, other results."""
    folder = Path(rna_predict.__file__).parent
    state = hashlib.sha256(rna_predict.__version__.encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if not DECIDES_NOTHING & set(name.parts):
            state.update(f"{name}\0{digest_of_path(path)}\n".encode())
    return state.hexdigest()


def digest_of_settings(path: Path | None) -> str:
    """sha256 of resolved settings and of all files that they name, such as weights or a library.

    Raises:
        ConfigError: the file cannot be read.
    """
    if path is None:
        return "defaults"
    settings = read_yaml(path)
    named = {text: digest_of_path(Path(text)) for text in sorted(set(_texts(settings))) if _exists(text)}
    return key_of({"settings": settings, "files": named})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)


def _exists(text: str) -> bool:
    try:
        return bool(text) and os.path.exists(text)  # noqa: PTH110 (a Path refuses some texts)
    except ValueError:
        return False
