import math

import pytest
import torch

from rna_predict.chemistry.residues import ATOMS, O3, O5, OP1, P
from rna_predict.errors import ContractError
from rna_predict.geometry.dihedral import angle, dihedral, distance
from rna_predict.geometry.internal import a_form_internal
from rna_predict.geometry.nerf import build
from rna_predict.nn.featurise import collate, featurise
from rna_predict.nn.slots import from_slots, slot_mask, to_slots

RNA = "GCAU"


@pytest.fixture(scope="module")
def features():
    return featurise(RNA, seed=0)


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4))


def test_each_atom_lands_in_its_slot_and_absent_slots_are_zero(features):
    flat = noise(1, features.atom_mask_BA.shape[1], 3)
    xyz = to_slots(flat, features)
    atom = 1  # behind OP3
    for i, letter in enumerate(RNA):
        for slot in range(23):
            there = slot < len(ATOMS[letter])
            expected = flat[0, atom] if there else torch.zeros(3)
            assert torch.equal(xyz[0, i, slot], expected), (i, slot)
            atom += there
    assert torch.equal(slot_mask(features)[0], xyz[0].abs().sum(-1) > 0)


@pytest.mark.parametrize("leading", [(), (5,), (1, 5), (2, 3)])
def test_there_and_back_keeps_every_atom_but_op3_whatever_leads(features, leading):
    flat = noise(*leading, features.atom_mask_BA.shape[1], 3)
    back = from_slots(to_slots(flat, features), features)
    assert torch.equal(back[..., 1:, :], flat[..., 1:, :])
    assert to_slots(flat, features).shape == (*leading, 4, 23, 3)


def test_op3_stands_where_o3_of_a_residue_before_would(features):
    xyz = noise(2, 4, 23, 3) * 3
    flat = from_slots(xyz, features)
    op1, o5, phosphorus = (xyz[:, 0, slot] for slot in (OP1, O5, P))
    torch.testing.assert_close(distance(flat[:, 0], phosphorus), torch.full((2,), 1.607))
    torch.testing.assert_close(angle(flat[:, 0], phosphorus, o5), torch.full((2,), math.radians(104.0)))
    turn = dihedral(flat[:, 0], o5, phosphorus, op1)
    torch.testing.assert_close(turn, torch.full((2,), math.radians(114.6)), atol=1e-4, rtol=0)


def test_in_a_helix_op3_of_a_chain_cut_behind_a_residue_is_that_residues_o3():
    xyz = build(a_form_internal("GCAU", torch.zeros((), dtype=torch.float64)))
    flat = from_slots(xyz[1:], featurise("CAU", seed=0))
    assert flat.dtype == torch.float64
    assert distance(flat[0], xyz[0, O3]) < 0.005


def test_padding_never_reaches_a_slot_and_comes_back_as_zero(features):
    both = collate([features, featurise("AC", seed=1)])
    flat = noise(2, 3, both.atom_mask_BA.shape[1], 3)
    flat[~both.atom_mask_BA[:, None].expand(-1, 3, -1)] = torch.nan
    xyz = to_slots(flat, both)
    assert torch.isfinite(xyz).all()
    alone = to_slots(flat[1:, :, :43], featurise("AC", seed=1))
    assert torch.equal(xyz[1:, :, :2], alone)
    assert not xyz[1, :, 2:].any()
    back = from_slots(xyz + noise(*xyz.shape), both)
    assert not back[1, :, 43:].any()
    assert slot_mask(both).sum(dim=(1, 2)).tolist() == [len(features.atom_mask_BA[0]) - 1, 42]


def test_gradients_reach_the_atoms_that_have_a_slot(features):
    flat = noise(1, features.atom_mask_BA.shape[1], 3).requires_grad_()
    to_slots(flat, features).sum().backward()
    assert flat.grad is not None
    assert flat.grad[0, 0].tolist() == [0, 0, 0]
    assert (flat.grad[0, 1:] == 1).all()


def test_coordinates_of_another_rna_are_refused(features):
    with pytest.raises(ContractError, match=r"\(1, 7, 3\) for 86 atoms"):
        to_slots(noise(1, 7, 3), features)
    with pytest.raises(ContractError, match="for 4 residues of 23 slots"):
        from_slots(noise(1, 3, 23, 3), features)
    both = collate([features, features])
    with pytest.raises(ContractError, match=r"leading axes \(3,\) of coordinates for a batch of 2"):
        to_slots(noise(3, features.atom_mask_BA.shape[1], 3), both)
