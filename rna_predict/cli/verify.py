"""`rna-predict manifest FOLDER` states every result's sha256; `rna-predict verify FOLDER` compares."""

from pathlib import Path
from typing import Annotated

import typer

from rna_predict.cli.console import LOG
from rna_predict.errors import InputError

Folder = Annotated[Path, typer.Argument(help="Results of the workflow, or the folder of `rna-predict predict`.")]


def manifest(folder: Folder = Path("results")) -> None:
    """Write manifest.json into a folder: size and sha256 of every result in it, subfolders too.

    Hidden files and the folders logs, benchmarks and tracking are left out. `predict` writes one by itself.
    """
    from rna_predict.formats.manifest import MANIFEST, results_in, write_manifest

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Name the folder with the results.")
    paths = list(results_in(folder))
    if not paths:
        raise InputError(f"{folder}: holds no results. Name the folder with the results.")
    LOG.info("%s: %d files", folder / MANIFEST, write_manifest(folder, paths))


def verify(folder: Folder = Path("results")) -> None:
    """Compare a folder with its manifest.json; exit code 1 when a file is missing or changed, by name.

    A file that the manifest does not list is named and is no fault.
    """
    from rna_predict.formats.manifest import differences, read_manifest

    found = differences(folder)
    faults = [each for each in found if each.fault]
    for each in found:
        typer.echo(f"{folder / each.path}: {each.kind}: {each.reason}")
    total = len(read_manifest(folder))
    if faults:
        LOG.error("%d of %d files are not as stated. Make them again.", len(faults), total)
        raise typer.Exit(1)
    LOG.info("%s: all %d files are as stated", folder, total)
