"""Reference conformers: what a network is told about each nucleotide's atoms before it folds anything.

Atoms, elements and formal charges are those of the PDB chemical component dictionary (CCD), hydrogens left out; OP3,
which only residue 1 of a chain has, comes first, and then the order is that of `residues.ATOMS`. Every charge is 0: the
dictionary holds the neutral phosphoric acid.

Positions: public AF3-class weights saw conformers drawn by RDKit's ETKDGv3, one per component, drawn once and kept.
Which draw it was is in a file that this package does not have, so `conformers.json` holds, per component, the one of 64
ETKDGv3 draws with the least mean RMSD to the others: on average 1.3-1.5 Å from any other draw, as any two draws are.
The dictionary's ideal coordinates are just as far away and differ in bond lengths as well (P-O5' 1.61 Å, in ETKDG
1.69 Å). `python tests/chemistry/make_conformers.py` writes the file from the dictionary that biotite ships.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from rna_predict.chemistry.residues import RESIDUES

CONFORMER_FILE = Path(__file__).with_name("conformers.json")

NAME_LENGTH = 4
"""Characters of an atom's name, filled up with blanks on the right."""

FIRST_ONLY = "OP3"
"""The atom that only residue 1 has: elsewhere O3' of the residue before stands in its place."""


@dataclass(frozen=True, slots=True)
class Conformer:
    """One component's heavy atoms in the dictionary's order, OP3 first.

    Attributes:
        atoms: names.
        element_A: atomic numbers, int64.
        charge_A: formal charges, int64.
        name_A4: characters of each name, ord - 32, int64.
        position_A3: Å, float64; neither centred nor turned.
    """

    atoms: tuple[str, ...]
    element_A: np.ndarray
    charge_A: np.ndarray
    name_A4: np.ndarray
    position_A3: np.ndarray


@lru_cache(maxsize=1)
def reference_conformers() -> dict[str, Conformer]:
    """The conformer of each letter of A C G U; the arrays cannot be written to."""
    stored = json.loads(CONFORMER_FILE.read_text(encoding="ascii"))
    return {letter: _conformer(stored[letter]) for letter in RESIDUES}


def _conformer(component: dict[str, list]) -> Conformer:
    names = [name.ljust(NAME_LENGTH) for name in component["atoms"]]
    return Conformer(
        atoms=tuple(component["atoms"]),
        element_A=_fixed(component["elements"], np.int64),
        charge_A=_fixed(component["charges"], np.int64),
        name_A4=_fixed([[ord(character) - 32 for character in name] for name in names], np.int64),
        position_A3=_fixed(component["positions"], np.float64),
    )


def _fixed(values: list, dtype: type) -> np.ndarray:
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array
