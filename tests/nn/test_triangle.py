"""Triangle multiplication and attention, against the sums over the third residue written out."""

import pytest
import torch

from rna_predict.cli.parity_inputs import draw, fill
from rna_predict.nn.triangle import TriangleAttention, TriangleMultiplication

B, L, Z, REAL = 2, 9, 8, 6

MODULES = {
    "outgoing": lambda: TriangleMultiplication(Z, 20, outgoing=True),
    "incoming": lambda: TriangleMultiplication(Z, 20, outgoing=False),
    "attention": lambda: TriangleAttention(Z, 2, 5),
}


def filled(name):
    module = MODULES[name]().double()
    fill(module)
    return module


@pytest.fixture
def pair():
    return draw("pair", B, L, L, Z).double()


def both_ways(module, *arguments):
    with torch.no_grad():
        unrecorded = module(*arguments)
    recorded = module(*arguments)
    torch.testing.assert_close(unrecorded, recorded)
    return unrecorded


@pytest.mark.parametrize(("name", "indices"), [("outgoing", "bikc,bjkc->bijc"), ("incoming", "bkic,bkjc->bijc")])
def test_triangle_multiplication_is_the_sum_over_the_third_residue(pair, name, indices):
    module = filled(name)
    x = module.layer_norm_in(pair)
    a = torch.sigmoid(module.linear_a_g(x)) * module.linear_a_p(x)
    b = torch.sigmoid(module.linear_b_g(x)) * module.linear_b_p(x)
    product = module.linear_z(module.layer_norm_out(torch.einsum(indices, a, b)))
    torch.testing.assert_close(both_ways(module, pair), torch.sigmoid(module.linear_g(x)) * product)


def test_triangle_attention_is_attention_within_each_row_with_a_bias_from_the_third_edge(pair):
    module = filled("attention")
    x = module.layer_norm(pair)
    q, k, v = (
        layer(x).unflatten(-1, (2, 5)) for layer in (module.mha.linear_q, module.mha.linear_k, module.mha.linear_v)
    )
    scores = torch.einsum("bijhc,bikhc->bhijk", q, k) / 5**0.5 + module.linear(x).permute(0, 3, 1, 2)[:, :, None]
    value = torch.einsum("bhijk,bikhc->bijhc", scores.softmax(-1), v).flatten(3)
    expected = module.mha.linear_o(torch.sigmoid(module.mha.linear_g(x)) * value)
    torch.testing.assert_close(both_ways(module, pair), expected)


@pytest.mark.parametrize("name", MODULES)
def test_a_fresh_update_is_zero_and_its_gates_are_half_open(name, pair):
    module = MODULES[name]().double()
    assert not module(pair).any()
    gates = [parameter for key, parameter in module.named_parameters() if "_g." in key]
    assert gates
    assert not any(gate.any() for gate in gates)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("chunk_rows", [1, 2, 4, 100])
@pytest.mark.parametrize("masked", [False, True])
def test_chunks_give_the_same_values_and_gradients(pair, name, chunk_rows, masked):
    module = filled(name)
    mask = (draw("mask", B, L, L) > -1) if masked else None
    weight = draw("weight", *pair.shape).double()
    pair.requires_grad_()
    whole = module(pair, mask)
    expected = torch.autograd.grad((whole * weight).sum(), [pair, *module.parameters()])
    chunked = module(pair, mask, chunk_rows)
    found = torch.autograd.grad((chunked * weight).sum(), [pair, *module.parameters()])
    torch.testing.assert_close(chunked, whole)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(module(pair, mask, chunk_rows), whole)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("full", [True, False], ids=["whole mask", "mask of the third residue"])
def test_padded_residues_change_nothing(pair, name, recorded, full):
    module = filled(name)
    real = torch.ones(B, L, dtype=torch.bool)
    real[0, REAL:] = False
    mask = real[:, :, None] & real[:, None]
    if not full:
        mask = real[:, :, None] if name == "incoming" else real[:, None]
    noisy = torch.where((real[:, :, None] & real[:, None])[..., None], pair, 10 * draw("noise", *pair.shape))
    with torch.set_grad_enabled(recorded):
        found, alone, other = module(noisy, mask), module(pair[:1, :REAL, :REAL]), module(pair[1:])
    torch.testing.assert_close(found[0, :REAL, :REAL], alone[0])
    torch.testing.assert_close(found[1], other[0])


@pytest.mark.parametrize("name", MODULES)
def test_the_input_is_not_overwritten(pair, name):
    before = pair.clone()
    with torch.no_grad():
        filled(name)(pair)
    assert torch.equal(pair, before)
