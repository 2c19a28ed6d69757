"""Which rows of a table of known structures `rna-predict bench stage-a` measures, and why the others are left out."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from rna_predict.data.pair_groups import accessions_of
from rna_predict.data.pair_table import TRAIN, WITHIN, PairRow, PairTable
from rna_predict.errors import ConfigError, InputError

ACROSS_CHOICES = {"test": ("test",), "validation": ("validation",), "both": ("validation", "test")}
"""What `--across` may be, and the splits that it takes: families that nothing was trained on."""

CONSENSUS = "*(consensus projected)"
"""Sources whose structures are a family's consensus laid onto a sequence: nobody has measured these."""

UNTRAINED = "within a family of which nothing trained"
"""The split draws clusters: of a family with few of them all may be held out, and then no relative was trained on."""


@dataclass(kw_only=True)
class RowSettings:
    """Which rows are taken."""

    across: str = "test"
    """Held-out families that are measured: `test`, `validation` or `both`."""

    sources: tuple[str, ...] = ()
    """Patterns (`PDB*`) of the sources that are taken; without any, all but projected consensus structures."""

    rows_per_family: int = 10
    """Most rows of a family."""

    max_length: int = 600
    """Longest sequence in nt."""

    seed: int = 0
    """Decides which rows stand for a cluster and a family; more rows a family keep those of fewer."""

    def __post_init__(self) -> None:
        """Raise ConfigError, naming the option and what it may be."""
        if self.across not in ACROSS_CHOICES:
            raise ConfigError(f"--across {self.across!r}: use one of {', '.join(ACROSS_CHOICES)}.")
        for name, value in (("--rows", self.rows_per_family), ("--max-length", self.max_length)):
            if value < 1:
                raise ConfigError(f"{name} {value}: must be at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRow:
    """A row that is measured.

    Attributes:
        row: of the table.
        across: whether its whole family was held out; else only its cluster was.
    """

    row: PairRow
    across: bool

    @property
    def group(self) -> str:
        """What its figures are called."""
        return "cross_family" if self.across else "within_family"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is measured.

    Attributes:
        rows: by group, family and id.
        left_out: rows of the measured splits that are not, by reason.
        held_out: Rfam accessions of all held-out families, measured or not.
    """

    rows: tuple[BenchRow, ...]
    left_out: dict[str, int] = field(default_factory=dict)
    held_out: tuple[str, ...] = ()


def choose_rows(table: PairTable, settings: RowSettings) -> Selection:
    """Leave out what cannot be measured, take one row a cluster, and at most so many a family.

    Raises:
        InputError: nothing is left.
    """
    left_out: Counter[str] = Counter()
    across = ACROSS_CHOICES[settings.across]
    trained = {row.family for row in table.rows if row.split == TRAIN}
    fit: list[PairRow] = []
    for row in table.rows:
        if row.split not in (*across, WITHIN):
            continue
        reason = _reason(row, settings)
        if not reason and row.split == WITHIN and row.family not in trained:
            reason = UNTRAINED
        left_out.update([reason] if reason else [])
        fit.extend([] if reason else [row])
    single = _first_of_each(fit, [row.cluster for row in fit], 1, settings.seed)
    left_out["duplicate of its cluster"] = len(fit) - len(single)
    families = [f"{row.family} {row.split}" for row in single]
    chosen = _first_of_each(single, families, settings.rows_per_family, settings.seed)
    left_out["beyond --rows of its family"] = len(single) - len(chosen)
    if not chosen:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count) or "no held-out row"
        raise InputError(f"{table.folder}: no row to measure; left out: {reasons}. Other sources or lengths?")
    chosen.sort(key=lambda row: (row.split == WITHIN, row.family, row.id))
    held_out = {row.family for row in table.rows if row.split in across}
    return Selection(
        rows=tuple(BenchRow(row=row, across=row.split != WITHIN) for row in chosen),
        left_out={reason: count for reason, count in left_out.items() if count},
        held_out=tuple(accessions_of(held_out, table.manifest.accessions)),
    )


def _reason(row: PairRow, settings: RowSettings) -> str:
    """Why a row is not measured, or nothing."""
    if settings.sources:
        if not any(fnmatchcase(row.source, pattern) for pattern in settings.sources):
            return "source not asked for"
    elif fnmatchcase(row.source, CONSENSUS):
        return "consensus structure of its family"
    if row.length > settings.max_length:
        return f"longer than {settings.max_length} nt"
    if (row.partner_L < 0).all():
        return "no native pair"
    return ""


def _first_of_each(rows: Sequence[PairRow], keys: Iterable[str], most: int, seed: int) -> list[PairRow]:
    """The first `most` rows of each key in an order that the seed and each row's id alone decide."""
    groups: dict[str, list[tuple[str, PairRow]]] = defaultdict(list)
    for row, key in zip(rows, keys, strict=True):
        groups[key].append((hashlib.sha256(f"{seed} {row.id}".encode()).hexdigest(), row))
    return [row for group in groups.values() for _, row in sorted(group, key=lambda one: one[0])[:most]]
