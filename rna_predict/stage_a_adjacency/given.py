"""What a given structure makes of stage A: the answer itself, or evidence for the backend."""

import numpy as np

from rna_predict.contracts import GivenStructure
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.evidence import Evidence
from rna_predict.stage_a_adjacency.folding import Fold, can_pair, pair_probabilities
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
            partner_L = matching_of(sequence, probability_LL, config, given.breaks)
        return Fold(probability_LL=probability_LL, partner_L=partner_L.copy())
    partner_L = _pairs(given).copy()
    probability_LL = np.zeros((given.length, given.length), dtype=np.float32)
    paired = np.flatnonzero(partner_L >= 0)
    probability_LL[paired, partner_L[paired]] = 1.0
    return Fold(probability_LL=probability_LL, partner_L=partner_L)


def given_evidence(sequence: str, given: GivenStructure, config: StageAConfig) -> Evidence:
    """With `given_mode: constrain`: the given pairs are enforced, residues marked x kept unpaired, the rest is free.

    A given probability p lowers the energy of its pair by `given_bonus` · p kcal/mol (a soft constraint: the backend
    may still decide otherwise).
    """
    partner_L = _pairs(given)
    unpaired = () if given.unpaired_L is None else tuple(int(i) for i in np.flatnonzero(given.unpaired_L))
    return Evidence(
        name="given",
        digest=given.digest(),
        pairs=tuple((int(i), int(partner_L[i])) for i in np.flatnonzero(partner_L > np.arange(given.length))),
        unpaired=unpaired,
        bonus_LL=_bonus(sequence, given, config),
    )


def matching_of(
    sequence: str, probability_LL: np.ndarray, config: StageAConfig, breaks: tuple[int, ...] = ()
) -> np.ndarray:
    """A matching with pseudoknots from pair probabilities, int32 [L].

    First the nested MEA matching; then every canonical pair of two residues left free whose probability is above
    `given_threshold`. As that is at least one half and rows sum to at most 1, no two such pairs share a residue.
    """
    partner_L = mea_matching(sequence, probability_LL, config.mea_gamma, breaks)
    certain = np.triu(can_pair(sequence, breaks) & (probability_LL > config.given_threshold))
    for i, j in np.argwhere(certain):
        if partner_L[i] < 0 and partner_L[j] < 0:
            partner_L[i], partner_L[j] = j, i
    return partner_L


def _pairs(given: GivenStructure) -> np.ndarray:
    return np.full(given.length, -1, dtype=np.int32) if given.partner_L is None else given.partner_L


def _bonus(sequence: str, given: GivenStructure, config: StageAConfig) -> np.ndarray | None:
    if given.probability_LL is None:
        return None
    said = can_pair(sequence, given.breaks) & (given.probability_LL >= MIN_BONUS_PROBABILITY)
    return np.where(said, -config.given_bonus * given.probability_LL, 0.0)
