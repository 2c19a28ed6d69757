"""Means over rows and over groups, and their intervals."""

import numpy as np
import pytest

from rna_predict.evaluation.bootstrap import grouped_means, interval, row_weights


def test_both_means_of_a_hand_count():
    values = np.array([[1.0, 0.2], [0.0, np.nan], [0.5, np.nan], [0.5, 0.4]])
    first, second = grouped_means(values, ["tRNA", "tRNA", "tRNA", "5S"], seed=0, draws=100)
    assert first.rows.value == pytest.approx(0.5)
    assert first.groups.value == pytest.approx((0.5 + 0.5) / 2)
    assert second.rows.value == pytest.approx(0.3)
    assert (second.rows.rows, second.rows.groups) == (2, 2)
    weighted = grouped_means(np.array([[1.0], [1.0], [1.0], [0.0]]), ["a", "a", "a", "b"], seed=0, draws=10)[0]
    assert (weighted.rows.value, weighted.groups.value) == (0.75, 0.5)


def test_without_groups_the_interval_is_that_of_the_mean():
    """One row a group: twice 1.96 standard errors."""
    values = np.random.default_rng(1).normal(size=(400, 1))
    mean = grouped_means(values, [str(k) for k in range(400)], seed=3)[0].rows
    assert mean.low is not None
    assert mean.high is not None
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)
    assert mean.low < values.mean() < mean.high


def test_rows_of_one_group_that_agree_count_as_little_more_than_one():
    """Ten groups whose ten rows are equal: the interval is as wide as that of ten rows, not of a hundred."""
    value_G = np.random.default_rng(2).normal(size=10)
    groups = [str(k) for k in range(10)]
    single = grouped_means(value_G[:, None], groups, seed=0)[0].groups
    many = grouped_means(np.repeat(value_G, 10)[:, None], np.repeat(groups, 10).tolist(), seed=0)[0].groups
    apart = grouped_means(np.repeat(value_G, 10)[:, None], [str(k) for k in range(100)], seed=0)[0].groups
    width = [mean.high - mean.low for mean in (single, many, apart)]  # pyright: ignore[reportOptionalOperand]
    assert width[1] == pytest.approx(width[0], rel=0.1)
    assert width[2] < width[1] / 2.5


def test_rows_within_a_group_are_drawn_too():
    """Two groups of equal means, whose rows differ: drawing groups alone would leave nothing to vary."""
    values = np.array([0.0, 1.0] * 20)[:, None]
    mean = grouped_means(values, ["a"] * 20 + ["b"] * 20, seed=0)[0].groups
    assert mean.value == 0.5
    assert mean.low is not None
    assert 0.5 - mean.low == pytest.approx(1.96 * 0.5 / np.sqrt(40), rel=0.2)


def test_columns_are_drawn_together():
    """The interval of a difference is that of the differences: two columns that move as one differ by a constant."""
    column = np.random.default_rng(3).normal(size=60)
    groups = [str(k % 7) for k in range(60)]
    first, second, difference = grouped_means(np.stack([column, column - 0.1, np.full(60, 0.1)], 1), groups, seed=5)
    assert difference.groups.low == pytest.approx(0.1)
    assert first.groups.low == pytest.approx(second.groups.low + 0.1)  # pyright: ignore[reportOptionalOperand]


def test_the_seed_fixes_the_interval():
    values, groups = np.random.default_rng(0).random((30, 1)), [str(k % 5) for k in range(30)]
    assert grouped_means(values, groups, seed=1) == grouped_means(values, groups, seed=1)
    assert grouped_means(values, groups, seed=1) != grouped_means(values, groups, seed=2)


def test_no_rows_and_one_group_have_no_interval():
    empty = grouped_means(np.empty((0, 1)), [], seed=0)[0]
    assert (empty.rows.value, empty.rows.rows) == (None, 0)
    undefined = grouped_means(np.array([[np.nan]]), ["a"], seed=0)[0]
    assert (undefined.groups.value, undefined.groups.groups) == (None, 0)
    alone = grouped_means(np.array([[0.2], [0.6]]), ["a", "a"], seed=0)[0]
    assert alone.rows.value == pytest.approx(0.4)
    assert (alone.rows.low, alone.groups.high, alone.groups.groups) == (None, None, 1)


def test_a_draw_keeps_whole_groups():
    groups = np.array(["a"] * 5 + ["b"] * 3 + ["c"])
    weight_DN = row_weights(groups.tolist(), seed=0, draws=50)
    times = np.stack([weight_DN[:, groups == name].sum(axis=1) / (groups == name).sum() for name in "abc"])
    assert np.array_equal(times, times.astype(int))
    assert (times.sum(axis=0) == 3).all()
    assert times.max() == 3


def test_weights_and_means_are_of_the_same_draws():
    values, groups = np.random.default_rng(0).random(40), [str(k % 6) for k in range(40)]
    weight_DN = row_weights(groups, seed=4)
    mean = grouped_means(values[:, None], groups, seed=4)[0].rows
    assert (mean.low, mean.high) == pytest.approx(interval(weight_DN @ values / weight_DN.sum(axis=1)))
