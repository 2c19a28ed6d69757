"""Results of the stages enter the pair representation through zeros, and only through what they say."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from rna_predict.errors import ConfigError
from rna_predict.nn import stage_inputs as module
from rna_predict.nn.stage_inputs import (
    KINDS,
    FrameAtoms,
    StageInputProjection,
    StageInputs,
    TemplateInputs,
    TorsionInputs,
    geometry_features,
    pair_inputs,
    torsion_features,
)

B, L, Z, T = 2, 7, 6, 3
REAL = 5
"""Residues of the second RNA; the others pad it."""


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def pair_BLLZ(generator):
    return torch.randn(B, L, L, Z, generator=generator)


@pytest.fixture
def inputs(generator):
    """All kinds, the second RNA padded with noise."""
    angle_BL8 = 2 * math.pi * torch.rand(B, L, 8, generator=generator)
    real_BL = torch.ones(B, L, dtype=torch.bool)
    real_BL[1, REAL:] = False
    defined_BL8 = real_BL[..., None] & (torch.rand(B, L, 8, generator=generator) > 0.2)
    covered_BTL = real_BL[:, None] & (torch.rand(B, T, L, generator=generator) > 0.3)
    probability_BLL = torch.rand(B, L, L, generator=generator)
    return StageInputs(
        pair_probability_BLL=probability_BLL,
        partner_BLL=(probability_BLL > 0.8).float(),
        torsions=TorsionInputs(
            sincos_BL82=torch.stack([angle_BL8.sin(), angle_BL8.cos()], dim=-1),
            mask_BL8=defined_BL8,
            concentration_BL8=20 * torch.rand(B, L, 8, generator=generator),
        ),
        coordinates=FrameAtoms(xyz_BL33=12 * torch.randn(B, L, 3, 3, generator=generator), mask_BL=real_BL),
        templates=TemplateInputs(xyz_BTL33=12 * torch.randn(B, T, L, 3, 3, generator=generator), mask_BTL=covered_BTL),
    )


def projection(kinds=KINDS, seed=1):
    """A projection as training leaves it: no weight is zero."""
    made = StageInputProjection(Z, kinds)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return made


def alone(inputs, kind):
    """The inputs of one kind only."""
    names = {"adjacency": ("pair_probability_BLL", "partner_BLL")}.get(kind, (kind,))
    return StageInputs(**{name: getattr(inputs, name) for name in names})


def rotation(generator):
    matrix, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return (matrix * torch.linalg.det(matrix)).float()


def test_fresh_projections_change_nothing_bit_for_bit(pair_BLLZ, inputs):
    fresh = StageInputProjection(Z, KINDS)
    assert {name: tuple(weight.shape) for name, weight in fresh.state_dict().items()} == {
        "adjacency.weight": (Z, 2),
        "torsions_first.weight": (Z, 32),
        "torsions_second.weight": (Z, 32),
        "coordinates.weight": (Z, 43),
        "templates.weight": (Z, 43),
    }
    assert torch.equal(fresh(pair_BLLZ, inputs), pair_BLLZ)
    with torch.no_grad():
        assert torch.equal(fresh(pair_BLLZ, inputs).view(torch.int32), pair_BLLZ.view(torch.int32))


def test_an_absent_input_adds_nothing_whatever_the_weights(pair_BLLZ):
    trained = projection()
    assert torch.equal(trained(pair_BLLZ, None), pair_BLLZ)
    assert torch.equal(trained(pair_BLLZ, StageInputs()), pair_BLLZ)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_alone_reaches_the_pairs_and_learns_from_zero(pair_BLLZ, inputs, kind):
    only = alone(inputs, kind)
    assert only.present() == (kind,)
    added = projection((kind,))(pair_BLLZ, only) - pair_BLLZ
    assert added[0].abs().amax(-1).median() > 0.1
    together = projection()(pair_BLLZ, inputs)
    rest = dataclasses.replace(
        inputs, **{f.name: None for f in dataclasses.fields(only) if getattr(only, f.name) is not None}
    )
    assert (projection()(pair_BLLZ, rest) - together).abs().max() > 0.1
    fresh = StageInputProjection(Z, (kind,))
    fresh(pair_BLLZ, only).square().sum().backward()
    assert all(weight.grad.abs().max() > 0 for weight in fresh.parameters()), "zeros must not block the gradient"


@pytest.mark.parametrize("name", ["pair_probability_BLL", "partner_BLL"])
def test_probability_and_matching_are_two_channels_that_stand_alone(pair_BLLZ, inputs, name):
    value = getattr(inputs, name)
    trained = projection(("adjacency",))
    column = ("pair_probability_BLL", "partner_BLL").index(name)
    expected = pair_BLLZ + value[..., None] * trained.adjacency.weight[:, column]
    torch.testing.assert_close(trained(pair_BLLZ, StageInputs(**{name: value})), expected)


@pytest.mark.parametrize("kinds", [(), ("torsions",), ("adjacency", "templates"), KINDS])
def test_a_network_is_given_the_kinds_that_it_takes_and_no_others(inputs, kinds):
    found = inputs.only(kinds)
    assert found.present() == kinds
    for field in dataclasses.fields(StageInputs):
        kind = "adjacency" if field.name.startswith("pa") else field.name
        assert getattr(found, field.name) is (getattr(inputs, field.name) if kind in kinds else None)


def test_a_matching_becomes_ones_where_two_residues_pair():
    probability_LL = np.random.default_rng(0).random((6, 6), dtype=np.float32)
    found = pair_inputs(probability_LL, np.array([5, 4, -1, -1, 1, 0], dtype=np.int32))
    assert found.partner_BLL.nonzero().tolist() == [[0, 0, 5], [0, 1, 4], [0, 4, 1], [0, 5, 0]]
    assert found.partner_BLL.max() == 1
    assert np.array_equal(found.pair_probability_BLL[0].numpy(), probability_LL)
    assert found.present() == ("adjacency",)


def test_rigid_motion_of_coordinates_and_templates_changes_nothing(pair_BLLZ, inputs, generator):
    turn, shift = rotation(generator), 40 * torch.randn(3, generator=generator)
    moved = dataclasses.replace(
        inputs,
        coordinates=dataclasses.replace(inputs.coordinates, xyz_BL33=inputs.coordinates.xyz_BL33 @ turn.T + shift),
        templates=dataclasses.replace(inputs.templates, xyz_BTL33=inputs.templates.xyz_BTL33 @ turn.T - shift),
    )
    trained = projection()
    assert (trained(pair_BLLZ, moved) - trained(pair_BLLZ, inputs)).abs().max() < 1e-3
    mirrored = dataclasses.replace(
        inputs, coordinates=dataclasses.replace(inputs.coordinates, xyz_BL33=-inputs.coordinates.xyz_BL33)
    )
    assert (trained(pair_BLLZ, mirrored) - trained(pair_BLLZ, inputs)).abs().max() > 0.1, "a mirror image is another"


def test_geometry_is_the_distance_and_the_direction_seen_from_the_first_residue():
    xyz = torch.zeros(1, 2, 3, 3)
    # Residue 1: C3' at the origin, C4' on x, C1' in the xy plane, y > 0. Residue 2's C1' is 7 Å above residue 1's.
    xyz[0, 0] = torch.tensor([[0.5, 1.4, 0.0], [0.0, 0.0, 0.0], [1.5, 0.0, 0.0]])
    xyz[0, 1] = torch.tensor([[0.5, 1.4, 7.0], [1.0, 0.0, 7.0], [1.0, 1.5, 7.0]])
    features = geometry_features(xyz, torch.ones(1, 2, dtype=torch.bool), slice(0, 2))
    bins, direction, there = features[0, 0, 1].split([39, 3, 1])
    torch.testing.assert_close(direction, torch.tensor([0.0, 0.0, 1.0]))
    centres = torch.linspace(3.25, 50.75, 39)
    assert bins.argmax() == 3
    assert bins.max() == pytest.approx(1), "7.0 Å is the centre of the fourth bin"
    assert float(bins @ centres) == pytest.approx(7.0)
    assert float(bins.sum()) == pytest.approx(1)
    assert there.item() == 1
    torch.testing.assert_close(features[0, 0, 0, 39:42], torch.zeros(3))
    far = geometry_features(xyz * 100, torch.ones(1, 2, dtype=torch.bool), slice(0, 2))
    assert far[0, 0, 1, 38] == 1


def test_an_angle_of_which_nothing_is_known_says_nothing():
    def features(angle, kappa):
        sincos = torch.tensor([math.sin(angle), math.cos(angle)]).expand(1, 1, 8, 2)
        mask = torch.ones(1, 1, 8, dtype=torch.bool)
        return torsion_features(
            TorsionInputs(sincos_BL82=sincos, mask_BL8=mask, concentration_BL8=torch.full((1, 1, 8), kappa))
        ).unflatten(-1, (8, 4))[0, 0, 0]

    torch.testing.assert_close(features(0.3, 0.0), torch.tensor([0.0, 0.0, 0.0, 1.0]))
    # I1(2) / I0(2) = 1.59064 / 2.27959
    torch.testing.assert_close(
        features(0.3, 2.0),
        torch.tensor([0.69777 * math.sin(0.3), 0.69777 * math.cos(0.3), 0.69777, 1.0]),
        atol=1e-5,
        rtol=0,
    )
    assert features(0.3, 500.0)[2] > 0.998


def test_masked_residues_and_angles_are_not_looked_at(pair_BLLZ, inputs):
    trained = projection()
    noise = torch.Generator().manual_seed(9)

    def noisy(value, mask):
        other = 50 * torch.randn(value.shape, generator=noise)
        other.view(-1)[0] = math.nan
        return torch.where(mask, value, other)

    covered = inputs.templates.mask_BTL[..., None, None]
    changed = dataclasses.replace(
        inputs,
        torsions=dataclasses.replace(
            inputs.torsions,
            sincos_BL82=noisy(inputs.torsions.sincos_BL82, inputs.torsions.mask_BL8[..., None]),
            concentration_BL8=noisy(inputs.torsions.concentration_BL8, inputs.torsions.mask_BL8).abs(),
        ),
        coordinates=dataclasses.replace(
            inputs.coordinates,
            xyz_BL33=noisy(inputs.coordinates.xyz_BL33, inputs.coordinates.mask_BL[..., None, None]),
        ),
        templates=dataclasses.replace(inputs.templates, xyz_BTL33=noisy(inputs.templates.xyz_BTL33, covered)),
    )
    assert torch.equal(trained(pair_BLLZ, changed), trained(pair_BLLZ, inputs))


def test_a_padded_batch_is_its_rnas_one_by_one(pair_BLLZ, inputs):
    def cut(part, length):
        """The second RNA alone, without its padding."""
        if part is None or isinstance(part, torch.Tensor):
            return part
        axes = {"xyz_BTL33": (2,), "mask_BTL": (2,), "pair_probability_BLL": (1, 2), "partner_BLL": (1, 2)}
        changes = {}
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if isinstance(value, torch.Tensor):
                value = value[1:]
                for axis in axes.get(field.name, (1,)):
                    value = value.narrow(axis, 0, length)
            changes[field.name] = cut(value, length)
        return type(part)(**changes)

    trained = projection()
    batch = trained(pair_BLLZ, inputs)[1:, :REAL, :REAL]
    torch.testing.assert_close(trained(pair_BLLZ[1:, :REAL, :REAL], cut(inputs, REAL)), batch, atol=1e-5, rtol=0)


def test_templates_are_averaged_over_those_that_cover_both_residues(pair_BLLZ, inputs):
    trained = projection(("templates",))
    templates = inputs.templates
    swapped = TemplateInputs(xyz_BTL33=templates.xyz_BTL33.flip(1), mask_BTL=templates.mask_BTL.flip(1))
    first = trained(pair_BLLZ, StageInputs(templates=templates))
    torch.testing.assert_close(trained(pair_BLLZ, StageInputs(templates=swapped)), first, atol=1e-5, rtol=0)
    twice = TemplateInputs(
        xyz_BTL33=torch.cat([templates.xyz_BTL33] * 2, 1), mask_BTL=torch.cat([templates.mask_BTL] * 2, 1)
    )
    torch.testing.assert_close(trained(pair_BLLZ, StageInputs(templates=twice)), first, atol=1e-5, rtol=0)
    nowhere = TemplateInputs(xyz_BTL33=templates.xyz_BTL33, mask_BTL=torch.zeros_like(templates.mask_BTL))
    assert torch.equal(trained(pair_BLLZ, StageInputs(templates=nowhere)), pair_BLLZ)
    one = TemplateInputs(xyz_BTL33=templates.xyz_BTL33[:, :1], mask_BTL=torch.ones(B, 1, L, dtype=torch.bool))
    expected = pair_BLLZ + trained.templates(geometry_features(one.xyz_BTL33[:, 0], one.mask_BTL[:, 0], slice(0, L)))
    torch.testing.assert_close(trained(pair_BLLZ, StageInputs(templates=one)), expected)


def test_row_by_row_equals_at_once(pair_BLLZ, inputs, monkeypatch):
    trained = projection()
    whole = trained(pair_BLLZ, inputs).detach()
    before = pair_BLLZ.clone()
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 1)
    with torch.no_grad():
        torch.testing.assert_close(trained(pair_BLLZ, inputs), whole, atol=1e-5, rtol=0)
    assert torch.equal(pair_BLLZ, before), "the caller's pair representation stays"


def test_an_input_without_its_projection_is_refused_not_ignored(pair_BLLZ, inputs):
    with pytest.raises(ConfigError, match=r"torsions, coordinates given, this network takes adjacency, templates"):
        projection(("adjacency", "templates"))(pair_BLLZ, inputs)
    with pytest.raises(ConfigError, match="kinds"):
        StageInputProjection(Z, ("adjacency", "angles"))
    with pytest.raises(ConfigError, match="kinds"):
        StageInputProjection(Z, ("adjacency", "adjacency"))
    none = TemplateInputs(xyz_BTL33=torch.zeros(B, 0, L, 3, 3), mask_BTL=torch.zeros(B, 0, L, dtype=torch.bool))
    with pytest.raises(ConfigError, match="no template"):
        projection(("templates",))(pair_BLLZ, StageInputs(templates=none))


def test_the_same_inputs_in_half_precision_keep_the_pair_s_dtype(pair_BLLZ, inputs):
    trained = projection().to(torch.bfloat16)
    half = trained(pair_BLLZ.to(torch.bfloat16), inputs)
    assert half.dtype == torch.bfloat16
    scale = projection()(pair_BLLZ, inputs)
    assert (half.float() - scale).abs().max() < 0.03 * scale.abs().max()
