"""Stage B's torsions: what nerf and assembly build from."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rna_predict.contracts.record import Record, array
from rna_predict.errors import ContractError

TORSION_FIELDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "chi")
"""Columns of `angle_L7`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Torsions(Record):
    """Torsion angles of each residue with their certainty.

    Attributes:
        angle_L7: float32 [L, 7], radians in (-π, π], columns `TORSION_FIELDS`; zero where masked out.
        mask_L7: bool [L, 7], False where the torsion is undefined (α of a chain's first residue, ε and ζ of its last).
        concentration_L7: float32 [L, 7], von Mises κ ≥ 0; 0 says nothing is known.
        pucker_phase_L: float32 [L], pseudorotation phase P in radians in (-π, π].
        pucker_amplitude_L: float32 [L], τm in radians, > 0.
        pucker_concentration_L: float32 [L], von Mises κ of the phase.
    """

    SCHEMA: ClassVar[str] = "rna_predict.torsions"
    STAGE: ClassVar[str] = "stage_b"

    angle_L7: np.ndarray = array("float32")
    mask_L7: np.ndarray = array("bool")
    concentration_L7: np.ndarray = array("float32")
    pucker_phase_L: np.ndarray = array("float32")
    pucker_amplitude_L: np.ndarray = array("float32")
    pucker_concentration_L: np.ndarray = array("float32")

    def __post_init__(self) -> None:
        """Raise ContractError when a shape or a range is off."""
        Record.__post_init__(self)
        length = self.length
        for name in ("angle_L7", "mask_L7", "concentration_L7"):
            self.expect_shape(name, (length, 7))
        for name in ("pucker_phase_L", "pucker_amplitude_L", "pucker_concentration_L"):
            self.expect_shape(name, (length,))
        for name in ("angle_L7", "pucker_phase_L"):
            if np.abs(getattr(self, name)).max() > np.float32(np.pi):
                raise ContractError(f"{name} of {self.id}: angles must lie in (-π, π]")
        if self.angle_L7[~self.mask_L7].any():
            raise ContractError(f"angle_L7 of {self.id}: a torsion that is masked out is not zero")
        if self.concentration_L7.min() < 0 or self.pucker_concentration_L.min() < 0:
            raise ContractError(f"torsions of {self.id}: a concentration is negative")
        if self.pucker_amplitude_L.min() <= 0:
            raise ContractError(f"pucker_amplitude_L of {self.id}: must be positive")
        ends = [(first, "alpha") for first in (0, *self.breaks)]
        ends += [(stop - 1, name) for stop in (*self.breaks, length) for name in ("epsilon", "zeta")]
        for residue, name in ends:
            if self.mask_L7[residue, TORSION_FIELDS.index(name)]:
                raise ContractError(
                    f"mask_L7 of {self.id}: {name} of residue {residue + 1} is undefined at a chain end"
                )
