"""FASTA and sample sheet: every fault of the input has a defined outcome."""

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rna_predict.contracts import RnaSequence
from rna_predict.errors import ConfigError, InputError
from rna_predict.formats.fasta import FastaOptions, read_fasta, read_one, write_fasta
from rna_predict.formats.normalise import (
    AMBIGUOUS,
    check_length,
    checked_sequence,
    normalise_sequence,
    pair_memory_gb,
)
from rna_predict.formats.sample_sheet import read_sample_sheet

CLEAN = b">hp1\nGGGCUUCGGCCC\n>hp2\nGGGAAACC\nC\n"


@pytest.fixture
def write(tmp_path: Path):
    def _write(content: bytes | str, name: str = "in.fasta") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def pairs(content) -> list[tuple[str, str]]:
    return [(record.id, record.sequence) for record in content.records]


def test_clean_file(write):
    content = read_fasta(write(CLEAN))
    assert pairs(content) == [("hp1", "GGGCUUCGGCCC"), ("hp2", "GGGAAACCC")]
    assert content.notices == []
    assert content.failures == []


def test_sample_sheet_names_a_file_a_column(write):
    text = "id\treactivity\tmsa\tsequence\nhp1\ta.shape\ta.sto\tGGG\nhp2\t\t\tGGG\n"
    rows = read_sample_sheet(write(text, "samples.tsv")).rows
    assert (rows[0].reactivity, rows[0].msa, rows[0].structure) == (Path("a.shape"), Path("a.sto"), None)
    assert (rows[1].reactivity, rows[1].msa, rows[1].structure) == (None, None, None)


@pytest.mark.parametrize(
    "dirty",
    {
        "crlf": CLEAN.replace(b"\n", b"\r\n"),
        "cr": CLEAN.replace(b"\n", b"\r"),
        "bom": b"\xef\xbb\xbf" + CLEAN,
        "trailing_blanks": CLEAN.replace(b"\n", b"  \n"),
        "trailing_tabs": CLEAN.replace(b"\n", b"\t\t\n"),
        "leading_blanks": CLEAN.replace(b"\n", b"\n "),
        "blank_lines": b"\n\n" + CLEAN.replace(b"\n", b"\n\n"),
        "no_end_of_line": CLEAN.rstrip(b"\n"),
        "comments": b"; old style\n# new style\n" + CLEAN.replace(b">hp2", b"# between\n>hp2"),
        "blank_after_arrow": CLEAN.replace(b">", b"> "),
        "gzip": gzip.compress(CLEAN),
        "gzip_of_two_members": gzip.compress(CLEAN[:9]) + gzip.compress(CLEAN[9:]),
    }.items(),
    ids=lambda item: item[0],
)
def test_same_result_byte_for_byte(write, dirty, tmp_path: Path):
    content = read_fasta(write(dirty[1]))
    assert content == read_fasta(write(CLEAN, "clean.fasta"))
    for record in content.records:
        write_fasta(record, tmp_path / "one.fasta")
        assert (tmp_path / "one.fasta").read_bytes() == f">{record.id}\n{record.sequence}\n".encode()


WHOLE_FILE = {
    "empty": (b"", "holds nothing"),
    "bom_only": (b"\xef\xbb\xbf", "holds nothing"),
    "blanks_only": (b" \n\t\r\n", "holds only blanks"),
    "comments_only": (b"# a\n; b\n", "holds only comments"),
    "no_header": (b"GGGAAACCC\n", r"line 1: 'GGGAAACCC' stands before the first header"),
    "html": (b"\n<html>\n", r"line 2: '<html>' stands before the first header"),
    "utf16": (">a\nGGG\n".encode("utf-16"), "is UTF-16"),
    "duplicate_id": (b">a\nGGG\n>b\nCCC\n>a\nUUU\n", "id 'a' stands in lines 1 and 5"),
    "duplicate_id_case": (b">tRNA\nGGG\n\n>TRNA\nCCC\n", "id 'TRNA' and 'tRNA' differ in case only: .* lines 1 and 4"),
    "duplicate_of_a_faulty_record": (b">a\nGGG\n>a\nNNN\n", "lines 1 and 3"),
    "damaged_gzip": (gzip.compress(CLEAN)[:-9], "damaged gzip"),
    "gzip_then_rubbish": (gzip.compress(CLEAN) + b"rubbish", "damaged gzip"),
}


