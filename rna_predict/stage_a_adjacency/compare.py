"""Which readout of stage A finds the canonical pairs of known structures best (decision 0002)."""

import csv
import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rna_predict.contracts import RnaSequence
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.formats.structure import read_structure
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency

logger = logging.getLogger(__name__)

Pairs = set[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """One chain of known structure: its sequence and canonical pairs (0-based, at least 3 residues between)."""

    sequence: RnaSequence
    pairs: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadoutScore:
    """Pair agreement of one readout over chains; the first three are means over chains, `pooled` counts all pairs."""

    name: str
    precision: float
    recall: float
    f1: float
    pooled: float


def natives(rna3d: Path, split: str, lengths: tuple[int, int] = (20, 400)) -> list[Native]:
    """One chain a cluster (least breaks, most complete, first by id) with pairs within itself.

    A chain whose own canonical pairs hold fewer than a quarter of its residues (strands of duplexes, single strands
    bound to proteins) is left out: its partner is not in the input.

    Args:
        rna3d: folder with `index.csv` (id, length, cluster80, split, n_breaks, completeness, file).
        split: `train` or `validation`.
        lengths: shortest and longest chain.
    """
    with (rna3d / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    rows = [row for row in rows if lengths[0] <= int(row["length"]) <= lengths[1]]
    rows.sort(key=lambda row: (int(row["n_breaks"]), -float(row["completeness"]), row["id"]))
    chosen: dict[str, Native] = {}
    for row in rows:
        if row["cluster80"] in chosen:
            continue
        structure = read_structure(rna3d / row["file"])
        pairs = {(i, j) for i, j in annotate_pairs(structure).canonical if j - i > MIN_LOOP}
        sequence = RnaSequence(id=row["id"], sequence=structure.sequence)
        chosen[row["cluster80"]] = Native(sequence=sequence, pairs=pairs)
    return [native for native in chosen.values() if 8 * len(native.pairs) >= native.sequence.length]


def candidates() -> dict[str, StageAConfig]:
    """The readouts that were compared, by name."""
    base = StageAConfig(backend="viennarna", readout="mea", min_stem=1)
    found = {
        f"mea γ={gamma:g}": dataclasses.replace(base, mea_gamma=gamma) for gamma in (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
    }
    found |= {name: dataclasses.replace(base, readout=name) for name in ("centroid", "mfe")}
    for name in ("mea γ=1", "mea γ=1.5", "mea γ=2", "mea γ=3", "mfe"):
        found[f"{name}, stems ≥ 2"] = dataclasses.replace(found[name], min_stem=2)
        found[f"{name}, no lonely pairs"] = dataclasses.replace(found[name], lonely_pairs=False)
    return found


def compare_readouts(chains: list[Native]) -> list[ReadoutScore]:
    """Score every candidate on the same chains, best mean F1 first."""
    scores = []
    for name, config in candidates().items():
        alone = dataclasses.replace(config, family="off")  # readouts of the energy model itself
        found = [set(predict_adjacency(native.sequence, alone).pairs) for native in chains]
        scores.append(_score(name, found, [native.pairs for native in chains]))
        logger.info("%s: mean F1 %.3f over %d chains", name, scores[-1].f1, len(chains))
    return sorted(scores, key=lambda score: -score.f1)


def _score(name: str, found: list[Pairs], known: list[Pairs]) -> ReadoutScore:
    hits = np.array([len(f & k) for f, k in zip(found, known, strict=True)])
    predicted, native = np.array([len(f) for f in found]), np.array([len(k) for k in known])
    f1 = 2 * hits / np.maximum(predicted + native, 1)
    return ReadoutScore(
        name=name,
        precision=float((hits / np.maximum(predicted, 1)).mean()),
        recall=float((hits / np.maximum(native, 1)).mean()),
        f1=float(f1.mean()),
        pooled=float(2 * hits.sum() / (predicted.sum() + native.sum())),
    )
