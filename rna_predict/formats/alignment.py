"""Read an alignment of related sequences, a3m or Stockholm, gzip or not, checked against the RNA.

| format    | endings              | the RNA itself     | columns                                                     |
|-----------|----------------------|--------------------|-------------------------------------------------------------|
| a3m       | .a3m                 | the first row      | upper case and `-`; lower case is an insertion, `.` nothing |
| stockholm | .sto .stk .stockholm | any row; put first | those where the RNA has a letter; the others are insertions |

Any of these may be followed by .gz. T counts as U, an IUPAC letter for several bases as N. A row that repeats an
earlier one in every column and a row of gaps alone are left out and counted in a notice; the RNA without any other row
is a valid alignment. Above `max_rows` the first rows stay, in the order of the file; what follows is not looked at.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rna_predict.chemistry.letters import ANY_ID, GAP_ID, LETTER_ID
from rna_predict.contracts.alignment import Alignment
from rna_predict.contracts.sequence import RnaSequence
from rna_predict.errors import ConfigError, InputError
from rna_predict.formats.reading import Notice, read_text

ENDINGS = {".a3m": "a3m", ".sto": "stockholm", ".stk": "stockholm", ".stockholm": "stockholm"}

STOCKHOLM_HEADER = "# STOCKHOLM 1."
STOCKHOLM_GAPS = "-._~"

AMBIGUOUS = "RYSWKMBDHVNX"
"""IUPAC letters that stand for several bases, and X, which some programs write for N."""

_INSERTED, _NOTHING, _REFUSED = 100, 101, 255


@dataclass(kw_only=True)
class AlignmentOptions:
    """How much of an alignment is read."""

    max_rows: int = 16384
    """Most rows that are kept, the RNA included; as many as the MSA module of AF3-class networks takes."""
    max_bytes: int = 128 * 1024 * 1024
    """Most bytes of the file after decompression."""
    format: str = ""
    """`a3m` or `stockholm`; empty goes by the file's ending."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a limit below 1 or an unknown format."""
        if self.max_rows < 1 or self.max_bytes < 1:
            raise ConfigError(f"alignment: max_rows {self.max_rows} and max_bytes {self.max_bytes} must be at least 1")
        if self.format not in ("", *ENDINGS.values()):
            raise ConfigError(f"alignment: format {self.format!r} is neither a3m nor stockholm")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A row of the file and the line where it begins."""

    name: str
    line: int
    letters: str


@dataclass(slots=True)
class _Kept:
    """Rows taken so far, and counts for the notices."""

    names: list[str] = field(default_factory=list)
    residues: list[np.ndarray] = field(default_factory=list)
    deletions: list[np.ndarray] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)
    repeated: int = 0
    empty: int = 0
    thymines: int = 0
    capped: bool = False


def read_alignment(
    path: Path, sequence: RnaSequence, options: AlignmentOptions | None = None
) -> tuple[Alignment, list[Notice]]:
    """Read the alignment of one RNA.

    Raises:
        InputError: naming file, row and position: not text, too large, another format, no row, a row of another
            length, a letter that is not of RNA, or a query that is not the sequence.
    """
    path = Path(path)
    options = options or AlignmentOptions()
    format_name = options.format or _format_of(path)
    text = read_text(path, options.max_bytes)
    rows, insert_W = _from_a3m(path, text, sequence) if format_name == "a3m" else _from_stockholm(path, text, sequence)
    return _gathered((path, sequence), rows, insert_W, options)


def parse_a3m(text: str, sequence: RnaSequence, source: str) -> Alignment:
    """The alignment that `read_alignment` would read from a file of this text.

    Args:
        text: a3m, its first row the sequence.
        sequence: the RNA.
        source: where it comes from, for messages.

    Raises:
        InputError: as `read_alignment`.
    """
    path = Path(source)
    rows, insert_W = _from_a3m(path, text, sequence)
    return _gathered((path, sequence), rows, insert_W, AlignmentOptions())[0]


def _gathered(
    against: tuple[Path, RnaSequence], rows: Iterator[_Row], insert_W: np.ndarray | None, options: AlignmentOptions
) -> tuple[Alignment, list[Notice]]:
    path, sequence = against
    kept = _Kept()
    for row in rows:
        if len(kept.names) == options.max_rows:
            kept.capped = True
            break
        _take(kept, row, _codes(path, row, insert_W), against)
    alignment = Alignment(
        id=sequence.id,
        sequence=sequence.sequence,
        names=tuple(kept.names),
        residue_ML=np.stack(kept.residues),
        deletion_ML=np.stack(kept.deletions),
        source=str(path),
    )
    return alignment, _notices(kept, sequence.id)


def _format_of(path: Path) -> str:
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending not in ENDINGS:
        raise InputError(f"{path}: the ending {ending!r} names no alignment format. Use {sorted(ENDINGS)}.")
    return ENDINGS[ending]


def _from_a3m(path: Path, text: str, sequence: RnaSequence) -> tuple[Iterator[_Row], None]:
    rows = _a3m_rows(path, text)
    query = next(rows, None)
    if query is None:
        raise InputError(f"{path}: holds no row. Leave the alignment out, or give at least the RNA itself.")
    letters = query.letters.replace(".", "")
    if letters != letters.upper() or "-" in letters:
        raise InputError(f"{path}: {_label(query)} has gaps or lower case; the first row of an a3m must be the RNA.")
    if difference := _difference(letters, sequence):
        raise InputError(f"{path}: {_label(query)} is not {sequence.id}: it has {difference}. Align to this RNA.")
    return _a3m_rows(path, text), None


def _a3m_rows(path: Path, text: str) -> Iterator[_Row]:
    """Rows in the order of the file; lines that start with # are comments."""
    header, line, parts = "", 0, []
    for number, raw in enumerate(io.StringIO(text), start=1):
        content = raw.strip()
        if content.startswith("#") or not content:
            continue
        if content.startswith(">"):
            if line:
                yield _Row(name=header, line=line, letters="".join(parts))
            words = content[1:].split()
            header, line, parts = words[0] if words else "", number, []
        elif not line:
            raise InputError(f"{path}: line {number}: {content[:30]!a} stands before the first header. Is it an a3m?")
        else:
            parts.append(content)
    if line:
        yield _Row(name=header, line=line, letters="".join(parts))


