"""Homologs of a sequence in a database of sequences, by nhmmer (pyhmmer), as rows of an a3m.

As AlphaFold 3 searches RNA (Abramson et al. 2024, supplement 2.2): one pass, E-value 1e-3, the given strand, and for
sequences below 50 nt a wider last filter, as short ones have few bits to pass it with.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyhmmer.easel import SequenceFile, TextSequence
from pyhmmer.errors import EaselError
from pyhmmer.hmmer import nhmmer

from rna_predict.contracts.sequence import RnaSequence
from rna_predict.errors import ConfigError, InputError
from rna_predict.families.library import SeedRow
from rna_predict.families.profile import RNA

SHORT = 50
"""Sequences of fewer residues pass a last filter of `WIDE` instead of `NARROW`."""
WIDE, NARROW = 0.02, 1e-5


@dataclass(kw_only=True)
class HomologSettings:
    """What counts as a homolog."""

    evalue: float = 1e-3
    """Largest E-value of a hit."""
    max_rows: int = 10_000
    """Most rows, the best hits first."""
    both_strands: bool = False
    """Whether the reverse complement of a database sequence may be a hit, as in genomes."""
    threads: int = 1
    """Threads of the search."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a value that means nothing."""
        if not (math.isfinite(self.evalue) and self.evalue > 0):
            raise ConfigError(f"msa: evalue {self.evalue} must be above 0.")
        if self.max_rows < 1 or self.threads < 1:
            raise ConfigError(f"msa: max_rows {self.max_rows} and threads {self.threads} must be at least 1.")


def homolog_rows(sequence: RnaSequence, database: Path, settings: HomologSettings) -> list[SeedRow]:
    """The sequence, then its homologs: a letter or `-` for each residue, insertions in lower case, best hit first.

    Args:
        sequence: the query.
        database: FASTA, Stockholm or another format that Easel reads, RNA or DNA letters, not packed.
        settings: what counts.

    Raises:
        InputError: the database is missing, packed, or no file of sequences.
    """
    if not database.is_file():
        raise InputError(f"{database}: no such file. Name the database of sequences.")
    with database.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            raise InputError(f"{database}: is packed. Unpack it first (gunzip): the search reads it piece by piece.")
    query: Any = TextSequence(name=sequence.id, sequence=sequence.sequence).digitize(RNA)
    last_filter = WIDE if sequence.length < SHORT else NARROW
    search: Any = nhmmer  # its annotations know no alphabet but the general one
    rows: list[SeedRow] = []
    try:
        with SequenceFile(database, digital=True, alphabet=RNA) as targets:
            found = search(
                query, targets, cpus=settings.threads, E=settings.evalue, incE=settings.evalue, F3=last_filter
            )
            rows = list(_rows(next(found), settings.both_strands))
    except (EaselError, ValueError, EOFError) as error:
        raise InputError(f"{database}: cannot be read as sequences ({' '.join(str(error).split())}).") from error
    own = SeedRow(name=sequence.id, letters=sequence.sequence)
    return [own, *rows[: settings.max_rows - 1]]


def _rows(hits: Any, both_strands: bool) -> Iterator[SeedRow]:
    """Rows of the included hits; pyhmmer searches both strands, a name `x/76-1` says that a hit is turned round."""
    if not any(hit.included for hit in hits):
        return
    aligned = hits.to_msa(RNA, all_consensus_cols=True)
    match = [mark != "." for mark in aligned.reference]
    for name, letters in zip(aligned.names, aligned.alignment, strict=True):
        first, _, last = name.rpartition("/")[2].partition("-")
        if int(first) > int(last) and not both_strands:
            continue
        columns = zip(letters.upper().replace(".", "-"), match, strict=True)
        row = "".join(letter if stands else letter.lower() for letter, stands in columns if stands or letter != "-")
        yield SeedRow(name=name, letters=row)
