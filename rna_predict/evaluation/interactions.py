"""Agreement of base pairs and stackings between model and native."""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from rna_predict.chemistry.residues import ATOMS, BASE_N_SLOT
from rna_predict.contracts import Structure
from rna_predict.evaluation.annotation import Annotation, annotate_pairs
from rna_predict.evaluation.correspondence import Correspondence


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How many interactions of one kind are right, wrong and missed."""

    shared: int
    model_only: int
    native_only: int

    @property
    def inf(self) -> float | None:
        """Interaction network fidelity √(precision·recall).

        None when neither has an interaction of the kind; 0 when only one has, or none is shared.
        Source: Parisien, Cruz, Westhof, Major, RNA 15 (2009) 1875.
        """
        if self.shared + self.model_only + self.native_only == 0:
            return None
        if self.shared == 0:
            return 0.0
        precision = self.shared / (self.shared + self.model_only)
        recall = self.shared / (self.shared + self.native_only)
        return math.sqrt(precision * recall)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None when neither has an interaction of the kind."""
        total = 2 * self.shared + self.model_only + self.native_only
        return 2 * self.shared / total if total else None

    def __add__(self, other: "Agreement") -> "Agreement":
        """Counts of both kinds together."""
        return Agreement(
            shared=self.shared + other.shared,
            model_only=self.model_only + other.model_only,
            native_only=self.native_only + other.native_only,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionAgreement:
    """Agreement for each kind of interaction.

    Attributes:
        wc: cis Watson-Crick pairs A-U, C-G and G-U, the same two residues.
        nwc: all other pairs, the same two residues in the same Leontis-Westhof class.
        stacking: the same two stacked residues, whichever faces they show.
        left_out: residues of the native that were not compared because they lack a base atom there. A residue that
            only the model lacks is compared: the native's interactions with it are missed.
    """

    wc: Agreement
    nwc: Agreement
    stacking: Agreement
    left_out: int

    @property
    def all(self) -> Agreement:
        """All kinds together."""
        return self.wc + self.nwc + self.stacking


def compare_interactions(
    model: Structure, native: Structure, match: Correspondence, model_annotation: Annotation | None = None
) -> InteractionAgreement:
    """Compare the interactions of model and native, both annotated by rnapolis.

    Residues whose base is incomplete in the native cannot show their interactions: interactions with such a residue,
    or with one that the native lacks, are left out on both sides.

    Args:
        model: the model.
        native: the native.
        match: which residues correspond.
        model_annotation: `annotate_pairs(model)` when it is at hand.
    """
    found = model_annotation or annotate_pairs(model)
    expected = annotate_pairs(native)
    visible = set(np.flatnonzero(_complete_bases(native)).tolist())
    pairs = zip(match.model_L.tolist(), match.native_L.tolist(), strict=True)
    translate = {m: n for m, n in pairs if n in visible}
    itself = {n: n for n in visible}

    def compare(kind: str) -> Agreement:
        return agreement(_translated(getattr(found, kind), translate), _translated(getattr(expected, kind), itself))

    return InteractionAgreement(
        wc=compare("canonical"),
        nwc=compare("non_canonical"),
        stacking=compare("stackings"),
        left_out=native.length - len(visible),
    )


def agreement(model: Iterable[Hashable], native: Iterable[Hashable]) -> Agreement:
    """Count shared and unshared members of two sets of interactions in the same numbering."""
    found, expected = set(model), set(native)
    shared = len(found & expected)
    return Agreement(shared=shared, model_only=len(found) - shared, native_only=len(expected) - shared)


def pair_agreement(
    partner_L: np.ndarray | Iterable[int], native: Structure, match: Correspondence | None = None
) -> Agreement:
    """Agreement of a secondary structure with the native's canonical pairs (`.f1` is the pair F1).

    Args:
        partner_L: index of each residue's partner or -1, over the full sequence.
        native: the native.
        match: where the native's residues lie in the full sequence (`model_L`); default: number - 1. Pairs with a
            residue that the native lacks, or shows without its whole base, are left out.
    """
    positions = native.number_L - 1 if match is None else match.model_L
    rows = np.arange(native.length) if match is None else match.native_L
    visible_L = _complete_bases(native)
    translate = {int(p): int(n) for p, n in zip(positions, rows, strict=True) if visible_L[n]}
    itself = {int(n): int(n) for n in np.flatnonzero(visible_L)}
    pairs = [(i, int(j)) for i, j in enumerate(partner_L) if i < j]
    return agreement(_translated(pairs, translate), _translated(annotate_pairs(native).canonical, itself))


def deformation_index(rmsd: float, inf_all: float | None) -> float | None:
    """DI = RMSD / INF over all interactions, Å; None where INF is undefined or 0 (DI is then infinite).

    Source: Parisien, Cruz, Westhof, Major, RNA 15 (2009) 1875.
    """
    return rmsd / inf_all if inf_all else None


def _complete_bases(structure: Structure) -> np.ndarray:
    """bool [L], True where no base atom is missing."""
    return np.array(
        [
            mask_A[BASE_N_SLOT : len(ATOMS[letter])].all()
            for letter, mask_A in zip(structure.sequence, structure.mask_LA, strict=True)
        ]
    )


def _translated(interactions: Iterable[tuple], translate: dict[int, int]) -> list[tuple]:
    """Interactions (i, j, ...) with both positions replaced; those with an unknown residue are left out."""
    return [(translate[i], translate[j], *rest) for i, j, *rest in interactions if i in translate and j in translate]
