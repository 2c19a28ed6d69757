"""Agreement of base pairs: values by hand, and parity with a matrix and with ViennaRNA."""

import math

import numpy as np
import pytest
import RNA
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.errors import ContractError
from rna_predict.evaluation.base_pairs import PairCounts, count_near, crossing_pairs, pairs_of, score_pairs
from rna_predict.formats.dot_bracket import from_dot_bracket


def score(predicted: str, native: str, sequence: str | None = None):
    return score_pairs(from_dot_bracket(predicted), from_dot_bracket(native), sequence or "A" * len(native))


@st.composite
def matchings(draw, length: int) -> np.ndarray:
    """Any matching, crossing or not, close or not."""
    order = draw(st.permutations(range(length)))
    count = draw(st.integers(0, length // 2))
    partner_L = np.full(length, -1, dtype=np.int32)
    for first, second in zip(order[:count], order[count : 2 * count], strict=True):
        partner_L[first], partner_L[second] = second, first
    return partner_L


two_matchings = st.integers(2, 25).flatmap(lambda length: st.tuples(matchings(length), matchings(length)))


def test_a_hand_count():
    """Native pairs 0-11 1-10 2-9 3-8; predicted 0-11 1-10 3-9: the last is one off from 2-9 and from 3-8."""
    predicted, native = np.full(12, -1), np.full(12, -1)
    for partner_L, pairs in ((predicted, [(0, 11), (1, 10), (3, 9)]), (native, [(0, 11), (1, 10), (2, 9), (3, 8)])):
        for i, j in pairs:
            partner_L[i], partner_L[j] = j, i
    found = score_pairs(predicted, native, "A" * 12)
    assert (found.exact.precision, found.exact.recall) == (2 / 3, 2 / 4)
    assert found.exact.f1 == pytest.approx(2 * 2 / (3 + 4))
    assert (found.near.right, found.near.found) == (3, 4)
    assert (found.near.precision, found.near.recall, found.near.f1, found.near.mcc) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("shift", "near"), [((1, 0), True), ((0, 1), True), ((-1, 0), True), ((1, -1), False), ((2, 0), False)]
)
def test_one_position_at_one_end_only(shift, near):
    native = np.array([[5, 20]])
    predicted = native + np.array(shift)
    assert count_near(predicted, native, 30).right == int(near)


def test_one_native_pair_may_excuse_two_predicted_ones():
    counts = count_near(np.array([[4, 20], [5, 21]]), np.array([[5, 20]]), 30)
    assert (counts.right, counts.found) == (2, 1)
    assert (counts.precision, counts.recall) == (1.0, 1.0)


def test_what_is_undefined_is_none_and_what_is_missed_is_zero():
    nothing = score("....", "....").exact
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.mcc) == (None, None, None, None)
    for predicted, native in (("(...)", "....."), (".....", "(...)"), ("(...).", ".(...)")):
        found = score(predicted, native).exact
        assert (found.precision, found.recall, found.f1) == (0.0, 0.0, 0.0)
    assert score("(...)", ".....").exact.mcc == 0.0
    assert score(".....", "(...)").exact.mcc == 0.0
    assert score("(...).", ".(...)").exact.mcc == pytest.approx(-1 / 14)


def test_pseudoknot_pairs_are_those_of_both_helices():
    knot = "((..[[..))..]]"
    assert crossing_pairs(pairs_of(from_dot_bracket(knot))).tolist() == [[0, 9], [1, 8], [4, 13], [5, 12]]
    with_hairpin = score("((..[[..))..]].(...)", "((..[[..))..]].(...)").crossing
    assert (with_hairpin.native, with_hairpin.predicted, with_hairpin.right) == (4, 4, 4)
    half = score("((......))....", knot)
    assert half.exact.recall == 0.5
    assert (half.crossing.predicted, half.crossing.f1) == (0, 0.0)
    assert score("((......))....", "((......))....").crossing.f1 is None
    assert score(knot, "((......))....").crossing.f1 == 0.0


