"""`rna-predict dataset`: native structures to a dataset for training, its splits, stages' results for it, a report."""

import json
import logging
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.bench import print_result
from rna_predict.cli.console import LOG, start_logging, steps
from rna_predict.cli.dataset_models import models
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

if TYPE_CHECKING:
    from rna_predict.data.dataset import ChainDataset

app = typer.Typer(
    help="Datasets of native structures for training: build, traces, split, report, stages, models, download."
)

Dataset = Annotated[Path, typer.Argument(help="Folder that `dataset build` made.")]
ValidationIds = Annotated[Path | None, typer.Option(help="CSV or TSV with a column id: their clusters validate.")]
TestIds = Annotated[Path | None, typer.Option(help="CSV or TSV with a column id: their clusters test.")]
ValidationShare = Annotated[float, typer.Option(help="Share of the other clusters that validate.")]
TestShare = Annotated[float, typer.Option(help="Share of the other clusters that test.")]
Seed = Annotated[int, typer.Option(help="Decides which clusters the shares draw.")]
ValidationFrom = Annotated[str, typer.Option(help="YYYY-MM-DD: chains deposited from this day on do not train.")]
TestFrom = Annotated[str, typer.Option(help="YYYY-MM-DD: chains deposited from this day on test.")]


STATED = ("chains", "residues", "clusters", "files", "refused", "digest")
"""Fields of the manifest that each command prints."""


@app.command("build")
def build(
    source: Annotated[Path, typer.Argument(help="Folder of PDB or mmCIF files (.gz too), or a list of such files.")],
    out: Annotated[Path, typer.Option(help="Folder to write; an older dataset there is replaced.")],
    index: Annotated[Path | None, typer.Option(help="CSV with the column id and what files do not say.")] = None,
    cluster_column: Annotated[str, typer.Option(help="Column of the index with sequence clusters.")] = "",
    split_column: Annotated[str, typer.Option(help="Column of the index with train, validation, test.")] = "",
    identity: Annotated[float, typer.Option(help="Sequences that share this much of the shorter one cluster.")] = 0.8,
    min_length: Annotated[int, typer.Option(help="Fewest residues of a chain.")] = 8,
    max_length: Annotated[int, typer.Option(help="Most residues of a chain; 0 is no limit.")] = 0,
    min_atoms: Annotated[float, typer.Option(help="Least share of heavy atoms that must be there.")] = 0.5,
    validation_ids: ValidationIds = None,
    test_ids: TestIds = None,
    validation_share: ValidationShare = 0.0,
    test_share: TestShare = 0.0,
    seed: Seed = 0,
    validation_from: ValidationFrom = "",
    test_from: TestFrom = "",
    processes: Annotated[int, typer.Option(min=1, help="Processes that read structures.")] = 1,
) -> None:
    """Read every RNA chain, cluster by sequence, split by cluster or date; refusals go to refused.tsv in the dataset.

    The last line is one JSON object of what the dataset holds.
    """
    set_threads(1)
    from rna_predict.data.build import BuildSettings, build_dataset
    from rna_predict.data.entries import Limits
    from rna_predict.data.sources import find_sources, read_index
    from rna_predict.data.splits import SplitSettings

    split = SplitSettings(
        validation_ids=_ids(validation_ids),
        test_ids=_ids(test_ids),
        validation_share=validation_share,
        test_share=test_share,
        seed=seed,
        validation_from=validation_from,
        test_from=test_from,
    )
    limits = Limits(min_length=min_length, max_length=max_length, min_atoms=min_atoms)
    settings = BuildSettings(limits=limits, split=split, identity=identity, processes=processes)
    if (cluster_column or split_column) and index is None:
        raise InputError("--cluster-column, --split-column: name the index that has the column, --index FILE.")
    known = read_index(index, cluster_column, split_column) if index else None
    sources = find_sources(source)
    with steps(len(sources.files)) as progress:

        def advance(name: str) -> None:
            progress.now(name)
            progress.done()

        report = build_dataset(sources, out, settings, known, advance)
    for kind, count in report.manifest.refused.items():
        LOG.warning("refused, %s: %d", kind, count)
    LOG.info("%s: %d chains in %d clusters", out, report.manifest.chains, report.manifest.clusters)
    typer.echo(json.dumps(_figures(out)))


