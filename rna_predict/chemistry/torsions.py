"""Torsion angles of RNA as atom quadruplets (IUPAC-IUB 1983) with residue offsets, and as slot numbers.

η and θ are the pseudotorsions of Duarte and Pyle 1998; ν0-ν4 the endocyclic torsions of the ribose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rna_predict.chemistry.residues import CHI_FOURTH, GLYCOSIDIC_N, RESIDUES, SLOT, residue_codes

TORSIONS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "chi")
"""The seven torsions of a residue, in the column order of every [L, 7] array."""

RING_TORSIONS = ("nu0", "nu1", "nu2", "nu3", "nu4")

PSEUDOTORSIONS = ("eta", "theta")

Quadruplet = tuple[tuple[str, int], tuple[str, int], tuple[str, int], tuple[str, int]]
"""Four (atom, residue offset)."""

_COMMON: dict[str, Quadruplet] = {
    "alpha": (("O3'", -1), ("P", 0), ("O5'", 0), ("C5'", 0)),
    "beta": (("P", 0), ("O5'", 0), ("C5'", 0), ("C4'", 0)),
    "gamma": (("O5'", 0), ("C5'", 0), ("C4'", 0), ("C3'", 0)),
    "delta": (("C5'", 0), ("C4'", 0), ("C3'", 0), ("O3'", 0)),
    "epsilon": (("C4'", 0), ("C3'", 0), ("O3'", 0), ("P", 1)),
    "zeta": (("C3'", 0), ("O3'", 0), ("P", 1), ("O5'", 1)),
    "eta": (("C4'", -1), ("P", 0), ("C4'", 0), ("P", 1)),
    "theta": (("P", 0), ("C4'", 0), ("P", 1), ("C4'", 1)),
    "nu0": (("C4'", 0), ("O4'", 0), ("C1'", 0), ("C2'", 0)),
    "nu1": (("O4'", 0), ("C1'", 0), ("C2'", 0), ("C3'", 0)),
    "nu2": (("C1'", 0), ("C2'", 0), ("C3'", 0), ("C4'", 0)),
    "nu3": (("C2'", 0), ("C3'", 0), ("C4'", 0), ("O4'", 0)),
    "nu4": (("C3'", 0), ("C4'", 0), ("O4'", 0), ("C1'", 0)),
}

A_FORM_DEGREES: dict[str, float] = {
    "alpha": 295.0,
    "beta": 174.0,
    "gamma": 54.0,
    "delta": 79.0,
    "epsilon": 212.0,
    "zeta": 289.0,
    "chi": 199.0,
}
"""Usual torsions of A-form RNA, degrees; 11 base pairs a turn, rise 2.81 Å, twist 32.7°, inclination about 16°."""

A_FORM_RISE = 2.81  # Å a base pair
A_FORM_TWIST_DEGREES = 32.7
A_FORM_INCLINATION_DEGREES = 16.0

C3_ENDO_PHASE_DEGREES = 18.0
C2_ENDO_PHASE_DEGREES = 162.0


def quadruplet(name: str, residue: str) -> Quadruplet:
    """The four atoms of torsion `name` in a residue of letter `residue`, with residue offsets.

    χ ends in N9-C4 in purines and N1-C2 in pyrimidines; a purine's N1 is another atom.
    """
    if name == "chi":
        return (("O4'", 0), ("C1'", 0), (GLYCOSIDIC_N[residue], 0), (CHI_FOURTH[residue], 0))
    return _COMMON[name]


@dataclass(frozen=True, slots=True)
class TorsionIndex:
    """Where to find the atoms of T torsions in every residue of a chain of length L.

    Attributes:
        residue_LT4: int64 residue index, clipped into the chain where undefined.
        slot_LT4: int64 atom slot.
        defined_LT: bool, False where a residue lies outside the chain or beyond a break.
    """

    residue_LT4: np.ndarray
    slot_LT4: np.ndarray
    defined_LT: np.ndarray


def torsion_index(names: Sequence[str], sequence: str, linked_L: np.ndarray | None = None) -> TorsionIndex:
    """Index arrays of torsions `names` for a sequence.

    Args:
        names: any of `TORSIONS`, `RING_TORSIONS`, `PSEUDOTORSIONS`.
        sequence: letters A C G U.
        linked_L: bool [L-1], True where residues i and i+1 are bound; None means an unbroken chain.
    """
    length = len(sequence)
    slot_4T4, offset_T4 = _slot_table(tuple(names))
    position_LT4 = np.arange(length)[:, None, None] + offset_T4
    inside_LT4 = (position_LT4 >= 0) & (position_LT4 < length)
    bound_L = np.ones(max(length - 1, 0), dtype=bool) if linked_L is None else np.asarray(linked_L, dtype=bool)
    before_L = np.concatenate([[False], bound_L])
    after_L = np.concatenate([bound_L, [False]])
    crosses_back_T = (offset_T4 < 0).any(axis=1)
    crosses_on_T = (offset_T4 > 0).any(axis=1)
    defined_LT = inside_LT4.all(axis=-1)
    defined_LT &= before_L[:, None] | ~crosses_back_T
    defined_LT &= after_L[:, None] | ~crosses_on_T
    return TorsionIndex(
        residue_LT4=position_LT4.clip(0, length - 1),
        slot_LT4=slot_4T4[residue_codes(sequence)],
        defined_LT=defined_LT,
    )


@lru_cache(maxsize=32)
def _slot_table(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Slots [4 residue types, T, 4] and residue offsets [T, 4] of torsions `names`."""
    slots = [[[SLOT[r][atom] for atom, _ in quadruplet(name, r)] for name in names] for r in RESIDUES]
    offsets = [[offset for _, offset in quadruplet(name, RESIDUES[0])] for name in names]
    return np.array(slots, dtype=np.int64), np.array(offsets, dtype=np.int64)
