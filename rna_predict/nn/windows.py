"""Windows of atoms: 32 queries attend to the 128 keys around them (AF3 Algorithm 7, the mask β)."""

from torch import Tensor
from torch.nn.functional import pad

from rna_predict.nn.attention import GatedAttention, attend
from rna_predict.nn.layers import gated

QUERIES = 32
"""Atoms of a window that attend."""

KEYS = 128
"""Atoms that they attend to: the window's own and 48 on each side."""

MARGIN = (KEYS - QUERIES) // 2


def window_count(atoms: int) -> int:
    """Windows that `atoms` atoms need."""
    return -(-atoms // QUERIES)


def query_windows(x: Tensor) -> Tensor:
    """(…, A, C) to (…, W, 32, C); zeros follow the last atom where A is no multiple of 32."""
    missing = window_count(x.shape[-2]) * QUERIES - x.shape[-2]
    if missing:
        x = pad(x, (0, 0, 0, missing))
    return x.unflatten(-2, (-1, QUERIES))


def key_windows(x: Tensor) -> Tensor:
    """(…, A, C) to (…, W, 128, C): a view in which windows overlap; zeros before the first atom and after the last."""
    missing = window_count(x.shape[-2]) * QUERIES - x.shape[-2]
    padded = pad(x, (0, 0, MARGIN, MARGIN + missing))
    return padded.unfold(-2, KEYS, QUERIES).transpose(-1, -2)


class WindowAttention(GatedAttention):
    """Gated attention of atoms within windows; each atom is projected once, not once for each window that sees it."""

    def forward(self, query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
        """Attend from each window's queries to its keys.

        Args:
            query: (…, A, C).
            key: (…, A, C).
            bias: broadcasts to (…, W, H, 32, 128), keys that do not exist at `MASKED`; or None.
        """
        q, k, v = (
            windows(layer(x)).unflatten(-1, (self.heads, -1)).transpose(-2, -3)
            for windows, layer, x in (
                (query_windows, self.linear_q, query),
                (key_windows, self.linear_k, key),
                (key_windows, self.linear_v, key),
            )
        )
        value = attend(q, k, v, bias).transpose(-2, -3).flatten(-2).flatten(-3, -2)
        return self.linear_o(gated(self.linear_g(query), value[..., : query.shape[-2], :]))
