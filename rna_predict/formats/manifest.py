"""A folder's manifest: size and sha256 of every result, so that one lost or changed byte is found.

`manifest.json` stands in the folder that it describes and carries a digest of itself. Hidden files and the folders
`SKIPPED`, whose content is no result, are left out.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rna_predict import __version__
from rna_predict.contracts import atomic_path, digest_of
from rna_predict.errors import InputError

MANIFEST = "manifest.json"
SCHEMA = "rna_predict.manifest"
VERSION = 1

SKIPPED = ("logs", "benchmarks", "tracking")
"""Folders in the top folder that hold no results: they change without any result doing so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One file that is not as the manifest states.

    Attributes:
        path: relative to the folder.
        kind: `missing`, `changed`, `unreadable`, or `not listed` (which is no fault).
        reason: for people.
    """

    path: str
    kind: str
    reason: str

    @property
    def fault(self) -> bool:
        """Whether a stated result is not there as stated."""
        return self.kind != "not listed"


def results_in(folder: Path) -> Iterator[Path]:
    """Files of a folder that a manifest lists, in order of their names."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if not hidden and parts[0] not in (*SKIPPED, MANIFEST) and path.is_file():
            yield path


def write_manifest(folder: Path, paths: Iterable[Path], *, add: bool = False) -> int:
    """Write the folder's manifest, whole or not at all.

    Args:
        folder: the top folder.
        paths: files below it.
        add: keep what the present manifest states of other files that are still there.

    Returns:
        How many files it lists.

    Raises:
        InputError: with `add`, the present manifest is damaged.
    """
    stated: dict[str, dict[str, Any]] = {}
    if add and (folder / MANIFEST).exists():
        stated = {name: entry for name, entry in read_manifest(folder).items() if (folder / name).is_file()}
    for path in paths:
        entry = {"bytes": path.stat().st_size, "sha256": digest_of(path)}
        stated[path.relative_to(folder).as_posix()] = entry
    content = {"schema": SCHEMA, "version": VERSION, "package_version": __version__, "files": stated}
    content["seal"] = digest_of(content)
    with atomic_path(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return len(stated)


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """What the folder's manifest states: `bytes` and `sha256` by path.

    Raises:
        InputError: no manifest, or one that is damaged or foreign.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{path}: no such file. Write it with `rna-predict manifest {folder}`, while all is well.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seal = content.pop("seal")
        found = (content["schema"], content["version"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: not a readable manifest ({type(error).__name__}: {error}). {_again(folder)}"
        ) from error
    if found != (SCHEMA, VERSION):
        raise InputError(f"{path}: expected {SCHEMA} version {VERSION}, found {found[0]} {found[1]}. {_again(folder)}")
    if seal != digest_of(content):
        raise InputError(f"{path}: the manifest does not match its own digest; it is damaged. {_again(folder)}")
    return content["files"]


def _again(folder: Path) -> str:
    return f"Make the results again, then `rna-predict manifest {folder}`."


def differences(folder: Path) -> list[Difference]:
    """Compare a folder with its manifest, faults first.

    Raises:
        InputError: see `read_manifest`.
    """
    stated = read_manifest(folder)
    found = [difference for name, entry in stated.items() if (difference := _compared(folder, name, entry))]
    names = (path.relative_to(folder).as_posix() for path in results_in(folder))
    found += [
        Difference(path=name, kind="not listed", reason="is not in the manifest")
        for name in names
        if name not in stated
    ]
    return found


def _compared(folder: Path, name: str, entry: dict[str, Any]) -> Difference | None:
    path = folder / name
    try:
        size = path.stat().st_size
        if size != entry["bytes"]:
            return Difference(path=name, kind="changed", reason=f"has {size} bytes where {entry['bytes']} are stated")
        if digest_of(path) != entry["sha256"]:
            return Difference(path=name, kind="changed", reason="its sha256 is not the stated one")
    except FileNotFoundError:
        return Difference(path=name, kind="missing", reason="is not there")
    except OSError as error:
        return Difference(path=name, kind="unreadable", reason=f"cannot be read ({error.strerror})")
    return None
