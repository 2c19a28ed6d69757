"""Files of reactivities: every form says the same, every fault is named."""

import gzip

import numpy as np
import pytest

from rna_predict.contracts import RnaSequence
from rna_predict.contracts.reactivity import Reactivity
from rna_predict.errors import ContractError, InputError
from rna_predict.formats.reactivity import read_reactivity

RNA = RnaSequence(id="rna", sequence="GACUA")
EXPECTED = [0.5, np.nan, 0.0, 1.25, np.nan]


@pytest.fixture
def write(tmp_path):
    def written(content: str | bytes):
        path = tmp_path / "rna.shape"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


@pytest.mark.parametrize(
    "content",
    [
        "0.5\n-999\n0\n1.25\nnan\n",
        "# SHAPE\n\n0.5\r\nNA\r\n0.0\r\n1.25 # sure\r\n-999.0",
        "1 0.5\n3 0\n4 1.25\n",
        "4\t1.25\n1\t0.5\n2\t-999\n3\t0\n",
        "1,G,0.5\n2,A,-999\n3,c,0\n4,T,1.25\n5,A,NaN\n",
        gzip.compress(b"1 0.5\n3 0\n4 1.25\n"),
    ],
    ids=["plain", "comments", "two columns", "unordered", "letters", "gzip"],
)
def test_every_form_says_the_same(write, content):
    found, notices = read_reactivity(write(content), RNA)
    np.testing.assert_array_equal(found.value_L, np.array(EXPECTED, dtype=np.float32))
    assert found.measured == 3
    assert notices == []
    assert found.digest() == Reactivity(id="rna", source="x", value_L=np.array(EXPECTED, dtype=np.float32)).digest()


def test_negative_values_count_as_zero_and_are_announced(write):
    found, notices = read_reactivity(write("1 -0.3\n2 -499\n3 0.2\n4 -501\n"), RNA)
    np.testing.assert_array_equal(found.value_L, np.array([0, 0, 0.2, np.nan, np.nan], dtype=np.float32))
    assert [(notice.kind, notice.id) for notice in notices] == [("negative_reactivity", "rna")]
    assert "2 negative reactivities count as 0" in notices[0].message


FAULTS = {
    "short": ("0.5\n0.1\n", r"rna\.shape: 2 reactivities, rna has 5 residues"),
    "long": ("0\n" * 6, r"line 6: position 6, rna has 5 residues"),
    "outside": ("6 0.5\n", r"line 1: position 6, rna has 5 residues"),
    "zero": ("0 0.5\n", r"line 1: position 0, rna has 5 residues"),
    "twice": ("1 0.5\n\n1 0.6\n", r"line 3: position 1 was given in line 1"),
    "letter": ("1 G 0.5\n2 C 0.5\n", r"line 2: 'C', but rna has 'A' at 2"),
    "columns": ("1 0.5\n2 A 0.5\n", r"line 2: 3 columns, expected 2 columns as above"),
    "many columns": ("1 G 0.5 0.1\n", r"line 1: 4 columns, expected 1, 2 or 3 columns"),
    "no number": ("1 high\n", r"line 1: 'high' is not a number"),
    "no position": ("G 0.5\n", r"line 1: the position is 'G'"),
    "counts": ("1 1520\n", r"line 1: reactivity 1520 is far above 1. Normalise"),
    "infinite": ("1 inf\n", r"line 1: reactivity inf is far above 1"),
    "none": ("1 -999\n", r"rna\.shape: no residue of rna has a reactivity"),
    "empty": ("# nothing\n", r"rna\.shape: no residue of rna has a reactivity"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(write, fault):
    content, reason = FAULTS[fault]
    with pytest.raises(InputError, match=reason):
        read_reactivity(write(content), RNA)


def test_the_record_refuses_what_is_no_reactivity():
    for values, reason in (
        (np.array([0.1, -0.1], dtype=np.float32), "residue 2 of x is -0.1"),
        (np.array([np.inf, 0.1], dtype=np.float32), "residue 1 of x is inf"),
        (np.array([np.nan, np.nan], dtype=np.float32), "no residue of x"),
        (np.array([0.1, 0.2]), "float64"),
    ):
        with pytest.raises(ContractError, match=reason):
            Reactivity(id="x", source="test", value_L=values)


def test_the_digest_follows_the_values_only():
    values = np.array([0.1, np.nan], dtype=np.float32)
    one = Reactivity(id="x", source="a", value_L=values)
    assert one.digest() == Reactivity(id="x", source="b", value_L=values).digest()
    assert one.digest() != Reactivity(id="x", source="a", value_L=np.array([0.1, 0], dtype=np.float32)).digest()
