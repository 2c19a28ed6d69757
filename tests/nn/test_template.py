"""The template embedder: features against the layer on all of them at once, and the templates that an RNA never has."""

from dataclasses import replace

import pytest
import torch

from rna_predict.cli.parity_inputs import NANO, draw, draw_integers, fill
from rna_predict.errors import ConfigError
from rna_predict.nn.template import TemplateEmbedder, TemplateFeatures

L, T = 7, 3


@pytest.fixture
def module():
    made = TemplateEmbedder(NANO).eval()
    fill(made)
    return made


@pytest.fixture
def pair():
    return draw("pair", 1, L, L, NANO.c_z)


@pytest.fixture
def templates():
    return TemplateFeatures(
        distogram_BTLLD=torch.nn.functional.one_hot(draw_integers("bins", 0, 38, 1, T, L, L), 39).float(),
        distance_mask_BTLL=draw_integers("distances", 0, 1, 1, T, L, L).float(),
        unit_vector_BTLL3=draw("vectors", 1, T, L, L, 3),
        frame_mask_BTLL=draw_integers("frames", 0, 1, 1, T, L, L).float(),
        letter_BTL=draw_integers("letters", 0, 31, 1, T, L),
    )


def test_features_are_embedded_as_one_layer_on_all_of_them(module, pair, templates):
    total = torch.zeros(1, L, L, NANO.c_template)
    for t in range(T):
        letter = torch.nn.functional.one_hot(templates.letter_BTL[:, t], 32).float()
        features = torch.cat(
            [
                templates.distogram_BTLLD[:, t],
                templates.distance_mask_BTLL[:, t, ..., None],
                letter[:, None].expand(-1, L, -1, -1),
                letter[:, :, None].expand(-1, -1, L, -1),
                templates.unit_vector_BTLL3[:, t],
                templates.frame_mask_BTLL[:, t, ..., None],
            ],
            dim=-1,
        )
        value = module.linear_no_bias_z(module.layernorm_z(pair)) + module.linear_no_bias_a(features)
        total = total + module.layernorm_v(module.pairformer_stack(None, value)[1])
    expected = module.linear_no_bias_u(torch.relu(total / T))
    torch.testing.assert_close(module(pair, templates), expected, atol=1e-5, rtol=1e-5)


def test_no_template_means_four_without_atoms_one_of_gaps_and_three_of_letter_0(module, pair):
    empty = TemplateFeatures(
        distogram_BTLLD=torch.zeros(1, 4, L, L, 39),
        distance_mask_BTLL=torch.zeros(1, 4, L, L),
        unit_vector_BTLL3=torch.zeros(1, 4, L, L, 3),
        frame_mask_BTLL=torch.zeros(1, 4, L, L),
        letter_BTL=torch.tensor([31, 0, 0, 0])[None, :, None].expand(1, 4, L),
    )
    for recorded in (True, False):
        with torch.set_grad_enabled(recorded):
            found, expected = module(pair), module(pair, empty)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert float(found.std()) > 0.1


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_padding_and_chunks_change_nothing(module, pair, templates, recorded, given):
    real = 5
    mask = (torch.arange(L) < real)[None]
    noisy = torch.where((mask[:, :, None] & mask[:, None])[..., None], pair, 10 * draw("noise", *pair.shape))
    corner = TemplateFeatures(
        distogram_BTLLD=templates.distogram_BTLLD[:, :, :real, :real],
        distance_mask_BTLL=templates.distance_mask_BTLL[:, :, :real, :real],
        unit_vector_BTLL3=templates.unit_vector_BTLL3[:, :, :real, :real],
        frame_mask_BTLL=templates.frame_mask_BTLL[:, :, :real, :real],
        letter_BTL=templates.letter_BTL[:, :, :real],
    )
    with torch.set_grad_enabled(recorded):
        found = module(noisy, templates if given else None, mask, 2)
        alone = module(pair[:, :real, :real], corner if given else None)
    torch.testing.assert_close(found[:, :real, :real], alone, atol=1e-5, rtol=1e-5)


def test_the_input_is_not_overwritten(module, pair):
    before = pair.clone()
    with torch.no_grad():
        module(pair)
    assert torch.equal(pair, before)


def test_a_layout_without_blocks_has_no_embedder_to_call(pair):
    with pytest.raises(ConfigError, match="template_blocks: 0"):
        TemplateEmbedder(replace(NANO, template_blocks=0))(pair)
