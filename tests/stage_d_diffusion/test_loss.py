"""Stage D's losses by hand values, at the truth, at masks, and where structures are degenerate."""

import math
from dataclasses import replace

import pytest
import torch

from rna_predict.chemistry.residues import BONDS
from rna_predict.errors import InputError
from rna_predict.geometry.superpose import superpose
from rna_predict.nn.featurise import collate, featurise
from rna_predict.stage_d_diffusion import loss
from rna_predict.stage_d_diffusion.bonds import all_bonds, atom_places, chain_links
from rna_predict.stage_d_diffusion.loss import (
    NativeAtoms,
    aligned_mse,
    bond_error,
    diffusion_losses,
    noise_weight,
    smooth_lddt_loss,
    training_noise,
)

from .loss_cases import Rna, moved, noise, seen

TRUTH = 1 - sum(1 / (1 + math.exp(-threshold)) for threshold in (0.5, 1, 2, 4)) / 4
"""Smooth lDDT loss of the native itself."""


def line(*distances):
    """Atoms on the x axis, [1, A, 3]."""
    return torch.tensor([[[float(x), 0, 0] for x in distances]])


# Noise


def test_the_training_noise_is_log_normal_around_4_8_angstrom():
    sigma = training_noise((200, 100), torch.Generator().manual_seed(0))
    logarithm = (sigma / 16).log()
    assert sigma.shape == (200, 100)
    assert logarithm.mean().item() == pytest.approx(-1.2, abs=0.03)
    assert logarithm.std().item() == pytest.approx(1.5, abs=0.03)
    assert torch.equal(sigma, training_noise((200, 100), torch.Generator().manual_seed(0)))


def test_the_weight_of_a_noise_level_is_edm_s():
    assert noise_weight(torch.tensor([16.0, 1.0, 160.0])).tolist() == pytest.approx(
        [2 / 256, 257 / 256, (160**2 + 256) / (160 * 16) ** 2]
    )


# Coordinates


def test_the_coordinate_loss_of_a_known_displacement():
    native = seen(line(-3, -1, 1, 3))
    stretched = line(-4, -2, 2, 4)[:, None]
    assert aligned_mse(stretched, native).item() == pytest.approx(6 / 3, rel=1e-5)
    assert diffusion_losses(stretched, torch.tensor([[16.0]]), native).mse.item() == pytest.approx(4 / 256, rel=1e-5)


def test_rigid_motions_cost_nothing_and_a_mirror_image_does():
    native = seen(8 * noise(0, 2, 30, 3))
    copies = torch.stack([moved(native.xyz_BA3, seed) for seed in (3, 5, 7)], dim=1)
    assert aligned_mse(copies, native).max() < 1e-9
    assert aligned_mse(native.xyz_BA3[:, None] * torch.tensor([1.0, 1, -1]), native).min() > 10


def test_the_superposition_lays_the_native_on_the_guess_without_gradient(monkeypatch):
    # At the best superposition its own gradient is zero, so that the gradient cannot tell; its cost can.
    recorded = []

    def watched(*arguments):
        recorded.append(torch.is_grad_enabled())
        return superpose(*arguments)

    monkeypatch.setattr(loss, "superpose", watched)
    native, guess = seen(8 * noise(1, 1, 20, 3)), (8 * noise(2, 1, 1, 20, 3)).requires_grad_()
    aligned_mse(guess, native).sum().backward()
    with torch.no_grad():
        target = superpose(native.xyz_BA3, guess[:, 0]).apply(native.xyz_BA3)
    torch.testing.assert_close(guess.grad[:, 0], 6 / 3 / 20 * 2 * (guess.detach()[:, 0] - target), rtol=1e-4, atol=1e-5)
    assert recorded == [False]


# Bonds


def test_the_bonds_are_those_of_the_residues_and_the_chain():
    features = collate([featurise("GAUC", seed=0), featurise("A", seed=0)])
    bonds, links = all_bonds(features), chain_links(features)
    assert bonds.mask_BN.sum(1).tolist() == [sum(len(BONDS[letter]) for letter in "GAUC") + 3, len(BONDS["A"])]
    assert links.mask_BN.sum(1).tolist() == [3, 0]
    names = features.ref_name_BA4[0]
    found = set()
    for first, second in bonds.atom_BN2[0][bonds.mask_BN[0]].tolist():
        atoms = tuple("".join(chr(c + 32) for c in names[atom]).strip() for atom in (first, second))
        residues = features.atom_token_BA[0, [first, second]].tolist()
        letter = "GAUC"[residues[0]]
        assert atoms in BONDS[letter] if residues[0] == residues[1] else atoms == ("O3'", "P")
        assert residues[1] - residues[0] in (0, 1)
        found.add((*residues, *atoms))
    assert len(found) == bonds.mask_BN[0].sum()


