"""Sources of evidence add up, contradictions are named, and no backend drops what it cannot use."""

import functools

import numpy as np
import pytest

from rna_predict.contracts import RnaSequence
from rna_predict.contracts.adjacency import Adjacency
from rna_predict.errors import ConfigError, InputError
from rna_predict.formats.dot_bracket import from_dot_bracket, to_dot_bracket
from rna_predict.stage_a_adjacency import stage
from rna_predict.stage_a_adjacency.backends import Backend
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.evidence import Evidence, constraints_of, put_on_top
from rna_predict.stage_a_adjacency.folding import Constraints, Fold

vienna = functools.partial(StageAConfig, backend="viennarna")

LENGTH = 22
KNOT = "GGGGAAACCAAACCCCAAAGGA"
HELIX = "((((........))))......"


def fold_of(text: str, probability: float) -> Fold:
    partner_L = from_dot_bracket(text)
    matrix = np.zeros((len(text), len(text)), dtype=np.float32)
    paired = np.flatnonzero(partner_L >= 0)
    matrix[paired, partner_L[paired]] = probability
    return Fold(probability_LL=matrix, partner_L=partner_L)


def bonus(value: float) -> np.ndarray:
    matrix = np.zeros((LENGTH, LENGTH))
    matrix[0, 15] = matrix[15, 0] = value
    return matrix


def test_bonuses_of_two_sources_add_up_and_pairs_are_joined():
    one = Evidence(name="given", digest="a", pairs=((1, 14),), bonus_LL=bonus(-1.0))
    two = Evidence(name="family", digest="b", pairs=((2, 13), (1, 14)), unpaired=(21,), bonus_LL=bonus(-0.5))
    told = constraints_of([one, two])
    assert told.bonus_LL is not None
    assert told.bonus_LL[0, 15] == -1.5
    assert np.count_nonzero(told.bonus_LL) == 2
    assert told.pairs == ((1, 14), (2, 13))
    assert told.unpaired == (21,)
    assert one.bonus_LL is not None
    assert one.bonus_LL[0, 15] == -1.0, "the sources are not written to"


def test_no_source_says_nothing():
    assert constraints_of([]).present == []


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"pairs": ((1, 13),)}, "family: residue 2 pairs with 14, but with 15 by given"),
        ({"unpaired": (14,)}, "given and family: residue 15 is both paired and forced unpaired"),
    ],
)
def test_sources_that_contradict_each_other_are_named(second, message):
    with pytest.raises(InputError, match=message):
        constraints_of(
            [Evidence(name="given", digest="a", pairs=((1, 14),)), Evidence(name="family", digest="b", **second)]
        )


def test_offered_pairs_fill_free_residues_only():
    fold = fold_of(HELIX, 0.9)
    offer = Evidence(name="family", digest="a", offered=((7, 20, 0.8), (8, 19, 0.8), (0, 10, 0.8)))
    found = put_on_top(fold, [offer])
    assert to_dot_bracket(found.matching) == "((((...[[...))))...]]."
    assert found.probability_LL[7, 20] == np.float32(0.8)
    assert found.probability_LL[0, 10] == 0
    assert found.probability_LL[0, 15] == np.float32(0.9)
    assert to_dot_bracket(fold.matching) == HELIX, "the backend's answer is not written to"


def test_a_raised_pair_leaves_its_residues_the_rest():
    matrix = np.zeros((LENGTH, LENGTH), dtype=np.float32)
    for i, j, p in ((7, 19, 0.6), (7, 20, 0.2), (8, 19, 0.3)):
        matrix[i, j] = matrix[j, i] = p
    fold = Fold(probability_LL=matrix, partner_L=np.full(LENGTH, -1, dtype=np.int32))
    found = put_on_top(fold, [Evidence(name="family", digest="a", offered=((7, 20, 0.7),))]).probability_LL
    assert found[7, 19] == pytest.approx(0.3, abs=1e-5), "0.6 of 0.6 shrinks to the 0.3 that is left"
    assert found[8, 19] == np.float32(0.3), "rows that are not touched stay"
    assert found.astype(np.float64).sum(axis=1).max() <= 1
    assert np.array_equal(found, found.T)


class Told:
    """A backend that remembers what it was told."""

    def __init__(self, fold: Fold) -> None:
        self.answer = fold
        self.constraints: list[Constraints] = []

    def __call__(self, sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
        self.constraints.append(constraints)
        return self.answer


@pytest.mark.parametrize(
    ("field", "source"),
    [
        ("pairs", {"pairs": ((0, 15),)}),
        ("unpaired", {"unpaired": (3,)}),
        ("bonus_LL", {"bonus_LL": bonus(-1.0)}),
        ("reactivity_L", {"reactivity_L": np.zeros(LENGTH, dtype=np.float32)}),
    ],
)
def test_a_backend_that_cannot_use_a_field_refuses_it_by_name(monkeypatch, field, source):
    told = Told(fold_of(HELIX, 0.9))
    others = {"pairs", "unpaired", "bonus_LL", "reactivity_L"} - {field}
    deaf = Backend(name="deaf", run=told, uses=frozenset(others))
    monkeypatch.setitem(stage.BACKENDS, "viennarna", deaf)
    with pytest.raises(ConfigError, match=f"stage_a.backend: deaf cannot use {field} .* use backend viennarna"):
        stage.fold_with(KNOT, vienna(), [Evidence(name="given", digest="a", **source)])
    assert not told.constraints
    hearing = Backend(name="hearing", run=told, uses=frozenset({field}))
    monkeypatch.setitem(stage.BACKENDS, "viennarna", hearing)
    stage.fold_with(KNOT, vienna(), [Evidence(name="given", digest="a", **source)])
    assert told.constraints[0].present == [field]


def test_a_matching_is_read_where_the_backend_has_none(monkeypatch):
    fold = fold_of(HELIX, 0.9)
    bare = Told(Fold(probability_LL=fold.probability_LL, partner_L=None, weights="f00"))
    monkeypatch.setitem(stage.BACKENDS, "viennarna", Backend(name="bare", run=bare, uses=frozenset()))
    for readout in ("mea", "centroid"):
        found = stage.predict_adjacency(RnaSequence(id="knot", sequence=KNOT), vienna(readout=readout))
        assert isinstance(found, Adjacency)
        assert to_dot_bracket(found.partner_L) == HELIX
        assert found.provenance.weights == "f00"
    with pytest.raises(ConfigError, match=r"stage_a\.readout: mfe is not read from probabilities"):
        stage.predict_adjacency(RnaSequence(id="knot", sequence=KNOT), vienna(readout="mfe"))
    learned = Backend(name="learned", run=bare, uses=frozenset(), readouts=("mea",))
    monkeypatch.setitem(stage.BACKENDS, "viennarna", learned)
    with pytest.raises(ConfigError, match=r"readout: mfe is not for backend learned\. Use one of: mea"):
        stage.predict_adjacency(RnaSequence(id="knot", sequence=KNOT), vienna(readout="mfe"))
