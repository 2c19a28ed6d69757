"""Other secondary structures: without a doubtful stem each, different from each other; the first one stays."""

import dataclasses

import numpy as np
import pytest

from rna_predict.contracts import Adjacency, GivenStructure, Provenance, RnaSequence, alternatives_of
from rna_predict.contracts.loops import find_stems
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.stage_a_adjacency.alternatives import differ, stem_probability, without_stem
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.evidence import Evidence
from rna_predict.stage_a_adjacency.stage import predict_adjacency

SWITCH = RnaSequence(id="switch", sequence="GGGCGCAAGCGCCCAAGGGCGCUU")
"""Its middle GGCGC-like strand pairs with either end, so that two hairpins compete."""

SETTINGS = StageAConfig(backend="viennarna", family="off", calibration="off", alternatives=2, alternative_doubt=0.05)


@pytest.fixture(scope="module")
def found() -> Adjacency:
    return predict_adjacency(SWITCH, SETTINGS)


def test_each_alternative_lacks_a_doubtful_stem_and_differs_from_all_others(found):
    structures = [found, *alternatives_of(found)]
    assert len(structures) > 1
    doubtful = [stem for stem in find_stems(found.partner_L) if stem_probability(found.probability_LL, stem) <= 0.95]
    for other in structures[1:]:
        assert any(all(other.partner_L[i] != j for i, j in stem.pairs) for stem in doubtful)
        assert other.provenance.method.startswith(f"{found.provenance.method}, alternative ")
    for n, one in enumerate(structures):
        assert all(differ(one.partner_L, other.partner_L) for other in structures[:n])


def test_the_first_structure_is_what_it_is_without_alternatives(found):
    alone = predict_adjacency(SWITCH, dataclasses.replace(SETTINGS, alternatives=0))
    assert not alone.alternatives
    assert dataclasses.replace(found, alternatives=()).digest() == alone.digest()


@pytest.mark.parametrize("change", [{"alternative_doubt": 1.0}, {"alternative_max_length": 23}, {"alternatives": 0}])
def test_sure_stems_and_long_rnas_have_no_alternatives(change):
    assert not predict_adjacency(SWITCH, dataclasses.replace(SETTINGS, **change)).alternatives


def test_a_given_structure_has_no_alternatives(found):
    given = GivenStructure.from_pairs(SWITCH.id, SWITCH.length, found.pairs, "test")
    assert not predict_adjacency(SWITCH, SETTINGS, given).alternatives
    guided = predict_adjacency(SWITCH, dataclasses.replace(SETTINGS, given_mode="constrain"), given)
    assert not guided.alternatives


def test_no_pair_between_the_strands_of_a_stem_is_left_or_offered():
    partner_L = from_dot_bracket("((((....))))....")
    stem = find_stems(partner_L)[0]
    family = Evidence(name="family", digest="x", offered=((1, 10, 0.9), (4, 15, 0.9)))
    kept, forbidden = without_stem(stem, [family], 16)
    assert kept.offered == ((4, 15, 0.9),)
    assert forbidden.bonus_LL is not None
    first, second = np.nonzero(forbidden.bonus_LL)
    assert (set(first.tolist()), set(second.tolist())) == ({0, 1, 2, 3}, {8, 9, 10, 11})


def test_the_chance_of_another_structure_is_that_the_surest_stem_it_lacks_is_not_there():
    probability_LL = np.zeros((24, 24), dtype=np.float32)
    for i, j, value in ((0, 9, 0.9), (1, 8, 0.7), (12, 21, 0.4), (13, 20, 0.4)):
        probability_LL[i, j] = probability_LL[j, i] = value

    def structure(text: str) -> Adjacency:
        return Adjacency(
            id="x",
            sequence="GGAAAAAACCAAGGAAAAAACCAA",
            provenance=Provenance(method="test", package_version="0"),
            probability_LL=probability_LL,
            partner_L=from_dot_bracket(text),
        )

    first = structure("((......))..((......))..")
    assert first.chance_of(structure("((......))..............")) == pytest.approx(0.6)
    assert first.chance_of(structure("............((......))..")) == pytest.approx(0.2)
    assert first.chance_of(structure("........................")) == pytest.approx(0.2)
    assert first.chance_of(first) == 1.0
