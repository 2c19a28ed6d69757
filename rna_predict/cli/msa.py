"""`rna-predict msa search FASTA --database FILE`: alignments of homologs for stage B's trunk."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.batch import exit_code, run_batch
from rna_predict.cli.console import LOG
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

if TYPE_CHECKING:
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
    from rna_predict.contracts import atomic_path
    from rna_predict.families.homologs import HomologSettings, homolog_rows
    from rna_predict.families.msa import a3m_text
    from rna_predict.formats.fasta import read_fasta

    if not database.is_file():
        raise InputError(f"--database {database}: no such file.")
    settings = HomologSettings(evalue=evalue, max_rows=max_rows, both_strands=both_strands, threads=threads)
    content = read_fasta(fasta)
    for failure in content.failures:
        LOG.error("%s: failed: line %d: %s", failure.id, failure.line, failure.reason)
    sequences = {record.id: record for record in content.records}

    def work(name: str) -> None:
        path, comment = out / f"{name}.a3m", search_comment(sequences[name].sequence, database, settings)
        if _first_line(path) == f"# {comment}":
            LOG.info("%s: %s is of this search already", name, path)
            return
        rows = homolog_rows(sequences[name], database, settings)
        with atomic_path(path) as temporary:
            temporary.write_text(a3m_text(rows, comment), encoding="utf-8")
        LOG.info("%s: %d homologs in %s", name, len(rows) - 1, path)

    code = exit_code(run_batch(list(sequences), work, None, "searched"))
    raise typer.Exit(1 if content.failures else code)


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
