"""Batched L-BFGS: every sample of a batch descends on its own, all of them in one evaluation."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

EnergyFunction = Callable[[Tensor], Tensor]
"""Variables [S, D] → energies [S], differentiable."""

MEMORY = 30
"""Pairs of steps and gradient changes that are kept."""

ARMIJO = 1e-4
"""Share of the expected decrease that a step must reach."""


def lbfgs(
    energy: EnergyFunction, start_SD: Float[Tensor, "s d"], steps: int, largest_move: float
) -> tuple[Float[Tensor, "s d"], Float[Tensor, " s"]]:
    """Minimise each sample's energy.

    Args:
        energy: the function; samples must not depend on each other.
        start_SD: first variables.
        steps: iterations; the number of evaluations is a little larger.
        largest_move: bound on the change of any variable in one iteration, in the variables' unit.

    Returns:
        Variables and energies of the lowest point that each sample reached (descent is monotone).

    Source: Nocedal & Wright, Numerical Optimization, algorithms 7.4 and 3.1, run on S problems side by side.
    """
    x = start_SD.detach()
    value, gradient = _evaluate(energy, x)
    moves: list[Tensor] = []
    changes: list[Tensor] = []
    active = torch.ones_like(value, dtype=torch.bool)
    fresh = active
    for _ in range(steps):
        direction = _two_loop(gradient, moves, changes)
        slope = (direction * gradient).sum(-1)
        bound = largest_move / direction.abs().amax(-1).clamp(min=1e-12)
        rate = torch.minimum(torch.ones_like(bound), bound)
        line = (direction, slope, rate)
        step, new_value, new_gradient = _backtrack(energy, x, value, line, active)
        moved = step.abs().amax(-1) > 0
        active = active & (moved | ~fresh)  # what cannot even go straight downhill has arrived
        fresh = ~moved
        if not bool(active.any()):
            break
        keep = moved[:, None].to(x)  # a sample without progress forgets its memory and starts again downhill
        moves = [move * keep for move in (*moves, step)]
        changes = [change * keep for change in (*changes, new_gradient - gradient)]
        if len(moves) > MEMORY:
            moves.pop(0)
            changes.pop(0)
        x, value, gradient = x + step, new_value, new_gradient
    return x, value


def _evaluate(energy: EnergyFunction, x: Tensor) -> tuple[Tensor, Tensor]:
    variable = x.detach().requires_grad_(True)
    value = energy(variable)
    (gradient,) = torch.autograd.grad(value.sum(), variable)
    return value.detach(), gradient


def _two_loop(gradient: Tensor, moves: list[Tensor], changes: list[Tensor]) -> Tensor:
    """-H·gradient of each sample by the two-loop recursion; pairs without positive curvature are passed over."""
    direction = -gradient
    downhill = direction * (0.05 / gradient.abs().amax(-1, keepdim=True).clamp(min=1e-12))
    if not moves:
        return downhill
    rates, weights = [], []
    for move, change in zip(reversed(moves), reversed(changes), strict=True):
        curvature = (move * change).sum(-1)
        rate = torch.where(curvature > 1e-10, 1 / curvature.clamp(min=1e-10), torch.zeros_like(curvature))
        weight = rate * (move * direction).sum(-1)
        direction = direction - weight[:, None] * change
        rates.append(rate)
        weights.append(weight)
    curvature = (moves[-1] * changes[-1]).sum(-1)
    length = changes[-1].square().sum(-1)
    known = curvature > 1e-10
    direction = direction * (curvature / length.clamp(min=1e-20))[:, None]
    for move, change, rate, weight in zip(moves, changes, reversed(rates), reversed(weights), strict=True):
        back = rate * (change * direction).sum(-1)
        direction = direction + (weight - back)[:, None] * move
    descends = known & ((direction * gradient).sum(-1) < 0)
    return torch.where(descends[:, None], direction, downhill)


def _backtrack(
    energy: EnergyFunction, x: Tensor, value: Tensor, line: tuple[Tensor, Tensor, Tensor], active: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Shorten each active sample's step until its energy falls; a sample that finds none stays where it is.

    `line` is direction [S, D], slope [S] along it and first rate [S]. Returns step, energy and gradient after it.
    """
    direction, slope, rate = line
    step = torch.zeros_like(x)
    reached = value
    waiting = active
    gradient = direction
    for _ in range(5):
        trial = torch.where(waiting[:, None], rate[:, None] * direction, step)
        found, gradient = _evaluate(energy, x + trial)
        good = waiting & (found <= value + ARMIJO * rate * slope)
        step = torch.where(good[:, None], trial, step)
        reached = torch.where(good, found, reached)
        waiting = waiting & ~good
        if not bool(waiting.any()):
            return step, reached, gradient
        rate = torch.where(waiting, rate * 0.3, rate)
    _, gradient = _evaluate(energy, x + step)
    return step, reached, gradient
