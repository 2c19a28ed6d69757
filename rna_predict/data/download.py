"""Fetch structure files by PDB id from one server: what is there is kept, what is whole is renamed, failures are named.

Nothing but `<base_url>/<id><ending>` is asked for, and nothing but http and https.
"""

import logging
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from rna_predict import __version__
from rna_predict.atomic import atomic_path
from rna_predict.errors import ConfigError, InputError
from rna_predict.formats.reading import MAX_BYTES, read_bytes, read_text

logger = logging.getLogger(__name__)

ENDINGS = (".cif.gz", ".cif", ".pdb.gz", ".pdb")
PDB_ID = re.compile(r"[0-9][a-z0-9]{3}|pdb_[0-9a-z]{8}")
CHUNK = 1 << 16
KEPT, FETCHED, FAILED = "kept", "fetched", "failed"

# Worth another try: the server is busy, down or slow. The others say that the file is not there for us.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where files come from, and how patiently."""

    base_url: str
    """Folder of the files, e.g. https://files.rcsb.org/download."""
    ending: str = ".cif.gz"
    """One of `ENDINGS`."""
    timeout: float = 60.0
    """Seconds without an answer after which a try has failed."""
    tries: int = 3
    """Tries a file; the pause between them grows from `pause` seconds twofold."""
    pause: float = 1.0
    max_bytes: int = MAX_BYTES
    """Largest file, as sent and unpacked."""

    def __post_init__(self) -> None:
        """Raise ConfigError for another scheme than http and https, an unknown ending, or numbers that mean nothing."""
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigError(f"base_url: {self.base_url!r} is not an address that begins with http:// or https://.")
        if self.ending not in ENDINGS:
            raise ConfigError(f"ending: {self.ending!r} is not one of {', '.join(ENDINGS)}.")
        if self.timeout <= 0 or self.tries < 1 or self.pause < 0:
            raise ConfigError(f"timeout {self.timeout}, tries {self.tries}, pause {self.pause}: must be positive.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What became of one id: `kept` (was there already), `fetched` or `failed` with a reason."""

    id: str
    status: str
    path: Path
    reason: str = ""


def read_pdb_ids(path: Path) -> list[str]:
    """Ids of a text file, one a line, lower case, each once; lines with # are left out.

    Raises:
        InputError: something else than a PDB id in a line, or no id.
    """
    ids: list[str] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        name = line.strip().lower()
        if not name or name.startswith("#"):
            continue
        if not PDB_ID.fullmatch(name):
            raise InputError(f"{path}: line {number}: {line.strip()[:40]!r} is not a PDB id such as 1ehz. Correct it.")
        ids.append(name)
    if not ids:
        raise InputError(f"{path}: no PDB ids. Write one a line.")
    return list(dict.fromkeys(ids))


def download_structures(
    ids: Sequence[str], folder: Path, server: Server, advance: Callable[[Download], None] = lambda download: None
) -> list[Download]:
    """Fetch every id that is not in `folder` yet; a failure stops no other.

    Args:
        ids: PDB ids.
        folder: `<id><ending>` each; a file appears only when it is whole and looks like a structure.
        server: where from.
        advance: is told each result.
    """
    results = []
    for id in ids:
        results.append(_one(id, folder / f"{id}{server.ending}", server))
        advance(results[-1])
    return results


def write_list(path: Path, downloads: Sequence[Download]) -> None:
    """Write the files that are there as a list for `dataset build`, relative to the list; whole or not at all."""
    there = [os.path.relpath(download.path, path.parent) for download in downloads if download.status != FAILED]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in there), encoding="utf-8")


def _one(id: str, path: Path, server: Server) -> Download:
    if path.is_file():
        fault = content_fault(path, server.max_bytes)
        if not fault:
            return Download(id=id, status=KEPT, path=path)
        logger.warning("%s: is there but %s; fetched again", path, fault)
    address = f"{server.base_url.rstrip('/')}/{path.name}"
    reason = ""
    for number in range(server.tries):
        time.sleep(server.pause * (2**number - 1))
        try:
            with atomic_path(path) as temporary:
                _fetch(address, temporary, server)
            return Download(id=id, status=FETCHED, path=path)
        except urllib.error.HTTPError as error:
            reason = f"{address}: {error.code} {error.reason}"
            if error.code not in _PASSING:
                break
        except InputError as error:
            reason = str(error)
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            reason = f"{address}: {getattr(error, 'reason', '') or error or type(error).__name__}"
    return Download(id=id, status=FAILED, path=path, reason=reason)


def _fetch(address: str, path: Path, server: Server) -> None:
    """Write what the server sends to `path`.

    Raises:
        InputError: it is too large, cut short, or no structure.
    """
    request = urllib.request.Request(address, headers={"User-Agent": f"rna-predict/{__version__}"})
    with urllib.request.urlopen(request, timeout=server.timeout) as answer:
        size = _copy(answer, path, server.max_bytes)
        stated = answer.headers.get("Content-Length")
    if stated is not None and stated.isdigit() and int(stated) != size:
        raise InputError(f"{address}: {size} of {stated} bytes arrived")
    fault = content_fault(path, server.max_bytes)
    if fault:
        raise InputError(f"{address}: {fault}")


def _copy(answer: HTTPResponse, path: Path, limit: int) -> int:
    size = 0
    with path.open("wb") as file:
        while chunk := answer.read(CHUNK):
            size += len(chunk)
            if size > limit:
                raise InputError(f"{answer.url}: more than {limit} bytes")
            file.write(chunk)
    return size


def content_fault(path: Path, limit: int = MAX_BYTES) -> str:
    """Why a file is no whole PDB or mmCIF file, as far as a look at its text tells; empty where it may be one."""
    try:
        text = read_bytes(path, limit)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    if text.lstrip()[:5] == b"data_":
        return "" if b"_atom_site." in text else "mmCIF without atoms"
    if b"\nATOM  " in text or text.startswith(b"ATOM  "):
        return ""
    return f"no structure file; begins with {text.lstrip()[:40]!r}"
