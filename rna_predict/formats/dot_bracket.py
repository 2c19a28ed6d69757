"""Dot-bracket notation with pseudoknots: a matching to text and back, and stage A's `.dbn` file."""

from pathlib import Path
from string import ascii_lowercase, ascii_uppercase

import numpy as np

from rna_predict.chemistry.chains import marked
from rna_predict.contracts import atomic_path
from rna_predict.contracts.adjacency import Adjacency
from rna_predict.contracts.loops import crossings, find_stems
from rna_predict.errors import InputError

OPENING = "([{<" + ascii_uppercase
CLOSING = ")]}>" + ascii_lowercase
"""Thirty bracket levels: four kinds of brackets, then A…a to Z…z."""

FREE = ".,:_-~"
"""Marks of a residue of which nothing is said: the dot, and the loop marks of Stockholm's WUSS notation."""

FORCED = "x"
"""Mark of a residue that must stay unpaired (as in ViennaRNA), unless a level X…x is in use."""


def to_dot_bracket(partner_L: np.ndarray) -> str:
    """Write a matching as dot-bracket.

    Levels are given to whole stems, so that no two crossing stems share one: two levels wherever two can hold the
    structure, and few above that (DSATUR, Brélaz 1979, exact on two-colourable graphs; the least number in general is
    an NP-hard question). In each knot the level with the most pairs is written with round brackets.

    Args:
        partner_L: integer [L], index of the paired residue or -1.

    Raises:
        ContractError: not a matching.
        InputError: more than thirty levels would be needed.
    """
    stems = find_stems(partner_L)
    levels = _levels(crossings(stems), np.array([stem.length for stem in stems]))
    if stems and levels.max() >= len(OPENING):
        raise InputError(
            f"the structure needs {levels.max() + 1} bracket levels, dot-bracket has {len(OPENING)}. Use ct or bpseq."
        )
    marks = ["."] * len(partner_L)
    for stem, level in zip(stems, levels, strict=True):
        for i, j in stem.pairs:
            marks[i], marks[j] = OPENING[level], CLOSING[level]
    return "".join(marks)


def _levels(cross_NN: np.ndarray, weight_N: np.ndarray) -> np.ndarray:
    """DSATUR colours [N] of the crossing graph; within each connected knot the heaviest colour becomes 0."""
    count = len(weight_N)
    level = np.full(count, -1)
    degree = cross_NN.sum(axis=1)
    seen = np.zeros((count, count + 1), dtype=bool)  # seen[n, k]: a stem of level k crosses stem n
    knot = np.arange(count)
    for _ in range(count):
        waiting = np.flatnonzero(level < 0)
        order = np.lexsort((waiting, -degree[waiting], -seen[waiting].sum(axis=1)))
        chosen = waiting[order[0]]
        level[chosen] = int(np.argmin(seen[chosen]))
        seen[cross_NN[chosen], level[chosen]] = True
        touched = np.isin(knot, knot[cross_NN[chosen]]) | (knot == knot[chosen])
        knot[touched] = knot[touched].min()
    for name in np.unique(knot):
        member = knot == name
        pairs = np.bincount(level[member], weights=weight_N[member])
        rank = np.empty(len(pairs), dtype=int)
        rank[np.argsort(-pairs, kind="stable")] = np.arange(len(pairs))
        level[member] = rank[level[member]]
    return level


def from_dot_bracket(structure: str, label: str = "dot-bracket") -> np.ndarray:
    """Read the pairs: int32 [L], index of the paired residue or -1.

    Args:
        structure: one mark a residue: `()`, `[]`, `{}`, `<>`, `Aa` … `Zz`, `.` (or `,:_-~`) and `x`; any mix.
        label: file and line, for messages.

    Raises:
        InputError: an unknown mark or an unbalanced bracket, with its 1-based position.
    """
    partner_L = np.full(len(structure), -1, dtype=np.int32)
    knot_x = "X" in structure
    opened: dict[str, list[int]] = {mark: [] for mark in OPENING}
    for position, mark in enumerate(structure):
        if mark in FREE or (mark == FORCED and not knot_x):
            continue
        if mark in OPENING:
            opened[mark].append(position)
            continue
        level = CLOSING.find(mark)
        if level < 0:
            raise InputError(f"{label}, position {position + 1}: {mark!r} is not a mark of dot-bracket")
        if not opened[OPENING[level]]:
            raise InputError(f"{label}, position {position + 1}: {mark!r} closes nothing; the brackets are unbalanced")
        other = opened[OPENING[level]].pop()
        partner_L[position], partner_L[other] = other, position
    left = sorted(positions[-1] for positions in opened.values() if positions)
    if left:
        mark = structure[left[0]]
        raise InputError(f"{label}, position {left[0] + 1}: {mark!r} is never closed; the brackets are unbalanced")
    return partner_L


def forced_unpaired(structure: str) -> np.ndarray:
    """Which residues must stay unpaired (`x`), bool [L]."""
    if "X" in structure:
        return np.zeros(len(structure), dtype=bool)
    return np.array([mark == FORCED for mark in structure], dtype=bool)


def write_dbn(adjacency: Adjacency, path: Path) -> None:
    """Write `>id`, the sequence and the matching as dot-bracket, `&` between chains, whole or not at all.

    Raises:
        InputError: more than thirty bracket levels would be needed.
    """
    structure = marked(to_dot_bracket(adjacency.partner_L), adjacency.breaks)
    text = f">{adjacency.id}\n{adjacency.rna.text}\n{structure}\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
