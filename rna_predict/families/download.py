"""Fetch Rfam's seed alignments: one file by http or https, whole or not at all, its size and hash stated."""

import gzip
import hashlib
import time
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from rna_predict import __version__
from rna_predict.atomic import atomic_path
from rna_predict.errors import ConfigError, InputError

CURRENT = "https://ftp.ebi.ac.uk/pub/databases/Rfam/CURRENT/Rfam.seed.gz"
"""The seeds of the newest release, dedicated to the public domain (CC0 1.0); 14.9 has about 7 MB."""
HEADER = b"# STOCKHOLM 1."
CHUNK = 1 << 16

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # worth another try: the server is busy, down or slow
_NETWORK = (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError)


@dataclass(kw_only=True)
class DownloadSettings:
    """Where the seeds come from, and how patiently."""

    url: str = CURRENT
    """Address of the file, http or https."""
    timeout: float = 60.0
    """Seconds without an answer after which a try has failed."""
    tries: int = 3
    """Tries; the pause between them grows from `pause` seconds twofold."""
    pause: float = 1.0
    """Seconds before the second try."""
    max_bytes: int = 512 * 1024 * 1024
    """Largest file as sent."""

    def __post_init__(self) -> None:
        """Raise ConfigError for another scheme than http and https, or numbers that mean nothing."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigError(f"url: {self.url!r} is not an address that begins with http:// or https://.")
        if self.timeout <= 0 or self.tries < 1 or self.pause < 0 or self.max_bytes < 1:
            raise ConfigError(f"timeout {self.timeout}, tries {self.tries}, pause {self.pause}: must be positive.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What arrived.

    Attributes:
        url: where from.
        path: the file.
        bytes: its size.
        sha256: its hash.
        modified: the server's date of it, or empty.
    """

    url: str
    path: Path
    bytes: int
    sha256: str
    modified: str


def download_seeds(path: Path, settings: DownloadSettings) -> Fetched:
    """Fetch the seeds; the file appears only when it is whole and begins as seeds do.

    Raises:
        InputError: not to be had, cut short, too large, or something else than a Stockholm file; without a network
            the message says how to go on.
    """
    reason = ""
    for number in range(settings.tries):
        time.sleep(settings.pause * (2**number - 1))
        try:
            with atomic_path(path) as temporary:
                return _fetch(temporary, path, settings)
        except urllib.error.HTTPError as error:
            reason = f"{error.code} {error.reason}"
            if error.code not in _PASSING:
                break
        except _NETWORK as error:
            reason = str(getattr(error, "reason", "") or error or type(error).__name__)
    raise InputError(
        f"{settings.url}: {reason}. Without a network, fetch the file on another machine and give it to "
        "`rna-predict families build`; the library that the package carries needs no download."
    )


def _fetch(temporary: Path, path: Path, settings: DownloadSettings) -> Fetched:
    request = urllib.request.Request(settings.url, headers={"User-Agent": f"rna-predict/{__version__}"})
    state, size = hashlib.sha256(), 0
    with urllib.request.urlopen(request, timeout=settings.timeout) as answer, temporary.open("wb") as file:
        while chunk := answer.read(CHUNK):
            size += len(chunk)
            if size > settings.max_bytes:
                raise InputError(f"{settings.url}: more than {settings.max_bytes} bytes. Is it the seeds' address?")
            state.update(chunk)
            file.write(chunk)
        stated, modified = answer.headers.get("Content-Length"), answer.headers.get("Last-Modified", "")
    if stated is not None and stated.isdigit() and int(stated) != size:
        raise ConnectionError(f"{size} of {stated} bytes arrived")
    _require_stockholm(temporary, settings.url)
    return Fetched(url=settings.url, path=path, bytes=size, sha256=state.hexdigest(), modified=modified)


def _require_stockholm(path: Path, url: str) -> None:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            begin = file.read(len(HEADER))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{url}: a damaged gzip file arrived ({error}). Try again.") from error
    if begin != HEADER:
        raise InputError(f"{url}: no Stockholm file; it begins with {begin!r}. Give the address of Rfam.seed.gz.")
