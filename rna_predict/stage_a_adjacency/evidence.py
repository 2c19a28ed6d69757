"""What is known of an RNA's pairs besides its sequence, source by source, and what a backend is told of it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rna_predict.contracts.adjacency import StretchFound
from rna_predict.contracts.loops import find_stems, nested_mask
from rna_predict.errors import InputError
from rna_predict.stage_a_adjacency.folding import Constraints, Fold

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one source says. Indices are 0-based, i < j.

    Attributes:
        name: of the source, one word; stands in the provenance's method and names its digest there.
        digest: sha256 of what went in.
        pairs: pairs that must form, nested or not, canonical or not.
        unpaired: residues that must not pair.
        offered: (i, j, p): canonical pairs that are added with probability p where the fold leaves both residues
            unpaired; the way for a family's pseudoknots.
        bonus_LL: kcal/mol [L, L], added to the energy of a pair (negative favours it), or None.
        reactivity_L: float32 [L], NaN for none, or None.
        stretches: what results state of known stretches.
    """

    name: str
    digest: str
    pairs: Pairs = ()
    unpaired: tuple[int, ...] = ()
    offered: tuple[tuple[int, int, float], ...] = ()
    bonus_LL: np.ndarray | None = field(default=None, compare=False)
    reactivity_L: np.ndarray | None = field(default=None, compare=False)
    stretches: tuple[StretchFound, ...] = ()


def constraints_of(evidence: Sequence[Evidence], breaks: tuple[int, ...] = ()) -> Constraints:
    """What a backend has to respect: hard pairs and residues of all sources, the sum of their bonuses, reactivities.

    Of crossing stems the nested subset with the most pairs goes to the backend. The residues of the others are kept
    unpaired there; `put_on_top` adds their pairs. `breaks` are those of the RNA's chains.

    Raises:
        InputError: two sources contradict each other, or both bring reactivities.
    """
    nested, crossing = split_pairs(evidence)
    unpaired = {end for pair in crossing for end in pair}.union(*(source.unpaired for source in evidence))
    for i in (end for pair in nested for end in pair):
        if i in unpaired:
            names = " and ".join(source.name for source in evidence if source.pairs or source.unpaired)
            raise InputError(f"{names}: residue {i + 1} is both paired and forced unpaired. Leave one out.")
    bonuses = [source.bonus_LL for source in evidence if source.bonus_LL is not None]
    reactive = [source for source in evidence if source.reactivity_L is not None]
    if len(reactive) > 1:
        raise InputError(f"{reactive[0].name} and {reactive[1].name}: both bring reactivities. Leave one out.")
    return Constraints(
        pairs=nested,
        unpaired=tuple(sorted(unpaired)),
        bonus_LL=sum(bonuses[1:], bonuses[0]) if bonuses else None,
        reactivity_L=reactive[0].reactivity_L if reactive else None,
        breaks=breaks,
    )


def split_pairs(evidence: Sequence[Evidence]) -> tuple[Pairs, Pairs]:
    """The hard pairs of all sources as (nested, crossing); nested is the subset of stems with the most pairs.

    Raises:
        InputError: a residue has two partners.
    """
    partner: dict[int, tuple[int, str]] = {}
    for source in evidence:
        for i, j in source.pairs:
            for residue, other in ((i, j), (j, i)):
                stands, name = partner.setdefault(residue, (other, source.name))
                if stands != other:
                    raise InputError(
                        f"{source.name}: residue {residue + 1} pairs with {other + 1}, but with {stands + 1} by "
                        f"{name}. Leave one out."
                    )
    partner_L = np.full(max(partner, default=-1) + 1, -1, dtype=np.int32)
    for residue, (other, _) in partner.items():
        partner_L[residue] = other
    stems = find_stems(partner_L)
    keep = nested_mask(stems)
    nested = tuple(pair for stem, inside in zip(stems, keep, strict=True) if inside for pair in stem.pairs)
    crossing = tuple(pair for stem, inside in zip(stems, keep, strict=True) if not inside for pair in stem.pairs)
    return nested, crossing


def put_on_top(fold: Fold, evidence: Sequence[Evidence]) -> Fold:
    """The fold with all hard pairs at probability 1, and with the offered pairs whose residues it leaves unpaired."""
    nested, crossing = split_pairs(evidence)
    offered = [offer for source in evidence for offer in source.offered]
    if not (nested or crossing or offered):
        return fold
    probability_LL, partner_L = fold.probability_LL.copy(), fold.matching.copy()
    for i, j in nested + crossing:
        partner_L[i], partner_L[j] = j, i
        raise_pair(probability_LL, i, j, 1.0)
    for i, j, probability in offered:
        if partner_L[i] < 0 and partner_L[j] < 0:
            partner_L[i], partner_L[j] = j, i
            raise_pair(probability_LL, i, j, probability)
    return dataclasses.replace(fold, probability_LL=probability_LL, partner_L=partner_L)


def raise_pair(probability_LL: np.ndarray, i: int, j: int, probability: float) -> None:
    """Set one pair's probability in place; the other pairs of its two residues keep their ratio in what is left."""
    for residue in (i, j):
        row = probability_LL[residue]
        left = row.sum(dtype=np.float64) - row[i + j - residue]
        scale = min(1.0, max(0.0, 1.0 - probability) * (1 - 1e-6) / left) if left > 0 else 0.0
        row *= np.float32(scale)
        probability_LL[:, residue] = row
    probability_LL[i, j] = probability_LL[j, i] = probability
