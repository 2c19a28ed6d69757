"""Fill a network with its starting values, reproducibly and independently of what else is built."""

import hashlib
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from rna_predict.errors import WeightsError


@runtime_checkable
class Fills(Protocol):
    """A module that knows how its own parameters start (`layers.Linear`, embeddings, heads)."""

    def fill(self, generator: torch.Generator | None) -> None:
        """Overwrite every parameter and buffer that the module itself holds, drawing from `generator`."""
        ...


def everything(key: str) -> bool:
    """The default of `initialise`: every tensor."""
    del key
    return True


@torch.no_grad()
def initialise(module: nn.Module, seed: int = 0, wanted: Callable[[str], bool] = everything) -> list[str]:
    """Fill parameters and buffers of `module`, wherever they are; those on the meta device get memory on the CPU.

    Every submodule draws from a generator of its own, seeded by sha256 of `seed` and the submodule's key. A part that
    is built alone under the same keys (stage B's trunk, stage D's denoiser) gets the numbers that it has in the whole.

    Args:
        module: the root, whose state-dict keys are those of the weights file.
        seed: any integer.
        wanted: tells by its full key whether a tensor is filled; a submodule is filled whole or not at all.

    Returns:
        The keys that were filled, sorted.

    Raises:
        WeightsError: a submodule with parameters has no rule, or its rule leaves one of them out.
    """
    filled: list[str] = []
    for name, child in module.named_modules():
        own = _own_tensors(name, child)
        if not own or not any(wanted(key) for key in own):
            continue
        if not all(wanted(key) for key in own):
            raise WeightsError(f"{name}: only a part of its tensors ({', '.join(own)}) is to be initialised.")
        _give_memory(child)
        _fill(name, child, _generator(seed, name))
        filled += own
    return sorted(filled)


def unfilled(module: nn.Module) -> list[str]:
    """Keys of parameters and buffers that are still without memory, sorted."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return sorted(key for key, tensor in named if tensor.is_meta)


def _own_tensors(name: str, module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers that the module itself holds, by full key."""
    named = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return {f"{name}.{key}" if name else key: tensor for key, tensor in named}


def _give_memory(module: nn.Module) -> None:
    """Put what stands on the meta device onto the CPU; `Module.to_empty` would import torch's decompositions for it."""
    for key, parameter in [*module.named_parameters(recurse=False)]:
        if parameter.is_meta:
            empty = torch.empty(parameter.shape, dtype=parameter.dtype)
            setattr(module, key, nn.Parameter(empty, requires_grad=parameter.requires_grad))
    for key, buffer in [*module.named_buffers(recurse=False)]:
        if buffer.is_meta:
            setattr(module, key, torch.empty(buffer.shape, dtype=buffer.dtype))


def _generator(seed: int, name: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))


def _fill(name: str, module: nn.Module, generator: torch.Generator) -> None:
    """Run the module's rule on tensors of NaN, so that one that the rule forgets is found."""
    for tensor in _own_tensors(name, module).values():
        if tensor.is_floating_point():
            tensor.fill_(torch.nan)
    if isinstance(module, Fills):
        module.fill(generator)
    elif isinstance(module, nn.LayerNorm):
        module.reset_parameters()
    else:
        raise WeightsError(
            f"{name}: no rule to initialise a {type(module).__name__}. Give it a method fill(generator)."
        )
    for key, tensor in _own_tensors(name, module).items():
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            raise WeightsError(f"{key}: {type(module).__name__}.fill left it without a value.")
