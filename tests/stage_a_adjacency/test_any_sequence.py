"""Whatever the sequence and the settings, stage A gives a valid matching and valid probabilities."""

import functools
import itertools
import random

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.contracts import RnaSequence
from rna_predict.contracts.loops import find_stems
from rna_predict.stage_a_adjacency.backends import BACKENDS
from rna_predict.stage_a_adjacency.config import PSEUDOKNOTS, StageAConfig
from rna_predict.stage_a_adjacency.folding import pair_probabilities
from rna_predict.stage_a_adjacency.stage import predict_adjacency

vienna = functools.partial(StageAConfig, backend="viennarna", family="off")

CONFIGS = [
    vienna(pseudoknots=mode, readout=readout, pseudoknot_threshold=threshold)
    for mode, readout, threshold in itertools.product(PSEUDOKNOTS, BACKENDS["viennarna"].readouts, (0.05, 0.3))
    if threshold == 0.3 or mode in ("threshknot", "crossing")
]
CONFIGS += [
    vienna(lonely_pairs=False, min_stem=1),
    vienna(max_pair_span=50),
    vienna(temperature_celsius=4.0, pseudoknot_penalty=0.0, pseudoknot_unpaired=0.0, pseudoknot_min_stem=2),
]


@st.composite
def letters(draw, longest: int = 600) -> str:
    """1 to 600 residues of any composition."""
    weights = draw(st.lists(st.integers(1, 5), min_size=4, max_size=4))
    length = draw(st.integers(1, longest))
    return "".join(random.Random(draw(st.integers(0, 2**32))).choices("ACGU", weights, k=length))


@given(letters(), st.sampled_from(CONFIGS))
@example("A", CONFIGS[0])
@example("GGGGGGGGGGGGGGGGGGGGCCCCCCCCCCCCCCCCCCCC", CONFIGS[-1])
@settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_any_sequence_gets_a_valid_matching(sequence, config):
    assert_valid(sequence, config)


@given(letters())
@example("A")
@settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@pytest.mark.parametrize("backend", ["ensemble", "rfold", "viennarna"])
def test_every_backend_as_it_is_by_default_gives_a_valid_matching(backend, sequence):
    assert_valid(sequence, StageAConfig(backend=backend))


def assert_valid(sequence, config):
    """Pairs that can form, one partner a residue, no stem that is too short, probabilities that are some."""
    found = predict_adjacency(RnaSequence(id="drawn", sequence=sequence), config)
    partner_L, matrix = found.partner_L, found.probability_LL
    for i, j in found.pairs:
        assert partner_L[j] == i
        assert j - i > 3
        assert sequence[i] + sequence[j] in CANONICAL_PAIRS
    shortest = min(config.min_stem, config.pseudoknot_min_stem)
    for k in np.flatnonzero(partner_L >= 0):
        assert partner_L[partner_L[k]] == k
    if config.pseudoknots in ("off", "threshknot"):
        assert all(stem.length >= shortest for stem in find_stems(partner_L))
    assert matrix.min() >= 0
    assert np.array_equal(matrix, matrix.T)
    assert matrix.astype(np.float64).sum(axis=1).max() <= 1
    if config.max_pair_span and len(sequence) > 1:
        first, second = np.nonzero(matrix)
        assert np.abs(first - second).max(initial=0) <= config.max_pair_span


@pytest.mark.parametrize("mode", PSEUDOKNOTS)
def test_one_changed_base_changes_the_answer_with_every_kind_of_pseudoknots(mode):
    config = vienna(pseudoknots=mode, pseudoknot_threshold=0.05)
    before, after = (
        predict_adjacency(RnaSequence(id="bwyv", sequence=sequence), config)
        for sequence in ("CGCGGCACCGUCCGCGGAACAAACGG", "CGCAGCACCGUCCGCGGAACAAACGG")
    )
    assert before.partner_L[3] == 12
    assert after.partner_L[3] != 12
    assert before.digest() != after.digest()


def test_one_changed_base_changes_the_default_s_answer():
    before, after = (
        predict_adjacency(RnaSequence(id="hairpin", sequence=sequence), StageAConfig())
        for sequence in ("GGACGGCAUUCGUGCCGUAACCGGAUAACCGG", "GGACGGCAUUCGUGCCCUAACCGGAUAACCGG")
    )
    kept = [(4, 15), (5, 14), (6, 13), (7, 12), (20, 31), (21, 30), (22, 29), (23, 28)]
    assert list(before.pairs) == [(2, 17), (3, 16), *kept]
    assert list(after.pairs) == kept
    assert before.digest() != after.digest()


def test_sums_just_below_one_do_not_round_to_more():
    upper = np.zeros((20, 20))
    upper[0, 4:14] = 0.1 - 1e-10  # float32 makes 0.10000000149 of each
    matrix = pair_probabilities(upper)
    assert matrix.astype(np.float64).sum(axis=1).max() <= 1
    assert matrix[0, 4] == pytest.approx(0.1, abs=1e-6)
