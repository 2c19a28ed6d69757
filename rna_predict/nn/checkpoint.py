"""Read weights from any file that they are published in, without ever running code from it."""

import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from rna_predict.errors import WeightsError
from rna_predict.nn.weights_file import (
    STORED_DTYPES,
    WeightsHeader,
    all_finite,
    hash_of_tensors,
    metadata_header,
    opened,
    verify,
)

CONTAINERS = ("model", "state_dict", "model_state_dict", "ema", "ema_state_dict")
"""Keys under which training programs store a model's tensors, in the order in which they are looked for."""

PREFIXES = ("module.", "_orig_mod.")
"""What data-parallel wrappers and torch.compile put before every key."""

UPCAST = (torch.bfloat16, torch.float16, torch.float64)

TORCH_ERRORS = (
    *(RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError),
    *(AssertionError, OverflowError, RecursionError, ImportError, pickle.UnpicklingError, struct.error),
)
"""What torch.load raises at damaged files, by their contents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The tensors of a weights file of any kind, mapped rather than read.

    Attributes:
        path: the file.
        form: `rna-predict`, `safetensors` or `torch`.
        header: ours where the file has one, and then verified.
        tensors: float32 by state-dict key, prefixes of wrappers removed.
        sha256: of all tensors (`weights_file.hash_of_tensors`).
        notes: what was done to read it, a line each.
    """

    path: Path
    form: str
    header: WeightsHeader | None
    tensors: Mapping[str, Tensor]
    sha256: str
    notes: tuple[str, ...]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor."""
        return {key: tuple(tensor.shape) for key, tensor in self.tensors.items()}


def read_checkpoint(path: Path) -> Checkpoint:
    """Read our weights files, other safetensors files, and torch's: {"model": …}, {"state_dict": …} or bare.

    Torch files are unpickled by its restricted reader alone, which builds tensors and plain values; a pickle that
    asks for anything else is refused and nothing of it runs.

    Raises:
        WeightsError: no such file, damaged, unsafe, of no known kind, without tensors, or NaN or infinity in one; it
            names the file and what was tried.
    """
    kind = _kind(path)
    if kind == "torch":
        tensors, notes = _unwrap(path, _load_torch(path))
        form, header = "torch", None
    else:
        with opened(path) as file:
            try:
                tensors, notes = {key: file.get_tensor(key) for key in sorted(file.keys())}, []
            except (SafetensorError, RuntimeError) as error:
                raise WeightsError(f"{path}: a tensor cannot be read ({error}). Get the file again.") from error
        header = metadata_header(path)
        form = "safetensors" if header is None else "rna-predict"
    if header is not None:
        verify(path, header)
        digest = header.sha256
    else:
        tensors, more = _plain(path, _strip(path, tensors))
        digest = hash_of_tensors(tensors)
        notes += more
    return Checkpoint(path=path, form=form, header=header, tensors=tensors, sha256=digest, notes=tuple(notes))


def _kind(path: Path) -> str:
    """`torch` or `safetensors`, by the first bytes."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such file.")
    with path.open("rb") as file:
        head = file.read(9)
    # A safetensors file begins with a length of 8 bytes, whose first may be the one that pickles begin with.
    if len(head) == 9 and head[8:] == b"{" and not head.startswith(b"PK\x03\x04"):
        return "safetensors"
    if head.startswith(b"PK\x03\x04") or head[:1] == b"\x80":
        if path.suffix == ".safetensors":  # torch.load goes by the name
            raise WeightsError(f"{path}: holds a torch checkpoint, whatever its name says. Rename it to .pt.")
        return "torch"
    what = "an empty file" if not head else f"a file that begins with {head[:8]!r}"
    raise WeightsError(f"{path}: expected safetensors or a torch checkpoint, found {what}.")


def _load_torch(path: Path) -> Any:
    """The content of a torch file as tensors and plain values; memory-mapped except in torch's format before 1.6."""
    with path.open("rb") as file:
        mapped = file.read(2) == b"PK"
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused: torch.load(weights_only=True) found something else than tensors and plain values "
            f"({_first_line(error)}). Nothing in it was run. Ask its source for a file of tensors (safetensors)."
        ) from error
    except TORCH_ERRORS as error:
        raise WeightsError(f"{path}: not a readable torch checkpoint ({_first_line(error)}). Get it again.") from error


def _unwrap(path: Path, content: Any) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a checkpoint dictionary, and what was left out of it."""
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a dictionary of tensors, found {type(content).__name__}.")
    inside = [key for key in CONTAINERS if isinstance(content.get(key), dict)]
    notes = []
    if inside:
        notes.append(f"tensors taken from {inside[0]!r}" + (f", not from {', '.join(inside[1:])}" * bool(inside[1:])))
        content = content[inside[0]]
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(
            f"{path}: no tensors at the top or under {', '.join(CONTAINERS)}; found {sorted(map(str, content))[:5]}."
        )
    others = sorted(str(key) for key in content if key not in tensors)
    if others:
        notes.append(f"{len(others)} entries that are no tensors left out: {', '.join(others[:3])}")
    return tensors, notes


def _strip(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Remove the prefixes of wrappers from all keys."""
    stripped: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        short = key
        while short.startswith(PREFIXES):
            short = short.split(".", 1)[1]
        if short in stripped:
            raise WeightsError(f"{path}: {key}: {short} stands there twice, with and without a prefix.")
        stripped[short] = tensor
    return stripped


def _plain(path: Path, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors as float32, contiguous, finite; integers stay; and a note on what was converted."""
    plain: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    for key in sorted(tensors):
        tensor = tensors[key].detach()
        if tensor.layout != torch.strided or tensor.dtype not in (*UPCAST, *STORED_DTYPES):
            raise WeightsError(f"{path}: {key}: expected plain floating-point values, found {tensor.dtype}.")
        if tensor.dtype in UPCAST:
            name = str(tensor.dtype).removeprefix("torch.")
            counts[name] = counts.get(name, 0) + 1
            tensor = tensor.to(torch.float32)
        if not all_finite(tensor):
            raise WeightsError(f"{path}: {key}: holds NaN or infinity. Get the file again.")
        plain[key] = tensor.contiguous()
    return plain, [f"{count} tensors converted from {name} to float32" for name, count in counts.items()]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
