"""Means over rows that come in groups (RNAs in families), with intervals that know of the groups.

RNAs of one family resemble each other: a thousand of them are no thousand independent trials. The bootstrap therefore
draws groups with replacement, and within each drawn group its rows with replacement (Davison & Hinkley 1997, §3.8).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean and its percentile interval; None where no row has a value.

    Attributes:
        value: the mean.
        low: lower end of the interval; None, like `high`, with fewer than two groups, which say nothing of others.
        high: upper end.
        rows: rows with a value.
        groups: groups with a row with a value.
    """

    value: float | None
    low: float | None
    high: float | None
    rows: int
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """One measure averaged in two ways.

    Attributes:
        rows: every row counts once; large groups weigh more.
        groups: mean over groups of their rows' means; every group counts once.
    """

    rows: Mean
    groups: Mean


def grouped_means(
    values_NM: np.ndarray, groups: Sequence[str], seed: int, draws: int = DRAWS, level: float = LEVEL
) -> list[Means]:
    """Both means of each column, all columns on the same draws.

    Args:
        values_NM: float [N, M]; NaN marks a row without a value in that column, which is left out there.
        groups: name of each row's group, N of them.
        seed: of the draws. They depend on rows, groups and order, not on the values.
        draws: how many.
        level: share of the draws between the ends of the interval.
    """
    values_NM = np.asarray(values_NM, dtype=np.float64)
    code_N, names = _group_codes(groups)
    known_NM = np.isfinite(values_NM)
    filled_NM = np.where(known_NM, values_NM, 0.0)
    count_GM, sum_GM = (_by_group(part, code_N, len(names)) for part in (known_NM.astype(float), filled_NM))
    drawn = _draw(filled_NM, known_NM, code_N, np.random.default_rng(seed), draws)
    rows_M, groups_M = _rows_mean(sum_GM, count_GM), _groups_mean(sum_GM, count_GM)
    found = []
    for column in range(values_NM.shape[1]):
        rows, members = int(known_NM[:, column].sum()), int((count_GM[:, column] > 0).sum())
        pair = [
            _mean(value[column], drawn_DM[:, column], rows, members, level)
            for value, drawn_DM in zip((rows_M, groups_M), drawn, strict=True)
        ]
        found.append(Means(rows=pair[0], groups=pair[1]))
    return found


def row_weights(groups: Sequence[str], seed: int, draws: int = DRAWS) -> np.ndarray:
    """How often each row is drawn, float [D, N]: groups with replacement, and rows within each with replacement.

    For statistics of sums over rows that are no mean of a column, such as a calibration error.
    """
    code_N, names = _group_codes(groups)
    weight_DN = np.zeros((draws, len(code_N)))
    for draw_K, member_N, weight_KN in _group_draws(code_N, len(names), np.random.default_rng(seed), draws):
        part_DN = np.zeros((draws, int(member_N.sum())))
        np.add.at(part_DN, draw_K, weight_KN)
        weight_DN[:, member_N] = part_DN
    return weight_DN


def interval(drawn_D: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval of a statistic's draws."""
    low, high = np.quantile(drawn_D, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _group_codes(groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    names, code_N = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return code_N, names


def _by_group(part_NM: np.ndarray, code_N: np.ndarray, groups: int) -> np.ndarray:
    """Sums within groups [G, M]."""
    total_GM = np.zeros((groups, part_NM.shape[1]))
    np.add.at(total_GM, code_N, part_NM)
    return total_GM


def _draw(
    filled_NM: np.ndarray, known_NM: np.ndarray, code_N: np.ndarray, rng: np.random.Generator, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means over rows and over groups of every draw, each [D, M]."""
    groups, columns = int(code_N.max(initial=-1)) + 1, filled_NM.shape[1]
    sum_DM, count_DM, mean_DM, used_DM = np.zeros((4, draws, columns))
    for draw_K, member_N, weight_KN in _group_draws(code_N, groups, rng, draws):
        sum_KM, count_KM = weight_KN @ filled_NM[member_N], weight_KN @ known_NM[member_N]
        np.add.at(sum_DM, draw_K, sum_KM)
        np.add.at(count_DM, draw_K, count_KM)
        np.add.at(mean_DM, draw_K, sum_KM / np.maximum(count_KM, 1))
        np.add.at(used_DM, draw_K, count_KM > 0)
    return _ratio(sum_DM, count_DM), _ratio(mean_DM, used_DM)


def _group_draws(
    code_N: np.ndarray, groups: int, rng: np.random.Generator, draws: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each group: the draws that have it [K], its rows bool [N], and how often each of them is drawn [K, rows].

    A draw that has the group twice stands there twice, and its rows are drawn anew.
    """
    chosen_DG = rng.integers(max(groups, 1), size=(draws, groups))
    for code in range(groups):
        draw_K = np.repeat(np.arange(draws), (chosen_DG == code).sum(axis=1))
        member_N = code_N == code
        size = int(member_N.sum())
        yield draw_K, member_N, rng.multinomial(size, np.full(size, 1 / size), size=len(draw_K)).astype(float)


def _rows_mean(sum_GM: np.ndarray, count_GM: np.ndarray) -> np.ndarray:
    return _ratio(sum_GM.sum(axis=0), count_GM.sum(axis=0))


def _groups_mean(sum_GM: np.ndarray, count_GM: np.ndarray) -> np.ndarray:
    return _ratio((sum_GM / np.maximum(count_GM, 1)).sum(axis=0), (count_GM > 0).sum(axis=0))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=np.asarray(whole) > 0)


def _mean(value: float, drawn_D: np.ndarray, rows: int, groups: int, level: float) -> Mean:
    if not rows:
        return Mean(value=None, low=None, high=None, rows=0, groups=0)
    drawn_D = drawn_D[np.isfinite(drawn_D)]
    if groups < 2 or not len(drawn_D):
        return Mean(value=float(value), low=None, high=None, rows=rows, groups=groups)
    low, high = interval(drawn_D, level)
    return Mean(value=float(value), low=low, high=high, rows=rows, groups=groups)
