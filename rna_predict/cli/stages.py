"""The workflow's subcommands: each reads and writes files of the contract table, for one id or many."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rna_predict.cli.batch import exit_code, run_batch
from rna_predict.cli.store import digest_of_settings
from rna_predict.cli.stored import StageRun, Work, run_stored
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

if TYPE_CHECKING:
    from rna_predict.cli.stage_files import StageFiles
    from rna_predict.contracts import RnaSequence
    from rna_predict.contracts.alignment import Alignment
    from rna_predict.contracts.reactivity import Reactivity

Root = Annotated[Path, typer.Option(help="Folder that holds one folder of stage files for each id.")]
Config = Annotated[Path | None, typer.Option(help="Resolved settings of the stage; without it the defaults.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads for OpenMP, BLAS and torch.")]
Status = Annotated[Path | None, typer.Option(help="JSON file with what became of each id.")]
Ids = Annotated[list[str], typer.Argument(help="One id or many; a failing one does not stop the others.")]
Ambiguous = Annotated[
    str, typer.Option(metavar="refuse|map", help="Refuse IUPAC letters such as N, or map each to a base and say so.")
]

Reactivities = Annotated[
    list[str] | None,
    typer.Option(help="ID=FILE: reactivities of chemical probing (.shape, or one a line), -999 for none."),
]

StoreFolder = Annotated[
    Path | None,
    typer.Option(
        help="Instead of --root: take each id's result from this store, or make it and put it there. The exit code is "
        "0 where ids failed: --status says which, and why."
    ),
]
SampleSheet = Annotated[Path | None, typer.Option(help="With --store: the sample sheet, which has the ids' sequences.")]
TemplatesConfig = Annotated[
    Path | None, typer.Option(help="Resolved settings of the search for templates, whose pairs count here as well.")
]
Upstream = Annotated[Path | None, typer.Option(help="With --store: the status of the stage before.")]
AttemptsLeft = Annotated[
    int, typer.Option(min=0, help="With --store: how often the job is tried again where memory or disk ran out.")
]

STAGES_ROOT = Path("results/stages")


def prepare(
    records: Annotated[list[str], typer.Argument(metavar="ID=SEQUENCE...", help="One RNA or many.")],
    root: Root = STAGES_ROOT,
    ambiguous: Ambiguous = "refuse",
    status: Status = None,
) -> None:
    """Check sequences and write each as canonical FASTA (A C G U)."""
    sequences: dict[str, str] = {}
    for record in records:
        name, equals, letters = record.partition("=")
        if not equals or name in sequences:
            raise InputError(f"{record[:80]!r}: {'this id stands twice' if equals else 'expected ID=SEQUENCE'}.")
        sequences[name] = letters

    def work(name: str) -> None:
        write_sequence(name, sequences[name], ambiguous, root / name / "sequence.fasta")

    raise typer.Exit(exit_code(run_batch(list(sequences), work, status, "sequence written")))


def stage_a(
    ids: Ids,
    root: Root = STAGES_ROOT,
    config: Config = None,
    given: Annotated[list[str] | None, typer.Option(help="ID=FILE: a secondary structure to keep to.")] = None,
    reactivity: Reactivities = None,
    threads: Threads = 1,
    status: Status = None,
    store: StoreFolder = None,
    samples: SampleSheet = None,
    templates_config: TemplatesConfig = None,
    ambiguous: Ambiguous = "refuse",
    attempts_left: AttemptsLeft = 0,
) -> None:
    """Base pairs: probabilities and a valid matching; the RNA's families and their alignment with it."""
    set_threads(threads)
    structures = given_files(given or [], ids)
    probed = given_files(reactivity or [], ids, "--reactivity")
    letters = letters_of(samples, ids) if store else {}
    alike = {"ambiguous": ambiguous, "templates": digest_of_settings(templates_config)}

    def load() -> Work:
        from rna_predict.config import read_stage_config
        from rna_predict.formats.secondary_structure import read_given

        templates: Any = read_stage_config("templates", templates_config)

        def work(files: "StageFiles", settings: Any) -> None:
            if store:
                write_sequence(files.id, letters[files.id], ambiguous, files.path("sequence.fasta"))
            sequence, path = files.sequence(), structures.get(files.id)
            structure = read_given(path, sequence) if path else None
            write_pairs(files, settings, (structure, reactivity_of(sequence, probed.get(files.id)), templates))

        return work

    run = StageRun(
        stage="stage_a",
        ids=ids,
        config=config,
        status=status,
        store=store,
        attempts_left=attempts_left,
        facts=facts_of(
            ids,
            given=structures,
            reactivity=probed,
            letters=letters,
            **{name: dict.fromkeys(ids, one) for name, one in alike.items()},
        ),
    )
    run_stage(run, root, load)


