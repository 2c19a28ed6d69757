"""From the rows of `rna-predict bench fold` to its figures: means with intervals by path, set and length."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from rna_predict.cli.fold_paths import NO_PAIRS
from rna_predict.cli.fold_rows import MEASURES, SCORED, Outcome, Row
from rna_predict.evaluation.bootstrap import DRAWS, Mean, grouped_means, interval, row_weights

SEED = 0
"""Of the bootstrap."""

LENGTHS = (50, 100, 200, 400)
"""Where one length bin ends and the next begins."""

IN_PARTS = ("tm", "lddt", "inf_wc", "rmsd", "tm_best_of_5", "lddt_best_of_5", "clash", "seconds", "peak_gb")

COMPARED = ("tm", "tm_c1", "lddt", "inf_wc", "inf_all", "rmsd", "mcq", "tm_best_of_5", "lddt_best_of_5")
"""Measures whose differences between paths are stated."""

SHOWN_DIFFERENCES = ("tm", "lddt", "inf_wc", "rmsd", "mcq")

SHOWN = {
    **{
        "tm": "TM(C3')",
        "tm_c1": "TM(C1')",
        "tm_best_of_5": "TM of 5",
        "lddt": "lDDT",
        "lddt_best_of_5": "lDDT of 5",
    },
    **{"rmsd": "RMSD", "inf_wc": "INF(WC)", "inf_stacking": "INF(st)", "inf_all": "INF", "mcq": "MCQ"},
    **{"clash": "clash", "breaks": "breaks", "inverted": "inverted", "pierced": "pierced", "formed": "formed"},
    **{"plddt_pearson": "pLDDT r", "seconds": "s", "peak_gb": "GB"},
}
"""Measure and heading of each column of the printed tables."""

UNIT = (
    "Means over targets that have the measure (<measure>_n of them), 95 % intervals by a bootstrap of clusters; a "
    "failed target is counted in `failed` and in no mean. tm is on C3'; seconds and GB are those of one target."
)

Figures = dict[str, Any]


def label(row: Row) -> str:
    """The path of a row with its pairs, e.g. `default/native`."""
    return row["path"] if row["pairs"] == NO_PAIRS else f"{row['path']}/{row['pairs']}"


def length_bin(nt: int) -> str:
    """Name of the bin of a length."""
    edges = (0, *LENGTHS)
    low = max(edge for edge in edges if nt >= edge)
    above = [edge for edge in LENGTHS if edge > nt]
    return f"{low:03d}-{above[0] - 1:03d}" if above else f"{low:03d}+"


def figures_of(outcomes: Sequence[Outcome]) -> Figures:
    """Everything for the JSON line; the keys of the first path and pairs stand at the top too."""
    labels = list(dict.fromkeys(label(outcome.row) for outcome in outcomes))
    by_label = {name: [outcome for outcome in outcomes if label(outcome.row) == name] for name in labels}
    paths = {name: cell(part) for name, part in by_label.items()}
    sets = list(dict.fromkeys(outcome.row["set"] for outcome in outcomes))
    found = {
        **paths[labels[0]],
        "headline": labels[0],
        "paths": paths,
        "sets": {
            name: {
                path: cell(part)
                for path in labels
                if (part := [outcome for outcome in by_label[path] if outcome.row["set"] == name])
            }
            for name in sets
        },
        "lengths": {name: by_length([outcome.row for outcome in part]) for name, part in by_label.items()},
        "templates": {name: by_template([outcome.row for outcome in part]) for name, part in by_label.items()},
        "differences": differences(by_label),
        "failures": [
            {key: outcome.row[key] for key in ("set", "id", "path", "pairs", "reason")}
            for outcome in outcomes
            if outcome.row["status"] != SCORED
        ],
        "unit": UNIT,
        "rows": [outcome.row for outcome in outcomes],
    }
    return rounded(found)


def rounded(value: Any) -> Any:
    """Every number in lists and mappings with six digits after the point."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value


def cell(outcomes: Sequence[Outcome]) -> Figures:
    """Means, intervals and counts of one path on some targets."""
    rows = [outcome.row for outcome in outcomes]
    scored = [row for row in rows if row["status"] == SCORED]
    found: Figures = {"targets": len(rows), "scored": len(scored), "failed": len(rows) - len(scored)}
    for name, mean in zip(MEASURES, _means(scored, MEASURES), strict=True):
        found |= {name: mean.value, f"{name}_interval": [mean.low, mean.high], f"{name}_n": mean.rows}
    for name in ("seconds", "peak_gb"):
        found[f"{name}_max"] = max((row[name] for row in scored if row[name] is not None), default=None)
    found |= pooled_pearson([outcome for outcome in outcomes if len(outcome.plddt_N)])
    found["how"] = dict(Counter(row["how"] for row in scored))
    return found


def by_length(rows: Iterable[Row]) -> Figures:
    """Means of each length bin that has a target."""
    return _by(rows, lambda row: length_bin(row["nt"]))


def by_template(rows: Iterable[Row]) -> Figures:
    """Means of the targets that a template was found for, and of the others."""
    return _by(rows, lambda row: "with" if row["template"] else "without")


def _by(rows: Iterable[Row], name_of: Callable[[Row], str]) -> Figures:
    """Means of the scored rows of each name."""
    bins: dict[str, list[Row]] = {}
    for row in rows:
        if row["status"] == SCORED:
            bins.setdefault(name_of(row), []).append(row)
    found: Figures = {}
    for name, part in sorted(bins.items()):
        means = zip(IN_PARTS, _means(part, IN_PARTS), strict=True)
        found[name] = {"scored": len(part)} | {measure: mean.value for measure, mean in means}
    return found


