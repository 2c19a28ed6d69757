"""Models of other secondary structures: a few, behind those of the first, and named."""

import dataclasses
import logging

import numpy as np
import pytest

from rna_predict.errors import ContractError, PredictionError
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_c_reconstruction import assembly
from rna_predict.stage_c_reconstruction.config import StageCConfig
from rna_predict.stage_c_reconstruction.stage import reconstruct
from rna_predict.stage_d_diffusion.alternative_models import most_alternatives
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.heuristic_confidence import (
    aligned_error,
    heuristic_confidence,
    predicted_tm,
)
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.stage import sample_ensemble

QUICK_C = StageCConfig(starts=2, kept=1, steps_open=40, steps_closing=40, steps_closed=80, steps_polish=80)
QUICK_D = StageDConfig(models=4, steps=3, iterations=6, refine_iterations=100)
PRIOR = StageBConfig(backend="prior-table")


@pytest.fixture(scope="module")
def adjacency(hairpin):
    """The hairpin with one alternative: two pairs, none of which is the first structure's."""
    partner_L = np.asarray(from_dot_bracket("((.......)).")).astype(np.int32)
    other = dataclasses.replace(hairpin.adjacency, partner_L=partner_L)
    return dataclasses.replace(hairpin.adjacency, alternatives=(other,))


@pytest.fixture(scope="module")
def inputs(hairpin, adjacency) -> StageDInputs:
    torsions, embeddings = predict_torsions(hairpin.sequence, adjacency, PRIOR)
    coordinates = reconstruct(hairpin.sequence, adjacency, torsions, QUICK_C, embeddings)
    return StageDInputs(adjacency=adjacency, torsions=torsions, embeddings=embeddings, coordinates=coordinates)


@pytest.fixture(scope="module")
def found(hairpin, inputs):
    return sample_ensemble(hairpin.sequence, inputs, QUICK_D)


def test_stages_b_and_c_make_of_an_alternative_what_they_make_of_it_alone(hairpin, adjacency, inputs):
    alone = adjacency.alternatives[0]
    torsions, embeddings = predict_torsions(hairpin.sequence, alone, PRIOR)
    coordinates = reconstruct(hairpin.sequence, alone, torsions, QUICK_C, embeddings)
    other = inputs.alternatives()[0]
    assert (
        other.digests()
        == StageDInputs(adjacency=alone, torsions=torsions, embeddings=embeddings, coordinates=coordinates).digests()
    )
    assert np.abs(other.coordinates.xyz_LA3 - inputs.coordinates.xyz_LA3).max() > 0.1


def test_the_model_of_an_alternative_stands_behind_the_others_and_is_named(found):
    terms = [model.terms.get("alternative") for model in found.models]
    assert terms == [None, None, None, 1.0]
    scores = [model.ranking_score for model in found.models]
    assert scores[-1] <= min(scores[:-1])
    assert sorted(model.seed for model in found.models) == [0, 1, 2, 3]
    assert "; 1 models on other secondary structures" in found.provenance.method


def test_the_first_structure_has_the_models_that_it_has_without_alternatives(hairpin, inputs, found):
    names = ("adjacency", "torsions", "embeddings", "coordinates")
    bare = StageDInputs(**{name: dataclasses.replace(getattr(inputs, name), alternatives=()) for name in names})
    plain = sample_ensemble(hairpin.sequence, bare, QUICK_D)
    off = sample_ensemble(hairpin.sequence, inputs, dataclasses.replace(QUICK_D, alternatives=0))
    for one, other in zip(plain.models, off.models, strict=True):
        assert (one.seed, one.ranking_score, one.ptm) == (other.seed, other.ranking_score, other.ptm)
        np.testing.assert_array_equal(one.xyz_LA3, other.xyz_LA3)
        np.testing.assert_array_equal(one.plddt_LA, other.plddt_LA)
    of_seed = {model.seed: model.xyz_LA3 for model in plain.models}
    np.testing.assert_array_equal(found.models[0].xyz_LA3, of_seed[found.models[0].seed])


def test_confidence_of_an_alternative_is_what_both_structures_say_by_its_chance(found, inputs):
    model, other = found.models[-1], inputs.alternatives()[0]
    believed = dataclasses.replace(inputs.adjacency, partner_L=other.adjacency.partner_L, alternatives=())
    chance = inputs.adjacency.chance_of(other.adjacency)
    assert chance == pytest.approx(0.0875)
    own = heuristic_confidence(model.xyz_LA3[None], other.adjacency, other.embeddings)[0]
    first = heuristic_confidence(model.xyz_LA3[None], believed, inputs.embeddings)[0]
    expected = chance * own.plddt_LA + (1 - chance) * first.plddt_LA
    np.testing.assert_allclose(model.plddt_LA, expected, atol=1e-3)
    together_SLA3 = np.stack([model.xyz_LA3, *(one.xyz_LA3 for one in found.models[:-1])])
    assert (model.pae_LL >= aligned_error(together_SLA3, 0) - 1e-4).all()
    assert model.ptm == predicted_tm(model.pae_LL)


@pytest.mark.parametrize(("models", "most"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (9, 2)])
def test_most_models_are_of_the_first_structure(models, most):
    assert most_alternatives(StageDConfig(models=models)) == most


def test_an_alternative_that_cannot_be_built_is_left_out_and_named(hairpin, adjacency, inputs, monkeypatch, caplog):
    whole = assembly.assemble

    def failing(loops, partner_L, *others):
        if partner_L[0] == 10:
            raise PredictionError("no whole chain")
        return whole(loops, partner_L, *others)

    monkeypatch.setattr(assembly, "assemble", failing)
    with caplog.at_level(logging.WARNING):
        coordinates = reconstruct(hairpin.sequence, adjacency, inputs.torsions, QUICK_C, inputs.embeddings)
    assert "is left out: no whole chain" in caplog.text
    assert coordinates.alternatives == ()
    found = sample_ensemble(hairpin.sequence, dataclasses.replace(inputs, coordinates=coordinates), QUICK_D)
    assert len(found.models) == 4
    assert all("alternative" not in model.terms for model in found.models)


def test_a_structure_that_only_stage_c_has_is_refused(inputs):
    foreign = dataclasses.replace(inputs, adjacency=dataclasses.replace(inputs.adjacency, alternatives=()))
    with pytest.raises(ContractError, match="Run stage_c again"):
        foreign.alternatives()