def write_pairs(files: "StageFiles", settings: Any, known: tuple[Any, Any, Any]) -> None:
    """Fold one RNA and write stage A's files.

    Args:
        files: of the RNA.
        settings: of stage A.
        known: a given structure or None, reactivities or None, and the settings of the search for templates.
    """
    from rna_predict.formats.dot_bracket import write_dbn
    from rna_predict.stage_a_adjacency.family import write_family
    from rna_predict.stage_a_adjacency.stage import predict_adjacency

    adjacency = predict_adjacency(files.sequence(), settings, *known)
    adjacency.save(files.path("a_adjacency.safetensors"))
    write_dbn(adjacency, files.path("a_adjacency.dbn"))
    write_family(adjacency, settings, files.path("a_family.a3m"), files.path("a_family.json"))


def stage_b(
    ids: Ids,
    root: Root = STAGES_ROOT,
    config: Config = None,
    msa: Annotated[
        list[str] | None,
        typer.Option(help="ID=FILE: an alignment (a3m, Stockholm) for the backend `trunk`, instead of stage A's."),
    ] = None,
    threads: Threads = 1,
    status: Status = None,
    store: StoreFolder = None,
    upstream: Upstream = None,
    attempts_left: AttemptsLeft = 0,
) -> None:
    """Torsions and the pair representation, from the base pairs."""
    set_threads(threads)
    alignments = given_files(msa or [], ids, "--msa")

    def load() -> Work:
        from rna_predict.stage_b_torsion.stage import predict_torsions

        def work(files: "StageFiles", settings: Any) -> None:
            sequence = files.sequence()
            path = alignments.get(files.id)
            if path is None and settings.reads_family:
                alignment = files.family_alignment(sequence)
            else:
                alignment = alignment_of(sequence, path)
            adjacency = files.adjacency(sequence)
            templates = files.templates(sequence, adjacency) if settings.reads_templates else None
            torsions, embeddings = predict_torsions(sequence, adjacency, settings, alignment, templates)
            torsions.save(files.path("b_torsions.safetensors"))
            embeddings.save(files.path("b_embeddings.safetensors"))

        return work

    run = StageRun(
        stage="stage_b",
        ids=ids,
        config=config,
        status=status,
        store=store,
        upstream=upstream,
        attempts_left=attempts_left,
        facts=facts_of(ids, msa=alignments),
    )
    run_stage(run, root, load)


def stage_c(
    ids: Ids,
    root: Root = STAGES_ROOT,
    config: Config = None,
    threads: Threads = 1,
    status: Status = None,
    store: StoreFolder = None,
    upstream: Upstream = None,
    attempts_left: AttemptsLeft = 0,
) -> None:
    """Coordinates of all heavy atoms, from base pairs and torsions."""
    set_threads(threads)

    def load() -> Work:
        from rna_predict.formats.pdb import write_pdb
        from rna_predict.stage_c_reconstruction.stage import reconstruct

        def work(files: "StageFiles", settings: Any) -> None:
            sequence = files.sequence()
            adjacency = files.adjacency(sequence)
            torsions, embeddings = files.torsions(sequence, adjacency), files.embeddings(sequence, adjacency)
            templates = files.templates(sequence, adjacency)
            coordinates = reconstruct(sequence, adjacency, torsions, settings, embeddings, templates)
            coordinates.save(files.path("c_coordinates.safetensors"))
            write_pdb(coordinates.structure(), files.path("c_coordinates.pdb"))

        return work

    run = StageRun(
        stage="stage_c",
        ids=ids,
        config=config,
        status=status,
        store=store,
        upstream=upstream,
        attempts_left=attempts_left,
    )
    run_stage(run, root, load)


def stage_d(
    ids: Ids,
    root: Root = STAGES_ROOT,
    config: Config = None,
    threads: Threads = 1,
    status: Status = None,
    store: StoreFolder = None,
    upstream: Upstream = None,
    attempts_left: AttemptsLeft = 0,
) -> None:
    """An ensemble of ranked models with confidence, from all that came before; with --store also the best alone."""
    set_threads(threads)

    def load() -> Work:
        from rna_predict.formats.models import export_best, write_ensemble
        from rna_predict.stage_d_diffusion.inputs import StageDInputs
        from rna_predict.stage_d_diffusion.stage import sample_ensemble

        def work(files: "StageFiles", settings: Any) -> None:
            sequence = files.sequence()
            adjacency = files.adjacency(sequence)
            inputs = StageDInputs(
                adjacency=adjacency,
                torsions=files.torsions(sequence, adjacency),
                embeddings=files.embeddings(sequence, adjacency),
                coordinates=files.coordinates(sequence, adjacency),
            )
            ensemble = sample_ensemble(sequence, inputs, settings)
            write_ensemble(ensemble, files.path("d_models.cif"), files.path("d_confidence.json"))
            if store:
                best = files.ensemble(sequence)
                export_best(best, files.path("prediction.pdb"), files.path("prediction.cif"))

        return work

    run = StageRun(
        stage="stage_d",
        ids=ids,
        config=config,
        status=status,
        store=store,
        upstream=upstream,
        attempts_left=attempts_left,
    )
    run_stage(run, root, load)


