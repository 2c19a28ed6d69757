"""Means over what a mask leaves of each RNA; what the losses of stages B and D share."""

import torch
from jaxtyping import Float
from torch import Tensor

from rna_predict.errors import InputError


def masked_mean(values: Tensor, mask: Tensor, loss: str, what: str) -> Float[Tensor, " b"]:
    """Mean of each RNA over all axes but the first, where `mask` is True; elsewhere values get no gradient.

    Args:
        values: (B, …).
        mask: broadcasts to `values`.
        loss: name of the loss, for the message.
        what: one of its terms, for the message.

    Raises:
        InputError: nothing is left of an RNA.
    """
    mask = mask.expand_as(values)
    counts_B = mask.flatten(1).sum(1)
    require_terms(counts_B, loss, what)
    return torch.where(mask, values, torch.zeros_like(values)).flatten(1).sum(1) / counts_B


def require_terms(counts_B: Tensor, loss: str, what: str) -> None:
    """Refuse a batch in which the loss of an RNA has no term: it would count as perfect, or be NaN.

    Raises:
        InputError: naming the RNAs by their place in the batch, from 1.
    """
    if bool((counts_B == 0).any()):
        empty = [index + 1 for index, count in enumerate(counts_B.tolist()) if not count]
        raise InputError(f"{loss}: RNA {empty} of the batch has no {what}. Leave it out of the dataset.")
