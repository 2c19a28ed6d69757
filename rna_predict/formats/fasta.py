"""Read FASTA strictly (Biopython parses, nothing passes unchecked), and write the canonical file of one RNA.

Faults of the file (empty, no record, text before the first header, one id twice, not text, a gzip bomb) raise
InputError. Faults of one record (unsafe id, a wrong letter, too long) are listed in `FastaContent.failures`, and the
other records stay usable. Line ends, byte order mark, trailing blanks and tabs make no difference to the result.
Lines that start with ; or # are comments. The id is the first word of the header.
"""

import io
from dataclasses import dataclass, field
from pathlib import Path

from Bio.SeqIO.FastaIO import SimpleFastaParser

from rna_predict.contracts import RnaSequence, atomic_path
from rna_predict.errors import ConfigError, InputError
from rna_predict.formats.normalise import PAIR_CHANNELS, POLICIES, check_length, checked_sequence
from rna_predict.formats.reading import Notice, read_text


@dataclass(kw_only=True)
class FastaOptions:
    """How strictly a FASTA file is read."""

    ambiguous: str = "refuse"
    """`refuse` IUPAC letters such as N, or `map` them to the base that `normalise.AMBIGUOUS` names."""
    max_length: int = 0
    """Longest sequence in nucleotides; 0 sets no limit."""
    pair_channels: int = PAIR_CHANNELS
    """Channels of the pair representation, for the memory estimate in the message of a sequence too long."""
    max_bytes: int = 128 * 1024 * 1024
    """Most bytes of the file after decompression."""

    def __post_init__(self) -> None:
        """Raise ConfigError for an unknown policy or a negative limit."""
        if self.ambiguous not in POLICIES:
            raise ConfigError(f"ambiguous: {self.ambiguous!r} is not one of {', '.join(POLICIES)}")
        if self.max_length < 0 or self.max_bytes < 1 or self.pair_channels < 0:
            raise ConfigError("max_length, max_bytes and pair_channels must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailure:
    """A record that cannot be predicted. `id` is for display only: it may be the very thing that is unsafe."""

    id: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FastaContent:
    """What a FASTA file holds: usable records in file order, conversions, and records that failed."""

    records: list[RnaSequence] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    failures: list[RecordFailure] = field(default_factory=list)


@dataclass(slots=True)
class _Header:
    line: int
    words: list[str]
    fault: str = ""

    @property
    def id(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def shown(self) -> str:
        return ascii(self.id[:80])[1:-1]


def read_fasta(path: Path, options: FastaOptions | None = None) -> FastaContent:
    """Read all records of a FASTA file, gzip or not.

    Raises:
        InputError: for a fault of the whole file (see the module), naming file and line.
    """
    path = Path(path)
    options = options or FastaOptions()
    text = read_text(path, options.max_bytes, strict=False)
    headers, clean = _front(path, text)
    _refuse_duplicates(path, headers)
    content = FastaContent()
    for header, (_, letters) in zip(headers, SimpleFastaParser(io.StringIO(clean)), strict=True):
        _take(content, header, letters, options)
    described = sum(len(header.words) > 1 for header in headers)
    if described:
        message = f"{described} headers have text after the id; the id is the first word"
        content.notices.append(Notice(kind="description", message=message))
    return content


def _front(path: Path, text: str) -> tuple[list[_Header], str]:
    """Headers with their lines, and the text as Biopython shall see it: no comments, no odd characters."""
    headers: list[_Header] = []
    clean: list[str] = []
    comments = 0
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip(" \t")
        if line.startswith((";", "#")):
            comments += 1
        elif line.startswith(">"):
            headers.append(_Header(number, line[1:].replace("\t", " ").split(" ")))
            headers[-1].words = [word for word in headers[-1].words if word]
            clean.append(">")
        elif line and not headers:
            raise InputError(
                f"{path}: line {number}: {line[:30]!a} stands before the first header. "
                "Start each sequence with a line `>id`."
            )
        elif line:
            headers[-1].fault = headers[-1].fault or _odd_character(line, number)
            clean.append("" if headers[-1].fault else line)
    if not headers:
        held = "only comments" if comments else "only blanks" if text else "nothing"
        raise InputError(f"{path}: holds {held}. Give at least one record: a line `>id`, then the sequence.")
    return headers, "\n".join(clean) + "\n"


def _odd_character(line: str, number: int) -> str:
    """Reason for refusal where the line holds anything but printable ASCII and tabs, else empty."""
    if line.isascii() and line.replace("\t", "").isprintable():
        return ""
    column, character = next(
        (k, c) for k, c in enumerate(line, start=1) if c != "\t" and not (c.isascii() and c.isprintable())
    )
    return f"character {character!a} in line {number}, column {column} is not one of A C G U T. Remove it."


def _refuse_duplicates(path: Path, headers: list[_Header]) -> None:
    """Ids are file names, and file names ignore case on some systems: no two may differ in case only."""
    first: dict[str, _Header] = {}
    for header in headers:
        other = first.setdefault(header.id.casefold(), header)
        if other is not header and header.id:
            how = "stands" if other.id == header.id else f"and {other.shown!r} differ in case only: they stand"
            raise InputError(
                f"{path}: id {header.shown!r} {how} in lines {other.line} and {header.line}. Rename one of them."
            )


def _take(content: FastaContent, header: _Header, letters: str, options: FastaOptions) -> None:
    try:
        if not header.words:
            raise InputError("the header has no id. Write `>id`.")
        if header.fault:
            raise InputError(header.fault)
        if options.max_length:
            check_length(letters.replace("\t", ""), options.max_length, options.pair_channels)
        record, notices = checked_sequence(header.id, letters, options.ambiguous)
    except InputError as error:
        content.failures.append(RecordFailure(id=header.shown, line=header.line, reason=str(error)))
        return
    content.records.append(record)
    content.notices.extend(
        Notice(kind=notice.kind, message=notice.message, id=record.id, line=header.line) for notice in notices
    )


def read_one(path: Path, id: str | None = None) -> RnaSequence:
    """Read a file that must hold exactly one usable record, e.g. `sequence.fasta` of a stage folder.

    Args:
        path: the file.
        id: where given, the record must have this id.

    Raises:
        InputError: no, several or failing records, or another id.
    """
    content = read_fasta(path)
    if content.failures:
        failure = content.failures[0]
        raise InputError(f"{path}: line {failure.line}: {failure.id}: {failure.reason}")
    if len(content.records) != 1:
        raise InputError(f"{path}: holds {len(content.records)} records where one is wanted. Split the file.")
    record = content.records[0]
    if id is not None and record.id != id:
        raise InputError(f"{path}: holds {record.id}, not {id}. Prepare the input of {id} again.")
    return record


def write_fasta(sequence: RnaSequence, path: Path) -> None:
    """Write the canonical file of one RNA, whole or not at all: a line for the header, one for `RnaSequence.text`."""
    with atomic_path(path) as temporary:
        temporary.write_text(f">{sequence.id}\n{sequence.text}\n", encoding="ascii", newline="\n")