def differences(by_label: dict[str, list[Outcome]]) -> Figures:
    """The first path minus each other one, and its other pairs, on the targets that both have: mean, low, high."""
    first, *others = by_label
    of_target = {name: {_key(outcome.row): outcome.row for outcome in part} for name, part in by_label.items()}
    found: Figures = {}
    for other in others:
        both = [key for key in of_target[first] if key in of_target[other]]
        pairs = [(of_target[first][key], of_target[other][key]) for key in both]
        rows = [
            {"cluster": a["cluster"]}
            | {name: None if None in (a[name], b[name]) else a[name] - b[name] for name in COMPARED}
            for a, b in pairs
            if SCORED == a["status"] == b["status"]
        ]
        means = zip(COMPARED, _means(rows, COMPARED), strict=True)
        found[f"{first} - {other}"] = {"scored": len(rows)} | {
            name: [mean.value, mean.low, mean.high] for name, mean in means
        }
    return found


def pooled_pearson(outcomes: Sequence[Outcome]) -> Figures:
    """Correlation of pLDDT and true lDDT over the residues of all targets, and how far the mean pLDDT lies above."""
    keys = ("plddt_pearson_pooled", "plddt_pearson_pooled_interval", "plddt_bias")
    if not outcomes:
        return {keys[0]: None, keys[1]: [None, None], keys[2]: None}
    sums_N6 = np.array([_sums(outcome.plddt_N / 100, outcome.lddt_N) for outcome in outcomes])
    value = float(_correlation(sums_N6.sum(axis=0)))
    clusters = [outcome.row["cluster"] for outcome in outcomes]
    low = high = None
    if len(set(clusters)) > 1:
        drawn_D = _correlation(row_weights(clusters, SEED, DRAWS) @ sums_N6)
        if np.isfinite(drawn_D).any():
            low, high = interval(drawn_D[np.isfinite(drawn_D)])
    count, plddt, true = sums_N6.sum(axis=0)[:3]
    return {
        keys[0]: value if np.isfinite(value) else None,
        keys[1]: [low, high],
        keys[2]: float((plddt - true) / count),
    }


def tables(figures: Figures) -> dict[str, list[dict[str, object]]]:
    """The printed tables by title."""
    found: dict[str, list[dict[str, object]]] = {}
    rows = [row for row in figures["rows"] if row["status"] == SCORED]
    found["targets"] = [_head(row) | _shown(row) for row in rows]
    for name, paths in figures["sets"].items():
        found[f"{name}: means"] = [_line(path, values) for path, values in paths.items()]
    for title, key, column in (("by length", "lengths", "nt"), ("by template", "templates", "template")):
        parts: list[dict[str, object]] = []
        for path, bins in figures[key].items():
            parts += [{"path": path, column: name, **values} for name, values in bins.items()]
        found[title] = parts
    gaps: list[dict[str, object]] = [
        {
            "paths": name,
            "targets": values["scored"],
            **{measure: _signed(values[measure]) for measure in SHOWN_DIFFERENCES},
        }
        for name, values in figures["differences"].items()
    ]
    found["differences, mean and 95 %"] = gaps
    return found


def _shown(values: Figures) -> dict[str, object]:
    return {title: values[name] for name, title in SHOWN.items()}


def _head(row: Row) -> dict[str, object]:
    return {"id": row["id"], "path": label(row), "nt": row["nt"]}


def _line(path: str, values: Figures) -> dict[str, object]:
    counts = {"path": path, "targets": values["targets"], "failed": values["failed"]}
    return counts | _shown(values)


def _signed(triple: Sequence[float | None]) -> str:
    mean, low, high = triple
    if mean is None:
        return "-"
    return f"{mean:+.3f}" if low is None else f"{mean:+.3f} ({low:+.3f} … {high:+.3f})"


def _key(row: Row) -> tuple[str, str]:
    return row["set"], row["id"]


def _means(rows: Sequence[Row], measures: Sequence[str]) -> list[Mean]:
    """Means over rows with the intervals of draws of clusters; nothing of no rows."""
    if not rows:
        return [Mean(value=None, low=None, high=None, rows=0, groups=0) for _ in measures]
    matrix = np.array([[np.nan if row[name] is None else float(row[name]) for name in measures] for row in rows])
    return [means.rows for means in grouped_means(matrix, [row["cluster"] for row in rows], SEED)]


def _sums(x_N: np.ndarray, y_N: np.ndarray) -> np.ndarray:
    """Count and the sums of x, y, xx, yy, xy: what a correlation is made of."""
    return np.stack([np.ones_like(x_N), x_N, y_N, x_N * x_N, y_N * y_N, x_N * y_N]).sum(axis=1)


def _correlation(sums_X6: np.ndarray) -> np.ndarray:
    """Pearson's correlation from the sums; NaN where one side is constant."""
    count, x, y, xx, yy, xy = np.moveaxis(np.asarray(sums_X6, dtype=np.float64), -1, 0)
    spread = (count * xx - x**2) * (count * yy - y**2)
    return np.divide(
        count * xy - x * y, np.sqrt(np.maximum(spread, 0)), out=np.full(np.shape(spread), np.nan), where=spread > 1e-12
    )
