"""AdamW with warm-up and decay, and the running mean of what is trained."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from rna_predict.errors import WeightsError
from rna_predict.training.config import OptimiserSettings


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """What is trained, by the module's own names."""
    return {name: each for name, each in module.named_parameters() if each.requires_grad}


def build_optimiser(module: nn.Module, settings: OptimiserSettings, steps: int) -> tuple[AdamW, LambdaLR]:
    """AdamW over what is trained, vectors without weight decay, and its schedule over `steps` steps."""
    parameters = trained_parameters(module).values()
    matrices = [each for each in parameters if each.ndim > 1]
    vectors = [each for each in parameters if each.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": group, "weight_decay": decay}
        for group, decay in ((matrices, settings.weight_decay), (vectors, 0.0))
        if group
    ]
    optimiser = AdamW(groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2))
    return optimiser, LambdaLR(optimiser, partial(learning_share, settings, steps))


def learning_share(settings: OptimiserSettings, steps: int, step: int) -> float:
    """Share of the highest learning rate that step `step`, counted from 0, is made with."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    if settings.decay == "constant":
        return 1.0
    done = min(1.0, (step - settings.warmup) / max(1, steps - settings.warmup))
    return settings.final_share + (1 - settings.final_share) * (1 + math.cos(math.pi * done)) / 2


class RunningMean:
    """Exponential mean of what is trained (EMA).

    At step n the decay is at most (1 + n) / (10 + n), so that the starting values are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        """Begin with the values as they are; with a decay of 0 the mean is always the weights themselves."""
        self.decay, self.steps = decay, 0
        self._parameters: Callable[[], dict[str, nn.Parameter]] = partial(trained_parameters, module)
        self.mean = {name: each.detach().clone() for name, each in self._parameters().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, each in self._parameters().items():
            self.mean[name] = self.mean[name].to(each.device).lerp_(each, 1 - decay)  # made before the device is known

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The mean in the place of the weights, which come back afterwards."""
        parameters = self._parameters()
        kept = {name: each.detach().clone() for name, each in parameters.items()}
        try:
            _copy(parameters, self.mean)
            yield
        finally:
            _copy(parameters, kept)

    def state_dict(self) -> dict[str, Any]:
        """Values and number of steps."""
        return {"steps": self.steps, "mean": dict(self.mean)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another mean of the same parameters stood.

        Raises:
            WeightsError: it is of other parameters; nothing is changed then.
        """
        mean = state["mean"]
        shapes = {name: each.shape for name, each in self.mean.items()}
        if {name: each.shape for name, each in mean.items()} != shapes:
            raise WeightsError("the running mean in the state is of other parameters. Begin a new run.")
        self.steps = int(state["steps"])
        for name, each in self.mean.items():
            each.copy_(mean[name])


@torch.no_grad()
def _copy(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(values[name])
