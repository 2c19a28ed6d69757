"""What is drawn: one RNA's matching, its probabilities, and what it is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np

from rna_predict.chemistry.chains import chain_of
from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.contracts import Adjacency, GivenStructure, RnaSequence
from rna_predict.errors import ContractError, InputError

Pair = tuple[int, int]

WOBBLE = frozenset({"GU", "UG"})
KINDS = ("Watson-Crick", "wobble", "non-canonical")

RIGHT, WRONG, MISSED = "right", "wrong", "missed"
"""Verdicts on a pair against a native: in both, in the prediction alone, in the native alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One RNA as it is drawn.

    Attributes:
        id: name.
        sequence: letters.
        partner_L: int32 [L], index of the paired residue or -1.
        probability_LL: float32 [L, L], as in `contracts.Adjacency`; None where none are known.
        source: how the pairs were found, for the heading.
        native_L: int32 [L], the pairs to compare with, or None.
        native_source: where those come from, for the heading.
        breaks: first residue of each chain but the first.
    """

    id: str
    sequence: str
    partner_L: np.ndarray
    probability_LL: np.ndarray | None
    source: str
    native_L: np.ndarray | None = None
    native_source: str = ""
    breaks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raise ContractError where an array is not of the sequence's length."""
        length = len(self.sequence)
        shapes = {"partner_L": (length,), "probability_LL": (length, length), "native_L": (length,)}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ContractError(f"{name} of {self.id}: expected shape {shape}, found {value.shape}")

    @property
    def length(self) -> int:
        """Number of residues."""
        return len(self.sequence)

    @property
    def pairs(self) -> list[Pair]:
        """Pairs that are shown as formed, (i, j), 0-based, i < j, sorted."""
        return _pairs(self.partner_L)

    @property
    def native_pairs(self) -> list[Pair]:
        """Pairs of the structure to compare with; none where there is none."""
        return [] if self.native_L is None else _pairs(self.native_L)

    @property
    def missed_pairs(self) -> list[Pair]:
        """Native pairs that are not among `pairs`."""
        return sorted(set(self.native_pairs) - set(self.pairs))

    def verdict(self, pair: Pair) -> str:
        """`RIGHT`, `WRONG` or `MISSED`; empty for a pair that is in neither structure, or without a native."""
        i, j = pair
        if self.native_L is None:
            return ""
        if self.partner_L[i] == j:
            return RIGHT if self.native_L[i] == j else WRONG
        return MISSED if self.native_L[i] == j else ""

    def kind(self, pair: Pair) -> str:
        """One of `KINDS`, by the two letters."""
        letters = self.sequence[pair[0]] + self.sequence[pair[1]]
        if letters in WOBBLE:
            return KINDS[1]
        return KINDS[0] if letters in CANONICAL_PAIRS else KINDS[2]

    def probability(self, pair: Pair) -> float | None:
        """Probability of a pair; None where none are known."""
        return None if self.probability_LL is None else float(self.probability_LL[pair])

    def state_probabilities(self) -> list[float | None]:
        """Each residue's probability of what it is shown as: of its pair, or of being unpaired (1 - its row's sum)."""
        if self.probability_LL is None:
            return [None] * self.length
        unpaired_L = 1 - self.probability_LL.sum(axis=1, dtype=np.float64)
        paired_L = self.probability_LL[np.arange(self.length), self.partner_L]
        shown_L = np.where(self.partner_L >= 0, paired_L, np.clip(unpaired_L, 0.0, 1.0))
        return [float(value) for value in shown_L]

    def residue_name(self, index: int) -> str:
        """Letter and 1-based number, as `G12`; `B:G3` is the third residue of the second of several chains."""
        if not self.breaks:
            return f"{self.sequence[index]}{index + 1}"
        chain = int(chain_of(self.length, self.breaks)[index])
        return f"{ascii_uppercase[chain]}:{self.sequence[index]}{index + 1 - (0, *self.breaks)[chain]}"

    def state_name(self, index: int, probability: float | None) -> str:
        """A residue, what it is shown as, and how probable that is, as `G12 paired with 45 0.87`."""
        partner = int(self.partner_L[index])
        state = "unpaired" if partner < 0 else f"paired with {partner + 1}"
        return f"{self.residue_name(index)} {state}" + ("" if probability is None else f" {probability:.2g}")

    def pair_name(self, pair: Pair) -> str:
        """Both residues and what is known of the pair, as `G12–C45 0.87, right`."""
        i, j = pair
        known = self.probability(pair)
        name = f"{self.residue_name(i)}–{self.residue_name(j)}" + ("" if known is None else f" {known:.2g}")
        verdict = self.verdict(pair)
        return f"{name}, {verdict}" if verdict else name


