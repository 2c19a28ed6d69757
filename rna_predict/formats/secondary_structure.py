"""Read a given secondary structure: dot-bracket, ct, bpseq, or pair probabilities, checked against the sequence.

| format  | endings                    | content                                                                   |
|---------|----------------------------|---------------------------------------------------------------------------|
| dbn     | .dbn .db .dot .dotbracket  | `>id` and sequence where wanted, structure, `&` between chains; several   |
| ct      | .ct                        | `L title`, then index, base, previous, next, partner, index               |
| bpseq   | .bpseq                     | index, base, partner                                                      |
| matrix  | .matrix .mat .bppm         | L rows of L pair probabilities, symmetric                                 |
| npy     | .npy                       | the same as a numpy array                                                 |
| triples | .triples .bpp              | lines `i j p`, 1-based, each pair once                                    |
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rna_predict.chemistry.chains import CHAIN_SEPARATOR
from rna_predict.contracts.adjacency import MIN_LOOP, too_near
from rna_predict.contracts.given import GivenStructure
from rna_predict.contracts.sequence import ID_PATTERN, RnaSequence
from rna_predict.errors import ContractError, InputError
from rna_predict.formats.dot_bracket import forced_unpaired, from_dot_bracket
from rna_predict.formats.normalise import checked_sequence
from rna_predict.formats.reading import Notice, read_text

ENDINGS = {
    ".dbn": "dbn",
    ".db": "dbn",
    ".dot": "dbn",
    ".dotbracket": "dbn",
    ".ct": "ct",
    ".bpseq": "bpseq",
    ".matrix": "matrix",
    ".mat": "matrix",
    ".bppm": "matrix",
    ".npy": "npy",
    ".triples": "triples",
    ".bpp": "triples",
}

ENERGY = re.compile(r"\(\s*[-+]?\d+(\.\d+)?\s*\)")
"""What ViennaRNA writes behind a structure."""


@dataclass(slots=True, kw_only=True)
class _Entry:
    """One structure of a text file before it is checked: its name, and numbered lines."""

    name: str
    line: int
    sequence: str = ""
    sequence_line: int = 0
    structure: str = ""
    rows: list[tuple[int, list[str]]] = field(default_factory=list)


def format_of(path: Path, format_name: str | None = None) -> str:
    """The format's name: the explicit one, or that of the file's ending.

    Raises:
        InputError: an unknown name or ending, listing the known ones.
    """
    known = sorted(set(ENDINGS.values()))
    if format_name is not None:
        if format_name not in known:
            raise InputError(f"{path}: unknown secondary structure format {format_name!r}. Use one of {known}.")
        return format_name
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{path}: the ending {ending!r} names no format. Use {sorted(ENDINGS)}, or name the format.")
    return ENDINGS[ending]


def given_ids(path: Path, format_name: str | None = None) -> list[str]:
    """Names of the structures in a file, in order; an unnamed one is an empty string.

    Raises:
        InputError: unknown format, or a file that does not parse into structures.
    """
    name = format_of(path, format_name)
    if name not in _SPLITTERS:
        return [""]
    return [entry.name for entry in _SPLITTERS[name](path)]


def read_given(path: Path, sequence: RnaSequence, format_name: str | None = None) -> GivenStructure:
    """Read the structure of one RNA.

    Args:
        path: the file; from one with several structures the one of that id is taken.
        sequence: what the structure must fit in length and, where the file has letters, letter by letter
            (lower case and T for U are accepted).
        format_name: dbn, ct, bpseq, matrix, npy or triples; None goes by the ending.

    Raises:
        InputError: naming file, line and position: another length or sequence, unbalanced brackets, conflicting or
            non-mutual pairs, fewer than 3 residues between, probabilities that are NaN, outside [0, 1],
            asymmetric, or sum to more than 1.
    """
    name = format_of(path, format_name)
    try:
        if name == "npy":
            return _from_matrix(path, _load_npy(path, sequence.length), sequence)
        if name == "matrix":
            return _from_matrix(path, _read_matrix(path, sequence.length), sequence)
        if name == "triples":
            return _from_matrix(path, _read_triples(path, sequence.length), sequence)
        entry = _choose(path, _SPLITTERS[name](path), sequence.id)
        return _from_structure(path, entry, sequence) if name == "dbn" else _from_rows(path, entry, sequence)
    except ContractError as error:
        raise InputError(str(error)) from error


def read_structures(path: Path) -> tuple[list[tuple[RnaSequence, GivenStructure]], list[Notice]]:
    """Read every RNA of a file that holds sequences as well: dbn, ct or bpseq.

    A structure whose name cannot be an id is named after the file where it is the only one.

    Returns:
        Sequence and structure of each, in order, and what was converted in the letters.

    Raises:
        InputError: another format, no sequence, a refused letter or name, or what `read_given` refuses.
    """
    name = format_of(path)
    if name not in _SPLITTERS:
        raise InputError(f"{path}: {name} holds no sequence. Give one of {', '.join(sorted(_SPLITTERS))}.")
    entries = _SPLITTERS[name](path)
    found: list[tuple[RnaSequence, GivenStructure]] = []
    notices: list[Notice] = []
    for entry in entries:
        label = f"{path}, line {entry.line}"
        letters = entry.sequence or "".join(words[1] for _, words in entry.rows)
        if not letters:
            raise InputError(f"{label}: the structure has no sequence. Put one above it.")
        named = ID_PATTERN.fullmatch(entry.name) or len(entries) > 1
        try:
            sequence, changed = checked_sequence(entry.name if named else path.name.partition(".")[0], letters)
        except InputError as error:
            raise InputError(f"{label}: {error}") from error
        try:
            given = _from_structure if name == "dbn" else _from_rows
            found.append((sequence, given(path, entry, sequence)))
        except ContractError as error:
            raise InputError(str(error)) from error
        notices += changed
    return found, notices


def _choose(path: Path, entries: list[_Entry], name: str) -> _Entry:
    """The only entry, or the only one of that name."""
    if len(entries) == 1:
        return entries[0]
    fitting = [entry for entry in entries if entry.name == name]
    if not fitting:
        found = ", ".join(entry.name or "(unnamed)" for entry in entries[:5])
        raise InputError(f"{path}: none of the {len(entries)} structures is named {name}; the first are {found}")
    if len(fitting) > 1:
        lines = " and ".join(str(entry.line) for entry in fitting[:2])
        raise InputError(f"{path}: {name} has {len(fitting)} structures, at lines {lines}. Leave one.")
    return fitting[0]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, stripped, without blank and comment lines."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text


def _split_dbn(path: Path) -> list[_Entry]:
    entries: list[_Entry] = []
    for number, text in _lines(path):
        if text.startswith(">"):
            entries.append(_Entry(name=(text[1:].split() or [""])[0], line=number))
            continue
        if not entries:
            entries.append(_Entry(name="", line=number))
        entry = entries[-1]
        marks, *rest = text.split(maxsplit=1)
        if rest and not ENERGY.fullmatch(rest[0]):
            raise InputError(f"{path}, line {number}: {rest[0][:40]!r} after the structure is not understood")
        if _is_structure(marks):
            entry.line = entry.line if entry.structure else number
            entry.structure += marks
        elif entry.structure:
            raise InputError(f"{path}, line {number}: a sequence after a structure. Begin each RNA with a > line.")
        else:
            entry.sequence_line = entry.sequence_line or number
            entry.sequence += marks
    for entry in entries:
        if not entry.structure:
            raise InputError(f"{path}, line {entry.line}: {entry.name or 'the entry'} has no structure line")
    if not entries:
        raise InputError(f"{path}: the file is empty. Give a structure in dot-bracket.")
    return entries


def _is_structure(text: str) -> bool:
    """Whether a line is a structure: it has a mark that is no letter (sequences have `&` alone), or is x throughout."""
    letters = text.replace(CHAIN_SEPARATOR, "")
    return not letters.isalpha() or set(letters) == {"x"}


def _from_structure(path: Path, entry: _Entry, sequence: RnaSequence) -> GivenStructure:
    label = f"{path}, line {entry.line}"
    _check_letters(f"{path}, line {entry.sequence_line}", entry.sequence, sequence)
    chains = entry.structure.split(CHAIN_SEPARATOR)
    structure = "".join(chains)
    if len(structure) != sequence.length:
        raise InputError(
            f"{label}: the structure has {len(structure)} marks, {sequence.id} has {sequence.length} residues"
        )
    if len(chains) > 1 and list(map(len, chains)) != list(map(len, sequence.chains)):
        raise InputError(
            f"{label}: the structure has chains of {', '.join(str(len(chain)) for chain in chains)} residues, "
            f"{sequence.id} of {', '.join(str(len(chain)) for chain in sequence.chains)}"
        )
    unpaired_L = forced_unpaired(structure)
    return GivenStructure(
        id=sequence.id,
        length=sequence.length,
        breaks=sequence.breaks,
        source=label,
        partner_L=from_dot_bracket(structure, label),
        unpaired_L=unpaired_L if unpaired_L.any() else None,
    )


def _check_letters(label: str, letters: str, sequence: RnaSequence) -> None:
    """Refuse a file's own sequence when it is not the RNA's; an absent one is fine."""
    if not letters:
        return
    found = letters.upper().replace("T", "U").replace(CHAIN_SEPARATOR, "")
    if len(found) != sequence.length:
        raise InputError(f"{label}: the sequence has {len(found)} letters, {sequence.id} has {sequence.length}")
    for position, (letter, expected) in enumerate(zip(found, sequence.sequence, strict=True), start=1):
        if letter != expected:
            raise InputError(f"{label}, position {position}: {letter!r}, but {sequence.id} has {expected!r} there")


def _split_ct(path: Path) -> list[_Entry]:
    entries: list[_Entry] = []
    due = 0
    for number, text in _lines(path):
        words = text.split()
        if due == 0:
            due = _whole(path, number, words[0], "the number of residues")
            if due < 1:
                raise InputError(f"{path}, line {number}: {due} residues; the first line of a ct is its length, title")
            title = re.sub(r"(?i)^(d?G|energy)\s*=\s*\S+\s*", "", " ".join(words[1:]))
            entries.append(_Entry(name=(title.split() or [""])[0], line=number))
            continue
        if len(words) < 5:
            raise InputError(f"{path}, line {number}: a row of a ct has 6 columns, found {len(words)}")
        entries[-1].rows.append((number, [words[0], words[1], words[4]]))
        due -= 1
    if due or not entries:
        raise InputError(f"{path}: the file ends {due} rows early" if due else f"{path}: the file is empty")
    return entries


def _split_bpseq(path: Path) -> list[_Entry]:
    entry = _Entry(name="", line=1)
    for number, text in _lines(path):
        words = text.split()
        if not entry.rows and re.match(r"[A-Za-z ]+:", text):
            continue  # the header of the Comparative RNA Web site: Filename:, Organism:, …
        if len(words) != 3:
            raise InputError(f"{path}, line {number}: a row of a bpseq has 3 columns, found {len(words)}")
        entry.rows.append((number, words))
    if not entry.rows:
        raise InputError(f"{path}: the file is empty")
    return [entry]


def _from_rows(path: Path, entry: _Entry, sequence: RnaSequence) -> GivenStructure:
    """Pairs from rows (index, base, partner), partner 0 for none."""
    length = sequence.length
    if len(entry.rows) != length:
        raise InputError(
            f"{path}, line {entry.line}: the structure has {len(entry.rows)} rows, {sequence.id} has {length} residues"
        )
    partner_L = np.full(length, -1, dtype=np.int32)
    for position, (line, (index, _, partner)) in enumerate(entry.rows):
        if _whole(path, line, index, "the index") != position + 1:
            raise InputError(f"{path}, line {line}: index {index}, expected {position + 1}")
        other = _whole(path, line, partner, "the partner")
        if not 0 <= other <= length:
            raise InputError(f"{path}, line {line}: partner {other} lies outside the {length} residues")
        if other and too_near(other - 1, position, sequence.breaks):
            between = max(abs(other - 1 - position) - 1, 0)
            raise InputError(
                f"{path}, line {line}: pair {position + 1}-{other} has {between} residues between, "
                f"at least {MIN_LOOP} are needed. Remove the pair."
            )
        partner_L[position] = other - 1
    for position, (line, _) in enumerate(entry.rows):
        other = int(partner_L[position])
        if other >= 0 and partner_L[other] != position:
            raise InputError(
                f"{path}, line {line}: residue {position + 1} pairs with {other + 1}, "
                f"but {other + 1} pairs with {partner_L[other] + 1 or 'none'}"
            )
    _check_letters(f"{path}, line {entry.rows[0][0]} on", "".join(words[1] for _, words in entry.rows), sequence)
    return GivenStructure(id=sequence.id, length=length, breaks=sequence.breaks, source=str(path), partner_L=partner_L)


def _whole(path: Path, line: int, word: str, what: str) -> int:
    if not re.fullmatch(r"[-+]?\d{1,9}", word):
        raise InputError(f"{path}, line {line}: {what} is {word[:40]!r}, not a whole number")
    return int(word)


def _probability(path: Path, line: int, column: int, word: str) -> float:
    try:
        value = float(word)
    except ValueError as error:
        raise InputError(f"{path}, line {line}, column {column}: {word[:40]!r} is not a number") from error
    if not 0 <= value <= 1:
        raise InputError(f"{path}, line {line}, column {column}: {word[:40]} is not a probability in [0, 1]")
    return value


def _probabilities(path: Path, line: int, words: list[str]) -> np.ndarray:
    try:
        row = np.array(words, dtype=np.float64)
    except ValueError:
        row = np.array([np.nan])
    if np.isnan(row).any() or row.min() < 0 or row.max() > 1:
        row = np.array([_probability(path, line, column, word) for column, word in enumerate(words, start=1)])
    return row


def _read_matrix(path: Path, length: int) -> np.ndarray:
    rows = []
    for line, text in _lines(path):
        words = text.replace(",", " ").split()
        if len(words) != length:
            raise InputError(f"{path}, line {line}: {len(words)} columns, expected {length}, one a residue")
        rows.append(_probabilities(path, line, words))
    if len(rows) != length:
        raise InputError(f"{path}: {len(rows)} rows, expected {length}, one a residue")
    return np.stack(rows)


def _read_triples(path: Path, length: int) -> np.ndarray:
    matrix = np.zeros((length, length))
    first_line: dict[tuple[int, int], int] = {}
    for line, text in _lines(path):
        words = text.replace(",", " ").split()
        if len(words) != 3:
            raise InputError(f"{path}, line {line}: expected `i j p`, found {len(words)} columns")
        i, j = (_whole(path, line, word, "the residue") for word in words[:2])
        if not (1 <= i <= length and 1 <= j <= length) or i == j:
            raise InputError(f"{path}, line {line}: {i}-{j} is not a pair of two of the {length} residues")
        pair = (min(i, j), max(i, j))
        if pair in first_line:
            raise InputError(f"{path}, line {line}: pair {pair[0]}-{pair[1]} was given in line {first_line[pair]}")
        first_line[pair] = line
        matrix[i - 1, j - 1] = matrix[j - 1, i - 1] = _probability(path, line, 3, words[2])
    return matrix


def _load_npy(path: Path, length: int) -> np.ndarray:
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a false header cannot ask for memory
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy array ({error})") from error
    if not isinstance(matrix, np.ndarray) or matrix.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected one array of numbers, found {getattr(matrix, 'dtype', 'an archive')}")
    if matrix.shape != (length, length):
        hint = " ViennaRNA's bpp has an empty row and column 0: drop them." if matrix.shape == (length + 1,) * 2 else ""
        raise InputError(f"{path}: the matrix is {matrix.shape}, expected ({length}, {length}).{hint}")
    return np.array(matrix, dtype=np.float64)


def _from_matrix(path: Path, matrix: np.ndarray, sequence: RnaSequence) -> GivenStructure:
    return GivenStructure(
        id=sequence.id,
        length=sequence.length,
        breaks=sequence.breaks,
        source=str(path),
        probability_LL=matrix.astype(np.float32),
    )


_SPLITTERS: dict[str, Callable[[Path], list[_Entry]]] = {"dbn": _split_dbn, "ct": _split_ct, "bpseq": _split_bpseq}
