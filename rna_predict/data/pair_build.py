"""A table of known secondary structures from a CSV file: rows are checked, named by family, clustered and split."""

import csv
import dataclasses
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rna_predict import __version__
from rna_predict.data.pair_groups import ACCESSION, GroupSettings, KnownStructure, split_rows
from rna_predict.data.pair_table import PairManifest, PairRow, digest_of_rows, write_pair_table
from rna_predict.errors import ConfigError, InputError
from rna_predict.families.library import FamilyLibrary
from rna_predict.families.search import SearchSettings, search_many
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.formats.reading import read_text

NEEDED = ("id", "sequence", "dot_bracket", "dataset")
"""Columns of the source; a column `split` may name families."""


@dataclass(kw_only=True)
class PairBuildSettings:
    """What becomes of a source."""

    groups: GroupSettings = dataclasses.field(default_factory=GroupSettings)
    """How rows are grouped and split."""
    family_sources: tuple[str, ...] = ("ArchiveII",)
    """Datasets whose column `split` names the family; an Rfam accession there counts in every dataset."""
    min_length: int = 8
    """Fewest residues of a row."""
    max_length: int = 1500
    """Most residues of a row."""
    evalue: float = 1e-3
    """Largest E-value by which a row belongs to a profile's family."""

    def __post_init__(self) -> None:
        """Raise ConfigError for lengths that leave nothing."""
        if not 1 <= self.min_length <= self.max_length:
            raise ConfigError(
                f"min_length {self.min_length}, max_length {self.max_length}: expected 1 or more, in order."
            )


def build_pair_table(
    source: Path, held_out: Path | None, out: Path, library: FamilyLibrary, settings: PairBuildSettings
) -> PairManifest:
    """Read, search, split, write.

    Args:
        source: CSV or CSV.gz with the columns `NEEDED`.
        held_out: CSV with id and sequence of RNAs whose families are to test; with a column `split`, those that do
            not train.
        out: folder of the table.
        library: families by which rows are named.
        settings: lengths, shares, seed.

    Raises:
        InputError: a file cannot be read or lacks a column, or no row is left.
    """
    refused: Counter[str] = Counter()
    found = _rows(source, settings, refused)
    if not found:
        raise InputError(f"{source}: no row is left of {sum(refused.values())} ({dict(refused)}).")
    apart = _held_out(held_out) if held_out else []
    both = _with_hits([*found, *apart], library, settings.evalue)
    clans = {family.accession: family.clan for family in library.families if family.clan}
    rows, joined = split_rows(both[: len(found)], both[len(found) :], clans, settings.groups)
    manifest = PairManifest(
        digest=digest_of_rows(rows),
        rows=len(rows),
        families=len({row.family for row in rows}),
        refused=dict(refused),
        splits=_counted(rows),
        accessions=joined,
        settings={**dataclasses.asdict(settings), "held_out": len(apart)},
        package_version=__version__,
    )
    write_pair_table(out, rows, manifest)
    return manifest


def _rows(source: Path, settings: PairBuildSettings, refused: Counter[str]) -> list[KnownStructure]:
    """Rows that can be used; the reasons of the others are counted."""
    found: list[KnownStructure] = []
    seen: set[str] = set()
    for number, row in enumerate(_table(source, NEEDED)):
        sequence, text = row["sequence"], row["dot_bracket"]
        reason = _refusal(sequence, text, settings)
        if reason:
            refused[reason] += 1
            continue
        named = row.get("split", "")
        labelled = row["dataset"] in settings.family_sources or ACCESSION.fullmatch(named)
        id = row["id"] if row["id"] not in seen else f"{row['id']}~{number}"
        seen.add(id)
        found.append(
            KnownStructure(
                id=id,
                sequence=sequence,
                dot_bracket=text,
                source=row["dataset"],
                label=named if labelled else "",
                hits=(),
            )
        )
    return found


def _refusal(sequence: str, text: str, settings: PairBuildSettings) -> str:
    """Why a row is left out, or nothing."""
    if set(sequence) - set("ACGU"):
        return "letters"
    if len(sequence) < settings.min_length:
        return "short"
    if len(sequence) > settings.max_length:
        return "long"
    if len(text) != len(sequence):
        return "length of dot_bracket"
    try:
        from_dot_bracket(text)
    except InputError:
        return "dot_bracket"
    return ""


def _held_out(path: Path) -> list[KnownStructure]:
    rows = [row for row in _table(path, ("id", "sequence")) if row.get("split", "test") not in ("", "train")]
    known = [row for row in rows if row["sequence"] and not set(row["sequence"]) - set("ACGU")]
    return [
        KnownStructure(id=row["id"], sequence=row["sequence"], dot_bracket="", source="", label="", hits=())
        for row in known
    ]


def _with_hits(rows: Sequence[KnownStructure], library: FamilyLibrary, evalue: float) -> list[KnownStructure]:
    """Rows with the families that each belongs to, best first; equal sequences are searched once."""
    sequences = sorted({row.sequence for row in rows})
    settings = SearchSettings(evalue=evalue, overlapping=True)
    found = dict(zip(sequences, search_many(sequences, library, settings), strict=True))
    return [
        dataclasses.replace(row, hits=tuple(dict.fromkeys(hit.accession for hit in found[row.sequence])))
        for row in rows
    ]


def _counted(rows: Sequence[PairRow]) -> dict[str, dict[str, int]]:
    families: dict[str, set[str]] = {}
    count: Counter[str] = Counter()
    for row in rows:
        families.setdefault(row.split, set()).add(row.family)
        count[row.split] += 1
    return {split: {"rows": count[split], "families": len(families[split])} for split in sorted(count)}


def _table(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(read_text(path)))
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}. Expected {', '.join(needed)}.")
    return list(reader)
