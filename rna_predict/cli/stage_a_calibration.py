"""What `rna-predict bench stage-a` says of the default's probabilities: reliability, its error, and a fitted map."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from rna_predict.cli.stage_a_figures import Record
from rna_predict.cli.stage_a_methods import Answer
from rna_predict.cli.stage_a_rows import BenchRow
from rna_predict.errors import InputError
from rna_predict.evaluation.bootstrap import Mean
from rna_predict.evaluation.calibration import (
    FIT_FLOOR,
    FLOOR,
    Calibration,
    PairSample,
    Reliability,
    equal_mass_edges,
    fit_calibration,
    fixed_edges,
    reliability,
    sample_chosen,
    sample_pairs,
)

FOLDS = 5
"""Parts of the families; each is judged by a map that was fitted on the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Probabilities of one row's pairs: `pairs` above `FIT_FLOOR`, and the `chosen` ones."""

    row: BenchRow
    pairs: PairSample
    chosen: PairSample

    @classmethod
    def of(cls, row: BenchRow, answer: Answer) -> "Sampled":
        """From an answer that has probabilities.

        Raises:
            InputError: it has none.
        """
        if answer.probability_LL is None:
            raise InputError(f"{row.row.id}: the answer has no probabilities")
        native_L = row.row.partner_L
        return cls(
            row=row,
            pairs=sample_pairs(answer.probability_LL, native_L, FIT_FLOOR),
            chosen=sample_chosen(answer.probability_LL, answer.partner_L, native_L),
        )

    def above(self, floor: float) -> PairSample:
        """The pairs of a probability of at least `floor`."""
        keep_N = self.pairs.probability_N >= floor
        return PairSample(probability_N=self.pairs.probability_N[keep_N], native_N=self.pairs.native_N[keep_N])


def calibration_figures(sampled: Sequence[Sampled], seed: int, tables: dict[str, list[Record]]) -> Record:
    """Errors and curves of each group; the curve across families as a table."""
    figures: Record = {"ece_floor": FLOOR}
    for group in ("cross_family", "within_family"):
        part = [one for one in sampled if one.row.group == group]
        families = [one.row.row.family for one in part]
        pairs, chosen = [one.above(FLOOR) for one in part], [one.chosen for one in part]
        suffix = "" if group == "cross_family" else f"_{group}"
        kinds = {
            "ece": (pairs, fixed_edges()),
            "ece_equal_mass": (pairs, equal_mass_edges(pairs)),
            "ece_chosen": (chosen, fixed_edges()),
        }
        for name, (samples, edges_B) in kinds.items():
            found = reliability(samples, edges_B, families, seed)
            figures[name + suffix], figures[f"{name}{suffix}_interval"] = _value(found.error)
            figures[f"reliability{name[3:]}{suffix}"] = _curve(found)
            if part and name == "ece":
                tables[f"{group}: pairs with p ≥ {FLOOR:g} by probability"] = _curve(found)
    return figures


def fit(sampled: Sequence[Sampled], figures: Record, seed: int) -> Calibration:
    """Fit on all rows; the error on families that a map was not fitted on goes into the figures.

    Raises:
        InputError: too few pairs.
    """
    fold_of = _folds([one.row.row.family for one in sampled], seed)
    mended: list[PairSample] = []
    for fold in range(FOLDS):
        others = [one.pairs for one in sampled if fold_of[one.row.row.family] != fold]
        part = [one for one in sampled if fold_of[one.row.row.family] == fold]
        if part:
            fitted = fit_calibration(others)
            mended += [_mapped(fitted, one.above(FLOOR)) for one in part]
    families = [one.row.row.family for fold in range(FOLDS) for one in sampled if fold_of[one.row.row.family] == fold]
    error = reliability(mended, fixed_edges(), families, seed).error
    before = reliability(
        [one.above(FLOOR) for one in sampled], fixed_edges(), [o.row.row.family for o in sampled], seed
    )
    calibration = fit_calibration([one.pairs for one in sampled])
    figures["calibration"] = calibration.values()
    figures["ece_before_fit"], figures["ece_before_fit_interval"] = _value(before.error)
    figures["ece_fitted_on_other_families"], figures["ece_fitted_on_other_families_interval"] = _value(error)
    return calibration


def _folds(families: Sequence[str], seed: int) -> dict[str, int]:
    names = sorted(set(families))
    if len(names) < 2:
        raise InputError(f"--calibration: rows of {len(names)} family; it takes two at least to judge a fit")
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[place]: number % FOLDS for number, place in enumerate(order)}


def _mapped(calibration: Calibration, sample: PairSample) -> PairSample:
    return PairSample(probability_N=calibration.probability(sample.probability_N), native_N=sample.native_N)


def _curve(found: Reliability) -> list[Record]:
    return [{name: _rounded(value) for name, value in asdict(one).items()} for one in found.bins]


def _value(mean: Mean) -> tuple[float | None, list[float | None]]:
    return _rounded(mean.value), [_rounded(mean.low), _rounded(mean.high)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
