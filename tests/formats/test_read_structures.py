"""Structure files that bring their own sequences."""

import pytest

from rna_predict.errors import InputError
from rna_predict.formats.secondary_structure import read_structures


def test_every_rna_of_a_dbn_is_read_with_its_pairs(tmp_path):
    path = tmp_path / "two.dbn"
    path.write_text(">a one\nggaaacc\n((...))\n>b\nGTAAAC\n(....) (-1.20)\n")
    found, notices = read_structures(path)
    assert [(sequence.id, sequence.sequence) for sequence, _ in found] == [("a", "GGAAACC"), ("b", "GUAAAC")]
    assert [given.partner_L.tolist() for _, given in found] == [[6, 5, -1, -1, -1, 1, 0], [5, -1, -1, -1, -1, 0]]
    assert [(notice.id, notice.kind) for notice in notices] == [("a", "lower_case"), ("b", "t_to_u")]


def test_a_ct_and_a_bpseq_are_read(tmp_path):
    ct, bpseq = tmp_path / "x.ct", tmp_path / "y.bpseq"
    rows = list(zip("GAAAC", (5, 0, 0, 0, 1), strict=True))
    body = [f"{k} {base} {k - 1} {k + 1} {partner} {k}" for k, (base, partner) in enumerate(rows, start=1)]
    ct.write_text("\n".join(["5 dG = -1.0 named", *body]) + "\n")
    bpseq.write_text("\n".join(f"{k} {base} {partner}" for k, (base, partner) in enumerate(rows, start=1)) + "\n")
    for path, name in ((ct, "named"), (bpseq, "y")):
        ((sequence, given),), _ = read_structures(path)
        assert (sequence.id, sequence.sequence) == (name, "GAAAC")
        assert given.partner_L.tolist() == [4, -1, -1, -1, 0]


def test_an_only_structure_without_a_usable_name_is_named_after_its_file(tmp_path):
    path = tmp_path / "trna.native.dbn"
    path.write_text(">../../x\nGAAAC\n(...)\n")
    ((sequence, _),), _ = read_structures(path)
    assert sequence.id == "trna"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (">a\n(...)\n", r"f\.dbn, line 2: the structure has no sequence\. Put one above it"),
        (">a\nGAAXC\n(...)\n", r"f\.dbn, line 3: .*'X' at position 4"),
        (">a\nGAAAAC\n(...)\n", r"f\.dbn, line 3: the structure has 5 marks, a has 6"),
        (">../x\nGAAAC\n(...)\n>b\nGAAAC\n(...)\n", r"f\.dbn, line 3: .*'\.\./x'"),
        (">a\nGAAC\n(..)\n", r"f\.dbn, line 3: pair 1-4 has 2 residues between"),
        ("", r"f\.dbn: the file is empty"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(tmp_path, text, named):
    path = tmp_path / "f.dbn"
    path.write_text(text)
    with pytest.raises(InputError, match=named):
        read_structures(path)


def test_probabilities_hold_no_sequence(tmp_path):
    with pytest.raises(InputError, match=r"triples holds no sequence\. Give one of bpseq, ct, dbn\."):
        read_structures(tmp_path / "p.triples")
