"""What of an alignment tells how good a template is, and the expected TM-score that was fitted to it."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from rna_predict.templates.logistic import read_weights, weights_text

CALIBRATION = "calibration.json"
"""Name of the fit that the package carries, beside this file."""
SCHEMA = "rna_predict.template_calibration"
AGAIN = "Make it again: rna-predict templates calibrate."


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """An alignment in figures. Shares are in [0, 1].

    Attributes:
        length: L, residues of the query.
        chain_length: residues of the chain.
        aligned: residues of the query with a partner.
        equal: those with the same letter.
        opened: gaps between the first and the last aligned residue, of either.
        score: alignment score over that of the query with itself.
        query_pairs: pairs of the query.
        inner_query_pairs: those with both residues aligned.
        chain_pairs: pairs of the chain with both residues aligned.
        common_pairs: those that are pairs of the query.
    """

    length: int
    chain_length: int
    aligned: int
    equal: int
    opened: int
    score: float
    query_pairs: int
    inner_query_pairs: int
    chain_pairs: int
    common_pairs: int

    @property
    def coverage(self) -> float:
        """Aligned residues over L."""
        return self.aligned / self.length

    @property
    def identity(self) -> float:
        """Equal letters over aligned residues."""
        return self.equal / max(self.aligned, 1)

    @property
    def agreement(self) -> float:
        """F1 of the pairs of both among aligned residues; 1 where neither has any."""
        total = self.inner_query_pairs + self.chain_pairs
        return 2 * self.common_pairs / total if total else 1.0

    @property
    def vector(self) -> np.ndarray:
        """float64 [len(TERMS)], what the fit weighs."""
        coverage, identity = max(self.coverage, 1e-3), self.identity
        size = np.log(self.length / 50)
        recall = self.common_pairs / self.query_pairs if self.query_pairs else 0.0
        return np.array(
            [
                1.0,
                np.log(coverage),
                coverage,
                identity,
                identity**2,
                self.score,
                self.score**2,
                self.agreement,
                recall,
                self.agreement * identity,
                self.opened / max(self.aligned, 1),
                size,
                size**2,
                size * identity,
                size * self.score,
            ]
        )


TERMS = (
    *("one", "log_coverage", "coverage", "identity", "identity2", "score", "score2", "agreement", "recall"),
    *("agreement_identity", "gaps", "size", "size2", "size_identity", "size_score"),
)
"""Names of what `Features.vector` holds."""


def measure(
    query: tuple[str, np.ndarray], chain: tuple[str, np.ndarray], position_L: np.ndarray, score: float
) -> Features:
    """The features of an alignment.

    Args:
        query: letters, and index of each residue's partner or -1.
        chain: the same of the chain.
        position_L: the chain's position for each residue of the query, or -1.
        score: over that of the query with itself.
    """
    sequence, partner_L = query
    template, mate_M = chain
    aligned = np.flatnonzero(position_L >= 0)
    spots = position_L[aligned]
    letters, others = np.array(list(sequence)), np.array(list(template))
    back_M = np.full(len(template), -1)
    back_M[spots] = aligned
    paired = aligned[mate_M[spots] >= 0]
    carried_L = np.full(len(sequence), -1)
    carried_L[paired] = back_M[mate_M[position_L[paired]]]
    inner_L = (partner_L >= 0) & (position_L >= 0) & (position_L[partner_L] >= 0)
    return Features(
        length=len(sequence),
        chain_length=len(template),
        aligned=len(aligned),
        equal=int((letters[aligned] == others[spots]).sum()),
        opened=int(((np.diff(aligned) > 1) | (np.diff(spots) > 1)).sum()),
        score=score,
        query_pairs=int((partner_L >= 0).sum()) // 2,
        inner_query_pairs=int(inner_L.sum()) // 2,
        chain_pairs=int((carried_L >= 0).sum()) // 2,
        common_pairs=int(((carried_L >= 0) & (carried_L == partner_L)).sum()) // 2,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A fit of the TM-score: 1 / (1 + exp(-weights · vector)).

    Attributes:
        weights: one a term, in the order of `TERMS`.
        made_by: command, data and quality of the fit, by name.
    """

    weights: tuple[float, ...]
    made_by: dict[str, object]

    def expected(self, features: Features) -> float:
        """Expected TM-score (C3', over the query) of the aligned residues, in [0, coverage]."""
        value = 1.0 / (1.0 + np.exp(-float(np.dot(self.weights, features.vector))))
        return float(min(value, features.coverage))

    def text(self) -> str:
        """As JSON."""
        return weights_text(SCHEMA, TERMS, self.weights, self.made_by)


@lru_cache(maxsize=2)
def read_calibration(path: Path | None = None) -> Calibration:
    """A fit; without a path the one that the package carries.

    Raises:
        ContractError: missing, damaged, or of other terms.
    """
    weights, made_by = read_weights(path, CALIBRATION, SCHEMA, TERMS, AGAIN)
    return Calibration(weights=weights, made_by=made_by)
