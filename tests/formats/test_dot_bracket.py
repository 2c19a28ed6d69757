"""Dot-bracket: both ways, with pseudoknots."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.contracts import Adjacency, Provenance
from rna_predict.contracts.loops import crossings, find_stems
from rna_predict.errors import ContractError, InputError
from rna_predict.formats.dot_bracket import (
    CLOSING,
    OPENING,
    forced_unpaired,
    from_dot_bracket,
    to_dot_bracket,
    write_dbn,
)


def matching(length: int, *pairs: tuple[int, int]) -> np.ndarray:
    partner = np.full(length, -1, dtype=np.int32)
    for i, j in pairs:
        partner[i], partner[j] = j, i
    return partner


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("(...)", [(0, 4)]),
        ("((..[[..))...]]", [(0, 9), (1, 8), (4, 14), (5, 13)]),
        ("<A{[(.....)]}>a", [(0, 13), (1, 14), (2, 12), (3, 11), (4, 10)]),
        ("..,:_-~xx", []),
        ("Zz.Xx", [(0, 1), (3, 4)]),
    ],
)
def test_brackets_of_any_kind_are_read(text, pairs):
    assert from_dot_bracket(text).tolist() == matching(len(text), *pairs).tolist()


def test_x_is_forced_unpaired_unless_it_closes_a_level():
    assert forced_unpaired("(xx..)").tolist() == [False, True, True, False, False, False]
    assert not forced_unpaired("X....x").any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(..))", r"here, position 5: '\)' closes nothing"),
        ("((..)", r"here, position 1: '\(' is never closed"),
        ("([)..", r"position 2: '\[' is never closed"),
        ("(..]", r"position 4: '\]' closes nothing"),
        ("(..1)", "position 4: '1' is not a mark"),
        ("(.|.)", r"position 3: '\|' is not a mark"),
    ],
)
def test_a_fault_is_named_with_its_position(text, message):
    with pytest.raises(InputError, match=message):
        from_dot_bracket(text, "here")


def test_pseudoknots_take_the_next_bracket_and_the_larger_stem_the_round_one():
    knot = matching(20, (0, 12), (1, 11), (6, 18), (7, 17), (8, 16))
    assert to_dot_bracket(knot) == "[[....(((..]]...)))."
    kissing = matching(24, (0, 8), (1, 7), (12, 22), (13, 21), (4, 17), (5, 16))
    assert to_dot_bracket(kissing) == "((..[[.))...((..]]...))."


def test_two_levels_suffice_where_first_come_first_served_takes_three():
    # In the order of their 5' ends: 0-12 and 2-6 take (, 4-8 crosses 2-6 and takes [, 7-13 crosses both.
    knot = matching(14, (0, 12), (2, 6), (4, 8), (7, 13), (9, 10))
    assert to_dot_bracket(knot) == "(.[.(.][)().)]"


def test_two_levels_suffice_where_the_order_of_crossings_takes_three():
    knot = matching(14, (0, 13), (1, 10), (2, 4), (3, 6), (5, 8), (7, 12), (9, 11))
    assert {mark for mark in to_dot_bracket(knot) if mark in OPENING} == {"(", "["}


def test_a_level_is_not_taken_by_a_knot_elsewhere():
    text = to_dot_bracket(matching(30, (0, 8), (4, 12), (15, 23), (19, 27)))
    assert text == "(...[...)...]..(...[...)...].."


def test_each_knot_has_its_own_larger_stem_in_round_brackets():
    small_first = [(0, 9), *((5 + k, 16 - k) for k in range(3))]
    large_first = [(20 + k, 38 - k) for k in range(5)] + [(28, 42)]
    text = to_dot_bracket(matching(43, *small_first, *large_first))
    assert text == "[....(((.]....)))...(((((...[.....)))))...]"


def test_thirty_levels_are_written_and_one_more_is_refused():
    def crossing(count: int) -> np.ndarray:
        return matching(2 * count, *[(k, k + count) for k in range(count)])

    text = to_dot_bracket(crossing(30))
    assert set(text) == set(OPENING + CLOSING)
    assert from_dot_bracket(text).tolist() == crossing(30).tolist()
    with pytest.raises(InputError, match="31 bracket levels"):
        to_dot_bracket(crossing(31))


def test_no_matching_is_refused():
    with pytest.raises(ContractError, match="mutual"):
        to_dot_bracket(np.array([2, -1, -1]))


@st.composite
def matchings(draw):
    length = draw(st.integers(1, 60))
    order = draw(st.permutations(range(length)))
    pairs = draw(st.integers(0, length // 2))
    return matching(length, *zip(order[0 : 2 * pairs : 2], order[1 : 2 * pairs : 2], strict=True))


@given(matchings())
@settings(max_examples=200, deadline=None)
def test_what_is_written_reads_back(partner):
    text = to_dot_bracket(partner)
    assert from_dot_bracket(text).tolist() == partner.tolist()
    assert not forced_unpaired(text).any()


@given(matchings())
@settings(max_examples=100, deadline=None)
def test_one_level_is_used_exactly_when_nothing_crosses(partner):
    crossed = crossings(find_stems(partner)).any()
    levels = {mark for mark in to_dot_bracket(partner) if mark in OPENING}
    assert levels == ({"("} if (partner >= 0).any() else set()) or (crossed and len(levels) >= 2)


def test_the_file_of_an_adjacency_is_whole_and_reads_back(tmp_path):
    partner = matching(12, (0, 11), (1, 10), (2, 9), (3, 8))
    adjacency = Adjacency(
        id="hairpin",
        sequence="GGGCGAAAGCCC",
        provenance=Provenance(method="given", package_version="0"),
        probability_LL=np.zeros((12, 12), dtype=np.float32),
        partner_L=partner,
    )
    path = tmp_path / "deep" / "a.dbn"
    write_dbn(adjacency, path)
    assert path.read_bytes() == b">hairpin\nGGGCGAAAGCCC\n((((....))))\n"
    assert [file.name for file in path.parent.iterdir()] == ["a.dbn"]
