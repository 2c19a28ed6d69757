"""Reliability and calibration of pair probabilities: values by hand, and maps that are known."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.contracts.given import check_probabilities
from rna_predict.errors import ConfigError, InputError
from rna_predict.evaluation.calibration import (
    Calibration,
    PairSample,
    equal_mass_edges,
    fit_calibration,
    fixed_edges,
    reliability,
    sample_chosen,
    sample_pairs,
)


def sample(probabilities, natives) -> PairSample:
    return PairSample(probability_N=np.array(probabilities, dtype=float), native_N=np.array(natives, dtype=bool))


def drawn(rng: np.random.Generator, pairs: int, power: float = 1.0) -> PairSample:
    """Pairs that are native with the probability p ** power, where p is stated."""
    probability_N = rng.random(pairs)
    return PairSample(probability_N=probability_N, native_N=rng.random(pairs) < probability_N**power)


def test_pairs_are_sampled_above_the_floor_and_those_of_a_matching_whatever_theirs():
    probability_LL = np.zeros((6, 6), dtype=np.float32)
    for i, j, p in ((0, 5, 0.75), (1, 4, 0.25), (0, 4, 0.005)):
        probability_LL[i, j] = probability_LL[j, i] = p
    native_L = np.array([5, -1, -1, -1, -1, 0])
    found = sample_pairs(probability_LL, native_L)
    assert found.probability_N.tolist() == [0.75, 0.25]
    assert found.native_N.tolist() == [True, False]
    chosen = sample_chosen(probability_LL, np.array([4, -1, -1, -1, 0, -1]), native_L)
    assert chosen.probability_N == pytest.approx([0.005])
    assert chosen.native_N.tolist() == [False]


def test_curve_and_error_of_a_hand_count():
    samples = [sample([0.05, 0.15, 0.95], [0, 1, 1]), sample([0.05, 1.0], [1, 0])]
    found = reliability(samples, fixed_edges(10), ["a", "b"], seed=0, draws=50)
    counts = [one.pairs for one in found.bins]
    assert counts == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (found.bins[0].predicted, found.bins[0].native) == (pytest.approx(0.05), 0.5)
    assert (found.bins[2].predicted, found.bins[2].native) == (None, None)
    assert found.bins[9].predicted == pytest.approx(0.975)
    assert found.error.value == pytest.approx((2 * 0.45 + 0.85 + 2 * 0.475) / 5)
    assert (found.error.rows, found.error.groups) == (2, 2)


def test_a_probability_on_an_edge_belongs_to_the_higher_bin():
    found = reliability([sample([0.0, 0.5, 1.0], [0, 0, 0])], np.array([0.0, 0.5, 1.0]), ["a"], seed=0)
    assert [one.pairs for one in found.bins] == [1, 2]


def test_equal_mass_bins_hold_equally_many_pairs():
    samples = [drawn(np.random.default_rng(0), 1000)]
    samples[0].probability_N[:] **= 3
    edges = equal_mass_edges(samples, 8)
    assert [one.pairs for one in reliability(samples, edges, ["a"], seed=0).bins] == pytest.approx([125] * 8, abs=2)
    assert equal_mass_edges([sample([0.3] * 10, [1] * 10)], 8).tolist() == [0.0, 0.3, 1.0]
    assert equal_mass_edges([], 8).tolist() == [0.0, 1.0]


def test_honest_probabilities_have_a_small_error_and_overconfident_ones_the_known_one():
    rng = np.random.default_rng(1)
    groups = [str(k) for k in range(200)]
    honest = reliability([drawn(rng, 100) for _ in groups], fixed_edges(), groups, seed=0).error
    assert honest.value is not None
    assert honest.value < 0.01
    # E |p - p²| over uniform p is 1/6
    proud = reliability([drawn(rng, 100, power=2) for _ in groups], fixed_edges(), groups, seed=0).error
    assert proud.value == pytest.approx(1 / 6, abs=0.01)
    assert proud.low is not None
    assert proud.high is not None
    assert proud.low < 1 / 6 < proud.high
    assert proud.high - proud.low < 0.04


def test_rnas_of_one_family_widen_the_interval():
    rng = np.random.default_rng(2)
    bias = rng.choice([0.5, 2.0], 20)
    samples = [drawn(rng, 50, power=bias[k % 20]) for k in range(100)]
    apart = reliability(samples, fixed_edges(1), [str(k) for k in range(100)], seed=0).error
    together = reliability(samples, fixed_edges(1), [str(k % 20) for k in range(100)], seed=0).error
    assert apart.value == together.value
    assert together.high - together.low > 1.3 * (apart.high - apart.low)  # pyright: ignore[reportOptionalOperand]


def test_without_a_pair_there_is_no_error():
    nothing = reliability([sample([], [])], fixed_edges(), ["a"], seed=0)
    assert (nothing.error.value, nothing.error.rows) == (None, 0)
    assert reliability([], fixed_edges(), [], seed=0).error.value is None


def test_a_known_map_is_found_again():
    rng = np.random.default_rng(3)
    true = Calibration(a=0.6, b=0.3, c=-0.7)
    stated_N = np.clip(rng.beta(0.3, 0.3, 200_000), 1e-3, 1 - 1e-6)
    natives = rng.random(len(stated_N)) < true.probability(stated_N)
    found = fit_calibration([PairSample(probability_N=stated_N, native_N=natives)])
    assert (found.a, found.b, found.c) == pytest.approx((0.6, 0.3, -0.7), abs=0.03)
    assert (found.rnas, found.pairs) == (1, 200_000)


def test_honest_probabilities_are_left_as_they_are():
    found = fit_calibration([drawn(np.random.default_rng(4), 100_000)])
    p = np.linspace(0.01, 0.99, 99)
    assert found.probability(p) == pytest.approx(p, abs=0.01)


def test_a_fit_mends_the_error_on_other_rnas():
    rng = np.random.default_rng(5)
    found = fit_calibration([drawn(rng, 50, power=2) for _ in range(200)])
    others = [drawn(rng, 50, power=2) for _ in range(200)]
    mended = [PairSample(probability_N=found.probability(o.probability_N), native_N=o.native_N) for o in others]
    groups = [str(k) for k in range(200)]
    before, after = (reliability(s, fixed_edges(), groups, seed=0).error.value for s in (others, mended))
    assert before == pytest.approx(1 / 6, abs=0.02)
    assert after is not None
    assert after < 0.02


@settings(deadline=None)
@given(st.floats(1e-3, 5), st.floats(1e-3, 5), st.floats(-5, 5), st.floats(1e-4, 0.1))
def test_the_map_increases_from_zero_without_a_jump(a, b, c, floor):
    found = Calibration(a=a, b=b, c=c, floor=floor)
    p = np.concatenate([[0.0], np.geomspace(1e-9, 0.5, 200), 1 - np.geomspace(0.5, 1e-6, 200)[1:]])
    q = found.probability(p)
    assert q[0] == 0.0
    assert (np.diff(q) >= 0).all()
    assert q.max() <= 1.0
    below, above = found.probability(np.array([floor * (1 - 1e-9), floor * (1 + 1e-9)]))
    assert above == pytest.approx(below, rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(0, 10_000), st.floats(-4, 4))
def test_a_mapped_matrix_is_one_of_pair_probabilities(length, seed, shift):
    rng = np.random.default_rng(seed)
    matrix = np.triu(rng.random((length, length)) ** 3, k=1)
    matrix += matrix.T
    matrix /= max(matrix.sum(axis=1).max(), 1e-9)
    mapped = Calibration(a=0.6, b=0.4, c=shift).apply(matrix)
    check_probabilities("mapped", mapped)
    assert mapped.sum(axis=1, dtype=np.float64).max() <= 1.0
    assert mapped.dtype == np.float32
    assert np.array_equal(mapped, mapped.T)


def test_rows_that_do_not_overflow_keep_the_map_and_the_order():
    matrix = np.zeros((8, 8))
    for i, j, p in ((0, 7, 0.9), (1, 6, 0.4), (1, 5, 0.3), (2, 5, 0.002)):
        matrix[i, j] = matrix[j, i] = p
    calibration = Calibration(a=0.6, b=0.3, c=-0.7)
    assert calibration.apply(matrix) == pytest.approx(calibration.probability(matrix), rel=1e-6)
    assert calibration.probability(np.array([0.9]))[0] < 0.9


def test_the_numbers_survive_json_and_foreign_ones_are_refused():
    found = fit_calibration([drawn(np.random.default_rng(0), 500, power=2)])
    values = json.loads(json.dumps(found.values()))
    assert Calibration.from_values(values, "weights.json") == found
    with pytest.raises(ConfigError, match=r"weights\.json: .*'a' is missing or unknown"):
        Calibration.from_values({name: value for name, value in values.items() if name != "a"}, "weights.json")
    with pytest.raises(ConfigError, match=r"weights\.json: b is 'x', not a number"):
        Calibration.from_values(values | {"b": "x"}, "weights.json")
    with pytest.raises(ConfigError, match=r"calibration\.a: -1 is not above 0"):
        Calibration.from_values(values | {"a": -1}, "weights.json")
    with pytest.raises(ConfigError, match=r"calibration\.c: nan"):
        Calibration(a=1, b=1, c=float("nan"))
    with pytest.raises(ConfigError, match=r"calibration\.floor: 0 "):
        Calibration(a=1, b=1, c=0, floor=0)


@pytest.mark.parametrize("natives", [[1, 1], [0, 0], []])
def test_one_kind_of_pair_alone_fits_nothing(natives):
    with pytest.raises(InputError, match="Give more RNAs"):
        fit_calibration([sample([0.2, 0.4][: len(natives)], natives)])
