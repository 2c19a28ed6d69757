"""The base of every tensor file: a safetensors file whose header names schema, sequence, provenance and digests."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from rna_predict.atomic import atomic_path
from rna_predict.contracts.sequence import RnaSequence, rna_of_text
from rna_predict.errors import ContractError

RecordT = TypeVar("RecordT", bound="Record")

UNTRAINED = "UNTRAINED random weights"
"""What a method says where networks ran on starting values; every output repeats it."""

PARTIAL = "partial checkpoint"
"""What a method says before name and step of a partial checkpoint in the networks' weights."""

STORED_DTYPES = {"float32": "F32", "int32": "I32", "uint8": "U8", "bool": "BOOL"}
"""Name in a safetensors header of each dtype that a record may use."""


def weights_notes(merged: str, trained: bool) -> str:
    """What a method says behind a network's profile: a partial checkpoint in its weights, and random weights."""
    partial = f", {PARTIAL} {merged}" if merged else ""
    return partial if trained else f"{partial}, {UNTRAINED}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a record comes from: enough to tell whether it still belongs to its inputs."""

    method: str
    """Which path made it, e.g. `viennarna`, `prior-table`, `assembly`, `analytic`."""
    package_version: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Digest of each record or file that went in, by name (`a_adjacency`, …)."""
    config: str = "none"
    """sha256 of the resolved stage config."""
    weights: str = "none"
    """sha256 of the learned weights; `none` where the path has no learned weights."""

    @property
    def untrained(self) -> bool:
        """Whether networks ran on random weights, so that the result means nothing."""
        return UNTRAINED in self.method

    @property
    def partial(self) -> str:
        """What the method says of a partial checkpoint, e.g. `partial checkpoint x.safetensors (step 7)`, or empty."""
        found = re.search(rf"{PARTIAL} .+? \(step \d+\)", self.method)
        return found.group() if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A sequence, of one chain or several as in `RnaSequence`, and arrays indexed by its residues.

    Subclasses add array fields with `array(dtype)`.

    Arrays that somebody can still write to are copied, so that a record never changes and never freezes an array of
    the caller's. Hand over a large fresh array with `flags.writeable = False`, and it is taken as it is.

    Attributes:
        alternatives: what the same stage says of the RNA on other secondary structures (`alternatives_of`), likeliest
            first. They are part of the content and of the file.
    """

    SCHEMA: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1
    STAGE: ClassVar[str] = ""

    id: str
    sequence: str
    provenance: Provenance
    breaks: tuple[int, ...] = ()
    alternatives: tuple["Record", ...] = ()

    def __post_init__(self) -> None:
        """Check id, sequence and every array's dtype and finiteness; subclasses check shapes and values.

        Raises:
            ContractError: naming the field and the value found.
        """
        object.__setattr__(self, "breaks", self.rna.breaks)
        for other in self.alternatives:
            if type(other) is not type(self) or other.rna != self.rna or other.alternatives:
                raise ContractError(f"{self.SCHEMA}.alternatives of {self.id}: not of this RNA and schema, or nested")
        for name, dtype in array_fields(type(self)).items():
            value = getattr(self, name)
            if not isinstance(value, np.ndarray) or value.dtype != np.dtype(dtype):
                found = getattr(value, "dtype", type(value).__name__)
                raise ContractError(f"{self.SCHEMA}.{name} of {self.id}: expected a {dtype} array, found {found}")
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise ContractError(f"{self.SCHEMA}.{name} of {self.id}: holds NaN or infinity")
            object.__setattr__(self, name, read_only(value))

    @property
    def length(self) -> int:
        """Number of residues."""
        return len(self.sequence)

    @property
    def rna(self) -> RnaSequence:
        """The RNA that it is of."""
        return RnaSequence(id=self.id, sequence=self.sequence, breaks=self.breaks)

    def expect_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise ContractError unless array `name` has `shape`; -1 stands for any size."""
        found = getattr(self, name).shape
        if len(found) != len(shape) or any(w not in (-1, f) for w, f in zip(shape, found, strict=True)):
            raise ContractError(f"{self.SCHEMA}.{name} of {self.id}: expected shape {shape}, found {found}")

    def digest(self) -> str:
        """sha256 over schema, version, RNA and arrays (not the provenance): equal content, equal digest."""
        head = {"schema": self.SCHEMA, "version": self.VERSION, "id": self.id, "sequence": self.rna.text}
        head |= {f.name: getattr(self, f.name) for f in meta_fields(type(self))}
        if self.alternatives:
            head["alternatives"] = [other.digest() for other in self.alternatives]
        state = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for name in array_fields(type(self)):
            value = np.ascontiguousarray(getattr(self, name))
            state.update(f"{name}{value.dtype}{value.shape}".encode())
            state.update(value.tobytes())
        return state.hexdigest()

    def save(self, path: Path) -> None:
        """Write the record whole or not at all: a temporary file in the same folder, fsync, rename."""
        header = self._header()
        if self.alternatives:
            header["alternatives"] = [other._header() for other in self.alternatives]
        header["seal"] = digest_of(header)
        # one key: safetensors writes several in a random order, and equal records should be equal files
        metadata = {"record": json.dumps(header, sort_keys=True)}
        records = {"": self} | {_prefix(place): other for place, other in enumerate(self.alternatives)}
        arrays = {
            prefix + name: np.ascontiguousarray(getattr(record, name))
            for prefix, record in records.items()
            for name in array_fields(type(self))
        }
        with atomic_path(path) as temporary:
            temporary.write_bytes(to_safetensors(arrays, metadata=metadata))

    def _header(self) -> dict[str, Any]:
        """What a file says of this record alone."""
        return {
            "schema": self.SCHEMA,
            "version": self.VERSION,
            "id": self.id,
            "sequence": self.rna.text,
            "provenance": dataclasses.asdict(self.provenance),
            "meta": {f.name: getattr(self, f.name) for f in meta_fields(type(self))},
            "digest": self.digest(),
        }

    @classmethod
    def load(cls: type[RecordT], path: Path, sequence: RnaSequence | None = None) -> RecordT:
        """Read and verify a record.

        Args:
            path: a file written by `save`.
            sequence: where given, the record must be of this id and sequence.

        Raises:
            ContractError: missing, truncated, foreign schema or version, digest mismatch, other sequence;
                the message names the stage to run again.
        """
        header, arrays = cls._read(path, with_arrays=True)
        record = cls._from_parts(path, header, arrays)
        if record.digest() != header["digest"]:
            raise ContractError(f"{path}: the content does not match its digest; the file is damaged. {cls._again()}")
        if sequence is not None and record.rna != sequence:
            raise ContractError(
                f"{path}: made for {record.id} ({record.length} nt) with another sequence. {cls._again()}"
            )
        return record

    @classmethod
    def stated_digest(cls, path: Path) -> str:
        """The digest that a file's header states, without reading its arrays.

        Raises:
            ContractError: missing, damaged header, foreign schema or version; names the stage to run again.
        """
        return cls._read(path, with_arrays=False)[0]["digest"]

    @classmethod
    def stated_provenance(cls, path: Path) -> Provenance:
        """The provenance that a file's header states, without reading its arrays.

        Raises:
            ContractError: missing, damaged header, foreign schema or version; names the stage to run again.
        """
        header = cls._read(path, with_arrays=False)[0]
        try:
            return Provenance(**header["provenance"])
        except (KeyError, TypeError) as error:
            raise ContractError(f"{path}: provenance: {error}. {cls._again()}") from error

    @classmethod
    def _again(cls) -> str:
        return f"Run {cls.STAGE} again."

    @classmethod
    def _read(cls, path: Path, with_arrays: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The checked header and, where asked for, the arrays; nothing large is read of a foreign file."""
        if not path.is_file():
            raise ContractError(f"{path}: no such file. {cls._again()}")
        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {}).get("record", "{}"))
                cls._check_header(path, header)
                names = sorted(file.keys())
                found = {name: file.get_slice(name).get_dtype() for name in names}
                cls._check_arrays(path, found, len(header.get("alternatives", [])))
                return header, {name: file.get_tensor(name) for name in names if with_arrays}
        except (SafetensorError, OSError, ValueError, RecursionError) as error:
            raise ContractError(f"{path}: not a readable {cls.SCHEMA} file ({error}). {cls._again()}") from error

    @classmethod
    def _check_header(cls, path: Path, header: Any) -> None:
        found = (header.get("schema"), header.get("version")) if isinstance(header, dict) else (None, None)
        if found != (cls.SCHEMA, cls.VERSION):
            expected = f"{cls.SCHEMA} version {cls.VERSION}"
            raise ContractError(
                f"{path}: expected schema {expected}, found {found[0]} version {found[1]}. {cls._again()}"
            )
        stated = header.pop("seal", None)
        if stated != digest_of(header) or not isinstance(header.get("digest"), str):
            raise ContractError(f"{path}: the header does not match its seal; the file is damaged. {cls._again()}")

    @classmethod
    def _check_arrays(cls, path: Path, found: dict[str, str], alternatives: int) -> None:
        own = sorted(array_fields(cls).items())
        prefixes = ["", *map(_prefix, range(alternatives))]
        expected = {prefix + name: STORED_DTYPES[dtype] for prefix in prefixes for name, dtype in own}
        if found != expected:
            raise ContractError(f"{path}: expected arrays {expected}, found {found}. {cls._again()}")

    @classmethod
    def _from_parts(cls: type[RecordT], path: Path, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> RecordT:
        for value in arrays.values():
            _freeze(value)
        try:
            others = tuple(
                cls._from_header(one, arrays, _prefix(place))
                for place, one in enumerate(header.get("alternatives", []))
            )
            return cls._from_header(header, arrays, "", others)
        except (KeyError, TypeError, ValueError, ContractError) as error:
            raise ContractError(f"{path}: {error}. {cls._again()}") from error

    @classmethod
    def _from_header(
        cls: type[RecordT],
        header: dict[str, Any],
        arrays: dict[str, np.ndarray],
        prefix: str,
        alternatives: tuple["Record", ...] = (),
    ) -> RecordT:
        rna = rna_of_text(header["id"], header["sequence"])
        return cls(
            id=rna.id,
            sequence=rna.sequence,
            breaks=rna.breaks,
            provenance=Provenance(**header["provenance"]),
            alternatives=alternatives,
            **header["meta"],
            **{name: arrays[prefix + name] for name in array_fields(cls)},
        )


def alternatives_of(record: RecordT) -> tuple[RecordT, ...]:
    """The same of other secondary structures of the RNA, likeliest first; none of these has alternatives itself."""
    return cast(tuple[RecordT, ...], record.alternatives)


def _prefix(place: int) -> str:
    """What the names of an alternative's arrays begin with in a file."""
    return f"alternative{place + 1}."


def read_only(value: np.ndarray) -> np.ndarray:
    """`value` itself where nobody can write to it, else a copy that nobody can write to."""
    if not any(owner.flags.writeable for owner in _owners(value)):
        return value
    copy = np.array(value, order="C")
    copy.flags.writeable = False
    return copy


def _owners(value: np.ndarray) -> Iterator[np.ndarray]:
    """The array and those that it is a view of: its memory can be written through each of them."""
    owner: Any = value
    while isinstance(owner, np.ndarray):
        yield owner
        owner = owner.base


def _freeze(value: np.ndarray) -> None:
    """Make a fresh array, and what it is a view of, read-only without a copy."""
    for owner in _owners(value):
        owner.flags.writeable = False


def array(dtype: str, empty: tuple[int, ...] | None = None) -> Any:
    """Declare an array field of a Record with its dtype; `empty` is the shape of what it holds where none is given."""
    if empty is None:
        return field(metadata={"dtype": dtype})
    return field(metadata={"dtype": dtype}, default_factory=lambda: np.zeros(empty, dtype=dtype))


def array_fields(cls: type[Record]) -> dict[str, str]:
    """Names and dtypes of the array fields, in declaration order."""
    return {f.name: f.metadata["dtype"] for f in dataclasses.fields(cls) if "dtype" in f.metadata}


def meta_fields(cls: type[Record]) -> list[dataclasses.Field[Any]]:
    """Fields beyond RNA, provenance, alternatives and arrays; they must be JSON values."""
    known = {"id", "sequence", "breaks", "provenance", "alternatives", *array_fields(cls)}
    return [f for f in dataclasses.fields(cls) if f.name not in known]


def digest_of(value: Any) -> str:
    """sha256 of a JSON-serialisable value, keys sorted, or of a file's bytes when given a Path."""
    if isinstance(value, Path):
        with value.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def require_same_rna(sequence: RnaSequence, *records: Record) -> None:
    """Refuse records of another RNA than `sequence`, naming the stage to run again.

    Raises:
        ContractError: id or letters differ.
    """
    for record in records:
        if record.rna != sequence:
            raise ContractError(
                f"{sequence.id}: the {record.SCHEMA} given is of {record.id}, another RNA. Run {record.STAGE} again."
            )


def require_same_input(record: Record, name: str, upstream: Record) -> None:
    """Refuse a record that was made from another version of `upstream`.

    Args:
        record: the downstream record, e.g. stage B's torsions.
        name: the key in its provenance, e.g. `a_adjacency`.
        upstream: what lies on disk now.

    Raises:
        ContractError: naming the stage of `record` as the one to run again.
    """
    if record.provenance.inputs.get(name) != upstream.digest():
        raise ContractError(
            f"{record.SCHEMA} of {record.id} is stale: it was made from another {name} than the one on disk. "
            f"Run {record.STAGE} again."
        )
