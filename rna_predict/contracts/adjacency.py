"""Stage A's result: pair probabilities and a valid matching."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.contracts.loops import Stem, find_stems
from rna_predict.contracts.record import Record, array
from rna_predict.errors import ContractError

MIN_LOOP = 3
"""Fewest unpaired residues that a hairpin loop can have."""


def too_near(i: int, j: int, breaks: tuple[int, ...]) -> bool:
    """Whether residues i and j are too near in one chain to pair; across a break between chains any two may."""
    first, second = min(i, j), max(i, j)
    return second - first <= MIN_LOOP and (first == second or not any(first < start <= second for start in breaks))


def stem_probability(probability_LL: np.ndarray, stem: Stem) -> float:
    """Mean probability of a stem's pairs."""
    return float(np.mean([probability_LL[i, j] for i, j in stem.pairs]))


class FamilyFound(NamedTuple):
    """A family of RNA that stage A found in the sequence.

    Attributes:
        accession: Rfam's, e.g. RF00005.
        name: the family's.
        evalue: expected number of hits this good in a random sequence among all families.
        first: first residue of the hit, from 1.
        last: last residue of the hit.
        query_coverage: share of the sequence within the hit.
        model_coverage: share of the family's profile within the hit.
        release: where the family comes from, e.g. `Rfam 14.9`.
    """

    accession: str
    name: str
    evalue: float
    first: int
    last: int
    query_coverage: float
    model_coverage: float
    release: str

    @property
    def sentence(self) -> str:
        """One line for logs and headers."""
        evalue = f"{self.evalue:.1e}" if self.evalue else "below 1e-300"
        return (
            f"residues {self.first}-{self.last} are {self.name} ({self.accession} of {self.release}), "
            f"E-value {evalue}, {self.model_coverage:.0%} of the family's profile"
        )


class StretchFound(NamedTuple):
    """A stretch of a known structure that reads like one of the sequence, of whose pairs stage A was told.

    Attributes:
        id: of the known chain.
        first: first aligned residue, from 1.
        last: last aligned residue.
        pairs: pairs that it brings.
        expected: share of them that is expected to be right.
        library: digest of the library that holds it.
    """

    id: str
    first: int
    last: int
    pairs: int
    expected: float
    library: str

    @property
    def sentence(self) -> str:
        """One line for logs and headers."""
        return (
            f"residues {self.first}-{self.last} read like {self.id}: {self.pairs} of its pairs, "
            f"{self.expected:.0%} of which are expected to be right"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjacency(Record):
    """Base pairs of one RNA.

    Attributes:
        probability_LL: float32 [L, L] in [0, 1], symmetric, zero diagonal; a row's sum is at most 1.
        partner_L: int32 [L], index of the paired residue or -1; a valid matching (mutual, at least three
            residues between or in different chains, A-U, C-G or G-U unless `given` allows others), pseudoknots kept.
        given: whether the user gave the structure (then non-canonical pairs are taken as they are).
        families: those that were found in the sequence, best first; the provenance's inputs name `family` where they
            took part in the pairs.
        stretches: those of known structures whose pairs took part, the surest first.
    """

    SCHEMA: ClassVar[str] = "rna_predict.adjacency"
    VERSION: ClassVar[int] = 3
    STAGE: ClassVar[str] = "stage_a"

    probability_LL: np.ndarray = array("float32")
    partner_L: np.ndarray = array("int32")
    given: bool = False
    families: tuple[FamilyFound, ...] = ()
    stretches: tuple[StretchFound, ...] = ()

    def __post_init__(self) -> None:
        """Raise ContractError when the matrix or the matching breaks a rule above."""
        Record.__post_init__(self)
        self._check_families()
        self._check_stretches()
        length = self.length
        self.expect_shape("probability_LL", (length, length))
        self.expect_shape("partner_L", (length,))
        matrix = self.probability_LL
        if matrix.min() < 0 or matrix.max() > 1 + 1e-5:
            raise ContractError(f"probability_LL of {self.id}: values outside [0, 1]")
        if np.diagonal(matrix).any() or not np.array_equal(matrix, matrix.T):
            raise ContractError(f"probability_LL of {self.id}: not symmetric with a zero diagonal")
        if matrix.sum(axis=1).max() > 1 + 1e-3:
            raise ContractError(f"probability_LL of {self.id}: a residue's pair probabilities sum to more than 1")
        self._check_matching()

    def _check_families(self) -> None:
        """From a file they come as lists."""
        try:
            found = tuple(FamilyFound(*one) for one in self.families)
        except TypeError as error:
            raise ContractError(f"families of {self.id}: {error}") from error
        for one in found:
            if not 1 <= one.first <= one.last <= self.length or not one.evalue >= 0:
                raise ContractError(
                    f"families of {self.id}: {one.accession} lies at {one.first}-{one.last} with E-value {one.evalue}"
                )
        object.__setattr__(self, "families", found)

    def _check_stretches(self) -> None:
        """From a file they come as lists."""
        try:
            found = tuple(StretchFound(*one) for one in self.stretches)
        except TypeError as error:
            raise ContractError(f"stretches of {self.id}: {error}") from error
        for one in found:
            if not (1 <= one.first < one.last <= self.length and one.pairs > 0 and 0 <= one.expected <= 1):
                raise ContractError(f"stretches of {self.id}: {one.id} lies at {one.first}-{one.last}, {one.sentence}")
        object.__setattr__(self, "stretches", found)

    def _check_matching(self) -> None:
        partner = self.partner_L
        if partner.min() < -1 or partner.max() >= self.length:
            raise ContractError(f"partner_L of {self.id}: an index lies outside the sequence")
        for i in np.flatnonzero(partner >= 0):
            j = int(partner[i])
            if partner[j] != i:
                raise ContractError(f"partner_L of {self.id}: residues {i + 1} and {j + 1} are not mutual partners")
            if too_near(int(i), j, self.breaks):
                raise ContractError(f"partner_L of {self.id}: pair {i + 1}-{j + 1} has fewer than 3 residues between")
            if not self.given and self.sequence[i] + self.sequence[j] not in CANONICAL_PAIRS:
                letters = f"{self.sequence[i]}-{self.sequence[j]}"
                raise ContractError(f"partner_L of {self.id}: pair {i + 1}-{j + 1} is {letters}, not canonical")

    def chance_of(self, other: "Adjacency") -> float:
        """Largest probability that another matching can have here: that the surest stem that it lacks is not there."""
        lost = [
            stem_probability(self.probability_LL, stem)
            for stem in find_stems(self.partner_L)
            if all(other.partner_L[i] != j for i, j in stem.pairs)
        ]
        return 1.0 - max(lost, default=0.0)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs (i, j), 0-based, i < j, sorted."""
        return [(int(i), int(self.partner_L[i])) for i in np.flatnonzero(self.partner_L > np.arange(self.length))]
