"""Whether pair probabilities mean what they say, and a monotone map that makes them.

Reliability: of the pairs that were given a probability near p, which share is native? The expected calibration error
(Naeini et al., AAAI 2015) is the mean distance between the two, weighted by pairs. Pairs below a floor are not
looked at: nearly all of an RNA's L²/2 pairs have a probability near 0, and they would make any model look calibrated.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
from scipy.optimize import minimize

from rna_predict.errors import ConfigError, InputError
from rna_predict.evaluation.bootstrap import DRAWS, Mean, interval, row_weights

FLOOR = 0.01
"""Pairs of a lower probability are left out of reliability and calibration error."""

FIT_FLOOR = 1e-3
"""Pairs of a lower probability are left out when a calibration is fitted."""

BINS = 10

CERTAIN = 1 - 1e-6
"""Probabilities above are fitted and mapped as this: the logarithm of 1 - p ends there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSample:
    """Probabilities of some pairs of one RNA, and which of them are native.

    Attributes:
        probability_N: float64 [N].
        native_N: bool [N].
    """

    probability_N: np.ndarray
    native_N: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One point of a reliability curve.

    Attributes:
        low: smallest probability of the bin.
        high: largest; it belongs to the next bin, but for the last one.
        pairs: pairs in it.
        predicted: their mean probability; None in an empty bin.
        native: share of them that are native; None in an empty bin.
    """

    low: float
    high: float
    pairs: int
    predicted: float | None
    native: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """A reliability curve and its error.

    Attributes:
        bins: from low to high probability.
        error: expected calibration error with its interval, groups and rows as in `bootstrap.Mean`.
    """

    bins: tuple[Bin, ...]
    error: Mean


def sample_pairs(probability_LL: np.ndarray, native_L: np.ndarray, floor: float = FLOOR) -> PairSample:
    """Every pair i < j of an RNA with a probability of at least `floor`.

    Args:
        probability_LL: float [L, L], symmetric; only i < j is read.
        native_L: integer [L], index of each residue's native partner or -1.
        floor: smallest probability.
    """
    i, j = np.nonzero(np.triu(probability_LL, k=1) >= floor)
    return PairSample(probability_N=probability_LL[i, j].astype(np.float64), native_N=native_L[i] == j)


def sample_chosen(probability_LL: np.ndarray, partner_L: np.ndarray, native_L: np.ndarray) -> PairSample:
    """The pairs of a matching, whatever their probability."""
    i = np.flatnonzero(partner_L > np.arange(len(partner_L)))
    j = partner_L[i]
    return PairSample(probability_N=probability_LL[i, j].astype(np.float64), native_N=native_L[i] == j)


def fixed_edges(bins: int = BINS) -> np.ndarray:
    """Ends of bins of equal width between 0 and 1, float [bins + 1]."""
    return np.linspace(0.0, 1.0, bins + 1)


def equal_mass_edges(samples: Sequence[PairSample], bins: int = BINS) -> np.ndarray:
    """Ends of bins with about equally many pairs; fewer bins where many pairs have the same probability."""
    probabilities = np.concatenate([sample.probability_N for sample in samples]) if samples else np.empty(0)
    if not len(probabilities):
        return fixed_edges(1)
    inner = np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1], method="lower")
    return np.unique(np.concatenate([[0.0], inner, [1.0]]))


def reliability(
    samples: Sequence[PairSample], edges_B: np.ndarray, groups: Sequence[str], seed: int, draws: int = DRAWS
) -> Reliability:
    """The curve over all samples' pairs, and its error with an interval.

    The bootstrap draws groups (families), then RNAs within; the bins stay. An error is a sum of distances and cannot
    average out: chance in thinly filled bins makes it larger, so that the interval lies high rather than low.

    Args:
        samples: one an RNA.
        edges_B: ends of the bins, from `fixed_edges` or `equal_mass_edges`.
        groups: each RNA's group.
        seed: of the draws.
        draws: how many.
    """
    totals_NB3 = np.array([_totals(sample, edges_B) for sample in samples]).reshape(len(samples), len(edges_B) - 1, 3)
    sums_B3 = totals_NB3.sum(axis=0)
    bins = tuple(
        Bin(
            low=float(low),
            high=float(high),
            pairs=int(count),
            predicted=float(predicted / count) if count else None,
            native=float(native / count) if count else None,
        )
        for low, high, (count, predicted, native) in zip(edges_B[:-1], edges_B[1:], sums_B3, strict=True)
    )
    used = [group for group, totals_B3 in zip(groups, totals_NB3, strict=True) if totals_B3[:, 0].any()]
    value = None if not used else float(_error(sums_B3))
    low = high = None
    if len(set(used)) > 1:
        weight_DN = row_weights(groups, seed, draws)
        drawn_D = _error(np.einsum("dn,nbk->dbk", weight_DN, totals_NB3))
        low, high = interval(drawn_D[np.isfinite(drawn_D)])
    return Reliability(bins=bins, error=Mean(value=value, low=low, high=high, rows=len(used), groups=len(set(used))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A strictly increasing map of pair probabilities, with three numbers.

    logit q = a ln p - b ln(1 - p) + c (beta calibration; Kull, Silva Filho, Flach, AISTATS 2017). With a = b it is
    Platt's map of the logit; two slopes let the ends differ, as those of an energy model do. Below `floor`, where it
    was not fitted, the map goes on as a straight line to 0, so that many tiny probabilities do not become a large sum.

    Attributes:
        a: slope where p is small, above 0.
        b: slope where p is near 1, above 0.
        c: shift.
        floor: smallest probability that it was fitted on.
        rnas: RNAs that it was fitted on.
        pairs: their pairs.
    """

    a: float
    b: float
    c: float
    floor: float = FIT_FLOOR
    rnas: int = 0
    pairs: int = 0

    def __post_init__(self) -> None:
        """Raise ConfigError, naming the field, when the map would not increase from 0 to below 1."""
        for name in ("a", "b", "c", "floor"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"calibration.{name}: {getattr(self, name)} is not a finite number. Fit it again.")
        for name in ("a", "b"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"calibration.{name}: {getattr(self, name)} is not above 0. Fit it again.")
        if not 0 < self.floor < 1:
            raise ConfigError(f"calibration.floor: {self.floor} is outside 0 … 1. Fit it again.")

    def probability(self, probability: np.ndarray) -> np.ndarray:
        """The map for each number alone, float64 of the same shape; 0 stays 0."""
        p = np.asarray(probability, dtype=np.float64)
        inside = np.clip(p, self.floor, CERTAIN)
        mapped = _sigmoid(self.a * np.log(inside) - self.b * np.log1p(-inside) + self.c)
        return np.where(p < self.floor, mapped * p / self.floor, mapped)

    def apply(self, probability_LL: np.ndarray) -> np.ndarray:
        """The map for a matrix, float32 [L, L], again with the rules of `contracts.Adjacency`.

        Where the mapped probabilities of a residue sum to more than 1, a pair is divided by the larger of its two
        residues' sums; only there can the order of pairs change.

        Args:
            probability_LL: float [L, L], symmetric, zero diagonal, row sums at most 1.
        """
        mapped = self.probability(np.triu(probability_LL, k=1))
        mapped += mapped.T
        sums_L = mapped.sum(axis=1)
        # float32 rounds by up to 6e-8 of each value
        scale_L = np.where(sums_L > 1, sums_L * (1 + 1e-6), 1.0)
        return (mapped / np.maximum(scale_L[:, None], scale_L)).astype(np.float32)

    def values(self) -> dict[str, float | int]:
        """Its numbers by name, for a JSON file."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, object], source: str) -> "Calibration":
        """Read what `values` gave.

        Args:
            values: numbers by name.
            source: file and key, for messages.

        Raises:
            ConfigError: naming the source and the field that is missing, unknown or no number.
        """
        known = [field.name for field in fields(cls)]
        if odd := sorted(set(values) ^ set(known)):
            raise ConfigError(f"{source}: expected the numbers {', '.join(known)}; {odd[0]!r} is missing or unknown")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"{source}: {name} is {value!r}, not a number")
        return cls(**{name: value for name, value in values.items() if isinstance(value, int | float)})  # pyright: ignore


def fit_calibration(samples: Sequence[PairSample], floor: float = FIT_FLOOR) -> Calibration:
    """The map of the greatest likelihood of the samples' natives, every pair counting once.

    Long RNAs and RNAs with many alternatives have more pairs and weigh more; give one RNA a cluster.

    Args:
        samples: from `sample_pairs` with a floor of at most `floor`.
        floor: pairs of a lower probability are left out.

    Raises:
        InputError: no pair, or natives only, or none.
    """
    probability_N = np.concatenate([sample.probability_N for sample in samples]) if samples else np.empty(0)
    native_N = np.concatenate([sample.native_N for sample in samples]) if samples else np.empty(0, dtype=bool)
    used_N = probability_N >= floor
    probability_N, native_N = np.minimum(probability_N[used_N], CERTAIN), native_N[used_N]
    if native_N.all() or not native_N.any():
        raise InputError(
            f"calibration: {int(native_N.sum())} of {len(native_N)} pairs above {floor:g} are native; it takes some "
            "that are and some that are not. Give more RNAs."
        )
    inputs_N3 = np.stack([np.log(probability_N), -np.log1p(-probability_N), np.ones_like(probability_N)], axis=1)
    sign_N = np.where(native_N, 1.0, -1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin_N = sign_N * (inputs_N3 @ weights)
        slope_N = -sign_N * _sigmoid(-margin_N)
        return float(np.logaddexp(0, -margin_N).mean()), (inputs_N3 * slope_N[:, None]).mean(axis=0)

    bounds = [(1e-3, None), (1e-3, None), (None, None)]
    best = minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, bounds=bounds, method="L-BFGS-B")
    a, b, c = (float(value) for value in best.x)
    return Calibration(a=a, b=b, c=c, floor=floor, rnas=len(samples), pairs=len(native_N))


def _totals(sample: PairSample, edges_B: np.ndarray) -> np.ndarray:
    """Pairs, sum of probabilities and natives of each bin, float [bins, 3]."""
    bins = len(edges_B) - 1
    place_N = np.clip(np.searchsorted(edges_B, sample.probability_N, side="right") - 1, 0, bins - 1)
    parts = (None, sample.probability_N, sample.native_N)
    return np.stack([np.bincount(place_N, weights=part, minlength=bins) for part in parts], axis=1)


def _error(totals_B3: np.ndarray) -> np.ndarray:
    """Expected calibration error of totals [..., bins, 3]; NaN without a pair."""
    pairs = totals_B3[..., 0].sum(axis=-1)
    apart = np.abs(totals_B3[..., 1] - totals_B3[..., 2]).sum(axis=-1)
    return np.divide(apart, pairs, out=np.full(np.shape(pairs), np.nan), where=pairs > 0)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -x))
