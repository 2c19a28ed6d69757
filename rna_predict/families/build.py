"""Make a family library from seed alignments: profiles, consensus pairs with their support, diverse rows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.errors import ConfigError
from rna_predict.families.library import Family, FamilyLibrary, SeedRow, pack_rows
from rna_predict.families.profile import build_profile
from rna_predict.families.seeds import GAPS, SeedAlignment
from rna_predict.formats.dot_bracket import from_dot_bracket, to_dot_bracket

_CODES = np.full(256, 5, dtype=np.uint8)  # A 0, C 1, G 2, U 3, gap 4, any other letter 5
for _number, _letter in enumerate("ACGU-"):
    _CODES[ord(_letter)] = _number

_LEGAL = np.zeros((6, 6), dtype=bool)
for _first, _second in CANONICAL_PAIRS:
    _LEGAL["ACGU".index(_first), "ACGU".index(_second)] = True


@dataclass(kw_only=True)
class BuildSettings:
    """What goes into a library."""

    max_rows: int = 64
    """Most rows of a family's seed that are kept for alignments; the most diverse ones."""
    release: str = "Rfam"
    """Release of the source, as results state it."""

    def __post_init__(self) -> None:
        """Raise ConfigError for no row or no release."""
        if self.max_rows < 1 or not self.release.strip():
            raise ConfigError(f"families: max_rows {self.max_rows} and release {self.release!r} must say something.")


def build_library(
    seeds: Iterable[SeedAlignment],
    settings: BuildSettings,
    made_by: dict[str, str],
    advance: Callable[[str], None] = lambda accession: None,
) -> FamilyLibrary:
    """A library of all seeds; the same seeds and settings give the same bytes.

    Args:
        seeds: in any order, each accession once.
        settings: how much is kept.
        made_by: stated in the file.
        advance: is told each accession that is done.
    """
    made = []
    for seed in seeds:
        made.append((describe(seed), build_profile(seed), diverse_rows(seed, settings.max_rows)))
        advance(seed.accession)
    made.sort(key=lambda one: one[0].accession)
    return FamilyLibrary(
        release=settings.release,
        families=tuple(family for family, _, _ in made),
        codes=tuple(codes for _, codes, _ in made),
        packed_rows=pack_rows([rows for _, _, rows in made]),
        made_by=made_by,
    )


def describe(seed: SeedAlignment) -> Family:
    """The family with its consensus pairs on the consensus columns."""
    columns = np.array(seed.columns)
    position = np.full(len(seed.reference), -1)
    position[columns] = np.arange(len(columns))
    partner = from_dot_bracket(seed.structure.replace("~", "."), f"{seed.accession}: SS_cons")[columns]
    partner_M = np.where(partner >= 0, position[partner], -1).astype(np.int32)
    letters_NM = letter_codes(seed)[:, columns]
    pairs = [(i, int(j)) for i, j in enumerate(partner_M) if j > i]
    weight_N = row_weights(letters_NM)
    return Family(
        accession=seed.accession,
        name=seed.name,
        description=seed.description,
        type=seed.type,
        clan=seed.clan,
        consensus="".join(seed.reference[c] for c in columns),
        structure=to_dot_bracket(partner_M),
        support=tuple(_support(letters_NM[:, i], letters_NM[:, j], weight_N) for i, j in pairs),
        rows=len(seed.rows),
    )


def letter_codes(seed: SeedAlignment) -> np.ndarray:
    """uint8 [rows, columns]: A 0, C 1, G 2, U 3, gap 4, any other letter 5."""
    return _CODES[np.stack([np.frombuffer(row.encode("latin-1", "replace"), dtype=np.uint8) for row in seed.rows])]


def row_weights(letters_NM: np.ndarray) -> np.ndarray:
    """Position-based weights of rows, summing to 1 (Henikoff & Henikoff 1994, J Mol Biol 243:574).

    Each column gives each of its k kinds of letters 1/k, shared by the rows that have it; gaps count as a letter.
    """
    weight_N = np.zeros(len(letters_NM))
    for column_N in letters_NM.T:
        counts = np.bincount(column_N, minlength=6)
        weight_N += 1.0 / (np.count_nonzero(counts) * counts[column_N])
    return weight_N / weight_N.sum()


def _support(first_N: np.ndarray, second_N: np.ndarray, weight_N: np.ndarray) -> int:
    there = (first_N != 4) | (second_N != 4)
    total = weight_N[there].sum()
    return round(100 * weight_N[there & _LEGAL[first_N, second_N]].sum() / total) if total else 0


def diverse_rows(seed: SeedAlignment, most: int) -> tuple[SeedRow, ...]:
    """Up to `most` rows: first the one nearest to all others, then always the one farthest from those taken.

    Rows without a residue in the consensus columns are left out.
    """
    columns = seed.columns
    letters_NM = letter_codes(seed)[:, columns]
    candidates = np.flatnonzero((letters_NM < 4).any(axis=1))
    letters_NM = letters_NM[candidates]
    same_NN = np.stack([(letters_NM == row).mean(axis=1) for row in letters_NM])
    taken = [int(same_NN.sum(axis=1).argmax())]
    nearest_N = same_NN[taken[0]].copy()
    while len(taken) < min(most, len(letters_NM)):
        nearest_N[taken] = 2.0
        taken.append(int(nearest_N.argmin()))
        nearest_N = np.maximum(nearest_N, same_NN[taken[-1]])
    match = {*columns}
    chosen = [int(candidates[n]) for n in taken]
    return tuple(SeedRow(name=seed.names[n], letters=_a3m(seed.rows[n], match)) for n in chosen)


def _a3m(row: str, match: set[int]) -> str:
    marks = (letter if column in match else letter.lower() for column, letter in enumerate(row))
    return "".join(mark for column, mark in enumerate(marks) if column in match or mark not in GAPS)