def export(
    ids: Ids,
    root: Root = STAGES_ROOT,
    out: Annotated[Path, typer.Option(help="Folder for <id>.pdb and <id>.cif.")] = Path("results/preds"),
    status: Status = None,
) -> None:
    """The best model alone, as PDB and mmCIF, pLDDT in the B-factor column."""
    from rna_predict.cli.stage_files import StageFiles
    from rna_predict.formats.models import export_best

    def work(name: str) -> None:
        files = StageFiles(root, name)
        export_best(files.ensemble(files.sequence()), out / f"{name}.pdb", out / f"{name}.cif")

    raise typer.Exit(exit_code(run_batch(ids, work, status, "exported")))


def collect(
    name: Annotated[str, typer.Argument(metavar="ID", help="Which RNA.")],
    status: Annotated[Path, typer.Option(help="Status of its batch after a stage.")],
    store: Annotated[Path, typer.Option(help="The store that the batch wrote to.")],
    stages: Annotated[Path, typer.Option(help="Folder that gets <id>/ with the stages' files.")],
    preds: Annotated[Path | None, typer.Option(help="Folder that gets <id>.pdb and <id>.cif.")] = None,
) -> None:
    """Put one RNA's results from a store in place, as links; exit code 1 with the reason where a stage failed on it."""
    from rna_predict.cli.collect import main

    given = [name, f"--status={status}", f"--store={store}", f"--stages={stages}"]
    raise typer.Exit(main([*given, *([f"--preds={preds}"] if preds else [])]))


def alignment_of(sequence: "RnaSequence", path: Path | None) -> "Alignment | None":
    """Read an RNA's alignment, if there is one, and log what was changed or left out.

    Raises:
        InputError: the file cannot be read, or aligns another RNA.
    """
    from rna_predict.cli.console import LOG
    from rna_predict.formats.alignment import read_alignment

    if path is None:
        return None
    alignment, notices = read_alignment(path, sequence)
    LOG.info("%s: %d aligned sequences in %s", sequence.id, alignment.depth, path)
    for notice in notices:
        LOG.warning("%s: %s", sequence.id, notice.message)
    return alignment


def reactivity_of(sequence: "RnaSequence", path: Path | None) -> "Reactivity | None":
    """Read an RNA's reactivities, if there are some, and log how many residues have one.

    Raises:
        InputError: the file cannot be read, or does not fit the RNA.
    """
    from rna_predict.cli.console import LOG
    from rna_predict.formats.reactivity import read_reactivity

    if path is None:
        return None
    reactivity, notices = read_reactivity(path, sequence)
    LOG.info("%s: %d of %d residues have a reactivity in %s", sequence.id, reactivity.measured, sequence.length, path)
    for notice in notices:
        LOG.warning("%s: %s", sequence.id, notice.message)
    return reactivity


def given_files(pairs: list[str], ids: list[str], option: str = "--given") -> dict[str, Path]:
    """Parse `ID=FILE` arguments of an option.

    Raises:
        InputError: another form, an id that is not among `ids`, or the same id twice.
    """
    files: dict[str, Path] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or not path:
            raise InputError(f"{option} {pair!r}: expected ID=FILE.")
        if name not in ids or name in files:
            raise InputError(f"{option} {pair!r}: {'given twice' if name in files else 'this id is not asked for'}.")
        files[name] = Path(path)
    return files


def write_sequence(name: str, letters: str, ambiguous: str, path: Path) -> None:
    """Check an RNA's letters and write them as canonical FASTA; what was changed is logged.

    Raises:
        InputError: letters that are refused, naming the position.
    """
    from rna_predict.cli.console import LOG
    from rna_predict.formats.fasta import write_fasta
    from rna_predict.formats.normalise import checked_sequence

    sequence, notices = checked_sequence(name, letters, ambiguous)
    for notice in notices:
        LOG.warning("%s: %s", name, notice.message)
    write_fasta(sequence, path)


def letters_of(sheet: Path | None, ids: list[str]) -> dict[str, str]:
    """The sequences of these ids as they stand in the sample sheet, which the workflow has checked.

    Raises:
        InputError: no sheet, or an id is not in it.
    """
    if sheet is None:
        raise InputError("--store: stage A needs --samples as well, the sheet that has the sequences.")
    lines = sheet.read_text(encoding="utf-8-sig").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    found = {(row["id"] or "").strip(): (row["sequence"] or "").strip() for row in rows}
    missing = [name for name in ids if name not in found]
    if missing:
        raise InputError(f"{sheet}: no such id: {', '.join(missing[:5])}. Was the sheet changed during the run?")
    return {name: found[name] for name in ids}


def facts_of(ids: list[str], **columns: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By id, what decides its result: the values that the columns have for it."""
    return {name: {what: column[name] for what, column in columns.items() if name in column} for name in ids}


def run_stage(run: StageRun, root: Path, load: Callable[[], Work]) -> None:
    """Do each id in its folder below `root`, or through the store where the command names one.

    Raises:
        typer.Exit: always, with the exit code.
    """
    if run.store is not None:
        run_stored(run, load)
    from rna_predict.cli.stage_files import StageFiles
    from rna_predict.config import read_stage_config

    work = load()
    settings = read_stage_config(run.stage, run.config)
    outcomes = run_batch(run.ids, lambda name: work(StageFiles(root, name), settings), run.status, f"{run.stage} done")
    raise typer.Exit(exit_code(outcomes))
