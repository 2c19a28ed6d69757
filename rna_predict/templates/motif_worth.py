"""The expected lDDT of a known loop on an RNA, from what its search says; fitted to loops of known structure."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from rna_predict.templates.logistic import LogisticFit, read_fit

CALIBRATION = "motif_calibration.json"
"""Name of the fit that the package carries, beside this file."""
SCHEMA = "rna_predict.motif_calibration"
AGAIN = "Make it again: rna-predict templates calibrate-motifs."

TERMS = (
    *("one", "similarity", "similarity2", "agreement", "log_residues", "log_clusters", "hairpin", "multiloop"),
    "hairpin_similarity",
)
"""Names of what `motif_vector` holds."""


def motif_vector(kind: str, residues: int, similarity: float, agreement: float, clusters: int) -> np.ndarray:
    """float64 [len(TERMS)], what the fit weighs.

    Args:
        kind: of the loop.
        residues: of the loop and the pairs that border it.
        similarity: of the letters.
        agreement: mean lDDT of the known loop with others of similar letters.
        clusters: of which these others are.
    """
    hairpin = float(kind == "hairpin")
    return np.array(
        [
            1.0,
            similarity,
            similarity**2,
            agreement,
            np.log(residues),
            np.log(clusters),
            hairpin,
            float(kind == "multiloop"),
            hairpin * similarity,
        ]
    )


@lru_cache(maxsize=2)
def read_motif_calibration(path: Path | None = None) -> LogisticFit:
    """A fit of the lDDT of a loop's P, C1' and nitrogens; without a path the one that the package carries.

    Raises:
        ContractError: missing, damaged, or of other terms.
    """
    return read_fit(path, CALIBRATION, SCHEMA, TERMS, AGAIN)
