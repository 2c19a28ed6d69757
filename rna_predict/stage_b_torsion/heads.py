"""What is read off the trunk: distances and base pairs from the pair representation, torsions from the single one."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.stage_inputs import ANGLES

DISTANCE_BINS = 64
AMPLITUDE_RANGE = (math.radians(28.0), math.radians(48.0))
"""Pucker amplitudes τm that the head can give, radians: 96 % of the riboses of a twelfth of our training and validation
chains lie within (median 39.3°; 2.5 % below 28.2°, 2.5 % above 47.1°), and the ribose of stage C holds up to 48°."""
SMALLEST_AMPLITUDE, LARGEST_AMPLITUDE = AMPLITUDE_RANGE


class DistogramHead(nn.Module):
    """AF3 Algorithm 1, line 17, section 4.4: logits over 64 distance bins, symmetric."""

    def __init__(self, c_z: int) -> None:
        super().__init__()
        self.linear = Linear(c_z, DISTANCE_BINS, bias=True, init="zeros")

    def forward(self, pair_BLLZ: Float[Tensor, "b l l z"]) -> Float[Tensor, "b l l 64"]:
        """The sum of what a pair says in both directions, as in Protenix: the bias counts twice."""
        logits_BLL64 = self.linear(pair_BLLZ)
        return logits_BLL64 + logits_BLL64.transpose(1, 2)


class PairHead(nn.Module):
    """Log-odds that two residues form a canonical base pair, symmetric; not in AF3.

    It is trained beside the trunk, which thereby learns where stage A's pairs are to be believed. It starts at zero.
    """

    def __init__(self, c_z: int) -> None:
        super().__init__()
        self.layer_norm = layer_norm(c_z)
        self.linear = Linear(c_z, 1, bias=True, init="zeros")

    def forward(self, pair_BLLZ: Float[Tensor, "b l l z"]) -> Float[Tensor, "b l l"]:
        """The sum of what a pair says in both directions."""
        logits_BLL = self.linear(self.layer_norm(pair_BLLZ))[..., 0]
        return logits_BLL + logits_BLL.transpose(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TorsionPrediction:
    """What the torsion head says of each residue; angles as in `stage_inputs.ANGLES`, the pucker's phase last.

    Attributes:
        vector_BL82: raw (sine, cosine), of any length; losses work on it, `angle_BL8` is its direction.
        concentration_BL8: von Mises κ > 0.
        amplitude_BL: pucker amplitude τm in radians, within `AMPLITUDE_RANGE`.
    """

    vector_BL82: Float[Tensor, "b l 8 2"]
    concentration_BL8: Float[Tensor, "b l 8"]
    amplitude_BL: Float[Tensor, "b l"]

    def angle_BL8(self) -> Float[Tensor, "b l 8"]:
        """Angles in (-π, π], radians."""
        return angle_of(self.vector_BL82)


def angle_of(vector: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b"]:
    """Direction of (sine, cosine) in (-π, π]; atan2 alone gives -π for a sine just below zero."""
    angle = torch.atan2(vector[..., 0], vector[..., 1])
    return torch.where(angle <= -math.pi, torch.full_like(angle, math.pi), angle)


class TorsionHead(nn.Module):
    """Torsions of each residue from its single representation alone; not in AF3.

    A residue depends on its own row, so that padding needs no mask. Which torsions exist at the ends of a chain is
    for the caller to know: the head gives all eight angles of every residue.
    """

    def __init__(self, c_s: int) -> None:
        super().__init__()
        self.layer_norm = layer_norm(c_s)
        self.linear_1 = Linear(c_s, c_s, bias=True, init="relu")
        self.linear_2 = Linear(c_s, c_s, bias=True, init="relu")
        self.linear_out = Linear(c_s, 3 * len(ANGLES) + 1, bias=True)

    def forward(self, single_BLS: Float[Tensor, "b l s"]) -> TorsionPrediction:
        """Vectors, concentrations (softplus) and amplitudes, in the dtype of the input."""
        hidden_BLS = functional.relu(self.linear_1(self.layer_norm(single_BLS)))
        hidden_BLS = functional.relu(self.linear_2(hidden_BLS))
        vector, concentration, amplitude = self.linear_out(hidden_BLS).split([2 * len(ANGLES), len(ANGLES), 1], dim=-1)
        span = LARGEST_AMPLITUDE - SMALLEST_AMPLITUDE
        return TorsionPrediction(
            vector_BL82=vector.unflatten(-1, (len(ANGLES), 2)),
            concentration_BL8=functional.softplus(concentration),
            amplitude_BL=SMALLEST_AMPLITUDE + span * torch.sigmoid(amplitude[..., 0]),
        )
