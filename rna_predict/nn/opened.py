"""Open a network for predictions: weights or starting values, a partial checkpoint merged into them; kept for reuse."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import torch
from torch import nn

from rna_predict.nn.architecture import Architecture
from rna_predict.nn.carried import carried_weights
from rna_predict.nn.partial import (
    PartialCheckpoint,
    merge_partial,
    read_partial,
    require_base,
    stages_of,
    trunk_identity,
)
from rna_predict.nn.weights import Network, WeightsHeader, open_network

log = logging.getLogger(__name__)

Build = Callable[[Architecture], nn.Module]
Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSource:
    """Where the values of a stage's network come from; paths and names as a config has them, empty for none.

    Attributes:
        weights: weights file.
        untrained_profile: instead of weights, a profile's starting values.
        partial: partial checkpoint that was trained on these.
    """

    weights: str = ""
    untrained_profile: str = ""
    partial: str = ""

    @classmethod
    def or_carried(cls, name: str, *, weights: str, untrained_profile: str, partial: str) -> "NetworkSource":
        """What a config names; where it names neither weights nor a profile, the package's own weights of this name.

        Raises:
            WeightsError: the package was installed without them.
        """
        own = "" if weights or untrained_profile else str(carried_weights(name))
        return cls(weights=weights or own, untrained_profile=untrained_profile, partial=partial)

    def stamps(self) -> tuple[Stamp, Stamp]:
        """Time and size of both files, by which another file under the same name is known."""
        return _stamp(self.weights), _stamp(self.partial)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedNetwork:
    """A network on a device, and which embeddings go with it.

    Attributes:
        network: module, header and report, the partial checkpoint merged.
        device: where the module is.
        base_sha256: hash of the weights without the partial checkpoint.
        trunk_sha256: hash of the trunk that goes with it (`partial.trunk_identity`).
        given: name and step of the partial checkpoint, or empty.
    """

    network: Network
    device: torch.device
    base_sha256: str
    trunk_sha256: str
    given: str = ""

    @property
    def header(self) -> WeightsHeader:
        """Of the weights that it runs on."""
        return self.network.header

    @property
    def merged(self) -> str:
        """Name and step of the partial checkpoint that is in this network's weights, or empty."""
        return self.given if self.header.sha256 != self.base_sha256 else ""


def open_for_prediction(build: Build, source: NetworkSource, device: torch.device) -> OpenedNetwork:
    """The network that a config names, on its device; opened once, as long as its files stay the same.

    Of each kind of network the last one is kept.

    Args:
        build: class of the module, as in `open_network`.
        source: weights or starting values, and a partial checkpoint.
        device: where it will run.

    Raises:
        ConfigError: neither or both of weights and profile, or an unknown profile.
        WeightsError: a file is refused or does not fit, the partial checkpoint belongs to other weights, or it holds
            nothing for the network; stage D's alone may be given one of the trunk (`partial.trunk_identity`).
    """
    return _opener(build)(source, source.stamps(), device)


@cache
def _opener(build: Build) -> Callable[[NetworkSource, tuple[Stamp, Stamp], torch.device], OpenedNetwork]:
    """Opens one kind of network, and keeps the last one."""

    @lru_cache(maxsize=1)
    def opened(source: NetworkSource, stamps: tuple[Stamp, Stamp], device: torch.device) -> OpenedNetwork:
        del stamps  # a part of the key: another file under the same name is another network
        network = open_network(build, weights=source.weights, untrained_profile=source.untrained_profile)
        base_sha256 = network.header.sha256
        partial = read_partial(Path(source.partial)) if source.partial else None
        if partial is not None:
            network = _taken_up(network, partial)
        network.module.to(device)
        return OpenedNetwork(
            network=network,
            device=device,
            base_sha256=base_sha256,
            trunk_sha256=trunk_identity(base_sha256, partial),
            given="" if partial is None else partial.label,
        )

    return opened


def _taken_up(network: Network, partial: PartialCheckpoint) -> Network:
    """The network with the partial checkpoint in it; stage D's stays as it is where that is of the trunk alone."""
    stages = stages_of(network.module.state_dict())
    if stages == ("stage_d",) and partial.stages == ("stage_b",):
        require_base(partial, network.header.sha256)
        log.info(
            "stage_d: %s is of the trunk alone: stage D runs on its base, on this trunk's embeddings", partial.path
        )
        return network
    merged = merge_partial(network, partial)
    where = " and ".join(stages)
    log.info(
        "%s: %s merged into %s: %d tensors", where, partial.label, network.header.source, len(merged.report.loaded)
    )
    return merged


def _stamp(name: str) -> Stamp:
    path = Path(name)
    if not name or not path.is_file():
        return 0, 0
    found = path.stat()
    return found.st_mtime_ns, found.st_size
