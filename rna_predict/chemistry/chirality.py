"""Handedness of the sugar centres and of the phosphate: β-D-ribose, OP1 pro-S.

For a centre with neighbours (a, b, c) the triple product (a-x)·((b-x) x (c-x)) is positive in every correct residue;
a negative one is an inverted centre, which no relaxation repairs.
"""

from rna_predict.chemistry.residues import GLYCOSIDIC_N, RESIDUES, SLOT

CHIRAL_CENTRES: dict[str, tuple[str, str, str]] = {
    "C1'": ("O4'", "C2'", "N"),
    "C2'": ("C1'", "O2'", "C3'"),
    "C3'": ("C2'", "O3'", "C4'"),
    "C4'": ("C3'", "O4'", "C5'"),
    "P": ("OP2", "OP1", "O5'"),
}
"""Centre → three neighbours in the order that makes the triple product positive; `N` is the glycosidic nitrogen."""

SUGAR_CENTRES = ("C1'", "C2'", "C3'", "C4'")


def chiral_slots(residue: str, centres: tuple[str, ...] = SUGAR_CENTRES) -> list[tuple[int, int, int, int]]:
    """Slots (centre, a, b, c) of each centre in a residue of letter `residue`."""
    names = {"N": GLYCOSIDIC_N[residue]}
    slot = SLOT[residue]
    return [
        (slot[centre], *(slot[names.get(atom, atom)] for atom in CHIRAL_CENTRES[centre]))  # pyright: ignore[reportReturnType]
        for centre in centres
    ]


CHIRAL_SLOTS: dict[str, list[tuple[int, int, int, int]]] = {residue: chiral_slots(residue) for residue in RESIDUES}
