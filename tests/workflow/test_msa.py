"""Homologs for the trunk: searched once for each RNA that brings no alignment, where the config names a database."""

import json

import pytest

TRNA = "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"


@pytest.fixture
def searching(workflow):
    """A workflow on two RNAs, of which the second brings an alignment, with a small database of tRNAs."""
    folder = workflow.folder
    (folder / "config" / "samples.tsv").write_text(f"id\tsequence\tmsa\ntrna\t{TRNA}\t\nown\tACGUACGU\town.a3m\n")
    (folder / "own.a3m").write_text(">own\nACGUACGU\n")
    (folder / "db.fasta").write_text(
        f">one\n{TRNA[:20]}A{TRNA[21:]}\n>two\n{TRNA[:50]}C{TRNA[51:]}\n>no\nACGUUUUUGAC\n"
    )
    workflow.configure(untrained="nano", msa={"database": "db.fasta"})
    return workflow


def test_only_an_rna_without_an_alignment_is_searched_and_only_where_a_database_is_named(searching):
    assert searching.planned()["search_msa"] == 1
    assert "search_msa" not in searching.planned("results/preds/own.pdb")
    searching.configure(msa={"database": "db.fasta", "evalue": 0.1, "both_strands": True})
    shown = searching.run("-n", "-p", "results/msa/trna.a3m")
    assert "--evalue=0.1 --both-strands" in shown
    assert "--msa=trna=results/msa/trna.a3m" in searching.run("-n", "-p", "results/preds/trna.pdb")


def test_the_alignment_is_written_and_searched_again_only_when_the_database_changes(searching):
    searching.run("--cores", "1", "results/msa/trna.a3m")
    text = (searching.folder / "results" / "msa" / "trna.a3m").read_text()
    assert [line.split("/")[0] for line in text.splitlines() if line.startswith(">")] == [">trna", ">one", ">two"]
    assert "Nothing to be done" in searching.run("--cores", "1", "results/msa/trna.a3m")
    with (searching.folder / "db.fasta").open("a") as file:
        file.write(f">three\n{TRNA[:60]}\n")
    assert searching.planned("results/msa/trna.a3m")["search_msa"] == 1


def test_without_networks_and_with_wrong_keys_the_config_is_refused(searching):
    searching.configure(msa={"database": "db.fasta", "evalu": 1})
    assert "evalu" in searching.run("-n", code=1)
    searching.configure(msa={"database": "db.fasta"})
    path = searching.folder / "config" / "config.yaml"
    path.write_text(path.read_text().replace("untrained: nano\n", ""))
    assert "msa: only the networks read an alignment" in searching.run("-n", code=1)


def test_with_batches_one_job_searches_and_one_that_fails_does_not_stop_the_others(searching):
    folder = searching.folder
    short = f"id\tsequence\tmsa\ntrna\t{TRNA}\t\nown\tACGUACGU\town.a3m\nlater\t{TRNA[:40]}\t\n"
    (folder / "config" / "samples.tsv").write_text(short)
    searching.configure(batches=1, stage_d={"choice": "default", "overrides": ["models=1", "steps=1"]})
    assert searching.planned()["search_msa_batch"] == 2, "up to 64 nt, and to 128"
    assert "search_msa" not in searching.planned()
    (folder / "results" / "msa" / "later.a3m").mkdir(parents=True)
    batches = folder / "results" / "batches"
    searching.run(
        "--cores",
        "2",
        "--keep-going",
        "results/batches/to64nt_1of1/stage_b.json",
        "results/batches/to128nt_1of1/stage_b.json",
    )
    rows = json.loads((batches / "to64nt_1of1" / "stage_b.json").read_text())
    rows |= json.loads((batches / "to128nt_1of1" / "stage_b.json").read_text())
    assert {name: row["status"] for name, row in rows.items()} == {"own": "done", "later": "failed", "trna": "done"}
    assert rows["later"]["reason"].startswith("search_msa: IsADirectoryError")
    assert (folder / "results" / "msa" / "trna.a3m").read_text().count(">") == 3
    assert not (folder / "results" / "msa" / "own.a3m").exists()
