"""The confidence head's losses: the errors that samples really have, by hand values, at masks and in padded batches."""

import math

import pytest
import torch

from rna_predict.errors import InputError
from rna_predict.nn.featurise import collate
from rna_predict.stage_d_diffusion.confidence_head import ConfidenceLogits
from rna_predict.stage_d_diffusion.confidence_loss import (
    aligned_error,
    atom_lddt,
    confidence_losses,
    distance_error,
    frame_atoms,
)

from .loss_cases import Rna, moved, noise, seen


def test_the_lddt_of_an_atom_is_the_share_of_its_distances_to_c1_that_are_kept():
    rna = Rna("GAUC")
    centre = frame_atoms(rna.features, rna.native)[0]
    native = rna.native.xyz_BA3
    share, judged = atom_lddt(native[:, None], rna.native, centre)
    assert share.min() > 0.999
    assert judged.all()
    last = int(centre.atom_BL[0, 3])
    off = native[:, None].clone()
    off[0, 0, last] += torch.tensor([500.0, 0, 0])
    share, _ = atom_lddt(off, rna.native, centre)
    assert share[0, 0, last].item() == 0
    others = [atom for atom in range(native.shape[1]) if atom != last]
    # Four C1' are near every atom, one of them itself where the atom is a C1'.
    for atom in others:
        expected = 2 / 3 if atom in centre.atom_BL[0].tolist() else 3 / 4
        assert share[0, 0, atom].item() == pytest.approx(expected, abs=1e-5)


def test_the_aligned_error_is_that_of_a_residue_seen_from_another_s_frame():
    rna = Rna("GAU")
    sugar = frame_atoms(rna.features, rna.native)
    guess = moved(rna.native.xyz_BA3[:, None])
    error, counted = aligned_error(guess, rna.native, sugar)
    assert error.max() < 1e-4
    assert counted.all()
    # The whole residue 3 moves: both others see it 3 Å off, and it sees both others 3 Å off.
    guess = rna.native.xyz_BA3[:, None].clone()
    guess[0, 0, rna.features.atom_token_BA[0] == 2] += torch.tensor([0, 3.0, 0])
    error, _ = aligned_error(guess, rna.native, sugar)
    expected = torch.tensor([[0, 0, 3.0], [0, 0, 3], [3, 3, 0]])
    torch.testing.assert_close(error[0, 0], expected, atol=1e-4, rtol=0)
    error, _ = distance_error(guess, rna.native, rna.features)
    place = rna.native.xyz_BA3[0, rna.features.distogram_atom_BL[0]]
    change = torch.cdist(guess[0, 0, rna.features.distogram_atom_BL[0]], guess[0, 0, rna.features.distogram_atom_BL[0]])
    torch.testing.assert_close(error[0, 0], (change - torch.cdist(place, place)).abs(), atol=1e-4, rtol=0)
    # A frame on a line, or with an atom that was not seen, does not count.
    flat = rna.native.xyz_BA3.clone()
    c1, c3, c4 = (int(atom.atom_BL[0, 1]) for atom in sugar)
    flat[0, c4] = 2 * flat[0, c3] - flat[0, c1]
    assert aligned_error(guess, seen(flat), sugar)[1].tolist() == [[[True] * 3, [False] * 3, [True] * 3]]
    mask = torch.ones_like(rna.native.mask_BA)
    mask[0, c1] = False
    hidden = seen(rna.native.xyz_BA3, mask)
    counted = aligned_error(guess, hidden, frame_atoms(rna.features, hidden))[1]
    assert counted.tolist() == [[[True, False, True], [False] * 3, [True, False, True]]]
    for atom in (c3, c4):
        mask = torch.ones_like(rna.native.mask_BA)
        mask[0, atom] = False
        hidden = seen(rna.native.xyz_BA3, mask)
        counted = aligned_error(guess, hidden, frame_atoms(rna.features, hidden))[1]
        assert counted.tolist() == [[[True] * 3, [False] * 3, [True] * 3]]


