"""What a sequence's families say of its base pairs: how probable each is by alignment and seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.families.align import align_hit
from rna_predict.families.library import Family, FamilyLibrary
from rna_predict.families.search import FamilyHit
from rna_predict.formats.dot_bracket import from_dot_bracket


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyPrior:
    """Prior knowledge of pairs, without an energy model; indices are of residues.

    Attributes:
        nested_LL: float32 [L, L], zero but for i < j: weight in [0, 1] of each canonical pair that is of the consensus.
        crossing_LL: the same of pairs that cross the main part of the consensus (pseudoknots).
        loop_L: float32 [L], probability that a residue stands where the consensus has no pair.
        knot_L: float32 [L], weight of the pairs in `crossing_LL` that a residue is in.
    """

    nested_LL: np.ndarray
    crossing_LL: np.ndarray
    loop_L: np.ndarray
    knot_L: np.ndarray


def family_prior(sequence: str, hits: Sequence[FamilyHit], library: FamilyLibrary) -> FamilyPrior:
    """The prior of all hits of one sequence.

    A pair (i, j) of residues gains P(i at a) · P(j at b) · support(a, b) for each pair (a, b) of match states in the
    consensus: posteriors of the alignment, and the share of the seed's rows that can form the pair. Pairs that are not
    A-U, C-G or G-U weigh nothing.

    Args:
        sequence: letters A C G U.
        hits: of this sequence.
        library: that they were found in.
    """
    length = len(sequence)
    nested_LL, crossing_LL = np.zeros((length, length), np.float32), np.zeros((length, length), np.float32)
    loop_L = np.zeros(length)
    for hit in hits:
        posterior_LM = align_hit(sequence, hit, library)
        family = library.families[library.number[hit.accession]]
        partner_M = from_dot_bracket(family.structure)
        loop_L += posterior_LM[:, partner_M < 0].sum(axis=1)
        for (a, b), support, crosses in consensus_pairs(family):
            first, second = np.flatnonzero(posterior_LM[:, a]), np.flatnonzero(posterior_LM[:, b])
            weight = support * np.outer(posterior_LM[first, a], posterior_LM[second, b])
            (crossing_LL if crosses else nested_LL)[np.ix_(first, second)] += weight.astype(np.float32)
    legal_LL = np.triu(_letters_pair(sequence), k=1)
    nested_LL, crossing_LL = (np.minimum(np.where(legal_LL, one, 0), 1) for one in (nested_LL, crossing_LL))
    knot_L = crossing_LL.sum(axis=0) + crossing_LL.sum(axis=1)
    return FamilyPrior(
        nested_LL=nested_LL,
        crossing_LL=crossing_LL,
        loop_L=np.minimum(loop_L, 1.0).astype(np.float32),
        knot_L=np.minimum(knot_L, 1.0).astype(np.float32),
    )


def consensus_pairs(family: Family) -> list[tuple[tuple[int, int], float, bool]]:
    """The consensus' pairs of match states, sorted, each with its support (0 … 1) and whether it is of a pseudoknot.

    Of crossing stems those with the most pairs count as the main part (`formats.dot_bracket.to_dot_bracket`).
    """
    partner_M = from_dot_bracket(family.structure)
    pairs = [(a, int(b)) for a, b in enumerate(partner_M) if b > a]
    return [
        (pair, support / 100, family.structure[pair[0]] != "(")
        for pair, support in zip(pairs, family.support, strict=True)
    ]


def _letters_pair(sequence: str) -> np.ndarray:
    letters = np.array(list(sequence))
    legal = np.zeros((len(sequence), len(sequence)), dtype=bool)
    for first, second in CANONICAL_PAIRS:
        legal |= (letters[:, None] == first) & (letters == second)
    return legal
