"""`rna-predict draw SOURCE...`: pictures of base pairs and of how probable they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.batch import exit_code, run_batch
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

if TYPE_CHECKING:
    from rna_predict.contracts import GivenStructure, RnaSequence
    from rna_predict.report.subject import Subject

RESULT = "a_adjacency.safetensors"


def draw(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help=f"Stage A's {RESULT}, the folder that holds it, or a structure with its sequence (dbn, ct, bpseq).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for <id>/structure.svg, arcs.svg and dots.svg.")] = Path(
        "results/figures"
    ),
    native: Annotated[
        Path | None, typer.Option(help="Structure (dbn, ct, bpseq) to compare with; one of the id where it has many.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads for BLAS.")] = 1,
    status: Annotated[Path | None, typer.Option(help="JSON file with what became of each source.")] = None,
) -> None:
    """Structure drawing, arc diagram and dot plot as SVG, coloured by probability."""
    set_threads(threads)
    from rna_predict.report.figures import draw_figures

    done: dict[str, str] = {}

    def work(source: str) -> None:
        for subject in subjects_of(Path(source), native):
            first = done.setdefault(subject.id.lower(), source)
            if first != source:
                raise InputError(f"{source}: {subject.id} was drawn from {first}. Draw it into another folder.")
            draw_figures(subject, out / subject.id)

    named = list(dict.fromkeys(str(source) for source in sources))
    raise typer.Exit(exit_code(run_batch(named, work, status, f"drawn to {out}")))


def subjects_of(source: Path, native: Path | None) -> list["Subject"]:
    """What a source holds, each with its native where there is one.

    Raises:
        ContractError: stage A's file is missing or damaged, or its folder holds another sequence.
        InputError: the structure, or the native, cannot be used.
    """
    from rna_predict.cli.stage_files import StageFiles
    from rna_predict.contracts import Adjacency
    from rna_predict.report.subject import subject_of_adjacency, subject_of_structure

    if source.suffix != ".safetensors" and not source.is_dir():
        return [
            subject_of_structure(sequence, given, _native(native, sequence)) for sequence, given in _structures(source)
        ]
    if source.is_dir():
        files = StageFiles(source.resolve().parent, source.resolve().name)
        adjacency = files.adjacency(files.sequence())
    else:
        adjacency = Adjacency.load(source)
    sequence = adjacency.rna
    return [subject_of_adjacency(adjacency, _native(native, sequence))]


def _structures(path: Path) -> list[tuple["RnaSequence", "GivenStructure"]]:
    from rna_predict.cli.console import LOG
    from rna_predict.formats.secondary_structure import read_structures

    found, notices = read_structures(path)
    for notice in notices:
        LOG.warning("%s: %s", notice.id, notice.message)
    names = [sequence.id.lower() for sequence, _ in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: {twice[0]} stands there twice; case is ignored. Leave one, or rename it.")
    return found


def _native(path: Path | None, sequence: "RnaSequence") -> "GivenStructure | None":
    from rna_predict.formats.secondary_structure import read_given

    return None if path is None else read_given(path, sequence)
