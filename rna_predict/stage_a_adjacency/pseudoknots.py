"""Pseudoknots: helices that cross the nested structure, from probabilities alone or by folding again.

| `pseudoknots` | what it does |
|---------------|--------------|
| off           | nothing |
| auto          | iterative where the backend can and the RNA is short enough, else off |
| threshknot    | the matching is every pair of mutually most probable partners above a threshold |
| crossing      | the nested matching first, then such pairs of residues that it leaves unpaired |
| iterative     | a helix is taken out of the sequence and the rest folded again (`pseudoknot_search`) |

Zhang, Zhang, Mathews and Huang 2020, ThreshKnot, arXiv:1912.12796; ProbKnot before it: Bellaousov and Mathews 2010,
RNA 16:1870. Deviation: a stem that is too short is dropped where no bulge interrupts it; theirs may hold one bulge.
"""

import dataclasses

import numpy as np

from rna_predict.stage_a_adjacency.backends import BACKENDS
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Constraints, Fold, FoldFunction, can_pair
from rna_predict.stage_a_adjacency.matching import without_short_stems
from rna_predict.stage_a_adjacency.pseudoknot_search import search_pseudoknots


def with_pseudoknots(
    sequence: str, fold: Fold, config: StageAConfig, constraints: Constraints, refold: FoldFunction
) -> Fold:
    """The fold with pseudoknots as `config.pseudoknots` says.

    Args:
        sequence: letters A C G U.
        fold: probabilities and the nested matching.
        config: settings.
        constraints: what the fold was made under; hard pairs stay.
        refold: folds again under other constraints and reads the matching.

    Raises:
        ConfigError: `iterative` with a backend that gives no free energy.
    """
    mode = config.pseudoknots
    if mode == "auto":
        able = fold.free_energy is not None and "unpaired" in BACKENDS[config.backend].uses
        mode = "iterative" if able and len(sequence) <= config.pseudoknot_max_length else "off"
    if mode == "off":
        return fold
    if mode == "iterative":
        return search_pseudoknots(sequence, fold, config, constraints, refold)
    partner_L = fold.matching.copy()
    if mode == "threshknot":
        free_L = np.ones(len(sequence), dtype=bool)
        free_L[[end for pair in constraints.pairs for end in pair]] = False
        partner_L[free_L] = -1
    else:
        free_L = partner_L < 0
    legal_LL = can_pair(sequence, constraints.breaks) & free_L[:, None] & free_L
    found_L = mutual_best(np.where(legal_LL, fold.probability_LL, 0.0), config.pseudoknot_threshold)
    found_L = without_short_stems(found_L, config.pseudoknot_min_stem)
    partner_L[found_L >= 0] = found_L[found_L >= 0]
    return dataclasses.replace(fold, partner_L=partner_L)


def mutual_best(probability_LL: np.ndarray, threshold: float) -> np.ndarray:
    """Pairs of residues that are each other's most probable partner, at least `threshold`; int32 [L]."""
    best_L = probability_LL.argmax(axis=1)
    own_L = np.arange(len(best_L))
    said_L = (best_L[best_L] == own_L) & (probability_LL[own_L, best_L] >= max(threshold, 1e-9))
    return np.where(said_L, best_L, -1).astype(np.int32)
