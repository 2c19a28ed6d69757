"""Homologs in a database of sequences: found, aligned to the query, and read back as an alignment."""

import csv
import gzip

import pytest

from rna_predict.contracts import RnaSequence
from rna_predict.errors import ConfigError, InputError
from rna_predict.families.homologs import HomologSettings, homolog_rows
from rna_predict.formats.alignment import read_alignment

TRNA = "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"
INSERTED = TRNA[:34] + "AC" + TRNA[34:]
DELETED = TRNA[:40] + TRNA[43:]
REVERSE = TRNA.translate(str.maketrans("ACGU", "UGCA"))[::-1]
QUERY = RnaSequence(id="trna", sequence=TRNA)


@pytest.fixture
def database(tmp_path):
    """Copies of the tRNA with flanks, an insertion, a deletion, as DNA, turned round, and something else."""
    path = tmp_path / "db.fasta"
    rows = {"flanked": f"AAAAAGG{TRNA}GGAAAAA", "inserted": INSERTED, "deleted": DELETED, "dna": TRNA.replace("U", "T")}
    rows |= {"turned": REVERSE, "other": "ACGUACUUUGGCAAACGGAUUCAGCAGCUACGGUACUUCAGG"}
    path.write_text("".join(f">{name} described\n{letters}\n" for name, letters in rows.items()))
    return path


def found(rows) -> dict[str, str]:
    return {row.name.split("/")[0]: row.letters for row in rows}


def test_each_homolog_stands_on_the_query_s_residues(database):
    rows = homolog_rows(QUERY, database, HomologSettings())
    assert (rows[0].name, rows[0].letters) == ("trna", TRNA)
    letters = found(rows[1:])
    assert set(letters) == {"flanked", "inserted", "deleted", "dna"}
    assert letters["flanked"] == letters["dna"] == TRNA
    for row in letters.values():
        assert sum(not letter.islower() for letter in row) == len(TRNA)
    assert letters["inserted"].replace("-", "").upper() == INSERTED
    assert sum(letter.islower() for letter in letters["inserted"]) == 2
    assert letters["deleted"].count("-") == 3


def test_the_other_strand_is_searched_when_asked(database):
    assert "turned" in found(homolog_rows(QUERY, database, HomologSettings(both_strands=True)))


def test_without_homologs_the_query_is_alone_and_rows_are_limited_to_the_best(database):
    other = RnaSequence(id="x", sequence="GAGACCUUUCGGAUCGAUUUUUCAGGCUACAAAGC")
    assert [row.name for row in homolog_rows(other, database, HomologSettings())] == ["x"]
    assert len(homolog_rows(QUERY, database, HomologSettings(max_rows=2))) == 2


def test_what_is_no_database_is_named(tmp_path, database):
    with pytest.raises(InputError, match="no such file"):
        homolog_rows(QUERY, tmp_path / "no.fasta", HomologSettings())
    packed = tmp_path / "db.fasta.gz"
    packed.write_bytes(gzip.compress(database.read_bytes()))
    with pytest.raises(InputError, match=r"is packed\. Unpack it"):
        homolog_rows(QUERY, packed, HomologSettings())
    (tmp_path / "page.html").write_text("<html>404</html>\n")
    with pytest.raises(InputError, match="cannot be read as sequences"):
        homolog_rows(QUERY, tmp_path / "page.html", HomologSettings())
    with pytest.raises(ConfigError, match="evalue"):
        HomologSettings(evalue=float("nan"))


def test_the_command_writes_alignments_and_keeps_those_of_the_same_search(run, database, tmp_path):
    fasta = tmp_path / "x.fasta"
    fasta.write_text(f">trna\n{TRNA}\n>other\nGAGACCUUUCGGAUCGAUUUUUCAGGCUACAAAGC\n")
    words = ("msa", "search", fasta, "--database", database, "--out", tmp_path / "msa")
    assert run(*words).code == 0
    alignment, notices = read_alignment(tmp_path / "msa" / "trna.a3m", QUERY)
    assert alignment.depth == 2  # the others repeat the query in every column
    assert any("repeat" in notice.message for notice in notices)
    before = (tmp_path / "msa" / "trna.a3m").stat().st_mtime_ns
    again = run(*words)
    assert "is of this search already" in again.err
    assert (tmp_path / "msa" / "trna.a3m").stat().st_mtime_ns == before
    with database.open("a") as file:
        file.write(f">new\n{TRNA[:30]}GG{TRNA[32:]}\n")
    assert run(*words).code == 0
    assert "new/" in (tmp_path / "msa" / "trna.a3m").read_text()
    assert run(*words[:3], "--database", tmp_path / "no", "--out", tmp_path / "msa").code == 2


def test_real_trnas_find_each_other(shared_dir, tmp_path):
    """Yeast tRNA-Phe among 3,000 known sequences: its hits are of its length, and many."""
    path = tmp_path / "db.fasta"
    with gzip.open(shared_dir / "data" / "rna2d" / "rna2d.csv.gz", "rt") as table, path.open("w") as out:
        seen = set()
        for row in csv.DictReader(table):
            if (
                row["dataset"].lower().startswith("archive")
                and row["sequence"] not in seen
                and len(row["sequence"]) < 400
            ):
                seen.add(row["sequence"])
                out.write(f">s{len(seen)}\n{row['sequence']}\n")
            if len(seen) == 3000:
                break
    rows = homolog_rows(QUERY, path, HomologSettings())[1:]
    assert len(rows) > 20
    spans = [sum(letter.isupper() for letter in row.letters) for row in rows]
    assert sum(span > 50 for span in spans) > len(spans) / 2
