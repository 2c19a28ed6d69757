"""`rna-predict evaluate PREDS NATIVES`: score a folder of predictions against a folder of natives."""

from pathlib import Path
from typing import Annotated

import typer

from rna_predict.cli.bench import print_result
from rna_predict.cli.threads import set_threads


def evaluate(
    preds: Annotated[Path, typer.Argument(help="Folder with <id>.pdb or <id>.cif, gzipped or not.")],
    natives: Annotated[Path, typer.Argument(help="Folder with native structures of the same ids.")],
    threads: Annotated[int, typer.Option(min=1, help="Threads for BLAS.")] = 1,
) -> None:
    """Print a row for each native and the means; the last line is one JSON object."""
    set_threads(threads, torch_too=False)
    from rna_predict.evaluation.folder import evaluate_folders

    rows, figures = evaluate_folders(preds, natives)
    print_result(rows, figures)