def subject_of_adjacency(adjacency: Adjacency, native: GivenStructure | None = None) -> Subject:
    """Stage A's result, with or without a structure to compare with.

    Raises:
        InputError: the native is of another length, or has no pairs.
    """
    return Subject(
        id=adjacency.id,
        sequence=adjacency.sequence,
        breaks=adjacency.breaks,
        partner_L=adjacency.partner_L,
        probability_LL=adjacency.probability_LL,
        source=adjacency.provenance.method,
        native_L=_native_partners(adjacency.id, adjacency.length, native),
        native_source=_short(native.source) if native else "",
    )


def subject_of_structure(sequence: RnaSequence, given: GivenStructure, native: GivenStructure | None = None) -> Subject:
    """A structure read from a file, which says nothing of probabilities.

    Raises:
        InputError: a structure is of another length, or has no pairs.
    """
    return Subject(
        id=sequence.id,
        sequence=sequence.sequence,
        breaks=sequence.breaks,
        partner_L=_partners(sequence.id, sequence.length, given),
        probability_LL=None,
        source=_short(given.source),
        native_L=_native_partners(sequence.id, sequence.length, native),
        native_source=_short(native.source) if native else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Those of many pairs that a picture has room for.

    Attributes:
        pairs: i < j, sorted.
        threshold: they are above it.
        left_out: pairs between the wanted threshold and this one.
    """

    pairs: list[Pair]
    threshold: float
    left_out: int


def most_probable(probability_LL: np.ndarray, thresholds: Sequence[float], room: int) -> Shown:
    """The pairs above the lowest threshold that leaves no more than `room`, or above the highest.

    Args:
        probability_LL: float [L, L], symmetric; zero where a pair is not wanted.
        thresholds: rising; the first is the one that is wanted.
        room: most pairs that a picture takes.
    """
    upper = np.triu(probability_LL, k=1)
    wanted = int((upper > thresholds[0]).sum())
    fitting = [threshold for threshold in thresholds if (upper > threshold).sum() <= room]
    threshold = (fitting or list(thresholds[-1:]))[0]
    pairs = [(int(i), int(j)) for i, j in np.argwhere(upper > threshold)]
    return Shown(pairs=pairs, threshold=threshold, left_out=wanted - len(pairs))


def _pairs(partner_L: np.ndarray) -> list[Pair]:
    return [(int(i), int(partner_L[i])) for i in np.flatnonzero(partner_L > np.arange(len(partner_L)))]


def _short(source: str) -> str:
    """A file's name without its folders: a picture goes to others."""
    return source.rpartition("/")[2]


def _native_partners(id: str, length: int, native: GivenStructure | None) -> np.ndarray | None:
    return None if native is None else _partners(id, length, native)


def _partners(id: str, length: int, given: GivenStructure) -> np.ndarray:
    if given.partner_L is None:
        raise InputError(f"{given.source}: holds probabilities, not pairs, of {id}. Give dot-bracket, ct or bpseq.")
    if given.length != length:
        raise InputError(f"{given.source}: has {given.length} residues, {id} has {length}. Give one of the same RNA.")
    return given.partner_L
