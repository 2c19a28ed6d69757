"""The seed rows of a sequence's families, aligned to the sequence: an alignment for stage B's trunk."""

from collections.abc import Sequence

import numpy as np

from rna_predict.contracts.sequence import RnaSequence
from rna_predict.families.align import align_hit, best_path
from rna_predict.families.library import FamilyLibrary, SeedRow
from rna_predict.families.search import FamilyHit

MIN_SHARE = 0.2
"""Least part of a hit's aligned residues beside which a seed row has a residue; rows with less are left out."""


def family_rows(sequence: RnaSequence, hits: Sequence[FamilyHit], library: FamilyLibrary) -> list[SeedRow]:
    """The sequence, then the seed rows of each hit in a3m's way; without hits the sequence alone.

    A seed row has a letter or `-` for each residue of the sequence and insertions in lower case. Residues of the
    sequence that stand at no match state have gaps in all rows.
    """
    rows = [SeedRow(name=sequence.id, letters=sequence.sequence)]
    for hit in hits:
        path = best_path(align_hit(sequence.sequence, hit, library))
        for seed in library.seed_rows(hit.accession):
            letters = _on_sequence(seed.letters, path, sequence.length)
            if sum(letter.isupper() for letter in letters) >= MIN_SHARE * len(path):
                rows.append(SeedRow(name=f"{hit.accession}|{seed.name}", letters=letters))
    return rows


def a3m_text(rows: Sequence[SeedRow], comment: str = "") -> str:
    """The rows as an a3m file; a comment becomes its first line, which begins with #."""
    head = f"# {comment}\n" if comment else ""
    return head + "".join(f">{row.name}\n{row.letters}\n" for row in rows)


def _on_sequence(row: str, path: Sequence[tuple[int, int]], length: int) -> str:
    """A seed row on the sequence's residues; between first and last aligned state what has no place is an insertion."""
    matched, inserted = _split(row)
    parts = ["-"] * length
    last = None
    for residue, state in path:
        between = ""
        if last is not None:
            between = "".join(
                inserted[k] + (matched[k] if k < state and matched[k] != "-" else "")
                for k in range(last + 1, state + 1)
            )
        parts[residue] = between.lower() + matched[state]
        last = state
    return "".join(parts)


def _split(row: str) -> tuple[str, list[str]]:
    """Match letters [M], and what is inserted before each of them and after the last [M + 1]."""
    capital = np.array([not letter.islower() for letter in row])
    before = np.cumsum(capital)[~capital]
    inserted = [""] * (int(capital.sum()) + 1)
    for letter, place in zip((letter for letter in row if letter.islower()), before, strict=True):
        inserted[place] += letter
    return "".join(letter for letter in row if not letter.islower()), inserted
