"""What is drawn: states, verdicts, and how much of it there is room for."""

from dataclasses import replace

import numpy as np
import pytest

from rna_predict.contracts import Adjacency, GivenStructure, Provenance, RnaSequence
from rna_predict.errors import ContractError, InputError
from rna_predict.report.structure_drawing import structure_drawing
from rna_predict.report.subject import Subject, most_probable, subject_of_adjacency, subject_of_structure

RNA = RnaSequence(id="x", sequence="GGGAAAACCU")


def adjacency() -> Adjacency:
    probability_LL = np.zeros((10, 10), dtype=np.float32)
    for (i, j), value in {(0, 9): 0.75, (1, 8): 0.5, (2, 7): 0.25, (2, 8): 0.125}.items():
        probability_LL[i, j] = probability_LL[j, i] = value
    partner_L = np.array([9, 8, -1, -1, -1, -1, -1, -1, 1, 0], dtype=np.int32)
    return Adjacency(
        id=RNA.id,
        sequence=RNA.sequence,
        provenance=Provenance(method="viennarna", package_version="0"),
        probability_LL=probability_LL,
        partner_L=partner_L,
    )


def test_a_residue_has_the_probability_of_what_it_is_shown_as():
    subject = subject_of_adjacency(adjacency())
    assert subject.state_probabilities() == [0.75, 0.5, 1 - 0.375, 1, 1, 1, 1, 0.75, 0.5, 0.75]
    assert subject.source == "viennarna"
    assert subject.state_name(0, 0.75) == "G1 paired with 10 0.75"
    assert subject.state_name(2, 0.625) == "G3 unpaired 0.62"


def test_pairs_are_right_wrong_or_missed():
    native = GivenStructure.from_pairs("x", 10, [(0, 9), (2, 7)], "some/folder/native.ct")
    subject = subject_of_adjacency(adjacency(), native)
    assert [subject.verdict(pair) for pair in subject.pairs] == ["right", "wrong"]
    assert subject.missed_pairs == [(2, 7)]
    assert subject.verdict((2, 7)) == "missed"
    assert subject.verdict((2, 8)) == ""
    assert subject.native_source == "native.ct"
    assert subject.pair_name((2, 7)) == "G3–C8 0.25, missed"
    assert subject.pair_name((2, 8)) == "G3–C9 0.12"
    assert subject_of_adjacency(adjacency()).verdict((0, 9)) == ""


def test_kinds_go_by_the_letters():
    subject = subject_of_adjacency(adjacency())
    assert [subject.kind(pair) for pair in ((1, 8), (0, 9), (9, 1), (3, 8))] == [
        "Watson-Crick",
        "wobble",
        "wobble",
        "non-canonical",
    ]


def test_a_structure_from_a_file_has_no_probabilities():
    given = GivenStructure.from_pairs("x", 10, [(0, 8)], "a/b.dbn, line 3")
    subject = subject_of_structure(RNA, given)
    assert subject.pairs == [(0, 8)]
    assert subject.state_probabilities() == [None] * 10
    assert subject.pair_name((0, 8)) == "G1–C9"
    assert subject.source == "b.dbn, line 3"


def test_a_native_without_pairs_or_of_another_length_is_named():
    matrix = GivenStructure(id="x", length=10, source="m.npy", probability_LL=np.zeros((10, 10), dtype=np.float32))
    with pytest.raises(InputError, match=r"m\.npy: holds probabilities, not pairs"):
        subject_of_adjacency(adjacency(), matrix)
    with pytest.raises(InputError, match="has 9 residues, x has 10"):
        subject_of_adjacency(adjacency(), GivenStructure.from_pairs("x", 9, [(0, 8)], "n"))
    with pytest.raises(ContractError, match=r"native_L of x: expected shape \(10,\), found \(9,\)"):
        replace(subject_of_adjacency(adjacency()), native_L=np.full(9, -1, dtype=np.int32))


def test_the_threshold_rises_until_there_is_room_and_what_is_left_out_is_counted():
    values = np.zeros((30, 30), dtype=np.float32)
    values[0, 5:30] = np.linspace(0.02, 0.5, 25)  # 0.02, 0.04, … 0.5
    values += values.T
    all_of_them = most_probable(values, (0.01, 0.1, 0.3), 25)
    assert (len(all_of_them.pairs), all_of_them.threshold, all_of_them.left_out) == (25, 0.01, 0)
    fewer = most_probable(values, (0.01, 0.1, 0.3), 24)
    assert (fewer.threshold, fewer.left_out) == (0.1, 5)
    assert fewer.pairs == [(0, k) for k in range(10, 30)]
    fewest = most_probable(values, (0.01, 0.1, 0.3), 1)
    assert (len(fewest.pairs), fewest.threshold, fewest.left_out) == (10, 0.3, 15)


def test_residues_of_several_chains_have_the_chains_name():
    subject = Subject(
        id="x",
        sequence="GGCC",
        partner_L=np.array([3, 2, 1, 0]),
        probability_LL=None,
        source="drawn",
        breaks=(2,),
    )
    assert [subject.residue_name(k) for k in range(4)] == ["A:G1", "A:G2", "B:C1", "B:C2"]
    markup = structure_drawing(subject)
    assert markup.count("5′") == markup.count("3′") == 2
