"""From pair probabilities to a matching, whichever backend gave them."""

import dataclasses

import numpy as np

from rna_predict.contracts.loops import find_stems
from rna_predict.errors import ConfigError
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Constraints, Fold, can_pair
from rna_predict.stage_a_adjacency.viennarna import mea_matching


def with_matching(sequence: str, fold: Fold, config: StageAConfig, constraints: Constraints) -> Fold:
    """The fold with a matching: the backend's own, else read by `readout`; without stems shorter than `min_stem`.

    Raises:
        ConfigError: the readout needs the backend's own matching, and it has none.
    """
    partner_L = fold.partner_L
    if partner_L is None:
        if config.readout == "mea":
            partner_L = mea_matching(sequence, fold.probability_LL, config.mea_gamma, constraints.breaks)
        elif config.readout == "centroid":
            partner_L = centroid(sequence, fold.probability_LL, constraints.breaks)
        else:
            raise ConfigError(f"stage_a.readout: {config.readout} is not read from probabilities. Use mea or centroid.")
    return dataclasses.replace(fold, partner_L=without_short_stems(partner_L, config.min_stem, constraints.pairs))


def centroid(sequence: str, probability_LL: np.ndarray, breaks: tuple[int, ...] = ()) -> np.ndarray:
    """Every canonical pair of a probability above one half, int32 [L]."""
    partner_L = np.full(len(sequence), -1, dtype=np.int32)
    first, second = np.nonzero(can_pair(sequence, breaks) & (probability_LL > 0.5))
    partner_L[first] = second
    return partner_L


def without_short_stems(partner_L: np.ndarray, min_stem: int, keep: tuple[tuple[int, int], ...] = ()) -> np.ndarray:
    """The matching without stems of fewer than `min_stem` stacked pairs, but with every pair of `keep`."""
    kept_L = partner_L.copy()
    for stem in find_stems(partner_L):
        if stem.length >= min_stem or set(stem.pairs) & set(keep):
            continue
        for i, j in stem.pairs:
            kept_L[i] = kept_L[j] = -1
    return kept_L
