"""A U-Net over the pairs of one RNA that knows where each RNA of a batch ends (Ronneberger et al. 2015, as in RFold).

Everything is normalised over channels, never over places, and places beyond the end stay zero: an RNA gets the same
numbers alone as beside a longer one. Sizes that are not even are halved upwards, so that no length needs filling up.
"""

from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from rna_predict.nn.layers import layer_norm

Mask = Tensor | None
"""Factor 0 or 1 of each place [b, 1, l, l], or None where all count."""


class Convolution(nn.Conv2d):
    """A convolution over places that knows how it is initialised; zeros around the edge."""

    def __init__(self, c_in: int, c_out: int, size: int = 3, gain: float = 2.0) -> None:
        self.gain = gain
        super().__init__(c_in, c_out, size, padding=size // 2)

    def reset_parameters(self) -> None:
        """Fill with torch's global generator; `initialise.initialise` does it reproducibly for a whole network."""
        self.fill(None)

    @torch.no_grad()
    def fill(self, generator: torch.Generator | None) -> None:
        """Variance `gain` over the inputs (2 is He's, after a SiLU), zeros for 0; no bias."""
        if not self.weight.is_meta:
            fan_in = self.in_channels * self.kernel_size[0] * self.kernel_size[1]
            self.weight.normal_(0.0, (self.gain / fan_in) ** 0.5, generator=generator)
        if self.bias is not None:
            self.bias.zero_()


class ConvolutionBlock(nn.Module):
    """Two convolutions, each after a norm over channels and SiLU, around them a shortcut."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([layer_norm(c_in), layer_norm(c_out)])
        self.convolutions = nn.ModuleList([Convolution(c_in, c_out), Convolution(c_out, c_out, gain=0.0)])
        self.shortcut = Convolution(c_in, c_out, size=1, gain=1.0)

    def forward(self, pair_BCLL: Float[Tensor, "b c l l"], mask_B1LL: Mask) -> Float[Tensor, "b d l l"]:
        """Zero wherever the mask is."""
        x = pair_BCLL
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            x = convolution(masked(functional.silu(over_channels(norm, x)), mask_B1LL))
        return masked(x + self.shortcut(pair_BCLL), mask_B1LL)


class PairUNet(nn.Module):
    """Down by halves, up again with what was there before, widths 1, 2, 4, 6, … times `channels`."""

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        widths = [channels * max(1, 2 * level) for level in range(levels)]
        self.down = nn.ModuleList([ConvolutionBlock(a, b) for a, b in zip([channels, *widths], widths, strict=False)])
        self.narrow = nn.ModuleList([Convolution(high, low, size=1, gain=1.0) for low, high in pairwise(widths)])
        self.up = nn.ModuleList([ConvolutionBlock(width, width) for width in widths[:-1]])

    def forward(self, pair_BCLL: Float[Tensor, "b c l l"], mask_BLL: Bool[Tensor, "b l l"]) -> Float[Tensor, "b c l l"]:
        """Channels of the pairs, each seen beside all others.

        Args:
            pair_BCLL: input, any values where the mask is False.
            mask_BLL: both residues exist.
        """
        masks = [mask_of(mask_BLL, pair_BCLL.dtype)]
        x = masked(torch.where(mask_BLL[:, None], pair_BCLL, 0.0) if masks[0] is not None else pair_BCLL, masks[0])
        seen: list[Tensor] = []
        for level, block in enumerate(self.down):
            if level:
                x, mask = _halved(x, masks[-1])
                masks.append(mask)
            x = block(x, masks[-1])
            seen.append(x)
        for level in range(len(self.up) - 1, -1, -1):
            x = seen[level] + _doubled(self.narrow[level](x), seen[level].shape[-1])
            x = self.up[level](masked(x, masks[level]), masks[level])
        return x


def mask_of(mask_BLL: Bool[Tensor, "b l l"], dtype: torch.dtype) -> Mask:
    """The mask as a factor, or None where nothing is masked: most RNAs run alone."""
    return None if bool(mask_BLL.all()) else mask_BLL[:, None].to(dtype)


def masked(x_BCLL: Tensor, mask_B1LL: Mask) -> Tensor:
    """Zero beyond the end of each RNA."""
    return x_BCLL if mask_B1LL is None else x_BCLL * mask_B1LL


def over_channels(norm: nn.Module, x_BCLL: Tensor) -> Tensor:
    """A norm over the channels of each place."""
    return norm(x_BCLL.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _halved(x_BCLL: Tensor, mask_B1LL: Mask) -> tuple[Tensor, Mask]:
    """Mean of the existing places of each square of four, and which squares have any."""
    mean_BCLL = functional.avg_pool2d(x_BCLL, 2, ceil_mode=True, count_include_pad=False)
    if mask_B1LL is None:
        return mean_BCLL, None
    share_B1LL = functional.avg_pool2d(mask_B1LL, 2, ceil_mode=True, count_include_pad=False)
    return mean_BCLL / torch.where(share_B1LL > 0, share_B1LL, 1.0), (share_B1LL > 0).to(x_BCLL.dtype)


def _doubled(x_BCLL: Tensor, length: int) -> Tensor:
    """Each place four times, cut to `length`."""
    return functional.interpolate(x_BCLL, scale_factor=2, mode="nearest")[:, :, :length, :length]
