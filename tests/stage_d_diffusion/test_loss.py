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
from rna_predict.stage_d_diffusion.confidence_head import ConfidenceLogits
from rna_predict.stage_d_diffusion.confidence_loss import (
    aligned_error,
    atom_lddt,
    confidence_losses,
    distance_error,
    frame_atoms,
)
from rna_predict.stage_d_diffusion.loss import (
    NativeAtoms,
    aligned_mse,
    bond_error,
    diffusion_losses,
    noise_weight,
    smooth_lddt_loss,
    training_noise,
)
from rna_predict.stage_d_diffusion.sampler import rotation_of

TRUTH = 1 - sum(1 / (1 + math.exp(-threshold)) for threshold in (0.5, 1, 2, 4)) / 4
"""Smooth lDDT loss of the native itself."""


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seen(xyz, mask=None):
    return NativeAtoms(xyz_BA3=xyz, mask_BA=torch.ones(xyz.shape[:2], dtype=torch.bool) if mask is None else mask)


def moved(xyz_BSA3, seed=0):
    """Each copy turned and shifted."""
    turn = rotation_of(noise(seed, 4))
    return xyz_BSA3 @ turn.T + 20 * noise(seed + 1, 3)


def line(*distances):
    """Atoms on the x axis, [1, A, 3]."""
    return torch.tensor([[[float(x), 0, 0] for x in distances]])


class Rna:
    """Features and a native that is noise, 4 Å a residue apart."""

    def __init__(self, sequence, seed=0):
        self.features = featurise(sequence, seed=0)
        place = 4.0 * self.features.atom_token_BA[..., None] * torch.tensor([1.0, 0.3, 0.1])
        self.native = seen(place + 2 * noise(seed, *place.shape))

    def logits(self, samples=1, seed=9):
        length, atoms = self.features.token_mask_BL.shape[1], self.features.atom_mask_BA.shape[1]
        shapes = [(atoms, 50), (length, length, 64), (length, length, 64), (atoms, 2)]
        plddt, pae, pde, resolved = (noise(seed + k, 1, samples, *s).requires_grad_() for k, s in enumerate(shapes))
        return ConfidenceLogits(plddt_BSA50=plddt, pae_BSLL64=pae, pde_BSLL64=pde, resolved_BSA2=resolved)


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


# Confidence


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
        values[name] = torch.where(there[:, None, ..., None], value, math.nan)
    both = confidence_losses(ConfidenceLogits(**values), features, sample, seen(xyz, mask))
    for name in ("plddt", "pae", "pde", "resolved"):
        mean = sum(getattr(one, name).item() for one in alone) / 2
        assert getattr(both, name).item() == pytest.approx(mean, rel=1e-5), name


def test_one_residue_is_enough_and_no_atom_is_an_error():
    rna = Rna("G")
    assert confidence_losses(rna.logits(), rna.features, rna.native.xyz_BA3[:, None], rna.native).total().isfinite()
    nothing = seen(rna.native.xyz_BA3, torch.zeros_like(rna.native.mask_BA))
    with pytest.raises(InputError, match="pLDDT loss"):
        confidence_losses(rna.logits(), rna.features, rna.native.xyz_BA3[:, None], nothing)


def test_places_lead_from_slots_to_flat_atoms():
    features = collate([featurise("GA", seed=0), featurise("C", seed=0)])
    places = atom_places(features)
    for b in range(2):
        for atom in range(features.atom_mask_BA.shape[1]):
            token, slot = int(features.atom_token_BA[b, atom]), int(features.atom_slot_BA[b, atom])
            if features.atom_mask_BA[b, atom] and slot >= 0:
                assert places[b, token, slot] == atom
    assert (places >= 0).sum(dim=(1, 2)).tolist() == [23 + 22, 20]
