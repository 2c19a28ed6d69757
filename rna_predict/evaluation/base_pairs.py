"""Agreement of a secondary structure with a native one: precision, recall, F1 and MCC, exact and within one position.

What is undefined: where neither structure has a pair there is nothing to measure and every measure is None. Where only
one has pairs every measure is 0: a method that predicts nothing has earned nothing, and is not left out of a mean.

Within one position (±1): a predicted pair (i, j) is right when (i, j), (i±1, j) or (i, j±1) is native, and a native
pair is found when (i, j), (i±1, j) or (i, j±1) is predicted (Mathews, RNA 10 (2004) 1178). As pairs in solution slip,
the benchmarks on ArchiveII count so.
"""

import math
from dataclasses import dataclass

import numpy as np

from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.errors import ContractError


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
    """What two structures of one RNA have in common, or of several RNAs when added.

    Attributes:
        possible: pairs that an RNA of this length has, L (L - 1) / 2.
        native: pairs of the native.
        predicted: pairs of the prediction.
        right: predicted pairs that count as native.
        found: native pairs that count as predicted. With exact positions it equals `right`; within one position it
            may not, as one native pair can excuse two predicted ones.
    """

    possible: int
    native: int
    predicted: int
    right: int
    found: int

    @property
    def precision(self) -> float | None:
        """Share of the predicted pairs that are right."""
        return self._share(self.right, self.predicted)

    @property
    def recall(self) -> float | None:
        """Share of the native pairs that are found."""
        return self._share(self.found, self.native)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        precision, recall = self.precision, self.recall
        if precision is None or recall is None:
            return None
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def mcc(self) -> float | None:
        """Matthews correlation over all possible pairs.

        Written with the four rates, √(PPV·TPR·TNR·NPV) - √(FDR·FNR·FPR·FOR), which is the usual formula for exact
        positions and has a meaning within one position as well, where `right` and `found` differ.
        """
        precision, recall = self.precision, self.recall
        if precision is None or recall is None:
            return None
        if not self.native or not self.predicted:
            return 0.0
        # An RNA whose every possible pair is native or predicted has two residues; then nothing is a negative.
        negatives, left = self.possible - self.native, self.possible - self.predicted
        fall_out = (self.predicted - self.right) / negatives if negatives else 0.0
        omission = (self.native - self.found) / left if left else 0.0
        agree = precision * recall * (1 - fall_out) * (1 - omission)
        differ = (1 - precision) * (1 - recall) * fall_out * omission
        return math.sqrt(agree) - math.sqrt(differ)

    def __add__(self, other: "PairCounts") -> "PairCounts":
        """Counts of both together: measures of the sum are pooled over pairs, not means over RNAs."""
        return PairCounts(
            possible=self.possible + other.possible,
            native=self.native + other.native,
            predicted=self.predicted + other.predicted,
            right=self.right + other.right,
            found=self.found + other.found,
        )

    def _share(self, part: int, whole: int) -> float | None:
        if not self.native and not self.predicted:
            return None
        return part / whole if whole else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScore:
    """Agreement of one prediction.

    Attributes:
        exact: all pairs, exact positions.
        near: all pairs, within one position.
        canonical: exact positions, only pairs A-U, C-G and G-U with at least three residues between on both sides:
            what a prediction can contain.
        crossing: exact positions, only pairs that cross another pair of their own structure (`crossing_pairs`), on
            both sides. Its measures are None where neither structure has a pseudoknot.
    """

    exact: PairCounts
    near: PairCounts
    canonical: PairCounts
    crossing: PairCounts


def score_pairs(predicted_L: np.ndarray, native_L: np.ndarray, sequence: str) -> PairScore:
    """Compare a predicted matching with a native one.

    Args:
        predicted_L: integer [L], index of the paired residue or -1.
        native_L: the same of the native; pairs that are not canonical, or close, are taken as they are.
        sequence: letters A C G U, for `canonical`.

    Raises:
        ContractError: another length, or not a matching.
    """
    predicted, native = pairs_of(predicted_L), pairs_of(native_L)
    if not len(predicted_L) == len(native_L) == len(sequence):
        lengths = f"{len(predicted_L)}, {len(native_L)} and {len(sequence)}"
        raise ContractError(f"predicted_L, native_L and sequence have {lengths} residues; they must be of one RNA")
    return PairScore(
        exact=count_exact(predicted, native, len(sequence)),
        near=count_near(predicted, native, len(sequence)),
        canonical=count_exact(canonical_pairs(predicted, sequence), canonical_pairs(native, sequence), len(sequence)),
        crossing=count_exact(crossing_pairs(predicted), crossing_pairs(native), len(sequence)),
    )


def pairs_of(partner_L: np.ndarray) -> np.ndarray:
    """Pairs (i, j) with i < j of a matching, sorted, int [N, 2].

    Raises:
        ContractError: not a matching.
    """
    partner_L = np.asarray(partner_L)
    first = np.flatnonzero(partner_L >= 0)
    if len(first) and (partner_L.max() >= len(partner_L) or (partner_L[partner_L[first]] != first).any()):
        raise ContractError("partner_L: not a matching; every pair must be mutual and inside the sequence")
    if (partner_L[first] == first).any():
        raise ContractError("partner_L: a residue is paired with itself")
    first = first[partner_L[first] > first]
    return np.stack([first, partner_L[first]], axis=1).astype(int)


def count_exact(predicted_N2: np.ndarray, native_M2: np.ndarray, length: int) -> PairCounts:
    """Count pairs at exact positions; pairs as `pairs_of` gives them."""
    shared = len(np.intersect1d(_codes(predicted_N2), _codes(native_M2), assume_unique=True))
    return _counts(predicted_N2, native_M2, length, shared, shared)


def count_near(predicted_N2: np.ndarray, native_M2: np.ndarray, length: int) -> PairCounts:
    """Count pairs within one position at one of their ends."""
    # One end equal and the other within one: the distances of the ends sum to at most one.
    apart_NM = np.abs(predicted_N2[:, None] - native_M2[None]).sum(axis=-1)
    near_NM = apart_NM <= 1
    right, found = int(near_NM.any(axis=1).sum()), int(near_NM.any(axis=0).sum())
    return _counts(predicted_N2, native_M2, length, right, found)


def canonical_pairs(pairs_N2: np.ndarray, sequence: str) -> np.ndarray:
    """Those that are A-U, C-G or G-U with at least three residues between."""
    keep = [sequence[i] + sequence[j] in CANONICAL_PAIRS and j - i > MIN_LOOP for i, j in pairs_N2]
    return pairs_N2[np.array(keep, dtype=bool)]


def crossing_pairs(pairs_N2: np.ndarray) -> np.ndarray:
    """Those that cross another one (i < k < j < l): both helices of a pseudoknot, not only the shorter one."""
    i, j = pairs_N2[:, 0], pairs_N2[:, 1]
    over_NN = (i[:, None] < i) & (i < j[:, None]) & (j[:, None] < j)
    return pairs_N2[(over_NN | over_NN.T).any(axis=1)]


def _codes(pairs_N2: np.ndarray) -> np.ndarray:
    return pairs_N2[:, 0] * (1 << 32) + pairs_N2[:, 1]


def _counts(predicted_N2: np.ndarray, native_M2: np.ndarray, length: int, right: int, found: int) -> PairCounts:
    return PairCounts(
        possible=length * (length - 1) // 2,
        native=len(native_M2),
        predicted=len(predicted_N2),
        right=right,
        found=found,
    )
