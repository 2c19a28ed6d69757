"""Modified nucleotides by their names become their parents with a notice; several chains are refused in words."""

import pytest

from rna_predict.errors import InputError
from rna_predict.formats.fasta import read_fasta
from rna_predict.formats.modified_residues import parent_of_name
from rna_predict.formats.normalise import normalise_sequence

PARENTS = {
    # PDB's component dictionary, as in yeast tRNA-Phe
    **{"2MG": "G", "H2U": "U", "M2G": "G", "OMC": "C", "OMG": "G", "YYG": "G", "PSU": "U", "5MC": "C", "7MG": "G"},
    **{"5MU": "U", "1MA": "A", "6MZ": "A", "GTP": "G"},
    # short names of MODOMICS
    **{"m1A": "A", "m6A": "A", "ac4C": "C", "Um": "U", "m2,2G": "G", "mnm5s2U": "U", "t6A": "A", "D": "U", "I": "G"},
    **{"Y": "U", "yW": "G", "m5U": "U"},
}


@pytest.mark.parametrize("name", PARENTS)
def test_a_name_has_its_parent(name):
    assert parent_of_name(name) == PARENTS[name]


@pytest.mark.parametrize("name", ["", "XYZ", "ALA", "HOH", "m1", "A1B", "psu", "mm", "N", "DA"])
def test_another_name_has_none(name):
    assert parent_of_name(name) is None


def test_names_in_brackets_are_read_among_letters_and_counted():
    sequence, notices = normalise_sequence("GC[PSU]a(5MC)[PSU]\nG [m1A] [A]")
    assert sequence == "GCUACUGAA"
    (modified,) = [notice for notice in notices if notice.kind == "modified_residue"]
    assert modified.message == "4 modified nucleotides are predicted as their parents: 2 PSU → U, 1 5MC → C, 1 m1A → A"
    assert [n.message for n in notices if n.kind == "lower_case"] == ["1 lower-case letters read as upper case"]


def test_letters_without_brackets_are_as_before():
    assert normalise_sequence("[G][C]A") == ("GCA", [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("GC[PSUU]A", r"'\[PSUU\]' at position 3 is no nucleotide that is known"),
        ("GC[ALA]A", "position 3"),
        ("GC[PSU]N", "'N' at position 4"),
        ("GC[PSU", r"'\[' at position 3"),
        ("GC[]A", "position 3"),
        ("GC[AC]A", "position 3"),
        ("((((....))))", "no nucleotide|position 1"),
        ("GCΨA", r"Write \[PSU\] for pseudouridine"),
    ],
)
def test_what_is_no_name_is_refused_with_its_place(text, said):
    with pytest.raises(InputError, match=said):
        normalise_sequence(text)


@pytest.mark.parametrize("mark", ["/", "|", ";"])
def test_another_mark_between_chains_is_refused_and_the_message_says_which_one_to_write(mark):
    with pytest.raises(InputError, match=r"at position 5 .*parted by &"):
        normalise_sequence(f"GGGG{mark}CCCC")


def test_a_fasta_with_names_is_read_and_another_record_too(tmp_path):
    path = tmp_path / "x.fasta"
    path.write_text(">trna\nGC[PSU]\n[7MG]A\n>two\nGC/GC\n>three\nACGU\n")
    content = read_fasta(path)
    assert [record.sequence for record in content.records] == ["GCUGA", "ACGU"]
    assert [(notice.kind, notice.id) for notice in content.notices] == [("modified_residue", "trna")]
    assert [failure.id for failure in content.failures] == ["two"]
