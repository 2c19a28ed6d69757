"""The transition: two gated layers on each position."""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.rows import Update, by_rows, join, row_slices


class Transition(nn.Module):
    """AF3 Algorithm 11: LayerNorm, then SwiGLU with `factor` times as many hidden channels.

    Args:
        channels: of input and output.
        factor: hidden channels divided by `channels`.
    """

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.layernorm1 = layer_norm(channels)
        self.linear_no_bias_a = Linear(channels, factor * channels, init="relu")
        self.linear_no_bias_b = Linear(channels, factor * channels, init="relu")
        self.linear_no_bias = Linear(factor * channels, channels, init="zeros")

    def forward(self, x: Float[Tensor, "b n *m c"], chunk_rows: int | None = None) -> Float[Tensor, "b n *m c"]:
        """The update (not yet added), `chunk_rows` rows of axis 1 at a time; None for all in training, else few."""
        return join(self.updates(x, chunk_rows))

    def updates(self, x: Tensor, chunk_rows: int | None = None) -> Iterator[Update]:
        """The update row by row, as `rows.add` takes it."""
        yield from by_rows(lambda rows: self._hidden(x[:, rows]), row_slices(x, chunk_rows))

    def _hidden(self, x: Tensor) -> Tensor:
        x = self.layernorm1(x)
        gate, value = self.linear_no_bias_a(x), self.linear_no_bias_b(x)
        # Autograd keeps silu's input, so that it may be overwritten only where no gradient is recorded.
        gate = silu(gate, inplace=not gate.requires_grad)
        return self.linear_no_bias(gate * value if gate.requires_grad else value.mul_(gate))
