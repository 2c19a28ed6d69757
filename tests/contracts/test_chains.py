"""Several chains: where they begin, what is bound, and which loops are open."""

import dataclasses

import numpy as np
import pytest

from rna_predict.chemistry.chains import chain_of, linked, split_chains
from rna_predict.contracts import Adjacency, GivenStructure, Provenance, RnaSequence, Structure, Torsions, decompose
from rna_predict.contracts.sequence import rna_of_text
from rna_predict.contracts.structure import full_mask, whole_structure
from rna_predict.errors import ContractError

PROVENANCE = Provenance(method="drawn", package_version="0")


def adjacency(partner_L, breaks=(4,), sequence="GGCCGGCC"):
    length = len(sequence)
    return Adjacency(
        id="x",
        sequence=sequence,
        breaks=breaks,
        provenance=PROVENANCE,
        probability_LL=np.zeros((length, length), dtype=np.float32),
        partner_L=np.array(partner_L, dtype=np.int32),
    )


def test_letters_with_marks_between_chains_are_read_and_written():
    rna = rna_of_text("x", "GG&ACC&U")
    assert (rna.sequence, rna.breaks, rna.chains, rna.text) == ("GGACCU", (2, 5), ["GG", "ACC", "U"], "GG&ACC&U")
    assert rna_of_text("x", "GGACCU") == RnaSequence(id="x", sequence="GGACCU")
    assert split_chains("((.))", (3,)) == ["((.", "))"]
    assert chain_of(6, (2, 5)).tolist() == [0, 0, 1, 1, 1, 2]
    assert linked(6, (2, 5)).tolist() == [True, False, True, True, False]


@pytest.mark.parametrize("text", ["&ACG", "ACG&", "AC&&G"])
def test_a_chain_without_letters_is_refused(text):
    with pytest.raises(ContractError, match="a chain is empty"):
        rna_of_text("x", text)


@pytest.mark.parametrize("breaks", [(0,), (6,), (3, 2), (2, 2), (-1,)])
def test_chains_begin_at_rising_places_inside_the_sequence(breaks):
    with pytest.raises(ContractError, match="do not rise within 6 residues"):
        RnaSequence(id="x", sequence="ACGUAC", breaks=breaks)


def test_more_chains_than_letters_for_their_names_are_refused():
    assert len(rna_of_text("x", "&".join("A" * 26)).chains) == 26
    with pytest.raises(ContractError, match="27 chains are more than 26"):
        rna_of_text("x", "&".join("A" * 27))


def test_residues_of_two_chains_may_pair_however_near():
    found = adjacency([-1, -1, -1, 4, 3, -1, -1, -1], sequence="GGCCGGCC")
    assert found.pairs == [(3, 4)]
    with pytest.raises(ContractError, match="fewer than 3 residues between"):
        adjacency([-1, -1, -1, 4, 3, -1, -1, -1], breaks=())
    given = GivenStructure.from_pairs("x", 8, [(3, 4)], "drawn", breaks=(4,))
    assert given.partner_L[3] == 4
    assert given.digest() != GivenStructure.from_pairs("x", 8, [(3, 4)], "drawn", breaks=(1, 4)).digest()
    with pytest.raises(ContractError, match="at least 3 are needed"):
        GivenStructure.from_pairs("x", 8, [(3, 4)], "drawn", breaks=(3,))


def test_a_record_keeps_its_chains_and_is_another_without_them(tmp_path):
    record = adjacency([7, 6, 5, 4, 3, 2, 1, 0])
    record.save(tmp_path / "a.safetensors")
    read = Adjacency.load(tmp_path / "a.safetensors", RnaSequence(id="x", sequence="GGCCGGCC", breaks=(4,)))
    assert (read.breaks, read.digest()) == ((4,), record.digest())
    other = adjacency([7, 6, 5, -1, -1, 2, 1, 0], breaks=(3,))
    assert other.digest() != dataclasses.replace(other, breaks=(5,)).digest()
    with pytest.raises(ContractError, match="another sequence"):
        Adjacency.load(tmp_path / "a.safetensors", RnaSequence(id="x", sequence="GGCCGGCC"))


def test_torsions_end_with_each_chain():
    values = {name: np.ones(4, dtype=np.float32) for name in ("pucker_phase_L", "pucker_amplitude_L")}
    mask_L7 = np.ones((4, 7), dtype=bool)
    mask_L7[0, 0] = mask_L7[3, 4] = mask_L7[3, 5] = False

    def torsions(breaks):
        zeros_L7 = np.zeros((4, 7), dtype=np.float32)
        return Torsions(
            id="x",
            sequence="GGCC",
            breaks=breaks,
            provenance=PROVENANCE,
            angle_L7=zeros_L7,
            mask_L7=mask_L7,
            concentration_L7=zeros_L7,
            pucker_concentration_L=np.ones(4, dtype=np.float32),
            **values,
        )

    assert torsions(()).length == 4
    with pytest.raises(ContractError, match="alpha of residue 3 is undefined at a chain end"):
        torsions((2,))
    mask_L7[2, 0] = False
    with pytest.raises(ContractError, match="epsilon of residue 2 is undefined at a chain end"):
        torsions((2,))


def test_a_structures_numbers_have_a_gap_between_chains():
    xyz_LA3 = np.zeros((4, 23, 3))
    found = whole_structure("x", "GGCC", xyz_LA3, (2,))
    assert found.number_L.tolist() == [1, 2, 4, 5]
    assert found.linked_L.tolist() == [True, False, True]
    with pytest.raises(ContractError, match="a gap where a chain begins"):
        Structure(
            id="x",
            sequence="GGCC",
            xyz_LA3=xyz_LA3,
            mask_LA=full_mask("GGCC"),
            number_L=np.arange(1, 5),
            breaks=(2,),
        )


def test_a_loop_that_a_chain_ends_in_is_open():
    partner_L = np.array([11, 10, -1, 8, 7, -1, -1, 4, 3, -1, 1, 0])
    whole, nicked = decompose(partner_L), decompose(partner_L, (6,))
    assert [loop.kind for loop in whole.loops] == ["external", "internal", "hairpin"]
    assert [loop.kind for loop in nicked.loops] == ["external", "internal", "external"]
    assert nicked.loops[2].strands == ((5, 6), (6, 7))
    assert nicked.position_L[[5, 6]].tolist() == [0, 0]
    opened = decompose(partner_L, (2,))
    assert [loop.kind for loop in opened.loops] == ["external", "external", "hairpin"]
    assert opened.loops[1].strands == ((2, 2), (2, 3), (9, 10))


def test_a_duplex_is_one_stem_with_an_open_end_and_a_nick_does_not_part_a_stem():
    duplex = decompose(np.array([7, 6, 5, 4, 3, 2, 1, 0]), (4,))
    assert [stem.length for stem in duplex.stems] == [4]
    assert [loop.kind for loop in duplex.loops] == ["external", "external"]
    nicked = decompose(np.array([11, 10, 9, 8, -1, -1, -1, -1, 3, 2, 1, 0]), (2,))
    assert [stem.length for stem in nicked.stems] == [4]
    assert [loop.kind for loop in nicked.loops] == ["external", "hairpin"]
