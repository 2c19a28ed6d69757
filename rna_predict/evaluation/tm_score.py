"""TM-score of RNA with its own superposition search."""

import math

import numpy as np

from rna_predict.chemistry.residues import C1, C3
from rna_predict.errors import InputError
from rna_predict.evaluation.correspondence import SharedAtoms
from rna_predict.evaluation.superposition import fit

TM_ATOMS = {"C3'": C3, "C1'": C1}
"""C3' as in US-align, C1' as in the Stanford RNA folding contest."""

SHORT_D0 = ((12, 0.3), (16, 0.4), (20, 0.5), (24, 0.6), (30, 0.7))
"""d0 in Å below each length; 30 nt and longer follow the formula."""

MAX_ITERATIONS = 20
MAX_STARTS = 600
"""Start positions of one fragment length; above it they are spread evenly over the chain."""

BATCH_POINTS = 2_000_000
"""Points moved at once, a bound on memory."""


def d0_rna(length: int) -> float:
    """Distance in Å at which a residue counts one half.

    Source: Gong, Zhang, Zhang, Bioinformatics 35 (2019) 4459 (RNA-align): 0.6·√(L-0.5) - 2.5, steps below 30 nt.
    """
    for below, d0 in SHORT_D0:
        if length < below:
            return d0
    return 0.6 * math.sqrt(length - 0.5) - 2.5


def tm_score(atoms: SharedAtoms, atom: str = "C3'") -> float:
    """Mean of 1 / (1 + (d/d0)²) over the native's residues, at the best superposition found, residues matched 1:1.

    The L of the mean and of d0 is the number of residues of the native that have this atom, whether the model has
    it or not.

    Args:
        atoms: what model and native share.
        atom: `C3'` or `C1'`.

    Raises:
        InputError: another atom, or fewer than three residues in common.

    Source: Zhang and Skolnick, Proteins 57 (2004) 702, search as in TMscore: fragments of L, L/2 … 4 residues are
        superposed, then all residues within d0_search ∓ 1 Å again until the set stays; d0_search = d0 in [4.5, 8] Å.
    """
    if atom not in TM_ATOMS:
        raise InputError(f"TM-score atom {atom!r}: must be one of {', '.join(TM_ATOMS)}")
    slot = TM_ATOMS[atom]
    length = int(atoms.native_mask_LA[:, slot].sum())
    both_L = atoms.mask_LA[:, slot]
    model_N3, native_N3 = atoms.model_LA3[both_L, slot], atoms.native_LA3[both_L, slot]
    if len(native_N3) < 3:
        raise InputError(f"model and native share {len(native_N3)} {atom} atoms; a TM-score needs three")
    center_3 = native_N3.mean(axis=0)
    model_N3, native_N3 = model_N3 - model_N3.mean(axis=0), native_N3 - center_3
    return _search(model_N3, native_N3, d0_rna(length)) / length


def _search(model_N3: np.ndarray, native_N3: np.ndarray, d0: float) -> float:
    """Best sum of 1 / (1 + (d/d0)²) over all fragments."""
    count = len(native_N3)
    rows = max(1, BATCH_POINTS // count)
    best = 0.0
    for size in _fragment_sizes(count):
        starts = np.arange(count - size + 1)
        if len(starts) > MAX_STARTS:
            starts = np.unique(np.linspace(0, count - size, MAX_STARTS).astype(int))
        for first in range(0, len(starts), rows):
            begin_F1 = starts[first : first + rows, None]
            position_N = np.arange(count)
            chosen_FN = (position_N >= begin_F1) & (position_N < begin_F1 + size)
            best = max(best, _refine(model_N3, native_N3, d0, chosen_FN))
    return best


def _refine(model_N3: np.ndarray, native_N3: np.ndarray, d0: float, chosen_FN: np.ndarray) -> float:
    """Superpose each row's residues, then those that come close, until no row changes; the best sum seen."""
    reach = float(np.clip(d0, 4.5, 8.0))
    best, cutoff = 0.0, reach - 1.0
    for _ in range(MAX_ITERATIONS + 1):
        square_FN = _square_distances(model_N3, native_N3, chosen_FN)
        best = max(best, float((1.0 / (1.0 + square_FN / d0**2)).sum(axis=1).max()))
        closest_FN = _close(square_FN, cutoff)
        changed_F = (closest_FN != chosen_FN).any(axis=1)
        if not changed_F.any():
            break
        chosen_FN = np.unique(closest_FN[changed_F], axis=0)
        cutoff = reach + 1.0
    return best


def _square_distances(model_N3: np.ndarray, native_N3: np.ndarray, chosen_FN: np.ndarray) -> np.ndarray:
    """Squared distances [F, N] after the superposition of each row's residues."""
    rotation_F33, shift_F3 = fit(model_N3, native_N3, chosen_FN.astype(np.float64))
    moved_FN3 = np.matmul(model_N3, rotation_F33.transpose(0, 2, 1)) + shift_F3[:, None]
    moved_FN3 -= native_N3
    return np.einsum("fnx,fnx->fn", moved_FN3, moved_FN3)


def _close(square_FN: np.ndarray, cutoff: float) -> np.ndarray:
    """Residues within the cutoff, which grows by 0.5 Å for rows with fewer than three of them."""
    third_F1 = np.sqrt(np.partition(square_FN, 2, axis=1)[:, 2:3])
    steps_F1 = np.maximum(np.floor((third_F1 - cutoff) / 0.5) + 1.0, 0.0)
    return square_FN < (cutoff + 0.5 * steps_F1) ** 2


def _fragment_sizes(count: int) -> list[int]:
    """count, count/2, count/4 … and at last 4 (six lengths at the most, as in TMscore)."""
    smallest = min(count, 4)
    sizes = [count]
    while len(sizes) < 5 and sizes[-1] // 2 > smallest:
        sizes.append(sizes[-1] // 2)
    return sizes if sizes[-1] == smallest else [*sizes, smallest]
