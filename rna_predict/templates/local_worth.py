"""What a local hit is worth, from what its search says; fitted to known structures.

Two figures: the share of its pairs that are an RNA's too, and, where pairs of the RNA are known, the lDDT of its atoms.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rna_predict.templates.logistic import LogisticFit, read_fit

CALIBRATION = "local_calibration.json"
"""Name of the fit that the package carries, beside this file."""
SCHEMA = "rna_predict.local_calibration"
AGAIN = "Make it again: rna-predict templates calibrate-local."

STRETCH_CALIBRATION = "stretch_calibration.json"
"""Name of the fit of the lDDT."""
STRETCH_SCHEMA = "rna_predict.stretch_calibration"
STRETCH_AGAIN = "Make it again: rna-predict templates calibrate-stretches."

TERMS = ("one", "score", "score2", "identity", "canonical", "log_pairs", "gaps", "log_length")
"""Names of what `LocalFigures.vector` holds."""

STRETCH_TERMS = (*TERMS, "log_residues", "agreement")
"""Names of what `LocalFigures.stretch_vector` holds."""


class LocalFigures(NamedTuple):
    """A local alignment in figures.

    Attributes:
        score: of the alignment.
        aligned: residues with a partner.
        equal: those with the same letter.
        pairs: pairs of the known structure among aligned residues which the RNA's letters can form.
        known_pairs: all its pairs among aligned residues.
        gaps: in the alignment.
        length: residues of the RNA's chain.
    """

    score: float
    aligned: int
    equal: int
    pairs: int
    known_pairs: int
    gaps: int
    length: int

    @property
    def vector(self) -> np.ndarray:
        """float64 [len(TERMS)], what the fit weighs."""
        return np.array(
            [
                1.0,
                self.score,
                self.score**2 / 30,
                self.equal / self.aligned,
                self.pairs / max(self.known_pairs, 1),
                np.log(self.pairs),
                self.gaps / self.aligned,
                np.log(self.length / 50),
            ]
        )

    def stretch_vector(self, agreement: float) -> np.ndarray:
        """float64 [len(STRETCH_TERMS)], what the fit of the lDDT weighs.

        Args:
            agreement: share of the pairs that the RNA has.
        """
        return np.append(self.vector, [np.log(self.aligned), agreement])


@lru_cache(maxsize=2)
def read_local_calibration(path: Path | None = None) -> LogisticFit:
    """A fit of the share of a hit's pairs that are right; without a path the one that the package carries.

    Raises:
        ContractError: missing, damaged, or of other terms.
    """
    return read_fit(path, CALIBRATION, SCHEMA, TERMS, AGAIN)


@lru_cache(maxsize=2)
def read_stretch_calibration(path: Path | None = None) -> LogisticFit:
    """A fit of the lDDT of a hit's P, C1' and nitrogens; without a path the one that the package carries.

    Raises:
        ContractError: missing, damaged, or of other terms.
    """
    return read_fit(path, STRETCH_CALIBRATION, STRETCH_SCHEMA, STRETCH_TERMS, STRETCH_AGAIN)
