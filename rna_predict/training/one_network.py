"""What the trainings of one small network share: the network as a module that Lightning steps, and how it is opened."""

from collections.abc import Callable

from torch import nn

from rna_predict.errors import WeightsError
from rna_predict.nn.adapters import Adapters
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.weights import Network, WeightsHeader, open_network
from rna_predict.training.config import TrainConfig


class OneNetwork(nn.Module):
    """A network that is trained alone; its losses are the subclass's.

    Attributes:
        model: the network.
        header: of the weights that it started from.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.model = network.module
        self.header: WeightsHeader = network.header

    def networks(self) -> tuple[nn.Module]:
        """The one that there is."""
        return (self.model,)


def open_for_training(build: Callable[[Architecture], nn.Module], config: TrainConfig) -> Network:
    """Open the network and put on it what the config trains; everything else is frozen.

    Raises:
        ConfigError: modules do not fit the network.
        WeightsError: the weights file is refused, or nothing is trained.
    """
    settings = config.network
    network = open_network(build, weights=settings.weights, untrained_profile=settings.untrained_profile)
    Adapters(network.module).add(config.adapters.part_of(network.module), seed=config.trainer.seed)
    if not any(parameter.requires_grad for parameter in network.module.parameters()):
        raise WeightsError("adapters: no group and no module is named: nothing would be trained.")
    return network
