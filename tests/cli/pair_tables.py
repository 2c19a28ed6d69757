"""Small tables of known structures, as `rna-predict dataset pairs` makes them."""

from collections import Counter
from pathlib import Path

from rna_predict.data.pair_table import (
    PairManifest,
    PairRow,
    PairTable,
    digest_of_rows,
    read_pair_table,
    write_pair_table,
)


def row(name: str, sequence: str, dot_bracket: str, **changes: str) -> PairRow:
    """A row; by default of family RF00001, a cluster of its own, and held out."""
    values = {"source": "ArchiveII", "family": "RF00001", "cluster": f"RF00001/{name}", "split": "test"} | changes
    return PairRow(id=name, sequence=sequence, dot_bracket=dot_bracket, **values)


def write(folder: Path, rows: list[PairRow], accessions: dict[str, list[str]] | None = None) -> PairTable:
    """Write rows as a table and read it back."""
    manifest = PairManifest(
        digest=digest_of_rows(rows),
        rows=len(rows),
        families=len({one.family for one in rows}),
        refused={},
        splits={name: {"rows": count} for name, count in Counter(one.split for one in rows).items()},
        accessions=accessions or {},
        settings={},
        package_version="0",
    )
    write_pair_table(folder, rows, manifest)
    return read_pair_table(folder)
