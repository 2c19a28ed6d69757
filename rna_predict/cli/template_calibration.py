"""How good threaded templates are: TM-scores of alignments with chains of known structure, and the fit to them.

A chain is looked up in a library with its own pairs and with predicted ones. It never meets itself. What is fitted are
chains of one split; the quality that is stated is that of five fits which each leave out a fifth of the clusters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from rna_predict.chemistry.residues import C3
from rna_predict.contracts import Adjacency, RnaSequence
from rna_predict.contracts.given import GivenStructure
from rna_predict.data.chains import Chain
from rna_predict.data.dataset import ChainDataset
from rna_predict.evaluation.correspondence import SharedAtoms
from rna_predict.evaluation.tm_score import tm_score
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.templates.features import TERMS, Calibration
from rna_predict.templates.library import Library
from rna_predict.templates.logistic import fit
from rna_predict.templates.search import Found, align_rows
from rna_predict.templates.threading import thread

PAIRS = ("native", "predicted")
BEST = 6
"""Chains with the best scores whose TM-scores are taken."""
OTHERS = 2
"""More, drawn from those behind: the fit must know bad ones too."""
LOOKED_AT = 30
FOLDS = 5
FULL_WEIGHT = 60
"""Residues from which on a longer RNA counts no more: TM-scores of short ones are noise, d0 being below 1 Å."""
PER_CLUSTER = 2
"""Chains of one cluster that are looked up, drawn where there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An alignment and what it is worth.

    Attributes:
        query: id of the chain that was looked up.
        cluster: its cluster.
        pairs: whose pairs it was looked up with.
        found: the aligned library chain.
        tm: TM-score (C3', over the query's residues) of the aligned residues.
    """

    query: str
    cluster: str
    pairs: str
    found: Found
    tm: float


def adjacency_of(chain: Chain, pairs: str, config: StageAConfig | None = None) -> Adjacency:
    """Stage A's result with the chain's own pairs, or with those that it predicts."""
    sequence = RnaSequence(id=chain.id, sequence=chain.sequence)
    given = None
    if pairs == "native":
        given = GivenStructure(id=chain.id, length=chain.length, partner_L=chain.partner_L, source="native")
    return predict_adjacency(sequence, config or StageAConfig(), given)


def threaded_tm(chain: Chain, library: Library, found: Found) -> float:
    """TM-score of a threaded template against the chain, over the chain's residues; 0 of fewer than three atoms."""
    threaded = thread(chain.sequence, found.row.sequence, library.atoms(found.position), found.position_L)
    atoms = SharedAtoms(
        model_LA3=threaded.xyz_LA3.astype(np.float64),
        native_LA3=chain.xyz_LA3.astype(np.float64),
        native_mask_LA=chain.mask_LA,
        mask_LA=threaded.mask_LA & chain.mask_LA,
    )
    return tm_score(atoms) if atoms.mask_LA[:, C3].sum() >= 3 else 0.0


def sample_chain(chain: Chain, cluster: str, library: Library, pairs: str, seed: int) -> list[Sample]:
    """Alignments of a chain with those of the library that score best, and some behind."""
    adjacency = adjacency_of(chain, pairs)
    chosen = [n for n, row in enumerate(library.rows) if not row.loop and row.id != chain.id]
    blank = Calibration(weights=(0.0,) * len(TERMS), made_by={})
    found = align_rows(adjacency, library.rows, chosen, LOOKED_AT, blank)
    rest = found[BEST:]
    drawn = np.random.default_rng(seed).permutation(len(rest))[:OTHERS]
    taken = found[:BEST] + [rest[k] for k in sorted(drawn.tolist())]
    return [
        Sample(query=chain.id, cluster=cluster, pairs=pairs, found=one, tm=threaded_tm(chain, library, one))
        for one in taken
    ]


def queries(dataset: ChainDataset, split: str, min_length: int, seed: int) -> list[int]:
    """Positions of the chains that are looked up, ascending: some of each cluster of a split."""
    generator = np.random.default_rng(seed)
    members: dict[str, list[int]] = {}
    for position in generator.permutation(dataset.positions(split)).tolist():
        if dataset.length_N[position] >= min_length:
            members.setdefault(dataset.clusters[position], []).append(position)
    return sorted(position for own in members.values() for position in own[:PER_CLUSTER])


def fit_samples(samples: Sequence[Sample], made_by: dict[str, object]) -> Calibration:
    """The fit to all samples, each cluster counting by its length, with its quality across clusters in `made_by`."""
    vector_NF = np.stack([sample.found.features.vector for sample in samples])
    tm_N = np.array([sample.tm for sample in samples])
    clusters = sorted({sample.cluster for sample in samples})
    number_N = np.array([clusters.index(sample.cluster) for sample in samples])
    length_N = np.array([sample.found.features.length for sample in samples])
    weight_N = (1.0 / np.bincount(number_N))[number_N] * np.minimum(length_N, FULL_WEIGHT)
    fold_C = np.random.default_rng(0).permutation(len(clusters)) % FOLDS
    expected_N = np.zeros(len(samples))
    for fold in range(FOLDS):
        held_N = fold_C[number_N] == fold
        own = Calibration(weights=fit(vector_NF[~held_N], tm_N[~held_N], weight_N[~held_N]), made_by={})
        for k in np.flatnonzero(held_N).tolist():
            expected_N[k] = own.expected(samples[k].found.features)
    quality = {
        "alignments": len(samples),
        "clusters": len(clusters),
        "across_clusters": {
            "mean_error": round(float(np.average(np.abs(expected_N - tm_N), weights=weight_N)), 4),
            "pearson": round(float(np.corrcoef(expected_N, tm_N)[0, 1]), 4),
            "pearson_from_30_nt": round(float(np.corrcoef(expected_N[length_N >= 30], tm_N[length_N >= 30])[0, 1]), 4),
            "by_expected": reliability_rows(expected_N, tm_N),
        },
    }
    return Calibration(weights=fit(vector_NF, tm_N, weight_N), made_by=made_by | quality)


def reliability_rows(expected_N: np.ndarray, tm_N: np.ndarray) -> list[dict[str, float | int]]:
    """Alignments by tenths of the expected TM-score: how many, mean expected and mean true one."""
    rows: list[dict[str, float | int]] = []
    tenth_N = np.minimum((expected_N * 10).astype(int), 9)
    for tenth in range(10):
        own = tenth_N == tenth
        if own.any():
            means = {"expected": round(fmean(expected_N[own]), 3), "true": round(fmean(tm_N[own]), 3)}
            rows.append({"alignments": int(own.sum())} | means)
    return rows


def sample_split(
    dataset: ChainDataset,
    library: Library,
    split: str,
    min_length: int,
    advance: Callable[[str], None] = lambda name: None,
) -> list[Sample]:
    """Samples of all queries of a split, with both sources of pairs."""
    samples: list[Sample] = []
    for position in queries(dataset, split, min_length, seed=0):
        chain = dataset[position]
        for pairs in PAIRS:
            samples += sample_chain(chain, dataset.clusters[position], library, pairs, seed=position)
        advance(chain.id)
    return samples
