"""Everything that can be said of a model without its native."""

from dataclasses import dataclass

import numpy as np

from rna_predict.contracts import Structure
from rna_predict.contracts.structure import full_mask, whole_structure
from rna_predict.evaluation.bond_geometry import BondGeometry, bond_geometry
from rna_predict.evaluation.clashes import find_clashes
from rna_predict.evaluation.entanglement import count_pierced_rings
from rna_predict.evaluation.stereochemistry import count_inverted, count_nonplanar, signed_volumes

MAX_CLASH_SCORE = 5.0
"""Clashes per 1,000 atoms that a finished model may have; natives have 1.0 in the median, 5.2 at the upper quartile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryReport:
    """Geometry of one structure.

    Attributes:
        id: name of the structure.
        residues: residues present.
        atoms: heavy atoms present.
        atoms_missing: heavy atoms that these residues should have and lack (a missing P, OP1, OP2 at the 5' end
            included).
        clashes: pairs of atoms that overlap by more than 0.4 Å.
        bonds: bonds, angles and chain breaks.
        centers_left_out: sugar centres that cannot be judged because an atom is missing.
        inverted: sugar centres of the wrong hand.
        pierced: rings that a bond of another residue passes through.
        nonplanar: bases more than 0.1 Å (rms) off their plane.
    """

    id: str
    residues: int
    atoms: int
    atoms_missing: int
    clashes: int
    bonds: BondGeometry
    centers_left_out: int
    inverted: int
    pierced: int
    nonplanar: int

    @property
    def clash_score(self) -> float | None:
        """Clashes per 1,000 heavy atoms; None of a structure without atoms."""
        return 1000.0 * self.clashes / self.atoms if self.atoms else None

    @property
    def settled(self) -> bool:
        """Whether bonds are within 0.03 Å of ideal, and the clash score is at most `MAX_CLASH_SCORE`."""
        return self.bonds.bonds_over_003 == 0 and self._few_clashes

    @property
    def acceptable(self) -> bool:
        """Whether bonds are within 0.06 Å of ideal, and the clash score is at most `MAX_CLASH_SCORE`."""
        return self.bonds.bonds_over_006 == 0 and self._few_clashes

    @property
    def _few_clashes(self) -> bool:
        return (self.clash_score or 0.0) <= MAX_CLASH_SCORE

    @property
    def faults(self) -> str:
        """Chain breaks, pierced rings and inverted sugar centres in words; "" for a molecule that has none of them."""
        counts = {
            "chain breaks": self.bonds.breaks,
            "pierced rings": self.pierced,
            "inverted sugar centres": self.inverted,
        }
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def geometry_report(structure: Structure) -> GeometryReport:
    """Measure clashes, bonds, angles, breaks, sugar centres, rings and bases."""
    atoms = int(structure.mask_LA.sum())
    _, center_mask_L4 = signed_volumes(structure)
    return GeometryReport(
        id=structure.id,
        residues=structure.length,
        atoms=atoms,
        atoms_missing=int(full_mask(structure.sequence).sum()) - atoms,
        clashes=len(find_clashes(structure)),
        bonds=bond_geometry(structure),
        centers_left_out=int((~center_mask_L4).sum()),
        inverted=count_inverted(structure),
        pierced=count_pierced_rings(structure),
        nonplanar=count_nonplanar(structure),
    )


def model_report(sequence: str, xyz_LA3: np.ndarray, breaks: tuple[int, ...] = ()) -> GeometryReport:
    """Geometry of a model with every heavy atom, [L, MAX_ATOMS, 3] in Å; `breaks` as in `RnaSequence`."""
    return geometry_report(whole_structure("model", sequence, xyz_LA3, breaks))
