"""Stage C's result: all heavy atoms, and how each residue was built."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts.record import Record, array
from rna_predict.contracts.structure import Structure, full_mask, whole_structure
from rna_predict.errors import ContractError

BUILD_METHODS = ("nerf", "helix", "hairpin", "internal", "multiloop", "external", "pseudoknot", "template")
"""How a residue was built; `built_L` holds indices into this tuple."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates(Record):
    """All heavy atoms of a model.

    Attributes:
        xyz_LA3: float32 [L, MAX_ATOMS, 3] in Å, every slot of `full_mask(sequence)` set, the rest zero.
        built_L: uint8 [L], index into `BUILD_METHODS`.
    """

    SCHEMA: ClassVar[str] = "rna_predict.coordinates"
    STAGE: ClassVar[str] = "stage_c"

    xyz_LA3: np.ndarray = array("float32")
    built_L: np.ndarray = array("uint8")

    def __post_init__(self) -> None:
        """Raise ContractError when shapes are off, a build code is unknown, or atoms coincide (zeros, for one)."""
        Record.__post_init__(self)
        self.expect_shape("xyz_LA3", (self.length, MAX_ATOMS, 3))
        self.expect_shape("built_L", (self.length,))
        if self.built_L.max() >= len(BUILD_METHODS):
            raise ContractError(f"built_L of {self.id}: unknown build code {self.built_L.max()}")
        mask_LA = full_mask(self.sequence)
        if self.xyz_LA3[~mask_LA].any():
            raise ContractError(f"xyz_LA3 of {self.id}: a slot that its residue does not have is not zero")
        check_atoms_apart(self.id, self.xyz_LA3, mask_LA)

    def structure(self) -> Structure:
        """The same atoms as a Structure, residues numbered from 1."""
        return whole_structure(self.id, self.sequence, self.xyz_LA3, self.breaks)


def check_atoms_apart(name: str, xyz_LA3: np.ndarray, mask_LA: np.ndarray) -> None:
    """Raise ContractError when two atoms of one residue lie within 0.8 Å: a collapsed model is no model."""
    gap_LAA = np.linalg.norm(xyz_LA3[:, :, None].astype(np.float64) - xyz_LA3[:, None], axis=-1)
    both_LAA = mask_LA[:, :, None] & mask_LA[:, None] & ~np.eye(mask_LA.shape[1], dtype=bool)
    close = np.argwhere(both_LAA & (gap_LAA < 0.8))
    if len(close):
        raise ContractError(f"{name}: atoms of residue {close[0][0] + 1} coincide; the coordinates are not a molecule")
