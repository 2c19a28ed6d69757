"""One prediction of `rna-predict bench fold`: predict a target by one path, score every model, keep a row."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rna_predict.cli.batch import FAILURES, one_line
from rna_predict.cli.fold_targets import Target
from rna_predict.cli.resident import resident_mb
from rna_predict.cli.threads import set_threads
from rna_predict.contracts import RnaSequence, Structure
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.contracts.given import GivenStructure
from rna_predict.contracts.structure import whole_structure
from rna_predict.errors import PredictionError
from rna_predict.evaluation.annotation import annotate_pairs, nested_pairs, share_formed
from rna_predict.evaluation.correspondence import common, shared_atoms
from rna_predict.evaluation.lddt import lddt
from rna_predict.evaluation.scores import Scores, score
from rna_predict.formats.models import residue_plddt, write_best_pdb, write_ensemble
from rna_predict.formats.pdb import write_pdb
from rna_predict.pipeline import PipelineConfig, Prediction, predict

A_FORM = "a_form"
"""The path without a prediction: a chain of A-form torsions, of which there is one model without confidence."""

PREDICTED, NATIVE, NO_PAIRS = "predicted", "native", "none"
"""Whose pairs a path starts from."""

BEST_OF = 5

SCORED, FAILED = "scored", "failed"

MEASURES = (
    *("tm", "tm_c1", "lddt", "inf_wc", "inf_nwc", "inf_stacking", "inf_all", "rmsd", "mcq"),
    *("clash", "breaks", "bond_max", "inverted", "pierced", "formed"),
    *("tm_best_of_5", "lddt_best_of_5", "tm_average", "lddt_average", "faulty_models"),
    *("plddt", "plddt_pearson", "seconds", "peak_gb"),
)
"""Columns of a row that have a mean. Of the best-ranked model, but for `…_best_of_5` and `…_average`, which are over
the first five, and `faulty_models`, the number of models with a break, an inverted sugar centre or a pierced ring."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One target by one path.

    Attributes:
        target: what is predicted; its native is there.
        path: name of the settings, or `A_FORM`.
        pairs: `PREDICTED`, `NATIVE` or `NO_PAIRS`.
        config: the settings; None for `A_FORM`.
        models: folder that the models are written to, or None.
        threads: for BLAS and torch.
    """

    target: Target
    path: str
    pairs: str
    config: PipelineConfig | None
    models: Path | None
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A row, and the best model's residues, for which confidence and truth are both known.

    Attributes:
        row: `set`, `id`, `path`, `pairs`, `nt`, `cluster`, `status`, `reason`, `how`, `seeds` and `MEASURES`.
        residue_N: int64 [N], 1-based positions in the sequence.
        plddt_N: float64 [N], 0-100.
        lddt_N: float64 [N], 0-1.
    """

    row: Row
    residue_N: np.ndarray
    plddt_N: np.ndarray
    lddt_N: np.ndarray


def run_job(job: Job) -> Outcome:
    """Predict and score; what goes wrong is the row's reason."""
    set_threads(job.threads)
    assert job.target.native is not None
    try:
        return _done(job, job.target.native)
    except FAILURES as error:
        return failed(job, one_line(error))


def failed(job: Job, reason: str) -> Outcome:
    """The outcome of a job that came to nothing."""
    row = _head(job) | {"status": FAILED, "reason": " ".join(reason.split())} | dict.fromkeys(("how", "seeds"))
    nothing_N = np.zeros(0)
    return Outcome(
        row=row | dict.fromkeys(MEASURES), residue_N=nothing_N.astype(np.int64), plddt_N=nothing_N, lddt_N=nothing_N
    )


def native_pairs(native: Structure, sequence: RnaSequence) -> list[tuple[int, int]]:
    """Canonical pairs of a native as 0-based positions in the sequence, each residue in one pair at most.

    Raises:
        InputError: the native is not of this sequence.
    """
    model = whole_structure(sequence.id, sequence.sequence, np.zeros((sequence.length, *native.xyz_LA3.shape[1:])))
    match = common(model, native)
    place = dict(zip(match.native_L.tolist(), match.model_L.tolist(), strict=True))
    taken: set[int] = set()
    pairs = []
    for first, second in annotate_pairs(native).canonical:
        if first not in place or second not in place:
            continue
        i, j = place[first], place[second]
        if j - i > MIN_LOOP and not {i, j} & taken:
            taken |= {i, j}
            pairs.append((i, j))
    return pairs


def _head(job: Job) -> Row:
    target = job.target
    return {
        "set": target.set,
        "id": target.id,
        "path": job.path,
        "pairs": job.pairs,
        "nt": len(target.sequence),
        "cluster": target.cluster,
    }


