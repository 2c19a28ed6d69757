"""What known structures say of pairs: they move and add pairs; without one, or left out, nothing changes."""

import dataclasses
import functools
import math

import numpy as np
import pytest

from rna_predict.contracts import Adjacency, GivenStructure, RnaSequence
from rna_predict.errors import ConfigError
from rna_predict.evaluation.base_pairs import crossing_pairs, pairs_of
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import can_pair
from rna_predict.stage_a_adjacency.stage import fold_with, predict_adjacency
from rna_predict.stage_a_adjacency.template_pairs import carried_pairs, template_evidence
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.library import MemoryLibrary, open_library
from rna_predict.templates.search import search

vienna = functools.partial(StageAConfig, backend="viennarna", family="off")

ADENINE = "1y26_X"
"""Chain of the carried library: the adenine riboswitch, two kissing loops."""


@pytest.fixture(scope="module")
def carried() -> MemoryLibrary:
    library = open_library("")
    assert isinstance(library, MemoryLibrary)
    return library


@pytest.fixture(scope="module")
def adenine(carried: MemoryLibrary) -> RnaSequence:
    row = next(row for row in carried.rows if row.id == ADENINE)
    return RnaSequence(id="adenine", sequence=row.sequence)


@pytest.fixture(scope="module")
def native(carried: MemoryLibrary) -> set[tuple[int, int]]:
    row = next(row for row in carried.rows if row.id == ADENINE)
    return {(int(i), int(j)) for i, j in pairs_of(row.partner_L)}


FAR = TemplatesConfig(max_identity=0.8, min_expected_pairs=1.0)
"""Without known stretches, which have tests of their own."""


@pytest.fixture(scope="module")
def alone(adenine: RnaSequence) -> Adjacency:
    return predict_adjacency(adenine, vienna())


@pytest.fixture(scope="module")
def told(adenine: RnaSequence) -> Adjacency:
    return predict_adjacency(adenine, vienna(), templates=FAR)


def test_a_relative_below_80_percent_identity_brings_the_kissing_loops(
    alone: Adjacency, told: Adjacency, native: set[tuple[int, int]]
):
    right, before = native & set(told.pairs), native & set(alone.pairs)
    assert before < right
    assert len(crossing_pairs(pairs_of(alone.partner_L))) == 0
    kissing = {(int(i), int(j)) for i, j in crossing_pairs(pairs_of(told.partner_L))}
    assert len(kissing & native) > len(before & right) // 2
    assert len(right) >= 0.8 * len(told.pairs)


def test_the_result_says_that_templates_took_part(alone: Adjacency, told: Adjacency):
    assert told.provenance.method == "viennarna+templates"
    assert len(told.provenance.inputs["templates"]) == 64
    assert alone.provenance.method == "viennarna"


def test_an_offered_pair_is_as_probable_as_its_template_is_good(
    alone: Adjacency, told: Adjacency, carried: MemoryLibrary
):
    known = _evidence(alone)
    offered = {(i, j): probability for i, j, probability in known.offered}
    assert max(offered.values()) == pytest.approx((1 + search(alone, carried, FAR)[0].expected_tm) / 2)
    nested = fold_with(alone.sequence, vienna(), [dataclasses.replace(known, offered=())])
    added = {(i, j) for i, j in told.pairs if nested.matching[i] != j}
    assert added
    assert added <= set(offered)
    assert [told.probability_LL[pair] for pair in added] == pytest.approx([offered[pair] for pair in added])


def _evidence(first: Adjacency, config: StageAConfig | None = None, templates: TemplatesConfig = FAR):
    found = template_evidence(first, config or vienna(), templates)
    assert found is not None
    return found


