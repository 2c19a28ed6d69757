"""Which known secondary structures belong together, and which of them train: whole families are held out.

Two rows are of one family when a profile hits both, when the clan, the source or a hit on each other's profile joins
their profiles, or, where no profile hits, when they share `identity`. A row without a hit can still be a remote
relative that no profile finds: what is held out is as far away as profiles and identity can tell.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rna_predict.data.clusters import greedy_clusters
from rna_predict.data.pair_table import TEST, TRAIN, VALIDATION, WITHIN, PairRow
from rna_predict.errors import ConfigError

ACCESSION = re.compile(r"RF\d{5}")

FEWEST_JOINING = 3
"""Rows that must hit two profiles before these count as one family: one row alone may hold two RNAs."""

COVERAGE = 0.4
"""Share of a longer sequence that a member of its cluster covers; a short piece fits into any long RNA somewhere."""

LABEL_SHARE = 0.1
"""Share of a label's rows that must hit a profile before the label joins it: a few rows are mislabelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStructure:
    """A row before it is split.

    Attributes:
        id: its name, unique.
        sequence: letters A C G U.
        dot_bracket: its pairs.
        source: the collection that it comes from.
        label: the family that its source names (an Rfam accession or any word), or empty.
        hits: Rfam accessions of profiles that it belongs to, best first.
    """

    id: str
    sequence: str
    dot_bracket: str
    source: str
    label: str
    hits: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """How rows are grouped and split."""

    identity: float = 0.8
    """Share of the shorter sequence by which rows of one family cluster."""
    test_share: float = 0.12
    """Share of the families that test, besides those of the sequences that are held out by name."""
    validation_share: float = 0.04
    """Share of the families that validate."""
    within_share: float = 0.06
    """Share of the clusters of each training family that do not train."""
    seed: int = 0
    """Decides what is drawn; further rows reorder nobody else."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a share outside [0, 1)."""
        for name in ("identity", "test_share", "validation_share", "within_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)} is not a share from 0 to below 1.")


def split_rows(
    rows: Sequence[KnownStructure],
    held_out: Sequence[KnownStructure],
    clans: Mapping[str, str],
    settings: GroupSettings,
) -> tuple[list[PairRow], dict[str, list[str]]]:
    """Group and split.

    Args:
        rows: the table.
        held_out: RNAs whose families test, whether rows of the table or not; they are not returned.
        clans: the clan of an accession, where it has one.
        settings: shares and seed.

    Returns:
        The rows in their order, and the members' names of each family that joins several.
    """
    both = [*rows, *held_out]
    family_N, joined = _families(both, clans, settings.identity)
    forced = set(family_N[len(rows) :])
    cluster_N = _clusters(rows, family_N, settings.identity)
    found: list[PairRow] = []
    for row, family, cluster in zip(rows, family_N, cluster_N, strict=False):
        found.append(
            PairRow(
                id=row.id,
                sequence=row.sequence,
                dot_bracket=row.dot_bracket,
                source=row.source,
                family=family,
                cluster=cluster,
                split=_split_of(family, cluster, family in forced, settings),
            )
        )
    return found, joined


def _families(
    rows: Sequence[KnownStructure], clans: Mapping[str, str], identity: float
) -> tuple[list[str], dict[str, list[str]]]:
    """Family of each row, and the names that make up each family of several."""
    tree = _Joined()
    labelled: dict[str, list[str]] = defaultdict(list)
    shared: Counter[tuple[str, str]] = Counter()
    for row in rows:
        names = [*row.hits[:1], *([row.label] if ACCESSION.fullmatch(row.label) else [])]
        shared.update(
            {(names[0], other) for other in (*row.hits[1:], *names[1:]) if other != names[0]} if names else ()
        )
        if row.label and not ACCESSION.fullmatch(row.label):
            labelled[row.label].extend(row.hits[:1])
    for accession, clan in clans.items():
        tree.join(accession, clan)
    for (first, second), count in shared.items():
        if count >= FEWEST_JOINING:
            tree.join(first, second)
    for label, hits in labelled.items():
        for accession, count in Counter(hits).items():
            if count >= LABEL_SHARE * len(hits):
                tree.join(label, accession)
    known = [_name_of(row) for row in rows]
    alone = _alone(rows, known, identity)
    root_N = [tree.root(name) if name else alone[position] for position, name in enumerate(known)]
    used = {name for name in known if name}
    members = defaultdict(set)
    for name in used:
        members[tree.root(name)].add(name)
    title = {root: min(names) for root, names in members.items()}
    joined = {title[root]: sorted(names) for root, names in members.items() if len(names) > 1}
    return [title.get(root, root) for root in root_N], joined


def _name_of(row: KnownStructure) -> str:
    """What a row is known as: the label that its source gives, else the profile that it hits best."""
    return row.label or (row.hits[0] if row.hits else "")


def _alone(rows: Sequence[KnownStructure], known: Sequence[str], identity: float) -> dict[int, str]:
    """Clusters of the rows that are nobody's, by position; each is a family of its own."""
    positions = [position for position, name in enumerate(known) if not name]
    numbers = greedy_clusters([rows[position].sequence for position in positions], identity, COVERAGE)
    return {position: f"cluster-{number}" for position, number in zip(positions, numbers, strict=True)}


def _clusters(rows: Sequence[KnownStructure], family_N: Sequence[str], identity: float) -> list[str]:
    """Cluster of each row within its family."""
    members: dict[str, list[int]] = defaultdict(list)
    for position in range(len(rows)):
        members[family_N[position]].append(position)
    found = [""] * len(rows)
    for family, positions in members.items():
        numbers = greedy_clusters([rows[position].sequence for position in positions], identity, COVERAGE)
        for position, number in zip(positions, numbers, strict=True):
            found[position] = f"{family}/{number}"
    return found


def _split_of(family: str, cluster: str, forced: bool, settings: GroupSettings) -> str:
    drawn = _share_of("family", family, settings.seed)
    if forced or drawn < settings.test_share:
        return TEST
    if drawn < settings.test_share + settings.validation_share:
        return VALIDATION
    return WITHIN if _share_of("cluster", cluster, settings.seed) < settings.within_share else TRAIN


def _share_of(kind: str, name: str, seed: int) -> float:
    """A number in [0, 1) that hangs on the name and the seed alone."""
    digest = hashlib.sha256(f"{kind} {name} {seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


class _Joined:
    """Names that belong together (union-find)."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def root(self, name: str) -> str:
        """The name that stands for its group."""
        path = [name]
        while (above := self._above.get(path[-1], path[-1])) != path[-1]:
            path.append(above)
        self._above.update(dict.fromkeys(path, path[-1]))
        return path[-1]

    def join(self, *names: str) -> None:
        """Put groups together."""
        roots = sorted({self.root(name) for name in names})
        self._above.update(dict.fromkeys(roots[1:], roots[0]))


def accessions_of(families: Iterable[str], joined: Mapping[str, list[str]]) -> list[str]:
    """All Rfam accessions of some families, sorted: what a profile library must lack to know nothing of them."""
    names = {name for family in families for name in joined.get(family, [family])}
    return sorted(name for name in names if ACCESSION.fullmatch(name))
