"""In which order the models of an ensemble stand."""

from rna_predict.evaluation.geometry_report import MAX_CLASH_SCORE
from rna_predict.stage_d_diffusion.judged import Confidence, Sample

CLASH_PENALTY = 100.0
"""What a model with clashes loses (AF3, section 5.9.3, equation 19): more than any confidence can give."""


def energy_score(sample: Sample) -> float:
    """Minus the energy of a residue in units of about kT: pairs, loops, links, overlaps and agreement with stage B.

    Higher is better. On the validation targets the model of the highest score has a mean lDDT 0.03 above the ensemble's
    mean (docs/decisions/0007).
    """
    return -sum(sample.terms.values()) / len(sample.xyz_LA3)


def learned_score(sample: Sample, confidence: Confidence) -> float:
    """pTM, less a penalty for clashes: AF3's ranking of a single chain, which has no ipTM.

    Protenix gives a single chain 0.2 pTM, the same order. Its clashes, and AF3's, are those between chains, of which
    one RNA has none; here a model has clashes with more than `MAX_CLASH_SCORE` of them per 1,000 atoms.
    """
    clashing = (sample.report.clash_score or 0.0) > MAX_CLASH_SCORE
    return confidence.ptm - CLASH_PENALTY * clashing
