"""Alignments by letters and states: Biopython's own on hard states, linear in soft ones, pairs held together."""

import numpy as np
import pytest
from Bio.Align import PairwiseAligner, substitution_matrices

from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.templates import search
from rna_predict.templates.align import (
    CODES,
    SCORES,
    STATES,
    align_chain,
    align_positions,
    align_scores,
    query_profile,
    state_codes,
    substitution,
)
from rna_predict.templates.search import align_rows

from .conftest import ADENINE, TRNA, adjacency_of, row_of

ALPHABET = "ABCDEFGHIJKL"


def hard(codes: np.ndarray) -> np.ndarray:
    return np.eye(STATES)[codes % STATES]


def profile_of(row) -> tuple[np.ndarray, np.ndarray]:
    codes = state_codes(row.sequence, row.partner_L)
    return query_profile(row.sequence, hard(codes)), codes


@pytest.fixture
def biopython() -> PairwiseAligner:
    matrix = substitution_matrices.Array(alphabet=ALPHABET, dims=2, data=substitution())
    costs = {"open_gap_score": -SCORES.gap_open, "extend_gap_score": -SCORES.gap_extend, "end_gap_score": 0.0}
    return PairwiseAligner(mode="global", substitution_matrix=matrix, **costs)


def test_states_are_free_then_five_then_three_prime():
    codes = state_codes("GACAUC", from_dot_bracket("(....)"))
    assert codes.tolist() == [7, 0, 3, 0, 9, 5]


def test_the_substitution_is_symmetric_and_likes_the_same_code_best():
    table = substitution()
    assert table.shape == (CODES, CODES)
    assert (table == table.T).all()
    assert (table.argmax(axis=1) == np.arange(CODES)).all()


def test_scores_are_those_of_biopython_s_strings(carried, biopython):
    profile, codes = profile_of(row_of(carried, TRNA))
    text = "".join(ALPHABET[code] for code in codes)
    chains = [state_codes(row.sequence, row.partner_L) for row in carried.rows[::20]]
    expected = [biopython.score(text, "".join(ALPHABET[code] for code in chain)) for chain in chains]
    assert align_scores(profile, chains) == pytest.approx(expected)


def test_a_soft_state_scores_its_mean(carried):
    row = row_of(carried, TRNA)
    codes = state_codes(row.sequence, row.partner_L)
    free = np.eye(STATES)[np.zeros(len(codes), dtype=int)]
    mixed = query_profile(row.sequence, 0.3 * hard(codes) + 0.7 * free)
    assert mixed == pytest.approx(
        0.3 * query_profile(row.sequence, hard(codes)) + 0.7 * query_profile(row.sequence, free)
    )


def test_a_chain_aligns_with_itself_residue_by_residue(carried):
    profile, codes = profile_of(row_of(carried, ADENINE))
    assert align_chain(profile, codes).tolist() == list(range(len(codes)))
    assert align_positions(profile[:, codes]).tolist() == list(range(len(codes)))


def test_what_a_chain_lacks_stays_unaligned(carried):
    profile, codes = profile_of(row_of(carried, ADENINE))
    without = np.delete(codes, np.arange(20, 26))
    position = align_chain(profile, without)
    gap = np.flatnonzero(position == -1)
    assert len(gap) == 6
    assert np.ptp(gap) == 5
    assert 18 <= gap[0] <= 22
    assert position[-1] == len(without) - 1
    assert position[0] == 0


def test_the_chain_with_the_same_fold_wins_over_the_one_with_the_same_letters(carried):
    """Stems with every letter exchanged keep their score; the same letters without the stems lose theirs."""
    row = row_of(carried, TRNA)
    profile, _ = profile_of(row)
    exchange = str.maketrans("ACGU", "UGCA")
    other = "".join(
        letter.translate(exchange) if mate >= 0 else letter
        for letter, mate in zip(row.sequence, row.partner_L, strict=True)
    )
    folded = state_codes(other, row.partner_L)
    unfolded = state_codes(row.sequence, np.full(len(row.sequence), -1))
    scores = align_scores(profile, [folded, unfolded])
    assert scores[0] > scores[1]


def test_the_second_alignment_carries_more_pairs_over(carried, monkeypatch):
    row = row_of(carried, TRNA)
    adjacency = adjacency_of(row.sequence, row.partner_L)

    def common() -> int:
        found = align_rows(adjacency, carried.rows, range(len(carried.rows)), 60)
        return sum(one.features.common_pairs for one in found)

    with_bonus = common()
    monkeypatch.setattr(search, "PAIR_BONUS", 0.0)
    assert with_bonus > common() + 10
