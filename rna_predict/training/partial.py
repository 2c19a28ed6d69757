"""Write what was trained: the tensors that require a gradient, of all networks that were trained together."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from rna_predict.errors import WeightsError
from rna_predict.nn.adapters import trainable_state
from rna_predict.nn.partial import PartialHeader, save_partial


def save_trainable(modules: nn.Module | Sequence[nn.Module], path: Path, header: PartialHeader) -> PartialHeader:
    """Write a partial checkpoint whole or not at all; `nn.partial` reads it, for training and for predictions.

    Args:
        modules: stage B's trunk, stage D's model, or both, with the adapters in use that were trained.
        path: `.safetensors`.
        header: base weights, settings and step; hash and counts are computed.

    Returns:
        The header as written.

    Raises:
        WeightsError: nothing is trainable, two networks train the same key, or a tensor is not finite.
    """
    state: dict[str, Tensor] = {}
    for module in [modules] if isinstance(modules, nn.Module) else modules:
        part = trainable_state(module)
        twice = sorted(set(part) & set(state))
        if twice:
            raise WeightsError(f"{path}: {len(twice)} tensors are trained by two networks, as {twice[0]}.")
        state |= part
    if not state:
        raise WeightsError(f"{path}: no parameter requires a gradient: nothing was trained, so nothing is written.")
    return save_partial(path, state, header)