@pytest.mark.parametrize("fault", WHOLE_FILE)
def test_fault_of_the_file_is_refused(write, fault: str):
    content, reason = WHOLE_FILE[fault]
    with pytest.raises(InputError, match=reason) as caught:
        read_fasta(write(content, f"{fault}.fasta"))
    assert f"{fault}.fasta" in str(caught.value)


ONE_RECORD = {
    "iupac_n": ("bad", "GGNAA", r"'N' at position 3 is not one of A C G U T\. .* ambiguous=map to take A"),
    "iupac_lower": ("bad", "GGrAA", "'r' at position 3"),
    "gap_dash": ("bad", "GG-AA", r"'-' at position 3 .* Remove the gaps"),
    "gap_dot": ("bad", "GG.AA", r"'\.' at position 3 .* Remove the gaps"),
    "star": ("bad", "GGAA*", r"'\*' at position 5"),
    "digits": ("bad", "1GGGAA60", r"'1' at position 1 \(and 2 more\)"),
    "position_counts_over_lines": ("bad", "GGGG\nAA AX", "'X' at position 8"),
    "nul": ("bad", "GG\0AA", r"character '\\x00' in line 4, column 3"),
    "unicode_letter": ("bad", "GGΨAA", r"character '\\u03a8' in line 4, column 3"),
    "no_break_space": ("bad", "GGAA\u00a0", r"character '\\xa0' in line 4, column 5"),
    "vertical_tab": ("bad", "GGAA\x0b", r"character '\\x0b' in line 4, column 5"),
    "full_width": ("bad", "ＧＧ", r"character '\\uff27'"),
    "not_utf8": ("bad", b"GG\xffAA", r"character '\\udcff' in line 4, column 3"),
    "protein": ("bad", "MKVLEFPQ", "looks like a protein"),
    "empty_sequence": ("bad", "", "the sequence is empty"),
    "no_id": ("", "GGG", "no id"),
    "id_climbs": ("../../x", "GGG", "must match"),
    "id_absolute": ("/abs", "GGG", "must match"),
    "id_semicolon": ("a;touch", "GGG", "must match"),
    "id_command": ("$(touch", "GGG", "must match"),
    "id_300": ("a" * 300, "GGG", "must match"),
    "id_65": ("a" * 65, "GGG", "must match"),
    "id_hidden": (".hidden", "GGG", "must match"),
    "id_unicode": ("rnaé", "GGG", "must match"),
    "id_nul": ("a\0b", "GGG", "must match"),
    "too_long": ("bad", "G" * 21, r"21 nt is more than the limit of 20 nt: .* GB"),
}


@pytest.mark.parametrize("fault", ONE_RECORD)
def test_fault_of_one_record_leaves_the_others(write, fault: str):
    id, sequence, reason = ONE_RECORD[fault]
    body = sequence if isinstance(sequence, bytes) else sequence.encode()
    path = write(b">first\nGGGAAACCC\n>" + id.encode() + b"\n" + body + b"\n>last\nCCC\n")
    content = read_fasta(path, FastaOptions(max_length=20))
    assert pairs(content) == [("first", "GGGAAACCC"), ("last", "CCC")]
    (failure,) = content.failures
    assert failure.line == 3
    assert failure.id.isascii()
    assert failure.id.isprintable()
    assert len(failure.id) <= 400
    with pytest.raises(InputError, match=reason):
        raise InputError(failure.reason)


def test_lower_case_and_t_are_normalised_and_counted(write):
    content = read_fasta(write(">dna some words\nggTTAA\n>mix\nGUT\n"))
    assert pairs(content) == [("dna", "GGUUAA"), ("mix", "GUU")]
    messages = [(n.kind, n.id, n.line, n.message) for n in content.notices]
    assert ("lower_case", "dna", 1, "2 lower-case letters read as upper case") in messages
    assert ("t_to_u", "dna", 1, "2 T read as U") in messages
    assert ("t_and_u", "mix", 3, "the sequence mixes 1 T with 1 U; each T is read as U") in messages
    assert any(kind == "description" and message.startswith("1 headers") for kind, _, _, message in messages)


