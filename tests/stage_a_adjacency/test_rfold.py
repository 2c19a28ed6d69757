"""The backends of the network: valid, under constraints, changed by what they are told; here on random weights."""

import dataclasses

import numpy as np
import pytest

from rna_predict.contracts import GivenStructure, RnaSequence
from rna_predict.errors import ConfigError, WeightsError
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Constraints
from rna_predict.stage_a_adjacency.rfold import fold_ensemble, fold_rfold
from rna_predict.stage_a_adjacency.stage import predict_adjacency

SEQUENCE = "GGGCAUUCGUGCCCAAUAGGAUCGAUUCGGCCUAUU"
NANO = {"untrained_profile": "nano", "family": "off", "pseudoknots": "off"}
RFOLD, ENSEMBLE = StageAConfig(backend="rfold", **NANO), StageAConfig(backend="ensemble", **NANO)


def predicted(config, sequence=SEQUENCE, **evidence):
    return predict_adjacency(RnaSequence(id="x", sequence=sequence), config, **evidence)


@pytest.mark.parametrize("length", [1, 2, 5, 40, 131])
@pytest.mark.parametrize("config", [RFOLD, ENSEMBLE], ids=["rfold", "ensemble"])
def test_any_length_gives_a_valid_matching(config, length):
    rng = np.random.default_rng(length)
    found = predicted(config, "".join(rng.choice(list("ACGU"), length)))
    assert found.length == length  # Adjacency itself checks symmetry, sums, legality and the matching
    assert found.provenance.method == config.backend


def test_the_ensemble_without_weight_is_viennarna():
    vienna = predicted(StageAConfig(backend="viennarna", family="off", pseudoknots="off", calibration="off"))
    found = predicted(dataclasses.replace(ENSEMBLE, ensemble_weight=0.0))
    np.testing.assert_array_equal(found.partner_L, vienna.partner_L)
    np.testing.assert_allclose(found.probability_LL, vienna.probability_LL, atol=1e-6)
    assert found.provenance.weights != vienna.provenance.weights == "none"


def test_the_network_moves_the_ensemble():
    base = predicted(dataclasses.replace(ENSEMBLE, ensemble_weight=0.0))
    assert np.abs(predicted(ENSEMBLE).probability_LL - base.probability_LL).max() > 0.05


@pytest.mark.parametrize("config", [RFOLD, ENSEMBLE], ids=["rfold", "ensemble"])
def test_pairs_that_are_given_form_and_forbidden_residues_stay_alone(config):
    text = "(((((....)))))xxxx.................."
    mask_L = np.array([mark == "x" for mark in text])
    given = GivenStructure(
        id="x",
        length=len(SEQUENCE),
        source="test",
        partner_L=from_dot_bracket(text.replace("x", ".")),
        unpaired_L=mask_L,
    )
    found = predicted(dataclasses.replace(config, given_mode="constrain"), given=given)
    assert all(found.partner_L[i] == 13 - i for i in range(5))
    assert (found.partner_L[mask_L] == -1).all()
    assert found.probability_LL[mask_L].max() == 0.0


@pytest.mark.parametrize("fold", [fold_rfold, fold_ensemble])
def test_a_bonus_favours_its_pair(fold):
    config = dataclasses.replace(RFOLD if fold is fold_rfold else ENSEMBLE, readout="mea")
    before = fold(SEQUENCE, config, Constraints()).probability_LL
    i, j = np.argwhere((before > 0.005) & (before < 0.5))[0]
    bonus_LL = np.zeros(before.shape)
    bonus_LL[i, j] = bonus_LL[j, i] = -3.0
    after = fold(SEQUENCE, config, Constraints(bonus_LL=bonus_LL)).probability_LL
    assert after[i, j] > 1.3 * before[i, j]


def test_what_rfold_cannot_use_is_refused():
    reactivity_L = np.zeros(len(SEQUENCE), dtype=np.float32)
    from rna_predict.stage_a_adjacency.backends import BACKENDS

    with pytest.raises(ConfigError, match="rfold cannot use reactivity_L"):
        BACKENDS["rfold"].fold(SEQUENCE, RFOLD, Constraints(reactivity_L=reactivity_L))
    with pytest.raises(ConfigError, match="energy_parameters"):
        predicted(dataclasses.replace(RFOLD, energy_parameters="langdon2018"))
    with pytest.raises(ConfigError, match="name one of them"):
        dataclasses.replace(RFOLD, weights="x.safetensors")
    with pytest.raises(WeightsError, match="no such file"):
        predicted(StageAConfig(backend="rfold", weights="none.safetensors", family="off"))


def test_energy_parameters_change_the_fold():
    vienna = StageAConfig(backend="viennarna", family="off", calibration="off")
    other = predicted(dataclasses.replace(vienna, energy_parameters="langdon2018"))
    usual = predicted(vienna)
    assert np.abs(other.probability_LL - usual.probability_LL).max() > 0.01
    np.testing.assert_array_equal(predicted(vienna).probability_LL, usual.probability_LL)
