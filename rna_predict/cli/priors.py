"""`rna-predict priors`: compute stage B's prior table, and measure it on chains it was not made from."""

import csv
import json
from pathlib import Path
from typing import Annotated

import typer

from rna_predict.cli.console import LOG
from rna_predict.errors import InputError

app = typer.Typer(help="Stage B's prior table: torsions and distances by secondary-structure context.")

Chains = Annotated[Path, typer.Argument(help="Folder with <id>.pdb.gz.")]
Index = Annotated[Path, typer.Argument(help="CSV with the columns id, pdb_id, cluster80, split.")]
Split = Annotated[str, typer.Option(help="Rows of the index to use.")]


@app.command("build")
def build(
    chains_dir: Chains,
    index_csv: Index,
    out: Annotated[Path, typer.Option(help="The table to write, .safetensors.")],
    split: Split = "train",
) -> None:
    """Fit the table on one split; the file's header names the inputs' hashes and the settings."""
    from rna_predict.stage_b_torsion.priors_build import build_table

    table = build_table(chains_dir, index_csv, split)
    table.save(out)
    LOG.info("%s: %d residue contexts, %d pair contexts", out, len(table.keys), len(table.code_N))


@app.command("score")
def score(
    chains_dir: Chains,
    index_csv: Index,
    split: Split = "validation",
    ids: Annotated[Path | None, typer.Option(help="CSV with a column id: only these chains.")] = None,
    table: Annotated[str, typer.Option(help="Another table than the one that the package carries.")] = "",
) -> None:
    """Print as JSON: MCQ of the table beside A-form torsions, and the distances' likelihood and agreement."""
    from rna_predict.stage_b_torsion.natives import index_rows, read_natives
    from rna_predict.stage_b_torsion.prior_table import load_table
    from rna_predict.stage_b_torsion.priors_score import score as score_table

    rows = index_rows(index_csv, split)
    if ids is not None:
        with ids.open(newline="", encoding="utf-8") as file:
            wanted = {row.get("id") for row in csv.DictReader(file)}
        rows = [row for row in rows if row["id"] in wanted]
        if not rows:
            raise InputError(f"{ids}: none of its ids is in split {split!r} of {index_csv}")
    typer.echo(json.dumps(score_table(load_table(table)[0], read_natives(chains_dir, rows))))


@app.command("cross-validate")
def cross_validate(
    chains_dir: Chains,
    index_csv: Index,
    split: Split = "train",
    bandwidth: Annotated[float, typer.Option(help="Torsions: kernel width.")] = 0.2,
    shrinkage: Annotated[float, typer.Option(help="Torsions: weight of the broader context.")] = 4.0,
    smoothing: Annotated[float, typer.Option(help="Distances: weight of the broader context.")] = 200.0,
    min_clusters: Annotated[int, typer.Option(help="Contexts need this many clusters.")] = 3,
) -> None:
    """Print as JSON the same figures by four-fold cross-validation over clusters, the table's settings by default."""
    from rna_predict.stage_b_torsion.fit_distances import DistanceFit
    from rna_predict.stage_b_torsion.fit_torsions import TorsionFit
    from rna_predict.stage_b_torsion.natives import index_rows, read_natives
    from rna_predict.stage_b_torsion.priors_build import PriorSettings
    from rna_predict.stage_b_torsion.priors_score import cross_validate as validate

    settings = PriorSettings(
        torsions=TorsionFit(bandwidth=bandwidth, shrinkage=shrinkage, min_clusters=min_clusters),
        distances=DistanceFit(smoothing=smoothing, min_clusters=min_clusters),
    )
    typer.echo(json.dumps(validate(read_natives(chains_dir, index_rows(index_csv, split)), settings)))
