"""The format of our weights files: safetensors whose header says what network they fill and whether they are trained.

The header has one key, `rna_predict.weights`, with `WeightsHeader` as JSON. Its sha256 covers names, types, shapes and
bytes of all tensors, so that the same weights have the same hash whatever file they came from.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rna_predict.atomic import atomic_path
from rna_predict.errors import ConfigError, WeightsError
from rna_predict.nn.architecture import Architecture

FORMAT_VERSION = 1
METADATA_KEY = "rna_predict.weights"
PARTIAL_KEY = "rna_predict.partial"
"""The same of partial checkpoints (`nn.partial`), which are no weights files."""
CHUNK_BYTES = 2**22
STORED_DTYPES = {torch.float32: "F32", torch.int64: "I64"}
"""Name in a safetensors header of the types that our files hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsHeader:
    """What a weights file says about itself; `save_weights` fills in hash and counts."""

    architecture: Architecture
    """Sizes of the network."""
    trained: bool
    """False for starting values: every output made with them must say so."""
    source: str
    """Where the numbers come from, for people."""
    licence: str = ""
    """Licence of the weights, where the source states one."""
    sha256: str = ""
    """Hash of all tensors; of profile and seed for starting values that no file holds."""
    tensors: int = 0
    """Number of tensors."""
    parameters: int = 0
    """Number of values in them."""

    def to_json(self) -> str:
        """One line, sealed with its own hash."""
        values: dict[str, Any] = {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}
        return json.dumps({**values, "seal": seal_of(values)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str) -> "WeightsHeader":
        """Read `to_json`'s line.

        Args:
            text: the line.
            where: file for the message.

        Raises:
            WeightsError: not JSON, another format version, damaged, or a field is wrong.
        """
        try:
            values = json.loads(text)
            version, seal = values.pop("format_version"), values.pop("seal")
            if version != FORMAT_VERSION:
                raise WeightsError(
                    f"{where}: format_version: expected {FORMAT_VERSION}, found {version!r}. Convert the file again, "
                    "or take the package's version that wrote it."
                )
            if seal != seal_of({"format_version": version, **values}):
                raise WeightsError(f"{where}: the header does not match its seal; the file is damaged. Get it again.")
            return cls(**{**values, "architecture": Architecture.from_dict(values["architecture"])})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError) as error:
            raise WeightsError(
                f"{where}: the header cannot be read ({error}). Get or convert the file again."
            ) from error


def save_weights(path: Path, tensors: Mapping[str, Tensor], header: WeightsHeader) -> WeightsHeader:
    """Write a weights file whole or not at all.

    Args:
        path: `.safetensors`.
        tensors: float32 (or int64) by state-dict key.
        header: architecture, trained, source and licence; hash and counts are computed.

    Returns:
        The header as written.

    Raises:
        WeightsError: no tensors, another type, no memory behind it (meta), NaN or infinity; names the key.
    """
    plain = storable(path, tensors)
    complete = dataclasses.replace(
        header,
        sha256=hash_of_tensors(plain),
        tensors=len(plain),
        parameters=sum(tensor.numel() for tensor in plain.values()),
    )
    write_tensors(path, plain, {METADATA_KEY: complete.to_json()})
    return complete


def storable(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as a file holds them, sorted, on the CPU.

    Raises:
        WeightsError: as `save_weights`.
    """
    if not tensors:
        raise WeightsError(f"{path}: there are no tensors to write.")
    for key, tensor in tensors.items():
        if tensor.dtype not in STORED_DTYPES or tensor.is_meta:
            found = f"{tensor.dtype} on {tensor.device}"
            raise WeightsError(f"{path}: {key}: expected float32 values in memory, found {found}")
        if not all_finite(tensor):
            raise WeightsError(f"{path}: {key}: holds NaN or infinity; such weights are not written.")
    return {key: tensors[key].detach().cpu().contiguous() for key in sorted(tensors)}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write `storable` tensors as safetensors, whole or not at all."""
    with atomic_path(path) as temporary:
        save_file(_separate(tensors), temporary, metadata=dict(metadata))


def read_header(path: Path) -> WeightsHeader:
    """The header of one of our weights files; the tensors are neither read nor verified.

    Raises:
        WeightsError: no such file, not safetensors, damaged, or without our header.
    """
    header = metadata_header(path)
    if header is None:
        raise WeightsError(
            f"{path}: a safetensors file without the header of this package. Run `rna-predict weights convert` on it."
        )
    return header


def metadata_header(path: Path) -> WeightsHeader | None:
    """The same, but None for a safetensors file that somebody else wrote.

    Raises:
        WeightsError: as `read_header`, or a partial checkpoint.
    """
    with opened(path) as file:
        metadata = file.metadata() or {}
    if PARTIAL_KEY in metadata:
        raise WeightsError(
            f"{path}: a partial checkpoint, which holds only what was trained. Give it as partial (--partial), and as "
            "weights those that it was trained on."
        )
    text = metadata.get(METADATA_KEY)
    return None if text is None else WeightsHeader.from_json(text, str(path))


def opened(path: Path) -> Any:
    """A safetensors file, memory-mapped.

    Raises:
        WeightsError: no such file, truncated, or of another kind.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file.")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error}). Get it again.") from error


def verify(path: Path, header: WeightsHeader) -> None:
    """Compare the bytes of the file's tensors with the hash that its header states.

    They are read in small pieces, so that a network of which only a part is used does not come into memory.

    Raises:
        WeightsError: they differ.
    """
    if hash_of_file(path) != header.sha256:
        raise WeightsError(f"{path}: the tensors do not match the header's sha256; the file is damaged. Get it again.")


def hash_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over sorted names, types, shapes and bytes of contiguous tensors."""
    return _hash(
        (key, STORED_DTYPES[tensor.dtype], tuple(tensor.shape), [tensor.view(-1).numpy().data])
        for key, tensor in sorted(tensors.items())
    )


def hash_of_file(path: Path) -> str:
    """`hash_of_tensors` of a safetensors file that `opened` accepts, from its bytes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(length))
        entries.pop("__metadata__", None)

        def pieces(begin: int, end: int) -> Iterator[bytes]:
            file.seek(8 + length + begin)
            for start in range(begin, end, CHUNK_BYTES):
                yield file.read(min(CHUNK_BYTES, end - start))

        return _hash(
            (key, entry["dtype"], tuple(entry["shape"]), pieces(*entry["data_offsets"]))
            for key, entry in sorted(entries.items())
        )


def all_finite(tensor: Tensor) -> bool:
    """Whether a tensor holds neither NaN nor infinity; a sum of either is not finite, and a sum needs no memory."""
    return not tensor.is_floating_point() or bool(tensor.sum(dtype=torch.float64).isfinite())


def _hash(entries: Iterable[tuple[str, str, tuple[int, ...], Iterable[bytes | memoryview]]]) -> str:
    state = hashlib.sha256()
    for key, dtype, shape, pieces in entries:
        state.update(json.dumps([key, dtype, shape]).encode())
        for piece in pieces:
            state.update(piece)
    return state.hexdigest()


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, each with memory of its own: safetensors refuses to write memory that two of them share."""
    separate: dict[str, Tensor] = {}
    taken: set[int] = set()
    for key, tensor in tensors.items():
        storage = tensor.untyped_storage()
        whole = storage.nbytes() == tensor.numel() * tensor.element_size() and storage.data_ptr() not in taken
        separate[key] = tensor if whole else tensor.clone()
        taken.add(storage.data_ptr())
    return separate


def seal_of(values: Mapping[str, Any]) -> str:
    """Hash of a header's values, by which a damaged header is found."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
