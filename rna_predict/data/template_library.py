"""A library of templates from a dataset or a folder of structures: which chains it takes, and as what rows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rna_predict.data.chains import Chain
from rna_predict.data.clusters import greedy_clusters
from rna_predict.data.dataset import MANIFEST, open_dataset
from rna_predict.data.entries import Limits, SourceFile, read_group
from rna_predict.data.sources import find_sources
from rna_predict.errors import ConfigError, InputError
from rna_predict.templates.library import MemoryLibrary, Packed, Row, make_row, pack


@dataclass(kw_only=True)
class LibrarySettings:
    """Which chains go into a library."""

    split: str = "train"
    """Of a dataset, the split whose chains are taken; empty for all."""
    identity: float = 0.95
    """Of chains that share this much of the shorter one the longest stays, the best resolved among equals; above 1
    all stay."""
    min_length: int = 15
    """Fewest residues."""
    min_atoms: float = 0.8
    """Least share of the heavy atoms that must be there."""

    def __post_init__(self) -> None:
        """Raise ConfigError for values that take nothing."""
        if not (self.identity >= 0.5 and self.min_length >= 2 and 0 <= self.min_atoms <= 1):
            raise ConfigError(
                f"identity {self.identity}, min_length {self.min_length}, min_atoms {self.min_atoms}: "
                "need 0.5 or more, 2 or more, and a share."
            )


class Candidate(NamedTuple):
    """A chain that may be taken: its row, its atoms, and its resolution in Å or infinity."""

    row: Row
    packed: Packed
    resolution: float


def build_library(
    source: Path,
    settings: LibrarySettings,
    made_by: dict[str, str],
    advance: Callable[[str], None] = lambda name: None,
) -> MemoryLibrary:
    """The library of a dataset's folder, or of a folder (list, file) of structure files; rows by id.

    Args:
        source: what to read.
        settings: which chains are taken.
        made_by: stated in the file.
        advance: is told each chain that was read.

    Raises:
        InputError: there is nothing to read, or no chain is taken.
        ContractError: the dataset is damaged.
    """
    limits = Limits(min_length=settings.min_length, min_atoms=settings.min_atoms)
    chains = _of_dataset(source, settings) if (source / MANIFEST).is_file() else _of_files(source, limits)
    taken: dict[str, Candidate] = {}
    for chain, cluster in chains:
        advance(chain.id)
        if chain.length >= settings.min_length and _completeness(chain) >= settings.min_atoms:
            if chain.id in taken:
                raise InputError(f"{source}: two chains have the id {chain.id}. Rename one of the files.")
            taken[chain.id] = _candidate(chain, cluster)
    if not taken:
        raise InputError(f"{source}: no chain of at least {settings.min_length} residues here.")
    kept = sorted(_representatives(list(taken.values()), settings.identity), key=lambda one: one.row.id)
    return MemoryLibrary(rows=tuple(one.row for one in kept), packed=tuple(one.packed for one in kept), made_by=made_by)


def _of_dataset(folder: Path, settings: LibrarySettings) -> Iterator[tuple[Chain, str]]:
    dataset = open_dataset(folder)
    chosen = dataset.positions(settings.split) if settings.split else np.arange(len(dataset))
    if not len(chosen):
        raise InputError(f"{folder}: no chain of its split {settings.split!r}. Splits: {set(dataset.splits.values())}.")
    for position in chosen.tolist():
        yield dataset[position], dataset.clusters[position]


def _of_files(source: Path, limits: Limits) -> Iterator[tuple[Chain, str]]:
    sources = find_sources(source)
    for path in sources.files:
        for chain in read_group([SourceFile(path=path, name=sources.name(path))], {}, limits).chains:
            yield chain, ""


def _completeness(chain: Chain) -> float:
    from rna_predict.contracts.structure import full_mask

    return float(chain.mask_LA.sum() / full_mask(chain.sequence).sum())


def _candidate(chain: Chain, cluster: str) -> Candidate:
    labels = {"cluster": cluster, "date": chain.origin.date, "source": chain.origin.entry}
    return Candidate(
        row=make_row(chain.id, chain.sequence, chain.partner_L, labels),
        packed=pack(chain.xyz_LA3, chain.mask_LA, chain.linked_L),
        resolution=chain.origin.resolution or np.inf,
    )


def _representatives(candidates: list[Candidate], identity: float) -> Iterable[Candidate]:
    """One chain for each group of the same RNA: the longest, then the most complete, the best resolved, by id."""
    if identity > 1:
        return candidates
    numbers = greedy_clusters([one.row.sequence for one in candidates], identity)
    best: dict[int, Candidate] = {}
    for number, one in sorted(zip(numbers, candidates, strict=True), key=lambda pair: _rank(pair[1])):
        best.setdefault(number, one)
    return best.values()


def _rank(one: Candidate) -> tuple[int, int, float, str]:
    return -len(one.row.sequence), -len(one.packed.xyz_N3), one.resolution, one.row.id
