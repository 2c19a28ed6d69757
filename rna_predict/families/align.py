"""A sequence aligned to a profile: posterior probabilities of every residue at every match state.

The profile is Plan 7 (Eddy 2011, PLoS Comput Biol 7:e1002195) without repeats: the sequence passes it once. What
differs from HMMER's search, where an alignment breaks off at the first weak end:

- it may begin and end anywhere, but half of the prior lies on the whole profile (`WHOLE`);
- between two match states any number of residues and match states may be jumped over (`JUMP`), in order, so that
  parts on both sides of a long insertion belong to one alignment.

Parameters were chosen on PDB-derived structures (decision 0014), where they mattered little.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.linalg import blas

from rna_predict.families.library import FamilyLibrary
from rna_predict.families.profile import LETTERS, open_profile
from rna_predict.families.search import FamilyHit

WHOLE = 0.5
"""Prior probability that an alignment begins at the first state, and that it ends at the last."""
JUMP = 0.02
"""Prior probability of a jump after a match state."""
SLACK = 15
"""Residues that the window reaches over the place where the profile's ends would lie."""
NEGLIGIBLE = 0.005
"""Posterior probabilities below it are set to 0."""
_SOLVE: Any = getattr(blas, "dtbsv")  # noqa: B009  # a banded triangle; made at run time, so type checkers miss it


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOdds:
    """A profile as the recursions need it.

    Attributes:
        match_4M: odds of each letter against the background in each match state.
        transition_7M1: from state 0 (begin) … M: to match, insertion, deletion from match; to match, insertion from
            insertion; to match, deletion from deletion.
    """

    match_4M: np.ndarray
    transition_7M1: np.ndarray

    @property
    def length(self) -> int:
        """M, number of match states."""
        return self.match_4M.shape[1]


@lru_cache(maxsize=64)
def profile_odds(library: FamilyLibrary, accession: str) -> ProfileOdds:
    """A family's profile, opened once."""
    hmm: Any = open_profile(accession, library.codes[library.number[accession]])
    return ProfileOdds(
        match_4M=np.asarray(hmm.match_emissions, dtype=np.float64)[1:].T * len(LETTERS),
        transition_7M1=np.asarray(hmm.transition_probabilities, dtype=np.float64).T.copy(),
    )


def align_hit(sequence: str, hit: FamilyHit, library: FamilyLibrary) -> np.ndarray:
    """Posterior probability [L, M] that a residue of the sequence stands at a match state of the hit's family.

    Only the window of the hit is aligned: its residues, and as many beyond as the profile has states beyond.

    Args:
        sequence: letters A C G U; the hit is of it.
        hit: found by `search`.
        library: that it was found in.
    """
    first = max(0, hit.query[0] - hit.model[0] - SLACK)
    last = min(len(sequence), hit.query[1] + hit.model_length - hit.model[1] + SLACK)
    posterior_LM = np.zeros((len(sequence), hit.model_length))
    posterior_LM[first:last] = posterior(sequence[first:last], profile_odds(library, hit.accession))
    return np.where(posterior_LM < NEGLIGIBLE, 0.0, posterior_LM)


def posterior(sequence: str, profile: ProfileOdds) -> np.ndarray:
    """Posterior probability [L, M] that a residue stands at a match state; a row's sum is at most 1.

    Forward-backward (Durbin et al. 1998, Biological Sequence Analysis, 3.2 and 4.4), each row scaled to a sum of 1.
    """
    states = _States.of(profile)
    letters = [LETTERS.index(letter) for letter in sequence]
    forward_LM, scale_L, total = _forward(states, letters)
    return _backward(states, letters, forward_LM, scale_L) / total


@dataclass(frozen=True, slots=True)
class _States:
    """Transitions with the ends folded in; vectors over the match states 1 … M, `0` where a way does not exist."""

    match_4M: np.ndarray
    begin_M: np.ndarray  # before the profile -> match
    begin_deleted_M: np.ndarray  # before the profile -> deletion (of state 1)
    end_M: np.ndarray  # match -> after the profile
    end_deleted_M: np.ndarray
    match_match_M: np.ndarray  # from state k to k + 1
    match_insert_M: np.ndarray
    match_deleted_M: np.ndarray
    insert_match_M: np.ndarray
    insert_insert_M: np.ndarray
    deleted_match_M: np.ndarray
    chain_2M: np.ndarray  # I - (deletion k -> k + 1), lower bidiagonal, as BLAS stores bands

    @classmethod
    def of(cls, profile: ProfileOdds) -> "_States":
        length, t = profile.length, profile.transition_7M1
        first, last = np.zeros(length), np.zeros(length)
        first[0] = last[-1] = 1.0
        onward = 1.0 - last
        chain_2M = np.ones((2, length))
        chain_2M[1] = -t[6, 1:] * onward
        return cls(
            match_4M=profile.match_4M,
            begin_M=(1 - WHOLE) / length + WHOLE * t[0, 0] * first,
            begin_deleted_M=WHOLE * t[2, 0] * first,
            end_M=(1 - WHOLE) / length + WHOLE * last,
            end_deleted_M=WHOLE * last,
            match_match_M=t[0, 1:] * onward,
            match_insert_M=t[1, 1:] * onward,
            match_deleted_M=t[2, 1:] * onward,
            insert_match_M=t[3, 1:] * onward,
            insert_insert_M=t[4, 1:] * onward,
            deleted_match_M=t[5, 1:] * onward,
            chain_2M=np.asfortranarray(chain_2M),
        )

    def delete_from(self, into_M: np.ndarray) -> np.ndarray:
        """All deletions, from the ways into the first of each run."""
        return _SOLVE(1, self.chain_2M, into_M, lower=1, diag=1)

    def delete_to(self, out_M: np.ndarray) -> np.ndarray:
        """The same backwards."""
        return _SOLVE(1, self.chain_2M, out_M, lower=1, diag=1, trans=1)


