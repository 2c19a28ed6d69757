"""The pictures of `rna-predict bench fold`."""

from collections.abc import Sequence

import numpy as np

from rna_predict.cli.fold_figures import label, pooled_pearson
from rna_predict.cli.fold_rows import Outcome
from rna_predict.report.density_plot import DensityPlot, density_plot
from rna_predict.report.value_plot import Series, ValuePlot, top_of, value_plot

PLOTTED = {
    "tm": "TM-score (C3')",
    "lddt": "lDDT, all heavy atoms",
    "inf_wc": "INF of canonical pairs",
    "rmsd": "RMSD of all heavy atoms, Å",
}
"""Measure and name of each plot over targets."""


def plots(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """SVG texts by file name: each of `PLOTTED` over targets, and of each path with confidence `plddt_<path>`."""
    labels = list(dict.fromkeys(label(outcome.row) for outcome in outcomes))
    targets = sorted({(outcome.row["nt"], outcome.row["set"], outcome.row["id"]) for outcome in outcomes})
    rows = {(outcome.row["set"], outcome.row["id"], label(outcome.row)): outcome.row for outcome in outcomes}
    found: dict[str, str] = {}
    for measure, axis in PLOTTED.items():
        series = tuple(
            Series(
                name=name,
                values=tuple(rows.get((set, id, name), {}).get(measure) for _, set, id in targets),
            )
            for name in labels
        )
        found[measure] = value_plot(
            ValuePlot(
                title=f"{axis} by target",
                axis=axis,
                targets=tuple(f"{id}, {nt} nt" if nt else f"{id}, not read" for nt, _, id in targets),
                series=series,
                top=top_of(series) if measure == "rmsd" else 1.0,
            )
        )
    for name in labels:
        part = [outcome for outcome in outcomes if label(outcome.row) == name and len(outcome.plddt_N)]
        if part:
            found[f"plddt_{name.replace('/', '_')}"] = _confidence(name, part)
    return found


def _confidence(name: str, outcomes: Sequence[Outcome]) -> str:
    pooled = pooled_pearson(outcomes)
    value = pooled["plddt_pearson_pooled"]
    return density_plot(
        DensityPlot(
            title=f"Confidence and truth, {name}",
            note=f"{len(outcomes)} targets; Pearson's r over residues {'-' if value is None else f'{value:.2f}'}; "
            "line: mean of each column",
            x_name="pLDDT / 100",
            y_name="true lDDT of the residue",
            x_N=np.concatenate([outcome.plddt_N for outcome in outcomes]) / 100,
            y_N=np.concatenate([outcome.lddt_N for outcome in outcomes]),
        )
    )
