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
