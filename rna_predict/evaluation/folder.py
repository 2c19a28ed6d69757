"""Score a folder of predictions against a folder of natives."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rna_predict.errors import InputError, RnaPredictError
from rna_predict.evaluation.correspondence import common
from rna_predict.evaluation.geometry_report import GeometryReport
from rna_predict.evaluation.scores import Scores, score
from rna_predict.formats.structure import read_structure

ENDINGS = (".pdb", ".ent", ".cif", ".mmcif")
"""In order of choice when one id has several files; each may end in .gz too."""

NATIVE_MEASURES = (
    "tm_c3",
    "tm_c1",
    "rmsd",
    "lddt",
    "inf_wc",
    "inf_nwc",
    "inf_stacking",
    "inf_all",
    "di",
    "pair_f1",
    "mcq",
)
GEOMETRY_MEASURES = (
    "clash",
    "breaks",
    "break_share",
    "bond_max",
    "bonds_over_003",
    "bonds_over_006",
    "angle_outliers",
    "inverted",
    "pierced",
    "nonplanar",
)
MEASURES = (*NATIVE_MEASURES, *GEOMETRY_MEASURES)
"""Columns that have a mean, a median and a count."""

COUNTS = ("length", "residues_missing", "atoms_missing", "bases_left_out", "torsions_left_out")
"""Columns that say what a row is made of."""

SCORED = "scored"
STATUSES = (
    SCORED,
    "missing_prediction",
    "unreadable_prediction",
    "unreadable_native",
    "contradiction",
    "unscorable",
    "no_native",
)

Row = dict[str, str | float | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """One id with its files, of which one may be absent."""

    id: str
    prediction: Path | None
    native: Path | None
    chain: str | None


def evaluate_folders(
    predictions: Path,
    natives: Path,
    chains: Mapping[str, str] | None = None,
    ids: Sequence[str] | None = None,
) -> tuple[list[Row], dict[str, float | int | None]]:
    """Score every native of a folder; files belong together by name (`<id>.pdb`, `.ent`, `.cif`, `.mmcif`, also .gz).

    Args:
        predictions: folder of models, one RNA chain a file.
        natives: folder of natives.
        chains: author's chain name of a native by id, needed where its file has several RNA chains.
        ids: score these only; default all natives, and a prediction without a native is listed as `no_native`.

    Returns:
        A row for each id: `id`, `status` (of `STATUSES`), `reason`, `notice`, the columns `COUNTS` and `MEASURES`;
        None where a measure is undefined or the row is not scored. And the figures of `summarise`.

    Raises:
        InputError: a folder is missing or holds no structure file.
    """
    found_predictions, found_natives = structure_files(predictions), structure_files(natives)
    if not found_natives:
        raise InputError(f"{natives}: no structure file ({', '.join(ENDINGS)}, also .gz) in this folder")
    wanted = list(ids) if ids is not None else sorted(found_natives | found_predictions)
    names = chains or {}
    rows = [
        _row(_Target(id=id, prediction=found_predictions.get(id), native=found_natives.get(id), chain=names.get(id)))
        for id in wanted
    ]
    return rows, summarise(rows)


def summarise(rows: Sequence[Row]) -> dict[str, float | int | None]:
    """Means and medians over scored rows, each over the rows that have the measure.

    Returns:
        For each measure m of `MEASURES`: `m` (mean), `m_median`, `m_n` (rows in it); mean and median are None when
        `m_n` is 0. `targets` counts all rows, and each status of `STATUSES` its own.
    """
    figures: dict[str, float | int | None] = {"targets": len(rows)}
    for status in STATUSES:
        figures[status] = sum(row["status"] == status for row in rows)
    for measure in MEASURES:
        values = [float(value) for row in rows if row["status"] == SCORED and (value := row[measure]) is not None]
        figures[measure] = statistics.fmean(values) if values else None
        figures[f"{measure}_median"] = statistics.median(values) if values else None
        figures[f"{measure}_n"] = len(values)
    return figures


def score_row(scores: Scores) -> Row:
    """One scored row."""
    row = _empty_row(scores.id, SCORED)
    row["notice"] = scores.notice
    row["length"] = scores.native_length
    for name in (*COUNTS[1:], *NATIVE_MEASURES):
        row[name] = getattr(scores, name)
    return row | geometry_row(scores.geometry)


def geometry_row(report: GeometryReport) -> Row:
    """The columns `GEOMETRY_MEASURES`."""
    return {
        "clash": report.clash_score,
        "breaks": report.bonds.breaks,
        "break_share": report.bonds.break_share,
        "bond_max": report.bonds.bond_max,
        "bonds_over_003": report.bonds.bonds_over_003,
        "bonds_over_006": report.bonds.bonds_over_006,
        "angle_outliers": report.bonds.angle_outliers,
        "inverted": report.inverted,
        "pierced": report.pierced,
        "nonplanar": report.nonplanar,
    }


def structure_files(folder: Path) -> dict[str, Path]:
    """The structure file of each id in a folder, not below it; of several the first by `ENDINGS`, plain before .gz.

    Raises:
        InputError: the folder does not exist.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    choices = [ending + packed for ending in ENDINGS for packed in ("", ".gz")]
    files: dict[str, Path] = {}
    for ending in reversed(choices):
        files |= {path.name[: -len(ending)]: path for path in sorted(folder.glob(f"*{ending}")) if path.is_file()}
    files.pop("", None)
    return files


def _row(target: _Target) -> Row:
    """The row of one id, whatever is wrong with it."""
    if target.native is None:
        return _failed(target.id, "no_native", "no native of this name")
    if target.prediction is None:
        return _failed(target.id, "missing_prediction", "no prediction of this name")
    step = "unreadable_prediction"
    try:
        model = read_structure(target.prediction, id=target.id, together=True)
        step = "unreadable_native"
        native = read_structure(target.native, target.chain, target.id, together=bool(model.breaks))
        step = "contradiction"
        common(model, native)
        step = "unscorable"
        return score_row(score(model, native))
    except RnaPredictError as error:
        return _failed(target.id, step, str(error))


def _failed(id: str, status: str, reason: str) -> Row:
    row = _empty_row(id, status)
    row["reason"] = reason
    return row


def _empty_row(id: str, status: str) -> Row:
    keys = ("reason", "notice", *COUNTS, *MEASURES)
    return {"id": id, "status": status} | dict.fromkeys(keys)