def test_ambiguous_letters_are_mapped_only_when_asked():
    code = {**dict(zip("RYSWKM", ("AG", "CU", "CG", "AU", "GU", "AC"), strict=True))}
    code |= {"B": "CGU", "D": "AGU", "H": "ACU", "V": "ACG", "N": "ACGU"}
    assert {letter: bases[0] for letter, bases in code.items()} == AMBIGUOUS
    sequence, notices = normalise_sequence("ggnAARyC", ambiguous="map")
    assert sequence == "GGAAAACC"
    assert [n.message for n in notices if n.kind == "ambiguous"] == [
        "ambiguous letters replaced: 1 N → A, 1 R → A, 1 Y → C"
    ]
    with pytest.raises(InputError, match="'N' at position 3"):
        normalise_sequence("GGN")
    with pytest.raises(InputError, match="3 of 4 letters are ambiguous"):
        normalise_sequence("NNNG", ambiguous="map")
    with pytest.raises(InputError, match="'-' at position 4"):
        normalise_sequence("GGN-AAA", ambiguous="map")
    with pytest.raises(ConfigError, match="ambiguous: 'guess'"):
        normalise_sequence("GGG", ambiguous="guess")


@pytest.mark.parametrize("length", [1, 2, 3, 5000])
def test_short_and_long_lengths_are_read(write, length: int):
    (record,) = read_fasta(write(">a\n" + "G" * length)).records
    assert record.length == length


def test_length_limit_states_the_memory():
    check_length("G" * 20, 20)
    assert pair_memory_gb(5000, pair_channels=128) == pytest.approx(25e6 * (4 + 512 + 256) / 1e9)
    with pytest.raises(InputError, match=r"5000 nt is more than the limit of 4000 nt: .* about 19\.3 GB"):
        check_length("G" * 5000, 4000)