@app.command("pairs")
def pairs(
    source: Annotated[Path, typer.Argument(help="CSV (.gz too): id, sequence, dot_bracket, dataset, split.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    held_out: Annotated[
        Path | None, typer.Option(help="CSV with id, sequence, split: families of those that do not train test.")
    ] = None,
    test_share: Annotated[float, typer.Option(help="Share of the other families that test.")] = 0.12,
    validation_share: Annotated[float, typer.Option(help="Share of the families that validate.")] = 0.04,
    within_share: Annotated[
        float, typer.Option(help="Share of a training family's clusters that do not train.")
    ] = 0.06,
    seed: Seed = 0,
    library: Annotated[str, typer.Option(help="Family library; without it the one that the package carries.")] = "",
) -> None:
    """Known secondary structures for stage A's network and benchmark, split by family; some minutes for 60,000 rows.

    Families are those of Rfam by profile search, joined by clans, labels and shared hits; 80 % identity where there is
    no hit. The last line is one JSON object.
    """
    set_threads(1)
    from rna_predict.data.pair_build import PairBuildSettings, build_pair_table
    from rna_predict.data.pair_groups import GroupSettings
    from rna_predict.families.library import load_library

    groups = GroupSettings(
        test_share=test_share, validation_share=validation_share, within_share=within_share, seed=seed
    )
    settings = PairBuildSettings(groups=groups)
    manifest = build_pair_table(source, held_out, out, load_library(library), settings)
    typer.echo(
        json.dumps({"rows": manifest.rows, "families": manifest.families, "digest": manifest.digest, **manifest.splits})
    )


@app.command("traces")
def traces(
    coords: Annotated[Path, typer.Argument(help="CSV (.gz too): id, resid, resname, x, y, z; or train_labels.csv.")],
    out: Annotated[Path, typer.Option(help="Folder to write; an older one of traces there is replaced.")],
    held_out: Annotated[
        Path | None, typer.Option(help="CSV with id, sequence, split: what is near those that do not train stays out.")
    ] = None,
    share: Annotated[float, typer.Option(help="Share of the smaller set of 8-letter words that makes near.")] = 0.5,
    clusters_of: Annotated[
        Path | None, typer.Option(help="Index of all-atom chains: id, sequence, cluster80, split; joined to index.csv.")
    ] = None,
    about: Annotated[
        Path | None, typer.Option(help="CSV with id, date and pdb_id of traces; or Kaggle's train_sequences.csv.")
    ] = None,
    min_length: Annotated[int, typer.Option(help="Fewest residues with an atom.")] = 20,
    prefix: Annotated[str, typer.Option(help="Put before the ids of traces.")] = "",
) -> None:
    """C1' traces as PDB files with an index, for `dataset build --min-atoms 0.02`; left_out.tsv has the others.

    Build with `--index OUT/index.csv --cluster-column cluster --split-column split`. The last line is one JSON object.
    """
    set_threads(1)
    from rna_predict.data import traces as made

    settings = made.TraceSettings(share=share, min_length=min_length, prefix=prefix)
    entries, dates = made.read_entries_and_dates(about) if about else ({}, {})
    around = made.Surroundings(
        held_out=made.read_held_out(held_out) if held_out else {},
        chains=made.read_known_chains(clusters_of) if clusters_of else (),
        entry_of=entries,
        date_of=dates,
    )
    report = made.write_traces(made.read_traces(coords), around, out, settings)
    for one in report.left_out:
        LOG.info("%s is left out: %s", one.id, one.reason)
    figures: dict[str, object] = {"traces": len(report.cluster_of), "residues": report.residues}
    figures |= {"clusters": len(set(report.cluster_of.values())), "own_clusters": report.own_clusters}
    typer.echo(json.dumps(figures | {"left_out": Counter(one.kind for one in report.left_out)}))


@app.command("split")
def split(
    dataset: Dataset,
    validation_ids: ValidationIds = None,
    test_ids: TestIds = None,
    validation_share: ValidationShare = 0.0,
    test_share: TestShare = 0.0,
    seed: Seed = 0,
    validation_from: ValidationFrom = "",
    test_from: TestFrom = "",
) -> None:
    """Split the chains anew; only splits.tsv in the dataset changes."""
    from rna_predict.data.dataset import open_dataset
    from rna_predict.data.splits import SplitSettings, split_members, write_splits

    settings = SplitSettings(
        validation_ids=_ids(validation_ids),
        test_ids=_ids(test_ids),
        validation_share=validation_share,
        test_share=test_share,
        seed=seed,
        validation_from=validation_from,
        test_from=test_from,
    )
    members = open_dataset(dataset).members()
    write_splits(dataset, members, split_members(members, settings))
    typer.echo(json.dumps(_figures(dataset)))


@app.command("report")
def report(
    dataset: Dataset,
    targets: Annotated[
        Path | None, typer.Option(help="CSV or TSV with a column id, and sequence for ids that the dataset lacks.")
    ] = None,
    threshold: Annotated[float, typer.Option(help="Count targets with a training chain above this identity.")] = 0.65,
    verify: Annotated[bool, typer.Option("--verify", help="Read every chain and compare with the manifest.")] = False,
) -> None:
    """Print the nearest training chain of each target, by default of all chains that validate or test.

    `identity` is the share of the target that matches, `chance` the most that its letters in drawn orders match. The
    last line is one JSON object.
    """
    set_threads(1)
    from rna_predict.data.dataset import open_dataset
    from rna_predict.data.nearest import nearest_chains

    opened = open_dataset(dataset)
    if verify:
        opened.verify()
        LOG.info("%s: all %d chains are as they were built", dataset, len(opened))
    wanted = _target_sequences(opened, targets)
    training = {opened.ids[k]: opened.sequences[k] for k in opened.positions("train")}
    with steps(len(wanted)) as progress:
        found = nearest_chains(wanted, training, advance=lambda name: progress.done()) if wanted else []
    rows = [
        {"target": n.id, "nt": n.length, "nearest": n.nearest, "identity": n.identity, "chance": n.chance}
        for n in found
    ]
    near: dict[str, object] = {"targets": len(found), "threshold": threshold}
    near["above"] = sum(one.above(threshold) for one in found)
    near["above_and_more_than_chance"] = [one.id for one in found if one.related(threshold)]
    print_result(rows, _figures(dataset) | near)


@app.command("stages")
def stages(
    dataset: Dataset,
    store: Annotated[Path | None, typer.Option(help="Folder of the results; by default DATASET.stages.")] = None,
    pairs: Annotated[
        list[str] | None, typer.Option(metavar="native|predicted", help="Whose base pairs; by default both.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Splits whose chains are taken; by default train and validation.")
    ] = None,
    max_length: Annotated[int, typer.Option(help="Longest chain, residues; 0 is no limit.")] = 0,
    coordinates: Annotated[bool, typer.Option(help="Whether stage C runs; it takes nearly all the time.")] = True,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the chains.")] = 1,
) -> None:
    """Run stages A, B and C on native chains ahead of training, which otherwise does so as it meets them.

    What is there already is kept, so that a stopped run goes on. Chains that stage C cannot build train without its
    coordinates and are listed at the end, as are chains that failed altogether, which make the exit code 1. The last
    line is one JSON object.
    """
    set_threads(1)
    from rna_predict.data.dataset import open_dataset
    from rna_predict.data.fill_store import FAILED, Filled, Filling, fill_store
    from rna_predict.data.stage_results import PAIR_SOURCES, StageResultsStore, default_store

    opened = open_dataset(dataset)
    ids = _chosen(opened, split or ["train", "validation"], max_length)
    kept = StageResultsStore(store or default_store(dataset))
    begin = partial(start_logging, LOG.isEnabledFor(logging.DEBUG))
    sources = tuple(dict.fromkeys(pairs or PAIR_SOURCES))
    with steps(len(ids) * len(sources)) as progress:

        def advance(one: Filled) -> None:
            progress.now(one.id)
            progress.done()

        filling = Filling(pairs=sources, coordinates=coordinates, processes=processes, begin=begin)
        filled = fill_store(opened, ids, kept, filling, advance)
    counts = Counter(one.status for one in filled)
    figures: dict[str, object] = {"store": str(kept.folder), "chains": len(ids), "pairs": list(sources)}
    figures |= {name: counts[name] for name in ("found", "made")}
    for name, bad in (("without_coordinates", False), (FAILED, True)):
        rows = [one for one in filled if one.failure and (one.status == FAILED) == bad]
        for one in rows:
            LOG.error("%s, %s pairs: %s: %s", one.id, one.pairs, name.replace("_", " "), one.failure)
        figures[name] = [{"id": one.id, "pairs": one.pairs, "reason": one.failure} for one in rows]
    typer.echo(json.dumps(figures))
    if counts[FAILED]:
        raise typer.Exit(1)


app.command("models")(models)


@app.command("download")
def download(
    ids: Annotated[Path, typer.Argument(help="Text file with a PDB id a line.")],
    folder: Annotated[Path, typer.Option(help="Where the files go; those that are there already are kept.")],
    base_url: Annotated[str, typer.Option(help="Address that an id and the ending are added to.")],
    out: Annotated[Path, typer.Option(help="List of the files to write, for `dataset build`.")],
    ending: Annotated[str, typer.Option(help=".cif.gz, .cif, .pdb.gz or .pdb")] = ".cif.gz",
    timeout: Annotated[float, typer.Option(help="Seconds without an answer after which a try has failed.")] = 60.0,
    tries: Annotated[int, typer.Option(help="Tries a file.")] = 3,
    allow_missing: Annotated[bool, typer.Option(help="Write the list and exit 0 although files failed.")] = False,
) -> None:
    """Fetch structure files by PDB id; a stopped download goes on with what is missing.

    Failures are named; then there is no list, and the exit code is 1. The last line is one JSON object.
    """
    from rna_predict.data.download import FAILED, Download, Server, download_structures, read_pdb_ids, write_list

    server = Server(base_url=base_url, ending=ending, timeout=timeout, tries=tries)
    wanted = read_pdb_ids(ids)
    with steps(len(wanted)) as progress:

        def advance(one: Download) -> None:
            progress.now(one.id)
            progress.done()
            if one.status == FAILED:
                LOG.error("%s: failed: %s", one.id, one.reason)

        done = download_structures(wanted, folder, server, advance)
    failed = [one.id for one in done if one.status == FAILED]
    if allow_missing or not failed:
        write_list(out, done)
    counts = Counter(one.status for one in done)
    typer.echo(json.dumps({"ids": len(wanted)} | dict(sorted(counts.items())) | {"failures": failed}))
    if failed:
        LOG.error("%d of %d ids failed: %s", len(failed), len(wanted), ", ".join(failed[:20]))
    if failed and not allow_missing:
        raise typer.Exit(1)


def _figures(folder: Path) -> dict[str, object]:
    """What a dataset holds, for one line of JSON."""
    from rna_predict.data.dataset import read_manifest
    from rna_predict.data.splits import read_splits

    manifest, splits = read_manifest(folder), read_splits(folder)
    counts = {f"{split}_chains": count for split, count in sorted(Counter(splits.values()).items())}
    stated: dict[str, object] = {name: getattr(manifest, name) for name in STATED}
    return stated | counts


def _chosen(opened: "ChainDataset", splits: list[str], max_length: int) -> list[str]:
    """Ids of the chains of these splits that are not too long.

    Raises:
        InputError: there is none, or no such split.
    """
    from rna_predict.data.sources import SPLITS

    for name in splits:
        if name not in SPLITS:
            raise InputError(f"--split {name}: is unknown. Use one of: {', '.join(SPLITS)}.")
    lengths = zip(opened.ids, opened.length_N.tolist(), strict=True)
    ids = [id for id, length in lengths if opened.splits[id] in splits and (not max_length or length <= max_length)]
    if not ids:
        limit = f" of at most {max_length} residues" if max_length else ""
        raise InputError(f"{opened.folder}: has no chain{limit} in {', '.join(splits)}. Look at its splits.tsv.")
    return ids


def _ids(path: Path | None) -> tuple[str, ...]:
    from rna_predict.data.sources import read_id_table

    return tuple(read_id_table(path)) if path else ()


def _target_sequences(opened: "ChainDataset", targets: Path | None) -> dict[str, str]:
    """Sequence by id of the chains to compare with the training chains."""
    from rna_predict.data.sources import read_id_table

    known = dict(zip(opened.ids, opened.sequences, strict=True))
    if targets is None:
        return {id: letters for id, letters in known.items() if opened.splits[id] in ("validation", "test")}
    wanted = {}
    for id, letters in read_id_table(targets).items():
        wanted[id] = known.get(id, letters)
        if not wanted[id]:
            raise InputError(f"--targets {targets}: {id} is not in the dataset, and the table has no sequence for it.")
    return wanted
