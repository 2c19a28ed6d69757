"""The sampler against denoisers whose outcome is known on paper."""

import math

import pytest
import torch

from rna_predict.stage_d_diffusion.sampler import noise_schedule, sample


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_the_schedule_is_that_of_karras():
    levels = noise_schedule(4.0, 0.05, 5, 7.0)
    expected = [(4 ** (1 / 7) + k / 4 * (0.05 ** (1 / 7) - 4 ** (1 / 7))) ** 7 for k in range(5)]
    assert levels == pytest.approx([*expected, 0.0])
    assert levels[0] == pytest.approx(4.0)
    assert levels[-2] == pytest.approx(0.05)
    straight = noise_schedule(4.0, 1.0, 4, 1.0)
    assert straight == pytest.approx([4.0, 3.0, 2.0, 1.0, 0.0])
    assert noise_schedule(4.0, 0.05, 1, 7.0) == [4.0, 0.0]


@pytest.mark.parametrize("churn", [0.0, 0.8])
def test_a_perfect_denoiser_leads_to_the_truth(churn):
    truth = torch.randn(2, 3, 23, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 10
    found = sample(
        lambda noisy, sigma: truth, torch.zeros_like(truth), noise_schedule(8.0, 0.01, 6, 7.0), churn, seeded(1, 2)
    )
    torch.testing.assert_close(found, truth, atol=1e-12, rtol=0)


def test_a_denoiser_that_changes_nothing_leaves_the_noise_of_the_start_and_of_the_churn():
    start = torch.zeros(2, 60, 23, 3, dtype=torch.float64)
    levels = [4.0, 2.0, 0.5, 0.0]
    still = sample(lambda noisy, sigma: noisy, start, levels, 0.0, seeded(1, 2))
    assert still.std().item() == pytest.approx(4.0, rel=0.02)
    churned = sample(lambda noisy, sigma: noisy, start, levels, 0.5, seeded(1, 2))
    # levels above 1 Å are raised by half: 4 → 6 and 2 → 3; variances add
    expected = math.sqrt(16 + (36 - 16) + (9 - 4))
    assert churned.std().item() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("churn", "steps"), [(0.0, 300), (0.1, 300)])
def test_a_gaussian_denoiser_leads_to_its_gaussian(churn, steps):
    """Coordinates distributed as N(0, s²) have the denoiser x s² / (s² + σ²)."""
    s, start = 2.0, 8.0
    seen = []

    def denoise(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
        seen.append((sigma, noisy.std().item()))
        return noisy * s**2 / (s**2 + sigma**2)

    found = sample(
        denoise,
        torch.zeros(2, 60, 23, 3, dtype=torch.float64),
        noise_schedule(start, 0.01, steps, 7.0),
        churn,
        seeded(1, 2),
    )
    # dx/dσ = x σ / (s² + σ²): from σ₀ down to zero x shrinks by s / √(s² + σ₀²); the start lacks the Gaussian's own s²
    if churn == 0:
        assert found.std().item() == pytest.approx(start * s / math.hypot(s, start), rel=0.02)
    else:
        assert found.std().item() == pytest.approx(s, rel=0.04)  # fresh noise brings the rest
    assert len(seen) == steps
    raised = [sigma for sigma, _ in seen]
    assert raised[0] == pytest.approx(start * (1 + churn))
    assert raised[-1] == pytest.approx(0.01)  # below 1 Å nothing is added


def test_a_sample_depends_on_its_own_seed_alone():
    levels = noise_schedule(4.0, 0.05, 4, 7.0)

    def run(*seeds: int) -> torch.Tensor:
        return sample(lambda noisy, sigma: noisy * 0.5, torch.zeros(len(seeds), 5, 23, 3), levels, 0.3, seeded(*seeds))

    assert torch.equal(run(3, 4, 5)[1], run(4)[0])
    assert torch.equal(run(3, 4)[0], run(3, 9)[0])
    assert (run(3, 4)[0] - run(3, 4)[1]).abs().max() > 0.1
    assert run(7).dtype == torch.float32
