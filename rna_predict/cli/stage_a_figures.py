"""From scored predictions to the figures of `rna-predict bench stage-a`: means with intervals, tables, file rows."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rna_predict.cli.stage_a_methods import Answer
from rna_predict.cli.stage_a_rows import BenchRow
from rna_predict.data.pair_groups import ACCESSION
from rna_predict.evaluation.base_pairs import PairScore, pairs_of, score_pairs
from rna_predict.evaluation.bootstrap import Mean, grouped_means

DEFAULT, MFE = "default", "vienna_mfe"

VARIANTS = NO_FAMILY, FULL_LIBRARY = "no_family", "full_library"
"""Stage A without families, and with all of them, held out or not."""

MEASURES: dict[str, Callable[[PairScore], float | None]] = {
    "f1": lambda score: score.exact.f1,
    "precision": lambda score: score.exact.precision,
    "recall": lambda score: score.exact.recall,
    "mcc": lambda score: score.exact.mcc,
    "f1_near": lambda score: score.near.f1,
    "precision_near": lambda score: score.near.precision,
    "recall_near": lambda score: score.near.recall,
    "mcc_near": lambda score: score.near.mcc,
    "f1_canonical": lambda score: score.canonical.f1,
    "precision_canonical": lambda score: score.canonical.precision,
    "recall_canonical": lambda score: score.canonical.recall,
    "f1_pseudoknot": lambda score: score.crossing.f1 if score.crossing.native else None,
    "precision_pseudoknot": lambda score: score.crossing.precision if score.crossing.native else None,
    "recall_pseudoknot": lambda score: score.crossing.recall if score.crossing.native else None,
    "false_knot": lambda score: None if score.crossing.native else float(score.crossing.predicted > 0),
}
"""`near` is within one position; `canonical` and `pseudoknot` count only such pairs, on both sides. Pseudoknots are
measured on rows whose native has one, the same for every method; `false_knot` is 1 where another row gets one."""

LENGTHS = (50, 100, 200, 400)
"""Where one length bin ends and the next begins."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One method's answer to one row."""

    answer: Answer
    score: PairScore


@dataclass(slots=True, kw_only=True)
class Scored:
    """A row with the results of all methods, by name."""

    row: BenchRow
    results: dict[str, Result]

    def add(self, method: str, answer: Answer) -> None:
        """Score an answer; its probabilities are not kept."""
        known = self.row.row
        score = score_pairs(answer.partner_L, known.partner_L, known.sequence)
        self.results[method] = Result(answer=replace(answer, probability_LL=None), score=score)

    def value(self, method: str, measure: str) -> float:
        """A measure, NaN where it is undefined."""
        value = MEASURES[measure](self.results[method].score)
        return float("nan") if value is None else value


def length_bin(length: int) -> str:
    """Name of the bin of a length."""
    edges = [0, *LENGTHS]
    low = max(edge for edge in edges if length >= edge)
    above = [edge for edge in LENGTHS if edge > length]
    return f"{low:03d}-{above[0] - 1:03d}" if above else f"{low:03d}+"


def in_rfam(row: BenchRow) -> bool:
    """Whether the row's family is one of Rfam's, so that a whole profile library knows it."""
    return ACCESSION.fullmatch(row.row.family) is not None


def summary(scored: Sequence[Scored], methods: Sequence[str], measures: Iterable[str], seed: int) -> Record:
    """Each method's measures, and differences in F1 between methods on the same rows.

    Every measure and difference is `{"families": [mean, low, high], "rows": [mean, low, high], "n": rows with it}`.
    """
    columns = [(method, measure) for method in methods for measure in measures]
    pairs = compared(methods)
    matrix = np.array(
        [
            [*(one.value(*column) for column in columns), *(one.value(a, "f1") - one.value(b, "f1") for a, b in pairs)]
            for one in scored
        ]
    )
    families = [one.row.row.family for one in scored]
    means = grouped_means(matrix.reshape(len(scored), len(columns) + len(pairs)), families, seed)
    cells = [{"families": _triple(mean.groups), "rows": _triple(mean.rows), "n": mean.rows.rows} for mean in means]
    found: Record = {"rows": len(scored), "families": len(set(families)), "methods": {method: {} for method in methods}}
    for (method, measure), cell in zip(columns, cells, strict=False):
        found["methods"][method][measure] = cell
    gaps = zip(pairs, cells[len(columns) :], strict=True)
    found["differences"] = {f"{first}_minus_{second}": cell for (first, second), cell in gaps}
    return found


def compared(methods: Sequence[str]) -> list[tuple[str, str]]:
    """Which methods are subtracted: the default and every other, and each variant of ours and ViennaRNA's MFE."""
    pairs = [(DEFAULT, method) for method in methods if method != DEFAULT] if DEFAULT in methods else []
    return pairs + [(method, MFE) for method in methods if method in VARIANTS and MFE in methods]


def timing(scored: Sequence[Scored], methods: Sequence[str]) -> dict[str, Record]:
    """Medians of wall and CPU seconds a sequence, the 95th percentile, and how many failed, by method.

    On a busy machine only the CPU's are steady; other programs do not tell them.
    """
    found: dict[str, Record] = {}
    for method in methods:
        answers = [one.results[method].answer for one in scored if method in one.results]
        seconds = [answer.seconds for answer in answers if answer.seconds is not None]
        cpu = [answer.cpu_seconds for answer in answers if answer.cpu_seconds is not None]
        found[method] = {
            "cpu_seconds_median": _rounded(statistics.median(cpu)) if cpu else None,
            "seconds_median": _rounded(statistics.median(seconds)) if seconds else None,
            "seconds_p95": _rounded(float(np.quantile(seconds, 0.95))) if seconds else None,
            "failed": sum(bool(answer.error) for answer in answers),
            "how": dict(Counter(answer.how for answer in answers if answer.how)),
        }
    return found


