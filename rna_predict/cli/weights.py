"""`rna-predict weights`: look into a weights file of any kind, bring it into our format, or write starting values."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.bench import print_result
from rna_predict.cli.console import LOG
from rna_predict.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn

    from rna_predict.nn.architecture import Architecture
    from rna_predict.nn.weights import Checkpoint, LoadReport

app = typer.Typer(help="Weights of the networks: inspect, convert, or write untrained ones.", no_args_is_help=True)

WeightsFile = Annotated[Path, typer.Argument(metavar="FILE", help="Weights: safetensors or a torch checkpoint.")]
Out = Annotated[Path, typer.Option(help="The file to write, .safetensors.")]

PARTS = ("input_embedder", "template_embedder", "msa_module", "pairformer_stack", "diffusion_module", "confidence_head")
"""Parts that are listed by themselves; the trunk's remaining layers are `trunk`, our additions `rna_predict`."""


@app.callback()
def weights() -> None:
    """Weights of the networks: inspect, convert, or write untrained ones."""


@app.command("inspect")
def inspect(file: WeightsFile) -> None:
    """Print what a file holds and whether it fits; the last line is one JSON object.

    Exit code 1 when it can be read but does not fit the networks.
    """
    from rna_predict.nn.weights import header_of, read_checkpoint

    checkpoint = read_checkpoint(file)
    header = header_of(checkpoint)
    report = compare_with_layout(checkpoint, header.architecture)
    figures: dict[str, object] = {
        "file": str(file),
        "form": checkpoint.form,
        "profile": header.architecture.name,
        "trained": header.trained,
        "source": header.source,
        "licence": header.licence,
        "sha256": header.sha256,
        "tensors": header.tensors,
        "parameters": header.parameters,
        **report.counts(),
        "fits": report.fits,
    }
    typer.echo("\n".join(f"{name:<12}{value}" for name, value in figures.items()))
    for note in (*checkpoint.notes, *([] if report.fits else [report.problems()])):
        typer.echo(f"{'note':<12}{note}")
    typer.echo()
    print_result(_part_rows(checkpoint), figures | {"architecture": header.architecture.to_dict()})
    if not report.fits:
        raise typer.Exit(1)


@app.command("convert")
def convert(
    file: WeightsFile,
    out: Out,
    source: Annotated[str, typer.Option(help="Where the weights come from; without it the file's name.")] = "",
    licence: Annotated[str, typer.Option(help="Their licence, as the source states it.")] = "",
) -> None:
    """Write a checkpoint in our format, verified by reading it back; one that does not fit is refused."""
    from rna_predict.nn.weights import header_of, read_checkpoint, save_weights
    from rna_predict.nn.weights_file import verify

    checkpoint = read_checkpoint(file)
    header = header_of(checkpoint)
    report = compare_with_layout(checkpoint, header.architecture)
    if not report.fits:
        raise WeightsError(f"{file}: does not fit the networks: {report.problems()}. Nothing was written.")
    for note in checkpoint.notes:
        LOG.info("%s: %s", file, note)
    if report.foreign:
        LOG.warning("%s: %d tensors of no part left out: %s", file, len(report.foreign), ", ".join(report.foreign[:5]))
    if report.added:
        LOG.info("%s: lacks this package's own %d tensors; they start anew at each opening", file, len(report.added))
    header = dataclasses.replace(header, source=source or header.source, licence=licence or header.licence)
    written = save_weights(out, {key: checkpoint.tensors[key] for key in report.loaded}, header)
    verify(out, written)
    LOG.info("%s: %s, %d tensors, sha256 %s", out, written.architecture.name, written.tensors, written.sha256)


@app.command("untrained")
def untrained(
    profile: Annotated[str, typer.Argument(help="nano, small, …, or a file's stem with --profile-dir.")],
    out: Out,
    seed: Annotated[int, typer.Option(help="Seed of the starting values.")] = 0,
    profile_dir: Annotated[Path | None, typer.Option(help="Folder with profiles in files.")] = None,
) -> None:
    """Write starting values: to train from, or to try the path and its cost; every output made with them says so."""
    from rna_predict.nn.initialise import initialise
    from rna_predict.nn.profiles import find_profile
    from rna_predict.nn.weights import WeightsHeader, save_weights

    architecture = find_profile(profile, profile_dir)
    tensors = {}
    for network in networks_on_meta(architecture):
        initialise(network, seed)
        tensors |= network.state_dict()
    source = f"starting values of profile {architecture.name}, seed {seed}"
    written = save_weights(out, tensors, WeightsHeader(architecture=architecture, trained=False, source=source))
    LOG.info("%s: UNTRAINED %s, %d parameters", out, architecture.name, written.parameters)


def networks_on_meta(architecture: "Architecture") -> "list[nn.Module]":
    """The networks of stages B and D without memory; their keys together are the layout."""
    from rna_predict.nn.weights import build_on_meta
    from rna_predict.stage_b_torsion.trunk import Trunk
    from rna_predict.stage_d_diffusion.network import DiffusionModel

    return [build_on_meta(build, architecture) for build in (Trunk, DiffusionModel)]


def compare_with_layout(checkpoint: "Checkpoint", architecture: "Architecture") -> "LoadReport":
    """What would become of each tensor if both stages opened the file."""
    from rna_predict.nn.weights import compare

    networks = networks_on_meta(architecture)
    layout = {key: tuple(tensor.shape) for network in networks for key, tensor in network.state_dict().items()}
    return compare(layout, checkpoint.shapes())


def _part_rows(checkpoint: "Checkpoint") -> list[dict[str, object]]:
    """Tensors and parameters of each part, for the table."""
    from rna_predict.nn.weights import LAYOUT, OURS

    totals: dict[str, list[int]] = {name: [0, 0] for name in (*PARTS, "trunk", "rna_predict", "unknown")}
    for key, tensor in checkpoint.tensors.items():
        root = key.split(".", 1)[0]
        rest = "rna_predict" if root in OURS else "trunk" if root in LAYOUT else "unknown"
        total = totals[root if root in PARTS else rest]
        total[0] += 1
        total[1] += tensor.numel()
    return [{"part": name, "tensors": n, "parameters": size} for name, (n, size) in totals.items() if n]
