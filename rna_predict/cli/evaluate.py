"""`rna-predict evaluate PREDS NATIVES`: score a folder of predictions against a folder of natives."""

import csv
from pathlib import Path
from typing import Annotated, Any

import typer

from rna_predict.cli.bench import print_result
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

COLUMNS = {
    "id": "id",
    "nt": "length",
    "TM(C3')": "tm_c3",
    "TM(C1')": "tm_c1",
    "RMSD": "rmsd",
    "lDDT": "lddt",
    "INF(WC)": "inf_wc",
    "INF(nWC)": "inf_nwc",
    "INF(st)": "inf_stacking",
    "F1": "pair_f1",
    "MCQ": "mcq",
    "clash": "clash",
    "breaks": "breaks",
    "bond": "bond_max",
    "inverted": "inverted",
    "pierced": "pierced",
}
"""Heading and measure of each printed column; `evaluation.folder` has the units and some more."""


def evaluate(
    preds: Annotated[Path, typer.Argument(help="Folder with <id>.pdb or <id>.cif, gzipped or not.")],
    natives: Annotated[Path, typer.Argument(help="Folder with native structures of the same ids.")],
    targets: Annotated[Path | None, typer.Option(help="CSV or TSV with a column id: score these only.")] = None,
    chain: Annotated[list[str] | None, typer.Option(help="ID=CHAIN: where a native has several RNA chains.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads for BLAS.")] = 1,
) -> None:
    """Print a row for each native, the means and what could not be scored; the last line is one JSON object.

    Exit code 1 when nothing could be scored.
    """
    set_threads(threads)
    from rna_predict.evaluation.folder import SCORED, evaluate_folders

    rows, figures = evaluate_folders(preds, natives, chains_by_id(chain or []), read_ids(targets))
    shown: list[dict[str, object]] = [
        {heading: row[name] for heading, name in COLUMNS.items()} for row in rows if row["status"] == SCORED
    ]
    if shown:
        shown.append(_means(figures))
    for row in rows:
        if row["status"] != SCORED:
            typer.echo(f"{row['id']}: {row['status']}: {row['reason']}")
    print_result(shown, figures)
    if not shown:
        raise typer.Exit(1)


def _means(figures: dict[str, Any]) -> dict[str, object]:
    """The last row: means, each over the targets that have the measure."""
    means: dict[str, object] = {heading: figures.get(name) for heading, name in COLUMNS.items()}
    return means | {"id": f"mean of {figures['scored']}", "nt": ""}


def chains_by_id(pairs: list[str]) -> dict[str, str]:
    """Parse `ID=CHAIN` arguments.

    Raises:
        InputError: another form.
    """
    wrong = [pair for pair in pairs if not all(pair.partition("="))]
    if wrong:
        raise InputError(f"--chain {wrong[0]!r}: expected ID=CHAIN.")
    return {name: chain for name, _, chain in (pair.partition("=") for pair in pairs)}


def read_ids(path: Path | None) -> list[str] | None:
    """The column `id` of a comma- or tab-separated table.

    Raises:
        InputError: no such column.
    """
    if path is None:
        return None
    from rna_predict.formats.reading import read_text

    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    if "id" not in (reader.fieldnames or []):
        raise InputError(f"--targets {path}: no column id; found {reader.fieldnames}.")
    return [row["id"] for row in reader]
