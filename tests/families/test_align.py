"""The posterior of an alignment is that of all paths through the profile, and its best path is the best of all."""

import itertools

import numpy as np
import pytest

from rna_predict.families.align import JUMP, WHOLE, ProfileOdds, align_hit, best_path, posterior, profile_odds
from rna_predict.families.search import FamilyHit

from .conftest import HAIRPIN, KNOT


@pytest.fixture
def small() -> ProfileOdds:
    """Three match states with random parameters; what may not be is 0 as HMMER has it."""
    generator = np.random.default_rng(5)
    transition = generator.uniform(0.1, 1.0, (7, 4))
    for group in ((0, 1, 2), (3, 4), (5, 6)):
        transition[list(group)] /= transition[list(group)].sum(axis=0)
    transition[5, 3], transition[6, 3] = 1.0, 0.0
    return ProfileOdds(match_4M=generator.uniform(0.2, 3.0, (4, 3)), transition_7M1=transition)


def every_path(profile: ProfileOdds, sequence: str):
    """(probability, {residue: match state}) of every way of the sequence through the profile, found by recursion."""
    t, size, length = profile.transition_7M1, profile.length, len(sequence)
    odds = profile.match_4M

    def from_match(k, n):  # after residue n stood at match state k
        yield from ended(n, (1 - WHOLE) / size + WHOLE * (k == size))
        for skipped in range(length - n):  # a jump: any residues, any later state
            for later in range(k + 1, size + 1):
                yield from at_match(later, n + skipped, JUMP / size)
        if k < size:
            yield from at_match(k + 1, n, t[0, k])
            yield from at_insert(k, n, t[1, k])
            yield from at_deletion(k + 1, n, t[2, k])

    def at_match(k, n, p):
        if n < length:
            emitted = p * odds["ACGU".index(sequence[n]), k - 1]
            for rest, places in from_match(k, n + 1):
                yield emitted * rest, {n: k - 1} | places

    def at_insert(k, n, p):
        if n < length:
            for rest, places in itertools.chain(at_match(k + 1, n + 1, t[3, k]), at_insert(k, n + 1, t[4, k])):
                yield p * rest, places

    def at_deletion(k, n, p):
        ways = [ended(n, WHOLE)] if k == size else [at_match(k + 1, n, t[5, k]), at_deletion(k + 1, n, t[6, k])]
        for rest, places in itertools.chain(*ways):
            yield p * rest, places

    def ended(n, p):  # the rest of the sequence costs nothing
        yield p, {}

    for first in range(length):
        for k in range(1, size + 1):
            yield from at_match(k, first, (1 - WHOLE) / size + (WHOLE * t[0, 0] if k == 1 else 0.0))
    for first in range(length + 1):
        yield from at_deletion(1, first, WHOLE * t[2, 0])


@pytest.mark.parametrize("sequence", ["A", "GC", "GCAU", "UUACG"])
def test_the_posterior_is_the_share_of_all_paths(small, sequence):
    expected, total = np.zeros((len(sequence), 3)), 0.0
    for probability, places in every_path(small, sequence):
        total += probability
        for residue, state in places.items():
            expected[residue, state] += probability
    assert posterior(sequence, small) == pytest.approx(expected / total, abs=1e-12)


def test_a_residue_stands_at_one_state_at_most(small):
    assert posterior("ACGUACGUACGU" * 5, small).sum(axis=1).max() <= 1 + 1e-9


def hit(library, accession: str, query: tuple[int, int], model: tuple[int, int], length: int) -> FamilyHit:
    """A hit with the given ranges."""
    family = library.families[library.number[accession]]
    return FamilyHit(
        accession=accession, name=family.name, clan="", evalue=1e-6, score=20.0, query=query, model=model,
        model_length=family.length, query_length=length,
    )  # fmt: skip


def test_the_consensus_aligns_to_itself(library):
    sequence = "AAAA" + KNOT + "AA"
    matrix = align_hit(sequence, hit(library, "RF90001", (4, 37), (0, 33), len(sequence)), library)
    assert matrix.shape == (39, 33)
    assert best_path(matrix) == [(4 + n, n) for n in range(33)]
    assert np.diagonal(matrix[4:37]).min() > 0.6
    assert np.diagonal(matrix[4:37]).mean() > 0.9


def test_both_sides_of_a_long_insertion_are_one_alignment(library):
    sequence = HAIRPIN[:15] + "ACACACACAGAGAGAAACACACCAUCACACACACAACAC" + HAIRPIN[15:]
    inserted = len(sequence) - len(HAIRPIN)
    matrix = align_hit(sequence, hit(library, "RF90002", (0, len(sequence)), (0, 30), len(sequence)), library)
    path = dict(best_path(matrix))
    assert [path[n] for n in range(12)] == list(range(12))
    assert [path[n + inserted] for n in range(18, 30)] == list(range(18, 30))


def test_a_hit_that_breaks_off_is_followed_to_the_profiles_ends(library):
    sequence = "CAC" + KNOT + "CAC"
    matrix = align_hit(sequence, hit(library, "RF90001", (13, 23), (10, 20), len(sequence)), library)
    assert best_path(matrix)[0] == (3, 0)
    assert best_path(matrix)[-1] == (35, 32)


def test_residues_outside_of_the_window_are_not_aligned(library):
    sequence = KNOT + "A" * 40 + KNOT
    matrix = align_hit(sequence, hit(library, "RF90001", (73, 106), (0, 33), len(sequence)), library)
    assert not matrix[:58].any()
    assert matrix[73:].sum() > 25


def test_a_profile_is_opened_once(library):
    assert profile_odds(library, "RF90001") is profile_odds(library, "RF90001")


def test_the_best_path_has_the_largest_sum():
    generator = np.random.default_rng(1)
    for _ in range(20):
        matrix = generator.uniform(0, 1, (4, 4)) * (generator.uniform(0, 1, (4, 4)) > 0.4)
        sums = [0.0]
        for size in range(1, 5):
            for rows in itertools.combinations(range(4), size):
                sums += [matrix[rows, columns].sum() for columns in itertools.combinations(range(4), size)]
        path = best_path(matrix, least=0.0)
        assert sum(matrix[one] for one in path) == pytest.approx(max(sums))
        assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(path))


def test_weak_pairs_stay_out_of_the_path():
    assert best_path(np.diag([0.9, 0.05, 0.9])) == [(0, 0), (2, 2)]
