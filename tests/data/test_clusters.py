"""Identity against counting by hand, clusters whose order does not matter, and the nearest training chain."""

import csv
import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.data import clusters
from rna_predict.data.clusters import WORD, align, greedy_clusters, word_counts
from rna_predict.data.nearest import nearest_chains
from rna_predict.errors import InputError

TRNA = "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"

letters = st.text("ACGU", min_size=4, max_size=40)


@pytest.fixture(scope="module")
def chains(shared_dir) -> dict[str, str]:
    with (shared_dir / "data" / "rna3d" / "index.csv").open() as file:
        return {row["id"]: row["sequence"] for row in csv.DictReader(file) if 30 <= int(row["length"]) <= 120}


def changed(text: str, count: int, seed: int = 0) -> str:
    """The same with `count` letters replaced by others."""
    rng = random.Random(seed)
    new = list(text)
    for k in rng.sample(range(len(text)), count):
        new[k] = rng.choice([letter for letter in "ACGU" if letter != text[k]])
    return "".join(new)


def test_identity_counts_equal_letters_over_the_shorter_sequence():
    assert align(TRNA, TRNA).identity == 1
    assert align(TRNA, TRNA[20:60]).identity == 1
    assert align(TRNA, TRNA[:40] + TRNA[43:]).identity == 1  # a gap costs score, not letters
    swapped = TRNA[:38] + {"A": "U", "U": "A", "C": "G", "G": "C"}[TRNA[38]] + TRNA[39:]
    assert align(TRNA, swapped).count == 75


@settings(max_examples=50, deadline=None)
@given(first=letters, second=letters)
def test_identity_is_a_share_of_the_shorter_in_either_order(first, second):
    one, other = align(first, second), align(second, first)
    assert one.shorter == other.shorter == min(len(first), len(second))
    assert 0 <= one.identity <= 1


def test_words_are_counted():
    counts = word_counts("ACGUACGU")
    assert counts.sum() == 8 - WORD + 1
    assert sorted(counts[counts > 0]) == [1, 1, 1, 2]
    assert word_counts("ACG").sum() == 0


def test_members_share_the_identity_with_the_founder_and_founders_do_not(chains):
    ids = sorted(chains)[::8]
    numbers = greedy_clusters([chains[id] for id in ids], 0.8)
    members: dict[int, list[str]] = {}
    for id, number in zip(ids, numbers, strict=True):
        members.setdefault(number, []).append(chains[id])
    founders = {
        number: max(own, key=lambda text: (len(text), [-ord(c) for c in text])) for number, own in members.items()
    }
    assert 20 < len(founders) < len(ids)
    for number, own in members.items():
        assert all(align(text, founders[number]).identity >= 0.8 for text in own)
    for first, second in itertools.combinations(founders.values(), 2):
        assert align(first, second).identity < 0.8


def test_leaving_pairs_out_by_words_changes_no_cluster(chains, monkeypatch):
    sequences = sorted(set(chains.values()))[::5]
    found = greedy_clusters(sequences, 0.8)
    monkeypatch.setattr(clusters, "word_counts", lambda text: np.full(4**WORD, 1000))
    assert greedy_clusters(sequences, 0.8) == found


def test_the_order_of_the_input_does_not_matter(chains):
    sequences = sorted(chains.values())[:60]
    shuffled = random.Random(0).sample(range(60), 60)
    first, second = greedy_clusters(sequences, 0.8), greedy_clusters([sequences[k] for k in shuffled], 0.8)
    assert [first[k] for k in shuffled] == second


def test_mutants_join_up_to_the_identity():
    one, near, far, same = greedy_clusters([TRNA, changed(TRNA, 14), changed(TRNA, 30, seed=1), TRNA], 0.8)
    assert one == near == same != far
    assert len(set(greedy_clusters([TRNA, changed(TRNA, 14)], 0.85))) == 2


def test_a_short_strand_does_not_join_a_long_rna_that_it_matches_somewhere():
    long = "".join(random.Random(3).choices("ACGU", k=500))
    assert greedy_clusters([long, long[100:110], long[200:230]], 0.8) == [0, 1, 0]


def test_long_relatives_join_and_strangers_are_not_even_aligned(monkeypatch):
    rng = random.Random(5)
    first, second = ("".join(rng.choices("ACGU", k=900)) for _ in range(2))
    aligned = []

    def counted(one, other):
        aligned.append((one, other))
        return align(one, other)

    monkeypatch.setattr(clusters, "align", counted)
    sequences = [first, second, *(changed(text, 60, seed) for text in (first, second) for seed in range(2))]
    one, two, *rest = greedy_clusters([*sequences, first[300:700]], 0.8)
    assert rest == [one, one, two, two, one]
    assert len(aligned) == 5


def test_the_nearest_training_chain_is_found_with_its_share_of_the_target():
    rng = random.Random(0)
    training = {f"t{k}": "".join(rng.choices("ACGU", k=80)) for k in range(30)}
    training |= {"near": changed(TRNA, 10), "half": TRNA[:38], "also": changed(TRNA, 10)}
    found = nearest_chains({"target": TRNA, "part": TRNA[10:50]}, training)
    assert [(one.id, one.nearest, one.length) for one in found] == [("target", "also", 76), ("part", "also", 40)]
    assert found[0].identity == pytest.approx(66 / 76, abs=0.02)
    assert found[0].chance < 0.7 < found[0].identity
    assert (found[0].above(0.65), found[0].related(0.65), found[0].related(0.9)) == (True, True, False)
    assert found[1].chance > 0.5
    (alone,) = nearest_chains({"target": TRNA}, {"half": TRNA[:38]})
    assert alone.identity == 0.5


def test_candidates_by_words_hold_a_relative_of_which_a_quarter_differs(chains):
    training = {id: chains[id] for id in sorted(chains)[::3]}
    targets = {id: changed(training[id], len(training[id]) // 4) for id in list(training)[::8]}
    for one in nearest_chains(targets, training, candidates=20):
        assert one.identity >= 0.75
        assert align(training[one.nearest], training[one.id]).identity > 0.8


def test_nothing_to_compare_with_is_an_error():
    with pytest.raises(InputError, match="no chain trains"):
        nearest_chains({"x": TRNA}, {})