def test_canonical_pairs_alone_leave_out_close_and_other_pairs_on_both_sides():
    sequence = "GAAAAUCGAAAAAGAAC"
    native = "((...))(...).(..)"  # the hairpin's G-C and A-U are canonical; 8-12 is G-A, and 14-17 has two between
    found = score("((...))..........", native, sequence)
    assert (found.exact.native, found.exact.f1) == (4, pytest.approx(2 * 2 / 6))
    assert (found.canonical.native, found.canonical.f1) == (2, 1.0)


@settings(deadline=None)
@given(two_matchings)
def test_counts_and_mcc_equal_those_of_the_matrix(matching):
    predicted_L, native_L = matching
    length = len(predicted_L)
    predicted_LL, native_LL = np.zeros((2, length, length), dtype=bool)
    for matrix, partner_L in ((predicted_LL, predicted_L), (native_LL, native_L)):
        for i, j in enumerate(partner_L):
            if j >= 0:
                matrix[i, j] = True
    upper = np.triu_indices(length, k=1)
    predicted, native = predicted_LL[upper], native_LL[upper]
    exact = score_pairs(predicted_L, native_L, "A" * length).exact
    true_positive, true_negative = int((predicted & native).sum()), int((~predicted & ~native).sum())
    false_positive, false_negative = int((predicted & ~native).sum()), int((~predicted & native).sum())
    assert (exact.right, exact.predicted - exact.right) == (true_positive, false_positive)
    assert (exact.native - exact.found, exact.possible) == (false_negative, len(predicted))
    if predicted.any() and native.any() and not (predicted.all() or native.all()):
        assert exact.mcc == pytest.approx(np.corrcoef(predicted, native)[0, 1])
        product = (true_positive + false_positive) * (true_positive + false_negative)
        product *= (true_negative + false_positive) * (true_negative + false_negative)
        expected = (true_positive * true_negative - false_positive * false_negative) / math.sqrt(product)
        assert exact.mcc == pytest.approx(expected)


@settings(deadline=None)
@given(two_matchings)
def test_near_counts_equal_those_of_a_smeared_matrix(matching):
    predicted_L, native_L = matching
    length = len(predicted_L)

    def smeared(partner_L):
        matrix = np.zeros((length + 2, length + 2), dtype=bool)
        for i, j in enumerate(partner_L):
            if j > i:
                for row, column in ((i, j), (i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                    matrix[row + 1, column + 1] = True
        return matrix

    near = score_pairs(predicted_L, native_L, "A" * length).near
    around_native, around_predicted = smeared(native_L), smeared(predicted_L)
    assert near.right == sum(around_native[i + 1, j + 1] for i, j in enumerate(predicted_L) if j > i)
    assert near.found == sum(around_predicted[i + 1, j + 1] for i, j in enumerate(native_L) if j > i)


@settings(deadline=None, max_examples=40)
@given(st.integers(20, 80), st.randoms(use_true_random=False))
def test_differing_pairs_are_viennarnas_base_pair_distance(length, random):
    sequences = ["".join(random.choices("ACGU", k=length)) for _ in range(2)]
    first, second = (RNA.fold(sequence)[0] for sequence in sequences)
    exact = score(first, second).exact
    assert exact.predicted + exact.native - 2 * exact.right == RNA.bp_distance(first, second)


def test_added_counts_are_pooled_over_pairs():
    total = score("(...)....", "(...)....").exact + score("(...)....", ".(......)").exact
    assert total == PairCounts(possible=72, native=2, predicted=2, right=1, found=1)
    assert total.f1 == 0.5


def test_another_length_or_no_matching_is_refused():
    with pytest.raises(ContractError, match="5, 6 and 6 residues"):
        score_pairs(np.full(5, -1), np.full(6, -1), "AAAAAA")
    with pytest.raises(ContractError, match="mutual"):
        score_pairs(np.array([1, -1]), np.array([-1, -1]), "AA")
    with pytest.raises(ContractError, match="paired with itself"):
        score_pairs(np.array([0, -1]), np.array([-1, -1]), "AA")
