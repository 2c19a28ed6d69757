"""MCQ: how far the torsions of model and native lie apart."""

from dataclasses import dataclass

import numpy as np

from rna_predict.chemistry.torsions import TORSIONS
from rna_predict.contracts import Structure
from rna_predict.evaluation.correspondence import Correspondence
from rna_predict.geometry.numpy_measures import linked_in_space, measure_pucker, measure_torsions, wrap

MCQ_TORSIONS = (*TORSIONS, "P")
"""α β γ δ ε ζ χ and the pucker phase P, the default set of MCQ4Structures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mcq:
    """Mean of circular quantities.

    Attributes:
        value: degrees in [0, 180]; None when the native has no torsion to compare.
        by_torsion: the same for each of `MCQ_TORSIONS`, None where none was compared.
        compared: torsions in the mean.
        left_out: torsions of the chain that the native does not define (chain ends, breaks, missing atoms).
    """

    value: float | None
    by_torsion: dict[str, float | None]
    compared: int
    left_out: int


def mcq(model: Structure, native: Structure, match: Correspondence) -> Mcq:
    """Circular mean of the absolute torsion differences Δ in [0, π]: atan2(Σ sin Δ, Σ cos Δ).

    A torsion that the model lacks while the native has it counts as Δ = π, as in the source. Deviation from the
    source: one that the native lacks is left out and counted, so that a gap in the native is not held against a model.

    Source: Zok, Popenda, Szachniuk, Cent. Eur. J. Oper. Res. 22 (2014) 457.
    """
    unbroken_L = native.linked_L & linked_in_space(native.xyz_LA3, native.mask_LA)
    native_LT, native_mask_LT = _angles(native, unbroken_L)
    matched_LT, matched_mask_LT = _angles(model, model.linked_L)
    model_LT, model_mask_LT = np.zeros_like(native_LT), np.zeros_like(native_mask_LT)
    model_LT[match.native_L] = matched_LT[match.model_L]
    model_mask_LT[match.native_L] = matched_mask_LT[match.model_L]
    difference_LT = np.where(model_mask_LT, np.abs(wrap(model_LT - native_LT)), np.pi)
    by_torsion = {name: _circular_mean(difference_LT[native_mask_LT[:, k], k]) for k, name in enumerate(MCQ_TORSIONS)}
    compared = int(native_mask_LT.sum())
    return Mcq(
        value=_circular_mean(difference_LT[native_mask_LT]),
        by_torsion=by_torsion,
        compared=compared,
        left_out=native_mask_LT.size - compared,
    )


def _angles(structure: Structure, linked_L: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles [L, 8] in the order of `MCQ_TORSIONS` and their mask."""
    angle_L7, mask_L7 = measure_torsions(structure.xyz_LA3, structure.mask_LA, structure.sequence, linked_L, TORSIONS)
    phase_L, _, phase_mask_L = measure_pucker(structure.xyz_LA3, structure.mask_LA, structure.sequence)
    return np.column_stack([angle_L7, phase_L]), np.column_stack([mask_L7, phase_mask_L])


def _circular_mean(difference_N: np.ndarray) -> float | None:
    """Degrees; None of nothing."""
    if not len(difference_N):
        return None
    mean = np.arctan2(np.sin(difference_N).sum(), np.cos(difference_N).sum())
    return float(np.degrees(np.abs(mean)))
