"""`rna-predict geometry FILE...`: what can be checked of a model without its native."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.bench import print_result
from rna_predict.errors import InputError

if TYPE_CHECKING:
    from rna_predict.contracts import Structure

WORST = ("breaks", "bond_max", "angle_outliers", "clash", "inverted", "pierced", "nonplanar")
"""Measures of which the largest over all models goes into the JSON."""


def geometry(
    files: Annotated[list[Path], typer.Argument(help="Models <id>.pdb or <id>.cif, gzipped or not.")],
    stages: Annotated[
        Path | None, typer.Option(help="Folder with <id>/a_adjacency.dbn: say how many of its nested pairs are formed.")
    ] = None,
) -> None:
    """Print chain breaks, bonds, clashes, sugar centres and rings of each model; the last line is one JSON object."""
    from rna_predict.formats.structure import read_structure

    models = [
        read_structure(path, id=path.name.removesuffix(".gz").rpartition(".")[0], together=True) for path in files
    ]
    measured = [geometry_of(model) for model in models]
    formed = [pairs_formed(model, stages) for model in models]
    rows = [
        {"id": model.id, "nt": model.length, **measures, "pairs_formed": share}
        for model, measures, share in zip(models, measured, formed, strict=True)
    ]
    worst = {name: max((v for m in measured if (v := m[name]) is not None), default=None) for name in WORST}
    least = min((share for share in formed if share is not None), default=None)
    print_result(rows, {"models": len(rows), **worst, "pairs_formed": least})


def geometry_of(model: "Structure") -> dict[str, float | None]:
    """The measures `WORST` of one model."""
    from rna_predict.evaluation.geometry_report import geometry_report

    report = geometry_report(model)
    return {
        "breaks": report.bonds.breaks,
        "bond_max": report.bonds.bond_max,
        "angle_outliers": report.bonds.angle_outliers,
        "clash": report.clash_score,
        "inverted": report.inverted,
        "pierced": report.pierced,
        "nonplanar": report.nonplanar,
    }


def pairs_formed(model: "Structure", stages: Path | None) -> float | None:
    """Share of stage A's nested pairs that the model forms by its coordinates; None without pairs to form.

    Raises:
        InputError: the folder has no structure of this model.
    """
    if stages is None:
        return None
    from rna_predict.contracts import RnaSequence
    from rna_predict.evaluation.annotation import annotate_pairs, nested_pairs, share_formed
    from rna_predict.formats.secondary_structure import read_given

    path = stages / model.id / "a_adjacency.dbn"
    given = read_given(path, RnaSequence(id=model.id, sequence=model.sequence, breaks=model.breaks))
    if given.partner_L is None:
        raise InputError(f"{path}: holds no pairs")
    return share_formed(annotate_pairs(model), nested_pairs(given.partner_L.tolist()))
