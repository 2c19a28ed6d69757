"""Read reactivities of chemical probing (SHAPE, DMS): plain or .shape, checked against the sequence.

| columns | content                                                                                  |
|---------|------------------------------------------------------------------------------------------|
| 1       | a reactivity for each residue, one a line                                                |
| 2       | position (1-based), reactivity; a position that is left out has none (RNAstructure)        |
| 3       | position, letter, reactivity; the letter must be the RNA's (ViennaRNA)                     |

None is -999 (anything below -500, as in RNAstructure), `nan` or `na`. Values are taken as normalised; those between
-500 and 0, which background subtraction leaves, count as 0 and are announced.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rna_predict.contracts.reactivity import Reactivity
from rna_predict.contracts.sequence import RnaSequence
from rna_predict.errors import ContractError, InputError
from rna_predict.formats.reading import Notice, read_text

BELOW_IS_NONE = -500.0
UNLIKELY = 100.0
"""A normalised reactivity above it: the file holds counts or raw intensities. RMDB's normalised data stay below 20."""


def read_reactivity(path: Path, sequence: RnaSequence) -> tuple[Reactivity, list[Notice]]:
    """Read the reactivities of one RNA.

    Args:
        path: the file, gzipped or not; blank lines and lines from # on are left out.
        sequence: what the values must fit in length, and letter by letter where the file has letters.

    Returns:
        The reactivities, and what was changed.

    Raises:
        InputError: naming file, line and position: columns that differ between lines, a value for no residue or two
            for one, another length or letter, no number, infinite or far above 1, no value at all.
    """
    value_L = np.full(sequence.length, np.nan)
    width, count = 0, 0
    line_of: dict[int, int] = {}
    for line, words in _rows(path):
        count += 1
        width = width or len(words)
        if len(words) != width or width > 3:
            wanted = f"{width} columns as above" if width <= 3 else "1, 2 or 3 columns"
            raise InputError(f"{path}, line {line}: {len(words)} columns, expected {wanted}")
        position = count if width == 1 else _position(path, line, words[0])
        if not 1 <= position <= sequence.length:
            raise InputError(f"{path}, line {line}: position {position}, {sequence.id} has {sequence.length} residues")
        if line_of.setdefault(position, line) != line:
            raise InputError(f"{path}, line {line}: position {position} was given in line {line_of[position]}")
        if width == 3:
            _check_letter(path, line, words[1], sequence, position)
        value_L[position - 1] = _value(path, line, words[-1])
    if width == 1 and count != sequence.length:
        raise InputError(f"{path}: {count} reactivities, {sequence.id} has {sequence.length} residues")
    negative = int((value_L < 0).sum())
    value_L = np.where(value_L < 0, 0.0, value_L).astype(np.float32)
    try:
        reactivity = Reactivity(id=sequence.id, source=str(path), value_L=value_L)
    except ContractError as error:
        raise InputError(str(error)) from error
    message = f"{path}: {negative} negative reactivities count as 0"
    return reactivity, [Notice(kind="negative_reactivity", message=message, id=sequence.id)] if negative else []


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbered lines as words, without blank lines and comments."""
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        words = text.partition("#")[0].replace(",", " ").split()
        if words:
            yield number, words


def _position(path: Path, line: int, word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise InputError(f"{path}, line {line}: the position is {word[:40]!r}, not a whole number from 1 on")
    return int(word)


def _check_letter(path: Path, line: int, word: str, sequence: RnaSequence, position: int) -> None:
    expected = sequence.sequence[position - 1]
    if word.upper().replace("T", "U") != expected:
        raise InputError(f"{path}, line {line}: {word[:40]!r}, but {sequence.id} has {expected!r} at {position}")


def _value(path: Path, line: int, word: str) -> float:
    """The number, or NaN for none."""
    try:
        value = math.nan if word.lower() in ("nan", "na") else float(word)
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {word[:40]!r} is not a number") from error
    if value > UNLIKELY:  # infinity too
        raise InputError(
            f"{path}, line {line}: reactivity {word[:40]} is far above 1. Normalise the values (most within 0 … 1)."
        )
    return math.nan if value < BELOW_IS_NONE else value