def test_gzip_bomb_stops_at_the_limit(write):
    path = write(gzip.compress(b">a\n" + b"G" * 20_000_000))
    tracemalloc.start()
    with pytest.raises(InputError, match="more than 1000000 bytes when unpacked"):
        read_fasta(path, FastaOptions(max_bytes=1_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000


def test_one_line_of_a_megabyte(write):
    (record,) = read_fasta(write(">a\n" + "GACU" * 250_000)).records
    assert record.length == 1_000_000


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_many_ids_in_bounded_memory(write, count: int):
    path = write("".join(f">rna{k}\nGGGAAACCC\n" for k in range(count)))
    tracemalloc.start()
    content = read_fasta(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(content.records) == count
    assert peak < 1000 * count


def test_unsafe_ids_are_refused_without_effect(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for id in ("../../x", "/abs", "a;touch P", "$(touch P)", "a b", "a\nb", "a\n", "", "-rf", "~x", "a" * 65, "é"):
        with pytest.raises(InputError, match="must match"):
            checked_sequence(id, "GGG")
    assert list(tmp_path.iterdir()) == []


def test_one_record_file_of_a_stage(write, tmp_path: Path):
    rna = RnaSequence(id="hp1", sequence="GGGCUUCGGCCC")
    path = tmp_path / "deep" / "sequence.fasta"
    write_fasta(rna, path)
    assert read_one(path, "hp1") == rna
    assert [p.name for p in path.parent.iterdir()] == ["sequence.fasta"]
    with pytest.raises(InputError, match="holds hp1, not hp2"):
        read_one(path, "hp2")
    with pytest.raises(InputError, match="holds 2 records"):
        read_one(write(CLEAN))
    with pytest.raises(InputError, match=r"line 1: a: 'N' at position 1"):
        read_one(write(">a\nN\n"))


PIECES = [b">", b"a", b"A", b"\n", b"\r", b"\t", b" ", b"G", b"T", b"\0", b"\xc2\xa0", b"\xff"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from([b">", b"a", b"A", b"\n", b"\r", b"\t", b" ", b"G", b"T", b"\0", b"\xc2\xa0", b"\xff"])
        ).map(b"".join),
        st.binary(max_size=50).map(gzip.compress),
    )
)
def test_any_bytes_give_records_or_an_input_error(content: bytes, tmp_path: Path):
    for reader in (read_fasta, read_sample_sheet):
        path = tmp_path / "noise"
        path.write_bytes(content)
        try:
            found = reader(path)
        except InputError as error:
            message = str(error)
            assert "noise" in message
            assert message.isprintable()
        else:
            rows = found.records if reader is read_fasta else found.rows
            assert len(rows) + len(found.failures) > 0


SHEET = "id\tsequence\tstructure\nhp1\tGGGCUUCGGCCC\t\nhp2\tgggaaaccc\tss/hp2.dbn\n"


def test_sample_sheet(write):
    sheet = read_sample_sheet(write(SHEET, "samples.tsv"))
    assert [(row.rna.id, row.rna.sequence, row.structure, row.line) for row in sheet.rows] == [
        ("hp1", "GGGCUUCGGCCC", None, 2),
        ("hp2", "GGGAAACCC", Path("ss/hp2.dbn"), 3),
    ]
    assert [(n.kind, n.id, n.line) for n in sheet.notices] == [("lower_case", "hp2", 3)]
    assert sheet.failures == []


@pytest.mark.parametrize(
    "dirty",
    [
        SHEET.replace("\n", "\r\n"),
        "\ufeff" + SHEET,
        SHEET.replace("\t", " \t "),
        SHEET.replace("\n", "\t\t\n"),
        SHEET.replace("hp1\tGGGCUUCGGCCC\t\n", '"hp1"\tGGGCUUCGGCCC\n'),
    ],
    ids=["crlf", "bom", "blanks", "tabs_at_the_end", "quotes_and_missing_cell"],
)
def test_sample_sheet_same_result(write, dirty: str):
    assert read_sample_sheet(write(dirty, "a.tsv")) == read_sample_sheet(write(SHEET, "b.tsv"))


SHEET_FAULTS = {
    "empty": ("", "the sample sheet is empty"),
    "header_only": ("id\tsequence\n", "has a header and no rows"),
    "no_header": ("hp1\tGGG\n", "no column 'id'"),
    "commas": ("id,sequence\nhp1,GGG\n", "no column 'id'.*tab-separated"),
    "misspelt_column": ("id\tsequence\tstrcture\nhp1\tGGG\t\n", "column 'strcture' is unknown"),
    "column_twice": ("id\tsequence\tid\nhp1\tGGG\thp1\n", "column 'id' is twice"),
    "too_many_cells": ("id\tsequence\nhp1\tGGG\tx\ty\n", "line 2: 4 cells for 2 columns"),
    "duplicate_id_case": ("id\tsequence\nhp1\tGGG\n\nHP1\tGGG\n", "lines 2 and 4"),
    "open_quote": ('id\tsequence\nhp1\t"GGG\n', "line 2: unexpected end"),
}


@pytest.mark.parametrize("fault", SHEET_FAULTS)
def test_sample_sheet_fault_is_refused(write, fault: str):
    content, reason = SHEET_FAULTS[fault]
    with pytest.raises(InputError, match=reason) as caught:
        read_sample_sheet(write(content, "samples.tsv"))
    assert "samples.tsv" in str(caught.value)


def test_sample_sheet_bad_row_leaves_the_others(write):
    text = SHEET + "../../x\tGGG\t\nok\tGG1\t\nlong\t" + "G" * 30 + "\t\nnone\t\t\n"
    sheet = read_sample_sheet(write(text, "samples.tsv"), FastaOptions(max_length=20))
    assert [row.rna.id for row in sheet.rows] == ["hp1", "hp2"]
    assert [(f.id, f.line) for f in sheet.failures] == [("../../x", 4), ("ok", 5), ("long", 6), ("none", 7)]
    assert "'1' at position 3" in sheet.failures[1].reason
