"""Residue contexts and the relations of residue pairs."""

from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.contracts.loops import decompose
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.stage_b_torsion.contexts import residue_keys, tetraloop_family
from rna_predict.stage_b_torsion.pair_graph import CODES, MAX_PATH, back_off, pair_codes, pair_graph


@pytest.mark.parametrize(
    ("loop", "family"),
    [
        ("GAAA", "GNRA"),
        ("GCGA", "GNRA"),
        ("GAUA", "other"),
        ("UUCG", "UNCG"),
        ("UACG", "UNCG"),
        ("CUUG", "CUUG"),
        ("GAAAA", "other"),
        ("GAA", "other"),
    ],
)
def test_tetraloop_families(loop, family):
    assert tetraloop_family(loop) == family


def keys_of(sequence, structure):
    return residue_keys(sequence, decompose(np.asarray(from_dot_bracket(structure))))


def test_a_gnra_loop_is_told_from_others_of_its_size():
    gnra = keys_of("GGCCGAAAGGCC", "((((....))))")
    other = keys_of("GGCCAAAAGGCC", "((((....))))")
    assert gnra[4][:3] == ("U/H4GNRA/0/CGA", "U/H4GNRA/0/G", "U/H4GNRA/0")
    assert other[4][2] == "U/H4other/0"
    assert gnra[3][2] == "P/=/H4GNRA", "the residue before the loop knows the loop"
    assert gnra[1][2] == "P/=/="
    assert gnra[0][2] == "P/./="


def test_bulge_internal_and_flush_stems_have_their_own_names():
    bulge = keys_of("GGAGGAAAACCCC", "((.((....))))")
    assert bulge[2][2] == "U/B1x0/0"
    assert bulge[10][2] == "P/=/|", "opposite the bulge the strand runs from one stem into the next"
    internal = keys_of("GGAGGAAAACCAACC", "((.((....))..))")
    assert internal[2][2] == "U/I1x2/0"
    assert internal[12][2] == "U/I1x2/1"


@settings(max_examples=60, deadline=None)
@given(pick=st.data())
def test_keys_go_from_narrow_to_broad_and_end_in_a_context_of_every_table(pick, folded_rna):
    rna, adjacency = pick.draw(folded_rna)
    for index, keys in enumerate(residue_keys(rna.sequence, decompose(adjacency.partner_L))):
        assert keys[-1] == ("P" if adjacency.partner_L[index] >= 0 else "U")
        assert len(set(keys)) == len(keys)


def brute_force_paths(partner_L):
    length = len(partner_L)
    paths = np.full((length, length), MAX_PATH)
    for start in range(length):
        paths[start, start] = 0
        queue = deque([start])
        while queue:
            i = queue.popleft()
            for j in (i - 1, i + 1, int(partner_L[i])):
                if 0 <= j < length and paths[start, j] == MAX_PATH and j != start and paths[start, i] < MAX_PATH - 1:
                    paths[start, j] = paths[start, i] + 1
                    queue.append(j)
    return paths


@settings(max_examples=40, deadline=None)
@given(pick=st.data())
def test_path_lengths_equal_a_breadth_first_search(pick, folded_rna):
    _, adjacency = pick.draw(folded_rna)
    graph = pair_graph(adjacency.partner_L)
    np.testing.assert_array_equal(graph.path_LL, brute_force_paths(adjacency.partner_L))
    codes = pair_codes(graph)
    np.testing.assert_array_equal(codes, codes.T)
    assert codes.min() >= 0
    assert codes.max() < CODES


def test_relations_within_a_stem():
    graph = pair_graph(np.asarray(from_dot_bracket("(((((....)))))..")))
    assert graph.strand_LL[0, 4] == 4
    assert graph.strand_LL[9, 13] == 4
    assert graph.strand_LL[4, 0] == -4
    assert graph.cross_LL[0, 13] == graph.cross_LL[4, 9] == graph.cross_LL[9, 4] == 13
    assert graph.cross_LL[0, 12] == 14
    assert graph.cross_LL[1, 13] == 12
    assert graph.reach_LL[0, 13] == 11, "C1'-C1' of a pair is about 10.6 Å"
    assert graph.reach_LL[0, 2] == 11
    assert graph.loop_LL[4, 7] == graph.loop_LL[5, 8] == 2
    assert graph.loop_LL[3, 7] == 0


def test_a_broader_code_is_a_function_of_the_narrower_one():
    levels = back_off(np.arange(CODES))
    for narrow, broad in pairwise(levels):
        order = np.lexsort([broad, narrow])
        same = narrow[order][1:] == narrow[order][:-1]
        assert (broad[order][1:] == broad[order][:-1])[same].all()
