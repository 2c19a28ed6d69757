"""Clusters of similar sequences: what may not stand on both sides of a split.

Identity is the number of equal letters in the best alignment, as a share of the shorter sequence; ends may hang over
freely. Scores are those of CD-HIT-EST (match 2, mismatch -2, gap -6, each further letter of it -1). The alignment is
Biopython's, which takes 0.16 ms for a pair of 52 nt and does not need another dependency for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rna_predict.chemistry.residues import residue_codes

if TYPE_CHECKING:
    from Bio.Align import PairwiseAligner

MATCH, MISMATCH, GAP_OPEN, GAP_EXTEND = 2.0, -2.0, -6.0, -1.0

WORD = 4
"""Letters of the words by which pairs are left out before they are aligned."""

SHORT = 20
"""Residues; a shorter strand matches somewhere in any long RNA by chance (16 of 20 in one of 20 ribosomal chains)."""

SHORT_COVERAGE = 0.8
"""A `SHORT` strand joins only clusters whose representative is at most 1/0.8 times as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Equal letters in the best alignment of two sequences."""

    count: int
    shorter: int

    @property
    def identity(self) -> float:
        """Share of the shorter sequence."""
        return self.count / self.shorter


def align(first: str, second: str) -> Matches:
    """Align two sequences from end to end, overhangs free."""
    shorter = min(len(first), len(second))
    if first == second:
        return Matches(count=shorter, shorter=shorter)
    best = _aligner().align(first, second)[0]
    return Matches(count=int(best.counts().identities), shorter=shorter)


def greedy_clusters(sequences: Sequence[str], identity: float) -> list[int]:
    """Number of each sequence's cluster, from 0.

    Sequences are taken from the longest to the shortest; each joins the first cluster whose representative, its
    longest member, it shares `identity` with, else it founds a new one. The order of the input changes nothing but
    the order of the output.

    A pair is aligned only when it has enough words in common: n letters of which a share of 1 - identity differ keep
    at least n - WORD + 1 - WORD (1 - identity) n words. A gap in the shorter sequence costs words too, so that a pair
    close to the threshold with many gaps can be missed.
    """
    founders: list[str] = []
    words = np.zeros((16, len(_ALPHABET) ** WORD), dtype=np.int32)
    cluster_of: dict[str, int] = {}
    for letters in sorted(set(sequences), key=lambda text: (-len(text), text)):
        own = word_counts(letters)
        needed = len(letters) - WORD + 1 - WORD * (1 - identity) * len(letters)
        shared = np.minimum(words[: len(founders)], own).sum(axis=1)
        near = (number for number in np.flatnonzero(shared >= needed) if _may_join(letters, founders[number]))
        home = next((n for n in near if align(letters, founders[n]).identity >= identity), None)
        if home is None:
            home = len(founders)
            founders.append(letters)
            if home == len(words):
                words = np.concatenate([words, np.zeros_like(words)])
            words[home] = own
        cluster_of[letters] = int(home)
    return [cluster_of[letters] for letters in sequences]


def word_counts(letters: str) -> np.ndarray:
    """How often each of the 4^WORD words occurs, int32."""
    code_L = residue_codes(letters)
    starts = max(len(code_L) - WORD + 1, 0)
    code_W = sum(code_L[k : k + starts] * len(_ALPHABET) ** k for k in range(WORD))
    return np.bincount(code_W, minlength=len(_ALPHABET) ** WORD).astype(np.int32)


def _may_join(letters: str, founder: str) -> bool:
    return len(letters) >= SHORT or len(letters) >= SHORT_COVERAGE * len(founder)


_ALPHABET = "ACGU"


@lru_cache(maxsize=1)
def _aligner() -> "PairwiseAligner":
    from Bio.Align import PairwiseAligner

    return PairwiseAligner(
        mode="global",
        match_score=MATCH,
        mismatch_score=MISMATCH,
        open_gap_score=GAP_OPEN,
        extend_gap_score=GAP_EXTEND,
        end_gap_score=0.0,
    )
