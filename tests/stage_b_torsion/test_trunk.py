"""The trunk: recycling, gradients, chunks, half precision, and inputs that start at zero."""

from dataclasses import fields, replace

import pytest
import torch

from rna_predict.cli.parity_inputs import NANO, SEQUENCE, draw, fill
from rna_predict.errors import ConfigError
from rna_predict.nn.features import Representations
from rna_predict.nn.featurise import featurise
from rna_predict.nn.stage_inputs import StageInputs
from rna_predict.stage_b_torsion.trunk import Trunk

OURS = ("trunk_inputs.", "torsion_head.", "pair_head.")
L = len(SEQUENCE)


@pytest.fixture(scope="module")
def features():
    return featurise(SEQUENCE, seed=0)


@pytest.fixture
def trunk():
    made = Trunk(NANO).eval()
    fill(made, skip=OURS)
    return made


def check(found, expected, tolerance=1e-5):
    for field in fields(Representations):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)


def test_each_cycle_reads_the_last_ones_result(trunk, features):
    with torch.no_grad():
        found = trunk(features, 2)
        inputs = trunk.input_embedder(features)
        single_init = trunk.linear_no_bias_sinit(inputs)
        pair_init = (
            trunk.linear_no_bias_zinit1(single_init)[:, :, None] + trunk.linear_no_bias_zinit2(single_init)[:, None]
        )
        pair_init = pair_init + trunk.relative_position_encoding(features)
        single, pair = torch.zeros_like(single_init), torch.zeros_like(pair_init)
        for _ in range(2):
            pair = pair_init + trunk.linear_no_bias_z_cycle(trunk.layernorm_z_cycle(pair))
            pair = pair + trunk.template_embedder(pair)
            pair = trunk.msa_module(pair, inputs, features)
            single = single_init + trunk.linear_no_bias_s(trunk.layernorm_s(single))
            single, pair = trunk.pairformer_stack(single, pair)
    check(found, Representations(inputs_BLI=inputs, single_BLS=single, pair_BLLZ=pair))


def test_a_gradient_reaches_every_weight_but_only_through_the_last_cycle(trunk, features):
    used = {
        key
        for key, _ in trunk.named_parameters()
        if not key.startswith((*OURS, "distogram_head.", "linear_no_bias_token_bond."))
    }
    for cycles in (1, 3):
        trunk.zero_grad()
        found = trunk(features, cycles)
        (found.pair_BLLZ * draw("weight", *found.pair_BLLZ.shape)).sum().backward()
        reached = {key for key, parameter in trunk.named_parameters() if parameter.grad is not None}
        silent = {key for key in used - reached if "single" not in key and "attention_pair_bias" not in key}
        assert silent <= {"linear_no_bias_s.weight", "layernorm_s.weight", "layernorm_s.bias"}
    last = [parameter.grad.clone() for parameter in trunk.pairformer_stack.parameters() if parameter.grad is not None]
    with torch.no_grad():
        before = trunk(features, 2)
    pair = trunk._recycled(*trunk_start(trunk, before, features), None)
    pair = trunk._evidence(pair, before.inputs_BLI, features, None)
    single = trunk.linear_no_bias_sinit(before.inputs_BLI) + trunk.linear_no_bias_s(
        trunk.layernorm_s(before.single_BLS)
    )
    _, pair = trunk.pairformer_stack(single, pair)
    trunk.zero_grad()
    (pair * draw("weight", *pair.shape)).sum().backward()
    alone = [parameter.grad for parameter in trunk.pairformer_stack.parameters() if parameter.grad is not None]
    for ours, theirs in zip(last, alone, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def trunk_start(trunk, before, features):
    _, pair_init = trunk._start(before.inputs_BLI, features, None)
    return pair_init, before.pair_BLLZ


def test_recorded_and_unrecorded_cycles_agree_and_so_do_chunks(trunk, features):
    recorded = trunk(features, 2)
    with torch.no_grad():
        check(trunk(features, 2), recorded)
        check(trunk(features, 2, None, 1), recorded)
        check(trunk(features, 2, None, 7), recorded)
    check(trunk(features, 2, None, 7), recorded)


def test_untouched_inputs_of_stage_a_change_nothing_and_trained_ones_do(trunk, features):
    given = StageInputs(pair_probability_BLL=torch.rand(1, L, L, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        before = trunk(features, 2)
        assert torch.equal(trunk(features, 2, given).pair_BLLZ, before.pair_BLLZ)
        fill(trunk.trunk_inputs)
        assert not torch.allclose(trunk(features, 2, given).pair_BLLZ, before.pair_BLLZ, atol=1e-2)
        assert torch.equal(trunk(features, 2).pair_BLLZ, before.pair_BLLZ)


def test_half_precision_is_finite_and_close(trunk, features):
    with torch.no_grad():
        expected = trunk(features, 3)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = trunk(features, 3)
    for field in fields(Representations):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        assert ours.dtype == torch.float32
        assert ours.isfinite().all()
        assert 0 < float((ours - theirs).std() / theirs.std()) < 0.05


def test_half_precision_trains(trunk, features):
    trunk.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = trunk(features, 2)
    (found.pair_BLLZ.square().mean() + found.single_BLS.square().mean()).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in trunk.parameters())


def test_the_distogram_is_symmetric(trunk, features):
    with torch.no_grad():
        logits = trunk.distogram(trunk(features, 1).pair_BLLZ)
    assert logits.shape == (1, L, L, 64)
    assert torch.equal(logits, logits.transpose(1, 2))


def test_a_fresh_trunk_does_not_recycle(features):
    """The layers of recycling start at zero, so that the second cycle repeats the first one."""
    fresh = Trunk(NANO).eval()
    with torch.no_grad():
        check(fresh(features, 3), fresh(features, 1), 0.0)


def test_a_trunk_without_template_blocks_leaves_the_embedder_out(features):
    without = Trunk(replace(NANO, template_blocks=0)).eval()
    assert "template_embedder.linear_no_bias_z.weight" in without.state_dict()
    with torch.no_grad():
        assert without(features, 1).pair_BLLZ.isfinite().all()


@pytest.mark.parametrize("cycles", [0, -1])
def test_no_cycle_at_all_is_refused(trunk, features, cycles):
    with pytest.raises(ConfigError, match=f"cycles: {cycles}"):
        trunk(features, cycles)