def _shifted(values_M: np.ndarray) -> np.ndarray:
    """From state k to k + 1."""
    return np.concatenate([[0.0], values_M[:-1]])


def _forward(s: _States, letters: list[int]) -> tuple[np.ndarray, np.ndarray, float]:
    """Match states [L, M] after each residue, each row's scale, and the scaled probability of all."""
    length = len(s.begin_M)
    match = insert = jumped = np.zeros(length)
    deleted = s.delete_from(s.begin_deleted_M)
    before, after = 1.0, float(deleted @ s.end_deleted_M)
    forward_LM, scale_L = np.empty((len(letters), length)), np.empty(len(letters))
    for n, letter in enumerate(letters):
        into = match * s.match_match_M + insert * s.insert_match_M + deleted * s.deleted_match_M
        landing = _shifted(np.cumsum(jumped)) / length
        insert = match * s.match_insert_M + insert * s.insert_insert_M
        match = s.match_4M[letter] * (_shifted(into) + landing + before * s.begin_M)
        jumped = jumped + JUMP * match
        deleted = s.delete_from(_shifted(match * s.match_deleted_M) + before * s.begin_deleted_M)
        after += float(match @ s.end_M + deleted @ s.end_deleted_M)
        scale = float(match.sum() + insert.sum() + deleted.sum() + jumped.sum()) + before + after
        match, insert, deleted, jumped = match / scale, insert / scale, deleted / scale, jumped / scale
        before, after = before / scale, after / scale
        forward_LM[n], scale_L[n] = match, scale
    return forward_LM, scale_L, after


def _backward(s: _States, letters: list[int], forward_LM: np.ndarray, scale_L: np.ndarray) -> np.ndarray:
    """Forward times backward [L, M]; divided by the scaled probability of all it is the posterior."""
    length = len(s.begin_M)
    next_match = insert = jumped = np.zeros(length)
    after = 1.0
    result_LM = np.empty_like(forward_LM)
    for n in range(len(letters) - 1, -1, -1):
        onto = np.concatenate([next_match[1:], [0.0]])
        beyond = np.concatenate([np.cumsum(next_match[::-1])[::-1][1:], [0.0]]) / length
        deleted = s.delete_to(onto * s.deleted_match_M + after * s.end_deleted_M)
        jumped = jumped + beyond
        match = onto * s.match_match_M + np.concatenate([deleted[1:], [0.0]]) * s.match_deleted_M
        match += insert * s.match_insert_M + after * s.end_M + JUMP * jumped
        insert = insert * s.insert_insert_M + onto * s.insert_match_M
        result_LM[n] = forward_LM[n] * match
        scale = scale_L[n]
        next_match = s.match_4M[letters[n]] * match / scale
        insert, jumped, after = insert / scale, jumped / scale, after / scale
    return result_LM


def best_path(posterior_LM: np.ndarray, least: float = 0.1) -> list[tuple[int, int]]:
    """(residue, match state) pairs, both rising, with the largest sum of posteriors (Holmes & Durbin 1998).

    Args:
        posterior_LM: from `align_hit`.
        least: pairs with a smaller posterior are left out.
    """
    gain_LM = np.where(posterior_LM >= least, posterior_LM, 0.0)
    rows = np.flatnonzero(gain_LM.any(axis=1))
    best = np.zeros((len(rows) + 1, posterior_LM.shape[1] + 1))
    for n, row in enumerate(rows):
        taken = np.concatenate([[0.0], best[n, :-1] + gain_LM[row]])
        best[n + 1] = np.maximum.accumulate(np.maximum(best[n], taken))
    path, state = [], posterior_LM.shape[1]
    for n in range(len(rows), 0, -1):
        while state and best[n, state] == best[n, state - 1]:
            state -= 1
        if best[n, state] > best[n - 1, state]:
            path.append((int(rows[n - 1]), state - 1))
            state -= 1
    return path[::-1]