def split_by(scored: Sequence[Scored], key: Callable[[BenchRow], str]) -> dict[str, list[Scored]]:
    """Rows by a name, sorted."""
    groups: dict[str, list[Scored]] = {}
    for one in scored:
        groups.setdefault(key(one.row), []).append(one)
    return dict(sorted(groups.items()))


def by_name(scored: Sequence[Scored], methods: Sequence[str], key: Callable[[BenchRow], str], seed: int) -> Record:
    """For each name rows, families, each method's F1, and differences over families with intervals."""
    found: Record = {}
    for name, part in split_by(scored, key).items():
        full = summary(part, methods, ("f1",), seed)
        found[name] = {
            "rows": full["rows"],
            "families": full["families"],
            "f1_families": {method: cells["f1"]["families"][0] for method, cells in full["methods"].items()},
            "f1_rows": {method: cells["f1"]["rows"][0] for method, cells in full["methods"].items()},
            "differences": {name: cell["families"] for name, cell in full["differences"].items()},
        }
    return found


def by_family(scored: Sequence[Scored], methods: Sequence[str]) -> Record:
    """For each family its rows and each method's mean F1, without intervals: a family alone says nothing of others."""
    found: Record = {}
    for name, part in split_by(scored, lambda row: row.row.family).items():
        values = {method: float(np.nanmean([one.value(method, "f1") for one in part])) for method in methods}
        found[name] = {"rows": len(part), "f1": {method: _rounded(value) for method, value in values.items()}}
    return found


def headline(group: str, full: Mapping[str, Any]) -> Record:
    """The figures of one group that stand first: means over families, then over rows, then differences."""
    found: Record = {}
    for method, cells in full["methods"].items():
        name = f"f1_{method}_{group}"
        found[name], found[f"{name}_interval"] = _split(cells["f1"]["families"])
        found[f"{name}_rows"], found[f"{name}_rows_interval"] = _split(cells["f1"]["rows"])
    for gap, cell in full["differences"].items():
        name = f"f1_{gap}_{group}"
        found[name], found[f"{name}_interval"] = _split(cell["families"])
        found[f"{name}_rows"], found[f"{name}_rows_interval"] = _split(cell["rows"])
    return found


def method_table(full: Mapping[str, Any], times: Mapping[str, Record]) -> list[Record]:
    """A row for each method of a group."""
    shown = {"f1_near": "F1 ±1", "f1_canonical": "F1 canonical", "f1_pseudoknot": "F1 pseudoknot"}
    rows: list[Record] = []
    for method, cells in full["methods"].items():
        mean, low, high = cells["f1"]["families"]
        rows.append(
            {
                "method": method,
                "F1 families": mean,
                "95 %": "-" if low is None else f"{low:.3f}-{high:.3f}",
                "F1 rows": cells["f1"]["rows"][0],
                "precision": cells["precision"]["families"][0],
                "recall": cells["recall"]["families"][0],
                "MCC": cells["mcc"]["families"][0],
                **{title: cells[name]["families"][0] for name, title in shown.items()},
                "knots": cells["f1_pseudoknot"]["n"],
                "false knots": cells["false_knot"]["rows"][0],
                "s": times[method]["seconds_median"],
                "cpu s": times[method]["cpu_seconds_median"],
                "failed": times[method]["failed"],
            }
        )
    return rows


def name_table(what: str, found: Mapping[str, Any]) -> list[Record]:
    """A row for each name, F1 as means over rows."""
    return [
        {what: name, "rows": cell["rows"], "families": cell["families"], **cell["f1_rows"]}
        for name, cell in found.items()
    ]


def file_rows(scored: Iterable[Scored]) -> Iterable[Record]:
    """A record for each row and method, from which any other statistic can be made; pairs are 1-based."""
    for one in scored:
        row = one.row.row
        known = {name: getattr(row, name) for name in ("id", "source", "family", "cluster", "split")}
        for method, result in one.results.items():
            answer, score = result.answer, result.score
            yield known | {
                "group": one.row.group,
                "length": row.length,
                "method": method,
                "how": answer.how,
                "hits": " ".join(answer.hits),
                "seconds": "" if answer.seconds is None else f"{answer.seconds:.4f}",
                "cpu_seconds": "" if answer.cpu_seconds is None else f"{answer.cpu_seconds:.4f}",
                "error": answer.error,
                **{
                    f"{kind}_{name}": getattr(getattr(score, kind), name)
                    for kind in ("exact", "near", "canonical", "crossing")
                    for name in ("native", "predicted", "right", "found")
                },
                **{name: _text(measure(score)) for name, measure in MEASURES.items()},
                "pairs": " ".join(f"{i + 1}-{j + 1}" for i, j in pairs_of(answer.partner_L)),
            }


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _split(triple: Sequence[float | None]) -> tuple[float | None, list[float | None]]:
    return triple[0], list(triple[1:])


def _triple(mean: Mean) -> list[float | None]:
    return [None if value is None else _rounded(value) for value in (mean.value, mean.low, mean.high)]


def _rounded(value: float) -> float:
    return round(value, 4)
