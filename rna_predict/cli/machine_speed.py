"""How fast this machine does each kind of work that `nn.work` counts, measured in a second or two."""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear, scaled_dot_product_attention

from rna_predict.nn.architecture import PAIR_HEAD_WIDTH, Architecture
from rna_predict.nn.work import ATOMS_PER_RESIDUE, FLOAT, KEYS, POSITIONS_AT_ONCE, QUERIES

LONGEST = 512
"""Residues beyond which the speed hardly changes any more; longer ones would take too long to measure."""

SECONDS = 0.06
"""Least time for which each kind is measured, after one run to warm up; the best of three counts."""


@torch.inference_mode()
def measure(architecture: Architecture, length: int, samples: int) -> dict[str, float]:
    """Amount of each kind of work (`work.KINDS`) per second, at the shapes that an RNA of this length has."""
    a, residues = architecture, min(length, LONGEST)
    rows = min(POSITIONS_AT_ONCE, residues**2)
    hidden, heads = a.pair_hidden(a.c_z)
    atoms = min(int(residues * ATOMS_PER_RESIDUE * samples), 16 * POSITIONS_AT_ONCE)
    window_count = min(-(-atoms // QUERIES), 64 * samples)
    return {
        "pair": _linear(rows, a.c_z, 4 * a.c_z),
        "single": _linear(residues, a.c_s, a.c_s),
        "token": _linear(residues * samples, a.c_token_diffusion, a.c_token_diffusion),
        "atom": _linear(atoms, a.c_atom, a.c_atom),
        "triangle": _triangle(residues, min(hidden, 16)),
        "attention": _attention(max(1, POSITIONS_AT_ONCE // residues), heads, residues),
        "window": _windows(window_count, a.atom_heads, a.c_atom // a.atom_heads),
        "pointwise": _pointwise(rows, a.c_z),
        "call": _rate(1.0, torch.ones(8).neg),
    }


def _linear(rows: int, c_in: int, c_out: int) -> float:
    x, weight = torch.rand(rows, c_in), torch.rand(c_out, c_in)
    return _rate(2.0 * rows * c_in * c_out, lambda: linear(x, weight))


def _triangle(length: int, channels: int) -> float:
    a, b = torch.rand(channels, length, length), torch.rand(channels, length, length)
    return _rate(2.0 * channels * length**3, lambda: a @ b.transpose(1, 2))


def _attention(rows: int, heads: int, length: int) -> float:
    query = torch.rand(rows, length, heads, PAIR_HEAD_WIDTH).transpose(1, 2)
    bias = torch.rand(1, heads, length, length)
    return _rate(
        float(rows * heads * length**2), lambda: scaled_dot_product_attention(query, query, query, attn_mask=bias)
    )


def _windows(count: int, heads: int, width: int) -> float:
    query = torch.rand(count, QUERIES, heads, width).transpose(1, 2)
    key = torch.rand(count, KEYS, heads, width).transpose(1, 2)
    bias = torch.rand(count, heads, QUERIES, KEYS)
    scores = float(count * heads * QUERIES * KEYS)
    return _rate(scores, lambda: scaled_dot_product_attention(query, key, key, attn_mask=bias))


def _pointwise(rows: int, channels: int) -> float:
    """Bytes per second of a norm, a sigmoid and a product, as `nn.work` counts them: seven passes."""
    x, scale = torch.rand(rows, channels), torch.rand(channels)

    def run() -> Tensor:
        return layer_norm(x, (channels,), scale, scale).mul_(torch.sigmoid(x))

    return _rate(7.0 * FLOAT * rows * channels, run)


def _rate(amount: float, run: Callable[[], object]) -> float:
    run()
    best = 0.0
    for _ in range(3):
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < SECONDS / 3 or not count:
            run()
            count += 1
        best = max(best, count * amount / (time.perf_counter() - start))
    return best
