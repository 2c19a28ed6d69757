"""Several chains in files: as users write them, and as they come back."""

import gemmi
import numpy as np
import pytest

from rna_predict.contracts import RnaSequence
from rna_predict.contracts.structure import whole_structure
from rna_predict.errors import InputError
from rna_predict.formats.dot_bracket import write_dbn
from rna_predict.formats.fasta import read_fasta, read_one, write_fasta
from rna_predict.formats.models import read_ensemble, write_best_pdb, write_ensemble
from rna_predict.formats.pdb import write_pdb
from rna_predict.formats.secondary_structure import read_given, read_structures
from rna_predict.formats.structure import read_structure
from rna_predict.formats.structure_file import read_b_factors, write_structure
from rna_predict.pipeline import predict
from tests.test_pipeline import QUICK

DUPLEX = RnaSequence(id="duplex", sequence="GGCACUUCGAAGUG", breaks=(8,))


@pytest.fixture(scope="module")
def prediction():
    """Quick models of two strands."""
    return predict(DUPLEX, QUICK)


def test_fasta_parts_chains_by_either_mark_and_writes_one(tmp_path):
    path = tmp_path / "x.fasta"
    path.write_text(">one\nGGCA\nCU&\nUCGA\n>two\nggca + tcga\n")
    content = read_fasta(path)
    assert [(record.sequence, record.breaks) for record in content.records] == [
        ("GGCACUUCGA", (6,)),
        ("GGCAUCGA", (4,)),
    ]
    write_fasta(content.records[1], tmp_path / "y.fasta")
    assert (tmp_path / "y.fasta").read_text() == ">two\nGGCA&UCGA\n"
    assert read_one(tmp_path / "y.fasta") == content.records[1]


def test_a_chain_without_letters_fails_alone(tmp_path):
    path = tmp_path / "x.fasta"
    path.write_text(">one\nGGCA&\n>two\nGGCA\n")
    content = read_fasta(path)
    assert [record.id for record in content.records] == ["two"]
    assert "a chain is empty" in content.failures[0].reason


@pytest.mark.parametrize("text", ["((....((&))..))", ">d\nGGCACUUC&GAAGUG\n((....((&))..))", "((....(())..))"])
def test_dot_bracket_with_the_mark_or_without_it(tmp_path, text):
    path = tmp_path / "x.dbn"
    path.write_text(text + "\n")
    given = read_given(path, DUPLEX)
    assert given.breaks == (8,)
    assert [(i, int(j)) for i, j in enumerate(given.partner_L) if j > i] == [(0, 13), (1, 12), (6, 9), (7, 8)]


def test_dot_bracket_of_other_chains_is_refused(tmp_path):
    path = tmp_path / "x.dbn"
    path.write_text("((....(&())..))\n")
    with pytest.raises(InputError, match="chains of 7, 7 residues, duplex of 8, 6"):
        read_given(path, DUPLEX)
    path.write_text("((....((&))..))\n")
    with pytest.raises(InputError, match="chains of 8, 6 residues, one of 14"):
        read_given(path, RnaSequence(id="one", sequence=DUPLEX.sequence))


def test_stage_as_file_holds_the_chains_and_is_read_again(tmp_path, prediction):
    write_dbn(prediction.adjacency, tmp_path / "a.dbn")
    _, letters, marks = (tmp_path / "a.dbn").read_text().split()
    assert letters == "GGCACUUC&GAAGUG"
    assert marks.index("&") == 8
    ((sequence, given),), _ = read_structures(tmp_path / "a.dbn")
    assert (sequence.chains, given.breaks) == (DUPLEX.chains, (8,))
    assert np.array_equal(given.partner_L, prediction.adjacency.partner_L)


def test_models_come_back_with_their_chains(tmp_path, prediction):
    write_ensemble(prediction.ensemble, tmp_path / "d.cif", tmp_path / "d.json")
    read = read_ensemble(tmp_path / "d.cif", tmp_path / "d.json", DUPLEX)
    assert read.breaks == (8,)
    assert np.abs(read.models[0].xyz_LA3 - prediction.ensemble.models[0].xyz_LA3).max() < 6e-4
    block = gemmi.cif.read(str(tmp_path / "d.cif")).sole_block()
    assert list(block.find_values("_struct_asym.id")) == ["A", "B"]
    assert list(block.find_values("_struct_asym.entity_id")) == ["1", "2"]
    assert list(block.find_values("_ma_qa_metric_local.label_seq_id")) == [
        *map(str, range(1, 9)),
        *map(str, range(1, 7)),
    ]


def test_equal_chains_are_one_entity(tmp_path):
    same = predict(RnaSequence(id="same", sequence="GGAUCCGGAUCC", breaks=(6,)), QUICK).ensemble
    write_ensemble(same, tmp_path / "d.cif", tmp_path / "d.json")
    block = gemmi.cif.read(str(tmp_path / "d.cif")).sole_block()
    assert list(block.find_values("_struct_asym.entity_id")) == ["1", "1"]
    assert read_ensemble(tmp_path / "d.cif", tmp_path / "d.json").rna.text == "GGAUCC&GGAUCC"


def test_pdb_and_mmcif_name_the_chains_and_number_each_from_one(tmp_path, prediction):
    write_best_pdb(prediction.ensemble, tmp_path / "d.pdb")
    text = (tmp_path / "d.pdb").read_text()
    assert text.count("\nTER") == 2
    chains = {chain.name: [r.seqid.num for r in chain] for chain in gemmi.read_pdb(str(tmp_path / "d.pdb"))[0]}
    assert chains == {"A": list(range(1, 9)), "B": list(range(1, 7))}
    whole = read_structure(tmp_path / "d.pdb", together=True)
    own = prediction.ensemble.structure(0)
    assert (whole.sequence, whole.breaks) == (own.sequence, own.breaks)
    assert np.array_equal(whole.number_L, own.number_L)
    b_LA = read_b_factors(tmp_path / "d.pdb", whole)
    assert np.abs(b_LA - np.where(own.mask_LA, prediction.ensemble.models[0].plddt_LA, 0)).max() < 6e-3
    write_structure(whole, tmp_path / "e.cif", b_LA)
    again = read_structure(tmp_path / "e.cif", together=True)
    assert (again.breaks, np.abs(again.xyz_LA3 - whole.xyz_LA3).max()) == ((8,), 0)


def test_one_of_several_chains_is_named_or_all_are_read(tmp_path):
    far = np.arange(2 * 23 * 3, dtype=float).reshape(2, 23, 3)
    write_pdb(whole_structure("x", "GC", far, (1,)), tmp_path / "x.pdb")
    with pytest.raises(InputError, match="several RNA chains"):
        read_structure(tmp_path / "x.pdb")
    assert read_structure(tmp_path / "x.pdb", "B").sequence == "C"
    assert read_structure(tmp_path / "x.pdb", "B", together=True).breaks == ()
