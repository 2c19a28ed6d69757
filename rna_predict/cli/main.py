"""The entry point: registers the subcommands and turns our errors into one line and exit code 2."""

import sys
from typing import Annotated

import typer

from rna_predict import __version__
from rna_predict.cli import (
    bench,
    configuration,
    dataset,
    db,
    doctor,
    draw,
    evaluate,
    families,
    geometry,
    msa,
    plan,
    predict,
    priors,
    reference,
    relax,
    report,
    stages,
    submission,
    templates,
    train,
    verify,
    weights,
)
from rna_predict.cli.batch import one_line
from rna_predict.cli.console import start_logging
from rna_predict.errors import RnaPredictError

app = typer.Typer(
    name="rna-predict",
    help="RNA sequences in, 3D structures out. Exit codes: 0 done, 1 some RNA failed, 2 the input cannot be used.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("predict")(predict.predict)
app.command("train")(train.train)
app.command("plan")(plan.plan)
app.command("doctor")(doctor.doctor)
app.command("evaluate")(evaluate.evaluate)
app.command("draw")(draw.draw)
app.command("geometry")(geometry.geometry)
app.command("submission")(submission.submission)
app.command("relax")(relax.relax)
app.command("report")(report.report)
app.command("manifest")(verify.manifest)
app.command("verify")(verify.verify)
app.add_typer(bench.app, name="bench")
app.add_typer(configuration.app, name="config")
configuration.app.command("reference")(reference.reference)
app.add_typer(priors.app, name="priors")
app.add_typer(dataset.app, name="dataset")
app.add_typer(weights.app, name="weights")
app.add_typer(families.app, name="families")
app.add_typer(templates.app, name="templates")
app.add_typer(msa.app, name="msa")
app.add_typer(db.app, name="db")
app.command("prepare")(stages.prepare)
app.command("stage-a")(stages.stage_a)
app.command("stage-templates")(templates.stage_templates)
app.command("stage-b")(stages.stage_b)
app.command("stage-c")(stages.stage_c)
app.command("stage-d")(stages.stage_d)
app.command("export")(stages.export)
app.command("collect")(stages.collect)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log details as well.")] = False,
) -> None:
    """RNA sequences in, 3D structures out. Exit codes: 0 done, 1 some RNA failed, 2 the input cannot be used."""
    if version:
        typer.echo(f"rna-predict {__version__}")
        raise typer.Exit
    start_logging(verbose)


def main() -> None:
    """Run the command line; an error of ours, or of the file system, ends in one line on stderr and exit code 2."""
    try:
        app()
    except (RnaPredictError, OSError) as error:
        typer.echo(f"rna-predict: {one_line(error)}", err=True)
        sys.exit(2)
