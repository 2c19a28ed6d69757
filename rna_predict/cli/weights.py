"""`rna-predict weights`: look into a weights file of any kind, bring it into our format, merge, or write a start."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.bench import print_result
from rna_predict.cli.console import LOG
from rna_predict.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rna_predict.nn.architecture import Architecture
    from rna_predict.nn.partial import PartialCheckpoint
    from rna_predict.nn.weights import Checkpoint, LoadReport, Network

app = typer.Typer(
    help="Weights of the networks: inspect, convert, merge, or write untrained ones.", no_args_is_help=True
)

WeightsFile = Annotated[Path, typer.Argument(metavar="FILE", help="Weights: safetensors or a torch checkpoint.")]
Out = Annotated[Path, typer.Option(help="The file to write, .safetensors.")]

PARTS = (
    *("input_embedder", "template_embedder", "msa_module", "pairformer_stack", "diffusion_module", "confidence_head"),
    *("folding", "geometry", "quality"),
)
"""Parts that are listed by themselves; the trunk's remaining layers are `trunk`, our additions `rna_predict`."""


@app.callback()
def weights() -> None:
    """Weights of the networks: inspect, convert, merge, or write untrained ones."""


@app.command("inspect")
def inspect(file: WeightsFile) -> None:
    """Print what a weights file or partial checkpoint holds and whether it fits; the last line is one JSON object.

    Exit code 1 when it can be read but does not fit the networks.
    """
    from rna_predict.nn.partial import is_partial, read_partial
    from rna_predict.nn.weights import read_checkpoint

    fits = _print_partial(read_partial(file)) if is_partial(file) else _print_weights(read_checkpoint(file))
    if not fits:
        raise typer.Exit(1)


def _print_weights(checkpoint: "Checkpoint") -> bool:
    """Print what a weights file holds; whether it fits."""
    from rna_predict.nn.weights import header_of

    header = header_of(checkpoint)
    report = compare_with_layout(checkpoint, header.architecture)
    figures: dict[str, object] = {
        "file": str(checkpoint.path),
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
    _print_figures(figures, (*checkpoint.notes, *([] if report.fits else [report.problems()])))
    print_result(_part_rows(checkpoint.tensors), figures | {"architecture": header.architecture.to_dict()})
    return report.fits


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


@app.command("merge")
def merge(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="[BASE] PARTIAL", help="Weights file, and a partial checkpoint that was trained on it."),
    ],
    out: Out,
    untrained_profile: Annotated[
        str, typer.Option("--untrained", metavar="PROFILE", help="Instead of BASE: a profile's starting values.")
    ] = "",
    source: Annotated[str, typer.Option(help="Where the weights come from; without it both files' words.")] = "",
    licence: Annotated[str, typer.Option(help="Their licence; without it the base's.")] = "",
) -> None:
    """Write one weights file of both, verified by reading it back: opened, it is what base and partial are together."""
    from rna_predict.nn.partial import read_partial
    from rna_predict.nn.weights import open_network, save_weights
    from rna_predict.nn.weights_file import verify

    if len(files) != (1 if untrained_profile else 2):
        given = ", ".join(map(str, files)) + (f" and --untrained {untrained_profile}" if untrained_profile else "")
        raise ConfigError(f"weights merge: expected BASE PARTIAL, or PARTIAL --untrained PROFILE, found {given}.")
    base = "" if untrained_profile else str(files[0])
    partial = read_partial(files[-1])
    classes = network_classes(partial.tensors)
    networks = [open_network(build, weights=base, untrained_profile=untrained_profile) for build in classes]
    header = networks[0].header
    networks = [_merged(network, partial) for network in networks]
    header = dataclasses.replace(
        header,
        trained=all(network.header.trained for network in networks),
        source=source or f"{header.source} + {partial.label}",
        licence=licence or header.licence,
    )
    written = save_weights(out, _merged_tensors(networks, partial, whole=not base), header)
    verify(out, written)
    _require_same_networks(out, networks)
    trained = "" if written.trained else "UNTRAINED "
    LOG.info("%s: %s%s, %d tensors, sha256 %s", out, trained, written.source, written.tensors, written.sha256)


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


def network_classes(keys: Iterable[str] = ()) -> "tuple[type[nn.Module], ...]":
    """The networks of stages B and D, which share a file; for tensors of a small network alone, that one."""
    roots = {key.split(".", 1)[0] for key in keys}
    if roots == {"geometry"}:
        from rna_predict.stage_b_torsion.geometry_network import GeometryModel

        return (GeometryModel,)
    if roots == {"quality"}:
        from rna_predict.stage_d_diffusion.quality_network import QualityModel

        return (QualityModel,)
    if roots == {"folding"}:
        from rna_predict.stage_a_adjacency.network import FoldingModel

        return (FoldingModel,)
    from rna_predict.stage_b_torsion.trunk import Trunk
    from rna_predict.stage_d_diffusion.network import DiffusionModel

    return Trunk, DiffusionModel


def networks_on_meta(architecture: "Architecture", keys: Iterable[str] = ()) -> "list[nn.Module]":
    """The networks that tensors of these keys are of, without memory."""
    from rna_predict.nn.weights import build_on_meta

    return [build_on_meta(build, architecture) for build in network_classes(keys)]