def test_energies_favour_the_best_template_and_charge_its_loops(alone: Adjacency, carried: MemoryLibrary):
    best = search(alone, carried, FAR)[0]
    legal_LL = np.triu(can_pair(alone.sequence), k=1)
    pairs = carried_pairs(best, legal_LL)
    bonus_LL = _evidence(alone, vienna(template_weight=4.0, template_loop_weight=0.5)).bonus_LL
    assert bonus_LL is not None
    assert {tuple(map(int, pair)) for pair in np.argwhere(bonus_LL < 0)} == set(pairs)
    assert bonus_LL.min() == pytest.approx(-4.0 * best.expected_tm)
    assert bonus_LL.max() == pytest.approx(0.5 * best.expected_tm)
    loops = [i for i, m in enumerate(best.position_L) if m >= 0 and best.row.partner_L[m] < 0]
    charged = np.argwhere(bonus_LL > 0)
    assert len(charged) > 10
    assert all(i in loops or j in loops for i, j in charged)
    assert not bonus_LL[~legal_LL].any()


def test_carried_pairs_are_those_of_aligned_residues_that_can_pair(carried: MemoryLibrary, alone: Adjacency):
    best = search(alone, carried, FAR)[0]
    row = best.row._replace(sequence="GGAAAACC", structure="((....))")
    moved = dataclasses.replace(best, row=row, position_L=np.array([-1, 0, 1, 2, 3, 4, 5, 6, 7]))
    assert carried_pairs(moved, np.triu(can_pair("AGGAAAACC"), k=1)) == [(1, 8), (2, 7)]
    assert carried_pairs(moved, np.triu(can_pair("AGAAAAACC"), k=1)) == [(1, 8)]  # A and C do not pair
    cut = dataclasses.replace(moved, position_L=np.array([-1, 0, 1, 2, 3, 4, 5, -1, 7]))
    assert carried_pairs(cut, np.triu(can_pair("AGGAAAACC"), k=1)) == [(1, 8)]


@pytest.mark.parametrize(
    ("config", "templates"),
    [
        (vienna(templates="off"), FAR),
        (vienna(), TemplatesConfig(enabled=False)),
        (vienna(), TemplatesConfig(max_hits=0, min_expected_pairs=1.0)),
        (vienna(), TemplatesConfig(min_expected_tm=1.0, min_expected_pairs=1.0)),
        (vienna(), TemplatesConfig(max_identity=0.0)),
        (vienna(), TemplatesConfig(before="1900-01-01")),
        (vienna(), None),
    ],
)
def test_without_a_template_that_counts_nothing_changes(
    adenine: RnaSequence, alone: Adjacency, config: StageAConfig, templates: TemplatesConfig | None
):
    found = predict_adjacency(adenine, config, templates=templates)
    assert found.digest() == alone.digest()
    assert "templates" not in found.provenance.inputs


def test_a_backend_without_energies_gets_offers_alone(alone: Adjacency):
    found = _evidence(alone, StageAConfig(backend="linearpartition"))
    assert found.bonus_LL is None
    assert found.offered == _evidence(alone).offered


def test_a_given_structure_that_is_the_answer_is_left_as_it_is(adenine: RnaSequence):
    given = GivenStructure.from_pairs(adenine.id, adenine.length, [(0, adenine.length - 1)], "test")
    found = predict_adjacency(adenine, vienna(), given, templates=FAR)
    assert list(found.pairs) == [(0, adenine.length - 1)]
    assert found.provenance.method == "given"


def test_a_pseudoknot_of_very_low_energy_leaves_finite_probabilities(adenine: RnaSequence):
    with np.errstate(all="raise", under="ignore"):
        found = predict_adjacency(adenine, vienna(template_weight=20.0), templates=TemplatesConfig())
    assert np.isfinite(found.probability_LL).all()
    assert math.isclose(float(found.probability_LL.max()), 1.0, abs_tol=0.5)


def test_a_mode_that_is_unknown_is_refused():
    with pytest.raises(ConfigError, match=r"stage_a\.templates: 'on' is unknown\. Use one of: auto, off"):
        StageAConfig(templates="on")
