"""Given secondary structures: every format says the same, every fault is named."""

import gzip

import numpy as np
import pytest

from rna_predict.contracts import RnaSequence
from rna_predict.errors import InputError
from rna_predict.formats.dot_bracket import from_dot_bracket, to_dot_bracket
from rna_predict.formats.secondary_structure import format_of, given_ids, read_given

HAIRPIN = RnaSequence(id="hairpin", sequence="GGGCGAAAGCCC")
DRAWN = "((((....))))"
KNOT = RnaSequence(id="knot", sequence="GGGGAAACCAAACCCCAAAGG")
KNOT_DRAWN = "((((...[[...))))...]]"


def rows(sequence: RnaSequence, drawn: str) -> list[tuple[int, str, int]]:
    partner = from_dot_bracket(drawn)
    return [(k + 1, letter, int(partner[k]) + 1) for k, letter in enumerate(sequence.sequence)]


def ct(sequence: RnaSequence, drawn: str, title: str = "") -> str:
    lines = [f"{sequence.length} {title}"]
    lines += [f"{i} {base} {i - 1} {i + 1} {j} {i}" for i, base, j in rows(sequence, drawn)]
    return "\n".join(lines) + "\n"


def bpseq(sequence: RnaSequence, drawn: str) -> str:
    return "".join(f"{i} {base} {j}\n" for i, base, j in rows(sequence, drawn))


def probabilities() -> np.ndarray:
    matrix = np.zeros((12, 12))
    for k in range(4):
        matrix[k, 11 - k] = matrix[11 - k, k] = 0.9 - 0.1 * k
    matrix[0, 10] = matrix[10, 0] = 0.05
    return matrix


@pytest.fixture
def write(tmp_path):
    def written(name: str, content: str | bytes):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.dbn", KNOT_DRAWN),
        ("a.dbn", f">knot some title\n{KNOT.sequence}\n{KNOT_DRAWN}\n"),
        ("a.dbn", f">knot\nggggaaaccaaaccccaaagg\n{KNOT_DRAWN} ( -1.30)\n"),
        ("a.db", f"# drawn by hand\n\n{KNOT.sequence[:9]}\n{KNOT.sequence[9:]}\n{KNOT_DRAWN[:5]}\n{KNOT_DRAWN[5:]}\n"),
        ("a.dot", "<<<<...AA...>>>>...aa"),
        ("a.dotbracket", "{{[[,,,((-~:]]}}_..))"),
        ("a.ct", ct(KNOT, KNOT_DRAWN, "ENERGY = -3.2 knot")),
        ("a.bpseq", "Filename: x.bpseq\nOrganism: none\n" + bpseq(KNOT, KNOT_DRAWN)),
    ],
)
def test_every_format_gives_the_same_pairs(write, name, content):
    found = read_given(write(name, content), KNOT)
    assert to_dot_bracket(found.partner_L) == KNOT_DRAWN
    assert found.probability_LL is None
    assert found.unpaired_L is None


@pytest.mark.parametrize(
    "change", [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n"), lambda t: t + "\n  \t\n"]
)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.dbn", f">knot\n{KNOT.sequence}\n{KNOT_DRAWN}\n"),
        ("a.ct", ct(KNOT, KNOT_DRAWN)),
        ("a.bpseq", bpseq(KNOT, KNOT_DRAWN)),
    ],
)
def test_windows_files_read_as_clean_ones(write, name, content, change):
    clean = read_given(write(name, content), KNOT)
    assert read_given(write(name, change(content)), KNOT).digest() == clean.digest()


def test_dna_letters_stand_for_rna(write):
    hairpin = RnaSequence(id="uucg", sequence="GGGCUUCGGCCC")
    assert read_given(write("a.dbn", f"gggcTTcggccc\n{DRAWN}"), hairpin).partner_L[0] == 11


def test_gzip_is_unpacked(write):
    assert read_given(write("a.dbn", gzip.compress(DRAWN.encode())), HAIRPIN).partner_L[0] == 11


def test_the_explicit_format_beats_the_ending(write):
    path = write("a.txt", DRAWN)
    with pytest.raises(InputError, match=r"the ending '.txt' names no format"):
        read_given(path, HAIRPIN)
    assert read_given(path, HAIRPIN, "dbn").partner_L[0] == 11
    with pytest.raises(InputError, match="unknown secondary structure format 'xyz'"):
        read_given(path, HAIRPIN, "xyz")
    assert format_of(path.with_suffix(".CT")) == "ct"


