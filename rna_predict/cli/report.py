"""`rna-predict report RESULTS [ID...]`: one HTML page of all predictions, with what failed and why."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.console import LOG, steps
from rna_predict.cli.threads import set_threads
from rna_predict.errors import ContractError, InputError, RnaPredictError

if TYPE_CHECKING:
    from rna_predict.cli.stage_files import StageFiles
    from rna_predict.contracts import Adjacency
    from rna_predict.report.costs import Cost
    from rna_predict.report.details import Entry
    from rna_predict.report.outcome import Finished, Made

OWN_JOBS = ("prepare_input", "export_prediction")
"""Of each RNA that was begun one of these has a log: with batches the second, else the first."""

BATCHES = "batches"
"""Folder of the results, and of the benchmarks, where stages ran in batches."""


def report(
    results: Annotated[Path, typer.Argument(help="Folder of the workflow's results: stages/, logs/, benchmarks/.")],
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="RNAs to report; default those of the sheet, or all.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page; default RESULTS/report/index.html.")] = None,
    samples: Annotated[
        Path | None, typer.Option(help="Sample sheet: its RNAs, in its order, those that never ran as well.")
    ] = None,
    max_megabytes: Annotated[
        float,
        typer.Option(help="Room for models and panels: beyond it the best model of each RNA, then the first RNAs."),
    ] = 60.0,
    title: Annotated[str, typer.Option(help="What the page is headed with.")] = "RNA structure predictions",
    threads: Annotated[int, typer.Option(min=1, help="Threads for BLAS.")] = 1,
) -> None:
    """Write one self-contained HTML page: models in 3D, confidence, pairs, checks, costs, and failures with reasons.

    Exit code 0 also where RNAs failed: the page says so. 2 when there is nothing to report.
    """
    set_threads(threads)
    from rna_predict.contracts import atomic_path
    from rna_predict.report.page import Limits, page

    limits = Limits(megabytes=max_megabytes)
    names = list(dict.fromkeys(ids or [])) or ids_of(results, samples)
    shared = batch_costs(results)
    entries: list[Entry] = []
    with steps(len(names)) as progress:
        for name in names:
            progress.now(name)
            entries.append(entry_of(results, name, shared))
            progress.done()
    path = out or results / "report" / "index.html"
    text = page(entries, title, limits)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    done = sum(entry.row["status"] == "done" for entry in entries)
    LOG.info("%s: %d of %d RNAs done, %.1f MB", path, done, len(entries), path.stat().st_size / 1e6)


def ids_of(results: Path, samples: Path | None) -> list[str]:
    """The RNAs of a sample sheet in its order, else those that the results hold anything of, by name.

    Raises:
        InputError: the sheet cannot be read, or the results hold nothing.
    """
    if samples is not None:
        from rna_predict.formats.sample_sheet import read_sample_sheet

        sheet = read_sample_sheet(samples)
        rows = [(row.line, row.rna.id) for row in sheet.rows] + [(row.line, row.id) for row in sheet.failures]
        return [id for _, id in sorted(rows)]
    begun = {path.parent.name for job in OWN_JOBS for path in (results / "logs").glob(f"*/{job}.log*")}
    found = sorted(begun | {path.name for path in (results / "stages").glob("*") if path.is_dir()})
    if not found:
        raise InputError(f"{results}: holds no RNA in stages/ or logs/. Name the folder that the workflow writes to.")
    return found


def batch_costs(results: Path) -> dict[str, tuple["Cost", ...]] | None:
    """What each RNA took within batches, by id; None where the results are not of batches.

    Raises:
        InputError: a batch's status or benchmark cannot be read.
    """
    from rna_predict.report.costs import read_batch_costs

    if not (results / BATCHES).is_dir():
        return None
    return read_batch_costs(results / BATCHES, results / "benchmarks" / BATCHES)


def costs_of(results: Path, name: str, shared: Mapping[str, tuple["Cost", ...]] | None) -> tuple["Cost", ...]:
    """One RNA's costs: of its own jobs, and of its stages within batches where these did the work.

    Raises:
        InputError: a benchmark cannot be read.
    """
    from rna_predict.report.costs import OF_BATCH, read_costs

    own = read_costs(results / "benchmarks" / name)
    if shared is None:
        return own
    return (*shared.get(name, ()), *(cost for cost in own if cost.job not in OF_BATCH.values()))


def entry_of(results: Path, name: str, shared: Mapping[str, tuple["Cost", ...]] | None) -> "Entry":
    """One RNA of the page, with its models or with the reason why it has none."""
    from rna_predict.cli.stage_files import StageFiles
    from rna_predict.report.details import entry_of_finished, entry_of_missing
    from rna_predict.report.failures import missing
    from rna_predict.report.outcome import Missing

    files = StageFiles(results / "stages", name)
    if not files.path("d_confidence.json").is_file():
        return entry_of_missing(missing(name, results / "logs" / name))
    try:
        return entry_of_finished(finished_of(files, costs_of(results, name, shared)))
    except (RnaPredictError, OSError) as error:
        LOG.warning("%s: its results cannot be shown: %s", name, error)
        return entry_of_missing(Missing(id=name, stage="report", reason=" ".join(str(error).split())))


def finished_of(files: "StageFiles", costs: tuple["Cost", ...]) -> "Finished":
    """What the stages left of one RNA, with what it cost.

    Templates, and the paths of stages B and C, are told where their files can be read; where not, a notice says why.

    Raises:
        ContractError: stage A's or D's file is missing, damaged or stale; names the stage to run again.
    """
    from rna_predict.report.outcome import Finished, Made

    sequence = files.sequence()
    adjacency, ensemble = files.adjacency(sequence), files.ensemble(sequence)
    notices: list[str] = []
    hits, loops = (), ()
    try:
        found = files.templates(sequence, adjacency)
        hits, loops = found.hits, tuple(found.known_loops)
    except ContractError as error:
        notices.append(f"Its templates cannot be shown: {error}")
    return Finished(
        ensemble=ensemble,
        adjacency=adjacency,
        made=(
            Made(stage="A base pairs", provenance=adjacency.provenance),
            *made_between(files, notices),
            Made(stage="D diffusion", provenance=ensemble.provenance),
        ),
        templates=hits,
        loops=loops,
        known=known_of(adjacency),
        costs=costs,
        notices=tuple(notices),
    )


def known_of(adjacency: "Adjacency") -> tuple[str, ...]:
    """What stage A found of an RNA's families and of stretches of known structures, a sentence each."""
    used = "took part in" if "family" in adjacency.provenance.inputs else "took no part in"
    families = [f"Family, which {used} stage A's pairs: {family.sentence}." for family in adjacency.families]
    stretches = [f"Known stretch, which took part in stage A's pairs: {one.sentence}." for one in adjacency.stretches]
    return (*families, *stretches)


def made_between(files: "StageFiles", notices: list[str]) -> list["Made"]:
    """The paths from stage A to D, as far as files tell; a notice for each that does not."""
    from rna_predict.cli.stage_files import RECORDS
    from rna_predict.contracts import TemplateHits
    from rna_predict.report.outcome import Made

    records = {
        "templates": (TemplateHits, "t_templates"),
        "B torsions": (RECORDS["b_torsions"], "b_torsions"),
        "B distances": (RECORDS["b_embeddings"], "b_embeddings"),
        "C reconstruction": (RECORDS["c_coordinates"], "c_coordinates"),
    }
    made = []
    for stage, (record, name) in records.items():
        try:
            made.append(Made(stage=stage, provenance=record.stated_provenance(files.path(f"{name}.safetensors"))))
        except ContractError as error:
            notices.append(f"The path of {stage} is not known: {error}")
    return made
