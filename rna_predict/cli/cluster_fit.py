"""A fit of what hits are worth to those of known structures, and its quality across clusters."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from rna_predict.cli.template_calibration import FOLDS, reliability_rows
from rna_predict.templates.logistic import LogisticFit, fit


class Sample(NamedTuple):
    """A hit of a known structure.

    Attributes:
        cluster: of the structure that was looked up.
        vector: what the fit weighs.
        share: what the hit is worth, in [0, 1].
    """

    cluster: str
    vector: np.ndarray
    share: float


def fit_clusters(
    samples: Sequence[Sample], schema: str, terms: tuple[str, ...], made_by: dict[str, object], counted: str
) -> LogisticFit:
    """The fit to all samples, a cluster counting by the root of its samples, with its quality across clusters.

    Args:
        samples: of at least `FOLDS` clusters.
        schema: of the fit's file.
        terms: names of what a vector holds.
        made_by: command and data.
        counted: name under which `made_by` gets the number of samples.
    """
    vector_NF = np.stack([sample.vector for sample in samples])
    share_N = np.array([sample.share for sample in samples])
    clusters = sorted({sample.cluster for sample in samples})
    number_N = np.array([clusters.index(sample.cluster) for sample in samples])
    weight_N = np.sqrt(1.0 / np.bincount(number_N))[number_N]
    fold_C = np.random.default_rng(0).permutation(len(clusters)) % FOLDS

    def fitted(which_N: np.ndarray, about: dict[str, object]) -> LogisticFit:
        weights = fit(vector_NF[which_N], share_N[which_N], weight_N[which_N])
        return LogisticFit(schema=schema, terms=terms, weights=weights, made_by=about)

    expected_N = np.zeros(len(samples))
    for fold in range(FOLDS):
        held_N = fold_C[number_N] == fold
        own = fitted(~held_N, {})
        expected_N[held_N] = [own.expected(vector) for vector in vector_NF[held_N]]
    quality = {
        counted: len(samples),
        "clusters": len(clusters),
        "across_clusters": {
            "mean_error": round(fmean(np.abs(expected_N - share_N)), 4),
            "pearson": round(float(np.corrcoef(expected_N, share_N)[0, 1]), 4),
            "by_expected": reliability_rows(expected_N, share_N),
        },
    }
    return fitted(np.ones(len(samples), dtype=bool), made_by | quality)
