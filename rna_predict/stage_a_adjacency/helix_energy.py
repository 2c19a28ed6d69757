"""Helices that a sequence could form, with the energy of their stacks: what a pseudoknot's second helix brings."""

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import RNA

from rna_predict.stage_a_adjacency.folding import Constraints, can_pair

PAIR_NUMBERS = {"CG": 1, "GC": 2, "GU": 3, "UG": 4, "AU": 5, "UA": 6}
"""ViennaRNA's numbers of the canonical pairs, as its table of stacks is ordered."""

MOST_TRIMMED = 2
"""Pairs that a candidate may give up at each end to leave residues to the helix that it crosses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Helix:
    """Stacked pairs (0-based, from the outermost to the innermost) and their free energy in kcal/mol."""

    pairs: tuple[tuple[int, int], ...]
    energy: float

    @property
    def residues(self) -> tuple[int, ...]:
        """Both strands' residues, sorted."""
        return tuple(sorted(end for pair in self.pairs for end in pair))

    def crosses(self, i: int, j: int) -> bool:
        """Whether the pair i-j, i < j, crosses this helix."""
        outer = self.pairs[0]
        return i < outer[0] < j < outer[1] or outer[0] < i < outer[1] < j


class HelixEnergy:
    """Stacks and terminal pairs of Turner 2004 as ViennaRNA has them, and what constraints add.

    Args:
        sequence: letters A C G U.
        celsius: temperature.
        constraints: bonuses of pairs are added; chains begin at their `breaks`.
        stacked_L: kcal/mol [L] that each residue adds for each stack that it takes part in (reactivities), or None.
    """

    def __init__(
        self, sequence: str, celsius: float, constraints: Constraints, stacked_L: np.ndarray | None = None
    ) -> None:
        self._sequence = sequence
        self.breaks = constraints.breaks
        self._stacks, self._terminal = turner(celsius)
        self._bonus_LL = constraints.bonus_LL
        self._stacked_L = stacked_L

    def of(self, pairs: tuple[tuple[int, int], ...]) -> float:
        """kcal/mol of stacked pairs from the outermost to the innermost, without the loops at either end."""
        names = [self._sequence[i] + self._sequence[j] for i, j in pairs]
        energy = sum(self._stacks[first, second] for first, second in itertools.pairwise(names))
        energy += sum(self._terminal for name in (names[0], names[-1]) if name not in ("GC", "CG"))
        if self._bonus_LL is not None:
            energy += sum(self._bonus_LL[i, j] for i, j in pairs)
        if self._stacked_L is not None:
            ends = [self._stacked_L[i] + self._stacked_L[j] for i, j in pairs]
            energy += 2 * sum(ends) - ends[0] - ends[-1]
        return float(energy)


@lru_cache(maxsize=8)
def turner(celsius: float) -> tuple[dict[tuple[str, str], float], float]:
    """kcal/mol of each stack (outer pair, inner pair; letters 5' then 3'), and of a terminal A-U or G-U pair."""
    model = RNA.md()
    model.temperature = celsius
    parameters = RNA.param(model)
    stacks = {
        (outer, inner): parameters.stack[first][PAIR_NUMBERS[inner[::-1]]] / 100
        for outer, first in PAIR_NUMBERS.items()
        for inner in PAIR_NUMBERS
    }
    return stacks, parameters.TerminalAU / 100


def candidates(
    sequence: str, energy: HelixEnergy, blocked: frozenset[int], cost_L: np.ndarray, min_stem: int
) -> list[tuple[float, Helix]]:
    """Helices with an estimate of what each would cost or gain, best first.

    Every maximal run of canonical pairs is one candidate, cut at its ends by up to `MOST_TRIMMED` pairs where that is
    better. The estimate is the helix's energy plus the largest cost of freeing one of its residues: never more than
    what freeing all of them costs.

    Args:
        sequence: letters A C G U.
        energy: of helices.
        blocked: residues that no helix may take.
        cost_L: kcal/mol [L], free energy of keeping a residue unpaired in the present ensemble.
        min_stem: fewest pairs.
    """
    allowed_LL = can_pair(sequence, energy.breaks)
    taken = sorted(blocked)
    allowed_LL[taken] = allowed_LL[:, taken] = False
    found = []
    for run in _runs(allowed_LL, min_stem):
        best: tuple[float, Helix] | None = None
        for outer in range(min(MOST_TRIMMED, len(run) - min_stem) + 1):
            for inner in range(min(MOST_TRIMMED, len(run) - outer - min_stem) + 1):
                helix = Helix(pairs=run[outer : len(run) - inner], energy=energy.of(run[outer : len(run) - inner]))
                estimate = helix.energy + float(cost_L[list(helix.residues)].max())
                if best is None or estimate < best[0]:
                    best = estimate, helix
        if best is not None:
            found.append(best)
    return sorted(found, key=lambda each: (each[0], each[1].pairs))


def _runs(allowed_LL: np.ndarray, min_stem: int) -> list[tuple[tuple[int, int], ...]]:
    """All maximal runs (i, j), (i + 1, j - 1), … of allowed pairs i < j with at least `min_stem` of them."""
    upper = np.triu(allowed_LL, k=1)
    length = np.zeros(upper.shape, dtype=np.int16)
    for i in range(len(upper) - 2, -1, -1):
        length[i, 1:] = np.where(upper[i, 1:], 1 + length[i + 1, :-1], 0)
    starts = upper & (length >= min_stem)
    starts[1:, :-1] &= ~upper[:-1, 1:]
    return [tuple((int(i) + k, int(j) - k) for k in range(length[i, j])) for i, j in np.argwhere(starts)]
