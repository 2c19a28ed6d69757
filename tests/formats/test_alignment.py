import gzip
import io
import random

import numpy as np
import pytest
from Bio import AlignIO

from rna_predict.contracts import RnaSequence
from rna_predict.contracts.alignment import Alignment
from rna_predict.errors import ConfigError, ContractError, InputError
from rna_predict.formats.alignment import AlignmentOptions, read_alignment

RNA = RnaSequence(id="hairpin", sequence="GGCAUUAG")

A3M = """#A3M# from a search
>hairpin some words
GGCA
UUAG
>close/1-9
GGCaaAU--Gcc
>padded
.gGGC..AUUAA
>ambiguous
RGCATTNX
"""

STOCKHOLM = """# STOCKHOLM 1.0
#=GF ID
#=GS close AC one

close         GGCAAAU--GCC
#=GR close SS ............
hairpin       GGC--AUUAG..

close         A
#=GC SS_cons  (
hairpin       ~
//
"""


def read(tmp_path, text, name="given.a3m", sequence=RNA, **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_alignment(path, sequence, AlignmentOptions(**options))


def test_a3m_columns_are_upper_case_and_gaps_and_lower_case_counts_as_deletions(tmp_path):
    alignment, notices = read(tmp_path, A3M)
    assert alignment.names == ("hairpin", "close/1-9", "padded", "ambiguous")
    assert [alignment.row(m) for m in range(4)] == ["GGCAUUAG", "GGCAU--G", "GGCAUUAA", "NGCAUUNN"]
    assert alignment.residue_ML[0].tolist() == [22, 22, 23, 21, 24, 24, 21, 22]
    assert alignment.residue_ML[1].tolist() == [22, 22, 23, 21, 24, 31, 31, 22]
    assert alignment.residue_ML[3].tolist() == [25, 22, 23, 21, 24, 24, 25, 25]
    expected = np.zeros((4, 8), dtype=np.int32)
    expected[1, 3], expected[2, 0] = 2, 1  # what follows the last column belongs to none
    np.testing.assert_array_equal(alignment.deletion_ML, expected)
    assert [(notice.kind, notice.id) for notice in notices] == [("alignment_t_to_u", "hairpin")]
    assert notices[0].message.startswith("2 letters")


def test_stockholm_columns_are_those_of_the_rna_wherever_it_stands(tmp_path):
    alignment, _ = read(tmp_path, STOCKHOLM, "given.sto")
    assert alignment.names == ("hairpin", "close")
    assert [alignment.row(m) for m in range(2)] == ["GGCAUUAG", "GGCAU--G"]
    assert alignment.deletion_ML.tolist() == [[0] * 8, [0, 0, 0, 2, 0, 0, 0, 0]]


def test_both_formats_of_one_alignment_give_the_same_numbers_as_biopython_reads(tmp_path):
    rng = random.Random(5)
    columns = ["".join(rng.choice("ACGU-") for _ in range(40)) for _ in range(30)]
    query = "".join(rng.choice("ACGU-") for _ in range(40))
    sequence = RnaSequence(id="q", sequence=query.replace("-", ""))
    text = "# STOCKHOLM 1.0\n" + "".join(f"r{m} {row}\n" for m, row in enumerate([query, *columns])) + "//\n"
    rows = [str(record.seq) for record in AlignIO.read(io.StringIO(text), "stockholm")]
    a3m = "".join(
        f">r{m}\n"
        + "".join(c if q != "-" else c.replace("-", ".").lower() for c, q in zip(row, query, strict=True))
        + "\n"
        for m, row in enumerate(rows)
    )
    one, _ = read(tmp_path, text, "q.sto", sequence)
    other, _ = read(tmp_path, a3m, "q.a3m", sequence)
    assert one.names == other.names
    np.testing.assert_array_equal(one.residue_ML, other.residue_ML)
    np.testing.assert_array_equal(one.deletion_ML, other.deletion_ML)
    assert one.deletion_ML.sum() > 20
    assert one.digest() == other.digest()
    assert one.row(7) == "".join(c for c, q in zip(rows[7], query, strict=True) if q != "-")


@pytest.mark.parametrize("dress", [lambda b: b.replace(b"\n", b"\r\n"), lambda b: b"\xef\xbb\xbf" + b, gzip.compress])
def test_line_ends_byte_order_mark_and_gzip_make_no_difference(tmp_path, dress):
    plain, _ = read(tmp_path, A3M)
    dressed, _ = read(tmp_path, dress(A3M.encode()), "other.a3m.gz")
    assert dressed.digest() == plain.digest()
    assert dressed.names == plain.names


def test_repeats_and_rows_of_gaps_are_left_out_and_counted(tmp_path):
    text = (
        ">q\nGGCAUUAG\n>again\nGGCATTAG\n>inserted\nGGCAUUaAG\n>none\n--------\n>other\nGGCAUUA-\n>other2\nGGCAUUA-\n"
    )
    alignment, notices = read(tmp_path, text)
    assert alignment.names == ("q", "other")
    assert {notice.kind: notice.message.split()[0] for notice in notices} == {
        "alignment_repeats": "3",
        "alignment_gaps": "1",
    }


def test_the_rna_alone_is_an_alignment_and_is_announced(tmp_path):
    alignment, notices = read(tmp_path, ">q\nGGCATTAG\n")
    assert alignment.depth == 1
    assert "alignment_alone" in [notice.kind for notice in notices]


def test_a_hundred_thousand_rows_keep_the_first_ones(tmp_path):
    rng = random.Random(1)
    rows = ["".join(rng.choice("ACGU") for _ in range(12)) for _ in range(100_000)]
    sequence = RnaSequence(id="q", sequence=rows[0])
    text = "".join(f">r{m}\n{row}\n" for m, row in enumerate(rows))
    alignment, notices = read(tmp_path, text, sequence=sequence, max_rows=500)
    assert alignment.depth == 500
    assert alignment.row(499) == rows[int(alignment.names[499][1:])]
    assert list(alignment.names) == sorted(alignment.names, key=lambda name: int(name[1:]))
    assert [notice.kind for notice in notices] == ["alignment_capped"]
    again, _ = read(tmp_path, text, sequence=sequence, max_rows=500)
    assert again.digest() == alignment.digest()


def test_as_many_rows_as_allowed_are_no_cause_for_a_notice(tmp_path):
    alignment, notices = read(tmp_path, ">q\nGGCAUUAG\n>a\nGGCAUUA-\n", max_rows=2)
    assert alignment.depth == 2
    assert notices == []


DAMAGED_A3M = {
    "empty": ("", "holds no row"),
    "only comments": ("# nothing found\n", "holds no row"),
    "html": ("<html>busy</html>\n", "line 1: '<html>busy</html>' stands before the first header"),
    "query absent": (
        ">a\nGGCAUUAC\n",
        "row 'a' in line 1 is not hairpin: it has 'C' at position 8, where the RNA has G",
    ),
    "query short": (">a\nGGCAUUA\n", "it has 7 letters, where the RNA has 8"),
    "query with gaps": (">a\nGGCA-UUAG\n", "the first row of an a3m must be the RNA"),
    "query in lower case": (">a\nggcauuag\n", "the first row of an a3m must be the RNA"),
    "ragged": (">q\nGGCAUUAG\n>b\nGGCAUUAG\n>c\nGGCAUUAGA\n", "row 'c' in line 5 has 9 columns, the RNA has 8"),
    "no letters": (">q\nGGCAUUAG\n>b\n\n", "row 'b' in line 3 has 0 columns"),
    "protein": (">q\nGGCAUUAG\n>b\nGGCEUUAG\n", "row 'b' in line 3: 'E' at 4 is no letter of an RNA"),
    "digit": (">q\nGGCAUUAG\n>b\nGGC1UUAG\n", "'1' at 4"),
    "blank inside": (">q\nGGCAUUAG\n>b\nGGC UUAG\n", "' ' at 4"),
    "not ascii": (">q\nGGCAUUAG\n>b\nGGCÄUUAG\n", r"'\\xc4' at 4"),
}


@pytest.mark.parametrize(("text", "message"), DAMAGED_A3M.values(), ids=DAMAGED_A3M)
def test_a_damaged_a3m_is_refused_by_name(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "given.a3m") in str(caught.value)


HEADER = "# STOCKHOLM 1.0\n"
DAMAGED_STOCKHOLM = {
    "fasta": (">q\nGGCAUUAG\n", "does not begin with '# STOCKHOLM 1.'"),
    "no rows": (HEADER + "//\n", "holds no row"),
    "cut": (HEADER + "q GGCAUUAG\nb GGCA", "the line // at the end is missing"),
    "two alignments": ((HEADER + "q GGCAUUAG\n//\n") * 2, "line 4 follows // of line 3"),
    "query absent": (
        HEADER + "a GGCAUUAC\nb GGC-----\n//\n",
        "no row is hairpin; row 'a' in line 2 has 'C' at position 8",
    ),
    "ragged": (HEADER + "q GGCAUUAG\nb GGCA\n//\n", "row 'b' in line 3 is 4 characters wide, row 'q' in line 2 8"),
    "one name twice": (HEADER + "q GGCAUUAG\nq GGCAUUAG\n//\n", "line 3 gives row 'q' a second time"),
    "no name": (HEADER + "GGCAUUAG\n//\n", "line 2 is not a name and a row"),
    "letter": (HEADER + "q GGCAUUAG\nb GGC*UUAG\n//\n", r"row 'b' in line 3: '\*' at 4"),
}


@pytest.mark.parametrize(("text", "message"), DAMAGED_STOCKHOLM.values(), ids=DAMAGED_STOCKHOLM)
def test_a_damaged_stockholm_file_is_refused_by_name(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, "given.sto")


def test_a_file_too_large_or_of_no_known_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="more than 1000 bytes"):
        read(tmp_path, gzip.compress(A3M.encode() * 100), "bomb.a3m.gz", max_bytes=1000)
    with pytest.raises(InputError, match="names no alignment format"):
        read(tmp_path, A3M, "given.txt.gz")
    assert read(tmp_path, A3M, "given.txt", format="a3m")[0].depth == 4
    with pytest.raises(InputError, match="no such file"):
        read_alignment(tmp_path / "absent.a3m", RNA)
    with pytest.raises(InputError, match="NUL byte in line 2"):
        read(tmp_path, b">q\nGGC\0UUAG\n")


