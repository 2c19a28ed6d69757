"""Natives, and ways to move, mirror and disturb a structure."""

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rna_predict.chemistry.residues import MAX_ATOMS, SLOT
from rna_predict.contracts import Structure


@cache
def read_chain(path: Path) -> Structure:
    """The only chain of a file, with nothing but gemmi, so that these tests do not lean on formats/."""
    chain = gemmi.read_structure(str(path))[0][0]
    xyz_LA3 = np.zeros((len(chain), MAX_ATOMS, 3))
    mask_LA = np.zeros((len(chain), MAX_ATOMS), dtype=bool)
    for index, residue in enumerate(chain):
        for atom in residue:
            slot = SLOT[residue.name].get(atom.name)
            if slot is not None:
                xyz_LA3[index, slot] = atom.pos.tolist()
                mask_LA[index, slot] = True
    return Structure(
        id=path.name.split(".")[0],
        sequence="".join(residue.name for residue in chain),
        xyz_LA3=xyz_LA3,
        mask_LA=mask_LA,
        number_L=np.array([residue.seqid.num for residue in chain]),
    )


@pytest.fixture(scope="session")
def native(chains_dir: Path) -> Callable[[str], Structure]:
    """Reads a native by its id."""
    return lambda name: read_chain(chains_dir / f"{name}.pdb.gz")


def with_xyz(structure: Structure, xyz_LA3: np.ndarray) -> Structure:
    """The structure with other coordinates."""
    return dataclasses.replace(structure, xyz_LA3=np.where(structure.mask_LA[..., None], xyz_LA3, 0.0))


@pytest.fixture(scope="session")
def moved() -> Callable[[Structure, int], Structure]:
    """Rotates and shifts a structure as a rigid body."""

    def move(structure: Structure, seed: int) -> Structure:
        rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
        return with_xyz(structure, structure.xyz_LA3 @ rotation.T + np.array([11.0, -50.0, 7.5]))

    return move


@pytest.fixture(scope="session")
def mirrored() -> Callable[[Structure], Structure]:
    """Mirrors a structure at the yz plane."""
    return lambda structure: with_xyz(structure, structure.xyz_LA3 * np.array([-1.0, 1.0, 1.0]))


@pytest.fixture(scope="session")
def disturbed() -> Callable[[Structure, float], Structure]:
    """Shifts whole residues by a smooth random walk plus single atoms by a tenth of it; `size` in Å."""

    def disturb(structure: Structure, size: float) -> Structure:
        random = np.random.default_rng(7)
        walk_L3 = np.cumsum(random.normal(size=(structure.length, 3)), axis=0)
        walk_L3 *= size / np.sqrt((walk_L3**2).sum(-1).mean())
        jitter_LA3 = random.normal(size=structure.xyz_LA3.shape) * size / 10
        return with_xyz(structure, structure.xyz_LA3 + walk_L3[:, None] + jitter_LA3)

    return disturb