def _done(job: Job, native: Structure) -> Outcome:
    sequence = RnaSequence(id=job.target.id, sequence=job.target.sequence)
    given = None
    if job.pairs == NATIVE:
        given = GivenStructure.from_pairs(sequence.id, sequence.length, native_pairs(native, sequence), "native pairs")
    measurable = _reset_peak()
    start = time.perf_counter()
    prediction = None if job.config is None else predict(sequence, job.config, given)
    models = [a_form(sequence)] if prediction is None else _structures(prediction)
    cost = {
        "seconds": time.perf_counter() - start,
        "peak_gb": resident_mb(reset=False) / 1024 if measurable else None,
    }
    if job.models is not None:
        _write(job.models, models[0], prediction)
    scores = [score(model, native) for model in models[:BEST_OF]]
    row = _head(job) | {"status": SCORED, "reason": None} | _made_how(prediction) | _first(scores[0], models[0])
    row |= _over_models(scores, models) | {"formed": _formed(prediction, models[0])} | cost
    residues = _residues(prediction, models[0], native)
    row |= {"plddt": float(residues[1].mean()) if len(residues[1]) else None, "plddt_pearson": pearson(*residues[1:])}
    return Outcome(row=row, residue_N=residues[0], plddt_N=residues[1], lddt_N=residues[2])


def a_form(sequence: RnaSequence) -> Structure:
    """A single strand of the A-form helix, stage C's chain from torsions."""
    import torch

    from rna_predict.geometry.internal import a_form_internal
    from rna_predict.geometry.nerf import build

    built = build(a_form_internal(sequence.sequence, torch.zeros((), dtype=torch.float64)))
    return whole_structure(sequence.id, sequence.sequence, built.numpy())


def _structures(prediction: Prediction) -> list[Structure]:
    return [prediction.ensemble.structure(rank) for rank in range(len(prediction.ensemble.models))]


def _reset_peak() -> bool:
    """Whether this system tells the peak memory, which then counts from here."""
    try:
        resident_mb(reset=True)
    except PredictionError:
        return False
    return True


def _made_how(prediction: Prediction | None) -> Row:
    if prediction is None:
        return {"how": "A-form torsions", "seeds": None}
    ensemble = prediction.ensemble
    return {"how": ensemble.provenance.method, "seeds": [int(model.seed) for model in ensemble.models]}


def _first(scores: Scores, model: Structure) -> Row:
    """Measures of the best-ranked model."""
    report = scores.geometry
    same = ("tm_c1", "lddt", "inf_wc", "inf_nwc", "inf_stacking", "inf_all", "rmsd", "mcq")
    return (
        {"tm": scores.tm_c3}
        | {name: getattr(scores, name) for name in same}
        | {
            "clash": report.clash_score,
            "breaks": report.bonds.breaks,
            "bond_max": report.bonds.bond_max,
            "inverted": report.inverted,
            "pierced": report.pierced,
        }
    )


def _over_models(scores: Sequence[Scores], models: Sequence[Structure]) -> Row:
    """Measures over the first five models; what any of them lacks is left out."""
    from rna_predict.evaluation.geometry_report import geometry_report

    found: Row = {}
    for name, attribute in (("tm", "tm_c3"), ("lddt", "lddt")):
        values = [value for one in scores if (value := getattr(one, attribute)) is not None]
        found[f"{name}_best_of_5"] = max(values, default=None)
        found[f"{name}_average"] = float(np.mean(values)) if values else None
    reports = [one.geometry for one in scores] + [geometry_report(model) for model in models[len(scores) :]]
    return found | {"faulty_models": sum(bool(report.faults) for report in reports)}


def _formed(prediction: Prediction | None, model: Structure) -> float | None:
    """Share of stage A's nested pairs that the model forms."""
    if prediction is None:
        return None
    return share_formed(annotate_pairs(model), nested_pairs(prediction.adjacency.partner_L.tolist()))


def _residues(
    prediction: Prediction | None, model: Structure, native: Structure
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, pLDDT and true lDDT of the best model's residues that have both."""
    if prediction is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
    match = common(model, native)
    true = lddt(shared_atoms(model, native, match))
    known_N = true.defined_L[match.native_L]
    plddt_L = residue_plddt(model.sequence, prediction.ensemble.models[0].plddt_LA)
    return match.model_L[known_N] + 1, plddt_L[match.model_L[known_N]], true.residue_L[match.native_L[known_N]]


def pearson(first_N: np.ndarray, second_N: np.ndarray) -> float | None:
    """Pearson's correlation; None where either is constant."""
    if len(first_N) < 2 or np.ptp(first_N) == 0 or np.ptp(second_N) == 0:
        return None
    return float(np.corrcoef(first_N, second_N)[0, 1])


def _write(folder: Path, best: Structure, prediction: Prediction | None) -> None:
    """The models as `rna-predict predict` writes them; a lone chain as PDB."""
    folder.mkdir(parents=True, exist_ok=True)
    pdb = folder / f"{best.id}.pdb"
    if prediction is None:
        write_pdb(best, pdb, remarks=("A-form torsions",))
        return
    write_ensemble(prediction.ensemble, folder / f"{best.id}.cif", folder / f"{best.id}.json")
    write_best_pdb(prediction.ensemble, pdb)
