"""The transition, and working through rows a few at a time."""

import pytest
import torch
from torch.nn.functional import silu

from rna_predict.cli.parity_inputs import draw, fill
from rna_predict.errors import ConfigError
from rna_predict.nn import rows as rows_module
from rna_predict.nn.rows import add, row_dropout, row_slices
from rna_predict.nn.transition import Transition


@pytest.fixture
def transition():
    module = Transition(8, 3).double()
    fill(module)
    return module


def test_the_transition_is_swiglu_after_layernorm_and_keeps_its_input(transition):
    x = draw("x", 2, 5, 6, 8).double()
    before = x.clone()
    normed = transition.layernorm1(x)
    hidden = silu(transition.linear_no_bias_a(normed)) * transition.linear_no_bias_b(normed)
    expected = transition.linear_no_bias(hidden)
    torch.testing.assert_close(transition(x), expected)
    with torch.no_grad():
        torch.testing.assert_close(transition(x), expected)
    assert torch.equal(x, before)


def test_hidden_layers_start_as_for_relu_and_the_output_at_zero():
    module = Transition(64, 4)
    assert not module.linear_no_bias.weight.any()
    assert float(module.linear_no_bias_a.weight.detach().std()) == pytest.approx((2 / 64) ** 0.5, rel=0.05)


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
@pytest.mark.parametrize("shape", [(2, 5, 8), (2, 5, 6, 8)])
def test_chunks_of_the_transition_give_the_same_values_and_gradients(transition, chunk_rows, shape):
    x = draw("x", *shape).double().requires_grad_()
    weight = draw("weight", *shape).double()
    whole = transition(x)
    expected = torch.autograd.grad((whole * weight).sum(), [x, *transition.parameters()])
    chunked = transition(x, chunk_rows)
    found = torch.autograd.grad((chunked * weight).sum(), [x, *transition.parameters()])
    torch.testing.assert_close(chunked, whole)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_rows_are_cut_without_a_gradient_and_taken_whole_with_one(monkeypatch):
    monkeypatch.setattr(rows_module, "CPU_POSITIONS", 20)
    x = draw("x", 1, 7, 9, 4)
    assert row_slices(x, None) == [slice(0, 7)]
    assert row_slices(x, 3) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    with torch.no_grad():
        assert row_slices(x, None) == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 7)]
        assert row_slices(x, None, positions=21) == [slice(n, n + 1) for n in range(7)]
        assert row_slices(x, 7) == [slice(0, 7)]


@pytest.mark.parametrize("chunk_rows", [0, -3])
def test_a_chunk_without_rows_is_refused(chunk_rows):
    with pytest.raises(ConfigError, match=f"chunk_rows: {chunk_rows}"):
        row_slices(draw("x", 1, 7, 9, 4), chunk_rows)


def test_add_overwrites_only_where_no_gradient_is_recorded():
    updates = [(slice(0, 2), draw("first", 1, 2, 4)), (slice(2, 3), draw("last", 1, 1, 4))]
    x = draw("x", 1, 3, 4)
    expected = x + torch.cat([part for _, part in updates], 1)
    before = x.clone()
    assert torch.equal(add(x, updates), expected)
    assert torch.equal(x, before)
    with torch.no_grad():
        assert add(x, updates) is x
    assert torch.equal(x, expected)


def test_dropout_is_shared_by_all_rows_and_keeps_the_mean():
    torch.manual_seed(0)
    x = draw("x", 2, 50, 40, 30)
    keep = row_dropout(x, 0.25, training=True)
    assert keep is not None
    assert keep.shape == (2, 1, 40, 30)
    assert sorted(set(keep.flatten().tolist())) == pytest.approx([0, 4 / 3])
    assert float(keep.mean()) == pytest.approx(1, abs=0.05)
    with torch.no_grad():
        halves = [(slice(0, 20), torch.ones(2, 20, 40, 30)), (slice(20, 50), torch.ones(2, 30, 40, 30))]
        assert torch.equal(add(torch.zeros_like(x), halves, keep), keep.expand_as(x))
    assert row_dropout(x, 0.25, training=False) is None
