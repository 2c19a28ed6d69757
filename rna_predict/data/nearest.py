"""How near each held-out chain comes to the training chains: the check that a split is worth its name.

The measure is the share of the held-out chain's own residues that have an equal letter in the best alignment with a
training chain, ends free: a training chain that contains the target gives 1, one that has half of it 0.5 at most.
Short targets find much of themselves anywhere; the same measure of the target's letters in a drawn order stands beside.
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

CHANCE_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The training chain that shares most with a target.

    Attributes:
        id: the target.
        length: its residues.
        nearest: id of the training chain.
        identity: share of the target's residues that match it.
        chance: the same for the target's letters in a drawn order.
    """

    id: str
    length: int
    nearest: str
    identity: float
    chance: float


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
        drawn = "".join(random.Random(CHANCE_SEED).sample(letters, len(letters)))
        chance, _ = _best(drawn, sequences, words_SW, candidates)
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