def test_residues_whose_numbers_do_not_follow_each_other_are_not_linked():
    features = featurise("GAUC", seed=0)
    cropped = replace(features, residue_index_BL=torch.tensor([[3, 4, 9, 10]]))
    assert chain_links(cropped).mask_BN.tolist() == [[True, False, True]]
    without = features.atom_mask_BA.clone()
    without[0, chain_links(features).atom_BN2[0, 1, 1]] = False
    assert chain_links(replace(features, atom_mask_BA=without)).mask_BN.tolist() == [[True, False, True]]


def test_bond_lengths_are_compared_where_both_atoms_were_seen_and_are_bonded_in_the_native():
    rna = Rna("GAU")
    xyz = rna.native.xyz_BA3.clone()
    links = chain_links(rna.features)
    (first, second), (third, fourth) = links.atom_BN2[0].tolist()
    xyz[0, second] = xyz[0, first] + torch.tensor([1.6, 0, 0])
    xyz[0, fourth] = xyz[0, third] + torch.tensor([0, 1.6, 0])
    xyz += torch.tensor([1.0, 0, 0]) - xyz[0, third].clone()  # an atom left out stands at 0, within a bond's length
    guess = xyz[:, None].clone()
    guess[0, 0, second] = guess[0, 0, first] + torch.tensor([0, 0, 1.9])
    assert bond_error(guess, seen(xyz), links).item() == pytest.approx(0.09 / 2, rel=1e-4)
    hidden = torch.ones_like(rna.native.mask_BA)
    hidden[0, fourth] = False
    assert bond_error(guess, seen(xyz, hidden), links).item() == pytest.approx(0.09, rel=1e-4)
    level = torch.tensor([[4.0]])
    losses = diffusion_losses(guess, level, seen(xyz), links)
    assert losses.bond.item() == pytest.approx(noise_weight(level).item() * 0.09 / 2, rel=1e-4)
    assert losses.total(3.0).item() == pytest.approx((losses.mse + 3 * losses.bond + losses.smooth_lddt).item())
    broken = xyz.clone()
    broken[0, second] += 5
    assert bond_error(guess, seen(broken), links).item() == pytest.approx(0, abs=1e-9)
    assert bond_error(Rna("G").native.xyz_BA3[:, None], Rna("G").native, chain_links(Rna("G").features)).item() == 0


# Smooth lDDT


def test_smooth_lddt_of_known_distances():
    native = seen(line(0, 10, 45))
    guess = line(0, 11.5, 80)[:, None]
    # Only the first two atoms are within 30 Å; their distance is 1.5 Å off.
    expected = 1 - sum(1 / (1 + math.exp(-(threshold - 1.5))) for threshold in (0.5, 1, 2, 4)) / 4
    assert smooth_lddt_loss(guess, native).item() == pytest.approx(expected, rel=1e-5)
    assert smooth_lddt_loss(native.xyz_BA3[:, None], native).item() == pytest.approx(TRUTH, rel=1e-5)
    assert smooth_lddt_loss(line(0, 11.5)[:, None], seen(line(0, 29.9))).item() == pytest.approx(1, abs=1e-5)


def test_smooth_lddt_is_blind_to_motion_and_mirroring():
    native = seen(8 * noise(3, 1, 30, 3))
    guess = native.xyz_BA3[:, None] + noise(4, 1, 2, 30, 3)
    plain = smooth_lddt_loss(guess, native)
    torch.testing.assert_close(smooth_lddt_loss(moved(guess), native), plain, rtol=1e-4, atol=1e-5)


def test_every_copy_of_every_rna_has_a_value_of_its_own():
    native = seen(8 * noise(5, 2, 12, 3))
    guess = native.xyz_BA3[:, None] + torch.tensor([0.1, 1, 4])[:, None, None] * noise(6, 2, 3, 12, 3)
    for function in (aligned_mse, smooth_lddt_loss):
        values = function(guess, native)
        assert values.shape == (2, 3)
        for b in range(2):
            for s in range(3):
                alone = function(guess[b, None, s, None], seen(native.xyz_BA3[b, None]))
                assert values[b, s].item() == pytest.approx(alone.item(), rel=1e-4)


# What holds for all of them


def everything(guess, native, bonds):
    losses = diffusion_losses(guess, torch.full(guess.shape[:2], 4.0), native, bonds)
    return {"mse": losses.mse, "bond": losses.bond, "smooth_lddt": losses.smooth_lddt}


def bonded(sequence):
    """An RNA whose noise has bonds short enough to be learned."""
    rna = Rna(sequence)
    return seen(rna.native.xyz_BA3 * 0.3), all_bonds(rna.features)


