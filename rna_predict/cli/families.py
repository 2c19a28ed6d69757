"""`rna-predict families`: build a library of RNA families from Rfam's seeds, and search sequences with it."""

from pathlib import Path
from typing import Annotated

import typer

from rna_predict.cli.bench import print_result
from rna_predict.cli.console import LOG, steps

app = typer.Typer(help="RNA families of Rfam: build a library, search sequences with it.", no_args_is_help=True)


@app.callback()
def families() -> None:
    """RNA families of Rfam: build a library, search sequences with it."""


@app.command("build")
def build(
    seeds: Annotated[Path, typer.Argument(help="Rfam.seed, packed or not, or a tar archive of Stockholm files.")],
    out: Annotated[Path, typer.Option(help="The library to write, .safetensors.")],
    release: Annotated[str, typer.Option(help="Release of the seeds, e.g. 'Rfam 15.0'; results state it.")],
    max_rows: Annotated[int, typer.Option(min=1, help="Most rows of a family's seed that are kept.")] = 128,
) -> None:
    """Make a library: profiles, consensus pairs and diverse seed rows. The same seeds give the same bytes.

    Rfam is in the public domain (CC0). About a minute and a half for release 14.9.
    """
    from rna_predict.contracts import digest_of
    from rna_predict.families.build import BuildSettings, build_library
    from rna_predict.families.seeds import read_seeds

    made_by = {
        "command": f"rna-predict families build --release '{release}' --max-rows {max_rows}",
        "source": f"seed alignments of {release}",
        "licence": "CC0-1.0",
        "seeds_sha256": "",
    }
    alignments = list(read_seeds(seeds))
    made_by["seeds_sha256"] = digest_of(seeds)
    with steps(len(alignments)) as progress:

        def advance(accession: str) -> None:
            progress.now(accession)
            progress.done()

        library = build_library(alignments, BuildSettings(max_rows=max_rows, release=release), made_by, advance)
    library.save(out)
    LOG.info("%s: %d families of %s", out, len(library.families), release)
    figures = {
        "families": len(library.families),
        "match_states": sum(family.length for family in library.families),
        "pairs": sum(len(family.support) for family in library.families),
        "bytes": out.stat().st_size,
        "sha256": digest_of(out),
    }
    print_result([], figures)


@app.command("download")
def download(
    out: Annotated[Path, typer.Option(help="The file to write, e.g. Rfam.seed.gz.")],
    url: Annotated[str, typer.Option(help="Address; without it the newest release at EMBL-EBI.")] = "",
    timeout: Annotated[float, typer.Option(help="Seconds without an answer after which a try has failed.")] = 60.0,
    tries: Annotated[int, typer.Option(min=1, help="Tries.")] = 3,
) -> None:
    """Fetch Rfam's seed alignments for `families build`; the last line is one JSON object with size and sha256."""
    from rna_predict.families.download import CURRENT, DownloadSettings, download_seeds

    fetched = download_seeds(out, DownloadSettings(url=url or CURRENT, timeout=timeout, tries=tries))
    LOG.info("%s: %d bytes of %s, last changed %s", out, fetched.bytes, fetched.url, fetched.modified or "unknown")
    print_result(
        [],
        {"url": fetched.url, "bytes": fetched.bytes, "sha256": fetched.sha256, "modified": fetched.modified},
    )


@app.command("search")
def search(
    fasta: Annotated[Path, typer.Argument(help="FASTA with one RNA or many; may be gzipped.")],
    evalue: Annotated[float, typer.Option(help="Largest E-value of a hit.")] = 0.01,
    library: Annotated[str, typer.Option(help="A library that `build` made, instead of the package's.")] = "",
) -> None:
    """Print the families of each RNA, a line for each hit; the last line is one JSON object."""
    from rna_predict.families.library import load_library
    from rna_predict.families.search import SearchSettings, search_many
    from rna_predict.formats.fasta import read_fasta

    records = read_fasta(fasta).records
    opened = load_library(library)
    found = search_many([one.sequence for one in records], opened, SearchSettings(evalue=evalue))
    rows = [
        {
            "id": record.id,
            "accession": hit.accession,
            "name": hit.name,
            "evalue": f"{hit.evalue:.1e}",
            "first": hit.query[0] + 1,
            "last": hit.query[1],
            "profile": f"{hit.model[0] + 1}-{hit.model[1]}/{hit.model_length}",
        }
        for record, hits in zip(records, found, strict=True)
        for hit in hits
    ]
    figures = {"release": opened.release, "rnas": len(records), "with_family": sum(map(bool, found)), "hits": len(rows)}
    print_result(rows, figures)
