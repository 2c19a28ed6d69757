"""Real chains as `Structure`, read with gemmi so that these tests depend on no reader of ours."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import gemmi
import numpy as np
import pytest

from rna_predict.chemistry.residues import MAX_ATOMS, SLOT
from rna_predict.contracts import Structure


@pytest.fixture(scope="session")
def native(chains_dir: Path) -> Callable[[str], Structure]:
    @lru_cache
    def read(chain_id: str) -> Structure:
        chain = gemmi.read_structure(str(chains_dir / f"{chain_id}.pdb.gz"))[0][0]
        residues = list(chain)
        sequence = "".join(residue.name for residue in residues)
        xyz_LA3 = np.zeros((len(residues), MAX_ATOMS, 3))
        mask_LA = np.zeros((len(residues), MAX_ATOMS), dtype=bool)
        for i, residue in enumerate(residues):
            for atom in residue:
                if atom.name in SLOT[residue.name]:
                    slot = SLOT[residue.name][atom.name]
                    xyz_LA3[i, slot] = atom.pos.tolist()
                    mask_LA[i, slot] = True
        number_L = np.array([residue.seqid.num for residue in residues])
        return Structure(id=chain_id, sequence=sequence, xyz_LA3=xyz_LA3, mask_LA=mask_LA, number_L=number_L)

    return read
