"""Chain breaks, and bonds and angles away from their ideal values."""

from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

from rna_predict.chemistry.base_frames import STANDARD_BASES
from rna_predict.chemistry.ideal import ANGLE_O_P_OP, BOND_ANGLES, BOND_LENGTHS, ideal_bonds
from rna_predict.chemistry.residues import BASE_BONDS, BASES, GLYCOSIDIC_N, MAX_ATOMS, O3, O5, OP1, OP2, SLOT, P
from rna_predict.contracts import Structure
from rna_predict.evaluation.covalent import chain_links
from rna_predict.geometry.numpy_measures import angle

LINK_LENGTH = BOND_LENGTHS["P", "O3'"].value

BREAK_TOLERANCE = 0.15
"""Å by which an O3'-P bond may be off 1.607 Å before it counts as a chain break."""

BOND_TOLERANCES = (0.03, 0.06)
"""Å; the project's limits for ideal geometry (stage C) and for the last model (stage D)."""

ANGLE_TOLERANCE = 5.0
"""Degrees; the wide end of the usual 3-5°, because pooled ideal angles of the ribose differ by up to 3° from those of
one pucker."""

ACROSS = 1
"""Residue offset of the far end of a link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BondGeometry:
    """Deviations of one structure.

    Attributes:
        links: O3'-P bonds measured, between residues that are neighbours by number.
        links_left_out: such neighbours that lack O3' or P.
        breaks: links off 1.607 Å by more than 0.15 Å.
        bonds: bonds measured, links and base bonds included.
        bond_max: largest deviation, Å; None where there is no bond.
        bonds_over_003: bonds off their ideal length by more than 0.03 Å.
        bonds_over_006: the same for 0.06 Å.
        angles: angles measured.
        angle_max: largest deviation, degrees; None where there is no angle.
        angle_outliers: angles off their ideal value by more than 5°.
    """

    links: int
    links_left_out: int
    breaks: int
    bonds: int
    bond_max: float | None
    bonds_over_003: int
    bonds_over_006: int
    angles: int
    angle_max: float | None
    angle_outliers: int

    @property
    def break_share(self) -> float | None:
        """Breaks per measured link; None of a structure without links."""
        return self.breaks / self.links if self.links else None


def bond_geometry(structure: Structure) -> BondGeometry:
    """Measure every bond and angle whose atoms are present."""
    link_N2 = chain_links(structure)
    link_N2 = link_N2[structure.mask_LA.reshape(-1)[link_N2].all(axis=1)]
    link_off_N = np.abs(_lengths(structure, link_N2) - LINK_LENGTH)
    bond_off_B = np.concatenate([_bond_deviations(structure), link_off_N])
    angle_off_T = _angle_deviations(structure)
    fine, coarse = BOND_TOLERANCES
    return BondGeometry(
        links=len(link_N2),
        links_left_out=int(structure.linked_L.sum()) - len(link_N2),
        breaks=int((link_off_N > BREAK_TOLERANCE).sum()),
        bonds=len(bond_off_B),
        bond_max=float(bond_off_B.max()) if len(bond_off_B) else None,
        bonds_over_003=int((bond_off_B > fine).sum()),
        bonds_over_006=int((bond_off_B > coarse).sum()),
        angles=len(angle_off_T),
        angle_max=float(angle_off_T.max()) if len(angle_off_T) else None,
        angle_outliers=int((angle_off_T > ANGLE_TOLERANCE).sum()),
    )


def _lengths(structure: Structure, pair_N2: np.ndarray) -> np.ndarray:
    """Distances of pairs of flat indices, Å."""
    xyz_N3 = structure.xyz_LA3.reshape(-1, 3)
    return np.linalg.norm(xyz_N3[pair_N2[:, 0]] - xyz_N3[pair_N2[:, 1]], axis=-1)


def _bond_deviations(structure: Structure) -> np.ndarray:
    """|length - ideal| of all bonds within residues, Å."""
    deviations = [np.zeros(0)]
    for letter, row_N in _rows_by_letter(structure):
        slot_B2, ideal_B = _bond_table(letter)
        point_NB23 = structure.xyz_LA3[row_N][:, slot_B2]
        off_NB = np.abs(np.linalg.norm(point_NB23[:, :, 0] - point_NB23[:, :, 1], axis=-1) - ideal_B)
        deviations.append(off_NB[structure.mask_LA[row_N][:, slot_B2].all(axis=-1)])
    return np.concatenate(deviations)


def _angle_deviations(structure: Structure) -> np.ndarray:
    """|angle - ideal| of all angles within residues and across links, degrees."""
    deviations = [np.zeros(0)]
    present_N = structure.mask_LA.reshape(-1)
    xyz_N3 = structure.xyz_LA3.reshape(-1, 3)
    linked_L = np.append(structure.linked_L, False)
    for letter, row_N in _rows_by_letter(structure):
        atom_T3, ideal_T = _angle_table(letter)
        for rows, chosen_T in (
            (row_N, (atom_T3 < MAX_ATOMS).all(axis=1)),
            (row_N[linked_L[row_N]], (atom_T3 >= MAX_ATOMS).any(axis=1)),
        ):
            atom_NT3 = rows[:, None, None] * MAX_ATOMS + atom_T3[chosen_T]
            point_NT33 = xyz_N3[atom_NT3]
            found_NT = np.degrees(angle(point_NT33[:, :, 0], point_NT33[:, :, 1], point_NT33[:, :, 2]))
            deviations.append(np.abs(found_NT - ideal_T[chosen_T])[present_N[atom_NT3].all(axis=-1)])
    return np.concatenate(deviations)


def _rows_by_letter(structure: Structure) -> list[tuple[str, np.ndarray]]:
    """Positions of each letter that occurs."""
    letters = np.array(list(structure.sequence))
    return [(str(letter), np.flatnonzero(letters == letter)) for letter in np.unique(letters)]


@cache
def _bond_table(letter: str) -> tuple[np.ndarray, np.ndarray]:
    """Slots [B, 2] and ideal lengths [B] of the bonds within a residue."""
    bonds = ideal_bonds(letter)
    slots = [(SLOT[letter][a], SLOT[letter][b]) for a, b, _ in bonds]
    return np.array(slots), np.array([ideal.value for _, _, ideal in bonds])


@cache
def _angle_table(letter: str) -> tuple[np.ndarray, np.ndarray]:
    """Slots [T, 3] and ideal angles [T] in degrees; a slot of the next residue has MAX_ATOMS added.

    Backbone: `ideal.BOND_ANGLES` and the four O-P-OP. Base and its bond to C1': those of the standard base.
    """
    slot = SLOT[letter] | {"N": SLOT[letter][GLYCOSIDIC_N[letter]]}
    onward = ACROSS * MAX_ATOMS
    table = [((O3, P + onward, op + onward), ANGLE_O_P_OP) for op in (OP1, OP2)]
    table += [((O5, P, op), ANGLE_O_P_OP) for op in (OP1, OP2)]
    for names, ideal in BOND_ANGLES.items():
        match names:
            case ("C3'", "O3'", "P"):
                atoms = (slot["C3'"], O3, P + onward)
            case ("O3'", "P", "O5'"):
                atoms = (O3, P + onward, O5 + onward)
            case _:
                atoms = (slot[names[0]], slot[names[1]], slot[names[2]])
        table.append((atoms, ideal.value))
    base = {atom: np.array(xyz) for atom, xyz in STANDARD_BASES[letter].items()}
    bonds = (*BASE_BONDS[letter], ("C1'", GLYCOSIDIC_N[letter]))
    for middle in BASES[letter]:
        bound = [b if a == middle else a for a, b in bonds if middle in (a, b)]
        for first, last in combinations(bound, 2):
            ideal_degrees = float(np.degrees(angle(base[first], base[middle], base[last])))
            table.append(((slot[first], slot[middle], slot[last]), ideal_degrees))
    return np.array([atoms for atoms, _ in table]), np.array([degrees for _, degrees in table])
