"""The sampler over coordinates: AF3 Algorithm 18. It knows nothing of what denoises, and has no rule of its own.

A schedule says of each step where it starts, to which level fresh noise raises it, and where it ends; two builders make
one: `from_structure` for the analytic denoiser, `af3_schedule` for the learned one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

CHURN_ABOVE = 1.0
"""Å (γ_min of AF3 Algorithm 18): below it no fresh noise is added."""

SIGMA_DATA = 16.0
"""Å, the spread of atoms in the training structures (AF3, section 3.7.1); AF3's levels are multiples of it."""


@runtime_checkable
class Denoiser(Protocol):
    """Anything that guesses clean coordinates."""

    def __call__(self, noisy_SX3: Float[Tensor, "s *x 3"], sigma: float, /) -> Float[Tensor, "s *x 3"]:
        """Clean coordinates in Å, of the same shape as the noisy ones with standard deviation `sigma` Å."""
        ...


@runtime_checkable
@runtime_checkable
class Draws(Protocol):
    """Where the sampler's random numbers come from; a test may give recorded ones."""

    def noise(self, step: int, like_SX3: Tensor) -> Tensor:
        """Standard normal numbers of the shape, dtype and device of `like_SX3`.

        Step 0 is the noise of the start; the n-th step of the schedule, from 1, asks only where it raises the noise.
        """
        ...

    def motion(self, step: int, like_SX3: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations [S, 3, 3] and translations [S, 3] in Å of step n, from 1; asked before that step's noise."""
        ...


@dataclass(frozen=True, slots=True)
class SeededDraws:
    """Draws of one generator for each sample, so that a sample depends on its own seed and not on its neighbours.

    The generators stay on the CPU, so that a seed means the same on every device.

    Attributes:
        generators: S of them.
    """

    generators: Sequence[torch.Generator]

    def noise(self, step: int, like_SX3: Tensor) -> Tensor:
        """See `Draws`."""
        draws = [torch.randn(like_SX3.shape[1:], generator=g, dtype=like_SX3.dtype) for g in self.generators]
        return torch.stack(draws).to(like_SX3.device)

    def motion(self, step: int, like_SX3: Tensor) -> tuple[Tensor, Tensor]:
        """See `Draws`: rotations are uniform, translations standard normal (AF3 Algorithm 19)."""
        draws = [torch.randn(7, generator=g, dtype=like_SX3.dtype) for g in self.generators]
        both_S7 = torch.stack(draws).to(like_SX3.device)
        return rotation_of(both_S7[:, :4]), both_S7[:, 4:]


def rotation_of(quaternion_S4: Float[Tensor, "*s 4"]) -> Float[Tensor, "*s 3 3"]:
    """Rotation matrices of quaternions of any length but zero; four normal numbers give a uniform rotation."""
    w, x, y, z = torch.nn.functional.normalize(quaternion_S4, dim=-1).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=-1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=-1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=-1),
    ]
    return torch.stack(rows, dim=-2)


