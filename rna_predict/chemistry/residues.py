"""Residues and their heavy atoms, in the order that every array of this package uses.

An atom array has shape [L, MAX_ATOMS, 3]: slot k of residue i is `ATOMS[sequence[i]][k]`. The first twelve slots
(phosphate and ribose) are the same for all residues, so slot numbers of backbone atoms can be written down once.
Order: PDB chemical component dictionary, phosphate, ribose, base; OP3 is left out.
"""

import numpy as np

RESIDUES = "ACGU"

BACKBONE = ("P", "OP1", "OP2", "O5'", "C5'", "C4'", "O4'", "C3'", "O3'", "C2'", "O2'", "C1'")

BASES: dict[str, tuple[str, ...]] = {
    "A": ("N9", "C8", "N7", "C5", "C6", "N6", "N1", "C2", "N3", "C4"),
    "C": ("N1", "C2", "O2", "N3", "C4", "N4", "C5", "C6"),
    "G": ("N9", "C8", "N7", "C5", "C6", "O6", "N1", "C2", "N2", "N3", "C4"),
    "U": ("N1", "C2", "O2", "N3", "C4", "O4", "C5", "C6"),
}

ATOMS: dict[str, tuple[str, ...]] = {residue: BACKBONE + base for residue, base in BASES.items()}
"""Heavy atoms of each residue in slot order: A 22, C 20, G 23, U 20."""

MAX_ATOMS = 23

ATOM_COUNTS = np.array([len(ATOMS[residue]) for residue in RESIDUES])
"""Heavy atoms of each residue type, in the order of `RESIDUES`."""

SLOT: dict[str, dict[str, int]] = {
    residue: {name: slot for slot, name in enumerate(atoms)} for residue, atoms in ATOMS.items()
}

P, OP1, OP2, O5, C5, C4, O4, C3, O3, C2, O2, C1 = range(12)
"""Slots of the backbone atoms, the same for every residue (primes dropped: C4 is C4')."""

GLYCOSIDIC_N: dict[str, str] = {"A": "N9", "C": "N1", "G": "N9", "U": "N1"}
"""The base atom bound to C1'. Purines also have an N1; it is not this one."""

BASE_N_SLOT = 12
"""Slot of the glycosidic nitrogen in every residue (the first base atom)."""

CHI_FOURTH: dict[str, str] = {"A": "C4", "C": "C2", "G": "C4", "U": "C2"}
"""Last atom of the χ quadruplet O4'-C1'-N-X."""

PURINES = "AG"

RING_BONDS: tuple[tuple[str, str], ...] = (
    ("C1'", "C2'"),
    ("C2'", "C3'"),
    ("C3'", "C4'"),
    ("C4'", "O4'"),
    ("O4'", "C1'"),
)

SUGAR_PHOSPHATE_BONDS: tuple[tuple[str, str], ...] = (
    ("P", "OP1"),
    ("P", "OP2"),
    ("P", "O5'"),
    ("O5'", "C5'"),
    ("C5'", "C4'"),
    *RING_BONDS,
    ("C3'", "O3'"),
    ("C2'", "O2'"),
)

_PURINE_BONDS = (
    ("N9", "C8"),
    ("C8", "N7"),
    ("N7", "C5"),
    ("C5", "C6"),
    ("C6", "N1"),
    ("N1", "C2"),
    ("C2", "N3"),
    ("N3", "C4"),
    ("C4", "C5"),
    ("C4", "N9"),
)
_PYRIMIDINE_BONDS = (
    ("N1", "C2"),
    ("C2", "O2"),
    ("C2", "N3"),
    ("N3", "C4"),
    ("C4", "C5"),
    ("C5", "C6"),
    ("C6", "N1"),
)

BASE_BONDS: dict[str, tuple[tuple[str, str], ...]] = {
    "A": (*_PURINE_BONDS, ("C6", "N6")),
    "C": (*_PYRIMIDINE_BONDS, ("C4", "N4")),
    "G": (*_PURINE_BONDS, ("C6", "O6"), ("C2", "N2")),
    "U": (*_PYRIMIDINE_BONDS, ("C4", "O4")),
}

BONDS: dict[str, tuple[tuple[str, str], ...]] = {
    residue: (*SUGAR_PHOSPHATE_BONDS, ("C1'", GLYCOSIDIC_N[residue]), *BASE_BONDS[residue]) for residue in RESIDUES
}
"""Covalent bonds within a residue. The only bond between residues is O3'(i)-P(i+1)."""

RINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    residue: (
        ("C1'", "C2'", "C3'", "C4'", "O4'"),
        *(
            (("N9", "C8", "N7", "C5", "C4"), ("C4", "C5", "C6", "N1", "C2", "N3"))
            if residue in PURINES
            else (("N1", "C2", "N3", "C4", "C5", "C6"),)
        ),
    )
    for residue in RESIDUES
}
"""Closed rings of each residue: ribose first, then the base."""

CANONICAL_PAIRS = frozenset({"AU", "UA", "CG", "GC", "GU", "UG"})
"""Pairs that a secondary structure may hold: Watson-Crick and the G-U wobble."""


_CODE_OF_BYTE = np.full(256, -1, dtype=np.int64)
_CODE_OF_BYTE[list(RESIDUES.encode())] = range(len(RESIDUES))


def residue_codes(sequence: str) -> np.ndarray:
    """Index of each letter in `RESIDUES`, int64 [L], without a loop over residues.

    Raises:
        ValueError: a letter is not one of A C G U.
    """
    codes = _CODE_OF_BYTE[np.frombuffer(sequence.encode("latin-1", "replace"), dtype=np.uint8)]
    if (codes < 0).any():
        raise ValueError(f"sequence: letter {sequence[int(np.argmin(codes))]!r} is not one of {RESIDUES}")
    return codes


def element(atom: str) -> str:
    """Element symbol of a heavy atom of RNA (C, N, O or P)."""
    return atom[0]