def test_x_marks_forced_unpaired_residues(write):
    found = read_given(write("a.dbn", "(((x....x)))"), HAIRPIN)
    assert np.flatnonzero(found.unpaired_L).tolist() == [3, 8]


def test_of_several_structures_the_one_with_the_id_is_taken(write):
    path = write("a.dbn", f">other\n{KNOT_DRAWN}\n>hairpin\n{DRAWN}\n")
    assert given_ids(path) == ["other", "hairpin"]
    assert read_given(path, HAIRPIN).partner_L[0] == 11
    with pytest.raises(InputError, match="none of the 2 structures is named lost; the first are other, hairpin"):
        read_given(path, RnaSequence(id="lost", sequence="ACGU"))
    twice = write("b.ct", ct(HAIRPIN, DRAWN, "hairpin") + ct(HAIRPIN, DRAWN, "hairpin"))
    with pytest.raises(InputError, match="hairpin has 2 structures, at lines 1 and 14"):
        read_given(twice, HAIRPIN)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.dbn", "", "file is empty"),
        ("a.dbn", ">hairpin\nGGGCGAAAGCCC\n", "line 1: hairpin has no structure line"),
        ("a.dbn", "((((...))))", "line 1: the structure has 11 marks, hairpin has 12 residues"),
        ("a.dbn", ">h\n((((....)))(", r"line 2, position 12: '\(' is never closed"),
        ("a.dbn", ">h\n\n((((....))).\n", r"line 3, position 1: '\(' is never closed"),
        ("a.dbn", "((((....)))) oops", "line 1: 'oops' after the structure"),
        ("a.dbn", f"{DRAWN}\nGGGCGAAAGCCC", "line 2: a sequence after a structure"),
        ("a.dbn", f"GGGCGAAAGCCA\n{DRAWN}", "line 1, position 12: 'A', but hairpin has 'C' there"),
        ("a.dbn", f"GGGCGAAAGCC\n{DRAWN}", "line 1: the sequence has 11 letters, hairpin has 12"),
        ("a.dbn", "(((((..)))))", "line 1: pair 5-8 has 2 residues between, at least 3 are needed"),
        ("a.dbn", b"((((\x00...))))", "NUL byte in line 1"),
        ("a.ct", "", "file is empty"),
        ("a.ct", "twelve x", "line 1: the number of residues is 'twelve'"),
        ("a.ct", "0 x", "line 1: 0 residues"),
        ("a.ct", "12 x\n1 G 0 2 12 1\n", "ends 11 rows early"),
        ("a.ct", "12 x\n1 G 0 2\n", "line 2: a row of a ct has 6 columns, found 4"),
        ("a.bpseq", "", "file is empty"),
        ("a.bpseq", "1 G 12 4\n", "line 1: a row of a bpseq has 3 columns, found 4"),
        ("a.bpseq", bpseq(KNOT, KNOT_DRAWN), "has 21 rows, hairpin has 12 residues"),
        (
            "a.bpseq",
            bpseq(HAIRPIN, DRAWN).replace("12 C 1", "12 C 0"),
            "line 1: residue 1 pairs with 12, but 12 pairs with none",
        ),
        (
            "a.bpseq",
            bpseq(HAIRPIN, DRAWN).replace("5 G 0", "5 G 11"),
            "line 2: residue 2 pairs with 11|line 5: residue 5 pairs",
        ),
        ("a.bpseq", bpseq(HAIRPIN, DRAWN).replace("5 G 0", "5 G 13"), "line 5: partner 13 lies outside the 12"),
        ("a.bpseq", bpseq(HAIRPIN, DRAWN).replace("5 G 0", "5 G -1"), "line 5: partner -1 lies outside the 12"),
        ("a.bpseq", bpseq(HAIRPIN, DRAWN).replace("5 G 0", "5 G 5"), "line 5: pair 5-5 has 0 residues between"),
        ("a.bpseq", bpseq(HAIRPIN, DRAWN).replace("5 G 0", "6 G 0"), "line 5: index 6, expected 5"),
        ("a.bpseq", bpseq(HAIRPIN, DRAWN).replace("5 G 0", "5 A 0"), "position 5: 'A', but hairpin has 'G'"),
        ("a.matrix", "0 0\n0 0\n", "line 1: 2 columns, expected 12"),
        ("a.triples", "1 12\n", "line 1: expected `i j p`, found 2 columns"),
        ("a.triples", "1 13 0.5\n", "line 1: 1-13 is not a pair of two of the 12"),
        ("a.triples", "1 12 0.5\n12 1 0.4\n", "line 2: pair 1-12 was given in line 1"),
        ("a.triples", "1 12 nan\n", "line 1, column 3: nan is not a probability"),
        ("a.triples", "1 12 1.5\n", "line 1, column 3: 1.5 is not a probability"),
        ("a.triples", "1 12 0.7\n1 11 0.7\n", "pair probabilities of residue 1 sum to 1.4000"),
        ("a.npy", b"no array", "not a readable .npy"),
    ],
)
def test_a_fault_names_file_line_and_value(write, name, content, message):
    path = write(name, content)
    with pytest.raises(InputError, match=message) as caught:
        read_given(path, HAIRPIN)
    assert str(path) in str(caught.value)


