"""`rna-predict predict FASTA --out DIR`: all stages in one process, for one sequence or many."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from rna_predict.cli.batch import Outcome, Pace, attempt, exit_code
from rna_predict.cli.configuration import Partial, Untrained, Weights, network_settings, split_settings
from rna_predict.cli.console import LOG, Steps, steps
from rna_predict.cli.output_folder import check_folder, held_folder
from rna_predict.cli.stages import Ambiguous, Reactivities, alignment_of, given_files, reactivity_of
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

if TYPE_CHECKING:
    from rna_predict.contracts import RnaSequence
    from rna_predict.contracts.given import GivenStructure
    from rna_predict.pipeline import PipelineConfig


SUFFIXES = ("pdb", "cif", "json")
"""Of the files of one RNA."""


def predict(
    fasta: Annotated[Path, typer.Argument(help="FASTA with one RNA or many; may be gzipped.")],
    out: Annotated[Path, typer.Option(help="Folder for <id>.pdb, <id>.cif, <id>.json, status.tsv and manifest.json.")],
    ss: Annotated[
        Path | None,
        typer.Option(
            help="Secondary structure to keep to (dbn, ct, bpseq, matrix). With several sequences it must name them: "
            "a dbn file with a record for each id that has one; the others are folded."
        ),
    ] = None,
    msa: Annotated[
        Path | None,
        typer.Option(
            help="Alignment of homologs for stage B's trunk (a3m, Stockholm; gzipped too): a file for one sequence, or "
            "a folder with <id>.a3m or <id>.sto for each id that has one."
        ),
    ] = None,
    reactivity: Reactivities = None,
    models: Annotated[int | None, typer.Option(min=1, help="Models for each RNA.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the sampler.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads for OpenMP, BLAS and torch.")] = 1,
    ambiguous: Ambiguous = "refuse",
    config_dir: Annotated[Path | None, typer.Option(help="Folder with the stages' groups.")] = None,
    weights: Weights = None,
    untrained: Untrained = None,
    partial: Partial = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="stage_d=choice, or one value: stage_c.steps=50.")
    ] = None,
) -> None:
    """Predict structures. Exit code 1 when an RNA failed (the others are there), 2 when the input cannot be used.

    Every RNA asked for is computed; results of an earlier run in the same folder are replaced.
    """
    set_threads(threads)
    sequences, outcomes = read_sequences(fasta, ambiguous)
    if not sequences:
        check_folder(out)
        write_status(out / "status.tsv", outcomes)
        raise InputError(f"{fasta}: none of its {len(outcomes)} records can be used; see {out / 'status.tsv'}.")
    structures, failed = read_structures(ss, sequences, alone=not outcomes)
    alignments = find_alignments(msa, sequences, alone=not outcomes)
    probed = given_files(reactivity or [], [sequence.id for sequence in sequences], "--reactivity")
    unfit = {outcome.id for outcome in failed}
    asked = [
        Asked(sequence, structures.get(sequence.id), alignments.get(sequence.id), probed.get(sequence.id))
        for sequence in sequences
        if sequence.id not in unfit
    ]
    settings = [*network_settings(weights, untrained, partial), *(set_ or [])]
    settings += [] if models is None else [f"stage_d.models={models}"]
    settings += [] if seed is None else [f"stage_d.seed={seed}"]
    config = pipeline_config(config_dir, settings)
    check_folder(out)
    with held_folder(out):
        outcomes = _predict_all(asked, [*outcomes, *failed], config, out)
    raise typer.Exit(exit_code(outcomes))


class Asked(NamedTuple):
    """One RNA with what the user knows about it."""

    sequence: "RnaSequence"
    given: "GivenStructure | None"
    alignment: Path | None
    reactivity: Path | None


def _predict_all(asked: list[Asked], outcomes: list[Outcome], config: "PipelineConfig", out: Path) -> list[Outcome]:
    """Predict each RNA, the status table growing with them, and at the end list the folder's results by sha256."""
    table, pace = out / "status.tsv", Pace()
    pace.write(lambda: write_status(table, outcomes))
    try:
        with steps(len(asked)) as progress:
            for each in asked:
                outcomes.append(_predict_one(each, config, out, progress))
                pace.write_when_due(lambda: write_status(table, outcomes))
                progress.done()
    finally:
        write_status(table, outcomes)
    names = [out / f"{outcome.id}.{suffix}" for outcome in outcomes for suffix in SUFFIXES if outcome.status == "done"]
    _state_results(out, [table, *names])
    return outcomes


def _state_results(out: Path, paths: list[Path]) -> None:
    """Add the run's results to the folder's manifest, anew where it is damaged."""
    from rna_predict.formats.manifest import write_manifest

    try:
        write_manifest(out, paths, add=True)
    except InputError as error:
        LOG.warning("%s It is written anew, with the results of this run alone.", error)
        write_manifest(out, paths)


