"""Best rigid superposition of point sets, and the all-atom RMSD after it."""

import numpy as np

from rna_predict.errors import InputError
from rna_predict.evaluation.correspondence import SharedAtoms


def fit(moving_N3: np.ndarray, fixed_N3: np.ndarray, weight_FN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and shifts that put weighted points onto others with the least squares, many weightings at once.

    Args:
        moving_N3: points to move, Å.
        fixed_N3: where they belong.
        weight_FN: float64, one row a fit; a row needs at least three points off one line for a unique answer.

    Returns:
        R_F33 and t_F3 with `moving @ R.T + t ≈ fixed`; det R = +1, so a mirror image is never fitted.

    Source: Kabsch, Acta Cryst. A34 (1978) 827, with the reflection taken out.
    """
    total_F1 = weight_FN.sum(axis=1, keepdims=True)
    mean_moving_F3 = weight_FN @ moving_N3 / total_F1
    mean_fixed_F3 = weight_FN @ fixed_N3 / total_F1
    product_N9 = (fixed_N3[:, :, None] * moving_N3[:, None, :]).reshape(-1, 9)
    covariance_F33 = (weight_FN @ product_N9 / total_F1).reshape(-1, 3, 3)
    covariance_F33 = covariance_F33 - mean_fixed_F3[:, :, None] * mean_moving_F3[:, None, :]
    u_F33, _, vt_F33 = np.linalg.svd(covariance_F33)
    u_F33[:, :, 2] *= np.sign(np.linalg.det(u_F33 @ vt_F33))[:, None]
    rotation_F33 = u_F33 @ vt_F33
    shift_F3 = mean_fixed_F3 - (rotation_F33 @ mean_moving_F3[:, :, None])[:, :, 0]
    return rotation_F33, shift_F3


def superpose(moving_N3: np.ndarray, fixed_N3: np.ndarray) -> np.ndarray:
    """The moved points, all weighted alike."""
    center_3 = fixed_N3.mean(axis=0)  # centred first: coordinates far from the origin lose digits in the covariance
    rotation_F33, shift_F3 = fit(moving_N3 - center_3, fixed_N3 - center_3, np.ones((1, len(fixed_N3))))
    return (moving_N3 - center_3) @ rotation_F33[0].T + shift_F3[0] + center_3


def rmsd(atoms: SharedAtoms) -> float:
    """Root mean square deviation in Å over all heavy atoms that both have, after superposition on the same atoms.

    Raises:
        InputError: fewer than three atoms in common.
    """
    model_N3, native_N3 = atoms.model_LA3[atoms.mask_LA], atoms.native_LA3[atoms.mask_LA]
    if len(native_N3) < 3:
        raise InputError(f"model and native share {len(native_N3)} atoms; a superposition needs three")
    return float(np.sqrt(((superpose(model_N3, native_N3) - native_N3) ** 2).sum(axis=-1).mean()))
