"""`rna-predict bench baseline`: the whole pipeline on the validation targets, by ViennaRNA's and by native pairs.

Every target is predicted twice with the default settings and seeds: (i) `vienna`, stage A's own structure; (ii)
`native`, the native's canonical pairs given. The best-ranked model is scored. Means are over targets; a measure that a
target does not have is left out and counted (`*_n`).
"""

import csv
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rna_predict.cli.shared_natives import natives_folder
from rna_predict.cli.threads import set_threads
from rna_predict.contracts import RnaSequence, Structure
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.contracts.given import GivenStructure
from rna_predict.errors import RnaPredictError
from rna_predict.evaluation.annotation import annotate_pairs, nested_pairs, share_formed
from rna_predict.evaluation.correspondence import common, shared_atoms
from rna_predict.evaluation.lddt import lddt
from rna_predict.evaluation.scores import score
from rna_predict.formats.structure import read_structure
from rna_predict.pipeline import PipelineConfig, Prediction, predict

PATHS = ("vienna", "native")

MEASURES = ("tm_c3", "tm_c1", "rmsd", "lddt", "inf_wc", "inf_nwc", "inf_stacking", "inf_all", "mcq")

GEOMETRY = ("clash", "breaks", "bond_max", "inverted", "pierced", "formed")

Row = dict[str, Any]


def run() -> tuple[list[Row], dict[str, Any]]:
    """Rows, one a target and path, and the means by path."""
    folder = natives_folder()
    with (folder / "validation_targets.csv").open() as file:
        targets = [(row["id"], row["sequence"]) for row in csv.DictReader(file)]
    jobs = [
        (folder / "chains", *target, path) for path in PATHS for target in sorted(targets, key=lambda t: -len(t[1]))
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(_job, jobs))
    rows.sort(key=lambda row: (PATHS.index(row["path"]), row["nt"]))
    figures: dict[str, Any] = {"targets": len(targets), "models": PipelineConfig().stage_d.models}
    for path in PATHS:
        figures |= _means([row for row in rows if row["path"] == path], path)
    return rows, figures


def native_pairs(native: Structure, sequence: str) -> list[tuple[int, int]]:
    """Canonical pairs of a native as 0-based positions in the full sequence, each residue in one pair at most."""
    whole = native.length == len(sequence)
    place = np.arange(native.length) if whole else native.number_L - 1
    taken: set[int] = set()
    pairs = []
    for first, second in annotate_pairs(native).canonical:
        i, j = int(place[first]), int(place[second])
        if j - i > MIN_LOOP and not {i, j} & taken:
            taken |= {i, j}
            pairs.append((i, j))
    return pairs


def _job(job: tuple[Path, str, str, str]) -> Row:
    chains, name, letters, path = job
    set_threads(1)
    row: Row = {"id": name, "path": path, "nt": len(letters), "status": "scored"}
    row |= dict.fromkeys((*MEASURES, "best_tm_c3", "best_lddt", *GEOMETRY, "plddt_r", "seconds"))
    try:
        native = read_structure(chains / f"{name}.pdb.gz", id=name)
        sequence = RnaSequence(id=name, sequence=letters)
        given = None
        if path == "native":
            given = GivenStructure.from_pairs(name, len(letters), native_pairs(native, letters), "native pairs")
        start = time.perf_counter()
        prediction = predict(sequence, PipelineConfig(), given)
        return row | {"seconds": time.perf_counter() - start} | _scored(prediction, native)
    except RnaPredictError as error:
        return row | {"status": str(error).replace("\n", " ")}


def _scored(prediction: Prediction, native: Structure) -> Row:
    models = [prediction.ensemble.structure(rank) for rank in range(len(prediction.ensemble.models))]
    scores = [score(model, native) for model in models]
    report = scores[0].geometry
    return {name: getattr(scores[0], name) for name in MEASURES} | {
        "best_tm_c3": max((s.tm_c3 for s in scores if s.tm_c3 is not None), default=None),
        "best_lddt": max((s.lddt for s in scores if s.lddt is not None), default=None),
        "clash": report.clash_score,
        "breaks": report.bonds.breaks,
        "bond_max": report.bonds.bond_max,
        "inverted": report.inverted,
        "pierced": report.pierced,
        "formed": share_formed(annotate_pairs(models[0]), nested_pairs(prediction.adjacency.partner_L.tolist())),
        "plddt_r": plddt_correlation(prediction, models[0], native),
    }


def plddt_correlation(prediction: Prediction, model: Structure, native: Structure) -> float | None:
    """Pearson correlation of the best model's residue pLDDT with its true lDDT; None where either is constant."""
    match = common(model, native)
    found = lddt(shared_atoms(model, native, match))
    if found.value is None:
        return None
    plddt_L = prediction.ensemble.models[0].plddt_LA[match.model_L, 0][found.defined_L[match.native_L]]
    true_L = found.residue_L[match.native_L][found.defined_L[match.native_L]]
    if np.ptp(plddt_L) == 0 or np.ptp(true_L) == 0:
        return None
    return float(np.corrcoef(plddt_L, true_L)[0, 1])


def _means(rows: list[Row], path: str) -> dict[str, Any]:
    figures: dict[str, Any] = {f"{path}_failed": sum(row["status"] != "scored" for row in rows)}
    for name in (*MEASURES, "best_tm_c3", "best_lddt", *GEOMETRY, "plddt_r"):
        values = [row[name] for row in rows if row[name] is not None]
        figures[f"{path}_{name}"] = float(np.mean(values)) if values else None
        figures[f"{path}_{name}_n"] = len(values)
    return figures
