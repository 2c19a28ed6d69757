"""Faults 1 to 9 and 12: sequences, ids and alignments. Nothing is stood in for."""

import gzip
import time

import pytest

from rna_predict.cli.batch import run_batch
from rna_predict.contracts import Embeddings
from rna_predict.formats.fasta import read_fasta

HAIRPIN = "GGGCUUCGGCCC"


def files_of(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("content", "said"), [("", "nothing"), (" \n\t\r\n", "only blanks"), ("; a\n# b\n", "only comments")]
)
def test_fault_01_empty_input(run, tmp_path, content, said):
    fasta = tmp_path / "x.fasta"
    fasta.write_bytes(content.encode())
    result = run("predict", fasta, "--out", tmp_path / "out")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert f"{fasta}: holds {said}" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["x.fasta"]


@pytest.mark.parametrize("other", ["one", "ONE", "One"])
def test_fault_02_duplicate_ids(run, tmp_path, other):
    fasta = tmp_path / "x.fasta"
    fasta.write_text(f">one\n{HAIRPIN}\n>two\n{HAIRPIN}\n\n>{other}\nACGU\n")
    result = run("predict", fasta, "--out", tmp_path / "out")
    assert result.code == 2
    assert "lines 1 and 6" in result.err
    assert not (tmp_path / "out").exists()


def test_fault_03_line_ends_and_blanks(run, tmp_path, quick, predicted):
    dirty = tmp_path / "x.fasta"
    dirty.write_bytes(b"\xef\xbb\xbf>hairpin\t \r\nGGGC UUCG\t \r\rGCC\nC  \r\n\n")
    assert run("predict", dirty, "--out", tmp_path / "out", *quick).code == 0
    clean, found = files_of(predicted), files_of(tmp_path / "out")
    for name in ("hairpin.pdb", "hairpin.cif", "hairpin.json"):
        assert found[name] == clean[name], name


def test_fault_04_case_and_thymine(run, tmp_path, quick, predicted):
    lower = tmp_path / "x.fasta"
    lower.write_text(">hairpin\ngggcTUcggccc\n")
    result = run("predict", lower, "--out", tmp_path / "out", *quick)
    assert result.code == 0
    assert "hairpin: 10 lower-case letters read as upper case" in result.err
    assert "hairpin: the sequence mixes 1 T with 1 U; each T is read as U" in result.err
    assert (tmp_path / "out" / "hairpin.pdb").read_bytes() == (predicted / "hairpin.pdb").read_bytes()


FOREIGN = {
    "GGNCC": "'N' at position 3",
    "GGRCC": "'R' at position 3",
    "GGCCY": "'Y' at position 5",
    "GG-CC": "Remove the gaps",
    "GGCC*": "'*' at position 5",
    "GG1CC": "'1' at position 3",
    "GG\0CC": r"character '\\x00' in line 2, column 3",
    "GGéCC": r"character '\\xe9' in line 2, column 3",
    "MKVLAAGIVGLLLAQEF": "looks like a protein",
}


@pytest.mark.parametrize("letters", FOREIGN)
def test_fault_05_foreign_letters(run, tmp_path, letters):
    fasta = tmp_path / "x.fasta"
    fasta.write_bytes(f">x\n{letters}\n".encode("latin-1" if "é" in letters else "utf-8"))
    result = run("predict", fasta, "--out", tmp_path / "out")
    assert result.code == 2
    status = (tmp_path / "out" / "status.tsv").read_text()
    said = FOREIGN[letters] if letters.isprintable() and letters.isascii() else "in line 2, column 3"
    assert said in status
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith("x.")] == []
    mapped = run("prepare", "--root", tmp_path / "stages", "--ambiguous", "map", f"x={letters}".replace("\0", "%"))
    assert (mapped.code == 0) == (letters in ("GGNCC", "GGRCC", "GGCCY")), mapped.err


HOSTILE = ["../../x", "/abs", "a;touch P", "$(touch P)", "`touch P`", "a" * 300, ".hidden", "-rf", "a\nb", "a b/c", ""]


