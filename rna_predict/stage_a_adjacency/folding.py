"""What a folding backend takes and gives; every backend is one function of this shape."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rna_predict.chemistry.chains import spaced
from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.errors import PredictionError
from rna_predict.stage_a_adjacency.config import StageAConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """A backend's answer.

    Attributes:
        probability_LL: float32 [L, L], as in `contracts.Adjacency`.
        partner_L: int32 [L], nested or not, as in `contracts.Adjacency`; None where the backend has no matching of its
            own and one is to be read from the probabilities by `StageAConfig.readout`.
        weights: sha256 of the learned weights that it ran on, or `none`.
        free_energy: of the ensemble, kcal/mol, pseudo-energies included; None where the backend has none.
    """

    probability_LL: np.ndarray
    partner_L: np.ndarray | None
    weights: str = "none"
    free_energy: float | None = None

    @property
    def matching(self) -> np.ndarray:
        """`partner_L`, which must be there.

        Raises:
            PredictionError: none was read yet.
        """
        if self.partner_L is None:
            raise PredictionError("partner_L: no matching was read from the pair probabilities. Read one first.")
        return self.partner_L


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What a backend has to respect, 0-based.

    Attributes:
        pairs: nested pairs that must form, canonical or not.
        unpaired: residues that must not pair.
        bonus_LL: kcal/mol [L, L], added to the energy of a pair (negative favours it), or None.
        reactivity_L: float32 [L], normalised reactivities, NaN for none, or None.
        breaks: first residue of each chain but the first, as in `RnaSequence`.
    """

    pairs: tuple[tuple[int, int], ...] = ()
    unpaired: tuple[int, ...] = ()
    bonus_LL: np.ndarray | None = field(default=None, compare=False)
    reactivity_L: np.ndarray | None = field(default=None, compare=False)
    breaks: tuple[int, ...] = ()

    @property
    def present(self) -> list[str]:
        """Names of the fields that say something."""
        said = {"pairs": bool(self.pairs), "unpaired": bool(self.unpaired), "breaks": bool(self.breaks)}
        said |= {name: getattr(self, name) is not None for name in ("bonus_LL", "reactivity_L")}
        return [name for name, there in said.items() if there]


FoldFunction = Callable[[str, StageAConfig, Constraints], Fold]
"""Sequence, settings and constraints in, a Fold out."""


def pair_probabilities(upper_LL: np.ndarray) -> np.ndarray:
    """Float32 [L, L] that keeps `Adjacency`'s rules to the last bit, from pair probabilities i < j.

    Values are clipped to [0, 1], and a pair of a residue whose row sums to more than 1 (rounding in the partition
    function, few digits in a file) is divided by the larger of its two rows' sums.

    Args:
        upper_LL: float [L, L]; the diagonal and the lower triangle are not read.
    """
    upper = np.clip(np.triu(np.asarray(upper_LL, dtype=np.float64), k=1), 0.0, 1.0)
    matrix = upper + upper.T
    sums = matrix.sum(axis=1)
    margin = 1 + 1e-6  # float32 rounds by up to 6e-8 of each value
    if sums.max() * margin > 1:
        scale = np.maximum(sums * margin, 1.0)
        matrix /= np.maximum(scale[:, None], scale)
    return matrix.astype(np.float32)


def can_pair(sequence: str, breaks: tuple[int, ...] = ()) -> np.ndarray:
    """Which pairs are canonical with at least three residues between or in different chains, bool [L, L]."""
    letters = np.array(list(sequence))
    legal = np.zeros((len(sequence), len(sequence)), dtype=bool)
    for first, second in CANONICAL_PAIRS:
        legal |= (letters[:, None] == first) & (letters == second)
    place = spaced(len(sequence), breaks, MIN_LOOP)
    return legal & (np.abs(np.subtract.outer(place, place)) > MIN_LOOP)
