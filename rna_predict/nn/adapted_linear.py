"""peft's LoRA layer, made right for callers that read a layer's weight. It imports peft: import it inside functions."""

from typing import cast

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor, nn


class AdaptedLinear(LoraLinear):
    """A linear layer with low-rank adapters.

    Several of our blocks, and torch's fast path of `nn.TransformerEncoderLayer`, multiply by `layer.weight` and never
    call the layer. peft's `weight` is the base layer's alone: there an adapter would be trained by nothing and change
    nothing, without a word. Ours holds what the adapter adds; only its dropout has no place in a weight.
    """

    @property
    def weight(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """[out, in], with the adapters that are in use."""
        weight = cast(nn.Linear, self.get_base_layer()).weight
        if self.disable_adapters:
            return weight
        for name in self.active_adapters:
            if name in self.lora_A:
                first, second = (cast(nn.Linear, factors[name]).weight for factors in (self.lora_A, self.lora_B))
                weight = weight + self.scaling[name] * (second @ first)
        return weight


def inject(module: nn.Module, name: str, pattern: str, settings: tuple[int, float, float]) -> list[str]:
    """Put an adapter on every linear layer of which `pattern` matches the whole name.

    Args:
        module: changed in place.
        name: of the adapter.
        pattern: regular expression.
        settings: rank, alpha and dropout.

    Returns:
        Names of the layers that carry it.
    """
    rank, alpha, dropout = settings
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=pattern, bias="none")  # pyright: ignore[reportArgumentType]
    config._register_custom_module({nn.Linear: AdaptedLinear})
    with torch.random.fork_rng(devices=[]):  # the starting values are ours, and peft's draws disturb nobody's
        inject_adapter_in_model(config, module, adapter_name=name)
    del module.peft_config  # what peft keeps on the network; a second adapter would be warned of it
    layers = {key: layer for key, layer in module.named_modules() if isinstance(layer, AdaptedLinear)}
    for layer in layers.values():
        layer.train(layer.get_base_layer().training)  # else dropout is at work in a network that only evaluates
    return [key for key, layer in layers.items() if name in layer.lora_A]
