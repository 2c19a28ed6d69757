"""The embeddings give what their definitions with one-hot columns give."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import one_hot

from rna_predict.cli.parity_inputs import NANO, draw, fill
from rna_predict.nn.atom_attention import AtomAttentionEncoder
from rna_predict.nn.embeddings import FourierEmbedding, InputFeatureEmbedder, RelativePositionEncoding
from rna_predict.nn.featurise import featurise


@pytest.fixture(scope="module")
def features():
    """A crop, so that residues are further apart than the encoding reaches."""
    whole = featurise("GGCAUCUUCGGAUGAACGUA", seed=3)
    number = whole.residue_index_BL
    return replace(whole, residue_index_BL=torch.where(number > 9, number + 30, number))


def test_relative_positions_are_the_papers_columns(features):
    encoding = RelativePositionEncoding(5)
    fill(encoding)
    number, place = features.residue_index_BL[0], torch.arange(20)
    apart = (number[:, None] - number[None]).clamp(-32, 32) + 32
    same = number[:, None] == number[None]
    token = torch.where(same, (place[:, None] - place[None]).clamp(-32, 32) + 32, 65)
    chain = torch.full((20, 20), 2)
    columns = [one_hot(apart, 66), one_hot(token, 66), torch.ones(20, 20, 1).long(), one_hot(chain, 6)]
    expected = encoding.linear_no_bias(torch.cat(columns, -1).float())
    assert {0, 64} <= set(apart.flatten().tolist())
    assert (encoding(features)[0] - expected).abs().max() < 1e-6
    assert torch.equal(encoding(features, slice(4, 9)), encoding(features)[:, 4:9])


def test_relative_positions_between_chains_are_the_papers_columns():
    """Three chains, two of them alike; numbers begin again in each."""
    features = featurise("GGCAUCGGCAUCACGU", seed=3, breaks=(6, 12))
    encoding = RelativePositionEncoding(5)
    fill(encoding)
    number = torch.tensor([*range(1, 7), *range(1, 7), *range(1, 5)])
    chain, entity, copy = (torch.tensor(row).repeat_interleave(torch.tensor([6, 6, 4])) for row in ROWS)
    assert torch.equal(features.residue_index_BL[0], number)
    same_chain, same_entity = chain[:, None] == chain, entity[:, None] == entity
    apart = torch.where(same_chain, number[:, None] - number + 32, 65)
    token = torch.where(same_chain & (number[:, None] == number), 32, 65)
    copies = torch.where(same_entity, copy[:, None] - copy + 2, 5)
    columns = [one_hot(apart, 66), one_hot(token, 66), same_entity[..., None].long(), one_hot(copies, 6)]
    expected = encoding.linear_no_bias(torch.cat(columns, -1).float())
    assert set(copies.flatten().tolist()) == {1, 2, 3, 5}
    assert (encoding(features)[0] - expected).abs().max() < 1e-6


ROWS = [[0, 1, 2], [0, 0, 1], [0, 1, 0]]
"""Number of the chain, the entity and the copy of each chain."""


def test_element_name_and_charge_are_one_hot_columns(features):
    encoder = AtomAttentionEncoder(NANO, c_token=NANO.c_token, blocks=1, with_trunk=False)
    fill(encoder)
    charged = replace(features, ref_charge_BA=draw("charge", *features.ref_charge_BA.shape, scale=2.0))
    exists = torch.ones_like(charged.ref_charge_BA).unsqueeze(-1)
    element = one_hot(charged.ref_element_BA - 1, 128)  # hydrogen is the first
    name = one_hot(charged.ref_name_BA4, 64).flatten(-2)
    expected = (
        encoder.linear_no_bias_f(torch.cat([exists, element, name], -1))
        + encoder.linear_no_bias_ref_pos(charged.ref_pos_BA3)
        + encoder.linear_no_bias_ref_charge(charged.ref_charge_BA.asinh().unsqueeze(-1))
    )
    found = encoder.conditions(charged).atom_B1AC.squeeze(1)
    assert (found - expected).abs().max() < 1e-5


def test_residue_type_profile_and_deletions_follow_the_atoms(features):
    embedder = InputFeatureEmbedder(NANO)
    fill(embedder)
    marked = replace(
        features,
        profile_BLT=draw("profile", *features.profile_BLT.shape),
        deletion_mean_BL=draw("deletions", *features.deletion_mean_BL.shape),
    )
    with torch.no_grad():
        inputs = embedder(marked)
    assert inputs.shape[-1] == NANO.c_inputs
    atoms, restype, profile, deletion = inputs.split([NANO.c_token, 32, 32, 1], dim=-1)
    assert torch.equal(restype.argmax(-1), features.restype_BL)
    assert torch.equal(restype.sum(-1), torch.ones_like(restype[..., 0]))
    assert torch.equal(profile, marked.profile_BLT)
    assert torch.equal(deletion.squeeze(-1), marked.deletion_mean_BL)
    assert atoms.std() > 0.1


def test_fourier_features_are_fixed_and_take_no_gradient():
    first, second = FourierEmbedding(16), FourierEmbedding(16)
    second.fill(torch.Generator().manual_seed(7))
    assert torch.equal(first.w, second.w)
    assert torch.equal(first.b, second.b)
    assert not any(parameter.requires_grad for parameter in first.parameters())
    level = torch.tensor([[-1.5, 0.3]])
    expected = (2 * torch.pi * (first.w * 0.3 + first.b)).cos()
    assert (first(level)[0, 1] - expected).abs().max() < 1e-6
    assert first.w.std() > 0.5
