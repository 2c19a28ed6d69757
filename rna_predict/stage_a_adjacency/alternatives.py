"""Other secondary structures of an RNA: each doubtful stem is left out and the RNA folded again.

On 88 training chains the best of these has a higher F1 than those of other gammas, other energies, the network alone or
a smaller penalty of pseudoknots (docs/decisions/0028-candidates.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rna_predict.contracts import Adjacency
from rna_predict.contracts.adjacency import stem_probability
from rna_predict.contracts.loops import Stem, find_stems
from rna_predict.stage_a_adjacency.backends import BACKENDS
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.evidence import Evidence
from rna_predict.stage_a_adjacency.folding import Fold

FORBIDDEN = 20.0
"""kcal/mol that a pair between the strands of the stem that is left out costs."""

FEWEST_PAIRS = 3
"""Pairs of a stem that makes two structures differ."""

Refold = Callable[[Sequence[Evidence]], Fold]
"""Folds the RNA under evidence."""


def with_alternatives(
    adjacency: Adjacency, evidence: Sequence[Evidence], config: StageAConfig, refold: Refold
) -> Adjacency:
    """The adjacency with what the RNA folds into without one of its doubtful stems each, the most doubtful first.

    Args:
        adjacency: stage A's answer; it stays as it is.
        evidence: under which it was made.
        config: how many, and from which doubt on.
        refold: the same way of folding.

    Returns:
        The adjacency, whose alternatives differ from it and from each other; none for a long RNA or a backend that
        cannot fold without a stem.
    """
    if adjacency.length > config.alternative_max_length or "bonus_LL" not in BACKENDS[config.backend].uses:
        return adjacency
    doubtful = [(stem_probability(adjacency.probability_LL, stem), stem) for stem in find_stems(adjacency.partner_L)]
    doubtful = [one for one in doubtful if 1 - one[0] >= config.alternative_doubt]
    found: list[Adjacency] = []
    for _, stem in sorted(doubtful, key=lambda one: (one[0], one[1].pairs)):
        if len(found) == config.alternatives:
            break
        fold = refold(without_stem(stem, evidence, adjacency.length))
        if all(differ(fold.matching, known.partner_L) for known in (adjacency, *found)):
            method = f"{adjacency.provenance.method}, alternative {len(found) + 1}"
            found.append(
                replace(
                    adjacency,
                    probability_LL=fold.probability_LL,
                    partner_L=fold.matching,
                    provenance=replace(adjacency.provenance, method=method),
                )
            )
    return replace(adjacency, alternatives=tuple(found))


def without_stem(stem: Stem, evidence: Sequence[Evidence], length: int) -> list[Evidence]:
    """The evidence, and that the two strands of a stem do not pair with each other; nor is one of its pairs offered."""
    five, three = ([pair[side] for pair in stem.pairs] for side in (0, 1))
    bonus_LL = np.zeros((length, length))
    bonus_LL[min(five) : max(five) + 1, min(three) : max(three) + 1] = FORBIDDEN
    kept = []
    for source in evidence:
        offered = tuple(offer for offer in source.offered if offer[:2] not in stem.pairs)
        kept.append(replace(source, offered=offered))
    return [*kept, Evidence(name="alternative", digest="none", bonus_LL=np.triu(bonus_LL, k=1))]


def differ(first_L: np.ndarray, second_L: np.ndarray) -> bool:
    """Whether one matching has a stem of `FEWEST_PAIRS` of which the other has less than half."""
    return any(
        stem.length >= FEWEST_PAIRS and np.mean([other_L[i] == j for i, j in stem.pairs]) < 0.5
        for own_L, other_L in ((first_L, second_L), (second_L, first_L))
        for stem in find_stems(own_L)
    )
