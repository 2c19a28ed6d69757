"""Alignment of an RNA with library chains by letters and secondary structure: affine gaps, ends free.

A residue of a chain has one of twelve codes, letter and state (unpaired, paired with a residue behind it, or before
it). The query is a profile: what each of its residues scores against each code, so that uncertain pairs count by their
probability. Biopython's aligner takes it as a substitution matrix between positions and codes: 0.1 ms for 80 × 150
residues, a fifth of what rows in numpy took.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rna_predict.chemistry.residues import RESIDUES, residue_codes

if TYPE_CHECKING:
    from Bio.Align import PairwiseAligner

STATES = 3
"""Unpaired, 5' partner of a pair, 3' partner."""
CODES = len(RESIDUES) * STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What two residues score by letter and by state; chosen in docs/decisions/0018-templates.md."""

    match_unpaired: float = 1.5
    mismatch_unpaired: float = -0.5
    match_paired: float = 1.0
    mismatch_paired: float = 0.0
    same_state: float = 1.0
    paired_unpaired: float = -1.5
    other_side: float = -3.0
    gap_open: float = 7.0
    """Cost of the first residue without a partner."""
    gap_extend: float = 0.5
    """Cost of each further one."""


SCORES = Scores()


def state_codes(sequence: str, partner_L: np.ndarray) -> np.ndarray:
    """Code of each residue, int64 [L]: 3 · letter + state, letters in the order of `RESIDUES`."""
    state_L = np.where(partner_L < 0, 0, np.where(partner_L > np.arange(len(partner_L)), 1, 2))
    return residue_codes(sequence) * STATES + state_L


def substitution(scores: Scores = SCORES) -> np.ndarray:
    """Score of two codes, float64 [12, 12]."""
    letter = np.arange(CODES) // STATES
    state = np.arange(CODES) % STATES
    same_letter = letter[:, None] == letter
    both_paired = (state[:, None] > 0) & (state > 0)
    by_letter = np.where(
        both_paired,
        np.where(same_letter, scores.match_paired, scores.mismatch_paired),
        np.where(same_letter, scores.match_unpaired, scores.mismatch_unpaired),
    )
    by_state = np.where(state[:, None] == state, scores.same_state, scores.other_side)
    return by_letter + np.where((state[:, None] > 0) != (state > 0), scores.paired_unpaired, by_state)


def query_profile(sequence: str, state_L3: np.ndarray, scores: Scores = SCORES) -> np.ndarray:
    """Score of each residue against each code, float64 [L, 12].

    Args:
        sequence: the query.
        state_L3: probability of each state, [L, 3].
        scores: of two residues.
    """
    table = substitution(scores).reshape(len(RESIDUES), STATES, CODES)[residue_codes(sequence)]
    return np.einsum("ls,lsc->lc", state_L3, table)


def align_scores(profile_LC: np.ndarray, chains: Sequence[np.ndarray], scores: Scores = SCORES) -> np.ndarray:
    """Score of the best alignment with each chain (its codes), float64 [N]; ends of both may hang over freely."""
    aligner, query_L = _aligner(profile_LC, scores)
    return np.array([aligner.score(query_L, _shifted(chain, len(query_L))) for chain in chains], dtype=np.float64)


def align_chain(profile_LC: np.ndarray, chain: np.ndarray, scores: Scores = SCORES) -> np.ndarray:
    """The best alignment with a chain: position in it of each residue of the query, int64 [L]; -1 for none."""
    aligner, query_L = _aligner(profile_LC, scores)
    partner_L = np.full(len(query_L), -1, dtype=np.int64)
    blocks = aligner.align(query_L, _shifted(chain, len(query_L)))[0].aligned
    for (first, last), (start, stop) in zip(*blocks, strict=True):
        partner_L[first:last] = np.arange(start, stop)
    return partner_L


def align_positions(score_LM: np.ndarray, scores: Scores = SCORES) -> np.ndarray:
    """The best alignment where each pair of positions has a score of its own, int64 [L]; -1 for none."""
    return align_chain(score_LM, np.arange(score_LM.shape[1]), scores)


def _aligner(profile_LC: np.ndarray, scores: Scores) -> tuple["PairwiseAligner", np.ndarray]:
    """Biopython's aligner, in whose alphabet the query's positions come before the codes; and the query in it."""
    from Bio.Align import PairwiseAligner

    length, codes = profile_LC.shape
    matrix = np.zeros((length + codes, length + codes))
    matrix[:length, length:] = profile_LC
    aligner = PairwiseAligner(
        mode="global",
        open_gap_score=-scores.gap_open,
        extend_gap_score=-scores.gap_extend,
        end_gap_score=0.0,
    )
    aligner.substitution_matrix = matrix
    return aligner, np.arange(length, dtype=np.int32)


def _shifted(chain: np.ndarray, length: int) -> np.ndarray:
    return (chain + length).astype(np.int32)
