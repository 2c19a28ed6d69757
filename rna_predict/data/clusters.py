"""Clusters of similar sequences: what may not stand on both sides of a split.

Identity is the number of equal letters in the best alignment, as a share of the shorter sequence; ends may hang over
freely. Scores are those of CD-HIT-EST (match 2, mismatch -2, gap -6, each further letter of it -1). The alignment is
Biopython's: 0.15 ms for a pair of the 649 sequences in our structures, 7 ms at 500 nt, 0.23 s at 3000 nt. (parasail
takes 0.014, 0.19 and 3.6 ms; as few long pairs remain to be aligned, it was not worth another dependency.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from rapidfuzz.distance import LCSseq

from rna_predict.chemistry.residues import residue_codes

if TYPE_CHECKING:
    from Bio.Align import PairwiseAligner

MATCH, MISMATCH, GAP_OPEN, GAP_EXTEND = 2.0, -2.0, -6.0, -1.0

WORD = 4
"""Letters of the words by which pairs are left out before they are aligned."""

LONG, LONG_WORD = 300, 8
"""From 300 residues on, where random sequences have all short words in common, words of 8 letters tell them apart."""

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


def greedy_clusters(sequences: Sequence[str], identity: float, coverage: float = 0.0) -> list[int]:
    """Number of each sequence's cluster, from 0.

    Sequences are taken from the longest to the shortest; each joins the first cluster whose representative, its
    longest member, it shares `identity` with, else it founds a new one. The order of the input changes nothing but
    the order of the output.

    With `coverage` a sequence joins only clusters whose representative it covers that share of: pieces of long RNAs
    then stay apart from them.

    A pair is aligned only when it has enough words in common: n letters of which a share of 1 - identity differ keep
    at least n - WORD + 1 - WORD (1 - identity) n words. A gap in the shorter sequence costs words too, so that a pair
    close to the threshold with many gaps can be missed. Long sequences must also share half of the words of 8 letters
    that are left on average when differences fall anywhere, identity^8 n; more are left where they fall together.
    Last, no alignment has more equal letters than the longest common subsequence, which costs a microsecond.
    """
    founders: list[str] = []
    long_words: list[np.ndarray] = []
    words = np.zeros((16, len(_ALPHABET) ** WORD), dtype=np.int32)
    cluster_of: dict[str, int] = {}
    for letters in sorted(set(sequences), key=lambda text: (-len(text), text)):
        own = word_counts(letters)
        needed = len(letters) - WORD + 1 - WORD * (1 - identity) * len(letters)
        shared = np.minimum(words[: len(founders)], own).sum(axis=1)
        near = (number for number in np.flatnonzero(shared >= needed) if _may_join(letters, founders[number], coverage))
        if len(letters) >= LONG:
            codes, enough = np.unique(word_codes(letters, LONG_WORD)), identity**LONG_WORD * len(letters) / 2
            near = (n for n in near if len(np.intersect1d(codes, long_words[n], assume_unique=True)) >= enough)
        least = ceil(identity * len(letters) - 1e-9)  # letters are the shorter sequence: founders come longest first
        near = (n for n in near if LCSseq.similarity(letters, founders[n], score_cutoff=least) >= least)
        home = next((n for n in near if align(letters, founders[n]).identity >= identity), None)
        if home is None:
            home = len(founders)
            founders.append(letters)
            long_words.append(np.unique(word_codes(letters, LONG_WORD)))
            if home == len(words):
                words = np.concatenate([words, np.zeros_like(words)])
            words[home] = own
        cluster_of[letters] = int(home)
    return [cluster_of[letters] for letters in sequences]


def word_counts(letters: str) -> np.ndarray:
    """How often each of the 4^WORD words occurs, int32."""
    return np.bincount(word_codes(letters, WORD), minlength=len(_ALPHABET) ** WORD).astype(np.int32)


def word_codes(letters: str, size: int) -> np.ndarray:
    """A number for each word of `size` letters, int64 in [0, 4^size)."""
    code_L = residue_codes(letters)
    starts = max(len(code_L) - size + 1, 0)
    code_W = np.zeros(starts, dtype=np.int64)
    for k in range(size):
        code_W = code_W * len(_ALPHABET) + code_L[k : k + starts]
    return code_W


def _may_join(letters: str, founder: str, coverage: float) -> bool:
    least = coverage if len(letters) >= SHORT else max(coverage, SHORT_COVERAGE)
    return len(letters) >= least * len(founder)


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
