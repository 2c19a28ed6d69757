"""The sampler over coordinates. It knows nothing of what denoises: analytic now, learned later."""

from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

CHURN_ABOVE = 1.0
"""Å (γ_min of AF3 Algorithm 18): below it no fresh noise is added."""


@runtime_checkable
class Denoiser(Protocol):
    """Anything that guesses clean coordinates."""

    def __call__(self, noisy_SLA3: Float[Tensor, "s l a 3"], sigma: float) -> Float[Tensor, "s l a 3"]:
        """Clean coordinates [S, L, MAX_ATOMS, 3] in Å from noisy ones with standard deviation `sigma` Å."""
        ...


def noise_schedule(start: float, end: float, steps: int, rho: float) -> list[float]:
    """Noise levels from `start` down to `end` in `steps` levels, then zero (Karras et al. 2022, eq. 5), Å."""
    if steps == 1:
        return [start, 0.0]
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    levels = (start ** (1 / rho) + ramp * (end ** (1 / rho) - start ** (1 / rho))) ** rho
    return [*levels.tolist(), 0.0]


def sample(
    denoise: Denoiser,
    start_SLA3: Float[Tensor, "s l a 3"],
    levels: list[float],
    churn: float,
    generators: list[torch.Generator],
) -> Float[Tensor, "s l a 3"]:
    """AF3 Algorithm 18 without its random rotations, step scale 1 and noise scale 1, [S, L, MAX_ATOMS, 3].

    Args:
        denoise: the denoiser.
        start_SLA3: coordinates that the first level's noise is added to.
        levels: `noise_schedule`.
        churn: γ0.
        generators: one for each sample, so that a sample depends on its own seed and not on its neighbours.
    """
    x = start_SLA3 + levels[0] * _noise(start_SLA3, generators)
    for before, after in pairwise(levels):
        raised = before * (1 + (churn if before > CHURN_ABOVE else 0.0))
        if raised > before:
            x = x + (raised**2 - before**2) ** 0.5 * _noise(x, generators)
        clean = denoise(x, raised)
        x = x + (after - raised) * (x - clean) / raised
    return x


def _noise(like_SLA3: Tensor, generators: list[torch.Generator]) -> Tensor:
    draws = [torch.randn(like_SLA3.shape[1:], generator=g, dtype=like_SLA3.dtype) for g in generators]
    return torch.stack(draws).to(like_SLA3.device)