def test_right_logits_cost_nothing_and_wrong_ones_do():
    rna = Rna("GAUC")
    sample = rna.native.xyz_BA3[:, None]
    logits = rna.logits()
    right = {"plddt": (logits.plddt_BSA50, 49), "pae": (logits.pae_BSLL64, 0), "pde": (logits.pde_BSLL64, 0)}
    right["resolved"] = (logits.resolved_BSA2, 1)
    with torch.no_grad():
        for values, label in right.values():
            values.zero_()
            values[..., label] = 40
    losses = confidence_losses(logits, rna.features, sample, rna.native)
    for name, (values, label) in right.items():
        assert getattr(losses, name).item() == pytest.approx(0, abs=1e-6), name
        with torch.no_grad():
            values[..., label] = 0
        bins = values.shape[-1]
        again = confidence_losses(logits, rna.features, sample, rna.native)
        assert getattr(again, name).item() == pytest.approx(math.log(bins), rel=1e-5), name
    assert losses.total().item() == pytest.approx(0, abs=1e-5)


def test_confidence_trains_the_logits_of_what_was_seen_and_nothing_else():
    rna = Rna("GAUCA")
    mask = torch.rand(rna.native.mask_BA.shape, generator=torch.Generator().manual_seed(3)) < 0.8
    native = seen(torch.where(mask[..., None], rna.native.xyz_BA3, math.nan), mask)
    sample = rna.native.xyz_BA3[:, None] + noise(4, 1, 2, *rna.native.xyz_BA3.shape[1:])
    sample = torch.where(mask[:, None, :, None], sample, math.nan).requires_grad_()
    logits = rna.logits(2)
    losses = confidence_losses(logits, rna.features, sample, native)
    losses.total().backward()
    assert sample.grad is None
    for values in (logits.plddt_BSA50, logits.pae_BSLL64, logits.pde_BSLL64, logits.resolved_BSA2):
        assert values.grad.isfinite().all()
        assert values.grad.any()
    assert torch.equal(logits.plddt_BSA50.grad[0, 0].any(-1), mask[0])
    assert logits.resolved_BSA2.grad[0, 0].any(-1).all()
    distogram = mask[0, rna.features.distogram_atom_BL[0]]
    assert torch.equal(logits.pde_BSLL64.grad[0, 1].any(-1), distogram[:, None] & distogram)


def test_padding_does_not_change_the_confidence_losses():
    rnas = [Rna("GACUA", 1), Rna("CU", 2)]
    features = collate([rna.features for rna in rnas])
    xyz, mask = 50 * noise(8, *features.atom_mask_BA.shape, 3), features.atom_mask_BA
    sample = 50 * noise(9, 2, 2, *xyz.shape[1:])
    length, atoms = features.token_mask_BL.shape[1], mask.shape[1]
    shapes = {"plddt_BSA50": (atoms, 50), "pae_BSLL64": (length, length, 64)}
    shapes |= {"pde_BSLL64": (length, length, 64), "resolved_BSA2": (atoms, 2)}
    values = {name: noise(10, 2, 2, *shape) for name, shape in shapes.items()}
    alone = []
    for b, rna in enumerate(rnas):
        l_, a_ = rna.features.token_mask_BL.shape[1], rna.native.mask_BA.shape[1]
        xyz[b, :a_] = rna.native.xyz_BA3[0]
        sample[b, :, :a_] = xyz[b, :a_] + noise(b, 2, a_, 3)
        cut = {
            name: value[b, None, :, :a_] if "A" in name else value[b, None, :, :l_, :l_]
            for name, value in values.items()
        }
        alone.append(
            confidence_losses(ConfidenceLogits(**cut), rna.features, sample[b, None, :, :a_], seen(xyz[b, None, :a_]))
        )
    for name, value in values.items():
        there = mask if "SA" in name else features.token_mask_BL[:, :, None] & features.token_mask_BL[:, None]
        values[name] = torch.where(there[:, None, ..., None], value, math.nan).requires_grad_()
    both = confidence_losses(ConfidenceLogits(**values), features, sample, seen(xyz, mask))
    for name in ("plddt", "pae", "pde", "resolved"):
        mean = sum(getattr(one, name).item() for one in alone) / 2
        assert getattr(both, name).item() == pytest.approx(mean, rel=1e-5), name
    both.total().backward()
    assert all(value.grad.isfinite().all() for value in values.values())


def test_one_residue_is_enough_and_no_atom_is_an_error():
    rna = Rna("G")
    assert confidence_losses(rna.logits(), rna.features, rna.native.xyz_BA3[:, None], rna.native).total().isfinite()
    nothing = seen(rna.native.xyz_BA3, torch.zeros_like(rna.native.mask_BA))
    with pytest.raises(InputError, match="pLDDT loss"):
        confidence_losses(rna.logits(), rna.features, rna.native.xyz_BA3[:, None], nothing)
