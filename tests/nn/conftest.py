"""Modules with a few of the layout's keys: two parts, and the whole that they are parts of."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from rna_predict.nn.architecture import Architecture
from rna_predict.nn.layers import Linear, layer_norm


class Frequencies(nn.Module):
    """Two random vectors, as in the Fourier embedding."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(channels), requires_grad=False)
        self.b = nn.Parameter(torch.empty(channels), requires_grad=False)

    def fill(self, generator):
        self.w.normal_(generator=generator)
        self.b.normal_(generator=generator)


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer_norm = layer_norm(channels)
        self.linear_q = Linear(channels, channels, bias=True)
        self.linear_o = Linear(channels, channels, init="zeros")


class Stack(nn.Module):
    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels) for _ in range(blocks))


class TrunkPart(nn.Module):
    """Stands in for stage B's trunk."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.pairformer_stack = Stack(architecture.c_s, architecture.pairformer_blocks)
        self.torsion_head = Linear(architecture.c_s, 4, bias=True)


class DiffusionPart(nn.Module):
    """Stands in for stage D's model."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.diffusion_module = Frequencies(architecture.c_noise)
        self.confidence_head = Stack(architecture.c_z, architecture.confidence_blocks)


class Whole(TrunkPart):
    """Both parts under one root."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        self.diffusion_module = Frequencies(architecture.c_noise)
        self.confidence_head = Stack(architecture.c_z, architecture.confidence_blocks)


@pytest.fixture(scope="session")
def parts() -> SimpleNamespace:
    """`parts.trunk`, `parts.diffusion` and `parts.whole` build from an Architecture."""
    return SimpleNamespace(trunk=TrunkPart, diffusion=DiffusionPart, whole=Whole)
