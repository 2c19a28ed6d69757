"""Which chains train, validate and test: whole clusters, so that no chain is tested on what its likes were trained on.

A split is a table `splits.tsv` of ids beside the chains; it can be made anew without building the dataset again.
"""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rna_predict.atomic import atomic_path
from rna_predict.contracts import digest_of
from rna_predict.data.sources import DAY, SPLITS
from rna_predict.errors import ConfigError, ContractError, InputError
from rna_predict.formats.reading import read_text

SPLITS_FILE = "splits.tsv"
HEADER = ("id", "cluster", "split")

TRAIN, VALIDATION, TEST, LEFT_OUT = SPLITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a split is decided by."""

    id: str
    cluster: str
    date: str = ""
    """YYYY-MM-DD; empty where unknown."""
    assigned: str = ""
    """The split that an index names; empty where none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """How chains are split. Dates split by date; else the clusters of the listed ids and drawn ones are held out."""

    validation_ids: tuple[str, ...] = ()
    """Their whole clusters validate."""
    test_ids: tuple[str, ...] = ()
    """Their whole clusters test; they win over validation."""
    validation_share: float = 0.0
    """Share of the other clusters that validate, drawn by `seed`."""
    test_share: float = 0.0
    """Share of the other clusters that test."""
    seed: int = 0
    """Decides which clusters are drawn; further chains in the dataset reorder nobody else."""
    validation_from: str = ""
    """YYYY-MM-DD; chains of this day and later do not train."""
    test_from: str = ""
    """YYYY-MM-DD, not before `validation_from`; chains of this day and later test."""

    def __post_init__(self) -> None:
        """Raise ConfigError for shares outside [0, 1), no dates, or dates and ids or shares at once."""
        for name in ("validation_share", "test_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)} is not a share from 0 to below 1.")
        if self.validation_share + self.test_share >= 1:
            raise ConfigError("validation_share and test_share together leave nothing to train on.")
        for name in ("validation_from", "test_from"):
            if getattr(self, name) and not DAY.fullmatch(getattr(self, name)):
                raise ConfigError(f"{name}: {getattr(self, name)!r} is not a day as YYYY-MM-DD.")
        if self.by_date and (self.validation_ids or self.test_ids or self.validation_share or self.test_share):
            raise ConfigError("validation_from, test_from: a split by date takes no ids and no shares.")
        if self.test_from and self.validation_from > self.test_from:
            raise ConfigError(f"test_from: {self.test_from} lies before validation_from, {self.validation_from}.")

    @property
    def by_date(self) -> bool:
        """Whether dates decide."""
        return bool(self.validation_from or self.test_from)


def folds_of(clusters: Sequence[str], folds: int) -> dict[str, int]:
    """The fold of each cluster, from 0: drawn once and for all, of sizes that differ by one at most.

    A network that left one fold out can be asked about its chains as about unknown ones.
    """
    names = sorted(set(clusters))
    random.Random(0).shuffle(names)
    return {name: place % folds for place, name in enumerate(names)}


def split_members(members: Sequence[Member], settings: SplitSettings) -> dict[str, str]:
    """The split of each id: what the index assigns where it assigns any, else by date, else by cluster.

    Raises:
        InputError: a listed id is not in the dataset.
    """
    if any(member.assigned for member in members):
        return {member.id: member.assigned or LEFT_OUT for member in members}
    return _by_date(members, settings) if settings.by_date else _by_cluster(members, settings)


def _by_cluster(members: Sequence[Member], settings: SplitSettings) -> dict[str, str]:
    cluster_of = {member.id: member.cluster for member in members}
    split_of = dict.fromkeys(_clusters(cluster_of, settings.validation_ids), VALIDATION)
    split_of |= dict.fromkeys(_clusters(cluster_of, settings.test_ids), TEST)
    free = sorted(set(cluster_of.values()) - split_of.keys(), key=lambda name: digest_of([settings.seed, name]))
    validating, testing = round(settings.validation_share * len(free)), round(settings.test_share * len(free))
    split_of |= dict.fromkeys(free[:validating], VALIDATION)
    split_of |= dict.fromkeys(free[validating : validating + testing], TEST)
    return {id: split_of.get(cluster, TRAIN) for id, cluster in cluster_of.items()}


def _clusters(cluster_of: Mapping[str, str], ids: Sequence[str]) -> set[str]:
    missing = [id for id in ids if id not in cluster_of]
    if missing:
        raise InputError(
            f"validation or test id {missing[0]!r} and {len(missing) - 1} more are not in the dataset. "
            "Were they refused? The dataset's refused.tsv says why."
        )
    return {cluster_of[id] for id in ids}


def _by_date(members: Sequence[Member], settings: SplitSettings) -> dict[str, str]:
    """By day of deposition; a cluster that trains does neither validate nor test, one that validates does not test.

    Chains without a date, and later members of a cluster that is in use already, are left out.
    """
    split_of: dict[str, str] = {}
    stage_of = {member.id: _stage(member.date, settings) for member in members}
    for stage in (TRAIN, VALIDATION, TEST):
        taken = {member.cluster for member in members if split_of.get(member.id) not in (None, LEFT_OUT)}
        for member in members:
            if stage_of[member.id] == stage:
                split_of[member.id] = LEFT_OUT if member.cluster in taken else stage
    return {member.id: split_of.get(member.id, LEFT_OUT) for member in members}


def _stage(date: str, settings: SplitSettings) -> str:
    if not date:
        return LEFT_OUT
    if settings.test_from and date >= settings.test_from:
        return TEST
    return VALIDATION if settings.validation_from and date >= settings.validation_from else TRAIN


def write_splits(folder: Path, members: Sequence[Member], split_of: Mapping[str, str]) -> None:
    """Write `splits.tsv` whole or not at all, in the order of the members."""
    rows = ["\t".join(HEADER), *(f"{m.id}\t{m.cluster}\t{split_of[m.id]}" for m in members)]
    with atomic_path(folder / SPLITS_FILE) as temporary:
        temporary.write_text("\n".join(rows) + "\n", encoding="utf-8")


def read_splits(folder: Path) -> dict[str, str]:
    """The split of each id.

    Raises:
        ContractError: the table is missing or is none.
    """
    path = folder / SPLITS_FILE
    try:
        rows = list(csv.reader(read_text(path).splitlines(), delimiter="\t"))
    except InputError as error:
        raise ContractError(f"{error} Run `rna-predict dataset split`.") from error
    if not rows or tuple(rows[0]) != HEADER or any(len(row) != 3 or row[2] not in SPLITS for row in rows[1:]):
        raise ContractError(f"{path}: is no table of {', '.join(HEADER)}. Run `rna-predict dataset split`.")
    return {id: split for id, _, split in rows[1:]}