@pytest.mark.parametrize("name", ["mse", "bond", "smooth_lddt"])
def test_every_term_pulls_at_every_atom_and_rests_at_the_truth(name):
    native, bonds = bonded("GAC")
    guess = (native.xyz_BA3[:, None] + 0.5 * noise(5, 1, 2, *native.xyz_BA3.shape[1:])).requires_grad_()
    everything(guess, native, bonds)[name].backward()
    assert guess.grad.isfinite().all()
    reached = guess.grad.abs().sum(-1) > 0
    assert reached[..., 1:].all(), "OP3, the first atom, has no bond that is learned"
    assert reached.all() or name == "bond"
    truth = native.xyz_BA3[:, None].clone().requires_grad_()
    everything(truth, native, bonds)[name].backward()
    assert truth.grad.abs().max() < 1e-6


@pytest.mark.parametrize("rubbish", [300.0, math.nan])
@pytest.mark.parametrize("name", ["mse", "bond", "smooth_lddt"])
def test_atoms_that_were_not_seen_change_nothing_and_get_no_gradient(name, rubbish):
    native, bonds = bonded("GACU")
    mask = torch.rand(native.mask_BA.shape, generator=torch.Generator().manual_seed(6)) < 0.8
    clean = native.xyz_BA3[:, None] + noise(7, 1, 2, *native.xyz_BA3.shape[1:])
    guess = torch.where(mask[:, None, :, None], clean, rubbish).requires_grad_()
    dirty = seen(torch.where(mask[..., None], native.xyz_BA3, rubbish), mask)
    value = everything(guess, dirty, bonds)[name]
    assert value.item() == pytest.approx(everything(clean, seen(native.xyz_BA3, mask), bonds)[name].item(), rel=1e-5)
    value.backward()
    assert not guess.grad[:, :, ~mask[0]].any()
    assert guess.grad.isfinite().all()
    only = NativeAtoms(xyz_BA3=native.xyz_BA3[:, mask[0]], mask_BA=mask[:, mask[0]])
    if name != "bond":
        assert everything(clean[:, :, mask[0]], only, None)[name].item() == pytest.approx(value.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["mse", "bond", "smooth_lddt"])
def test_a_padded_batch_is_the_mean_of_its_rnas_alone(name):
    rnas = [Rna("GACUA", 1), Rna("CU", 2)]
    features = collate([rna.features for rna in rnas])
    xyz, mask = 50 * noise(8, *features.atom_mask_BA.shape, 3), features.atom_mask_BA
    guess = 50 * noise(9, 2, 3, *xyz.shape[1:])
    alone = []
    for b, rna in enumerate(rnas):
        atoms = rna.native.mask_BA.shape[1]
        xyz[b, :atoms] = 0.3 * rna.native.xyz_BA3[0]
        guess[b, :, :atoms] = xyz[b, :atoms] + noise(b, 3, atoms, 3)
        alone.append(everything(guess[b, None, :, :atoms], seen(xyz[b, None, :atoms]), all_bonds(rna.features))[name])
    both = everything(guess, seen(xyz, mask), all_bonds(features))[name]
    assert both.item() == pytest.approx(sum(one.item() for one in alone) / 2, rel=1e-5)


@pytest.mark.parametrize(
    "xyz", [line(0, 0, 0, 0), line(0, 1, 2, 3), 5 * noise(0, 1, 2, 3), 5 * noise(0, 1, 1, 3).expand(1, 3, 3)]
)
def test_degenerate_structures_give_finite_losses_and_gradients(xyz):
    native = seen(xyz)
    for guess in (xyz[:, None].clone(), xyz[:, None] + noise(1, *xyz[:, None].shape), torch.zeros_like(xyz[:, None])):
        guess.requires_grad_()
        losses = diffusion_losses(guess, torch.full((1, 1), 0.01), native)
        losses.total().backward()
        assert guess.grad.isfinite().all()
        assert losses.total().isfinite()


def test_an_rna_without_atoms_is_named():
    xyz = noise(0, 2, 6, 3)
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1] = False
    with pytest.raises(InputError, match=r"coordinate loss: RNA \[2\] of the batch has no atom"):
        aligned_mse(xyz[:, None], seen(xyz, mask))
    mask[1, 3] = True
    assert aligned_mse(xyz[:, None] + 1, seen(xyz, mask)).isfinite().all()
    with pytest.raises(InputError, match=r"smooth lDDT loss: RNA \[2\]"):
        smooth_lddt_loss(xyz[:, None], seen(xyz, mask))


def test_places_lead_from_slots_to_flat_atoms():
    features = collate([featurise("GA", seed=0), featurise("C", seed=0)])
    places = atom_places(features)
    for b in range(2):
        for atom in range(features.atom_mask_BA.shape[1]):
            token, slot = int(features.atom_token_BA[b, atom]), int(features.atom_slot_BA[b, atom])
            if features.atom_mask_BA[b, atom] and slot >= 0:
                assert places[b, token, slot] == atom
    assert (places >= 0).sum(dim=(1, 2)).tolist() == [23 + 22, 20]
