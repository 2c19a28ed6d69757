"""A sequence's families are found, on the forward strand alone, and overlapping hits are decided."""

import dataclasses

import pytest

from rna_predict.errors import ConfigError
from rna_predict.families.library import load_library
from rna_predict.families.search import FamilyHit, SearchSettings, choose, search, search_many

from .conftest import HAIRPIN, KNOT

TRNA = "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"


@pytest.fixture(scope="module")
def rfam():
    """The library that the package carries."""
    return load_library()


def test_the_carried_library_is_rfam_14_9_and_says_so(rfam):
    assert rfam.release == "Rfam 14.9"
    assert rfam.made_by["licence"] == "CC0-1.0"
    assert len(rfam.families) == 4108
    trna = rfam.families[rfam.number["RF00005"]]
    assert trna.structure == "(((((((..((((.......)))).(((((.......)))))....(((((.......))))))))))))."
    assert (trna.length, trna.clan, len(rfam.seed_rows("RF00005"))) == (71, "CL00001", 128)


def test_a_trna_is_found_where_it_lies(rfam):
    (hit,) = search("AAAAAAAA" + TRNA, rfam)
    assert (hit.accession, hit.name, hit.clan) == ("RF00005", "tRNA", "CL00001")
    assert hit.evalue < 1e-6
    assert hit.query[0] in range(7, 12)
    assert hit.query[1] in range(70, 85)
    assert hit.model_coverage > 0.85
    assert hit.query_coverage == (hit.query[1] - hit.query[0]) / 84


def test_residues_and_states_are_counted_from_0(library):
    (hit,) = search("AAAA" + KNOT + "AA", library, SearchSettings(evalue=0.1))
    assert hit.query[0] == hit.model[0] + 4  # the consensus itself, without a gap
    assert hit.query[1] == hit.model[1] + 4
    assert hit.model[1] - hit.model[0] > 25


def test_two_trnas_in_one_rna_are_two_hits(rfam):
    hits = search(TRNA + "ACACA" + TRNA, rfam)
    assert [hit.accession for hit in hits] == ["RF00005", "RF00005"]
    assert sorted(hit.query[0] // 81 for hit in hits) == [0, 1]


def test_the_reverse_strand_is_not_searched(rfam):
    reverse = TRNA.translate(str.maketrans("ACGU", "UGCA"))[::-1]
    assert search(reverse, rfam) == ()


@pytest.mark.parametrize("sequence", ["A", "GGGGAAAACCCC", "A" * 100, "GAUC" + "CUUACGUAGG" * 2])
def test_what_is_of_no_family_has_no_hit(rfam, sequence):
    assert search(sequence, rfam) == ()


def test_many_at_once_give_the_hits_of_one_by_one(rfam):
    sequences = [TRNA, "ACGU" * 10, TRNA[20:] + TRNA, TRNA[:40]]
    assert search_many(sequences, rfam) == [search(one, rfam) for one in sequences]
    assert search_many([], rfam) == []


def test_a_family_that_is_left_out_is_not_found(rfam):
    assert search(TRNA, rfam, SearchSettings(exclude=("RF00005",), evalue=1e-6)) == ()


def test_the_limits_are_kept(library):
    (hit,) = search("AAAA" + KNOT + "AAAA", library, SearchSettings(evalue=0.1))
    assert hit.accession == "RF90001"
    assert search("AAAA" + KNOT + "AAAA", library, SearchSettings(evalue=hit.evalue / 2)) == ()
    half = SearchSettings(evalue=1.0, min_coverage=0.9)
    assert search(HAIRPIN[:20], library, half) == ()


def hit_at(first: int, last: int, evalue: float, accession: str = "RF00001") -> FamilyHit:
    """A hit on residues first … last - 1."""
    return FamilyHit(
        accession=accession, name="n", clan="", evalue=evalue, score=-evalue, query=(first, last),
        model=(0, last - first), model_length=last - first, query_length=200,
    )  # fmt: skip


def test_of_overlapping_hits_the_better_one_stays():
    good, worse, beside = hit_at(0, 50, 1e-9), hit_at(20, 60, 1e-5, "RF00002"), hit_at(45, 100, 1e-4, "RF00003")
    assert choose([beside, worse, good], SearchSettings()) == (good, beside)


def test_a_hit_that_is_left_out_does_not_hide_another():
    good, worse = hit_at(0, 50, 1e-9), hit_at(20, 60, 1e-5, "RF00002")
    assert choose([good, worse], SearchSettings(exclude=("RF00001",))) == (worse,)


def test_parts_in_line_are_one_hit(library):
    first, second = KNOT[:14], KNOT[14:]
    found = search("AA" + first + "A" * 30 + second, library, SearchSettings(evalue=10.0))
    assert len([hit for hit in found if hit.accession == "RF90001"]) <= 1


def test_a_shift_of_the_query_shifts_the_hit(library):
    settings = SearchSettings(evalue=1.0)
    (one,), (two,) = search("A" + KNOT, library, settings), search("AAAAA" + KNOT, library, settings)
    assert (two.query[0] - one.query[0], two.query[1] - one.query[1]) == (4, 4)
    assert dataclasses.replace(two, query=one.query, evalue=1, score=0, query_length=1).model == one.model


@pytest.mark.parametrize("wrong", [{"evalue": 0.0}, {"evalue": float("nan")}, {"min_coverage": 1.5}])
def test_limits_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ConfigError, match="families"):
        SearchSettings(**wrong)
