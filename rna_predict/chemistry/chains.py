"""How several chains stand in one sequence: letters one after the other, and `breaks`, where further chains begin.

`breaks` are the first residues of all chains but the first, 0-based and rising; one chain has none.
"""

import itertools

import numpy as np

CHAIN_SEPARATOR = "&"
"""Stands between the chains of a complex wherever it is written as one text."""


def split_chains(text: str, breaks: tuple[int, ...]) -> list[str]:
    """Letters, or marks of residues, chain by chain."""
    return [text[start:stop] for start, stop in itertools.pairwise((0, *breaks, len(text)))]


def marked(text: str, breaks: tuple[int, ...]) -> str:
    """Letters, or marks of residues, with `CHAIN_SEPARATOR` between chains."""
    return CHAIN_SEPARATOR.join(split_chains(text, breaks))


def spaced(length: int, breaks: tuple[int, ...], between: int) -> np.ndarray:
    """int64 [L], place of each residue where `between` places are left out between two chains."""
    return np.arange(length) + between * chain_of(length, breaks)


def chain_of(length: int, breaks: tuple[int, ...]) -> np.ndarray:
    """int64 [L], index of each residue's chain."""
    return np.searchsorted(np.array(breaks, dtype=np.int64), np.arange(length), side="right")


def linked(length: int, breaks: tuple[int, ...]) -> np.ndarray:
    """bool [L-1], residues i and i + 1 are of one chain."""
    found = np.ones(max(length - 1, 0), dtype=bool)
    found[[first - 1 for first in breaks]] = False
    return found
