"""What is read off the trunk: symmetric distances; angles in (-π, π], positive concentrations, sensible puckers."""

import math
import os

import pytest
import torch

from rna_predict.stage_b_torsion.heads import AMPLITUDE_RANGE, DistogramHead, TorsionHead, angle_of

C_S, C_Z = 16, 8


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def randomised(module, generator, scale=1.0):
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(scale * torch.randn(weight.shape, generator=generator))
    return module


def test_the_distogram_is_symmetric_and_starts_flat(generator):
    head = DistogramHead(C_Z)
    pair_BLLZ = torch.randn(2, 5, 5, C_Z, generator=generator)
    assert not head(pair_BLLZ).any()
    assert {name: tuple(weight.shape) for name, weight in head.state_dict().items()} == {
        "linear.weight": (64, C_Z),
        "linear.bias": (64,),
    }
    randomised(head, generator)
    logits_BLL64 = head(pair_BLLZ)
    assert torch.equal(logits_BLL64, logits_BLL64.transpose(1, 2))
    by_hand = (pair_BLLZ[0, 1, 3] + pair_BLLZ[0, 3, 1]) @ head.linear.weight.T + 2 * head.linear.bias
    torch.testing.assert_close(logits_BLL64[0, 1, 3], by_hand)


def test_the_distogram_is_protenix_s(generator, monkeypatch):
    monkeypatch.setitem(os.environ, "LAYERNORM_TYPE", "torch")
    head = pytest.importorskip("protenix.model.modules.head")
    theirs = randomised(head.DistogramHead(c_z=C_Z), generator)
    ours = DistogramHead(C_Z)
    ours.load_state_dict(theirs.state_dict())
    pair_BLLZ = torch.randn(2, 5, 5, C_Z, generator=generator)
    assert (ours(pair_BLLZ) - theirs(pair_BLLZ)).abs().max() < 1e-5


def test_angles_point_where_the_vector_points():
    degrees = torch.arange(-179.0, 180.0)
    angle = torch.deg2rad(degrees)
    for length in (1e-3, 1.0, 1e3):
        vector = length * torch.stack([angle.sin(), angle.cos()], dim=-1)
        torch.testing.assert_close(torch.rad2deg(angle_of(vector)), degrees, atol=1e-3, rtol=0)


def test_a_half_turn_is_plus_pi_from_both_sides():
    below = torch.tensor([[-0.0, -1.0], [-1e-12, -1.0], [0.0, -1.0]])
    assert (torch.atan2(below[:, 0], below[:, 1]) < 0).sum() == 2, "what atan2 alone gives"
    assert torch.equal(angle_of(below), torch.full((3,), math.pi))


def test_predictions_stay_in_their_ranges_for_extreme_inputs(generator):
    head = randomised(TorsionHead(C_S), generator, scale=3.0)
    found = head(100 * torch.randn(4, 50, C_S, generator=generator))
    angle_BL8 = found.angle_BL8()
    assert angle_BL8.shape == (4, 50, 8)
    assert angle_BL8.min() > -math.pi
    assert angle_BL8.max() <= torch.tensor(math.pi)
    assert angle_BL8.std() > 1, "angles all around the circle"
    assert (found.concentration_BL8 >= 0).all()
    low, high = AMPLITUDE_RANGE
    assert found.amplitude_BL.min() >= low - 1e-6
    assert found.amplitude_BL.max() <= high + 1e-6
    assert found.amplitude_BL.max() - found.amplitude_BL.min() > 0.9 * (high - low)


def test_a_batch_is_its_residues_one_by_one(generator):
    head = randomised(TorsionHead(C_S), generator)
    single_BLS = torch.randn(3, 6, C_S, generator=generator)
    batch = head(single_BLS)
    lone = head(single_BLS[1:2, 2:3])
    torch.testing.assert_close(lone.angle_BL8()[0, 0], batch.angle_BL8()[1, 2], atol=1e-5, rtol=0)
    torch.testing.assert_close(lone.concentration_BL8[0, 0], batch.concentration_BL8[1, 2])
    torch.testing.assert_close(lone.amplitude_BL[0, 0], batch.amplitude_BL[1, 2])


def test_each_output_has_its_own_weights(generator):
    head = randomised(TorsionHead(C_S), generator)
    single_BLS = torch.randn(1, 4, C_S, generator=generator)
    before = head(single_BLS)
    with torch.no_grad():
        head.linear_out.bias[16] += 1.0  # the first concentration
    after = head(single_BLS)
    assert torch.equal(after.vector_BL82, before.vector_BL82)
    assert torch.equal(after.amplitude_BL, before.amplitude_BL)
    changed = (after.concentration_BL8 != before.concentration_BL8).any(dim=1)[0]
    assert changed.tolist() == [True] + 7 * [False]
