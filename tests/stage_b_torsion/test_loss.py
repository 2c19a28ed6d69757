"""Stage B's losses by hand values, at the truth, at masks and at the edges."""

import math

import pytest
import torch

from rna_predict.errors import InputError
from rna_predict.stage_b_torsion.heads import TorsionPrediction
from rna_predict.stage_b_torsion.loss import (
    AMPLITUDE_UNIT,
    NativeTorsions,
    base_pair_loss,
    distogram_loss,
    torsion_losses,
)

DEGREE = math.pi / 180


def prediction(vector, concentration=None, amplitude=None):
    shape = vector.shape[:-1]
    return TorsionPrediction(
        vector_BL82=vector,
        concentration_BL8=torch.ones(shape) if concentration is None else concentration,
        amplitude_BL=torch.full(shape[:-1], 0.66) if amplitude is None else amplitude,
    )


def pointing(angle, length=1.0):
    return length * torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1)


def native(angle, mask=None, amplitude=None):
    return NativeTorsions(
        angle_BL8=angle,
        mask_BL8=torch.ones_like(angle, dtype=torch.bool) if mask is None else mask,
        amplitude_BL=torch.full(angle.shape[:2], 0.66) if amplitude is None else amplitude,
    )


def angles(seed, batch=2, length=5):
    return (torch.rand(batch, length, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * math.pi


def test_a_distance_belongs_to_the_bin_whose_upper_edge_is_the_next_above_it():
    point = torch.tensor([[[0.0, 0, 0], [2.4, 0, 0], [30.0, 0, 0]]])
    logits = torch.zeros(1, 3, 3, 64)
    everywhere = torch.ones(1, 3, dtype=torch.bool)
    assert distogram_loss(logits, point, everywhere).item() == pytest.approx(math.log(64), rel=1e-6)
    for i, j, bin_ in [(0, 0, 0), (1, 1, 0), (2, 2, 0), (0, 1, 1), (1, 0, 1), (0, 2, 63), (2, 0, 63), (1, 2, 63)]:
        logits[0, i, j, bin_] = 50.0
    on_edge = distogram_loss(logits[:, :2, :2], torch.tensor([[[0.0, 0, 0], [2.625, 0, 0]]]), everywhere[:, :2])
    assert on_edge.item() < 1e-5, "2.625 Å is the upper edge of bin 1"
    # The one pair that is left, (2, 1), costs log 64; the eight others nothing.
    assert distogram_loss(logits, point, everywhere).item() == pytest.approx(math.log(64) / 9, rel=1e-5)


def test_the_torsion_loss_of_a_known_error_is_one_minus_its_cosine():
    truth = angles(0)
    losses = torsion_losses(prediction(pointing(truth + 40 * DEGREE, 3.0)), native(truth))
    assert losses.direction.item() == pytest.approx(1 - math.cos(40 * DEGREE), abs=1e-6)
    assert losses.length.item() == pytest.approx(2.0, abs=1e-5)
    far = torsion_losses(prediction(pointing(truth + math.pi)), native(truth + 2 * math.pi))
    assert far.direction.item() == pytest.approx(2.0, abs=1e-6)


def test_the_concentration_s_likelihood_is_scipy_s_von_mises():
    from scipy.stats import vonmises

    truth = torch.full((1, 1, 8), 0.3)
    kappa = torch.tensor([[[0.01, 0.5, 1.0, 3.0, 10.0, 50.0, 200.0, 900.0]]])
    losses = torsion_losses(prediction(pointing(truth + 0.2), kappa), native(truth))
    expected = -vonmises.logpdf(0.2, kappa.double().numpy()).mean()
    assert losses.concentration.item() == pytest.approx(expected, rel=1e-5)


def test_the_likelihood_trains_the_concentration_alone_and_is_best_at_the_true_spread():
    errors = torch.tensor(0.0).new_tensor([-0.4, -0.2, 0.0, 0.1, 0.2, 0.3, -0.1, 0.25]).view(1, 1, 8)
    truth = torch.zeros(1, 1, 8)
    vector = pointing(errors).requires_grad_()
    # The best κ is the one whose mean resultant length I1/I0 is that of the errors.
    low, high = torch.tensor(0.0, dtype=torch.float64), torch.tensor(500.0, dtype=torch.float64)
    for _ in range(60):
        middle = (low + high) / 2
        short = torch.special.i1e(middle) / torch.special.i0e(middle) < torch.cos(errors.double()).mean()
        low, high = (middle, high) if short else (low, middle)
    slopes = []
    for factor in (0.8, 1.0, 1.25):
        kappa = (factor * low).float().requires_grad_()
        torsion_losses(prediction(vector, kappa.expand(1, 1, 8)), native(truth)).concentration.backward()
        slopes.append(kappa.grad.item())
    assert vector.grad is None
    assert slopes[0] < -1e-3
    assert slopes[1] == pytest.approx(0, abs=1e-5)
    assert slopes[2] > 1e-3


def test_the_amplitude_is_judged_where_the_ribose_is_whole():
    truth = angles(1, 1, 3)
    mask = torch.ones(1, 3, 8, dtype=torch.bool)
    mask[0, 2, 7] = False
    guess = torch.tensor([[0.66, 0.66, 99.0]]) + AMPLITUDE_UNIT * torch.tensor([[1.0, 0.0, 0.0]])
    amplitude = torch.tensor([[0.66, 0.66, math.nan]])
    losses = torsion_losses(prediction(pointing(truth), amplitude=guess), native(truth, mask, amplitude))
    assert losses.amplitude.item() == pytest.approx(0.5, rel=1e-5)


def test_pairs_and_places_without_a_pair_weigh_the_same():
    paired = torch.zeros(1, 6, 6, dtype=torch.bool)
    paired[0, 0, 5] = paired[0, 5, 0] = True
    logits = torch.where(paired, 2.0, -1.0)
    everywhere = torch.ones_like(paired)
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert base_pair_loss(logits, paired, everywhere).item() == pytest.approx(expected, rel=1e-5)
    none = base_pair_loss(torch.full_like(logits, -1.0), torch.zeros_like(paired), everywhere)
    assert none.item() == pytest.approx(math.log1p(math.exp(-1)), rel=1e-5)


def test_at_the_truth_the_gradients_vanish():
    truth = angles(2)
    vector = pointing(truth).requires_grad_()
    amplitude = torch.full((2, 5), 0.66, requires_grad=True)
    losses = torsion_losses(prediction(vector, amplitude=amplitude), native(truth))
    (losses.direction + losses.amplitude).backward()
    assert losses.direction.item() == pytest.approx(0, abs=1e-6)
    assert losses.amplitude.item() == 0
    assert vector.grad is not None
    assert vector.grad.abs().max() < 1e-6
    assert not torch.any(amplitude.grad)
    point = torch.rand(1, 6, 3, generator=torch.Generator().manual_seed(0)) * 30
    edges = torch.tensor([2.0 + 0.3125 * k for k in range(1, 64)])
    logits = 60.0 * torch.nn.functional.one_hot(torch.bucketize(torch.cdist(point, point), edges), 64).float()
    logits.requires_grad_()
    distogram_loss(logits, point, torch.ones(1, 6, dtype=torch.bool)).backward()
    assert logits.grad.abs().max() < 1e-6


def test_a_vector_of_any_length_even_zero_has_a_finite_gradient():
    truth = angles(3, 1, 2)
    for length in (0.0, 1e-30, 1e-4, 1e-3, 1.0, 1e6):
        vector = pointing(truth + 1, length).requires_grad_()
        losses = torsion_losses(prediction(vector), native(truth))
        (losses.direction + losses.length + losses.concentration).backward()
        assert vector.grad.isfinite().all()
        assert vector.grad.abs().max() > 0 or length == 1e6
        assert vector.grad.abs().max() <= 100


@pytest.mark.parametrize("rubbish", [1e4, math.nan])
def test_masked_values_and_padding_change_neither_the_loss_nor_get_a_gradient(rubbish):
    truth, mask = angles(4), torch.rand(2, 5, 8, generator=torch.Generator().manual_seed(1)) < 0.7
    noise = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(2))
    vector = torch.where(mask[..., None], pointing(truth + noise, 2.0), rubbish).requires_grad_()
    kappa = torch.where(mask, noise.exp(), rubbish).requires_grad_()
    losses = torsion_losses(
        prediction(vector, kappa), native(torch.where(mask, truth, rubbish), mask, torch.full((2, 5), 0.6))
    )
    clean = torsion_losses(
        prediction(pointing(truth + noise, 2.0), noise.exp()), native(truth, mask, torch.full((2, 5), 0.6))
    )
    assert losses.direction.item() == pytest.approx(clean.direction.item(), rel=1e-5)
    assert losses.concentration.item() == pytest.approx(clean.concentration.item(), rel=1e-5)
    (losses.direction + losses.length + losses.concentration).backward()
    for grad in (vector.grad, kappa.grad):
        assert grad.isfinite().all()
        assert not grad[~mask].any()
        assert grad[mask].any()
    point = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(3)) * 8
    seen = mask[..., 0]
    both = (seen[:, :, None] & seen[:, None])[..., None]
    noise = torch.randn(2, 5, 5, 64, generator=torch.Generator().manual_seed(4))
    logits = torch.where(both, noise, rubbish).requires_grad_()
    loss = distogram_loss(logits, torch.where(seen[..., None], point, rubbish), seen)
    assert loss.item() == pytest.approx(distogram_loss(noise, point, seen).item(), rel=1e-6)
    loss.backward()
    assert not logits.grad[~both[..., 0]].any()
    assert logits.grad[both[..., 0]].any(dim=-1).all()