@pytest.mark.parametrize("name", HOSTILE)
def test_fault_06_hostile_ids(run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    result = run("prepare", "--root", tmp_path / "stages", "--", f"{name}={HAIRPIN}")
    assert result.code in (1, 2)
    assert "id" in result.err
    fasta = tmp_path / "x.fasta"
    fasta.write_text(f">{name.split()[0] if name else ''}{'/' if ';' in name else ''}\n{HAIRPIN}\n")
    if "\n" not in name and " " not in name:
        assert run("predict", fasta, "--out", tmp_path / "out").code == 2
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["status.tsv"]
    assert {path.name for path in tmp_path.iterdir()} <= {"x.fasta", "out"}, (
        "nothing ran, nothing was written elsewhere"
    )


def test_fault_07_lengths(run, tmp_path, quick):
    fasta = tmp_path / "x.fasta"
    fasta.write_text(f">zero\n\n>one\nA\n>two\nGC\n>three\nGAC\n>longest\n{HAIRPIN}\n>longer\n{HAIRPIN}A\n")
    limits = ("--set", "stage_a.max_length=12", "--set", "stage_b.max_length=12")
    result = run("predict", fasta, "--out", tmp_path / "out", *quick, *limits)
    assert result.code == 1
    rows = [line.split("\t") for line in (tmp_path / "out" / "status.tsv").read_text().splitlines()[1:]]
    status = {row[0]: row[1] for row in rows}
    assert status == {
        "zero": "failed",
        "one": "done",
        "two": "done",
        "three": "done",
        "longest": "done",
        "longer": "failed",
    }
    reasons = {row[0]: row[3] for row in rows}
    assert "the sequence is empty" in reasons["zero"]
    assert "13 nt is longer than stage_a.max_length 12" in reasons["longer"]
    assert " GB. Raise max_length" in reasons["longer"]


def test_fault_07_a_length_beyond_memory_is_refused_before_allocation(run, tmp_path):
    """500,000 nt would take 125,000 GB; the answer comes at once."""
    fasta = tmp_path / "x.fasta"
    fasta.write_text(">x\n" + "ACGU" * 125_000 + "\n")
    start = time.monotonic()
    result = run("predict", fasta, "--out", tmp_path / "out")
    assert result.code == 1
    assert "500000 nt is longer than stage_a.max_length" in result.err
    assert "125000.0 GB" in result.err
    assert time.monotonic() - start < 60


def many(tmp_path, count: int) -> float:
    """Seconds to read `count` ids and to keep their status table."""
    fasta = tmp_path / "x.fasta"
    fasta.write_text("".join(f">id{k}\n{HAIRPIN}\n" for k in range(count)))
    start = time.monotonic()
    content = read_fasta(fasta)
    assert len(content.records) == count
    outcomes = run_batch([record.id for record in content.records], lambda name: None, tmp_path / "status.json")
    assert len(outcomes) == count
    assert (tmp_path / "status.json").read_text().count('"done"') == count
    return time.monotonic() - start


def test_fault_08_many_ids(tmp_path, caplog):
    caplog.set_level("ERROR", logger="rna_predict")
    assert many(tmp_path, 5_000) < 20


@pytest.mark.slow
def test_fault_08_a_hundred_thousand_ids(tmp_path, caplog):
    """Time grows with the number of ids, not with its square."""
    caplog.set_level("ERROR", logger="rna_predict")
    tenth = many(tmp_path, 10_000)
    assert many(tmp_path, 100_000) < 20 * tenth + 5


def test_fault_08_one_line_of_a_megabyte(run, tmp_path):
    fasta = tmp_path / "x.fasta"
    fasta.write_text(f">long\n{'ACGU' * 250_000}\n>short\nGGGX\n")
    start = time.monotonic()
    result = run("predict", fasta, "--out", tmp_path / "out")
    assert result.code == 1
    assert "1000000 nt is longer than" in result.err
    assert max(map(len, result.err.splitlines())) < 400, "the sequence itself is not printed"
    assert time.monotonic() - start < 60


def bomb(path, megabytes: int):
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(megabytes):
            file.write(b"A" * 2**20)
    return path


def test_fault_09_gzip_bomb(run, tmp_path, fasta):
    packed = bomb(tmp_path / "x.fasta.gz", 200)
    assert packed.stat().st_size < 300_000
    result = run("predict", packed, "--out", tmp_path / "out")
    assert result.code == 2
    assert "when unpacked; reading stopped there" in result.err
    assert not (tmp_path / "out").exists()
    result = run("predict", fasta, "--out", tmp_path / "out", "--msa", bomb(tmp_path / "x.a3m.gz", 200))
    assert result.code == 1
    assert "reading stopped there" in result.err


NO_HITS, RAGGED = f">x\n{HAIRPIN}\n", f">x\n{HAIRPIN}\n>y\n{HAIRPIN}A\n"
ALIGNMENTS = {
    "no hits": (NO_HITS, 0, "1 aligned sequences"),
    "one row beside it": (f"{NO_HITS}>y\nGGGCUUCGGCCU\n", 0, "2 aligned sequences"),
    "inserts": (f"{NO_HITS}>y\nGGGacguCUUCGGCC-\n", 0, "2 aligned sequences"),
    "query absent": (">y\nGGGCUUCGGCCU\n", 1, "Align to this RNA"),
    "ragged": (RAGGED, 1, "13 columns"),
    "empty": ("", 1, "holds no"),
    "100,000 rows": (NO_HITS + f">y\n{HAIRPIN[:-1]}U\n" * 100_000, 0, "2 aligned sequences"),
}


@pytest.fixture(scope="module")
def trunk(root, tmp_path_factory):
    """Folder of stage files with stage A's result, and stage B's settings: a small trunk on random weights."""
    from rna_predict.config import resolve_stage_config, write_stage_config
    from rna_predict.contracts import RnaSequence
    from rna_predict.formats.fasta import write_fasta
    from rna_predict.stage_a_adjacency.config import StageAConfig
    from rna_predict.stage_a_adjacency.stage import predict_adjacency

    folder = tmp_path_factory.mktemp("trunk")
    sequence = RnaSequence(id="hairpin", sequence=HAIRPIN)
    write_fasta(sequence, folder / "stages" / "hairpin" / "sequence.fasta")
    adjacency = predict_adjacency(sequence, StageAConfig(family="off"))
    adjacency.save(folder / "stages" / "hairpin" / "a_adjacency.safetensors")
    settings = resolve_stage_config("stage_b", root / "config", ["family_alignment=false"], "untrained_nano")
    write_stage_config(settings, folder / "stage_b.yaml")
    return folder


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_fault_12_alignments(run, tmp_path, trunk, name):
    """An alignment runs, or fails by name; one without hits gives what the RNA alone gives."""
    content, code, said = ALIGNMENTS[name]
    (tmp_path / "x.a3m").write_text(content)
    words = ("stage-b", "--root", trunk / "stages", "--config", trunk / "stage_b.yaml", "hairpin")
    result = run(*words, "--msa", f"hairpin={tmp_path / 'x.a3m'}")
    assert result.code == code, result.err
    assert said in result.err
    if name == "no hits":
        embeddings = trunk / "stages" / "hairpin" / "b_embeddings.safetensors"
        with_file = Embeddings.load(embeddings)
        assert run(*words).code == 0
        assert Embeddings.load(embeddings).digest() == with_file.digest()
