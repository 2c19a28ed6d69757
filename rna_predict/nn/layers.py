"""The two kinds of layer that everything is built of, with the initialisations of the paper."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["lecun", "relu", "zeros", "adaptive_zero"]
"""How a linear layer starts: truncated normal of variance 1 or 2 over fan_in, zeros, zeros with bias -2 (AdaLN)."""

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a normal distribution cut at ±2."""


class Linear(nn.Linear):
    """A linear layer that knows how it is initialised; nothing is drawn when it is made.

    Making the parameters costs nothing on the meta device; `initialise` fills them, or a checkpoint does.
    """

    def __init__(self, c_in: int, c_out: int, *, bias: bool = False, init: Init = "lecun") -> None:
        self.init: Init = init
        super().__init__(c_in, c_out, bias=bias)

    def reset_parameters(self) -> None:
        """Fill with torch's global generator; `initialise.initialise` does it reproducibly for a whole network."""
        self.fill(None)

    @torch.no_grad()
    def fill(self, generator: torch.Generator | None) -> None:
        """Fill weight and bias after `init`, from `generator`."""
        if self.init in ("zeros", "adaptive_zero"):
            self.weight.zero_()
        elif not self.weight.is_meta:
            gain = 2.0 if self.init == "relu" else 1.0
            std = math.sqrt(gain / self.in_features) / TRUNCATED_STD
            nn.init.trunc_normal_(self.weight, std=std, a=-2 * std, b=2 * std, generator=generator)
        if self.bias is not None:
            self.bias.fill_(-2.0 if self.init == "adaptive_zero" else 0.0)


def layer_norm(channels: int, *, scale: bool = True, offset: bool = True) -> nn.LayerNorm:
    """LayerNorm over the last axis, eps 1e-5. AdaLN and the denoiser have no offset, AdaLN's inner one no scale."""
    return nn.LayerNorm(channels, elementwise_affine=scale, bias=offset and scale)


def gated(gate: Tensor, value: Tensor) -> Tensor:
    """sigmoid(gate) · value; overwrites both where no gradient is recorded, which halves the memory."""
    if torch.is_grad_enabled() and (gate.requires_grad or value.requires_grad):
        return torch.sigmoid(gate) * value
    return value.mul_(gate.sigmoid_())
