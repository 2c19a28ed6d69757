"""`rna-predict db`: what training runs tracked, nearest residues, and adding a workflow's results."""

import json
import math
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.batch import exit_code, run_batch
from rna_predict.cli.bench import print_result
from rna_predict.cli.console import LOG
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

if TYPE_CHECKING:
    from rna_predict.cli.stage_files import StageFiles
    from rna_predict.training.tracking import Tracker
    from rna_predict.training.tracking_read import Neighbour, TrackingReader

app = typer.Typer(help="Tracked training runs, their results, and nearest residues.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder that runs are tracked in.")]


@app.command("runs")
def runs(folder: Folder) -> None:
    """Print all runs with their state, last step and the time of their newest metric; last one JSON object.

    A run that was killed stays `running`: the time tells.
    """
    reader = _reader(folder)
    progress = reader.progress()
    rows, found = [], reader.runs()
    for run in found:
        far = progress.get(run.run)
        row: dict[str, object] = {"run": run.run, "name": run.name, "status": run.status, "started": _time(run.started)}
        row |= {"last": _time(far.time if far else run.time), "step": far.step if far else None}
        row |= {"base": _short(run.base_sha256), "version": run.package_version}
        rows.append(row)
    print_result(rows, {"runs": len(found)} | dict(sorted(Counter(run.status for run in found).items())))


@app.command("metrics")
def metrics(
    folder: Folder,
    run: Annotated[str, typer.Argument(help="Id of the run.")],
    name: Annotated[str | None, typer.Option(help="This metric alone.")] = None,
    split: Annotated[str | None, typer.Option(help="This split alone, e.g. train or validation.")] = None,
) -> None:
    """Print a run's metrics by step; the last line is one JSON object with the newest value of each.

    A value that is NaN or infinite is null there.
    """
    found = _reader(folder).metrics(run, name, split)
    rows = [
        {"metric": one.name, "split": one.split, "step": one.step, "value": f"{one.value:.6g}", "time": _time(one.time)}
        for one in found
    ]
    last = {f"{one.split}/{one.name}": _number(one.value) for one in found}
    bad = sum(not math.isfinite(one.value) for one in found)
    print_result(rows, {"run": run, "values": len(found), "not_finite": bad, "last": last})


@app.command("checkpoints")
def checkpoints(folder: Folder, run: Annotated[str | None, typer.Argument(help="Of this run alone.")] = None) -> None:
    """Print the files that runs wrote, each tag's newest; the last line is one JSON object with their sha256."""
    found = _reader(folder).checkpoints(run)
    rows = [
        {"run": one.run, "tag": one.tag, "step": one.step, "sha256": _short(one.sha256), "file": one.file}
        for one in found
    ]
    facts = [
        {"run": one.run, "tag": one.tag, "step": one.step, "sha256": one.sha256, "file": one.file} for one in found
    ]
    print_result(rows, {"checkpoints": facts})


@app.command("predictions")
def predictions(
    folder: Folder, id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Of this RNA alone.")] = None
) -> None:
    """Print the models that were added, by RNA, what made them, and rank; the last line is one JSON object."""
    found = _reader(folder).predictions(id)
    rows = [
        {
            "id": one.id,
            "rank": one.rank,
            "seed": one.seed,
            "score": one.score,
            "ptm": one.ptm,
            "plddt": one.mean_plddt,
            "weights": _short(one.weights),
            "method": one.method,
            "file": one.file,
        }
        for one in found
    ]
    print_result(rows, {"rnas": len({one.id for one in found}), "models": len(found)})


@app.command("similar")
def similar(
    folder: Folder,
    query: Annotated[str, typer.Argument(metavar="ID[:POSITION]", help="A residue, counted from 1, or a whole RNA.")],
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    weights: Annotated[str | None, typer.Option(help="sha256 of the weights; without it those used last.")] = None,
) -> None:
    """Print the residues nearest to a residue, or the RNAs nearest to an RNA by the mean of its residues' vectors.

    Distances are Euclidean, between vectors that the same weights made. The last line is one JSON object.
    """
    set_threads(1)
    id, colon, place = query.partition(":")
    if colon and not place.isdecimal():
        raise InputError(f"{query!r}: {place!r} is no position. Expected ID or ID:POSITION, counted from 1.")
    reader = _reader(folder)
    found = reader.similar_residues(id, int(place), top, weights) if colon else reader.similar_rnas(id, top, weights)
    figures: dict[str, object] = {"query": query, "found": len(found)}
    figures |= {"weights": found[0].weights, "method": found[0].method} if found else {}
    print_result([_hit(one) for one in found], figures | {"nearest": [_hit(one) for one in found]})


@app.command("add")
def add(
    folder: Folder,
    ids: Annotated[list[str], typer.Argument(help="One id or many; a failing one does not stop the others.")],
    stages: Annotated[Path, typer.Option(help="Folder with the stage files of each id.")] = Path("results/stages"),
    out: Annotated[Path | None, typer.Option(help="JSON file of what was added; none where an id failed.")] = None,
) -> None:
    """Add the results of stages B and D: a vector for each residue, and the models with their confidence.

    What was added before for the same RNA is replaced. The last line is one JSON object.
    """
    set_threads(1)
    from rna_predict.cli.stage_files import StageFiles
    from rna_predict.contracts import atomic_path
    from rna_predict.training.tracking import open_tracker

    added: dict[str, dict[str, object]] = {}
    with open_tracker(folder) as tracker:

        def work(name: str) -> None:
            added[name] = _add_one(tracker, StageFiles(stages, name))

        outcomes = run_batch(ids, work, None, "read")
    figures: dict[str, object] = {"rnas": len(added)}
    figures |= {key: sum(int(str(one[key])) for one in added.values()) for key in ("residues", "models")}
    code = exit_code(outcomes)
    if out is not None and code == 0:
        with atomic_path(out) as temporary:
            text = json.dumps({"folder": str(folder)} | figures | {"added": added}, indent=1)
            temporary.write_text(text + "\n", encoding="utf-8")
    typer.echo(json.dumps(figures | {"failed": [one.id for one in outcomes if one.status == "failed"]}))
    raise typer.Exit(code)


def _add_one(tracker: "Tracker", files: "StageFiles") -> dict[str, object]:
    """Hand over one RNA's results once all of them could be read; what they are, for the report."""
    sequence = files.sequence()
    embeddings = files.embeddings(sequence, files.adjacency(sequence))
    ensemble = files.ensemble(sequence)
    learned = not embeddings.channels  # channels have names where no network made the record
    made = embeddings.provenance
    if learned:
        tracker.add_embeddings(sequence, embeddings.single_LS, made.weights, made.method)
    else:
        LOG.info("%s: no vectors added: %s made the embeddings, which is no network", files.id, made.method)
    tracker.add_predictions(ensemble, files.path("d_models.cif"))
    width = embeddings.single_LS.shape[1] if learned else None
    return {
        "residues": sequence.length if learned else 0,
        "width": width,
        "embeddings_weights": made.weights if learned else None,
        "models": len(ensemble.models),
        "method": ensemble.provenance.method,
        "weights": ensemble.provenance.weights,
    }


def _reader(folder: Path) -> "TrackingReader":
    from rna_predict.training.tracking_read import TrackingReader

    return TrackingReader(folder)


def _hit(one: "Neighbour") -> dict[str, object]:
    """A line of `similar`; an RNA has no position."""
    residue = {"position": one.position, "letter": one.letter} if one.position else {}
    return {"id": one.id, **residue, "distance": round(one.distance, 6)}


def _time(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


def _short(sha256: str) -> str:
    return sha256[:12]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