def _from_stockholm(path: Path, text: str, sequence: RnaSequence) -> tuple[Iterator[_Row], np.ndarray]:
    rows = _stockholm_rows(path, text)
    ungapped = str.maketrans("", "", STOCKHOLM_GAPS)
    differences = (_difference(row.letters.translate(ungapped).upper(), sequence) for row in rows)
    first = next(differences)
    index = 0 if not first else next((k for k, found in enumerate(differences, start=1) if not found), -1)
    if index < 0:
        raise InputError(f"{path}: no row is {sequence.id}; {_label(rows[0])} has {first}. Align to this RNA.")
    query = rows.pop(index)
    for row in rows:
        if len(row.letters) != len(query.letters):
            raise InputError(
                f"{path}: {_label(row)} is {len(row.letters)} characters wide, {_label(query)} {len(query.letters)}."
            )
    return iter([query, *rows]), _STOCKHOLM_CODE[_bytes(query.letters)] == GAP_ID


def _stockholm_rows(path: Path, text: str) -> list[_Row]:
    """Rows of the one alignment, their blocks joined; annotation is skipped."""
    content = text.strip()
    if not content.startswith(STOCKHOLM_HEADER):
        raise InputError(f"{path}: does not begin with {STOCKHOLM_HEADER!r}. Is it a Stockholm file?")
    lines: dict[str, int] = {}
    parts: dict[str, list[str]] = {}
    block: set[str] = set()
    ended = 0
    for number, raw in enumerate(io.StringIO(text), start=1):
        words = raw.split()
        if not words:
            block = set()
        elif ended:
            raise InputError(f"{path}: line {number} follows // of line {ended}. Give a file with one alignment.")
        elif words == ["//"]:
            ended = number
        elif not raw.lstrip().startswith("#"):
            if len(words) != 2 or words[0] in block:
                fault = "is not a name and a row" if len(words) != 2 else f"gives row {words[0][:40]!a} a second time"
                raise InputError(f"{path}: line {number} {fault}. Write the file again.")
            block.add(words[0])
            lines.setdefault(words[0], number)
            parts.setdefault(words[0], []).append(words[1])
    if not ended:
        raise InputError(f"{path}: the line // at the end is missing. Copy or download the file again.")
    if not parts:
        raise InputError(f"{path}: holds no row. Leave the alignment out, or give at least the RNA itself.")
    return [_Row(name=name, line=lines[name], letters="".join(pieces)) for name, pieces in parts.items()]


