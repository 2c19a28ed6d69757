"""What a given structure makes of stage A: the answer itself, or constraints on the backend."""

import numpy as np

from rna_predict.contracts import GivenStructure
from rna_predict.contracts.loops import find_stems, nested_mask
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Backend, Constraints, Fold, can_pair, pair_probabilities
from rna_predict.stage_a_adjacency.viennarna import mea_matching

MIN_BONUS_PROBABILITY = 0.01
"""Given probabilities below it earn no pseudo-energy; a full matrix would slow the partition function for nothing."""


def override(sequence: str, given: GivenStructure, config: StageAConfig) -> Fold:
    """The given structure as it is; nothing is folded.

    Given pairs are the matching. Where the user gave pairs and no probabilities, theirs are 1 and all others 0:
    a stated structure says nothing of alternatives, and no ensemble is mixed in. A given matrix is taken as it is
    (`pair_probabilities`); without given pairs the matching is read from it by `matching_of`.
    """
    if given.probability_LL is not None:
        probability_LL = pair_probabilities(given.probability_LL)
        partner_L = given.partner_L
        if partner_L is None:
            partner_L = matching_of(sequence, probability_LL, config)
        return Fold(probability_LL=probability_LL, partner_L=partner_L.copy())
    partner_L = _pairs(given).copy()
    probability_LL = np.zeros((given.length, given.length), dtype=np.float32)
    paired = np.flatnonzero(partner_L >= 0)
    probability_LL[paired, partner_L[paired]] = 1.0
    return Fold(probability_LL=probability_LL, partner_L=partner_L)


def constrain(sequence: str, given: GivenStructure, config: StageAConfig, backend: Backend) -> Fold:
    """Fold with the given pairs enforced, residues marked x kept unpaired, and the rest free.

    Of crossing stems the nested subset with the most pairs goes to the backend as hard constraints. The residues of
    the others are kept unpaired there and their pairs put on top with probability 1. A given probability p lowers
    the energy of its pair by `given_bonus` · p kcal/mol (a soft constraint: the backend may still decide otherwise).
    """
    stems = find_stems(_pairs(given))
    keep = nested_mask(stems)
    nested = [pair for stem, inside in zip(stems, keep, strict=True) if inside for pair in stem.pairs]
    on_top = [pair for stem, inside in zip(stems, keep, strict=True) if not inside for pair in stem.pairs]
    unpaired = {end for pair in on_top for end in pair}
    if given.unpaired_L is not None:
        unpaired |= {int(i) for i in np.flatnonzero(given.unpaired_L)}
    fold = backend(
        sequence,
        config,
        Constraints(pairs=tuple(nested), unpaired=tuple(sorted(unpaired)), bonus_LL=_bonus(sequence, given, config)),
    )
    probability_LL, partner_L = fold.probability_LL.copy(), fold.partner_L.copy()
    for i, j in nested + on_top:
        partner_L[i], partner_L[j] = j, i
        probability_LL[[i, j], :] = probability_LL[:, [i, j]] = 0.0
        probability_LL[i, j] = probability_LL[j, i] = 1.0
    return Fold(probability_LL=probability_LL, partner_L=partner_L)


def matching_of(sequence: str, probability_LL: np.ndarray, config: StageAConfig) -> np.ndarray:
    """A matching with pseudoknots from pair probabilities, int32 [L].

    First the nested MEA matching; then every canonical pair of two residues left free whose probability is above
    `given_threshold`. As that is at least one half and rows sum to at most 1, no two such pairs share a residue.
    """
    partner_L = mea_matching(sequence, probability_LL, config.mea_gamma)
    certain = np.triu(can_pair(sequence) & (probability_LL > config.given_threshold))
    for i, j in np.argwhere(certain):
        if partner_L[i] < 0 and partner_L[j] < 0:
            partner_L[i], partner_L[j] = j, i
    return partner_L


def _pairs(given: GivenStructure) -> np.ndarray:
    return np.full(given.length, -1, dtype=np.int32) if given.partner_L is None else given.partner_L


def _bonus(sequence: str, given: GivenStructure, config: StageAConfig) -> np.ndarray | None:
    if given.probability_LL is None:
        return None
    said = can_pair(sequence) & (given.probability_LL >= MIN_BONUS_PROBABILITY)
    return np.where(said, -config.given_bonus * given.probability_LL, 0.0)
