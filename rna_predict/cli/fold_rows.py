"""One prediction of `rna-predict bench fold`: predict a target by one path, score every model, keep a row."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rna_predict.cli.batch import FAILURES, one_line
from rna_predict.cli.fold_paths import NATIVE, Made, make, native_pairs
from rna_predict.cli.fold_targets import Target
from rna_predict.cli.resident import resident_mb
from rna_predict.cli.threads import set_threads
from rna_predict.contracts import RnaSequence, Structure
from rna_predict.contracts.given import GivenStructure
from rna_predict.errors import PredictionError
from rna_predict.evaluation.annotation import annotate_pairs, nested_pairs, share_formed
from rna_predict.evaluation.correspondence import common, shared_atoms
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.evaluation.lddt import lddt
from rna_predict.evaluation.scores import Scores, score
from rna_predict.formats.models import residue_plddt, write_best_pdb, write_ensemble
from rna_predict.formats.pdb import write_pdb
from rna_predict.pipeline import PipelineConfig

BEST_OF = 5

SCORED, FAILED = "scored", "failed"

MEASURES = (
    *("tm", "tm_c1", "lddt", "inf_wc", "inf_nwc", "inf_stacking", "inf_all", "rmsd", "mcq"),
    *("clash", "breaks", "bond_max", "inverted", "pierced", "formed"),
    *("tm_best_of_5", "lddt_best_of_5", "tm_average", "lddt_average", "faulty_models"),
    *("plddt", "plddt_pearson", "ptm", "ptm_error", "seconds", "peak_gb"),
)
"""Columns of a row that have a mean. Of the best-ranked model, but for `…_best_of_5` and `…_average`, which are over
the first five, and `faulty_models`, the number of models with a break, an inverted sugar centre or a pierced ring;
`ptm_error` is how far pTM is from the TM-score."""

ABOUT = ("how", "seeds", "template", "template_identity", "template_expected_tm")
"""Columns that say what made the models: in words, their seeds, and the first template that was found."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One target by one path.

    Attributes:
        target: what is predicted; its native is there.
        path: one of `fold_paths`.
        pairs: `PREDICTED`, `NATIVE` or `NO_PAIRS`.
        config: the path's settings.
        models: folder that the models are written to, or None.
        threads: for BLAS and torch.
    """

    target: Target
    path: str
    pairs: str
    config: PipelineConfig
    models: Path | None
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A row, and the best model's residues, for which confidence and truth are both known.

    Attributes:
        row: `set`, `id`, `path`, `pairs`, `nt`, `cluster`, `status`, `reason`, `ABOUT` and `MEASURES`.
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
    row = _head(job) | {"status": FAILED, "reason": " ".join(reason.split())} | dict.fromkeys(ABOUT)
    nothing_N = np.zeros(0)
    return Outcome(
        row=row | dict.fromkeys(MEASURES), residue_N=nothing_N.astype(np.int64), plddt_N=nothing_N, lddt_N=nothing_N
    )


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
    made = make(job.path, sequence, job.config, given)
    cost = {
        "seconds": time.perf_counter() - start,
        "peak_gb": resident_mb(reset=False) / 1024 if measurable else None,
    }
    if job.models is not None:
        _write(job.models, made)
    scores = [score(model, native) for model in made.models[:BEST_OF]]
    row = _head(job) | {"status": SCORED, "reason": None} | _about(made) | _first(scores[0])
    row |= _over_models(scores, made.models) | {"formed": _formed(made)} | cost
    residues = _residues(made, native)
    row |= {"plddt": float(residues[1].mean()) if len(residues[1]) else None, "plddt_pearson": pearson(*residues[1:])}
    row["ptm"] = None if made.prediction is None else made.prediction.ensemble.models[0].ptm
    row["ptm_error"] = None if None in (row["ptm"], row["tm"]) else abs(row["ptm"] - row["tm"])
    return Outcome(row=row, residue_N=residues[0], plddt_N=residues[1], lddt_N=residues[2])


def _reset_peak() -> bool:
    """Whether this system tells the peak memory, which then counts from here."""
    try:
        resident_mb(reset=True)
    except PredictionError:
        return False
    return True


def _about(made: Made) -> Row:
    """The columns `ABOUT`."""
    seeds = None if made.prediction is None else [int(model.seed) for model in made.prediction.ensemble.models]
    hit = made.hit
    return {
        "how": made.how,
        "seeds": seeds,
        "template": None if hit is None else hit.id,
        "template_identity": None if hit is None else hit.identity,
        "template_expected_tm": None if hit is None else hit.expected_tm,
    }


def _first(scores: Scores) -> Row:
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
    found: Row = {}
    for name, attribute in (("tm", "tm_c3"), ("lddt", "lddt")):
        values = [value for one in scores if (value := getattr(one, attribute)) is not None]
        found[f"{name}_best_of_5"] = max(values, default=None)
        found[f"{name}_average"] = float(np.mean(values)) if values else None
    reports = [one.geometry for one in scores] + [geometry_report(model) for model in models[len(scores) :]]
    return found | {"faulty_models": sum(bool(report.faults) for report in reports)}


def _formed(made: Made) -> float | None:
    """Share of stage A's nested pairs that the best model forms."""
    if made.prediction is None:
        return None
    return share_formed(annotate_pairs(made.models[0]), nested_pairs(made.prediction.adjacency.partner_L.tolist()))


def _residues(made: Made, native: Structure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, pLDDT and true lDDT of the best model's residues that have both."""
    if made.prediction is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
    model = made.models[0]
    match = common(model, native)
    true = lddt(shared_atoms(model, native, match))
    known_N = true.defined_L[match.native_L]
    plddt_L = residue_plddt(model.sequence, made.prediction.ensemble.models[0].plddt_LA)
    return match.model_L[known_N] + 1, plddt_L[match.model_L[known_N]], true.residue_L[match.native_L[known_N]]


def pearson(first_N: np.ndarray, second_N: np.ndarray) -> float | None:
    """Pearson's correlation; None where either is constant."""
    if len(first_N) < 2 or np.ptp(first_N) == 0 or np.ptp(second_N) == 0:
        return None
    return float(np.corrcoef(first_N, second_N)[0, 1])


def _write(folder: Path, made: Made) -> None:
    """The models as `rna-predict predict` writes them; a lone chain as PDB."""
    folder.mkdir(parents=True, exist_ok=True)
    best = made.models[0]
    pdb = folder / f"{best.id}.pdb"
    if made.prediction is None:
        write_pdb(best, pdb, remarks=(made.how,))
        return
    ensemble = made.prediction.ensemble
    write_ensemble(ensemble, folder / f"{best.id}.cif", folder / f"{best.id}.json")
    write_best_pdb(ensemble, pdb)
