"""The ways to a model that `rna-predict bench fold` compares: the pipeline with some settings, and what needs none."""

from typing import NamedTuple

import numpy as np

from rna_predict.contracts import RnaSequence, Structure, TemplateHits
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.contracts.given import GivenStructure
from rna_predict.contracts.structure import whole_structure
from rna_predict.contracts.templates import TemplateHit
from rna_predict.errors import PredictionError
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.evaluation.correspondence import common
from rna_predict.pipeline import PipelineConfig, Prediction, predict
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.templates.stage import find_templates

DEFAULT, ASSEMBLY = "default", "assembly"
"""The pipeline, with the settings that are asked for, and without learned weights and templates."""

A_FORM = "a_form"
"""A chain of A-form torsions, one model without confidence."""

TEMPLATE = "template"
"""The first template alone: the residues that it has, one model without confidence; none where nothing is found."""

ASSEMBLY_SETTINGS = (
    *("stage_b.backend=prior-table", "stage_b.torsions=prior-table"),
    *("stage_c.method=assembly", "stage_d.backend=analytic", "stage_d.distance_weight=0.02"),
    "templates.enabled=false",
)

PREDICTED, NATIVE, NO_PAIRS = "predicted", "native", "none"
"""Whose pairs a path starts from."""


class Made(NamedTuple):
    """What a path made of one RNA.

    Attributes:
        models: the best first.
        prediction: all that the pipeline has to say; None of the other paths.
        how: in words.
        hit: the first template.
    """

    models: list[Structure]
    prediction: Prediction | None
    how: str
    hit: TemplateHit | None


def make(path: str, sequence: RnaSequence, config: PipelineConfig, given: GivenStructure | None) -> Made:
    """Take a path.

    Raises:
        PredictionError: there is no model.
    """
    if path == A_FORM:
        return Made([a_form(sequence)], None, "A-form torsions", None)
    if path == TEMPLATE:
        adjacency = predict_adjacency(sequence, config.stage_a, given, templates=config.templates)
        hits = find_templates(adjacency, config.templates)
        return Made([threaded(hits)], None, "template", hits.hits[0])
    prediction = predict(sequence, config, given)
    ensemble = prediction.ensemble
    models = [ensemble.structure(rank) for rank in range(len(ensemble.models))]
    return Made(models, prediction, ensemble.provenance.method, next(iter(prediction.templates.hits), None))


def a_form(sequence: RnaSequence) -> Structure:
    """A single strand of the A-form helix, stage C's chain from torsions."""
    import torch

    from rna_predict.geometry.internal import a_form_internal
    from rna_predict.geometry.nerf import build

    built = build(a_form_internal(sequence.sequence, torch.zeros((), dtype=torch.float64)))
    return whole_structure(sequence.id, sequence.sequence, built.numpy())


def threaded(hits: TemplateHits) -> Structure:
    """The residues that the first template has, numbered as in the RNA.

    Raises:
        PredictionError: there is no template.
    """
    if not hits.count:
        raise PredictionError(f"{hits.id}: no template was found")
    place = np.flatnonzero(hits.mask_KL[0])
    return Structure(
        id=hits.id,
        sequence="".join(hits.sequence[i] for i in place),
        xyz_LA3=hits.xyz_KLA3[0, place].astype(np.float64),
        mask_LA=hits.mask_KLA[0, place],
        number_L=place.astype(np.int64) + 1,
    )


def native_pairs(native: Structure, sequence: RnaSequence) -> list[tuple[int, int]]:
    """Canonical pairs of a native as 0-based positions in the sequence, each residue in one pair at most.

    Raises:
        InputError: the native is not of this sequence.
    """
    model = whole_structure(sequence.id, sequence.sequence, np.zeros((sequence.length, *native.xyz_LA3.shape[1:])))
    match = common(model, native)
    place = dict(zip(match.native_L.tolist(), match.model_L.tolist(), strict=True))
    taken: set[int] = set()
    pairs = []
    for first, second in annotate_pairs(native).canonical:
        if first not in place or second not in place:
            continue
        i, j = place[first], place[second]
        if j - i > MIN_LOOP and not {i, j} & taken:
            taken |= {i, j}
            pairs.append((i, j))
    return pairs
