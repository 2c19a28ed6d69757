"""Stretches of an RNA that read like a stretch of a known structure: local alignments by letters alone.

They need no base pairs of the RNA, so that they can tell stage A of pairs that its first fold would not have. A piece
that two RNAs share (the handle of a CRISPR RNA, the core of an aptamer) is found where the rest of both is different.
"""

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.contracts.adjacency import MIN_LOOP, StretchFound
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.library import Library, Row, chain_positions
from rna_predict.templates.local_worth import LocalFigures, read_local_calibration
from rna_predict.templates.logistic import LogisticFit
from rna_predict.templates.search import allowed, far_enough

if TYPE_CHECKING:
    from Bio.Align import PairwiseAligner

MATCH, MISMATCH, GAP_OPEN, GAP_EXTEND = 1.0, -1.0, -3.0, -1.0
"""Scores of a local alignment."""

LEAST_SCORE = 9.0
"""Alignments that score less are not looked at."""

FEWEST_PAIRS = 3
"""Pairs that a hit brings at least."""

OVERLAP = 0.2
"""Share of a hit's residues that better hits may already have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalHit:
    """A stretch of a known structure on an RNA.

    Attributes:
        position: of the chain in its library.
        row: the chain.
        residue_N: int64 [N], aligned residues of the RNA, rising.
        place_N: int64 [N], their partners in the chain, rising.
        pairs: the chain's pairs between aligned residues that the RNA can form, 0-based, i < j.
        figures: of the alignment.
        expected: share of the pairs that are expected to be the RNA's too.
    """

    position: int
    row: Row
    residue_N: np.ndarray
    place_N: np.ndarray
    pairs: tuple[tuple[int, int], ...]
    figures: LocalFigures
    expected: float

    def agreement(self, partner_L: np.ndarray) -> float:
        """Share of the pairs that a matching (int [L], partner or -1) has."""
        return sum(int(partner_L[i]) == j for i, j in self.pairs) / len(self.pairs)

    def found(self, library: str) -> StretchFound:
        """For stage A's record; `library` is the digest of the one that holds the chain."""
        return StretchFound(
            id=self.row.id,
            first=int(self.residue_N[0]) + 1,
            last=int(self.residue_N[-1]) + 1,
            pairs=len(self.pairs),
            expected=self.expected,
            library=library,
        )


def search_local(
    sequence: str, library: Library, config: TemplatesConfig, breaks: tuple[int, ...] = ()
) -> list[LocalHit]:
    """The stretches of an RNA that known structures tell the pairs of, the surest first; they hardly overlap.

    Args:
        sequence: letters.
        library: where to look.
        config: what counts.
        breaks: first residue of each chain but the first; a hit lies in one chain.

    Raises:
        ContractError: the library or the calibration cannot be used.
    """
    if len(sequence) < config.min_length:
        return []
    found = [hit for hit in all_local(sequence, library, config, breaks) if hit.expected >= config.min_expected_pairs]
    found.sort(key=lambda hit: (-hit.expected, hit.row.id))
    kept: list[LocalHit] = []
    taken_L = np.zeros(len(sequence), dtype=bool)
    for hit in found:
        if taken_L[hit.residue_N].mean() > OVERLAP:
            continue
        if far_enough(sequence, hit.row, config):
            taken_L[hit.residue_N] = True
            kept.append(hit)
    return kept


def all_local(sequence: str, library: Library, config: TemplatesConfig, breaks: tuple[int, ...] = ()) -> list[LocalHit]:
    """The best local alignments of each chain of an RNA with each of a library that may count, identity aside.

    Raises:
        ContractError: the library or the calibration cannot be used.
    """
    if not config.enabled:
        return []
    rows = [n for n in chain_positions(library.rows) if allowed(library.rows[n], config)]
    spans = itertools.pairwise((0, *breaks, len(sequence)))
    return [hit for span in spans for hit in local_hits(sequence, span, library, rows)]


def local_hits(
    sequence: str,
    span: tuple[int, int],
    library: Library,
    chosen: list[int],
    calibration: LogisticFit | None = None,
) -> list[LocalHit]:
    """The best local alignment of one chain of an RNA with each of the chosen rows, where it brings pairs.

    Args:
        sequence: letters of the whole RNA.
        span: first residue of the chain, and the one behind its last.
        library: where to look.
        chosen: positions of rows.
        calibration: of the expected share; without it the carried one.
    """
    own = calibration or read_local_calibration()
    aligner, (start, stop) = _aligner(), span
    letters = sequence[start:stop]
    hits = []
    for position in chosen:
        row = library.rows[position]
        score = aligner.score(letters, row.sequence)
        if score < LEAST_SCORE:
            continue
        residue_N, place_N, gaps = _aligned(aligner, letters, row.sequence)
        residue_N = residue_N + start
        known = _known_pairs(row, residue_N, place_N)
        pairs = tuple(pair for pair in known if _legal(sequence, *pair))
        if len(pairs) < FEWEST_PAIRS:
            continue
        equal = sum(sequence[i] == row.sequence[m] for i, m in zip(residue_N, place_N, strict=True))
        figures = LocalFigures(
            score=score,
            aligned=len(residue_N),
            equal=equal,
            pairs=len(pairs),
            known_pairs=len(known),
            gaps=gaps,
            length=stop - start,
        )
        hits.append(
            LocalHit(
                position=position,
                row=row,
                residue_N=residue_N,
                place_N=place_N,
                pairs=pairs,
                figures=figures,
                expected=own.expected(figures.vector),
            )
        )
    return hits


def _known_pairs(row: Row, residue_N: np.ndarray, place_N: np.ndarray) -> list[tuple[int, int]]:
    """The chain's pairs whose two residues are aligned, as residues of the RNA, sorted."""
    partner_M = row.partner_L
    residue_of = dict(zip(place_N.tolist(), residue_N.tolist(), strict=True))
    partner_of = {m: int(partner_M[m]) for m in residue_of}
    return sorted((residue_of[m], residue_of[k]) for m, k in partner_of.items() if k > m and k in residue_of)


def _legal(sequence: str, i: int, j: int) -> bool:
    return sequence[i] + sequence[j] in CANONICAL_PAIRS and j - i > MIN_LOOP


def _aligned(aligner: "PairwiseAligner", sequence: str, other: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Aligned positions of both, rising, and the number of gaps."""
    blocks = aligner.align(sequence, other)[0].aligned
    first = np.concatenate([np.arange(start, stop) for start, stop in blocks[0]])
    second = np.concatenate([np.arange(start, stop) for start, stop in blocks[1]])
    return first, second, len(blocks[0]) - 1


@lru_cache(maxsize=1)
def _aligner() -> "PairwiseAligner":
    from Bio.Align import PairwiseAligner

    return PairwiseAligner(
        mode="local",
        match_score=MATCH,
        mismatch_score=MISMATCH,
        open_gap_score=GAP_OPEN,
        extend_gap_score=GAP_EXTEND,
    )
