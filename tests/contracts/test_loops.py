"""Loop decomposition, checked by hand on drawn structures and by rules on random matchings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.contracts.loops import STATES, Stem, crossings, decompose, find_stems, nested_mask
from rna_predict.errors import ContractError


def partners(*rows: str) -> np.ndarray:
    """Partners from drawings with one kind of bracket each; rows overlay each other."""
    partner = np.full(len(rows[0]), -1, dtype=np.int32)
    for row in rows:
        stack = []
        for j, mark in enumerate(row):
            if mark == "(":
                stack.append(j)
            elif mark == ")":
                i = stack.pop()
                partner[i], partner[j] = j, i
    return partner


TRNA = "(((((((..((((........)))).(((((.......))))).....(((((.......))))))))))))...."


def test_trna_is_a_four_way_junction_with_three_hairpins():
    found = decompose(partners(TRNA))
    assert [(s.i, s.j, s.length) for s in found.stems] == [(0, 71, 7), (9, 24, 4), (26, 42, 5), (48, 64, 5)]
    assert [loop.kind for loop in found.loops] == ["external", "multiloop", "hairpin", "hairpin", "hairpin"]
    junction = found.loops[1]
    assert junction.closing == (6, 65)
    assert junction.branches == ((9, 24), (26, 42), (48, 64))
    assert junction.strands == ((7, 9), (25, 26), (43, 48), (65, 65))
    assert junction.size == 2 + 1 + 5 + 0


def test_trna_residues_know_their_place():
    found = decompose(partners(TRNA))
    anticodon = slice(31, 38)
    assert found.states[anticodon] == ["hairpin"] * 7
    assert found.position_L[anticodon].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found.loop_size_L[anticodon].tolist() == [7] * 7
    assert found.states[0] == "stem5"
    assert found.states[71] == "stem3"
    assert found.states[72:] == ["external"] * 4
    assert found.position_L[72:].tolist() == [0, 1, 2, 3]
    assert found.loop_L[25] == 1
    assert found.strand_size_L[25] == 1
    assert found.strand_size_L[43] == 5
    assert found.loop_L[0] == -1
    assert found.loop_size_L[0] == 0
    assert found.stem_L[[0, 71, 9, 63, 72]].tolist() == [0, 0, 1, 3, -1]


def test_bulge_and_internal_loop():
    found = decompose(partners("((.((...((....))..))))"))
    assert [s.length for s in found.stems] == [2, 2, 2]
    assert [loop.kind for loop in found.loops] == ["external", "bulge", "internal", "hairpin"]
    assert found.loops[1].strands == ((2, 3), (20, 20))
    assert found.loops[2].strands == ((5, 8), (16, 18))
    assert found.position_L[16:18].tolist() == [0, 1]
    assert found.loop_size_L[16] == 5


def test_h_type_pseudoknot_keeps_the_longer_stem_and_marks_the_other():
    found = decompose(partners("((((.....))))......", "......(((.......)))"))
    assert found.stems == (Stem(i=0, j=12, length=4),)
    assert found.pseudoknots == (Stem(i=6, j=18, length=3),)
    assert found.states[6:9] == ["pseudoknot"] * 3
    assert found.states[4:6] == ["hairpin"] * 2
    assert found.loop_L[6] == 1, "a knotted residue lies in the hairpin of the skeleton"
    assert found.position_L[4:9].tolist() == [0, 1, 2, 3, 4]
    assert found.loop_L[16] == 0, "its partner lies outside"
    assert found.stem_L[16] == found.stem_L[6] == 1


def test_a_long_stem_beats_two_short_ones_only_when_it_has_more_pairs():
    two_win = decompose(partners("(((....)))...(((....)))", "...((((.........))))..."))
    assert [stem.length for stem in two_win.stems] == [3, 3]
    assert two_win.pseudoknots == (Stem(i=3, j=19, length=4),)
    one_wins = decompose(partners("((......))...((......))", "..(((((........)))))..."))
    assert one_wins.stems == (Stem(i=2, j=19, length=5),)
    assert [stem.length for stem in one_wins.pseudoknots] == [2, 2]


def test_coaxial_junction_has_empty_strands():
    found = decompose(partners("((((....))))((((....))))"))
    assert found.loops[0].branches == ((0, 11), (12, 23))
    assert found.loops[0].strands == ((0, 0), (12, 12), (24, 24))
    nested = decompose(partners("((((....))((....))))"))
    assert nested.loops[1].kind == "multiloop"
    assert nested.loops[1].size == 0


def test_nothing_paired_is_one_external_loop():
    found = decompose(np.full(7, -1, dtype=np.int32))
    assert found.states == ["external"] * 7
    assert found.stems == ()
    assert len(found.loops) == 1
    assert found.position_L.tolist() == list(range(7))


def test_a_whole_chain_hairpin_has_no_other_residue():
    found = decompose(partners("(((((...)))))"))
    assert found.stems == (Stem(i=0, j=12, length=5),)
    assert [(loop.kind, loop.size) for loop in found.loops] == [("external", 0), ("hairpin", 3)]


@pytest.mark.parametrize("partner", [[1, -1, -1], [5, -1, -1], [0, -1, -1]])
def test_what_is_no_matching_is_refused(partner):
    with pytest.raises(ContractError, match=r"matching|itself"):
        decompose(np.array(partner, dtype=np.int32))


@st.composite
def matchings(draw, longest=40):
    length = draw(st.integers(1, longest))
    order = draw(st.permutations(range(length)))
    pairs = draw(st.integers(0, length // 2))
    partner = np.full(length, -1, dtype=np.int32)
    for i, j in zip(order[0 : 2 * pairs : 2], order[1 : 2 * pairs : 2], strict=True):
        partner[i], partner[j] = j, i
    return partner


@given(matchings())
@settings(max_examples=150, deadline=None)
def test_every_residue_is_in_exactly_one_stem_or_loop(partner):
    found = decompose(partner)
    covered = np.zeros(len(partner), dtype=int)
    for stem in found.stems:
        for i, j in stem.pairs:
            assert partner[i] == j
            covered[[i, j]] += 1
    for loop in found.loops:
        for start, stop in loop.strands:
            covered[start:stop] += 1
    assert (covered == 1).all()
    knotted = {end for stem in found.pseudoknots for pair in stem.pairs for end in pair}
    assert {i for i, state in enumerate(found.states) if state == "pseudoknot"} == knotted
    assert {i for i, state in enumerate(found.states) if STATES.index(state) > 1} | set(knotted) == set(
        np.flatnonzero(found.loop_L >= 0)
    )


@given(matchings(longest=16))
@settings(max_examples=150, deadline=None)
def test_the_skeleton_has_as_many_pairs_as_any_nested_subset(partner):
    stems = find_stems(partner)
    cross = crossings(stems)
    kept = nested_mask(stems)
    weight = np.array([stem.length for stem in stems], dtype=int)
    assert not cross[np.ix_(kept, kept)].any()
    best = 0
    for code in range(2 ** len(stems)):
        chosen = np.array([code >> k & 1 for k in range(len(stems))], dtype=bool)
        if not cross[np.ix_(chosen, chosen)].any():
            best = max(best, int(weight[chosen].sum()))
    assert weight[kept].sum() == best
