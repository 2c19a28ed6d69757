"""A dataset on disk: a LanceDB table of chains, the split beside it, and a manifest that says how it was made."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rna_predict.atomic import atomic_path
from rna_predict.contracts import digest_of
from rna_predict.data.chains import Chain
from rna_predict.data.splits import Member, read_splits
from rna_predict.data.table import open_table, read_chain, read_columns
from rna_predict.errors import ContractError, InputError

MANIFEST = "dataset.json"
REFUSED = "refused.tsv"
SCHEMA = "rna_predict.dataset"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a dataset holds and how it was made; equal sources and settings give an equal manifest.

    Attributes:
        digest: sha256 over all rows in their order, clusters included.
        chains: number of rows.
        residues: in all chains.
        clusters: number of sequence clusters.
        files: structure files that were read.
        refused: number of refusals by kind.
        settings: those of the build.
        package_version: that built it.
    """

    digest: str
    chains: int
    residues: int
    clusters: int
    files: int
    refused: Mapping[str, int]
    settings: Mapping[str, object]
    package_version: str
    schema: str = SCHEMA
    version: int = VERSION

    def save(self, folder: Path) -> None:
        """Write `dataset.json`, whole or not at all."""
        with atomic_path(folder / MANIFEST) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a dataset.

    Raises:
        InputError: the folder is no dataset.
        ContractError: its manifest is damaged or of another version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder}: is no dataset (no {MANIFEST}). Make one with `rna-predict dataset build`.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        stated = (found.get("schema"), found.get("version")) if isinstance(found, dict) else (None, None)
        if stated != (SCHEMA, VERSION):
            raise ContractError(
                f"{path}: expected {SCHEMA} version {VERSION}, found {stated}. Build the dataset again."
            )
        return Manifest(**found)
    except (ValueError, TypeError, OSError) as error:
        raise ContractError(f"{path}: damaged manifest ({error}). Build the dataset again.") from error


@dataclass(slots=True)
class ChainDataset:
    """The chains of a dataset by position, read from disk one by one.

    Attributes:
        folder: the dataset.
        manifest: what it holds.
        ids: of each position.
        length_N: int64, residues of each chain.
        clusters: of each position.
        dates: of each position, YYYY-MM-DD or empty.
        sequences: of each position.
        splits: split of each id.
    """

    folder: Path
    manifest: Manifest
    ids: list[str]
    length_N: np.ndarray
    clusters: list[str]
    dates: list[str]
    sequences: list[str]
    splits: dict[str, str]
    _table: Any = field(default=None, repr=False)
    _process: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, position: int) -> Chain:
        """The chain at a position.

        Raises:
            ContractError: the row is damaged.
        """
        if not 0 <= position < len(self.ids):
            raise IndexError(f"{self.folder}: position {position} of {len(self.ids)} chains")
        return read_chain(self._opened(), position)

    def __getstate__(self) -> dict[str, Any]:
        """For a worker process: it opens the table itself."""
        return {name: getattr(self, name) for name in self.__slots__} | {"_table": None, "_process": 0}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def get(self, id: str) -> Chain:
        """The chain of this id.

        Raises:
            InputError: there is none.
        """
        if id not in self.ids:
            raise InputError(f"{self.folder}: has no chain {id!r}. Its {REFUSED} says what was refused.")
        return self[self.ids.index(id)]

    @property
    def digest(self) -> str:
        """Hash of all rows."""
        return self.manifest.digest

    def positions(self, split: str) -> np.ndarray:
        """int64 positions of the chains of a split, ascending."""
        return np.array([k for k, id in enumerate(self.ids) if self.splits[id] == split], dtype=np.int64)

    def members(self) -> list[Member]:
        """The chains as what a split is decided by."""
        rows = zip(self.ids, self.clusters, self.dates, strict=True)
        return [Member(id=id, cluster=cluster, date=date) for id, cluster, date in rows]

    def verify(self) -> None:
        """Read every chain and compare with the manifest's digest.

        Raises:
            ContractError: a row is damaged, or the digest differs.
        """
        rows = [(self[position].digest(), self.clusters[position]) for position in range(len(self))]
        if dataset_digest(rows) != self.manifest.digest:
            raise ContractError(f"{self.folder}: its chains are not those of its manifest. Build the dataset again.")

    def _opened(self) -> Any:
        """The table, opened by this very process: its handle does not survive a fork."""
        if self._table is None or self._process != os.getpid():
            self._table, self._process = open_table(self.folder), os.getpid()
        return self._table


def open_dataset(folder: Path) -> ChainDataset:
    """Open a dataset for reading.

    Raises:
        InputError: the folder is no dataset.
        ContractError: manifest, table and split do not belong together.
        ConfigError: lancedb is not installed.
    """
    manifest, splits = read_manifest(folder), read_splits(folder)
    columns = read_columns(open_table(folder), ("id", "length", "cluster", "date", "sequence"))
    ids = columns["id"]
    if len(ids) != manifest.chains or set(ids) != splits.keys():
        raise ContractError(f"{folder}: manifest, table and split name different chains. Build the dataset again.")
    return ChainDataset(
        folder=folder,
        manifest=manifest,
        ids=ids,
        length_N=np.array(columns["length"], dtype=np.int64),
        clusters=columns["cluster"],
        dates=columns["date"],
        sequences=columns["sequence"],
        splits=splits,
    )


def dataset_digest(rows: list[tuple[str, str]]) -> str:
    """sha256 over each row's digest and cluster, in order."""
    return digest_of([list(row) for row in rows])
