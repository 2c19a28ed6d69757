"""Read a user's file as bytes or text under a byte limit, gzip or not, and say what is wrong with it."""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rna_predict.errors import InputError

MAX_BYTES = 512 * 1024 * 1024
"""Most bytes read from one input file after decompression; a ribosome's mmCIF has 60 MB."""

_CHUNK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A conversion that was made on the way in, for the log and the status table.

    Attributes:
        kind: short stable name, e.g. `t_to_u`, `modified_residue`.
        message: one sentence for the user.
        id: the sequence or structure that it concerns; empty for the whole file.
        line: 1-based line in the file, or 0 where a line makes no sense.
    """

    kind: str
    message: str
    id: str = ""
    line: int = 0


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return the content, decompressed where the first bytes say gzip (the file's name does not matter).

    Decompression streams and stops at `limit`, so a gzip bomb costs `limit` bytes of memory and no more.

    Raises:
        InputError: no such file, a folder, unreadable, larger than `limit`, or damaged gzip.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder. Give a file.")
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not zipped:
                return _read_limited(path, raw.read, limit)
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read_limited(path, stream.read, limit)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Check the name.") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}). Copy or download it again.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{path}: cannot be read ({error}). Check its permissions.") from error


def _read_limited(path: Path, read: Callable[[int], bytes], limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := read(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise InputError(
                f"{path}: holds more than {limit} bytes when unpacked; reading stopped there. "
                "Split the file, or check that it is what you think it is."
            )
        chunks.append(chunk)
    return b"".join(chunks)


def read_text(path: Path, limit: int = MAX_BYTES, strict: bool = True) -> str:
    """Return the content as text: UTF-8, byte order mark dropped, CRLF and CR turned into LF.

    Args:
        path: the file.
        limit: most bytes after decompression.
        strict: False leaves NUL and undecodable bytes in (as lone surrogates), so that a reader of records can
            refuse the one record that holds them.

    Raises:
        InputError: as `read_bytes`, for UTF-16, and where `strict` for NUL and undecodable bytes, naming the line.
    """
    content = read_bytes(path, limit)
    content = content.removeprefix(b"\xef\xbb\xbf")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: is UTF-16 text. Save it as UTF-8.")
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not strict:
        return content.decode("utf-8", errors="surrogateescape")
    nul = content.find(b"\0")
    if nul >= 0:
        line = content.count(b"\n", 0, nul) + 1
        raise InputError(f"{path}: NUL byte in line {line}; this is not a text file. Give plain text.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise InputError(
            f"{path}: byte 0x{byte:02x} in line {line} is not UTF-8. Save the file as plain text."
        ) from error
