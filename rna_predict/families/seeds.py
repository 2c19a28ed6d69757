"""Read Rfam's seed alignments: one Stockholm file with many families, or a tar archive with one file each."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rna_predict.errors import InputError

GAPS = "-._~"
"""What stands for no residue in a row."""
SUFFIXES = (".sto", ".stk", ".stockholm", ".seed")
"""Endings of the members of a tar archive that are read."""
ACCESSION = re.compile(r"RF\d{5}")
_TO_RNA = str.maketrans("acgutT" + "._~", "ACGUUU" + "---")
_DAMAGED = (EOFError, lzma.LZMAError, OSError, tarfile.TarError)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedAlignment:
    """One family's seed.

    Attributes:
        accession: e.g. RF00005.
        name: e.g. tRNA.
        description: one line.
        type: Rfam's type, e.g. `Gene; tRNA;`.
        clan: accession of the clan, or empty.
        names: name of each row.
        rows: aligned rows, letters in upper case with U for T, `-` for a gap; all of one width.
        reference: the line `RF`: a letter where a column is of the consensus, a gap elsewhere.
        structure: the line `SS_cons`, WUSS with pseudoknots.
    """

    accession: str
    name: str
    description: str
    type: str
    clan: str
    names: tuple[str, ...]
    rows: tuple[str, ...]
    reference: str
    structure: str

    @property
    def columns(self) -> list[int]:
        """Columns of the consensus, in order."""
        return [column for column, letter in enumerate(self.reference) if letter not in GAPS]


def read_seeds(path: Path) -> Iterator[SeedAlignment]:
    """Families of a file in its order (of a tar archive: sorted by member's name), one at a time.

    Args:
        path: Stockholm text, plain or packed by gzip, xz or bzip2, or a tar archive (packed or not) of such files.

    Raises:
        InputError: missing, damaged, no Stockholm, no family, or a family without accession, RF, SS_cons or rows.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file. Give Rfam.seed(.gz) or an archive of Stockholm files.")
    found = 0
    try:
        texts = _members(path) if tarfile.is_tarfile(path) else _whole(path)
        for label, text in texts:
            for alignment in parse_stockholm(text, label):
                found += 1
                yield alignment
    except _DAMAGED as error:
        raise InputError(f"{path}: cannot be unpacked ({error}). Copy or download it again.") from error
    if not found:
        raise InputError(f"{path}: holds no family. Give Rfam.seed(.gz) or an archive of Stockholm files.")


def parse_stockholm(text: io.TextIOBase, label: str) -> Iterator[SeedAlignment]:
    """Alignments of an open text, each ended by `//`; rows may be wrapped in blocks.

    Raises:
        InputError: naming label, line and fault.
    """
    record: _Record | None = None
    for number, line in enumerate(text, start=1):
        content = line.rstrip()
        if record is None:
            if content.startswith("# STOCKHOLM 1."):
                record = _Record()
            elif content:
                raise InputError(f"{label}, line {number}: {content[:40]!a} stands outside of a Stockholm record.")
        elif content == "//":
            yield record.finish(f"{label}, line {number}")
            record = None
        else:
            record.take(content, f"{label}, line {number}")
    if record is not None:
        raise InputError(f"{label}: the line // at the end is missing. Copy or download the file again.")


@dataclass(slots=True)
class _Record:
    """Lines of one alignment as they come."""

    about: dict[str, str] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, list[str]] = field(default_factory=dict)

    def take(self, line: str, where: str) -> None:
        words = line.split()
        if not words or line.startswith(("#=GS", "#=GR")):
            return
        if words[0] == "#=GF":
            if len(words) > 2:
                self.about.setdefault(words[1], " ".join(words[2:]))
        elif words[0] == "#=GC":
            if len(words) == 3:
                self.columns.setdefault(words[1], []).append(words[2])
        elif not line.startswith("#"):
            if len(words) != 2:
                raise InputError(f"{where}: {line[:40]!a} is not a name and a row. Download the file again.")
            self.rows.setdefault(words[0], []).append(words[1])

    def finish(self, where: str) -> SeedAlignment:
        accession = self.about.get("AC", "")
        if not ACCESSION.fullmatch(accession):
            raise InputError(f"{where}: the record's accession {accession!a} is not of Rfam. Use Rfam's seeds.")
        lines = {name: "".join(self.columns.get(name, [])) for name in ("RF", "SS_cons")}
        rows = tuple("".join(parts).translate(_TO_RNA).upper() for parts in self.rows.values())
        widths = {len(text) for text in (*lines.values(), *rows)}
        if not rows or len(widths) != 1:
            raise InputError(f"{where}: {accession}: RF, SS_cons and {len(rows)} rows have widths {sorted(widths)}.")
        return SeedAlignment(
            accession=accession,
            name=self.about.get("ID", accession),
            description=self.about.get("DE", ""),
            type=self.about.get("TP", ""),
            clan=self.about.get("CL", ""),
            names=tuple(self.rows),
            rows=rows,
            reference=lines["RF"],
            structure=lines["SS_cons"],
        )


def _members(path: Path) -> Iterator[tuple[str, io.TextIOBase]]:
    with tarfile.open(path) as archive:
        chosen = [m for m in archive.getmembers() if m.isfile() and m.name.endswith(SUFFIXES)]
        for member in sorted(chosen, key=lambda one: one.name):
            stream = archive.extractfile(member)
            if stream is not None:
                yield f"{path}: {member.name}", io.TextIOWrapper(io.BytesIO(stream.read()), "utf-8", "replace")


def _whole(path: Path) -> Iterator[tuple[str, io.TextIOBase]]:
    with path.open("rb") as file:
        magic = file.read(6)
    opener = {b"\x1f\x8b": gzip.open, b"\xfd7": lzma.open, b"BZ": bz2.open}.get(magic[:2], open)
    with opener(path, "rt", encoding="utf-8", errors="replace") as text:
        yield str(path), text  # pyright: ignore[reportReturnType]
