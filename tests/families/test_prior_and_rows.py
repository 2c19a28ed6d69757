"""What families say of pairs follows alignment and seed; their rows become an alignment that our own reader takes."""

import dataclasses

import numpy as np
import pytest

from rna_predict.chemistry.letters import letter_ids
from rna_predict.contracts.sequence import RnaSequence
from rna_predict.families.align import align_hit
from rna_predict.families.library import SeedRow, pack_rows
from rna_predict.families.msa import _on_sequence, a3m_text, family_rows
from rna_predict.families.prior import consensus_pairs, family_prior
from rna_predict.families.search import SearchSettings, search
from rna_predict.formats.alignment import read_alignment

from .conftest import KNOT

SEQUENCE = "AAAA" + KNOT + "AA"
SETTINGS = SearchSettings(evalue=0.1)


@pytest.fixture(scope="module")
def hits(library):
    """The knot's hit."""
    found = search(SEQUENCE, library, SETTINGS)
    assert [hit.accession for hit in found] == ["RF90001"]
    return found


def test_consensus_pairs_say_which_are_of_a_pseudoknot(library):
    pairs = consensus_pairs(library.families[0])
    crossing = [pair for pair, _, crosses in pairs if crosses]
    assert len(pairs) == 12
    assert crossing == [(4, 32), (5, 31), (6, 30)]


def test_a_pair_weighs_its_posteriors_times_its_support(library, hits):
    prior = family_prior(SEQUENCE, hits, library)
    posterior = align_hit(SEQUENCE, hits[0], library)
    assert prior.nested_LL[4, 29] == pytest.approx(posterior[4, 0] * posterior[29, 25], rel=1e-5)
    assert prior.nested_LL[4, 29] > 0.7
    assert prior.crossing_LL[8, 36] == pytest.approx(posterior[8, 4] * posterior[36, 32], rel=1e-5)
    assert not prior.nested_LL[8].any()


def test_half_the_support_is_half_the_weight(library, hits):
    family = library.families[0]
    weak = dataclasses.replace(family, support=(50, *family.support[1:]))
    other = dataclasses.replace(library, families=(weak, library.families[1]))
    before, after = (family_prior(SEQUENCE, hits, one).nested_LL for one in (library, other))
    assert after[4, 29] == pytest.approx(before[4, 29] / 2)
    assert after[5, 28] == before[5, 28]


def test_letters_that_do_not_pair_weigh_nothing(library, hits):
    changed = SEQUENCE[:29] + "A" + SEQUENCE[30:]  # its partner at 4 is a G
    assert family_prior(SEQUENCE, hits, library).nested_LL[4, 29] > 0.7
    assert family_prior(changed, search(changed, library, SETTINGS), library).nested_LL[4, 29] == 0


def test_matrices_are_of_pairs_i_below_j_and_at_most_one(library, hits):
    prior = family_prior(SEQUENCE, hits + hits, library)
    for matrix in (prior.nested_LL, prior.crossing_LL):
        assert np.array_equal(matrix, np.triu(matrix, 1))
        assert matrix.max() <= 1
    assert max(prior.loop_L.max(), prior.knot_L.max()) <= 1


def test_loops_and_pseudoknots_are_no_place_for_nested_pairs(library, hits):
    prior = family_prior(SEQUENCE, hits, library)
    assert prior.loop_L[16:20].min() > 0.9  # the hairpin's loop
    assert prior.knot_L[8:11].min() > 0.6  # a pseudoknot's arms
    assert prior.knot_L[34:37].min() > 0.6
    assert prior.loop_L[8:11].max() < 0.1
    assert prior.loop_L[4:7].max() < 0.1  # a stem
    assert not prior.knot_L[4:8].any()
    assert not prior.loop_L[:2].any()  # beyond the family


def test_without_hits_the_prior_is_empty_and_the_rows_are_the_sequence(library):
    prior = family_prior(SEQUENCE, (), library)
    assert not any(values.any() for values in (prior.nested_LL, prior.crossing_LL, prior.loop_L, prior.knot_L))
    sequence = RnaSequence(id="x", sequence=SEQUENCE)
    assert family_rows(sequence, (), library) == [SeedRow(name="x", letters=SEQUENCE)]


def test_seed_rows_stand_on_the_sequence(library, hits):
    rows = family_rows(RnaSequence(id="x", sequence=SEQUENCE), hits, library)
    assert len(rows) == 13
    seeds = {f"RF90001|{row.name}": row.letters for row in library.seed_rows("RF90001")}
    for row in rows[1:]:
        assert row.letters == f"----{seeds[row.name]}--"


def test_rows_are_read_back_as_an_alignment(library, hits, tmp_path):
    sequence = RnaSequence(id="x", sequence=SEQUENCE)
    rows = family_rows(sequence, hits, library)
    (tmp_path / "x.a3m").write_text(a3m_text(rows, "from a test"))
    alignment, _ = read_alignment(tmp_path / "x.a3m", sequence)
    assert alignment.names[:2] == ("x", rows[1].name)
    assert np.array_equal(alignment.residue_ML[0], letter_ids(SEQUENCE))
    inserted = next(n for n, name in enumerate(alignment.names) if name.startswith("RF90001|row1/"))
    assert alignment.deletion_ML[inserted].sum() == 1
    assert alignment.deletion_ML[inserted, 4 + 5] == 1


def test_what_the_sequence_lacks_is_an_insertion():
    # states 0 1 2 3 of a row; the sequence's residues 1 and 2 stand at states 0 and 3
    assert _on_sequence("AcgC-uG", [(1, 0), (2, 3)], 4) == "-AcgcuG-"
    assert _on_sequence("A-GU", [(0, 0), (3, 1)], 4) == "A---"


def test_a_row_that_hardly_overlaps_the_hit_is_left_out(library, hits):
    rows = [SeedRow(name="whole", letters=KNOT), SeedRow(name="piece", letters=KNOT[:6] + "-" * 27)]
    other = dataclasses.replace(library, packed_rows=pack_rows([rows, rows]))
    found = family_rows(RnaSequence(id="x", sequence=SEQUENCE), hits, other)
    assert [row.name for row in found] == ["x", "RF90001|whole"]