def compare_with_layout(checkpoint: "Checkpoint", architecture: "Architecture") -> "LoadReport":
    """What would become of each tensor if both stages opened the file."""
    from rna_predict.nn.weights import compare

    networks = networks_on_meta(architecture, checkpoint.tensors)
    layout = {key: tuple(tensor.shape) for network in networks for key, tensor in network.state_dict().items()}
    return compare(layout, checkpoint.shapes())


def _merged(network: "Network", partial: "PartialCheckpoint") -> "Network":
    """A network with the partial checkpoint merged into it, or as it is where that is of the other stage alone.

    Raises:
        WeightsError: it belongs to other weights or does not fit.
    """
    from rna_predict.nn.partial import merge_partial, require_base, stages_of

    require_base(partial, network.header.sha256)
    (stage,) = stages_of(network.module.state_dict())
    return network if partial.stages and stage not in partial.stages else merge_partial(network, partial)


def _merged_tensors(networks: "Sequence[Network]", partial: "PartialCheckpoint", whole: bool) -> "dict[str, Tensor]":
    """Tensors for the file; without `whole` not those of our parts that neither base nor partial checkpoint holds.

    These get starting values whenever base or merged file is opened, and only so is it known that they have them.

    Raises:
        WeightsError: the partial checkpoint holds a piece of a torsion head that the base lacks.
    """
    tensors: dict[str, Tensor] = {}
    for network in networks:
        started = set() if whole else {_root(key) for key in network.report.added}
        pieces = started & {_root(key) for key in network.report.loaded}
        if "torsion_head" in pieces:
            raise WeightsError(
                f"{partial.path}: holds a piece of the torsion head, and the base lacks the rest; a merged file could "
                "not say what was never trained. Predict with both files (--weights, --partial)."
            )
        state = network.module.state_dict()
        tensors |= {key: tensor for key, tensor in state.items() if _root(key) not in started - pieces}
    return tensors


def _require_same_networks(path: Path, networks: "Sequence[Network]") -> None:
    """Refuse a file from which a network comes back otherwise than it was merged."""
    import torch

    from rna_predict.nn.weights import open_network

    for network in networks:
        again = open_network(type(network.module), weights=str(path)).module.state_dict()
        for key, tensor in network.module.state_dict().items():
            if not torch.equal(again[key], tensor):
                raise WeightsError(f"{path}: {key} reads back otherwise than it was merged. Delete the file.")


def _print_partial(partial: "PartialCheckpoint") -> bool:
    """Print what a partial checkpoint holds, and on which weights; whether it fits networks of their sizes."""
    header, adapter = partial.header, partial.header.adapter
    problems = _problems(partial)
    figures: dict[str, object] = {
        "file": str(partial.path),
        "form": "partial checkpoint",
        "profile": "torsionbert" if header.architecture is None else header.architecture.name,
        "base_sha256": header.base_sha256,
        "base_source": header.base_source,
        "stages": list(partial.stages),
        "step": header.step,
        "groups": list(adapter.groups),
        "rank": adapter.rank,
        "alpha": adapter.alpha,
        "full_modules": list(adapter.full_modules),
        "sha256": header.sha256,
        "tensors": header.tensors,
        "parameters": header.parameters,
        "bytes": sum(tensor.nbytes for tensor in partial.tensors.values()),
        "fits": not problems,
    }
    _print_figures(figures, problems)
    rest = "torsionbert" if header.architecture is None else "unknown"
    rows = [row | {"bytes": 4 * row["parameters"]} for row in _part_rows(partial.tensors, rest)]  # float32
    print_result(rows, figures)
    return not problems


def _problems(partial: "PartialCheckpoint") -> list[str]:
    """Why networks that it is meant for would refuse it; TorsionBERT, whose sizes are unknown, is not asked."""
    from rna_predict.nn.partial import report_on, stages_of

    if partial.header.architecture is None:
        return []
    found = [] if partial.stages else ["holds no tensor of the networks"]
    for network in networks_on_meta(partial.header.architecture, partial.tensors):
        if not set(partial.stages) & set(stages_of(network.state_dict())):
            continue
        try:
            report = report_on(network, partial)
        except ConfigError as error:
            found.append(str(error))
        else:
            found += [] if report.fits else [report.problems()]
    return found


def _print_figures(figures: Mapping[str, object], notes: Sequence[str]) -> None:
    """Figures and notes, a line each, and an empty line."""
    width = max(12, 2 + max(map(len, figures)))
    for name, value in (*figures.items(), *(("note", note) for note in notes)):
        typer.echo(f"{name:<{width}}{', '.join(value) if isinstance(value, list) else value}")
    typer.echo()


def _part_rows(tensors: "Mapping[str, Tensor]", rest: str = "unknown") -> list[dict[str, int | str]]:
    """Tensors and parameters of each part, for the table; what is of no part of the layout is `rest`."""
    from rna_predict.nn.weights import LAYOUT, OURS

    totals: dict[str, list[int]] = {name: [0, 0] for name in (*PARTS, "trunk", "rna_predict", rest)}
    for key, tensor in tensors.items():
        root = _root(key)
        other = "rna_predict" if root in OURS else "trunk" if root in LAYOUT else rest
        total = totals[root if root in PARTS else other]
        total[0] += 1
        total[1] += tensor.numel()
    return [{"part": name, "tensors": n, "parameters": size} for name, (n, size) in totals.items() if n]


def _root(key: str) -> str:
    return key.split(".", 1)[0]
