"""Ideal bond lengths and angles with their standard deviations and sources.

Ribose and phosphate: Gelbin, Schneider, Clowney, Hsieh, Olson, Berman 1996, J. Am. Chem. Soc. 118, 519 (the values that
refinement programs took over through Parkinson et al. 1996, Acta Cryst. D52, 57).
Bases: `base_frames` (Olson et al. 2001 after Clowney et al. 1996). The ideal coordinates of the CCD are not taken: in
the natives of the training set at 1.9 Å or better the base bonds agree with Clowney within 0.005 Å, with the CCD
only within 0.053 Å (C N1-C2 1.344 against 1.397, A C6-N6 1.384 against 1.337).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import dist

from rna_predict.chemistry.base_frames import STANDARD_BASES
from rna_predict.chemistry.residues import BASE_BONDS, BONDS, GLYCOSIDIC_N

GELBIN = "Gelbin et al. 1996"
CLOWNEY = "Clowney et al. 1996"


@dataclass(frozen=True, slots=True)
class Ideal:
    """A mean value with its standard deviation: Å for lengths, degrees for angles."""

    value: float
    sd: float
    source: str


def _gelbin(value: float, sd: float) -> Ideal:
    return Ideal(value, sd, GELBIN)


BOND_LENGTHS: dict[tuple[str, str], Ideal] = {
    ("C1'", "C2'"): _gelbin(1.528, 0.010),
    ("C2'", "C3'"): _gelbin(1.525, 0.011),
    ("C3'", "C4'"): _gelbin(1.524, 0.011),
    ("C4'", "O4'"): _gelbin(1.453, 0.012),
    ("O4'", "C1'"): _gelbin(1.414, 0.012),
    ("C5'", "C4'"): _gelbin(1.510, 0.013),
    ("C3'", "O3'"): _gelbin(1.423, 0.014),
    ("C2'", "O2'"): _gelbin(1.413, 0.013),
    ("C1'", "N"): _gelbin(1.470, 0.020),
    ("P", "O5'"): _gelbin(1.593, 0.010),
    ("P", "O3'"): _gelbin(1.607, 0.012),
    ("P", "OP1"): _gelbin(1.485, 0.017),
    ("P", "OP2"): _gelbin(1.485, 0.017),
    ("O5'", "C5'"): _gelbin(1.440, 0.016),
}
"""Backbone bonds; `N` stands for the glycosidic nitrogen, P-O3' is the bond to the residue before."""

BOND_ANGLES: dict[tuple[str, str, str], Ideal] = {
    ("C1'", "C2'", "C3'"): _gelbin(101.5, 0.9),
    ("C2'", "C3'", "C4'"): _gelbin(102.7, 1.0),
    ("C3'", "C4'", "O4'"): _gelbin(105.5, 1.4),
    ("C4'", "O4'", "C1'"): _gelbin(109.6, 0.9),
    ("O4'", "C1'", "C2'"): _gelbin(106.4, 1.4),
    ("C2'", "C1'", "N"): _gelbin(113.4, 1.6),
    ("O4'", "C1'", "N"): _gelbin(108.2, 1.0),
    ("C5'", "C4'", "C3'"): _gelbin(115.5, 1.5),
    ("C5'", "C4'", "O4'"): _gelbin(109.2, 1.4),
    ("C1'", "C2'", "O2'"): _gelbin(110.6, 3.0),
    ("C3'", "C2'", "O2'"): _gelbin(113.3, 2.9),
    ("C2'", "C3'", "O3'"): _gelbin(111.0, 2.8),
    ("C4'", "C3'", "O3'"): _gelbin(110.6, 2.6),
    ("O5'", "C5'", "C4'"): _gelbin(111.6, 1.7),
    ("C3'", "O3'", "P"): _gelbin(119.7, 1.2),
    ("P", "O5'", "C5'"): _gelbin(120.9, 1.6),
    ("O3'", "P", "O5'"): _gelbin(104.0, 1.9),
    ("OP1", "P", "OP2"): _gelbin(119.6, 1.5),
}
"""Angles pooled over puckers. The last bond of C3'-O3'-P and O3'-P-O5' crosses to the next residue."""

PUCKER_ANGLES: dict[tuple[str, str, str], tuple[float, float]] = {
    ("C1'", "C2'", "C3'"): (101.3, 101.5),
    ("C2'", "C3'", "C4'"): (102.6, 102.6),
    ("C3'", "C4'", "O4'"): (104.0, 106.1),
    ("C4'", "O4'", "C1'"): (109.9, 109.7),
    ("O4'", "C1'", "C2'"): (107.6, 105.8),
    ("C1'", "C2'", "O2'"): (108.4, 111.8),
    ("C3'", "C2'", "O2'"): (110.7, 114.6),
    ("C2'", "C3'", "O3'"): (113.7, 109.5),
    ("C4'", "C3'", "O3'"): (113.0, 109.4),
    ("C5'", "C4'", "C3'"): (116.0, 115.2),
    ("C5'", "C4'", "O4'"): (109.8, 109.1),
    ("O4'", "C1'", "N"): (108.5, 108.2),
    ("C2'", "C1'", "N"): (112.0, 114.0),
}
"""Ribose angles in degrees for C3'-endo and C2'-endo (Gelbin et al. 1996); they differ by up to 4°."""

RING_ANGLES_C3_ENDO = tuple(values[0] for values in list(PUCKER_ANGLES.values())[:5])
RING_ANGLES_C2_ENDO = tuple(values[1] for values in list(PUCKER_ANGLES.values())[:5])
"""Ring angles at C2', C3', C4', O4', C1'."""

ANGLE_O_P_OP = 108.04
"""Degrees, each of O5'-P-OP1, O5'-P-OP2, O3'-P-OP1, O3'-P-OP2: the four are equal and fixed by O3'-P-O5' 104.0° and
OP1-P-OP2 119.6° when the phosphate has its two mirror planes: cos = -cos(52°) cos(59.8°)."""

OP_OFFSET = 114.64
"""Degrees about the axis O5'→P from O3' of the residue before to OP1; -OP_OFFSET leads to OP2. So OP1 is the pro-S
oxygen, as in the PDB: (OP1-P) x (OP2-P) points away from O5'."""

BASE_SD = 0.01
"""Å, about the spread of base bonds in Clowney et al. 1996 (0.006-0.014)."""


@lru_cache(maxsize=256)
def ideal_bond(residue: str, atom1: str, atom2: str) -> Ideal:
    """Ideal length of any bond of `residues.BONDS[residue]`, or of O3'-P to the next residue.

    Raises:
        KeyError: the two atoms are not bonded.
    """
    glycosidic = GLYCOSIDIC_N[residue]
    for pair in ((atom1, atom2), (atom2, atom1)):
        if pair == ("C1'", glycosidic):
            return BOND_LENGTHS["C1'", "N"]
        if pair in BOND_LENGTHS and "N" not in pair:
            return BOND_LENGTHS[pair]
        if pair in BASE_BONDS[residue]:
            base = STANDARD_BASES[residue]
            return Ideal(round(dist(base[pair[0]], base[pair[1]]), 3), BASE_SD, CLOWNEY)
    raise KeyError(f"{residue}: {atom1} and {atom2} are not bonded; the bonds are in residues.BONDS")


def ideal_bonds(residue: str) -> list[tuple[str, str, Ideal]]:
    """Every bond within a residue with its ideal length, in the order of `residues.BONDS`."""
    return [(a, b, ideal_bond(residue, a, b)) for a, b in BONDS[residue]]