@pytest.mark.parametrize("options", [{"max_rows": 0}, {"max_bytes": 0}, {"format": "clustal"}])
def test_senseless_options_are_refused(options):
    with pytest.raises(ConfigError, match="alignment: "):
        AlignmentOptions(**options)


def contract(**changes):
    values = {
        "id": "x",
        "sequence": "ACG",
        "names": ("x", "y"),
        "residue_ML": np.array([[21, 23, 22], [21, 31, 25]], dtype=np.uint8),
        "deletion_ML": np.array([[0, 0, 0], [0, 3, 0]], dtype=np.int32),
        "source": "a test",
    }
    return Alignment(**(values | changes))


def test_an_alignment_cannot_be_changed():
    alignment = contract()
    with pytest.raises(ValueError, match="read-only"):
        alignment.residue_ML[0, 0] = 22
    assert alignment.digest() == contract(names=("a", "b"), source="elsewhere").digest()
    assert alignment.digest() != contract(deletion_ML=np.zeros((2, 3), dtype=np.int32)).digest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("x",)}, r"residue_ML of x is uint8 \(2, 3\), not \(1, 3\)"),
        ({"residue_ML": np.zeros((2, 3))}, "residue_ML of x is float64"),
        ({"sequence": "ACU"}, "the first row is not the sequence of x"),
        (
            {"residue_ML": np.array([[21, 23, 22], [21, 7, 25]], dtype=np.uint8)},
            "row 2, column 2: 7 is no letter of RNA",
        ),
        ({"deletion_ML": np.array([[0, 0, 0], [0, -1, 0]], dtype=np.int32)}, "a deletion count of x is negative"),
        ({"deletion_ML": np.array([[0, 1, 0], [0, 1, 0]], dtype=np.int32)}, "the first row is not the sequence"),
        (
            {"names": (), "residue_ML": np.zeros((0, 3), np.uint8), "deletion_ML": np.zeros((0, 3), np.int32)},
            "0 rows, 3 columns",
        ),
    ],
)
def test_an_alignment_checks_itself(changes, message):
    with pytest.raises(ContractError, match=message):
        contract(**changes)
