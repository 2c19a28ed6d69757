"""`rna-predict bench fold`: how good the models are, on any folder of natives, by path, beside baselines.

Every target is predicted with the settings and seeds of a path, from stage A's own pairs (`predicted`) and from the
native's canonical pairs (`native`). The best-ranked model is scored, and the best of the first five. Baselines:
`a_form`, a chain of A-form torsions; `template`, the first template's own residues, where there is one; `assembly`, the
pipeline without learned weights and templates (prior table, assembly, analytic sampler).
"""

import csv
import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.console import LOG, steps
from rna_predict.cli.threads import set_threads
from rna_predict.errors import ConfigError, InputError

if TYPE_CHECKING:
    from rna_predict.cli.fold_rows import Job, Outcome, Row
    from rna_predict.cli.fold_targets import Target
    from rna_predict.pipeline import PipelineConfig

BASELINES = ("a_form", "template", "assembly")

KINDS = ("predicted", "native")

DIED = "its process ended before it was done; most likely it took more memory than there is"


def command(
    natives: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders with <id>.pdb or <id>.cif, each a set; without any the validation targets."),
    ] = None,
    pairs: Annotated[str, typer.Option(help="Whose base pairs: predicted, native, or both with a comma.")] = (
        "predicted,native"
    ),
    baselines: Annotated[str, typer.Option(help=f"Beside it, with commas: {', '.join(BASELINES)}; or all.")] = "",
    config: Annotated[
        list[str] | None, typer.Option(help="Setting of the path `default`, stage_d.steps=9 or stage_d=choice.")
    ] = None,
    config_dir: Annotated[Path | None, typer.Option(help="Folder with the stages' groups.")] = None,
    models: Annotated[int | None, typer.Option(min=1, help="Models for each RNA, on all paths.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of stages C and D, on all paths.")] = None,
    targets: Annotated[
        Path | None, typer.Option(help="CSV or TSV with a column id (sequence, cluster): predict these only.")
    ] = None,
    chain: Annotated[list[str] | None, typer.Option(help="ID=CHAIN: where a native has several RNA chains.")] = None,
    max_length: Annotated[int, typer.Option(min=0, help="Leave out longer targets; 0 leaves out none.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for models, rows.csv, residues.csv and plots.")] = None,
    cores: Annotated[int, typer.Option(min=1, help="Targets at once, each in a process of its own.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process.")] = 1,
) -> None:
    """Accuracy of the models on a folder of natives: TM, lDDT, INF, RMSD, geometry, confidence, time and memory.

    Exit code 1 when no target could be scored.
    """
    set_threads(threads)
    from rna_predict.cli.bench import print_result, print_table
    from rna_predict.cli.evaluate import chains_by_id
    from rna_predict.cli.fold_figures import figures_of, tables
    from rna_predict.cli.fold_targets import read_targets

    both = [*([] if models is None else [f"stage_d.models={models}"])]
    both += [] if seed is None else [f"stage_c.seed={seed}", f"stage_d.seed={seed}"]
    paths = paths_of(_named(baselines, BASELINES, "--baselines"), config_dir, config or (), both)
    found, left_out = read_targets(natives or (), targets, chains_by_id(chain or []), max_length)
    kinds = _named(pairs, KINDS, "--pairs")
    if not kinds or not found:
        raise InputError(
            f"bench fold: nothing to predict: {len(found)} targets ({left_out} longer than --max-length {max_length}), "
            f"--pairs {pairs!r}."
        )
    jobs = list_jobs(found, paths, kinds, out, threads)
    logging.getLogger("rna_predict.stage_a_adjacency").setLevel(logging.WARNING)  # a line for each hit is too many
    outcomes = run_jobs(jobs, cores)
    figures = figures_of(outcomes) | {"left_out_longer": left_out, "config": [*(config or ()), *both]}
    if out is not None:
        write_results(out, outcomes)
    for title, rows in tables(figures).items():
        typer.echo(title)
        print_table(rows)
    for failure in figures["failures"]:
        typer.echo(f"{failure['set']} {failure['id']} ({failure['path']}, {failure['pairs']}): {failure['reason']}")
    print_result([], figures)
    if not figures["scored"]:
        raise typer.Exit(1)


def _named(words: str, known: Sequence[str], option: str) -> list[str]:
    """Names separated by commas; `all` stands for all of them.

    Raises:
        ConfigError: an unknown name.
    """
    names = [word.strip() for word in words.split(",") if word.strip()]
    if names == ["all"]:
        return list(known)
    for name in names:
        if name not in known:
            raise ConfigError(f"{option} {name!r}: no such name. Names: {', '.join(known)}.")
    return list(dict.fromkeys(names))


