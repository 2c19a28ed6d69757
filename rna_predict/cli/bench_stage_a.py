"""`rna-predict bench stage-a`: how well stage A finds the pairs of known structures, beside other programs.

Rows come from a table that `rna-predict dataset pairs` made: families that nothing was trained on, and clusters at
80 % identity within families that were. One row stands for a cluster. Means are over families, where each counts once,
and over rows; intervals are bootstraps that draw families, and rows within each.

Families that are held out are kept out of the profile library too (`family_exclude`): what is measured across families
knows nothing of them. `full_library` is the same with the whole library, which is what a user gets.
"""

from pathlib import Path
from typing import Annotated

import typer

from rna_predict.cli.threads import set_threads

PEERS = "vienna_mfe,vienna_mea,mxfold2,sincfold"


def command(
    dataset: Annotated[Path, typer.Argument(help="Folder that `rna-predict dataset pairs` made.")],
    rows: Annotated[int, typer.Option(min=1, help="Most rows of a family.")] = 10,
    max_length: Annotated[int, typer.Option(min=1, help="Longest sequence in nt; longer rows are counted.")] = 600,
    across: Annotated[str, typer.Option(help="Held-out families: test, validation or both.")] = "test",
    source: Annotated[
        list[str] | None, typer.Option(help="Pattern of sources (`PDB*`); without it all but projected consensus.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which rows are taken, and the bootstrap.")] = 0,
    peers: Annotated[str, typer.Option(help="What is run beside stage A, with commas.")] = PEERS,
    config: Annotated[list[str] | None, typer.Option(help="Setting of stage A, key=value.")] = None,
    family: Annotated[str, typer.Option(metavar="off|auto", help="Measure without families, or with and without.")] = (
        "auto"
    ),
    out: Annotated[Path | None, typer.Option(help="TSV file: a line for each row and method.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="JSON file: fit the probabilities of this run (then not --across test).")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads for OpenMP, BLAS and torch.")] = 1,
) -> None:
    """Base pairs of known structures: F1 and more, within and across families, beside other programs."""
    set_threads(threads)
    from rna_predict.cli.bench import print_result, print_table
    from rna_predict.cli.stage_a_measure import Options, measure, write_calibration, write_rows
    from rna_predict.cli.stage_a_rows import RowSettings

    options = Options(
        rows=RowSettings(
            across=across, sources=tuple(source or ()), rows_per_family=rows, max_length=max_length, seed=seed
        ),
        peers=tuple(name.strip() for name in peers.split(",") if name.strip()),
        settings=tuple(config or ()),
        family=family,
        calibrate=calibration is not None,
    )
    found = measure(dataset, options)
    if out is not None:
        write_rows(out, found.scored)
    if calibration is not None and found.calibration is not None:
        write_calibration(calibration, found.calibration)
    for title, lines in found.tables.items():
        typer.echo(title)
        print_table(lines)
    for name, reason in found.figures["missing"].items():
        typer.echo(f"{name} is missing: {reason}")
    print_result([], found.figures)
