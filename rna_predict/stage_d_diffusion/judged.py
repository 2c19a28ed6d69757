"""What a backend of stage D gives: sampled models, what is thought of them, and how they were made."""

from dataclasses import dataclass

import numpy as np

from rna_predict.evaluation.geometry_report import GeometryReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sampled model.

    Attributes:
        xyz_LA3: float32 [L, MAX_ATOMS, 3], Å.
        seed: what its noise was drawn from.
        terms: energy terms by name.
        report: its geometry.
        drift: root mean square distance in Å by which the last refinement moved its atoms; None where nothing says.
    """

    xyz_LA3: np.ndarray
    seed: int
    terms: dict[str, float]
    report: GeometryReport
    drift: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """Confidence of one model: pLDDT 0-100 of each atom, PAE and PDE in Å, pTM 0-1."""

    plddt_LA: np.ndarray
    pae_LL: np.ndarray
    pde_LL: np.ndarray
    ptm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A backend's models, one confidence and one score each.

    Attributes:
        samples: in the order in which they were drawn.
        confidences: of each.
        scores: of each, higher is better (`ranking`).
        confidence_kind: `heuristic` or `learned`.
        method: for the provenance.
        weights: hash of the learned weights, or `none`.
    """

    samples: list[Sample]
    confidences: list[Confidence]
    scores: list[float]
    confidence_kind: str
    method: str
    weights: str = "none"