def paths_of(
    baselines: Sequence[str], config_dir: Path | None, settings: Sequence[str], both: Sequence[str]
) -> dict[str, "PipelineConfig"]:
    """Settings of each path by name, those of `template` the same as the default's."""
    from rna_predict.cli.fold_paths import ASSEMBLY, ASSEMBLY_SETTINGS, DEFAULT
    from rna_predict.cli.predict import pipeline_config

    paths = {DEFAULT: pipeline_config(config_dir, [*settings, *both])}
    for name in baselines:
        paths[name] = pipeline_config(None, [*ASSEMBLY_SETTINGS, *both]) if name == ASSEMBLY else paths[DEFAULT]
    return paths


def list_jobs(
    targets: Sequence["Target"],
    paths: dict[str, "PipelineConfig"],
    kinds: Sequence[str],
    out: Path | None,
    threads: int,
) -> list["Job"]:
    """A job for each target, path and kind of pairs; the A-form chain has none."""
    from rna_predict.cli.fold_paths import A_FORM, NO_PAIRS
    from rna_predict.cli.fold_rows import Job

    jobs = []
    for path, config in paths.items():
        for kind in [NO_PAIRS] if path == A_FORM else kinds:
            for target in targets:
                name = path if kind == NO_PAIRS else f"{path}_{kind}"
                folder = None if out is None else out / "models" / target.set / name
                jobs.append(Job(target=target, path=path, pairs=kind, config=config, models=folder, threads=threads))
    return jobs


def run_jobs(jobs: Sequence["Job"], cores: int) -> list["Outcome"]:
    """Outcomes in the order of the jobs; in this process with one core, else in a pool, longest targets first."""
    from rna_predict.cli.fold_rows import failed, run_job

    outcomes: dict[int, Outcome] = {
        n: failed(job, job.target.reason) for n, job in enumerate(jobs) if job.target.native is None
    }
    waiting = sorted((n for n in range(len(jobs)) if n not in outcomes), key=lambda n: -len(jobs[n].target.sequence))
    with steps(len(waiting)) as progress:
        for n, outcome in _pooled(jobs, waiting, cores) if cores > 1 else ((n, run_job(jobs[n])) for n in waiting):
            outcomes[n] = outcome
            row = outcome.row
            said = "" if row["tm"] is None else f", TM {row['tm']:.3f}, lDDT {row['lddt'] or 0:.3f}"
            LOG.info("%s %s/%s: %s%s", row["id"], row["path"], row["pairs"], row["reason"] or row["status"], said)
            progress.done()
    return [outcomes[n] for n in range(len(jobs))]


def _pooled(jobs: Sequence["Job"], waiting: Sequence[int], cores: int) -> Iterator[tuple[int, "Outcome"]]:
    """Outcomes as they come. A process that dies takes the pool with it: its jobs are done again, each alone."""
    from rna_predict.cli.fold_rows import failed, run_job

    suspects: list[int] = []
    with _pool(cores) as pool:
        futures: dict[Future[Outcome], int] = {pool.submit(run_job, jobs[n]): n for n in waiting}
        while futures:
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                n = futures.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    suspects.append(n)
                else:
                    yield n, future.result()
    for n in suspects:
        with _pool(1) as pool:
            try:
                yield n, pool.submit(run_job, jobs[n]).result()
            except BrokenProcessPool:
                yield n, failed(jobs[n], DIED)


def _pool(cores: int) -> ProcessPoolExecutor:
    """Fresh processes: a fork of one that runs threads may hang."""
    return ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn"))


def write_results(out: Path, outcomes: Sequence["Outcome"]) -> None:
    """Write rows.csv, residues.csv and the plots, each whole or not at all."""
    from rna_predict.atomic import atomic_path
    from rna_predict.cli.fold_plots import plots

    rows = [outcome.row for outcome in outcomes]
    residues: list[Row] = [
        {name: outcome.row[name] for name in ("set", "id", "path", "pairs")}
        | {"residue": int(residue), "plddt": f"{plddt:.2f}", "lddt": f"{true:.4f}"}
        for outcome in outcomes
        for residue, plddt, true in zip(outcome.residue_N, outcome.plddt_N, outcome.lddt_N, strict=True)
    ]
    for name, lines in (("rows", rows), ("residues", residues)):
        with atomic_path(out / f"{name}.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            if lines:
                writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(lines)
    for name, markup in plots(outcomes).items():
        with atomic_path(out / f"{name}.svg") as temporary:
            temporary.write_text(markup, encoding="utf-8", newline="\n")
    LOG.info("%s: models, rows.csv, residues.csv and plots", out)
