"""Ensemble, Model, Structure, GivenStructure and RnaSequence: each rule broken alone is refused by name."""

import dataclasses
import math

import numpy as np
import pytest

from rna_predict.contracts import GivenStructure, RnaSequence, Structure
from rna_predict.contracts.structure import full_mask, whole_structure
from rna_predict.errors import ContractError

HAIRPIN = "GGGCUUCGGCCC"


def put(value, index, number):
    value = value.copy()
    value[index] = number
    return value


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("xyz_LA3", np.zeros_like, "atoms of residue 1 coincide"),
        ("xyz_LA3", lambda v: put(v, (5, 3), v[5, 4]), "atoms of residue 6 coincide"),
        ("xyz_LA3", lambda v: v[:-1], "xyz_LA3 of hp: expected shape"),
        ("plddt_LA", lambda v: put(v, (3, 3), 100.5), "plddt_LA of hp: outside 0-100"),
        ("plddt_LA", lambda v: put(v, (3, 3), -0.5), "plddt_LA of hp: outside 0-100"),
        ("pae_LL", lambda v: v[:, :-1], "pae_LL of hp: expected shape"),
        ("pde_LL", lambda v: v[:-1], "pde_LL of hp: expected shape"),
        ("ptm", lambda v: 1.01, "ptm 1.01"),
        ("ptm", lambda v: -0.01, "ptm -0.01"),
        ("ptm", lambda v: math.nan, "ptm nan"),
        ("ranking_score", lambda v: math.inf, "ranking score inf"),
        ("ranking_score", lambda v: math.nan, "ranking score nan"),
    ],
)
def test_a_model_that_breaks_a_rule_is_no_ensemble(make_model, make_ensemble, name, change, message):
    good = make_model()
    bad = make_model(**{name: change(getattr(good, name))})
    with pytest.raises(ContractError, match=message):
        make_ensemble(models=(good, bad))


@pytest.mark.parametrize("name", ["xyz_LA3", "plddt_LA", "pae_LL", "pde_LL"])
def test_a_model_holds_finite_float32_that_nobody_can_write_to(make_model, name):
    value = getattr(make_model(), name)
    with pytest.raises(ContractError, match=f"{name} of a model: holds NaN"):
        make_model(**{name: put(value, -1, math.nan)})
    with pytest.raises(ContractError, match=f"{name} of a model: expected a float32 array, found float64"):
        make_model(**{name: value.astype(np.float64)})
    with pytest.raises(ValueError, match="read-only"):
        value[0] = 1
    mine = value.copy()
    holder = make_model(**{name: mine})
    mine[0] = 77
    np.testing.assert_array_equal(getattr(holder, name), value)


def test_an_ensemble_is_ranked_not_empty_and_says_what_its_confidence_is(make_model, make_ensemble):
    first, second = make_model(ranking_score=2.0, seed=1), make_model(ranking_score=1.0, seed=2)
    assert [model.seed for model in make_ensemble(models=(first, second)).models] == [1, 2]
    with pytest.raises(ContractError, match="not ranked best first"):
        make_ensemble(models=(second, first))
    with pytest.raises(ContractError, match="at least one model"):
        make_ensemble(models=())
    with pytest.raises(ContractError, match="'guess' is not heuristic or learned"):
        make_ensemble(confidence_kind="guess")
    with pytest.raises(ContractError, match="must match"):
        make_ensemble(id="../x")
    with pytest.raises(ContractError, match="expected shape"):
        make_ensemble(sequence=HAIRPIN + "A")


def test_an_ensembles_structure_is_the_model_of_that_rank(make_model, make_ensemble):
    moved = make_model(xyz_LA3=make_model().xyz_LA3 + np.float32(5), ranking_score=0.5)
    ensemble = make_ensemble(models=(make_model(), moved))
    shift = ensemble.structure(1).xyz_LA3 - ensemble.structure(0).xyz_LA3
    np.testing.assert_array_equal(shift[full_mask(HAIRPIN)], 5.0)
    assert ensemble.structure(1).number_L.tolist() == list(range(1, 13))


def test_a_model_has_every_heavy_atom_of_its_residues_and_no_other():
    assert full_mask("ACGU").sum(axis=1).tolist() == [22, 20, 23, 20]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xyz_LA3": np.zeros((2, 23, 3))}, "do not fit 3 residues"),
        ({"mask_LA": np.zeros((3, 22), dtype=bool)}, "do not fit 3 residues"),
        ({"number_L": np.array([1, 3, 3])}, "must rise strictly"),
        ({"number_L": np.array([3, 2, 1])}, "must rise strictly"),
        ({"sequence": "ACN"}, "letters other than A C G U"),
        ({"xyz_LA3": np.full((3, 23, 3), np.nan)}, "NaN or infinite"),
        ({"mask_LA": np.ones((3, 23), dtype=bool)}, "a slot that its residue does not have"),
    ],
)
def test_a_structure_that_contradicts_itself_is_refused(change, message):
    whole = whole_structure("x", "ACG", np.ones((3, 23, 3)))
    with pytest.raises(ContractError, match=message):
        dataclasses.replace(whole, **change)


