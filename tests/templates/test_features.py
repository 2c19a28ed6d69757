"""Features count what they say; a fit finds the curve that made its data; the carried one is of these terms."""

import json

import numpy as np
import pytest

from rna_predict.errors import ContractError
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.templates.features import TERMS, Calibration, Features, measure, read_calibration
from rna_predict.templates.logistic import fit

SAME = {"length": 70, "chain_length": 70, "aligned": 70, "equal": 70, "opened": 0, "score": 1.0}
PAIRS = {"query_pairs": 20, "inner_query_pairs": 20, "chain_pairs": 20, "common_pairs": 20}


def test_features_of_an_alignment_counted_by_hand():
    query = ("GGAAAACCU", from_dot_bracket("((....))."))
    chain = ("GAAAACCC", from_dot_bracket("(.....).", "chain"))
    position = np.array([0, -1, 1, 2, 3, 4, 5, 6, 7])
    found = measure(query, chain, position, 0.5)
    assert (found.length, found.chain_length, found.aligned, found.equal, found.opened) == (9, 8, 8, 7, 1)
    assert (found.query_pairs, found.inner_query_pairs, found.chain_pairs, found.common_pairs) == (2, 1, 1, 1)
    assert found.coverage == pytest.approx(8 / 9)
    assert found.identity == pytest.approx(7 / 8)
    assert found.agreement == 1.0


def test_gaps_of_both_sides_count():
    query = ("GGAAAACC", np.full(8, -1))
    assert measure(query, ("GGAACAACC", np.full(9, -1)), np.array([0, 1, 2, 3, 5, 6, 7, 8]), 1.0).opened == 1
    assert measure(query, ("GGAAACC", np.full(7, -1)), np.array([0, 1, 2, 3, 4, -1, 5, 6]), 1.0).opened == 1
    assert measure(query, ("UUGGAAAACC", np.full(10, -1)), np.arange(2, 10), 1.0).opened == 0


def test_pairs_that_are_carried_over_are_common():
    query = ("GGAAAACC", from_dot_bracket("((....))"))
    found = measure(query, query, np.arange(8), 1.0)
    assert (found.query_pairs, found.inner_query_pairs, found.chain_pairs, found.common_pairs) == (2, 2, 2, 2)
    assert found.agreement == 1.0


def test_without_any_pair_the_agreement_is_full():
    query = ("GGAAAACC", np.full(8, -1))
    assert measure(query, query, np.arange(8), 1.0).agreement == 1.0


def test_the_same_rna_is_expected_to_fit_and_a_stranger_is_not():
    carried = read_calibration()
    assert carried.expected(Features(**SAME, **PAIRS)) > 0.75
    stranger = SAME | {"equal": 20, "score": 0.2, "opened": 6, "aligned": 60}
    assert carried.expected(Features(**stranger, **(PAIRS | {"common_pairs": 5}))) < 0.3


def test_no_more_is_expected_than_is_covered():
    fragment = SAME | {"aligned": 7, "equal": 7}
    sure = Calibration(weights=(9.0, *(0.0,) * (len(TERMS) - 1)), made_by={})
    assert sure.expected(Features(**fragment, **PAIRS)) == pytest.approx(0.1)


def test_a_fit_finds_the_weights_that_made_its_data():
    generator = np.random.default_rng(0)
    vector = np.concatenate([np.ones((500, 1)), generator.normal(size=(500, 3))], axis=1)
    weights = np.array([-0.5, 1.0, -2.0, 0.3])
    value = 1 / (1 + np.exp(-vector @ weights))
    assert fit(vector, value, np.ones(500), ridge=1e-9) == pytest.approx(weights, abs=1e-3)


def test_weights_of_samples_count_as_copies():
    generator = np.random.default_rng(1)
    vector = np.concatenate([np.ones((40, 1)), generator.normal(size=(40, 1))], axis=1)
    value = generator.uniform(size=40)
    copies = np.arange(40) % 3 + 1
    twice = fit(np.repeat(vector, copies, axis=0), np.repeat(value, copies), np.ones(copies.sum()), ridge=0)
    assert fit(vector, value, copies.astype(float), ridge=0) == pytest.approx(twice, abs=1e-6)


def test_a_calibration_reads_back_and_one_of_other_terms_is_refused(tmp_path):
    own = Calibration(weights=tuple(float(k) for k in range(len(TERMS))), made_by={"command": "x"})
    (tmp_path / "own.json").write_text(own.text())
    assert read_calibration(tmp_path / "own.json") == own
    other = json.loads(own.text())
    other["weights"].pop("gaps")
    (tmp_path / "other.json").write_text(json.dumps(other))
    with pytest.raises(ContractError, match=r"other\.json: not a .* templates calibrate"):
        read_calibration(tmp_path / "other.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ContractError, match="not readable"):
        read_calibration(tmp_path / "broken.json")


def test_the_carried_one_says_how_it_was_made(carried):
    made_by = read_calibration().made_by
    assert made_by["command"] == "rna-predict templates calibrate DATASET --split train"
    assert made_by["library"] == carried.digest
