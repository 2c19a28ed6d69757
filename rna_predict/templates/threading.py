"""From an aligned library chain to atoms of the query's own residues."""

from typing import NamedTuple

import numpy as np

from rna_predict.chemistry.base_frames import STANDARD_BASES
from rna_predict.chemistry.residues import ATOMS, BASE_N_SLOT, BASES, C1, C3, C4, MAX_ATOMS
from rna_predict.templates.library import Atoms

NEEDED = (C1, C3, C4)
"""Atoms without which a residue of a template is of no use, besides three of its base."""


class Threaded(NamedTuple):
    """A template on the query; the arrays of one hit of `contracts.TemplateHits`.

    Attributes:
        xyz_LA3: float32 [L, MAX_ATOMS, 3], Å, in the slots of the query's residues.
        mask_LA: bool [L, MAX_ATOMS].
        mask_L: bool [L].
        position_L: int32 [L], position in the chain or -1.
        linked_L: bool [L-1].
    """

    xyz_LA3: np.ndarray
    mask_LA: np.ndarray
    mask_L: np.ndarray
    position_L: np.ndarray
    linked_L: np.ndarray


def thread(sequence: str, template: str, atoms: Atoms, position_L: np.ndarray) -> Threaded:
    """Put a chain's atoms onto the query.

    Args:
        sequence: the query.
        template: letters of the chain.
        atoms: the chain's coordinates.
        position_L: integer [L], the chain's position for each residue, or -1; none occurs twice.

    Returns:
        Phosphate and sugar as in the chain; the base as in the chain where it has the letter and every atom of it,
        else the standard base on the chain's base frame. Residues without a base frame or an atom of `NEEDED` are
        masked out.
    """
    frame_M33, origin_M3, framed_M = _base_frames(template, atoms)
    usable_M = framed_M & atoms.mask_LA[:, list(NEEDED)].all(axis=1)
    mask_L = (position_L >= 0) & usable_M[position_L]
    xyz_LA3 = np.zeros((len(sequence), MAX_ATOMS, 3), dtype=np.float32)
    mask_LA = np.zeros((len(sequence), MAX_ATOMS), dtype=bool)
    for i in np.flatnonzero(mask_L):
        m, letter = int(position_L[i]), sequence[i]
        count = len(ATOMS[letter])
        own = template[m] == letter and atoms.mask_LA[m, :count].all()
        xyz_LA3[i, :count] = atoms.xyz_LA3[m, :count]
        mask_LA[i, :BASE_N_SLOT] = atoms.mask_LA[m, :BASE_N_SLOT]
        mask_LA[i, BASE_N_SLOT:count] = True
        if not own:
            standard = np.array([STANDARD_BASES[letter][name] for name in BASES[letter]])
            xyz_LA3[i, BASE_N_SLOT:count] = standard @ frame_M33[m].T + origin_M3[m]
    xyz_LA3[~mask_LA] = 0.0
    taken_L = np.where(mask_L, position_L, -1).astype(np.int32)
    neighbours_L = mask_L[:-1] & mask_L[1:] & (np.diff(taken_L) == 1)
    linked_L = neighbours_L.copy()
    linked_L[neighbours_L] = atoms.linked_L[taken_L[:-1][neighbours_L]]
    return Threaded(xyz_LA3=xyz_LA3, mask_LA=mask_LA, mask_L=mask_L, position_L=taken_L, linked_L=linked_L)


def _base_frames(template: str, atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axes [M, 3, 3], origin [M, 3] and mask [M] of the standard base frames of the chain's residues."""
    import torch

    from rna_predict.geometry.frames import base_frame

    xyz = torch.from_numpy(atoms.xyz_LA3).double()
    frame, present = base_frame(xyz, torch.from_numpy(atoms.mask_LA), template)
    return frame.rotation.numpy(), frame.origin.numpy(), present.numpy()
