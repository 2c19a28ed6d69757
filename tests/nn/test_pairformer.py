"""The Pairformer's block and stack: order of the updates, masks, checkpoints, dropout, half precision."""

import pytest
import torch

from rna_predict.cli.parity_inputs import draw, fill
from rna_predict.nn import pairformer
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.pairformer import PairformerBlock, PairformerStack

ARCHITECTURE = Architecture(c_s=24, c_z=16, pairformer_heads=3)
B, L, REAL = 2, 9, 6


def stack(blocks=2, **sizes):
    module = PairformerStack(ARCHITECTURE, **({"blocks": blocks, "c_z": 16, "c_s": 24} | sizes)).eval()
    fill(module)
    return module


def inputs():
    return draw("single", B, L, 24), draw("pair", B, L, L, 16)


def gradients(module, chunk_rows=None):
    single, pair = (x.requires_grad_() for x in inputs())
    out_single, out_pair = module(single, pair, None, chunk_rows)
    total = (out_single * draw("of single", *single.shape)).sum() + (out_pair * draw("of pair", *pair.shape)).sum()
    return torch.autograd.grad(total, [single, pair, *module.parameters()])


def test_a_block_is_its_updates_one_after_the_other():
    block = PairformerBlock(ARCHITECTURE, c_z=16, c_s=24).eval()
    fill(block)
    single, pair = inputs()
    expected = pair + block.tri_mul_out(pair)
    expected = expected + block.tri_mul_in(expected)
    expected = expected + block.tri_att_start(expected)
    expected = expected + block.tri_att_end(expected.transpose(1, 2)).transpose(1, 2)
    expected = expected + block.pair_transition(expected)
    expected_single = single + block.attention_pair_bias(single, expected)
    expected_single = expected_single + block.single_transition(expected_single)
    for recorded in (True, False):
        with torch.set_grad_enabled(recorded):
            found_single, found = block(single, pair)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(found_single, expected_single)


def test_a_fresh_stack_changes_nothing():
    single, pair = inputs()
    found_single, found = PairformerStack(ARCHITECTURE, blocks=2, c_z=16, c_s=24).eval()(single, pair)
    assert torch.equal(found_single, single)
    assert torch.equal(found, pair)


@pytest.mark.parametrize("module", ["stack", "block"])
def test_what_is_given_is_not_overwritten(module):
    made = stack() if module == "stack" else stack().blocks[0]
    single, pair = inputs()
    with torch.no_grad():
        made(single, pair)
    assert torch.equal(single, inputs()[0])
    assert torch.equal(pair, inputs()[1])


def test_without_a_single_track_there_are_no_keys_for_it():
    module = stack(c_s=0, pair_factor=2)
    assert not any("single" in key or "attention_pair_bias" in key for key in module.state_dict())
    assert module.blocks[0].pair_transition.linear_no_bias_a.out_features == 32
    single, pair = module(None, inputs()[1])
    assert single is None
    assert pair.shape == (B, L, L, 16)


@pytest.mark.parametrize(("scale", "hidden", "heads"), [(False, 128, 4), (True, 64, 2)])
def test_hidden_widths_follow_the_pair_channels_only_where_scaled(scale, hidden, heads):
    block = PairformerBlock(Architecture(scale_pair_hidden=scale), c_z=64, c_s=0)
    assert block.tri_mul_in.linear_a_p.weight.shape == (hidden, 64)
    assert block.tri_att_end.mha.linear_q.weight.shape == (32 * heads, 64)
    assert block.tri_att_start.linear.weight.shape == (heads, 64)


@pytest.mark.parametrize("chunk_rows", [1, 4])
def test_chunks_give_the_same_values_and_gradients(chunk_rows):
    module = stack()
    with torch.no_grad():
        for found, expected in zip(module(*inputs(), None, chunk_rows), module(*inputs()), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for found, expected in zip(gradients(module, chunk_rows), gradients(module), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("recorded", [True, False])
def test_padding_with_noise_changes_nothing(recorded):
    module = stack()
    single, pair = inputs()
    mask = torch.ones(B, L, dtype=torch.bool)
    mask[0, REAL:] = False
    both = mask[:, :, None] & mask[:, None]
    noisy_single = torch.where(mask[..., None], single, 10 * draw("other single", *single.shape))
    noisy_pair = torch.where(both[..., None], pair, 10 * draw("other pair", *pair.shape))
    with torch.set_grad_enabled(recorded):
        found_single, found = module(noisy_single, noisy_pair, mask)
        alone_single, alone = module(single[:1, :REAL], pair[:1, :REAL, :REAL])
        full_single, full = module(single[1:], pair[1:])
    torch.testing.assert_close(found_single[0, :REAL], alone_single[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[0, :REAL, :REAL], alone[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found_single[1], full_single[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1], full[0], atol=1e-5, rtol=1e-5)


def test_checkpoints_of_training_leave_the_gradients_as_they_are(monkeypatch):
    module = stack().train()
    runs = []
    for block in module.blocks:
        block.dropout = 0.0
        monkeypatch.setattr(block.tri_mul_out, "_multiply", counted(block.tri_mul_out._multiply, runs))
    found = gradients(module)
    assert len(runs) == 2 * len(module.blocks)
    runs.clear()
    expected = gradients(module.eval())
    assert len(runs) == len(module.blocks)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def counted(function, runs):
    def run(*arguments):
        runs.append("multiplied")
        return function(*arguments)

    return run


def test_training_drops_channels_of_all_rows_of_a_triangle_update_and_evaluation_none():
    block = stack(blocks=1).blocks[0]
    for layer in (block.tri_mul_in.linear_z, block.tri_att_start.mha.linear_o, block.tri_att_end.mha.linear_o):
        torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(block.pair_transition.linear_no_bias.weight)
    single, pair = inputs()
    update = block(single, pair)[1] - pair
    torch.manual_seed(1)
    for recorded in (True, False):
        with torch.set_grad_enabled(recorded):
            ratio = (block.train()(single, pair)[1] - pair) / update
        dropped = ratio.abs() < 1e-3
        assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
        assert 0.1 < float(dropped.float().mean()) < 0.4
        torch.testing.assert_close(ratio[~dropped], torch.full_like(ratio[~dropped], 4 / 3), atol=2e-2, rtol=0)
    assert pairformer.PAIR_DROPOUT == 0.25


def test_half_precision_stays_close_to_full_precision():
    module = stack(blocks=4)
    with torch.no_grad():
        expected = module(*inputs())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = module(*inputs())
    for ours, theirs in zip(found, expected, strict=True):
        assert ours is not None
        assert theirs is not None
        assert ours.dtype == torch.float32
        assert ours.isfinite().all()
        assert 0 < float((ours - theirs).std() / theirs.std()) < 0.02
