"""The sampler against denoisers whose outcome is known on paper, and its schedules against Protenix's numbers."""

import math
from itertools import pairwise

import pytest
import torch

from rna_predict.geometry.superpose import rmsd
from rna_predict.stage_d_diffusion.sampler import (
    Af3Settings,
    Schedule,
    SeededDraws,
    Step,
    af3_levels,
    af3_schedule,
    from_structure,
    noise_schedule,
    rotation_of,
    sample,
)

FEW = Af3Settings(steps=10, churn=0.0, step_scale=1.0)


def seeded(*seeds: int) -> SeededDraws:
    return SeededDraws([torch.Generator().manual_seed(seed) for seed in seeds])


def test_the_schedule_is_that_of_karras():
    levels = noise_schedule(4.0, 0.05, 5, 7.0)
    expected = [(4 ** (1 / 7) + k / 4 * (0.05 ** (1 / 7) - 4 ** (1 / 7))) ** 7 for k in range(5)]
    assert levels == pytest.approx([*expected, 0.0])
    assert levels[0] == pytest.approx(4.0)
    assert levels[-2] == pytest.approx(0.05)
    straight = noise_schedule(4.0, 1.0, 4, 1.0)
    assert straight == pytest.approx([4.0, 3.0, 2.0, 1.0, 0.0])
    assert noise_schedule(4.0, 0.05, 1, 7.0) == [4.0, 0.0]


def test_af3s_levels_are_those_of_its_formula_and_of_protenix():
    settings = Af3Settings(steps=200)
    first, last = 160 ** (1 / 7), 4e-4 ** (1 / 7)
    expected = [16 * (first + k / 200 * (last - first)) ** 7 for k in range(200)]
    levels = af3_levels(settings)
    assert levels == pytest.approx([*expected, 0.0])
    # Protenix 2.0.0, InferenceNoiseScheduler()(200) at 0, 1, 50, 100, 150, 199, 200, in float32
    protenix = {
        0: 2560.0,
        1: 2485.53735,
        50: 489.860657,
        100: 55.9747849,
        150: 2.37500834,
        199: 0.00768950582,
        200: 0.0,
    }
    assert {k: levels[k] for k in protenix} == pytest.approx(protenix, rel=3e-6)


def test_analytic_steps_look_at_the_level_before_and_af3s_at_the_level_after():
    ours = from_structure([4.0, 2.0, 0.9, 0.1, 0.0], 0.5)
    assert ours.steps == (Step(4.0, 6.0, 2.0), Step(2.0, 3.0, 0.9), Step(0.9, 0.9, 0.1), Step(0.1, 0.1, 0.0))
    assert (ours.start, ours.noise_scale, ours.step_scale, ours.augment) == (4.0, 1.0, 1.0, False)
    theirs = af3_schedule(Af3Settings(steps=8))
    levels = af3_levels(Af3Settings(steps=8))
    assert [(step.before, step.after) for step in theirs.steps] == list(pairwise(levels))
    assert [step.raised / step.before for step in theirs.steps] == pytest.approx([1.8] * 6 + [1.0] * 2)
    assert levels[6] > 1.0 > levels[7]
    assert (theirs.noise_scale, theirs.step_scale, theirs.augment) == (1.003, 1.5, True)


def test_a_start_from_a_structure_takes_the_levels_of_af3_below_it():
    settings = Af3Settings(steps=40)
    levels = af3_levels(settings)
    below = [level for level in levels if level < 4.0]
    schedule = af3_schedule(settings, start=4.0)
    assert schedule.start == 4.0
    assert [step.after for step in schedule.steps] == below
    assert len(below) == 12
    assert af3_schedule(settings, start=levels[30]).steps[1:] == af3_schedule(settings).steps[31:]


