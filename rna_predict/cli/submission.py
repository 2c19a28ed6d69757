"""`rna-predict submission PREDICTIONS`: the five best models of every target as one file for Kaggle."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.console import LOG
from rna_predict.cli.stages import Ambiguous
from rna_predict.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from rna_predict.contracts import RnaSequence
    from rna_predict.formats.submission import TargetModels


def submission(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="Folder of `rna-predict predict`, results/stages or results/preds; or a submission, which is checked."
        ),
    ],
    sequences: Annotated[
        Path,
        typer.Option(help="The targets in order: test_sequences.csv (target_id, sequence), sample sheet or FASTA."),
    ],
    out: Annotated[Path, typer.Option(help="CSV file to write; a submission that is only checked needs none.")] = Path(
        "submission.csv"
    ),
    ambiguous: Ambiguous = "refuse",
) -> None:
    """Write ID, resname, resid and C1' of five models a target, or nothing: exit code 2 with the first fault.

    Checked on the file itself: every residue of every target once and in order, the letters of the sequence, five
    models that differ, no zeros, no NaN, no -1e18.
    """
    from rna_predict.formats.reading import read_text
    from rna_predict.formats.submission import check_submission, write_submission
    from rna_predict.formats.target_table import read_target_table

    targets, notices = read_target_table(sequences, ambiguous)
    for notice in notices:
        LOG.warning("%s: %s", notice.id or sequences, notice.message)
    if predictions.is_file():
        check_submission(read_text(predictions), targets, str(predictions))
        LOG.info("%s: %d targets, right in all that is checked", predictions, len(targets))
        return
    found = read_models(predictions, targets)
    write_submission(found, out)
    LOG.info("%s: %d targets, %d residues", out, len(found), sum(target.length for target in targets))


def read_models(folder: Path, targets: Sequence["RnaSequence"]) -> list["TargetModels"]:
    """The five best models of each target.

    Raises:
        InputError: targets without a file, too few models, or models of another sequence.
    """
    from rna_predict.formats.submission import TargetModels

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder or file. Name the folder with the predictions.")
    lost = [target.id for target in targets if not _files(folder, target.id)]
    if lost:
        shown = ", ".join(lost[:10]) + (f" and {len(lost) - 10} more" if len(lost) > 10 else "")
        raise InputError(
            f"{folder}: no <id>.cif and no <id>/d_models.cif of {len(lost)} of {len(targets)} targets: {shown}. "
            "Predict them, or give the folder that has them."
        )
    return [TargetModels(sequence=target, c1_ML3=_five(folder, target)) for target in targets]


def _files(folder: Path, id: str) -> list[Path]:
    """Where an RNA's models may stand; beside results/preds, which has the best alone, in results/stages."""
    choices = (folder / f"{id}.cif", folder / id / "d_models.cif", folder.parent / "stages" / id / "d_models.cif")
    return [path for path in choices if path.is_file()]


def _five(folder: Path, target: "RnaSequence") -> "np.ndarray":
    """C1' of the five best models, float64 [5, L, 3]; from the first file that has so many."""
    from rna_predict.formats.submission import MODELS

    held: list[str] = []
    best = None
    for path in _files(folder, target.id):
        c1_ML3 = _c1(path, target)
        if best is not None and abs(c1_ML3[0] - best).max() > 0.0015:
            raise InputError(
                f"{path}: its best model is not the one in {held[-1]}: one of them is stale. Predict {target.id} again."
            )
        if len(c1_ML3) >= MODELS:
            return c1_ML3[:MODELS]
        best = c1_ML3[0]
        held.append(f"{path} ({len(c1_ML3)})")
    raise InputError(
        f"{target.id}: {MODELS} models are needed; found {', '.join(held)}. Predict it with --models {MODELS} "
        f"(stage_d.models), and give that folder or results/stages."
    )


def _c1(path: Path, target: "RnaSequence") -> "np.ndarray":
    from rna_predict.chemistry.residues import C1
    from rna_predict.formats.model_cif import read_atom_table

    rna, xyz_MLA3, _ = read_atom_table(path)
    if (rna.id, rna.sequence) != (target.id, target.sequence):
        what = "id" if rna.id != target.id else "sequence"
        raise InputError(
            f"{path}: {what} {(rna.id if what == 'id' else rna.sequence)[:60]} is not that of target {target.id} "
            f"({target.length} nt). Predict {target.id} again."
        )
    return xyz_MLA3[:, :, C1]
