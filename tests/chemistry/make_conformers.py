"""Write rna_predict/chemistry/conformers.json: `python tests/chemistry/make_conformers.py`.

Needs biotite, which ships the chemical component dictionary, and rdkit; the package itself needs neither.
"""

import json
from pathlib import Path

import numpy as np
import rdkit
from biotite.interface.rdkit import to_mol
from biotite.structure import info
from rdkit.Chem import AssignStereochemistryFrom3D, GetPeriodicTable, SanitizeMol
from rdkit.Chem.rdDistGeom import EmbedMultipleConfs, ETKDGv3

DRAWS = 64
SEED = 0
TARGET = Path(__file__).parents[2] / "rna_predict" / "chemistry" / "conformers.json"


def build() -> dict:
    """The file's content: for each component its heavy atoms in CCD order and the medoid of its conformers."""
    components = {letter: _component(letter) for letter in "ACGU"}
    return {"method": f"ETKDGv3, medoid of {DRAWS} draws, seed {SEED}", "rdkit": rdkit.__version__, **components}


def _component(letter: str) -> dict:
    atoms = info.residue(letter)
    molecule = to_mol(atoms)
    SanitizeMol(molecule)
    AssignStereochemistryFrom3D(molecule)  # the dictionary's ideal coordinates say which enantiomer
    settings = ETKDGv3()
    settings.randomSeed = SEED
    drawn = list(EmbedMultipleConfs(molecule, DRAWS, settings))
    assert len(drawn) == DRAWS
    heavy = np.flatnonzero(atoms.element != "H")
    positions = np.stack([molecule.GetConformer(k).GetPositions()[heavy] for k in drawn])
    positions -= positions.mean(axis=1, keepdims=True)
    medoid = positions[distances(positions).mean(axis=1).argmin()]
    number = GetPeriodicTable().GetAtomicNumber
    return {
        "atoms": [str(name) for name in atoms.atom_name[heavy]],
        "elements": [number(str(symbol).capitalize()) for symbol in atoms.element[heavy]],
        "charges": [int(charge) for charge in atoms.charge[heavy]],
        "positions": np.round(medoid, 3).tolist(),
    }


def distances(positions: np.ndarray) -> np.ndarray:
    """RMSD [N, N] of centred conformers [N, A, 3] after superposition (Kabsch)."""
    size = (positions**2).sum(axis=(1, 2))
    left, stretch, right = np.linalg.svd(np.einsum("mai,naj->mnij", positions, positions))
    stretch[..., 2] *= np.sign(np.linalg.det(left) * np.linalg.det(right))
    squared = size[:, None] + size[None] - 2 * stretch.sum(axis=-1)
    return np.sqrt(np.maximum(squared, 0) / positions.shape[1])


def write() -> None:
    """Write the file, a line an atom list and a line an array, so that a diff can be read."""
    content = build()
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items() if isinstance(value, str)]
    for letter in "ACGU":
        fields = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in content[letter].items()]
        lines.append(f' "{letter}": {{\n' + ",\n".join(fields) + "\n }")
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write()
