"""How near each held-out chain comes to the training chains: the check that a split is worth its name.

The measure is the share of the held-out chain's own residues that have an equal letter in the best alignment with a
training chain, ends free: a training chain that contains the target gives 1, one that has half of it 0.5 at most.
Short targets find much of themselves anywhere: among 600 training sequences up to 0.77 of 31 nt, 0.7 of 70 nt, 0.4 of
130 nt. The same measure of the target's letters in drawn orders therefore stands beside, and only what exceeds both
the threshold and chance is a relative.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rna_predict.data.clusters import align, word_counts
from rna_predict.errors import InputError

CANDIDATES = 1000
"""Training sequences that are aligned with each target, those with most words in common; all where there are fewer.
A relative above 70 % is among the first few; what chance gives needs many."""

DRAWS = 5
"""Orders of the target's letters that are drawn for what chance gives; the same in every run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The training chain that shares most with a target.

    Attributes:
        id: the target.
        length: its residues.
        nearest: id of the training chain.
        identity: share of the target's residues that match it.
        chance: the most that any of `DRAWS` drawn orders of the target's letters shares with a training chain.
    """

    id: str
    length: int
    nearest: str
    identity: float
    chance: float

    def above(self, threshold: float) -> bool:
        """Whether the training chain shares more than `threshold`."""
        return self.identity > threshold

    def related(self, threshold: float) -> bool:
        """Whether it shares more than `threshold` and more than chance gives."""
        return self.identity > max(threshold, self.chance)


def nearest_chains(
    targets: Mapping[str, str],
    training: Mapping[str, str],
    candidates: int = CANDIDATES,
    advance: Callable[[str], None] = lambda name: None,
) -> list[Nearest]:
    """The nearest training chain of each target.

    Args:
        targets: sequence by id.
        training: sequence by id.
        candidates: how many training sequences are aligned with each target.
        advance: is told each target when it is done.

    Raises:
        InputError: no training chain.
    """
    if not training:
        raise InputError("nearest: no chain trains, so there is nothing to compare with.")
    id_of: dict[str, str] = {}
    for id in sorted(training):
        id_of.setdefault(training[id], id)
    sequences = sorted(id_of)
    words_SW = np.stack([word_counts(letters) for letters in sequences])
    found = []
    for id, letters in targets.items():
        share, place = _best(letters, sequences, words_SW, candidates)
        drawn = ["".join(random.Random(seed).sample(letters, len(letters))) for seed in range(DRAWS)]
        chance = max(_best(order, sequences, words_SW, candidates)[0] for order in drawn)
        found.append(
            Nearest(id=id, length=len(letters), nearest=id_of[sequences[place]], identity=share, chance=chance)
        )
        advance(id)
    return found


def _best(letters: str, sequences: list[str], words_SW: np.ndarray, candidates: int) -> tuple[float, int]:
    """Largest share of `letters` that matches, and the place of the sequence that has it."""
    shared_S = np.minimum(words_SW, word_counts(letters)).sum(axis=1)
    order = np.lexsort((np.arange(len(sequences)), -shared_S))[:candidates]
    matches = [(align(letters, sequences[place]).count / len(letters), -int(place)) for place in order]
    share, place = max(matches)
    return share, -place
