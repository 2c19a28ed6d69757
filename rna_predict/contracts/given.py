"""A secondary structure that the user gives: pairs, or pair probabilities, or both."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rna_predict.contracts.adjacency import MIN_LOOP, too_near
from rna_predict.contracts.record import read_only
from rna_predict.contracts.sequence import checked_breaks
from rna_predict.errors import ContractError

SUM_TOLERANCE = 1e-3
"""Rounding allowed on values and row sums of a probability matrix written with few digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenStructure:
    """What the user knows about one RNA's pairs; at least one of `partner_L` and `probability_LL` is there.

    Attributes:
        id: the RNA's id.
        length: number of residues.
        breaks: first residue of each chain but the first, as in `RnaSequence`.
        partner_L: int32 [L], index of the paired residue or -1 (nothing is said), or None. Any letters may pair.
        unpaired_L: bool [L], True where the user forbids a pair (`x` in dot-bracket), or None.
        probability_LL: float32 [L, L] in [0, 1], symmetric, zero diagonal, row sums at most 1, or None.
        source: where it comes from, for messages: a file name, or `native`.
    """

    id: str
    length: int
    source: str
    breaks: tuple[int, ...] = ()
    partner_L: np.ndarray | None = None
    unpaired_L: np.ndarray | None = None
    probability_LL: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Raise ContractError, naming source and residues, when the pairs or the probabilities break a rule above."""
        if self.length < 1:
            raise ContractError(f"{self.source}: {self.id} has no residues")
        object.__setattr__(self, "breaks", checked_breaks(self.id, self.length, self.breaks))
        if self.partner_L is None and self.probability_LL is None:
            raise ContractError(f"{self.source}: a given structure of {self.id} needs pairs or probabilities")
        shapes = {"partner_L": (1, "int32"), "unpaired_L": (1, "bool"), "probability_LL": (2, "float32")}
        for name, (axes, dtype) in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            if value.dtype != np.dtype(dtype) or value.shape != (self.length,) * axes:
                found = f"{value.dtype} {value.shape}"
                raise ContractError(f"{self.source}: {name} of {self.id} is {found}, length is {self.length}")
            object.__setattr__(self, name, read_only(value))
        if self.partner_L is not None:
            self._check_pairs(self.partner_L)
        if self.probability_LL is not None:
            check_probabilities(f"{self.source}: {self.id}", self.probability_LL)

    def _check_pairs(self, partner: np.ndarray) -> None:
        if partner.min() < -1 or partner.max() >= self.length:
            raise ContractError(f"{self.source}: a pair of {self.id} lies outside its {self.length} residues")
        for i in np.flatnonzero(partner >= 0):
            j = int(partner[i])
            if partner[j] != i:
                raise ContractError(f"{self.source}: residue {i + 1} pairs with {j + 1}, but {j + 1} does not with it")
            if too_near(int(i), j, self.breaks):
                between = max(abs(j - i) - 1, 0)
                raise ContractError(
                    f"{self.source}: pair {min(i, j) + 1}-{max(i, j) + 1} has {between} residues between, "
                    f"at least {MIN_LOOP} are needed. Remove the pair."
                )
            if self.unpaired_L is not None and self.unpaired_L[i]:
                raise ContractError(f"{self.source}: residue {i + 1} is both paired and forced unpaired")

    @classmethod
    def from_pairs(
        cls, name: str, length: int, pairs: Iterable[tuple[int, int]], source: str, breaks: tuple[int, ...] = ()
    ) -> "GivenStructure":
        """Build from 0-based pairs in any order.

        Raises:
            ContractError: an index outside the RNA, or two pairs that share a residue.
        """
        partner_L = np.full(length, -1, dtype=np.int32)
        for i, j in pairs:
            if not (0 <= i < length and 0 <= j < length):
                raise ContractError(f"{source}: pair {i + 1}-{j + 1} lies outside the {length} residues of {name}")
            for residue, other in ((i, j), (j, i)):
                if partner_L[residue] not in (-1, other):
                    partners = f"{partner_L[residue] + 1} and {other + 1}"
                    raise ContractError(f"{source}: residue {residue + 1} of {name} pairs with both {partners}")
            partner_L[i], partner_L[j] = j, i
        return cls(id=name, length=length, breaks=breaks, partner_L=partner_L, source=source)

    def digest(self) -> str:
        """sha256 over the content (not the source): equal content, equal digest."""
        state = hashlib.sha256(":".join(map(str, (self.id, self.length, *self.breaks))).encode())
        for name in ("partner_L", "unpaired_L", "probability_LL"):
            value = getattr(self, name)
            state.update(name.encode())
            state.update(b"none" if value is None else np.ascontiguousarray(value).tobytes())
        return state.hexdigest()


def check_probabilities(label: str, matrix: np.ndarray) -> None:
    """Raise ContractError, naming the first offending residue, unless `matrix` holds pair probabilities [L, L]."""

    def where(bad: np.ndarray) -> str:
        return "-".join(str(index + 1) for index in np.argwhere(bad)[0])

    if not np.isfinite(matrix).all():
        raise ContractError(f"{label}: the probability of pair {where(~np.isfinite(matrix))} is NaN or infinite")
    outside = (matrix < 0) | (matrix > 1 + SUM_TOLERANCE)
    if outside.any():
        value = matrix[tuple(np.argwhere(outside)[0])]
        raise ContractError(f"{label}: the probability of pair {where(outside)} is {value:g}, not in [0, 1]")
    if np.diagonal(matrix).any():
        raise ContractError(f"{label}: residue {where(np.diagonal(matrix) != 0)} pairs with itself")
    skew = np.abs(matrix - matrix.T) > SUM_TOLERANCE
    if skew.any():
        i, j = np.argwhere(skew)[0]
        values = f"{matrix[i, j]:g} and {matrix[j, i]:g}"
        raise ContractError(f"{label}: the matrix is not symmetric: {i + 1}-{j + 1} and {j + 1}-{i + 1} are {values}")
    sums = matrix.sum(axis=1, dtype=np.float64)
    if sums.max() > 1 + SUM_TOLERANCE:
        residue = int(np.argmax(sums > 1 + SUM_TOLERANCE))
        raise ContractError(f"{label}: the pair probabilities of residue {residue + 1} sum to {sums[residue]:.4f} > 1")