def test_a_batch_is_the_mean_of_its_rnas_alone():
    mask = torch.rand(2, 5, 8, generator=torch.Generator().manual_seed(5)) < 0.5
    guess, truth = pointing(angles(6), 1.5), angles(7)
    both = torsion_losses(prediction(guess), native(truth, mask))
    alone = [torsion_losses(prediction(guess[b, None]), native(truth[b, None], mask[b, None])) for b in range(2)]
    for name in ("direction", "length", "concentration", "amplitude"):
        mean = sum(getattr(one, name) for one in alone) / 2
        assert getattr(both, name).item() == pytest.approx(mean.item(), rel=1e-5)


def test_an_rna_with_nothing_to_learn_from_is_named():
    truth = angles(8)
    mask = torch.ones(2, 5, 8, dtype=torch.bool)
    mask[1] = False
    with pytest.raises(InputError, match=r"RNA \[2\] of the batch has no defined torsion"):
        torsion_losses(prediction(pointing(truth)), native(truth, mask))
    with pytest.raises(InputError, match=r"distogram loss: RNA \[1, 2\]"):
        distogram_loss(torch.zeros(2, 5, 5, 64), torch.zeros(2, 5, 3), torch.zeros(2, 5, dtype=torch.bool))
    nowhere = torch.zeros(1, 5, 5, dtype=torch.bool)
    with pytest.raises(InputError, match="base pair loss"):
        base_pair_loss(torch.zeros(1, 5, 5), nowhere, nowhere)


def test_one_residue_is_enough():
    logits = torch.randn(1, 1, 1, 64)
    assert distogram_loss(logits, torch.zeros(1, 1, 3), torch.ones(1, 1, dtype=torch.bool)).isfinite()
    truth = angles(9, 1, 1)
    assert torsion_losses(prediction(pointing(truth + 1)), native(truth)).direction.isfinite()
