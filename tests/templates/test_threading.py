"""Threading: the chain's own atoms for the same letter, a whole base on its frame for another, nothing invented."""

import numpy as np
import pytest

from rna_predict.chemistry.residues import ATOMS, BASE_N_SLOT, C1, C3
from rna_predict.templates.library import Atoms
from rna_predict.templates.threading import thread

from .conftest import ADENINE, position_of, row_of

EXCHANGE = str.maketrans("ACGU", "CGUA")


@pytest.fixture
def chain(carried) -> tuple[str, Atoms]:
    row = row_of(carried, ADENINE)
    return row.sequence, carried.atoms(position_of(carried, ADENINE))


def all_of(sequence: str) -> np.ndarray:
    return np.arange(len(sequence))


def test_the_same_letters_get_the_same_atoms(chain):
    sequence, atoms = chain
    threaded = thread(sequence, sequence, atoms, all_of(sequence))
    whole = atoms.mask_LA.sum(axis=1) == [len(ATOMS[letter]) for letter in sequence]
    assert threaded.mask_L.all()
    assert whole.sum() > 60
    assert np.array_equal(threaded.xyz_LA3[whole], atoms.xyz_LA3[whole])
    assert threaded.linked_L.all()


def test_another_letter_gets_a_whole_base_at_the_same_sugar(chain):
    sequence, atoms = chain
    query = sequence.translate(EXCHANGE)
    threaded = thread(query, sequence, atoms, all_of(sequence))
    assert np.array_equal(threaded.mask_LA[:, BASE_N_SLOT:].sum(axis=1), [len(ATOMS[c]) - BASE_N_SLOT for c in query])
    there = atoms.mask_LA[:, :BASE_N_SLOT]
    assert np.array_equal(threaded.xyz_LA3[:, :BASE_N_SLOT][there], atoms.xyz_LA3[:, :BASE_N_SLOT][there])
    bond = np.linalg.norm(threaded.xyz_LA3[:, BASE_N_SLOT] - threaded.xyz_LA3[:, C1], axis=-1)
    assert bond == pytest.approx(np.full(len(query), 1.47), abs=0.25)
    moved = np.linalg.norm(threaded.xyz_LA3[:, BASE_N_SLOT] - atoms.xyz_LA3[:, BASE_N_SLOT], axis=-1)
    assert moved.max() < 0.35


def test_the_new_base_lies_in_the_plane_of_the_old_one(chain):
    sequence, atoms = chain
    threaded = thread(sequence.translate(EXCHANGE), sequence, atoms, all_of(sequence))
    for i in np.flatnonzero(atoms.mask_LA.sum(axis=1) == [len(ATOMS[letter]) for letter in sequence]):
        old = atoms.xyz_LA3[i, BASE_N_SLOT : len(ATOMS[sequence[i]])].astype(float)
        normal = np.linalg.svd(old - old.mean(axis=0))[2][2]
        new = threaded.xyz_LA3[i][threaded.mask_LA[i]][-8:].astype(float)
        assert np.abs((new - old.mean(axis=0)) @ normal).max() < 0.35


def test_a_moved_chain_gives_moved_atoms(chain):
    sequence, atoms = chain
    query = sequence.translate(EXCHANGE)
    generator = np.random.default_rng(0)
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = Atoms(
        xyz_LA3=((atoms.xyz_LA3 @ turn.T + [1, 2, 3]) * atoms.mask_LA[..., None]).astype(np.float32),
        mask_LA=atoms.mask_LA,
        linked_L=atoms.linked_L,
    )
    here = thread(query, sequence, atoms, all_of(sequence))
    there = thread(query, sequence, moved, all_of(sequence))
    assert np.array_equal(here.mask_LA, there.mask_LA)
    expected = (here.xyz_LA3 @ turn.T + [1, 2, 3]) * here.mask_LA[..., None]
    assert np.abs(there.xyz_LA3 - expected).max() < 1e-3


def test_unaligned_residues_hold_nothing_and_break_the_links(chain):
    sequence, atoms = chain
    position = all_of(sequence)
    position[10:12] = -1
    threaded = thread(sequence, sequence, atoms, position)
    assert not threaded.mask_L[10:12].any()
    assert not threaded.xyz_LA3[10:12].any()
    assert threaded.position_L[9:13].tolist() == [9, -1, -1, 12]
    assert np.flatnonzero(~threaded.linked_L).tolist() == [9, 10, 11]


def test_residues_whose_partners_are_no_neighbours_are_not_linked(chain):
    sequence, atoms = chain
    query = sequence[:20] + sequence[25:]
    position = np.concatenate([np.arange(20), np.arange(25, len(sequence))])
    threaded = thread(query, sequence, atoms, position)
    assert np.flatnonzero(~threaded.linked_L).tolist() == [19]


def test_a_break_of_the_chain_stays_one(chain):
    sequence, atoms = chain
    linked = atoms.linked_L.copy()
    linked[30] = False
    broken = Atoms(xyz_LA3=atoms.xyz_LA3, mask_LA=atoms.mask_LA, linked_L=linked)
    assert np.flatnonzero(~thread(sequence, sequence, broken, all_of(sequence)).linked_L).tolist() == [30]


@pytest.mark.parametrize("lost", [[C1], [C3], list(range(BASE_N_SLOT, 23))])
def test_a_residue_without_sugar_or_base_is_no_template(chain, lost):
    sequence, atoms = chain
    mask = atoms.mask_LA.copy()
    mask[5, lost] = False
    torn = Atoms(xyz_LA3=atoms.xyz_LA3 * mask[..., None], mask_LA=mask, linked_L=atoms.linked_L)
    threaded = thread(sequence, sequence, torn, all_of(sequence))
    assert np.flatnonzero(~threaded.mask_L).tolist() == [5]


def test_a_base_with_a_missing_atom_is_made_whole(chain):
    sequence, atoms = chain
    mask = atoms.mask_LA.copy()
    mask[5, BASE_N_SLOT + 3] = False
    torn = Atoms(xyz_LA3=atoms.xyz_LA3 * mask[..., None], mask_LA=mask, linked_L=atoms.linked_L)
    threaded = thread(sequence, sequence, torn, all_of(sequence))
    assert threaded.mask_LA[5, BASE_N_SLOT + 3]
    assert np.abs(threaded.xyz_LA3[5] - atoms.xyz_LA3[5]).max() < 0.15
