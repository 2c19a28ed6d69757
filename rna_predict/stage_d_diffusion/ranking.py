"""Which models of an ensemble to keep, and in which order."""

import logging

import numpy as np

from rna_predict.contracts import Adjacency
from rna_predict.contracts.structure import whole_structure
from rna_predict.errors import PredictionError
from rna_predict.evaluation.geometry_report import GeometryReport, geometry_report

log = logging.getLogger(__name__)


def sound(id: str, sequence: str, xyz_SLA3: np.ndarray) -> list[int]:
    """Indices of the models that are molecules: no break, no pierced ring, no inverted sugar centre.

    Raises:
        PredictionError: there is none.
    """
    kept, faults = [], ""
    for index, xyz in enumerate(xyz_SLA3):
        faults = model_report(sequence, xyz).faults
        if faults:
            log.warning("%s: sample %d is left out, it has %s", id, index + 1, faults)
        else:
            kept.append(index)
    if not kept:
        raise PredictionError(
            f"{id}: none of {len(xyz_SLA3)} samples is a whole molecule; the last has {faults}. "
            "Try another stage_d.seed, more stage_d.refine_iterations, or a smaller stage_d.stem_shift."
        )
    return kept


def model_report(sequence: str, xyz_LA3: np.ndarray) -> GeometryReport:
    """Geometry of one model."""
    return geometry_report(whole_structure("model", sequence, xyz_LA3))


def ranking_scores(xyz_SLA3: np.ndarray, terms: dict[str, list[float]], adjacency: Adjacency) -> list[float]:
    """Minus the energy for each residue, higher is better."""
    totals = np.sum([terms[name] for name in terms], axis=0)
    return [float(-total / adjacency.length) for total in totals]
