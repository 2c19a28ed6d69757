"""`rna-predict dataset models`: predict RNAs of known structure as unknown ones, and say how right each model is."""

import json
import logging
import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rna_predict.cli.batch import FAILURES, one_line
from rna_predict.cli.console import LOG, steps
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

if TYPE_CHECKING:
    from rna_predict.data.chains import Chain
    from rna_predict.data.dataset import ChainDataset
    from rna_predict.data.judged_models import JudgedChain
    from rna_predict.pipeline import PipelineConfig, Prediction

FEWEST_PAIRS = 3
"""Pairs within itself that a chain needs: strands of duplexes say nothing about folding."""

RELATIVES = ".relatives"
"""Ends the names of models for which chains of the same cluster, of other entries, were templates."""

NEAREST = 0.8
"""Identity with the chain above which the library's chains are no templates, whatever their clusters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One chain to predict.

    Attributes:
        dataset: folder that has it.
        out: folder that its models go to.
        id: of the chain.
        name: of the models' folder: the id, or with `RELATIVES` where chains of its cluster are templates.
        split: `train` or `validation`.
        cluster: its own.
        config: settings, with weights that have not seen it.
        decoys: copies of its best model with a fault each.
    """

    dataset: Path
    out: Path
    id: str
    name: str
    split: str
    cluster: str
    config: "PipelineConfig"
    decoys: int


def models(
    dataset: Annotated[Path, typer.Argument(help="Folder that `dataset build` made.")],
    out: Annotated[Path, typer.Option(help="Folder to write, a folder a chain; what is there already is kept.")],
    weights: Annotated[
        list[str],
        typer.Option(help="Geometry networks, in this order trained with data.fold=0, 1, …: each predicts its fold."),
    ],
    validation_weights: Annotated[
        str, typer.Option(help="Geometry network for chains that validate; without it the package's own.")
    ] = "",
    config: Annotated[list[str] | None, typer.Option(help="Setting of the pipeline, as in `predict --set`.")] = None,
    relatives: Annotated[
        bool,
        typer.Option(help="Predict training chains again where other entries in the library are of their cluster."),
    ] = True,
    decoys: Annotated[
        int, typer.Option(min=0, help="Copies of each best model that are made worse: turned, moved, scattered.")
    ] = 3,
    per_cluster: Annotated[int, typer.Option(min=1, help="Most chains of a cluster that trains.")] = 2,
    min_length: Annotated[int, typer.Option(min=1, help="Shortest chain, residues.")] = 20,
    max_length: Annotated[int, typer.Option(min=1, help="Longest chain, residues.")] = 150,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the chains.")] = 1,
) -> None:
    """Models of a dataset's chains for the quality network, predicted by geometry networks that have not seen them.

    Chains of the same cluster are no templates, as of an unknown RNA; with --relatives a chain that has such in the
    library is predicted again with them, as a known RNA is. All-atom chains with base pairs of their own are taken.
    Those that fail are named and left out; the last line is one JSON object.
    """
    set_threads(1)
    from rna_predict.data.dataset import open_dataset
    from rna_predict.data.judged_models import write_list

    opened = open_dataset(dataset)
    base = _settings(config or [])
    chosen = _chosen(opened, len(weights), (min_length, max_length), per_cluster)
    sources = [*weights, validation_weights]
    work = [
        Work(
            dataset=dataset,
            out=out,
            id=id,
            name=id,
            split="train" if fold < len(weights) else "validation",
            cluster=cluster,
            config=_honest(base, id, cluster, sources[fold]),
            decoys=decoys,
        )
        for id, cluster, fold in chosen
    ]
    if relatives:
        own = own_entries(opened, [one for one in work if one.split == "train"], base.templates.library)
        work += [with_relatives(one, base, own[one.id]) for one in work if one.id in own]
    if not work:
        raise InputError(f"{dataset}: no all-atom chain of {min_length} to {max_length} nt pairs with itself.")
    rows: list[JudgedChain] = []
    failures = []
    with steps(len(work)) as progress:
        for one, found in _done(work, processes):
            progress.now(one.id)
            progress.done()
            if isinstance(found, str):
                LOG.error("%s: failed: %s", one.id, found)
                failures.append({"id": one.id, "reason": found})
            else:
                rows.append(found)
    write_list(out, sorted(rows, key=lambda row: row.id))
    counts = Counter(row.split for row in rows)
    figures = {"chains": dict(counts), "models": sum(row.models for row in rows), "failed": failures}
    typer.echo(json.dumps(figures))
    if not rows:
        raise typer.Exit(1)


def _settings(settings: Sequence[str]) -> "PipelineConfig":
    from rna_predict.cli.predict import pipeline_config

    return pipeline_config(None, list(settings))


