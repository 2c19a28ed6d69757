"""One RNA on the page: its line in the table of all, what its panel shows, and its models, each packed on its own."""

import base64
import gzip
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from rna_predict.chemistry.chains import marked
from rna_predict.contracts import Motif
from rna_predict.evaluation.geometry_report import GeometryReport
from rna_predict.formats.dot_bracket import to_dot_bracket
from rna_predict.report.costs import Cost
from rna_predict.report.model_details import Measured, measure, model_details
from rna_predict.report.outcome import Finished, Missing
from rna_predict.report.structure_drawing import structure_drawing
from rna_predict.report.subject import most_probable, subject_of_adjacency

DOTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Probabilities above which a pair has a dot: the first that leaves no more than `ROOM`."""

ROOM = 4000
"""Most dots of probabilities."""

DONE, FAILED, UNFINISHED = "done", "failed", "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One RNA of the report.

    Attributes:
        row: its line in the table, JSON values.
        panel: what its panel shows besides models, packed; empty for an RNA without a result.
        models: its models, packed, best first.
    """

    row: dict[str, Any]
    panel: str = ""
    models: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.row["id"])

    def size(self, models: int | None = None) -> int:
        """Bytes that it takes on the page with its best models, all of them by default."""
        return len(self.panel) + sum(len(model) for model in self.models[:models])


def packed(content: Any) -> str:
    """JSON, compressed, in letters that stand in HTML as they are: gzip in base64. Equal content, equal text."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")


def entry_of_missing(found: Missing) -> Entry:
    """An RNA without a result: a line with the reason."""
    status = FAILED if found.failed else UNFINISHED
    return Entry(row={"id": found.id, "status": status, "stage": found.stage, "reason": found.reason})


def entry_of_finished(finished: Finished) -> Entry:
    """An RNA with its models; geometry, pairs and torsions are measured here.

    Raises:
        InputError: a model's base pairs cannot be annotated.
        PredictionError: ViennaRNA has no layout for the structure.
    """
    measured = [
        measure(finished.ensemble.rna, model, rank, finished.structure_of(model).pairs)
        for rank, model in enumerate(finished.ensemble.models, start=1)
    ]
    best = measured[0]
    return Entry(
        row=_row(finished, best),
        panel=packed(_panel(finished)),
        models=tuple(packed(model_details(one, best.structure) | _other(finished, one)) for one in measured),
    )


def _other(finished: Finished, measured: Measured) -> dict[str, Any]:
    """What the page says of the secondary structure of a model that has not stage A's first."""
    structure = finished.structure_of(measured.model)
    if structure is finished.adjacency:
        return {"other": None}
    text = marked(to_dot_bracket(structure.partner_L), structure.breaks)
    pairs = [list(pair) for pair in structure.pairs]
    return {"other": {"structure": text, "pairs": pairs, "chance": round(finished.adjacency.chance_of(structure), 2)}}


def _row(finished: Finished, best: Measured) -> dict[str, Any]:
    template = finished.templates[0] if finished.templates else None
    peaks = [cost.peak_mb for cost in finished.costs if cost.peak_mb is not None]
    return {
        "id": finished.id,
        "status": DONE,
        "nt": len(finished.sequence),
        "pairs": len(subject_of_adjacency(finished.adjacency).pairs),
        "plddt": round(best.plddt, 1),
        "ptm": round(float(best.model.ptm), 3),
        "models": len(finished.ensemble.models),
        "template": None if template is None else template.id,
        "tm": None if template is None else round(template.expected_tm, 2),
        "clash": round(best.report.clash_score or 0.0, 1),
        "faults": _faults(best.report),
        "fault_text": best.report.faults,
        "formed": None if best.formed is None else round(best.formed, 3),
        "seconds": round(sum(cost.seconds for cost in finished.costs), 1) if finished.costs else None,
        "peak_mb": round(max(peaks), 0) if peaks else None,
        "untrained": finished.ensemble.provenance.untrained,
    }


def _faults(report: GeometryReport) -> int:
    return report.bonds.breaks + report.pierced + report.inverted


def _panel(finished: Finished) -> dict[str, Any]:
    subject = subject_of_adjacency(finished.adjacency)
    shown = most_probable(finished.adjacency.probability_LL, DOTS, ROOM)
    dots = [[i, j, round(subject.probability((i, j)) or 0.0, 3)] for i, j in shown.pairs]
    return {
        "id": finished.id,
        "sequence": finished.sequence,
        "breaks": list(finished.ensemble.breaks),
        "dot_bracket": to_dot_bracket(finished.adjacency.partner_L),
        "pairs": [list(pair) for pair in subject.pairs],
        "pair_probabilities": [round(subject.probability(pair) or 0.0, 3) for pair in subject.pairs],
        "dots": dots,
        "dot_threshold": shown.threshold,
        "dots_left_out": shown.left_out,
        "drawing": structure_drawing(subject),
        "confidence_kind": finished.ensemble.confidence_kind,
        "untrained": finished.ensemble.provenance.untrained,
        "made": [
            {
                "stage": made.stage,
                "method": made.provenance.method,
                "weights": made.provenance.weights,
                "config": made.provenance.config,
                "version": made.provenance.package_version,
            }
            for made in finished.made
        ],
        "templates": [_template(finished, index) for index in range(len(finished.templates))],
        "loops": [_loop(motif) for motif in finished.loops],
        "known": list(finished.known),
        "costs": [_cost(cost) for cost in finished.costs],
        "notices": list(finished.notices),
    }


def _template(finished: Finished, index: int) -> dict[str, Any]:
    hit = finished.templates[index]
    return {
        "id": hit.id,
        "date": hit.date,
        "length": hit.length,
        "identity": round(hit.identity, 3),
        "coverage": round(hit.coverage, 3),
        "pair_agreement": round(hit.pair_agreement, 3),
        "expected_tm": round(hit.expected_tm, 3),
        "aligned": _spans(np.array([letter != "-" for letter in hit.letters])),
    }


def _loop(motif: Motif) -> dict[str, Any]:
    there_L = np.zeros(int(motif.residue_N.max()) + 1, dtype=bool)
    there_L[motif.residue_N] = True
    return {
        "id": motif.hit.id,
        "kind": motif.hit.kind,
        "letters": motif.hit.letters,
        "expected_lddt": round(motif.hit.expected_lddt, 3),
        "similarity": round(motif.hit.similarity, 3),
        "aligned": _spans(there_L),
    }


def _spans(there_L: np.ndarray) -> list[list[int]]:
    """Half-open ranges of residues that are there."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there_L.astype(int), [0]])))
    return [[int(start), int(end)] for start, end in edges.reshape(-1, 2)]


def _cost(cost: Cost) -> dict[str, Any]:
    return {"job": cost.job, "seconds": round(cost.seconds, 2), "peak_mb": cost.peak_mb, "shared": cost.shared}
