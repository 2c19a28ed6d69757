"""Atoms and residues: means and gathers, the embedding of pairs, and that work in parts gives what the whole gives."""

from dataclasses import replace

import pytest
import torch

from rna_predict.cli.parity_inputs import NANO, draw, draw_integers, fill
from rna_predict.nn import atom_attention
from rna_predict.nn.atom_attention import (
    AtomAttentionDecoder,
    AtomAttentionEncoder,
    TrunkOfAtoms,
    gather_tokens,
    mean_over_atoms,
)
from rna_predict.nn.features import Features
from rna_predict.nn.featurise import collate, featurise

C_TOKEN = 24


def encoder_and_decoder():
    encoder = AtomAttentionEncoder(NANO, c_token=C_TOKEN, blocks=2, with_trunk=True)
    decoder = AtomAttentionDecoder(NANO, c_token=C_TOKEN, blocks=2)
    fill(encoder, "encoder.")
    fill(decoder, "decoder.")
    return encoder.eval(), decoder.eval()


def trunk_of(features, encoder):
    batch, residues = features.token_mask_BL.shape
    single, pair = draw("single", batch, residues, NANO.c_s), draw("pair", batch, residues, residues, NANO.c_z)
    return TrunkOfAtoms(single_BLS=single, pair_BLLP=encoder.pair_of_atoms(pair))


def run(networks, features, noisy, trunk=None):
    """Residues of the encoder, and positions of the decoder on drawn residues."""
    encoder, decoder = networks
    conditions = encoder.conditions(features, trunk or trunk_of(features, encoder), decoder.atom_transformer)
    tokens, atoms = encoder(features, conditions, noisy)
    drawn = draw("tokens", *tokens.shape)
    return tokens, decoder(features, conditions, drawn, atoms)


@pytest.fixture(scope="module")
def networks():
    return encoder_and_decoder()


@pytest.fixture(scope="module")
def features() -> Features:
    return featurise("GGCAUCUUCGGAUGC", seed=3)


@pytest.fixture(scope="module")
def pair_of_rnas() -> Features:
    return collate([featurise("GGCAUCUUCGGAUGC", seed=3), featurise("GCGAAAGUC", seed=4)])


def test_residues_are_means_of_their_existing_atoms(pair_of_rnas):
    atoms = draw("atoms", 2, 3, pair_of_rnas.atom_mask_BA.shape[1], 4)
    found = mean_over_atoms(atoms, pair_of_rnas)
    for rna, residue in ((0, 0), (0, 14), (1, 8)):
        own = (pair_of_rnas.atom_token_BA[rna] == residue) & pair_of_rnas.atom_mask_BA[rna]
        assert (found[rna, :, residue] - atoms[rna][:, own].mean(1)).abs().max() < 1e-6
    assert found[1, :, 9:].abs().max() == 0


def test_each_atom_gets_the_row_of_its_residue(pair_of_rnas):
    tokens = draw("tokens", 2, 3, 15, 4)
    found = gather_tokens(tokens, pair_of_rnas.atom_token_BA)
    for rna, atom in ((0, 0), (0, 200), (1, 150)):
        assert torch.equal(found[rna, :, atom], tokens[rna, :, pair_of_rnas.atom_token_BA[rna, atom]])


def test_pairs_of_atoms_see_reference_distances_within_a_residue_alone(networks, features):
    encoder, _ = networks
    seen = []
    watch = encoder.small_mlp.register_forward_hook(lambda module, given, output: seen.append(given[0] + output))
    trunk = trunk_of(features, encoder)
    atom = encoder.conditions(features, trunk).atom_B1AC[0, 0]
    watch.remove()
    pair = torch.cat(seen, 1)[0]
    position, residue = features.ref_pos_BA3[0], features.atom_token_BA[0]
    for i, j in ((3, 10), (10, 3), (40, 30), (70, 90), (100, 100), (5, 60)):
        window = i // 32
        found = pair[window, i % 32, j - (32 * window - 48)]
        offset = position[i] - position[j]
        expected = trunk.pair_BLLP[0, residue[i], residue[j]]
        expected = expected + encoder.linear_no_bias_cl(atom[i].relu()) + encoder.linear_no_bias_cm(atom[j].relu())
        if residue[i] == residue[j]:
            nearness = (1 / (1 + offset.square().sum())).reshape(1)
            expected = expected + encoder.linear_no_bias_d(offset) + encoder.linear_no_bias_invd(nearness)
            expected = expected + encoder.linear_no_bias_v(torch.ones(1))
        assert (found - expected - encoder.small_mlp(expected)).abs().max() < 1e-5


def test_windows_and_samples_in_parts_give_what_all_at_once_give(networks, pair_of_rnas, monkeypatch):
    noisy = draw("noisy", 2, 3, pair_of_rnas.atom_mask_BA.shape[1], 3)
    expected = run(networks, pair_of_rnas, noisy)
    assert expected[0].requires_grad
    monkeypatch.setattr(atom_attention, "WINDOWS_AT_ONCE", 3)
    with torch.no_grad():
        found = run(networks, pair_of_rnas, noisy)
    exists = pair_of_rnas.atom_mask_BA[:, None, :, None]
    assert (found[0] - expected[0]).abs().max() < 1e-5
    assert (found[1] - expected[1]).masked_fill(~exists, 0).abs().max() < 1e-5


def test_padded_atoms_change_nothing(networks, pair_of_rnas):
    missing = ~pair_of_rnas.atom_mask_BA
    noisy = draw("noisy", 2, 1, missing.shape[1], 3)
    noise = {
        "atom_token_BA": draw_integers("token", 0, 14, *missing.shape),
        "ref_pos_BA3": 9 * draw("position", *missing.shape, 3),
        "ref_charge_BA": 9 * draw("charge", *missing.shape),
        "ref_element_BA": draw_integers("element", 1, 90, *missing.shape),
        "ref_name_BA4": draw_integers("name", 0, 63, *missing.shape, 4),
    }
    changed = {}
    for name, drawn in noise.items():
        value = getattr(pair_of_rnas, name)
        changed[name] = torch.where(missing.reshape(*missing.shape, *[1] * (value.dim() - 2)), drawn, value)
    with torch.no_grad():
        expected = run(networks, pair_of_rnas, noisy)
        noisy = torch.where(missing[:, None, :, None], torch.nan, noisy)
        found = run(networks, replace(pair_of_rnas, **changed), noisy)
    assert (found[0] - expected[0]).abs().max() < 1e-5
    assert (found[1] - expected[1]).masked_fill(missing[:, None, :, None], 0).abs().max() < 1e-5


def test_checkpoints_in_training_change_no_gradient(features):
    noisy = draw("noisy", 1, 2, features.atom_mask_BA.shape[1], 3)
    gradients = []
    for training in (False, True):
        networks = [network.train(training) for network in encoder_and_decoder()]
        sum(part.square().sum() for part in run(networks, features, noisy)).backward()
        gradients.append([p.grad for network in networks for p in network.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        assert (plain - checkpointed).abs().max() <= 1e-4 * plain.abs().max()
