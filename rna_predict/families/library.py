"""The library of families: one file with a profile, the consensus structure and diverse seed rows of each family."""

import hashlib
import json
import lzma
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from rna_predict.atomic import atomic_path
from rna_predict.errors import ContractError
from rna_predict.families.profile import ProfileCodes

SCHEMA = "rna_predict.families"
VERSION = 1
CARRIED = "rfam.safetensors"
"""Name of the library that the package carries, beside this file; `rfam.md` is its card."""
HEADER = "families"
"""Name of the one metadata entry."""
BLOCK = 64
"""Families whose seed rows are packed together; a hit unpacks one block."""
ARRAYS = {"index": "U8", "match": "U8", "transition": "U8", "evalue": "F32", "rows": "U8", "row_blocks": "I32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What is known of one family; positions are those of its profile's M match states.

    Attributes:
        accession: Rfam's, e.g. RF00005.
        name: e.g. tRNA.
        description: one line.
        type: Rfam's type, e.g. `Gene; tRNA;`.
        clan: accession of its clan, or empty.
        consensus: M letters of the seed's line RF, upper case where conserved.
        structure: M marks of WUSS, pseudoknots as `A`…`a`; pairs with an end off the consensus columns are left out.
        support: for each pair (i < j, sorted by i) the share in percent of the seed's rows, weighted against
            redundancy, whose residues there form A-U, C-G or G-U; rows with neither residue are not counted.
        rows: number of rows of the seed.
    """

    accession: str
    name: str
    description: str
    type: str
    clan: str
    consensus: str
    structure: str
    support: tuple[int, ...]
    rows: int

    @property
    def length(self) -> int:
        """M, number of match states."""
        return len(self.consensus)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRow:
    """A seed row in a3m's way: M upper-case letters or `-`, and lower-case insertions between."""

    name: str
    letters: str


@dataclass(frozen=True, kw_only=True, eq=False)
class FamilyLibrary:
    """Families with their profiles and seed rows, in the order of their accessions.

    Attributes:
        release: of the source, e.g. `Rfam 14.9`.
        families: one entry a family.
        codes: each family's profile.
        packed_rows: each block of `BLOCK` families' seed rows, xz.
        made_by: command, licence and hash of the seeds, by name.
        digest: sha256 of the file's content; empty before it is one.
    """

    release: str
    families: tuple[Family, ...]
    codes: tuple[ProfileCodes, ...]
    packed_rows: tuple[bytes, ...]
    made_by: dict[str, str]
    digest: str = ""

    def __post_init__(self) -> None:
        """Raise ContractError where lengths disagree or accessions are not in strictly rising order."""
        accessions = [family.accession for family in self.families]
        if accessions != sorted(set(accessions)) or not accessions:
            raise ContractError("family library: accessions must be there, in rising order and each once")
        if len(self.codes) != len(self.families) or len(self.packed_rows) != -(-len(self.families) // BLOCK):
            raise ContractError("family library: profiles, rows and families are not equally many")
        for family, codes in zip(self.families, self.codes, strict=True):
            shapes = (codes.match_M4.shape, codes.transition_M7.shape, len(family.structure))
            if shapes != ((family.length, 4), (family.length + 1, 7), family.length):
                raise ContractError(f"family library: {family.accession} has M {family.length} and arrays {shapes}")

    @cached_property
    def number(self) -> dict[str, int]:
        """Position of each accession."""
        return {family.accession: n for n, family in enumerate(self.families)}

    def seed_rows(self, accession: str) -> tuple[SeedRow, ...]:
        """Diverse rows of a family's seed, the most typical first."""
        number = self.number[accession]
        texts = lzma.decompress(self.packed_rows[number // BLOCK]).decode().split("\n\n")
        lines = texts[number % BLOCK].splitlines()
        return tuple(SeedRow(name=name, letters=row) for name, row in (line.split("\t") for line in lines))

    def save(self, path: Path) -> None:
        """Write the library whole or not at all; equal content gives equal bytes."""
        match = np.concatenate([codes.match_M4 for codes in self.codes])
        transition = np.concatenate([codes.transition_M7 for codes in self.codes])
        arrays = {
            "index": _packed(json.dumps([asdict(family) for family in self.families], sort_keys=True).encode()),
            "match": _packed(match.T.tobytes()),
            "transition": _packed(transition.T.tobytes()),
            "evalue": np.stack([codes.evalue_6 for codes in self.codes]).astype(np.float32),
            "rows": np.frombuffer(b"".join(self.packed_rows), dtype=np.uint8),
            "row_blocks": np.cumsum([len(block) for block in self.packed_rows]).astype(np.int32),
        }
        header = {"schema": SCHEMA, "version": VERSION, "release": self.release, "made_by": self.made_by}
        header["content"] = _digest(arrays)
        content = to_safetensors(arrays, metadata={HEADER: json.dumps(header, sort_keys=True)})
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)

    @classmethod
    def load(cls, path: Path) -> "FamilyLibrary":
        """Read and verify a library.

        Raises:
            ContractError: missing, damaged, or of another schema or version.
        """
        again = "Make it again: rna-predict families build."
        if not path.is_file():
            raise ContractError(f"{path}: no such family library. {again}")
        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {}).get(HEADER, "{}"))
                if (header.get("schema"), header.get("version")) != (SCHEMA, VERSION):
                    found = f"{header.get('schema')} version {header.get('version')}"
                    raise ContractError(f"{path}: expected {SCHEMA} version {VERSION}, found {found}. {again}")
                kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
                if kinds != ARRAYS:
                    raise ContractError(f"{path}: expected arrays {ARRAYS}, found {kinds}. {again}")
                arrays = {name: file.get_tensor(name) for name in ARRAYS}
            if _digest(arrays) != header["content"]:
                raise ContractError(f"{path}: the content does not match its digest; the file is damaged. {again}")
            return _unpacked(header, arrays)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
            raise ContractError(f"{path}: not a readable {SCHEMA} file ({error}). {again}") from error


@lru_cache(maxsize=2)
def load_library(path: str = "") -> FamilyLibrary:
    """A library, read once a process; an empty path is the one that the package carries.

    Raises:
        ContractError: as `FamilyLibrary.load`.
    """
    if path:
        return FamilyLibrary.load(Path(path))
    with resources.as_file(resources.files("rna_predict.families").joinpath(CARRIED)) as carried:
        return FamilyLibrary.load(carried)


def pack_rows(families: Sequence[Sequence[SeedRow]]) -> tuple[bytes, ...]:
    """Blocks of `BLOCK` families' rows, in order."""
    texts = ["\n".join(f"{row.name}\t{row.letters}" for row in rows) for rows in families]
    return tuple(_xz("\n\n".join(texts[n : n + BLOCK]).encode()) for n in range(0, len(texts), BLOCK))


def _unpacked(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> FamilyLibrary:
    entries = json.loads(lzma.decompress(arrays["index"].tobytes()))
    families = tuple(Family(**(entry | {"support": tuple(entry["support"])})) for entry in entries)
    lengths = np.array([family.length for family in families])
    match = np.frombuffer(lzma.decompress(arrays["match"].tobytes()), dtype=np.uint8).reshape(4, -1).T
    transition = np.frombuffer(lzma.decompress(arrays["transition"].tobytes()), dtype=np.uint8).reshape(7, -1).T
    parts = zip(
        np.split(match, np.cumsum(lengths)[:-1]),
        np.split(transition, np.cumsum(lengths + 1)[:-1]),
        arrays["evalue"],
        strict=True,
    )
    rows, ends = arrays["rows"].tobytes(), arrays["row_blocks"].tolist()
    return FamilyLibrary(
        release=header["release"],
        families=families,
        codes=tuple(ProfileCodes(match_M4=m, transition_M7=t, evalue_6=e) for m, t, e in parts),
        packed_rows=tuple(rows[first:last] for first, last in zip([0, *ends], ends, strict=False)),
        made_by=header["made_by"],
        digest=header["content"],
    )


def _xz(content: bytes) -> bytes:
    return lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)


def _packed(content: bytes) -> np.ndarray:
    return np.frombuffer(_xz(content), dtype=np.uint8)


def _digest(arrays: dict[str, np.ndarray]) -> str:
    state = hashlib.sha256()
    for name in sorted(arrays):
        state.update(f"{name}{arrays[name].shape}".encode())
        state.update(np.ascontiguousarray(arrays[name]).tobytes())
    return state.hexdigest()
