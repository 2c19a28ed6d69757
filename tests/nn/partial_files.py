"""Partial checkpoints as training leaves them: adapters on the real networks, noise on everything trainable."""

import dataclasses
from pathlib import Path

import torch
from torch import nn

from rna_predict.nn.adapters import AdapterConfig, Adapters
from rna_predict.nn.opened import OpenedNetwork, open_for_prediction
from rna_predict.nn.partial import PartialHeader, attach_partial, read_partial
from rna_predict.nn.weights import open_network
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion.network import DiffusionModel
from rna_predict.training.partial import save_trainable

CONFIG = AdapterConfig(rank=2, alpha=4.0)
BOTH = (Trunk, DiffusionModel)


def stir(module: nn.Module, seed: int = 1) -> None:
    """Noise on everything trainable."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def write_partial(path: Path, builds=BOTH, config: AdapterConfig = CONFIG, seed: int = 1, **source: str) -> Path:
    """Train some of the networks on `weights=` or `untrained_profile=`, and write their partial checkpoint."""
    networks = [open_network(build, **source) for build in builds]
    for network in networks:
        Adapters(network.module).add(config.part_of(network.module))
        stir(network.module, seed)
    base = networks[0].header
    header = PartialHeader(
        base_sha256=base.sha256, base_source=base.source, architecture=base.architecture, adapter=config, step=7
    )
    save_trainable([network.module for network in networks], path, header)
    return path


def everything(build) -> AdapterConfig:
    """All parameters of a network in full."""
    module = open_network(build, untrained_profile="nano").module
    names = tuple(name for name, child in module.named_children() if [*child.parameters()])
    return AdapterConfig(groups=(), full_modules=names)


def open_attached(build, source, device) -> OpenedNetwork:
    """`open_for_prediction`, but with the adapter on the network as in training, nothing merged."""
    found = open_for_prediction(build, source, device)
    plain = open_network(build, weights=source.weights, untrained_profile=source.untrained_profile)
    attach_partial(plain.module, read_partial(Path(source.partial)), plain.header.sha256)
    return dataclasses.replace(found, network=dataclasses.replace(found.network, module=plain.module.eval()))