@pytest.mark.parametrize("churn", [0.0, 0.8])
def test_a_perfect_denoiser_leads_to_the_truth(churn):
    truth = torch.randn(2, 3, 23, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 10
    schedule = from_structure(noise_schedule(8.0, 0.01, 6, 7.0), churn)
    found = sample(lambda noisy, sigma: truth, torch.zeros_like(truth), schedule, seeded(1, 2))
    torch.testing.assert_close(found, truth, atol=1e-12, rtol=0)


@pytest.mark.parametrize("settings", [FEW, Af3Settings(steps=60)])
def test_pure_noise_becomes_the_truth_however_it_is_turned(settings):
    """A denoiser that knows the truth up to a rigid motion, as a network does, under AF3's random motions."""
    from rna_predict.geometry.superpose import superpose

    truth = 12 * torch.randn(1, 50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def denoise(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
        both = truth.expand_as(noisy)
        return superpose(both, noisy).apply(both)

    found = sample(denoise, torch.zeros(3, 50, 3, dtype=torch.float64), af3_schedule(settings), seeded(1, 2, 3))
    assert rmsd(found, truth.expand_as(found)).max() < 0.02
    assert (found[0] - found[1]).abs().max() > 1.0


def test_a_denoiser_that_changes_nothing_leaves_the_noise_of_the_start_and_of_the_churn():
    start = torch.zeros(2, 60, 23, 3, dtype=torch.float64)
    levels = [4.0, 2.0, 0.5, 0.0]
    still = sample(lambda noisy, sigma: noisy, start, from_structure(levels, 0.0), seeded(1, 2))
    assert still.std().item() == pytest.approx(4.0, rel=0.02)
    churned = sample(lambda noisy, sigma: noisy, start, from_structure(levels, 0.5), seeded(1, 2))
    # levels above 1 Å are raised by half: 4 → 6 and 2 → 3; variances add
    expected = math.sqrt(16 + (36 - 16) + (9 - 4))
    assert churned.std().item() == pytest.approx(expected, rel=0.02)
    scaled = Schedule(steps=from_structure(levels, 0.5).steps, noise_scale=2.0)
    louder = sample(lambda noisy, sigma: noisy, start, scaled, seeded(1, 2))
    assert louder.std().item() == pytest.approx(math.sqrt(16 + 4 * (36 - 16) + 4 * (9 - 4)), rel=0.02)


def test_the_step_scale_lengthens_each_step():
    start, noise = torch.zeros(1, 4, 3, dtype=torch.float64), seeded(5).noise(0, torch.zeros(1, 4, 3).double())
    schedule = Schedule(steps=(Step(2.0, 2.0, 1.0),), step_scale=1.5)
    found = sample(lambda noisy, sigma: torch.zeros_like(noisy), start, schedule, seeded(5))
    torch.testing.assert_close(found, 2 * noise * (1 - 1.5 * (2 - 1) / 2))


@pytest.mark.parametrize(("churn", "steps"), [(0.0, 300), (0.1, 300)])
def test_a_gaussian_denoiser_leads_to_its_gaussian(churn, steps):
    """Coordinates distributed as N(0, s²) have the denoiser x s² / (s² + σ²)."""
    s, start = 2.0, 8.0
    seen = []

    def denoise(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
        seen.append((sigma, noisy.std().item()))
        return noisy * s**2 / (s**2 + sigma**2)

    schedule = from_structure(noise_schedule(start, 0.01, steps, 7.0), churn)
    found = sample(denoise, torch.zeros(2, 60, 23, 3, dtype=torch.float64), schedule, seeded(1, 2))
    # dx/dσ = x σ / (s² + σ²): from σ₀ down to zero x shrinks by s / √(s² + σ₀²); the start lacks the Gaussian's own s²
    if churn == 0:
        assert found.std().item() == pytest.approx(start * s / math.hypot(s, start), rel=0.02)
    else:
        assert found.std().item() == pytest.approx(s, rel=0.04)  # fresh noise brings the rest
    assert len(seen) == steps
    raised = [sigma for sigma, _ in seen]
    assert raised[0] == pytest.approx(start * (1 + churn))
    assert raised[-1] == pytest.approx(0.01)  # below 1 Å nothing is added


@pytest.mark.parametrize("shape", [(5, 23, 3), (40, 3)])
@pytest.mark.parametrize("schedule", [from_structure(noise_schedule(4.0, 0.05, 4, 7.0), 0.3), af3_schedule(FEW)])
def test_a_sample_depends_on_its_own_seed_alone(schedule, shape):
    def run(*seeds: int) -> torch.Tensor:
        return sample(lambda noisy, sigma: noisy * 0.5, torch.zeros(len(seeds), *shape), schedule, seeded(*seeds))

    torch.testing.assert_close(run(3, 4, 5)[1], run(4)[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(run(3, 4)[0], run(3, 9)[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(run(3, 4, 5)[[2, 0, 1]], run(5, 3, 4), rtol=0, atol=1e-6)
    assert (run(3, 4)[0] - run(3, 4)[1]).abs().max() > 0.1
    assert run(7).dtype == torch.float32


def test_random_motions_are_rotations_about_the_centre_without_a_preferred_axis():
    draws = SeededDraws([torch.Generator().manual_seed(seed) for seed in range(2000)])
    rotation, translation = draws.motion(1, torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).double().expand(2000, 3, 3), atol=1e-9, rtol=0)
    assert torch.linalg.det(rotation).min() > 0
    assert rotation.mean(0).abs().max() < 0.05  # a uniform rotation sends every axis everywhere
    assert (rotation**2).mean(0).sub(1 / 3).abs().max() < 0.03
    assert translation.std().item() == pytest.approx(1.0, rel=0.05)
    quarter = rotation_of(torch.tensor([[1.0, 0.0, 0.0, 1.0]]))[0]  # 90° about z takes x to y
    torch.testing.assert_close(quarter @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]))


def test_noise_and_motions_are_asked_for_by_step_and_only_where_they_are_used():
    class Recorded:
        def __init__(self):
            self.asked = []

        def noise(self, step, like):
            self.asked.append(("noise", step))
            return torch.ones_like(like)

        def motion(self, step, like):
            self.asked.append(("motion", step))
            return torch.eye(3).expand(len(like), 3, 3), torch.full((len(like), 3), 7.0)

    steps = (Step(4.0, 6.0, 2.0), Step(2.0, 2.0, 0.0))
    recorded = Recorded()
    points = torch.arange(6.0).reshape(1, 2, 3)
    found = sample(lambda noisy, sigma: noisy, points, Schedule(steps=steps, augment=True), recorded)
    assert recorded.asked == [("noise", 0), ("motion", 1), ("noise", 1), ("motion", 2)]
    centred = points - points.mean(dim=1, keepdim=True)
    torch.testing.assert_close(found, centred + 7.0)


def test_without_augmentation_the_points_stay_as_they_lie():
    """Only noise and denoising move them: a denoiser that knows one orientation is asked in that one alone."""

    class NoMotion(SeededDraws):
        def motion(self, step, like_SX3):
            raise AssertionError("asked for a motion")

    schedule = af3_schedule(Af3Settings(steps=5, churn=0.0, step_scale=1.0, augment=False))
    target = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(1)) + 30
    draws = NoMotion([torch.Generator().manual_seed(0)])
    found = sample(lambda noisy, sigma: target, torch.zeros(1, 6, 3), schedule, draws)
    assert torch.allclose(found, target)
    with pytest.raises(AssertionError, match="asked for a motion"):
        sample(lambda noisy, sigma: target, torch.zeros(1, 6, 3), af3_schedule(Af3Settings(steps=5)), draws)