def test_a_structure_may_lack_atoms_and_residues():
    mask = full_mask("ACG")
    mask[1] = False
    xyz = np.where(mask[..., None], np.ones(3), np.nan)
    gapped = Structure(id="x", sequence="ACG", xyz_LA3=xyz, mask_LA=mask, number_L=np.array([-4, 7, 8]))
    assert gapped.linked_L.tolist() == [False, True]


def given_pairs(partner, **fields):
    partner = np.array(partner, dtype=np.int32)
    return GivenStructure(id="x", length=len(partner), source="x.dbn", partner_L=partner, **fields)


def test_given_pairs_that_cannot_be_are_refused_with_their_source():
    for partner, message in (
        ([9, -1, -1, -1, -1, -1], "x.dbn: a pair of x lies outside its 6"),
        ([-2, -1, -1, -1, -1, -1], "lies outside its 6"),
        ([5, -1, -1, -1, -1, -1], "residue 1 pairs with 6, but 6 does not"),
        ([3, -1, -1, 0, -1, -1], "pair 1-4 has 2 residues between"),
        ([0, -1, -1, -1, -1, -1], "pair 1-1 has 0 residues between"),
    ):
        with pytest.raises(ContractError, match=message):
            given_pairs(partner)
    with pytest.raises(ContractError, match="residue 1 is both paired and forced unpaired"):
        given_pairs([5, -1, -1, -1, -1, 0], unpaired_L=np.array([True] * 6))
    with pytest.raises(ContractError, match="needs pairs or probabilities"):
        GivenStructure(id="x", length=6, source="x.dbn")
    with pytest.raises(ContractError, match="has no residues"):
        GivenStructure(id="x", length=0, source="x.dbn", partner_L=np.zeros(0, dtype=np.int32))
    with pytest.raises(ContractError, match=r"partner_L of x is int32 \(6,\), length is 7"):
        GivenStructure(id="x", length=7, source="x.dbn", partner_L=np.full(6, -1, dtype=np.int32))


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({(0, 5): np.nan}, "pair 1-6 is NaN"),
        ({(0, 5): -0.1, (5, 0): -0.1}, "pair 1-6 is -0.1"),
        ({(0, 5): 1.1, (5, 0): 1.1}, "pair 1-6 is 1.1"),
        ({(2, 2): 0.5}, "residue 3 pairs with itself"),
        ({(0, 5): 0.5}, "not symmetric: 1-6 and 6-1 are 0.5 and 0"),
        ({(0, 5): 0.6, (5, 0): 0.6, (0, 4): 0.6, (4, 0): 0.6}, "residue 1 sum to 1.2000"),
    ],
)
def test_given_probabilities_that_cannot_be_are_refused_by_residue(places, message):
    matrix = np.zeros((6, 6), dtype=np.float32)
    for place, value in places.items():
        matrix[place] = value
    with pytest.raises(ContractError, match=message):
        GivenStructure(id="x", length=6, source="x.csv", probability_LL=matrix)


def test_given_pairs_from_a_list_and_their_digest():
    crossing = GivenStructure.from_pairs("x", 12, [(8, 0), (4, 11)], "x.dbn")
    assert np.flatnonzero(crossing.partner_L >= 0).tolist() == [0, 4, 8, 11]
    same = GivenStructure.from_pairs("x", 12, [(4, 11), (0, 8)], "another file")
    other = GivenStructure.from_pairs("x", 12, [(4, 11), (0, 9)], "x.dbn")
    assert crossing.digest() == same.digest() != other.digest()
    with pytest.raises(ContractError, match="pairs with both 9 and 10"):
        GivenStructure.from_pairs("x", 12, [(0, 8), (0, 9)], "x.dbn")
    with pytest.raises(ContractError, match="pair 1-13 lies outside the 12"):
        GivenStructure.from_pairs("x", 12, [(0, 12)], "x.dbn")


def test_a_given_structure_does_not_freeze_the_callers_array():
    mine = np.array([5, -1, -1, -1, -1, 0], dtype=np.int32)
    held = GivenStructure(id="x", length=6, source="x.dbn", partner_L=mine)
    mine[:] = -1
    assert held.partner_L[0] == 5
    with pytest.raises(ValueError, match="read-only"):
        held.partner_L[0] = -1


@pytest.mark.parametrize(
    "name", ["", "../x", "a b", "a/b", ".hidden", "-rf", "a\n", "x" * 65, "$(x)", "é", "x;y", "a\0", "*"]
)
def test_an_id_that_is_no_plain_file_name_is_refused(name):
    with pytest.raises(ContractError, match="Rename the sequence"):
        RnaSequence(id=name, sequence="ACGU")


@pytest.mark.parametrize(("letters", "message"), [("", "empty"), ("ACGT", "'T' at position 4"), ("aCG", "'a' at pos")])
def test_a_sequence_holds_a_c_g_u_only(letters, message):
    with pytest.raises(ContractError, match=message):
        RnaSequence(id="x", sequence=letters)
    assert RnaSequence(id="x" * 64, sequence="A").length == 1
