"""RNA with coordinates, one chain or several: a native read from a file, or a model."""

from dataclasses import dataclass

import numpy as np

from rna_predict.chemistry.chains import spaced
from rna_predict.chemistry.residues import ATOMS, MAX_ATOMS, RESIDUES
from rna_predict.contracts.sequence import checked_breaks
from rna_predict.errors import ContractError


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Heavy atoms in slot order (`chemistry.residues.ATOMS`).

    Attributes:
        id: name for messages and tables.
        sequence: letters A C G U, one a residue that is present.
        xyz_LA3: float64 [L, MAX_ATOMS, 3] in Å; zero where masked out.
        mask_LA: bool [L, MAX_ATOMS], True where the atom is present.
        number_L: int64 [L], residue numbers, strictly rising; a gap in the numbers is a break in the chain.
        breaks: first residue of each chain but the first, as in `RnaSequence`; the numbers have a gap there.
    """

    id: str
    sequence: str
    xyz_LA3: np.ndarray
    mask_LA: np.ndarray
    number_L: np.ndarray
    breaks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raise ContractError when shapes disagree, a present atom is not finite, or a slot is not the residue's."""
        length = len(self.sequence)
        if self.xyz_LA3.shape != (length, MAX_ATOMS, 3) or self.mask_LA.shape != (length, MAX_ATOMS):
            raise ContractError(f"{self.id}: coordinates {self.xyz_LA3.shape} do not fit {length} residues")
        if self.number_L.shape != (length,) or (np.diff(self.number_L) <= 0).any():
            raise ContractError(f"{self.id}: residue numbers must rise strictly")
        object.__setattr__(self, "breaks", checked_breaks(self.id, length, self.breaks))
        if self.linked_L[[first - 1 for first in self.breaks]].any():
            raise ContractError(f"{self.id}: residue numbers must have a gap where a chain begins")
        if set(self.sequence) - set(RESIDUES):
            raise ContractError(f"{self.id}: letters other than A C G U in the sequence")
        if not np.isfinite(self.xyz_LA3[self.mask_LA]).all():
            raise ContractError(f"{self.id}: a coordinate is NaN or infinite")
        slots = np.array([len(ATOMS[letter]) for letter in self.sequence])
        if (self.mask_LA & (np.arange(MAX_ATOMS) >= slots[:, None])).any():
            raise ContractError(f"{self.id}: an atom lies in a slot that its residue does not have")

    @property
    def length(self) -> int:
        """Number of residues present."""
        return len(self.sequence)

    @property
    def linked_L(self) -> np.ndarray:
        """bool [L-1], True where residues i and i+1 are neighbours by number."""
        return np.diff(self.number_L) == 1


def whole_structure(id: str, sequence: str, xyz_LA3: np.ndarray, breaks: tuple[int, ...] = ()) -> Structure:
    """A model with every heavy atom, as a Structure with residues numbered from 1 and a number left out at breaks."""
    return Structure(
        id=id,
        sequence=sequence,
        xyz_LA3=xyz_LA3.astype(np.float64),
        mask_LA=full_mask(sequence),
        number_L=spaced(len(sequence), breaks, 1) + 1,
        breaks=breaks,
    )


def full_mask(sequence: str) -> np.ndarray:
    """bool [L, MAX_ATOMS], True at every heavy atom that the residues of `sequence` have."""
    slots = np.array([len(ATOMS[letter]) for letter in sequence])
    return np.arange(MAX_ATOMS) < slots[:, None]
