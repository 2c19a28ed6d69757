"""Blocks of the diffusion transformer: the paper's formulas, and the ways to compute them that must agree."""

import copy

import pytest
import torch
from torch.nn.functional import layer_norm, silu

from rna_predict.cli.parity_inputs import draw, fill
from rna_predict.nn.attention import masked_bias
from rna_predict.nn.diffusion_transformer import (
    AdaptiveLayerNorm,
    DiffusionTransformer,
    DiffusionTransformerBlock,
    PairConditions,
    biases_of,
)
from rna_predict.nn.windows import key_windows

C_A, C_S, C_Z, HEADS, LENGTH = 12, 10, 6, 3, 9


def normalised(x, weight=None):
    return layer_norm(x, x.shape[-1:], weight)


def adaptive(module, a, s):
    """AF3 Algorithm 26, written as in the paper."""
    s = normalised(s, module.layernorm_s.weight)
    return module.linear_s(s).sigmoid() * normalised(a) + module.linear_nobias_s(s)


@pytest.fixture(scope="module")
def stack():
    module = DiffusionTransformer(C_A, C_S, C_Z, HEADS, blocks=3)
    fill(module)
    return module


@pytest.fixture(scope="module")
def known():
    """What attends, single and pair conditioning, and a mask; two RNAs, two samples."""
    mask = torch.ones(2, LENGTH).bool()
    mask[1, 6:] = False
    pair = draw("z", 2, LENGTH, LENGTH, C_Z)
    return draw("a", 2, 2, LENGTH, C_A), draw("s", 2, 2, LENGTH, C_S), pair, mask


def test_an_untrained_adaptive_norm_halves_and_an_untrained_block_adds_little(known):
    a, s, _, _ = known
    norm = AdaptiveLayerNorm(C_A, C_S)
    assert (norm(a, *norm.scale_and_shift(s)) - normalised(a) / 2).abs().max() < 1e-6
    gate = DiffusionTransformerBlock(C_A, C_S, C_Z, HEADS, windows=False).modulation(s).transition_gate
    assert (gate - torch.tensor(-2.0).sigmoid()).abs().max() < 1e-6


@pytest.mark.parametrize("windows", [False, True])
def test_a_block_is_attention_then_transition_each_with_its_gate(known, windows):
    _, _, pair, _ = known
    block = DiffusionTransformerBlock(C_A, C_S, C_Z, HEADS, windows=windows)
    fill(block)
    atoms = 40 if windows else LENGTH
    a, s = draw("a", 2, 2, atoms, C_A), draw("s", 2, 2, atoms, C_S)
    attention, transition = block.attention_pair_bias, block.conditioned_transition_block
    if windows:
        pair = draw("p", 2, 2, 32, 128, C_Z)
        exists = key_windows(torch.ones(1, atoms, 1)).squeeze(-1).bool()
        bias = masked_bias(block.bias(pair), exists[:, :, None, None]).unsqueeze(1)
    else:
        bias = block.bias(pair).unsqueeze(1)
    with torch.no_grad():
        query = adaptive(attention.layernorm_a, a, s)
        key = adaptive(attention.layernorm_kv, query, s) if windows else query
        update = attention.attention(query, key, bias)
        middle = a + attention.linear_a_last(s).sigmoid() * update
        inner = adaptive(transition.adaln, middle, s)
        hidden = silu(transition.linear_nobias_a1(inner)) * transition.linear_nobias_a2(inner)
        expected = middle + transition.linear_s(s).sigmoid() * transition.linear_nobias_b(hidden)
        found = block(a, block.modulation(s), bias)
    assert (found - expected).abs().max() < 1e-5


def test_one_product_makes_the_biases_of_all_blocks(stack, known):
    _, _, pair, _ = known
    blocks = stack.all_blocks()
    with torch.no_grad():
        found = biases_of(blocks, pair)
        for block, bias in zip(blocks, found, strict=True):
            part = block.attention_pair_bias
            expected = part.linear_nobias_z(normalised(pair, part.layernorm_z.weight)).permute(0, 3, 1, 2)
            assert (bias - expected).abs().max() < 1e-6
            assert (block.bias(pair) - expected).abs().max() < 1e-6


def test_kept_biases_give_what_biases_made_in_each_block_give(stack, known):
    a, s, pair, mask = known
    with torch.no_grad():
        made = stack(a, s, PairConditions(biases=(), pair_BLLZ=pair, mask_BL=mask))
        kept = masked_bias(biases_of(stack.all_blocks(), pair), mask[:, None, None, :]).unsqueeze(2)
        found = stack(a, s, PairConditions(biases=kept.unbind(0), pair_BLLZ=None, mask_BL=mask))
    assert (found - made).abs().max() < 1e-5


def test_samples_that_share_a_level_share_their_conditioning(stack, known):
    a, s, pair, mask = known
    conditions = PairConditions(biases=(), pair_BLLZ=pair, mask_BL=mask)
    with torch.no_grad():
        expected = stack(a, s[:, :1].expand(-1, 2, -1, -1), conditions)
        found = stack(a, s[:, :1], conditions)
    assert (found - expected).abs().max() < 1e-5


def test_checkpoints_in_training_change_no_gradient(stack, known):
    a, s, pair, mask = known
    gradients = []
    for training in (False, True):
        network = copy.deepcopy(stack).train(training)
        inputs = [x.clone().requires_grad_() for x in (a, s, pair)]
        pair_conditions = PairConditions(biases=(), pair_BLLZ=inputs[2], mask_BL=mask)
        network(inputs[0], inputs[1], pair_conditions).square().sum().backward()
        gradients.append([x.grad for x in [*inputs, *network.parameters()]])
    for plain, checkpointed in zip(*gradients, strict=True):
        assert plain.abs().max() > 0
        assert torch.allclose(plain, checkpointed, rtol=1e-4, atol=1e-4)
