"""Known secondary structures on disk: one row an RNA, with its family, its cluster and its split."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rna_predict.atomic import atomic_path
from rna_predict.contracts import digest_of
from rna_predict.errors import ContractError, InputError
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.formats.reading import read_text

ROWS = "rows.tsv"
MANIFEST = "pairs.json"
SCHEMA = "rna_predict.pair_table"
VERSION = 1

TRAIN, VALIDATION, TEST, WITHIN = PAIR_SPLITS = ("train", "validation", "test", "within")
"""`validation` and `test` hold whole families that nothing trains on; `within` holds clusters of families that do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A known secondary structure.

    Attributes:
        id: its name in the source, unique in the table.
        sequence: letters A C G U.
        dot_bracket: its pairs, pseudoknots in other brackets.
        source: the collection that it comes from.
        family: what it is a member of: the first of the Rfam accessions that are split together, or a cluster's name.
        cluster: name of its cluster at 80 % identity, within the family.
        split: one of `PAIR_SPLITS`.
    """

    id: str
    sequence: str
    dot_bracket: str
    source: str
    family: str
    cluster: str
    split: str

    @property
    def partner_L(self) -> np.ndarray:
        """int32 [L], index of the paired residue or -1."""
        return from_dot_bracket(self.dot_bracket)

    @property
    def length(self) -> int:
        """Residues."""
        return len(self.sequence)


COLUMNS = tuple(PairRow.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairManifest:
    """What a table holds and how it was made; equal inputs and settings give an equal manifest.

    Attributes:
        digest: sha256 over all rows in their order.
        rows: number of rows.
        families: number of families.
        refused: number of refusals by reason.
        splits: rows and families of each split.
        accessions: Rfam accessions of each family that has several, or another name.
        settings: those of the command.
        package_version: that made it.
    """

    digest: str
    rows: int
    families: int
    refused: dict[str, int]
    splits: dict[str, dict[str, int]]
    accessions: dict[str, list[str]]
    settings: dict[str, Any]
    package_version: str
    schema: str = SCHEMA
    version: int = VERSION


@dataclass(slots=True)
class PairTable:
    """A table, in memory; a position is a row's place in it.

    Attributes:
        folder: where it lies.
        manifest: what it says about itself.
        rows: in its order.
        ids: of each position.
        clusters: what an epoch draws from: the family of each position.
        splits: split of each id.
    """

    folder: Path
    manifest: PairManifest
    rows: list[PairRow]
    ids: list[str] = field(init=False)
    clusters: list[str] = field(init=False)
    splits: dict[str, str] = field(init=False)
    _length_N: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Index the rows."""
        self.ids = [row.id for row in self.rows]
        self.clusters = [row.family for row in self.rows]
        self.splits = {row.id: row.split for row in self.rows}
        self._length_N = np.array([row.length for row in self.rows], dtype=np.int64)

    @property
    def length_N(self) -> np.ndarray:
        """int64 [N], residues of each row."""
        return self._length_N

    @property
    def digest(self) -> str:
        """Hash of all rows."""
        return self.manifest.digest

    def __getitem__(self, position: int) -> PairRow:
        """The row at a position."""
        return self.rows[position]

    def positions(self, split: str) -> np.ndarray:
        """int64 positions of the rows of a split, ascending."""
        return np.array([k for k, row in enumerate(self.rows) if row.split == split], dtype=np.int64)

    def of_split(self, split: str) -> Iterator[PairRow]:
        """Rows of a split."""
        return (row for row in self.rows if row.split == split)


def digest_of_rows(rows: Sequence[PairRow]) -> str:
    """sha256 over all fields of all rows."""
    return digest_of([[getattr(row, name) for name in COLUMNS] for row in rows])


def write_pair_table(folder: Path, rows: Sequence[PairRow], manifest: PairManifest) -> None:
    """Write a table, its manifest last: without one a folder is no table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    with atomic_path(folder / ROWS) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(row, name) for name in COLUMNS] for row in rows)
    with atomic_path(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_pair_table(folder: Path) -> PairTable:
    """Read a table.

    Raises:
        InputError: the folder holds none.
        ContractError: it is of another version, or its rows are not those that its manifest states.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder}: no {MANIFEST}. Make a table with `rna-predict dataset pairs`.")
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        version = (stated.get("schema"), stated.get("version"))
        if version != (SCHEMA, VERSION):
            raise ContractError(f"{path}: expected {SCHEMA} version {VERSION}, found {version}. Make the table again.")
        manifest = PairManifest(**stated)
    except (ValueError, TypeError, AttributeError) as error:
        raise ContractError(f"{path}: damaged manifest ({error}). Make the table again.") from error
    rows = _read_rows(folder / ROWS)
    if digest_of_rows(rows) != manifest.digest:
        raise ContractError(f"{folder / ROWS}: other rows than {MANIFEST} states. Make the table again.")
    return PairTable(folder=folder, manifest=manifest, rows=rows)


def _read_rows(path: Path) -> list[PairRow]:
    reader = csv.DictReader(read_text(path).splitlines(), delimiter="\t")
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ContractError(f"{path}: columns {reader.fieldnames}, expected {list(COLUMNS)}. Make the table again.")
    return [PairRow(**row) for row in reader]