def _predict_one(asked: Asked, config: "PipelineConfig", out: Path, progress: Steps) -> Outcome:
    """Predict one RNA and write its three files; the PDB last, so that its presence says that all is there."""
    from rna_predict.formats.models import write_best_pdb, write_ensemble
    from rna_predict.pipeline import predict as run_stages

    sequence = asked.sequence

    def on_stage(words: str) -> None:
        progress.now(f"{sequence.id}: {words}")
        LOG.debug("%s: stage %s", sequence.id, words)

    def work(name: str) -> None:
        alignment = alignment_of(sequence, asked.alignment)
        reactivity = reactivity_of(sequence, asked.reactivity)
        ensemble = run_stages(sequence, config, asked.given, on_stage, alignment, reactivity).ensemble
        write_ensemble(ensemble, out / f"{name}.cif", out / f"{name}.json")
        write_best_pdb(ensemble, out / f"{name}.pdb")

    for suffix in SUFFIXES:
        (out / f"{sequence.id}.{suffix}").unlink(missing_ok=True)
    return attempt(sequence.id, work, f"{sequence.length} nt, done")


def pipeline_config(config_dir: Path | None, settings: Sequence[str]) -> "PipelineConfig":
    """The four stages' settings from groups, choices and single values."""
    from rna_predict.config import resolve_stage_config
    from rna_predict.pipeline import PipelineConfig

    stages = [field.name for field in dataclasses.fields(PipelineConfig)]
    choices, overrides = split_settings(settings, stages)
    resolved = {stage: resolve_stage_config(stage, config_dir, overrides[stage], choices[stage]) for stage in stages}
    return PipelineConfig(**resolved)  # pyright: ignore[reportArgumentType]


def read_sequences(fasta: Path, ambiguous: str) -> tuple[list["RnaSequence"], list[Outcome]]:
    """Usable records in file order, and an outcome for each record that failed; conversions are logged."""
    from rna_predict.formats.fasta import FastaOptions, read_fasta

    content = read_fasta(fasta, FastaOptions(ambiguous=ambiguous))
    for notice in content.notices:
        LOG.warning("%s: %s", notice.id or fasta, notice.message)
    failed = []
    for failure in content.failures:
        reason = f"line {failure.line}: {failure.reason}"
        LOG.error("%s: failed: %s", failure.id, reason)
        failed.append(Outcome(id=failure.id, status="failed", reason=reason))
    return content.records, failed


def read_structures(
    path: Path | None, sequences: Sequence["RnaSequence"], alone: bool
) -> tuple[dict[str, "GivenStructure"], list[Outcome]]:
    """Given structures by id, and an outcome for each RNA whose structure does not fit it.

    Args:
        path: the file, or None.
        sequences: the usable records.
        alone: whether no other record stood beside them: a lone RNA's structure needs no name.

    Raises:
        InputError: the file cannot be read, or names none of several sequences.
    """
    from rna_predict.formats.secondary_structure import given_ids, read_given

    if path is None or not sequences:
        return {}, []
    if len(sequences) == 1 and alone:
        LOG.info("%s: keeps to the structure in %s", sequences[0].id, path)
        return {sequences[0].id: read_given(path, sequences[0])}, []
    names = set(given_ids(path))
    named = [sequence for sequence in sequences if sequence.id in names]
    if not named:
        raise InputError(f"--ss {path}: names none of the {len(sequences)} sequences. Head each structure with >id.")
    LOG.info("%s: structures for %d of %d sequences; the others are folded", path, len(named), len(sequences))
    structures: dict[str, GivenStructure] = {}
    failed: list[Outcome] = []
    for sequence in named:
        try:
            structures[sequence.id] = read_given(path, sequence)
        except InputError as error:
            LOG.error("%s: failed: %s", sequence.id, error)
            failed.append(Outcome(id=sequence.id, status="failed", reason=str(error)))
    return structures, failed


def find_alignments(path: Path | None, sequences: Sequence["RnaSequence"], alone: bool) -> dict[str, Path]:
    """The alignment's file of each RNA that has one; they are read when their RNA's turn comes.

    Args:
        path: a file, a folder, or None.
        sequences: the usable records.
        alone: whether no other record stood beside them: only a lone RNA's alignment may be a file.

    Raises:
        InputError: no such file or folder, a file for several RNAs, or a folder without a file for any of them.
    """
    from rna_predict.formats.alignment import ENDINGS

    if path is None or not sequences:
        return {}
    if path.is_file():
        if len(sequences) > 1 or not alone:
            raise InputError(f"--msa {path}: one file for several sequences. Name a folder with <id>.a3m files.")
        return {sequences[0].id: path}
    if not path.is_dir():
        raise InputError(f"--msa {path}: no such file or folder.")
    found: dict[str, Path] = {}
    for sequence in sequences:
        names = [f"{sequence.id}{ending}{packed}" for ending in ENDINGS for packed in ("", ".gz")]
        files = [path / name for name in names if (path / name).is_file()]
        if len(files) > 1:
            raise InputError(f"--msa {path}: {files[0].name} and {files[1].name} both align {sequence.id}. Keep one.")
        if files:
            found[sequence.id] = files[0]
    if not found:
        raise InputError(f"--msa {path}: holds no <id>.a3m or <id>.sto of the {len(sequences)} sequences.")
    LOG.info("%s: alignments for %d of %d sequences", path, len(found), len(sequences))
    return found


def write_status(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the status table: id, status, seconds, reason."""
    from rna_predict.contracts import atomic_path

    lines = ["id\tstatus\tseconds\treason"]
    lines += [f"{o.id}\t{o.status}\t{o.seconds:.1f}\t{' '.join(o.reason.split())}" for o in outcomes]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
