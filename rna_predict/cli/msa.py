"""`rna-predict msa search FASTA --database FILE`: alignments of homologs for stage B's trunk."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.batch import exit_code, run_batch
from rna_predict.cli.console import LOG
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

if TYPE_CHECKING:
    from rna_predict.contracts import RnaSequence
    from rna_predict.families.homologs import HomologSettings

app = typer.Typer(help="Alignments of an RNA's homologs, from a database of sequences.", no_args_is_help=True)


@app.callback()
def msa() -> None:
    """Alignments of an RNA's homologs, from a database of sequences."""


@app.command("search")
def search(
    fasta: Annotated[Path, typer.Argument(help="FASTA with one RNA or many; may be gzipped.")],
    database: Annotated[Path, typer.Option(help="FASTA of RNA or DNA sequences, e.g. RNAcentral or Rfam; unpacked.")],
    out: Annotated[Path, typer.Option(help="Folder for <id>.a3m, which `predict --msa` takes.")] = Path("msa"),
    evalue: Annotated[float, typer.Option(help="Largest E-value of a hit.")] = 1e-3,
    max_rows: Annotated[int, typer.Option(min=1, help="Most rows, the best hits first.")] = 10_000,
    both_strands: Annotated[bool, typer.Option(help="Also search the reverse complements, as in genomes.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the search.")] = 1,
) -> None:
    """Search each RNA's homologs with nhmmer and write them aligned to it; alone where there are none.

    An alignment that the same search wrote before (same RNA, settings and database file) is kept.
    """
    set_threads(threads)
    from rna_predict.families.homologs import HomologSettings
    from rna_predict.formats.fasta import read_fasta

    _check(database)
    settings = HomologSettings(evalue=evalue, max_rows=max_rows, both_strands=both_strands, threads=threads)
    content = read_fasta(fasta)
    for failure in content.failures:
        LOG.error("%s: failed: line %d: %s", failure.id, failure.line, failure.reason)
    sequences = {record.id: record for record in content.records}

    def work(name: str) -> None:
        search_one(sequences[name], database, settings, out / f"{name}.a3m")

    code = exit_code(run_batch(list(sequences), work, None, "searched"))
    raise typer.Exit(1 if content.failures else code)


@app.command("batch")
def batch(
    ids: Annotated[list[str], typer.Argument(help="One id or many; a failing one does not stop the others.")],
    store: Annotated[Path, typer.Option(help="Folder with the results of stages of many RNAs.")],
    upstream: Annotated[Path, typer.Option(help="The status of the stage before.")],
    status: Annotated[Path, typer.Option(help="JSON file with what became of each id.")],
    database: Annotated[Path, typer.Option(help="FASTA of RNA or DNA sequences, e.g. RNAcentral or Rfam; unpacked.")],
    out: Annotated[Path, typer.Option(help="Folder for <id>.a3m.")],
    own: Annotated[list[str] | None, typer.Option(help="An id that brings an alignment and is not searched.")] = None,
    evalue: Annotated[float, typer.Option(help="Largest E-value of a hit.")] = 1e-3,
    max_rows: Annotated[int, typer.Option(min=1, help="Most rows, the best hits first.")] = 10_000,
    both_strands: Annotated[bool, typer.Option(help="Also search the reverse complements, as in genomes.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the search.")] = 1,
) -> None:
    """Search the homologs of many RNAs of the workflow; the status is the one before, with those that failed here."""
    set_threads(threads)
    from rna_predict.atomic import atomic_path
    from rna_predict.cli.stored import read_status
    from rna_predict.families.homologs import HomologSettings
    from rna_predict.formats.fasta import read_one

    _check(database)
    settings = HomologSettings(evalue=evalue, max_rows=max_rows, both_strands=both_strands, threads=threads)
    rows = read_status(upstream, ids)

    def work(name: str) -> None:
        sequence = read_one(store / rows[name]["entries"]["stage_a"] / "sequence.fasta", name)
        search_one(sequence, database, settings, out / f"{name}.a3m")

    wanted = [name for name in ids if rows[name]["status"] == "done" and name not in (own or [])]
    for outcome in run_batch(wanted, work, None, "searched"):
        if outcome.status != "done":
            rows[outcome.id] |= {"status": outcome.status, "reason": f"search_msa: {outcome.reason}"}
    with atomic_path(status) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def search_one(sequence: "RnaSequence", database: Path, settings: "HomologSettings", path: Path) -> None:
    """Search one RNA's homologs and write them, unless the file is of this search already.

    Raises:
        InputError: the RNA cannot be searched.
    """
    from rna_predict.atomic import atomic_path
    from rna_predict.families.homologs import homolog_rows
    from rna_predict.families.msa import a3m_text

    comment = search_comment(sequence.sequence, database, settings)
    if _first_line(path) == f"# {comment}":
        LOG.info("%s: %s is of this search already", sequence.id, path)
        return
    rows = homolog_rows(sequence, database, settings)
    with atomic_path(path) as temporary:
        temporary.write_text(a3m_text(rows, comment), encoding="utf-8")
    LOG.info("%s: %d homologs in %s", sequence.id, len(rows) - 1, path)


def _check(database: Path) -> None:
    if not database.is_file():
        raise InputError(f"--database {database}: no such file.")


def search_comment(sequence: str, database: Path, settings: "HomologSettings") -> str:
    """What an alignment's first line says: equal lines, equal searches. Threads make no difference."""
    from rna_predict.contracts import digest_of

    found = database.stat()
    facts = [sequence, str(database.resolve()), found.st_size, found.st_mtime_ns]
    facts += [settings.evalue, settings.max_rows, settings.both_strands]
    program = f"nhmmer of pyhmmer {version('pyhmmer')}"
    return f"{program} in {database.name}, E {settings.evalue:g}, search {digest_of(facts)[:16]}"


def _first_line(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\n")
