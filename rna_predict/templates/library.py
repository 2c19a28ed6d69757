"""A library of known structures: rows to search, and the atoms of those that are found.

Two files hold the same rows: a folder with a LanceDB table (`lance`), for libraries of any size, and one
.safetensors file, which the package carries and which opens from a read-only place without lancedb.
"""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from rna_predict.atomic import atomic_path
from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts.record import digest_of
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import ContractError
from rna_predict.formats.dot_bracket import from_dot_bracket, to_dot_bracket
from rna_predict.templates.embedding import embed

SCHEMA = "rna_predict.template_library"
VERSION = 1
CARRIED = "pdb.safetensors"
"""Name of the library that the package carries, beside this file; `pdb.md` is its card."""
HEADER = "library"
"""Name of the one metadata entry."""
UNIT = 0.01
"""Å of one step of a stored coordinate; 16 bits reach ±327 Å from the chain's centre."""
AGAIN = "Make it again: rna-predict templates build."
SHORTEST_STRAND = 2
"""Residues of a loop's strand that has none between its pairs."""
_ARRAYS = {"rows": "U8", "xyz": "I16", "atoms": "I32", "linked": "U8"}
_LABELS = ("id", "sequence", "structure", "cluster", "date", "source")
"""Text of every row."""


class Row(NamedTuple):
    """What a search sees of a chain, or of a loop that was cut out of one.

    Attributes:
        id: unique in its library.
        sequence: letters of the residues that the experiment saw.
        structure: dot-bracket of the canonical pairs, pseudoknots in further brackets.
        cluster: of similar sequences, or empty.
        date: day of deposition, YYYY-MM-DD, or empty.
        source: entry that the chain is of.
        strands: empty for a chain. For a loop alone the residues of each of its strands, from 5' to 3' around it, with
            the paired residue before and behind each.
    """

    id: str
    sequence: str
    structure: str
    cluster: str
    date: str
    source: str
    strands: tuple[int, ...] = ()

    @property
    def loop(self) -> bool:
        """Whether it is a loop alone, which no search for whole chains sees."""
        return bool(self.strands)

    @property
    def breaks(self) -> tuple[int, ...]:
        """First residue of each strand but the first."""
        return tuple(itertools.accumulate(self.strands))[:-1]

    @property
    def values(self) -> list[Any]:
        """As they are stored and digested; a chain has no strands there, as before there were loops."""
        return [*self[: len(_LABELS)], *([list(self.strands)] if self.strands else [])]

    @property
    def partner_L(self) -> np.ndarray:
        """int32 [L], index of the paired residue or -1."""
        return from_dot_bracket(self.structure, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Atoms:
    """A chain's coordinates.

    Attributes:
        xyz_LA3: float32 [L, MAX_ATOMS, 3], Å, centred; 0 where masked out.
        mask_LA: bool [L, MAX_ATOMS], atoms that the experiment saw.
        linked_L: bool [L-1], residues i and i + 1 are neighbours and bound.
    """

    xyz_LA3: np.ndarray
    mask_LA: np.ndarray
    linked_L: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A chain's coordinates as they are stored.

    Attributes:
        xyz_N3: int16 [N, 3], hundredths of Å from the centre, of the atoms that are there, residue by residue.
        atoms_L: int32 [L], bit k is set where atom k of the residue is there.
        linked_L: uint8 [L], 1 where the residue is bound to the next.
    """

    xyz_N3: np.ndarray
    atoms_L: np.ndarray
    linked_L: np.ndarray


@runtime_checkable
class Library(Protocol):
    """Rows in a fixed order, the loops behind the chains; the atoms of each; and the chains nearest to a vector."""

    @property
    def rows(self) -> Sequence[Row]:
        """Of all chains, then of all loops."""
        ...

    @property
    def digest(self) -> str:
        """sha256 over rows and atoms."""
        ...

    @property
    def made_by(self) -> dict[str, str]:
        """Command, source and licence, by name."""
        ...

    def atoms(self, position: int) -> Atoms:
        """Coordinates of the chain at a position.

        Raises:
            ContractError: they are damaged.
        """
        ...

    def nearest(self, vector: np.ndarray, count: int) -> list[int]:
        """Positions of the `count` chains whose embeddings are nearest, the nearest first."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class MemoryLibrary:
    """A library that is read whole, as from a .safetensors file."""

    rows: tuple[Row, ...] = field(repr=False)
    packed: tuple[Packed, ...] = field(repr=False)
    made_by: dict[str, str]

    def __post_init__(self) -> None:
        """Raise ContractError where ids occur twice, or arrays do not fit the sequences."""
        check_rows(self.rows)
        for row, packed in zip(self.rows, self.packed, strict=True):
            check_packed(row, packed)

    @property
    def digest(self) -> str:
        """sha256 over rows and atoms."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return library_digest([row_digest(*pair) for pair in zip(self.rows, self.packed, strict=True)])

    @cached_property
    def vectors(self) -> np.ndarray:
        """float32 [N, DIMENSION], embedding of each row."""
        return np.stack([embed(row.sequence, row.partner_L) for row in self.rows])

    def atoms(self, position: int) -> Atoms:
        """Coordinates of the chain at a position."""
        return unpack(self.packed[position])

    def nearest(self, vector: np.ndarray, count: int) -> list[int]:
        """Positions of the `count` chains whose embeddings are nearest, the nearest first."""
        own = self.vectors[: len(chain_positions(self.rows))]
        return np.argsort(-(own @ vector), kind="stable")[:count].tolist()

    def save(self, path: Path) -> None:
        """Write the library whole or not at all; equal content gives equal bytes."""
        arrays = {
            "rows": np.frombuffer(json.dumps([row.values for row in self.rows]).encode(), dtype=np.uint8),
            "xyz": np.concatenate([one.xyz_N3 for one in self.packed]),
            "atoms": np.concatenate([one.atoms_L for one in self.packed]),
            "linked": np.concatenate([one.linked_L for one in self.packed]),
        }
        header = {"schema": SCHEMA, "version": VERSION, "made_by": self.made_by, "digest": self.digest}
        content = to_safetensors(arrays, metadata={HEADER: json.dumps(header, sort_keys=True)})
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)

    @classmethod
    def load(cls, path: Path) -> "MemoryLibrary":
        """Read and verify a library.

        Raises:
            ContractError: missing, damaged, or of another schema or version.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                header = checked_header(path, (file.metadata() or {}).get(HEADER, "{}"))
                kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
                if kinds != _ARRAYS:
                    raise ContractError(f"{path}: expected arrays {_ARRAYS}, found {kinds}. {AGAIN}")
                arrays = {name: file.get_tensor(name) for name in _ARRAYS}
            rows = tuple(row_of(values) for values in json.loads(arrays["rows"].tobytes()))
            library = cls(rows=rows, packed=_split(rows, arrays), made_by=header["made_by"])
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise ContractError(f"{path}: not a readable {SCHEMA} file ({error}). {AGAIN}") from error
        if library.digest != header["digest"]:
            raise ContractError(f"{path}: the content does not match its digest; the file is damaged. {AGAIN}")
        return library


def open_library(path: str = "") -> Library:
    """A library, read once a process; an empty path is the one that the package carries.

    Raises:
        ContractError: missing, damaged, or of another schema or version.
    """
    return _opened(path)


@lru_cache(maxsize=2)
def _opened(path: str) -> Library:
    if not path:
        with resources.as_file(resources.files("rna_predict.templates").joinpath(CARRIED)) as carried:
            return MemoryLibrary.load(carried)
    if Path(path).is_dir():
        from rna_predict.templates.lance import LanceLibrary

        return LanceLibrary.open(Path(path))
    if not Path(path).is_file():
        raise ContractError(f"{path}: no such library of templates. {AGAIN}")
    return MemoryLibrary.load(Path(path))


def make_row(
    id: str, sequence: str, partner_L: np.ndarray, labels: dict[str, str], strands: tuple[int, ...] = ()
) -> Row:
    """The row of a chain, or with `strands` of a loop; `labels` may hold `cluster`, `date` and `source`."""
    known = {"cluster": "", "date": "", "source": ""} | labels
    return Row(id=id, sequence=sequence, structure=to_dot_bracket(partner_L), strands=strands, **known)


def row_of(values: Sequence[Any]) -> Row:
    """The row of what `Row.values` gave.

    Raises:
        TypeError: too few or too many values.
    """
    labels, strands = values[: len(_LABELS)], values[len(_LABELS) :]
    return Row(*labels, *(tuple(one) for one in strands))


def chain_positions(rows: Sequence[Row]) -> range:
    """Positions of the chains, which come before the loops."""
    return range(sum(not row.loop for row in rows))


def pack(xyz_LA3: np.ndarray, mask_LA: np.ndarray, linked_L: np.ndarray) -> Packed:
    """Centre and round a chain's coordinates.

    Raises:
        ContractError: an atom lies farther from the centre than 16 bits reach.
    """
    present_N3 = xyz_LA3[mask_LA].astype(np.float64)
    steps_N3 = np.rint((present_N3 - present_N3.mean(axis=0)) / UNIT)
    if np.abs(steps_N3).max() > np.iinfo(np.int16).max:
        raise ContractError(f"a chain of {len(xyz_LA3)} residues reaches farther than 327 Å from its centre")
    atoms_L = (mask_LA.astype(np.int64) << np.arange(MAX_ATOMS)).sum(axis=1).astype(np.int32)
    bound_L = np.append(linked_L, False).astype(np.uint8)
    return Packed(xyz_N3=steps_N3.astype(np.int16), atoms_L=atoms_L, linked_L=bound_L)


def unpack(packed: Packed) -> Atoms:
    """The coordinates, to a hundredth of Å."""
    mask_LA = (packed.atoms_L[:, None] >> np.arange(MAX_ATOMS) & 1).astype(bool)
    xyz_LA3 = np.zeros((*mask_LA.shape, 3), dtype=np.float32)
    xyz_LA3[mask_LA] = packed.xyz_N3 * np.float32(UNIT)
    return Atoms(xyz_LA3=xyz_LA3, mask_LA=mask_LA, linked_L=packed.linked_L[:-1].astype(bool))


def check_rows(rows: Sequence[Row]) -> None:
    """Raise ContractError where there is none, an id occurs twice, a row is not whole, or a loop is before a chain."""
    if not rows or len({row.id for row in rows}) < len(rows):
        raise ContractError(f"library of templates: {len(rows)} rows; there must be some, each id once. {AGAIN}")
    for row in rows:
        if not row.sequence or len(row.structure) != len(row.sequence):
            raise ContractError(f"library of templates: {row.id}: {len(row.structure)} marks of structure. {AGAIN}")
        if row.strands and (sum(row.strands) != len(row.sequence) or min(row.strands) < SHORTEST_STRAND):
            raise ContractError(f"library of templates: {row.id}: strands of {row.strands} residues. {AGAIN}")
    if any(row.loop for row in rows[: len(chain_positions(rows))]):
        raise ContractError(f"library of templates: a loop stands before a chain. {AGAIN}")


def check_packed(row: Row, packed: Packed) -> None:
    """Raise ContractError where the arrays are not of the row's residues."""
    fits = packed.atoms_L.shape == packed.linked_L.shape == (len(row.sequence),)
    if fits:
        mask_LA = (packed.atoms_L[:, None] >> np.arange(32) & 1).astype(bool)
        fits = packed.xyz_N3.shape == (int(mask_LA.sum()), 3) and not (
            mask_LA[:, MAX_ATOMS:].any() or (mask_LA[:, :MAX_ATOMS] & ~full_mask(row.sequence)).any()
        )
    if not fits:
        raise ContractError(f"library of templates: the atoms of {row.id} do not fit its sequence. {AGAIN}")


def row_digest(row: Row, packed: Packed) -> str:
    """sha256 over a row and its atoms."""
    state = hashlib.sha256(json.dumps(row.values).encode())
    for value, kind in ((packed.xyz_N3, "<i2"), (packed.atoms_L, "<i4"), (packed.linked_L, "u1")):
        state.update(np.ascontiguousarray(value, dtype=kind).tobytes())
    return state.hexdigest()


def library_digest(rows: Sequence[str]) -> str:
    """sha256 over the digests of all rows, in order."""
    return digest_of(list(rows))


def checked_header(path: Path, text: str) -> dict[str, Any]:
    """The header of a library.

    Raises:
        ContractError: of another schema or version.
        ValueError: no JSON.
    """
    header = json.loads(text)
    found = (header.get("schema"), header.get("version")) if isinstance(header, dict) else (None, None)
    if found != (SCHEMA, VERSION):
        raise ContractError(
            f"{path}: expected {SCHEMA} version {VERSION}, found {found[0]} version {found[1]}. {AGAIN}"
        )
    return header


def _split(rows: Sequence[Row], arrays: dict[str, np.ndarray]) -> tuple[Packed, ...]:
    """The packed chains, whose arrays lie one after the other."""
    ends = np.cumsum([len(row.sequence) for row in rows])
    if len(arrays["atoms"]) != ends[-1] or len(arrays["linked"]) != ends[-1]:
        raise ContractError(f"library of templates: {len(arrays['atoms'])} residues, expected {ends[-1]}. {AGAIN}")
    atoms, linked = np.split(arrays["atoms"], ends[:-1]), np.split(arrays["linked"], ends[:-1])
    counts = [int((one[:, None] >> np.arange(32) & 1).sum()) for one in atoms]
    xyz = np.split(arrays["xyz"], np.cumsum(counts)[:-1])
    return tuple(
        Packed(xyz_N3=points, atoms_L=bits, linked_L=bound)
        for points, bits, bound in zip(xyz, atoms, linked, strict=True)
    )