def _honest(config: "PipelineConfig", id: str, cluster: str, weights: str) -> "PipelineConfig":
    """The settings with the network that has not seen the chain, without templates of its cluster, not judged yet."""
    templates = config.templates
    left_out = [*templates.exclude, id, f"cluster:{cluster}"]
    identity = min(templates.max_identity, NEAREST)
    return replace(
        config,
        templates=replace(templates, exclude=left_out, max_identity=identity),
        stage_b=replace(config.stage_b, weights=weights or config.stage_b.weights),
        stage_d=replace(config.stage_d, confidence="heuristic"),
    )


def own_entries(dataset: "ChainDataset", work: Sequence[Work], library: str) -> dict[str, list[str]]:
    """Of each chain that has chains of its cluster and of other entries in the library: those of its own entry."""
    from rna_predict.templates.library import open_library

    rows = open_library(library).rows
    found = {}
    for one in work:
        entry = dataset.get(one.id).origin.entry
        own = [row.id for row in rows if row.source == entry or row.id == one.id]
        if any(row.cluster == one.cluster and row.id not in own for row in rows):
            found[one.id] = own
    return found


def with_relatives(work: Work, base: "PipelineConfig", own: list[str]) -> Work:
    """The same chain, for which all but its own entry may be templates."""
    templates = replace(base.templates, exclude=[*base.templates.exclude, work.id, *own])
    return replace(work, name=f"{work.id}{RELATIVES}", config=replace(work.config, templates=templates))


def _chosen(
    dataset: "ChainDataset", folds: int, lengths: tuple[int, int], per_cluster: int
) -> list[tuple[str, str, int]]:
    """Id, cluster and fold of each chain to predict, longest first; `folds` stands for those that validate."""
    from rna_predict.contracts import digest_of
    from rna_predict.data.splits import folds_of

    training = dataset.positions("train").tolist()
    fold_of = folds_of([dataset.clusters[position] for position in training], folds)
    most = dict.fromkeys(training, per_cluster) | dict.fromkeys(dataset.positions("validation").tolist(), 1)
    taken: Counter[str] = Counter()
    found = []
    for position in sorted(most, key=lambda position: digest_of(dataset.ids[position])):
        cluster, length = dataset.clusters[position], int(dataset.length_N[position])
        if not lengths[0] <= length <= lengths[1] or taken[cluster] == most[position]:
            continue
        if _folds(dataset[position]):
            taken[cluster] += 1
            found.append((length, dataset.ids[position], cluster, fold_of.get(cluster, folds)))
    return [(id, cluster, fold) for _, id, cluster, fold in sorted(found, reverse=True)]


def _folds(chain: "Chain") -> bool:
    """Whether it shows its bases and at least `FEWEST_PAIRS` pairs within itself."""
    return int((chain.partner_L >= 0).sum()) >= 2 * FEWEST_PAIRS


def _done(work: Sequence[Work], processes: int) -> "Iterator[tuple[Work, JudgedChain | str]]":
    """What became of each chain, as it is done: its row, or why it failed."""
    if processes == 1:
        for one in work:
            yield one, _judge(one)
        return
    from rna_predict.data.fill_store import begin_process

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, begin_process) as pool:
        futures = {pool.submit(_judge, one): one for one in work}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "a process that predicted was killed, perhaps for lack of memory. What is done is kept: start again, "
                "with fewer --processes."
            ) from error


def _judge(work: Work) -> "JudgedChain | str":
    from rna_predict.contracts import RnaSequence
    from rna_predict.data.dataset import open_dataset
    from rna_predict.data.judged_models import JudgedChain, models_of, predicted, write_truth
    from rna_predict.pipeline import predict

    set_threads(1)
    logging.getLogger("rna_predict").setLevel(logging.WARNING)
    folder = work.out / work.name
    chain = open_dataset(work.dataset).get(work.id)
    try:
        if not predicted(folder):
            _write(folder, predict(RnaSequence(id=work.id, sequence=chain.sequence), work.config))
        ensemble = models_of(folder)
        write_truth(folder, chain, ensemble, work.decoys)
    except FAILURES as error:
        return one_line(error)
    return JudgedChain(
        id=work.name,
        cluster=work.cluster,
        split=work.split,
        length=chain.length,
        models=len(ensemble.models),
        decoys=work.decoys,
    )


def _write(folder: Path, prediction: "Prediction") -> None:
    from rna_predict.formats.models import write_ensemble

    folder.mkdir(parents=True, exist_ok=True)
    records: dict[str, Any] = {
        "a_adjacency": prediction.adjacency,
        "b_embeddings": prediction.embeddings,
        "c_coordinates": prediction.coordinates,
    }
    for name, record in records.items():
        record.save(folder / f"{name}.safetensors")
    write_ensemble(prediction.ensemble, folder / "d_models.cif", folder / "d_confidence.json")
