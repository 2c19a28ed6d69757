"""The MSA module: outer product mean and weighted averaging written out, masks, and no alignment at all."""

from dataclasses import replace

import pytest
import torch

from rna_predict.cli.parity_inputs import NANO, SEQUENCE, draw, draw_integers, fill
from rna_predict.nn.features import AlignmentFeatures
from rna_predict.nn.featurise import featurise
from rna_predict.nn.msa import MSABlock, MSAModule, OuterProductMean, WeightedAveraging, query_alone

B, M, L, REAL, C, Z = 2, 6, 7, 5, 12, 10


@pytest.fixture
def alignment():
    return draw("alignment", B, M, L, C).double()


@pytest.fixture
def module():
    made = MSAModule(NANO).eval()
    fill(made)
    return made


@pytest.fixture
def given():
    """Pair representation, input embedding, features with an alignment of M rows."""
    features = featurise(SEQUENCE, seed=0)
    length = len(SEQUENCE)
    rows = AlignmentFeatures(
        residue_BML=draw_integers("rows", 21, 31, 1, M, length),
        deletion_BML=draw_integers("deletions", 0, 4, 1, M, length).float(),
        mask_BM=torch.ones(1, M, dtype=torch.bool),
    )
    pair = draw("pair", 1, length, length, NANO.c_z)
    return pair, draw("inputs", 1, length, NANO.c_inputs), replace(features, alignment=rows)


@pytest.mark.parametrize("shallow", [True, False])
@pytest.mark.parametrize("recorded", [True, False])
def test_outer_product_mean_divides_by_the_rows_that_exist(alignment, shallow, recorded, monkeypatch):
    module = OuterProductMean(C, Z).double()
    fill(module)
    monkeypatch.setattr(module, "_is_shallow", lambda *_: shallow)
    mask = torch.ones(B, M, dtype=torch.bool)
    mask[0, 4:] = False
    x = module.layer_norm(alignment)
    a, b = (layer(x) * mask[:, :, None, None] for layer in (module.linear_1, module.linear_2))
    outer = torch.einsum("bmic,bmjd->bijcd", a, b).flatten(3)
    count = torch.tensor([4, M]).view(B, 1, 1, 1)
    expected = module.linear_out(outer) / (count + 1e-3)
    with torch.set_grad_enabled(recorded):
        torch.testing.assert_close(module(alignment, mask), expected)
        torch.testing.assert_close(module(alignment, mask, 2), expected)
        torch.testing.assert_close(module(alignment)[1], expected[1])


def test_the_outer_product_takes_the_cheaper_order():
    module = OuterProductMean(64, 128)
    assert module._is_shallow(1, 384)
    assert module._is_shallow(42, 384)
    assert not module._is_shallow(43, 384)
    assert not module._is_shallow(42, 76)


def test_weighted_averaging_is_a_softmax_over_residues_for_each_row(alignment):
    module = WeightedAveraging(C, Z).double()
    fill(module)
    pair = draw("pair", B, L, L, Z).double()
    mask = torch.ones(B, L, dtype=torch.bool)
    mask[0, REAL:] = False
    x = module.layernorm_m(alignment)
    logits = module.linear_no_bias_z(module.layernorm_z(pair)).masked_fill(~mask[:, None, :, None], -torch.inf)
    value = module.linear_no_bias_mv(x).unflatten(-1, (8, 8))
    found = torch.einsum("bijh,bmjhc->bmihc", logits.softmax(2), value).flatten(3)
    expected = module.linear_no_bias_out(torch.sigmoid(module.linear_no_bias_mg(x)) * found)
    torch.testing.assert_close(module(alignment, pair, mask), expected)
    with torch.no_grad():
        torch.testing.assert_close(module(alignment, pair, mask, 4), expected)


def test_the_last_block_alone_has_no_stack_for_the_alignment(module):
    assert hasattr(module.blocks[0], "msa_stack")
    assert not any("msa_stack" in key for key in module.blocks[-1].state_dict())
    assert any("msa_stack" in key for key in MSABlock(NANO, last=False).state_dict())


def test_letters_and_deletions_are_embedded_as_one_hot_features(module, given):
    _, inputs, features = given
    alignment = features.alignment
    count = alignment.deletion_BML[..., None]
    letters = torch.nn.functional.one_hot(alignment.residue_BML, 32).float()
    rows = torch.cat([letters, (count > 0).float(), 2 / torch.pi * torch.atan(count / 3)], dim=-1)
    expected = module.linear_no_bias_m(rows) + module.linear_no_bias_s(inputs)[:, None]
    torch.testing.assert_close(module._embed(alignment, inputs), expected)


def test_without_an_alignment_the_query_is_the_one_row(module, given):
    pair, inputs, features = given
    alone = replace(features, alignment=None)
    row = query_alone(features)
    assert row.residue_BML.tolist() == features.restype_BL[:, None].tolist()
    assert not row.deletion_BML.any()
    found = module(pair, inputs, alone)
    assert torch.equal(found, module(pair, inputs, replace(features, alignment=row)))
    assert not torch.allclose(found, module(pair, inputs, features), atol=1e-2)


@pytest.mark.parametrize("recorded", [True, False])
def test_rows_of_padding_change_nothing_whatever_is_in_them(module, given, recorded):
    pair, inputs, features = given
    rows, length = features.alignment, len(SEQUENCE)
    padded = AlignmentFeatures(
        residue_BML=torch.cat([rows.residue_BML, draw_integers("more", 0, 31, 1, 3, length)], 1),
        deletion_BML=torch.cat([rows.deletion_BML, draw_integers("more deletions", 0, 90, 1, 3, length).float()], 1),
        mask_BM=torch.cat([rows.mask_BM, torch.zeros(1, 3, dtype=torch.bool)], 1),
    )
    with torch.set_grad_enabled(recorded):
        expected = module(pair, inputs, features)
        found = module(pair, inputs, replace(features, alignment=padded))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chunk_rows", [1, 5])
def test_chunks_give_the_same_values_and_gradients_and_keep_the_input(module, given, chunk_rows):
    pair, inputs, features = given
    before = pair.clone()
    with torch.no_grad():
        found, expected = module(pair, inputs, features, chunk_rows), module(pair, inputs, features)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(pair, before)
    weight = draw("weight", *pair.shape)
    pair.requires_grad_()
    ours, theirs = (
        torch.autograd.grad((module(pair, inputs, features, rows) * weight).sum(), [pair, *module.parameters()])
        for rows in (chunk_rows, None)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)


def test_checkpoints_of_training_leave_the_gradients_as_they_are(module, given):
    pair, inputs, features = given
    module.train()
    for block in module.blocks:
        block.pair_stack.dropout = 0.0
    module.blocks[0].msa_stack.dropout = 0.0
    weight = draw("weight", *pair.shape)
    found, expected = (
        torch.autograd.grad((made(pair, inputs, features) * weight).sum(), list(module.parameters()))
        for made in (module, module.eval())
    )
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_outer_product_mean_is_not_taken_in_half_precision(alignment):
    module = OuterProductMean(C, Z)
    fill(module)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = module(alignment.bfloat16())
    assert found.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(found, module(alignment.bfloat16().float()))
