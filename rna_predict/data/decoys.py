"""Models made worse on purpose, so that a network that judges models sees what is wrong with some."""

import numpy as np

from rna_predict.chemistry.residues import P
from rna_predict.contracts import digest_of

TURN = (0.2, 2.0)
"""Radians by which one part of a model is turned against the other: least and most."""

SHIFT = (2.0, 15.0)
"""Å by which one part is moved."""

SCATTER = (0.5, 3.0)
"""Å, standard deviation of a shift of each residue for itself."""


def decoys(xyz_LA3: np.ndarray, mask_LA: np.ndarray, name: str, count: int) -> np.ndarray:
    """Copies of a model with one fault each: in turn a part turned about a phosphate, a part moved, residues scattered.

    Args:
        xyz_LA3: Å.
        mask_LA: atoms that are there; the others stay where they are.
        name: decides the draws.
        count: number of copies.

    Returns:
        float32 [D, L, A, 3].
    """
    made = []
    for number in range(count):
        rng = np.random.default_rng(int(digest_of(["decoy", name, number])[:16], 16))
        fault = (_turned, _moved, _scattered)[number % 3]
        made.append(np.where(mask_LA[..., None], fault(xyz_LA3.astype(np.float64), rng), xyz_LA3))
    return np.array(made, dtype=np.float32).reshape(count, *xyz_LA3.shape)


def _turned(xyz_LA3: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    hinge = int(rng.integers(1, len(xyz_LA3)))
    axis = _direction(rng)
    angle = rng.uniform(*TURN)
    across = np.cross(np.eye(3), axis)
    turn = np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * across @ across
    turned_LA3, centre = xyz_LA3.copy(), xyz_LA3[hinge, P]
    turned_LA3[hinge:] = (xyz_LA3[hinge:] - centre) @ turn + centre
    return turned_LA3


def _moved(xyz_LA3: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    moved_LA3 = xyz_LA3.copy()
    moved_LA3[int(rng.integers(1, len(xyz_LA3))) :] += rng.uniform(*SHIFT) * _direction(rng)
    return moved_LA3


def _scattered(xyz_LA3: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return xyz_LA3 + rng.normal(0, rng.uniform(*SCATTER), (len(xyz_LA3), 1, 3))


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)
