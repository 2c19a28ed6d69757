"""Gated attention and the single attention with pair bias, against the formula written out."""

import pytest
import torch

from rna_predict.cli.parity_inputs import draw, fill
from rna_predict.nn.attention import MASKED, GatedAttention, PairBiasAttention, attend, masked_bias, only_if_padded

B, L, H, W = 2, 7, 3, 4


def written_out(query, key, value, bias):
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return (scores + bias).softmax(-1) @ value


@pytest.mark.parametrize(
    ("lead", "shared"),
    [
        ((), ()),
        ((B,), (B,)),
        ((B,), (1,)),
        ((B, 5), (B, 1)),
        ((B, 5), (1, 1)),
        ((B, 5), (B, 5)),
        ((1, B, 5), (1, B, 1)),
    ],
)
@pytest.mark.parametrize("recorded", [True, False])
def test_attend_is_softmax_attention_whatever_axes_the_bias_shares(lead, shared, recorded):
    query, key, value = (draw(name, *lead, H, n, W).double() for name, n in (("q", 5), ("k", L), ("v", L)))
    bias = draw("bias", *shared, H, 5, L).double()
    with torch.set_grad_enabled(recorded):
        found = attend(query.requires_grad_(recorded), key, value, bias)
    torch.testing.assert_close(found, written_out(query, key, value, bias))


def test_gated_attention_is_the_formula_with_a_gate_and_projects_keys_from_another_input():
    module = GatedAttention(12, H, width=W, query_bias=True).double()
    fill(module)
    query, key = draw("query", B, 5, 12).double(), draw("key", B, L, 12).double()
    bias = draw("bias", B, H, 5, L).double()

    def heads(x):
        return x.unflatten(-1, (H, W)).transpose(1, 2)

    q, k, v = heads(module.linear_q(query)), heads(module.linear_k(key)), heads(module.linear_v(key))
    value = written_out(q, k, v, bias).transpose(1, 2).flatten(2)
    expected = module.linear_o(torch.sigmoid(module.linear_g(query)) * value)
    with torch.no_grad():
        torch.testing.assert_close(module(query, key, bias), expected)
    torch.testing.assert_close(module(query, key, bias), expected)


def test_gates_start_half_open_and_the_output_at_zero_only_where_asked():
    closed, open_ = GatedAttention(12, H, width=W, zero_output=True), GatedAttention(12, H, width=W)
    assert not closed.linear_o.weight.any()
    assert open_.linear_o.weight.std() > 0.1
    assert not open_.linear_g.weight.any()
    assert closed.linear_q.bias is None


def test_padded_residues_change_nothing_in_the_single_attention():
    module = PairBiasAttention(12, 8, H)
    fill(module)
    single, pair = draw("single", B, L, 12), draw("pair", B, L, L, 8)
    mask = torch.ones(B, L, dtype=torch.bool)
    mask[0, 4:] = False
    noisy_single, noisy_pair = single.clone(), pair.clone()
    noisy_single[0, 4:] = 10 * draw("other single", 3, 12)
    noisy_pair[0, 4:], noisy_pair[0, :, 4:] = 10 * draw("rows", 3, L, 8), 10 * draw("columns", L, 3, 8)
    expected, found = module(single, pair, mask), module(noisy_single, noisy_pair, mask)
    torch.testing.assert_close(found[mask], expected[mask])
    alone = module(single[:1, :4], pair[:1, :4, :4])
    torch.testing.assert_close(found[0, :4], alone[0])
    torch.testing.assert_close(found[1], module(single[1:], pair[1:])[0])


def test_an_item_of_padding_alone_gives_finite_numbers():
    module = PairBiasAttention(12, 8, H)
    fill(module)
    mask = torch.zeros(1, L, dtype=torch.bool)
    assert module(draw("single", 1, L, 12), draw("pair", 1, L, L, 8), mask).isfinite().all()


def test_a_mask_without_padding_is_left_out():
    full = torch.ones(B, L, dtype=torch.bool)
    assert only_if_padded(full) is None
    full[1, 2] = False
    assert only_if_padded(full) is full
    bias = masked_bias(draw("bias", B, 1, 1, L), full[:, None, None])
    assert (bias == MASKED).nonzero().tolist() == [[1, 0, 0, 2]]