def _difference(letters: str, sequence: RnaSequence) -> str:
    """What first distinguishes a row's letters from the RNA; empty where nothing does."""
    found, wanted = letters.replace("T", "U"), sequence.sequence
    if found == wanted:
        return ""
    for position, (here, there) in enumerate(zip(found, wanted, strict=False), start=1):
        if here != there:
            return f"{here!a} at position {position}, where the RNA has {there}"
    return f"{len(found)} letters, where the RNA has {len(wanted)}"


def _codes(path: Path, row: _Row, insert_W: np.ndarray | None) -> np.ndarray:
    """Each character's letter, or that it is an insertion; `insert_W` are Stockholm's columns beside the RNA."""
    codes = (_A3M_CODE if insert_W is None else _STOCKHOLM_CODE)[_bytes(row.letters)]
    if (codes == _REFUSED).any():
        column = int((codes == _REFUSED).argmax())
        raise InputError(f"{path}: {_label(row)}: {row.letters[column]!a} at {column + 1} is no letter of an RNA.")
    if insert_W is not None:
        codes[insert_W] = np.where(codes[insert_W] == GAP_ID, _NOTHING, _INSERTED)
    return codes[codes != _NOTHING]


def _take(kept: _Kept, row: _Row, codes: np.ndarray, against: tuple[Path, RnaSequence]) -> None:
    path, sequence = against
    match = codes != _INSERTED
    residue_L = codes[match]
    if len(residue_L) != sequence.length:
        raise InputError(
            f"{path}: {_label(row)} has {len(residue_L)} columns, the RNA has {sequence.length} nucleotides. "
            "Every row must have as many letters and gaps, insertions not counted."
        )
    key = residue_L.tobytes()
    if key in kept.seen or (residue_L == GAP_ID).all():
        kept.repeated += key in kept.seen
        kept.empty += key not in kept.seen
        return
    kept.seen.add(key)
    kept.names.append(row.name)
    kept.residues.append(residue_L)
    kept.deletions.append(np.diff(np.cumsum(~match)[match], prepend=0).astype(np.int32))
    kept.thymines += row.letters.count("T")


def _notices(kept: _Kept, id: str) -> list[Notice]:
    rows = len(kept.names)
    said = {
        "alignment_capped": f"the first {rows} rows of the alignment are used; the rest was not read" * kept.capped,
        "alignment_repeats": f"{kept.repeated} rows that repeat an earlier one were left out" * bool(kept.repeated),
        "alignment_gaps": f"{kept.empty} rows of gaps alone were left out" * bool(kept.empty),
        "alignment_t_to_u": f"{kept.thymines} letters T were read as U" * bool(kept.thymines),
        "alignment_alone": "the alignment holds the RNA alone" * (rows == 1),
    }
    return [Notice(kind=kind, message=message, id=id) for kind, message in said.items() if message]


def _label(row: _Row) -> str:
    return f"row {row.name[:40]!a} in line {row.line}"


def _bytes(letters: str) -> np.ndarray:
    return np.frombuffer(letters.encode("latin-1", "replace"), dtype=np.uint8)


def _code_table(gaps: str, *, lower_is_inserted: bool) -> np.ndarray:
    table = np.full(256, _REFUSED, dtype=np.uint8)
    numbers = {**dict.fromkeys(AMBIGUOUS, ANY_ID), **LETTER_ID, "T": LETTER_ID["U"]}
    for letter, number in numbers.items():
        table[ord(letter)] = number
        table[ord(letter.lower())] = _INSERTED if lower_is_inserted else number
    table[list(gaps.encode())] = GAP_ID
    return table


_A3M_CODE = _code_table("-", lower_is_inserted=True)
_A3M_CODE[ord(".")] = _NOTHING
_STOCKHOLM_CODE = _code_table(STOCKHOLM_GAPS, lower_is_inserted=False)