def test_a_matrix_reads_the_same_from_text_npy_and_triples(write, tmp_path):
    matrix = probabilities()
    text = write("a.matrix", "# made by hand\n" + "\n".join(" ".join(f"{p:.3f}" for p in row) for row in matrix))
    comma = write("b.mat", "\n".join(",".join(f"{p:.3f}" for p in row) for row in matrix))
    triples = write("a.triples", "1 11 0.05\n1 12 0.9\n11 2 0.8\n3 10 0.7\n4 9 0.6\n")
    np.save(tmp_path / "a.npy", matrix)
    for path in (text, comma, triples, tmp_path / "a.npy"):
        found = read_given(path, HAIRPIN)
        assert found.partner_L is None
        np.testing.assert_allclose(found.probability_LL, matrix, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.__setitem__((0, 11), np.nan), "pair 1-12 is NaN"),
        (lambda m: m.__setitem__((0, 11), -0.2), r"pair 1-12 is -0.2, not in \[0, 1\]"),
        (lambda m: m.__setitem__((0, 11), 1.2), "pair 1-12 is 1.2"),
        (lambda m: m.__setitem__((4, 4), 0.2), "residue 5 pairs with itself"),
        (lambda m: m.__setitem__((0, 11), 0.2), "not symmetric: 1-12 and 12-1 are 0.2 and 0.9"),
        (lambda m: m.__setitem__(([0, 9], [9, 0]), 0.2), "residue 1 sum to 1.15"),
    ],
)
def test_a_faulty_matrix_is_refused(tmp_path, change, message):
    matrix = probabilities()
    change(matrix)
    np.save(tmp_path / "a.npy", matrix)
    with pytest.raises(InputError, match=message):
        read_given(tmp_path / "a.npy", HAIRPIN)


def test_the_place_in_a_text_matrix_is_named(write):
    lines = [" ".join(f"{p:.3f}" for p in row) for row in probabilities()]
    bad = lines[:]
    bad[2] = bad[2].replace("0.700", "seven")
    with pytest.raises(InputError, match="line 3, column 10: 'seven' is not a number"):
        read_given(write("a.matrix", "\n".join(bad)), HAIRPIN)
    bad[2] = lines[2].replace("0.700", "1.5")
    with pytest.raises(InputError, match=r"line 3, column 10: 1.5 is not a probability in \[0, 1\]"):
        read_given(write("a.matrix", "\n".join(bad)), HAIRPIN)
    with pytest.raises(InputError, match="11 rows, expected 12"):
        read_given(write("a.matrix", "\n".join(lines[:-1])), HAIRPIN)


def test_npy_is_never_unpickled_and_its_shape_is_checked_first(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not a readable"):
        read_given(path, HAIRPIN)
    np.save(path, np.zeros((13, 13)))
    with pytest.raises(InputError, match="ViennaRNA's bpp has an empty row and column 0"):
        read_given(path, HAIRPIN)
    huge = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000, 10000000), }"
    path.write_bytes(huge.ljust(127) + b"\n")
    with pytest.raises(InputError, match="not a readable"):
        read_given(path, HAIRPIN)


def test_a_missing_file_is_named(tmp_path):
    for name in ("a.dbn", "a.npy"):
        with pytest.raises(InputError, match=name):
            read_given(tmp_path / name, HAIRPIN)
