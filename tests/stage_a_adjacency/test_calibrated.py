"""Calibration changes what probabilities say and nothing else."""

import json

import numpy as np
import pytest

from rna_predict.contracts import RnaSequence
from rna_predict.errors import ConfigError
from rna_predict.stage_a_adjacency import calibrated
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency

SEQUENCE = RnaSequence(id="x", sequence="GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA")
MAP = {"a": 0.6, "b": 0.4, "c": -0.8, "floor": 0.001, "rnas": 10, "pairs": 1000}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "map.json"
    path.write_text(json.dumps(MAP))
    return path


def predicted(**settings):
    return predict_adjacency(SEQUENCE, StageAConfig(family="off", **settings))


def test_a_map_changes_the_probabilities_by_its_formula_and_keeps_the_pairs(written):
    raw, mapped = predicted(calibration="off"), predicted(calibration=str(written))
    np.testing.assert_array_equal(raw.partner_L, mapped.partner_L)
    i, j = next((i, j) for i, j in raw.pairs if raw.probability_LL[i, j] < 0.99)
    p = float(raw.probability_LL[i, j])
    expected = 1 / (1 + np.exp(-(0.6 * np.log(p) - 0.4 * np.log1p(-p) - 0.8)))
    assert mapped.probability_LL[i, j] == pytest.approx(expected, rel=1e-4)
    assert abs(mapped.probability_LL[i, j] - p) > 0.02


def test_the_carried_map_is_that_of_the_backend_with_its_own_settings(monkeypatch):
    found = calibrated.Calibration.from_values(MAP, "test")
    monkeypatch.setattr(calibrated, "_carried", lambda: {"viennarna/turner2004": found})
    assert calibrated.calibration_of(StageAConfig(backend="viennarna")) == found
    for other in ({"energy_parameters": "langdon2018"}, {"temperature_celsius": 20.0}, {"calibration": "off"}):
        assert calibrated.calibration_of(StageAConfig(backend="viennarna", **other)) is None
    assert calibrated.calibration_of(StageAConfig(backend="ensemble")) is None


def test_every_carried_map_names_a_backend_and_its_energies():
    for name in calibrated._carried():
        backend, _, energies = name.partition("/")
        StageAConfig(backend=backend, energy_parameters=energies)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}'])
def test_a_map_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"map\.json"):
        predicted(calibration=str(path))
