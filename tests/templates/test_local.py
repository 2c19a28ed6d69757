"""Known stretches: found by letters alone, with the pairs that the RNA can form; the fit is what its command makes."""

import numpy as np
import pytest

from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.cli.library_calibration import calibrate_local
from rna_predict.errors import ConfigError
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.local import OVERLAP, search_local
from rna_predict.templates.local_worth import read_local_calibration

from .conftest import row_of

CRISPR = "AAUUUCUACUAAGUGUAGAUGGAAAUUAGGUGCGCUUGGC"
"""A CRISPR RNA of another species than the library's 5mga_B: its 5' handle and another spacer."""
HANDLE = "5mga_B"

ALL = TemplatesConfig(min_expected_pairs=0.0)


@pytest.fixture(scope="module")
def handle(carried):
    return next(hit for hit in search_local(CRISPR, carried, TemplatesConfig()) if hit.row.id == HANDLE)


def test_the_handle_is_found_with_all_its_pairs(handle):
    own = handle.row.partner_L
    assert handle.expected > 0.7
    assert len(handle.pairs) == 5
    place_of = dict(zip(handle.residue_N.tolist(), handle.place_N.tolist(), strict=True))
    assert all(own[place_of[i]] == place_of[j] for i, j in handle.pairs)
    same = [CRISPR[i] == handle.row.sequence[m] for i, m in place_of.items()]
    assert 0.85 < np.mean(same) < 1
    found = handle.found("ab")
    assert (found.id, found.first, found.last, found.pairs, found.library) == (HANDLE, 1, 21, 5, "ab")
    assert "residues 1-21 read like 5mga_B: 5 of its pairs, 8" in found.sentence


def test_pairs_that_the_letters_cannot_form_are_left_out(carried, handle):
    i, j = handle.pairs[0]
    letters = list(CRISPR)
    letters[i] = letters[j] = "A"
    found = {hit.row.id: hit for hit in search_local("".join(letters), carried, ALL)}
    assert (i, j) not in found[HANDLE].pairs
    assert found[HANDLE].expected < handle.expected


def test_a_hit_lies_in_one_chain_at_its_place_in_the_complex(carried, handle):
    other = "GGGAAACUCCC"
    found = {hit.row.id: hit for hit in search_local(other + CRISPR, carried, ALL, breaks=(len(other),))}
    assert found[HANDLE].pairs == tuple((i + len(other), j + len(other)) for i, j in handle.pairs)
    assert found[HANDLE].expected == pytest.approx(handle.expected)
    cut = next(i for i, j in handle.pairs) + 8
    torn = {hit.row.id: hit for hit in search_local(CRISPR, carried, ALL, breaks=(cut,))}
    assert all(not (i < cut <= j) for hit in torn.values() for i, j in hit.pairs)


def test_the_surest_hits_hardly_overlap_and_all_pairs_are_canonical(carried):
    for row in carried.rows[::20]:
        hits = search_local(row.sequence, carried, ALL)
        assert [hit.expected for hit in hits] == sorted((hit.expected for hit in hits), reverse=True)
        taken = np.zeros(len(row.sequence), dtype=bool)
        for hit in hits:
            assert taken[hit.residue_N].mean() <= OVERLAP
            taken[hit.residue_N] = True
            assert all(row.sequence[i] + row.sequence[j] in CANONICAL_PAIRS and j - i > 3 for i, j in hit.pairs)


def test_a_chain_finds_itself_unless_it_may_not(carried):
    row = row_of(carried, HANDLE)
    assert search_local(row.sequence, carried, TemplatesConfig())[0].row.id == HANDLE
    for config in (
        TemplatesConfig(exclude=[HANDLE]),
        TemplatesConfig(max_identity=0.9),
        TemplatesConfig(before="1900-01-01"),
        TemplatesConfig(enabled=False),
        TemplatesConfig(min_expected_pairs=1.0),
        TemplatesConfig(min_length=500),
    ):
        assert all(hit.row.id != HANDLE for hit in search_local(row.sequence, carried, config))


def test_random_letters_find_next_to_nothing(carried):
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGU"), 60)) for _ in range(40)]
    found = [hit for letters in sequences for hit in search_local(letters, carried, TemplatesConfig())]
    assert len(found) <= 4


def test_the_carried_fit_is_what_its_command_makes(carried):
    made, kept = calibrate_local(carried), read_local_calibration()
    assert kept.made_by["library"] == carried.digest
    assert made.weights == pytest.approx(kept.weights, rel=1e-4)
    bins = made.made_by["across_clusters"]["by_expected"]
    assert all(abs(one["expected"] - one["true"]) < 0.08 for one in bins)


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ConfigError, match=r"templates\.min_expected_pairs: 1\.5 is outside"):
        TemplatesConfig(min_expected_pairs=1.5)