@dataclass(frozen=True, slots=True)
class Step:
    """One denoising step, noise levels in Å: from `before`, raised by fresh noise to `raised`, down to `after`."""

    before: float
    raised: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What the sampler does.

    Attributes:
        steps: one for each denoising; the last ends at zero.
        noise_scale: λ of AF3 Algorithm 18, on fresh noise but not on the noise of the start.
        step_scale: η of AF3 Algorithm 18.
        augment: whether every step begins with AF3 Algorithm 19: centre all points, turn and shift them at random.
    """

    steps: tuple[Step, ...]
    noise_scale: float = 1.0
    step_scale: float = 1.0
    augment: bool = False

    @property
    def start(self) -> float:
        """Å of noise that the start gets."""
        return self.steps[0].before


@dataclass(frozen=True, slots=True, kw_only=True)
class Af3Settings:
    """Numbers of AF3's schedule and sampler; the defaults are those of AF3, section 3.7.1, and Protenix.

    Attributes:
        steps: levels above zero.
        s_max: highest level, in units of `SIGMA_DATA`.
        s_min: the level that the last one would have if it were not zero, in the same units.
        rho: exponent.
        churn: γ0, share of fresh noise.
        churn_above: γ_min, Å: a step that ends above it gets fresh noise.
        noise_scale: λ.
        step_scale: η.
        augment: whether every step turns and shifts the samples (Algorithm 19).
    """

    steps: int = 200
    s_max: float = 160.0
    s_min: float = 4e-4
    rho: float = 7.0
    churn: float = 0.8
    churn_above: float = CHURN_ABOVE
    noise_scale: float = 1.003
    step_scale: float = 1.5
    augment: bool = True


def noise_schedule(start: float, end: float, steps: int, rho: float) -> list[float]:
    """Noise levels from `start` down to `end` in `steps` levels, then zero (Karras et al. 2022, eq. 5), Å."""
    if steps == 1:
        return [start, 0.0]
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    levels = (start ** (1 / rho) + ramp * (end ** (1 / rho) - start ** (1 / rho))) ** rho
    return [*levels.tolist(), 0.0]


def from_structure(levels: Sequence[float], churn: float) -> Schedule:
    """Steps along `levels` with fresh noise wherever a step begins above `CHURN_ABOVE` Å; no motions, both scales 1."""
    return Schedule(
        steps=tuple(
            Step(before, before * (1 + (churn if before > CHURN_ABOVE else 0.0)), after)
            for before, after in pairwise(levels)
        )
    )


def af3_levels(settings: Af3Settings) -> list[float]:
    """The levels of AF3, section 3.7.1 eq. 7, Å: `steps` of them, then zero in place of the last.

    Unlike `noise_schedule` the ramp would reach `s_min` one level later, where the zero stands.
    """
    ramp = torch.arange(settings.steps, dtype=torch.float64) / settings.steps
    first, last = settings.s_max ** (1 / settings.rho), settings.s_min ** (1 / settings.rho)
    return [*(SIGMA_DATA * (first + ramp * (last - first)) ** settings.rho).tolist(), 0.0]


def af3_schedule(settings: Af3Settings, start: float | None = None) -> Schedule:
    """AF3 Algorithm 18 on all levels, or from `start` Å through those below it.

    Fresh noise is added wherever a step ends above `churn_above` Å (the algorithm looks at the level to come).
    """
    levels = af3_levels(settings)
    if start is not None:
        levels = [start, *(level for level in levels if level < start)]
    steps = tuple(
        Step(before, before * (1 + (settings.churn if after > settings.churn_above else 0.0)), after)
        for before, after in pairwise(levels)
    )
    scales = {"noise_scale": settings.noise_scale, "step_scale": settings.step_scale}
    return Schedule(steps=steps, **scales, augment=settings.augment)


def sample(
    denoise: Denoiser, start_SX3: Float[Tensor, "s *x 3"], schedule: Schedule, draws: Draws
) -> Float[Tensor, "s *x 3"]:
    """AF3 Algorithm 18: noise on the start, then one Euler step from the raised level for each of the schedule's.

    Deviation from the paper's text: the step starts from the noisy coordinates that were denoised, not from those
    before the fresh noise (line 9), as in Protenix and in EDM.

    Args:
        denoise: the denoiser.
        start_SX3: coordinates of S samples that the first level's noise is added to, zeros for none; with `augment`
            every point counts in the centre, so there must be no places without an atom.
        schedule: levels and scales.
        draws: noise and motions.
    """
    x = start_SX3 + schedule.start * draws.noise(0, start_SX3)
    for number, step in enumerate(schedule.steps, start=1):
        if schedule.augment:
            x = _moved(x, *draws.motion(number, x))
        if step.raised > step.before:
            fresh = schedule.noise_scale * (step.raised**2 - step.before**2) ** 0.5
            x = x + fresh * draws.noise(number, x)
        clean = denoise(x, step.raised)
        x = x + schedule.step_scale * (step.after - step.raised) * (x - clean) / step.raised
    return x


def _moved(x_SX3: Tensor, rotation_S33: Tensor, translation_S3: Tensor) -> Tensor:
    """AF3 Algorithm 19: centred on the mean of all points, turned, then shifted."""
    points = x_SX3.flatten(1, -2)
    centred = points - points.mean(dim=1, keepdim=True)
    return (centred @ rotation_S33.mT + translation_S3[:, None]).reshape(x_SX3.shape)
