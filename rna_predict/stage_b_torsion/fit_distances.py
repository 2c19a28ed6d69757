"""Distributions of C1'-C1' distances by pair context, each smoothed with the broader context's (Dirichlet)."""

from dataclasses import dataclass

import numpy as np

from rna_predict.contracts import DISTOGRAM_EDGES
from rna_predict.stage_b_torsion.natives import NativeChain
from rna_predict.stage_b_torsion.pair_graph import CODES, LEVELS, REACH_CODES, back_off, pair_codes, pair_graph

BINS = len(DISTOGRAM_EDGES) + 1
FLOOR = 1e-4
"""Least share of the root distribution in any bin before normalising: nothing is impossible."""
CHAIN_WEIGHT = 50.0
"""A pair's weight is this over the chain's length, times the chain's weight; only its ratio to `smoothing` matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceFit:
    """Settings; the defaults were chosen by four-fold cross-validation over training clusters (decision 0003)."""

    smoothing: float = 200.0
    """Weight of the broader context's distribution; pairs of one chain are not independent, so it is large."""
    min_clusters: int = 3
    """Contexts seen in fewer clusters are left to the broader context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceModes:
    """Rows of the table: see `PriorTable`."""

    level_N: np.ndarray
    code_N: np.ndarray
    log_probability_N64: np.ndarray


def fit_distances(chains: list[NativeChain], settings: DistanceFit) -> DistanceModes:
    """The smoothed distribution of every pair context that enough clusters show, and of every reach."""
    code_P, bin_P, weight_P, cluster_P = observations(chains)
    root = np.bincount(bin_P, weight_P, BINS) + FLOOR * weight_P.sum()
    root /= root.sum()
    broader = np.tile(root, (REACH_CODES, 1))
    known = np.arange(REACH_CODES)
    levels, codes, tables = [], [], []
    for level in range(LEVELS - 1, -1, -1):
        own_P = back_off(code_P)[level]
        if level < LEVELS - 1:
            parents, known_above = broader, known
            known = _shown(own_P, cluster_P, settings.min_clusters)
            broader = _parent_rows(known, level, known_above, parents)
            known, broader = known[broader[:, 0] >= 0], broader[broader[:, 0] >= 0]
        counts = _histogram(own_P, bin_P, weight_P, known)
        broader = (counts + settings.smoothing * broader) / (counts.sum(axis=1, keepdims=True) + settings.smoothing)
        if level == LEVELS - 1:
            broader[0] = FLOOR / BINS
            broader[0, 0] = 1 - FLOOR  # reach 0: a residue and itself
            broader[0] /= broader[0].sum()
        levels.append(np.full(len(known), level, dtype=np.uint8))
        codes.append(known.astype(np.int32))
        tables.append(np.log(broader).astype(np.float16))
    return DistanceModes(
        level_N=np.concatenate(levels), code_N=np.concatenate(codes), log_probability_N64=np.concatenate(tables)
    )


def observations(chains: list[NativeChain]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Code, distance bin, weight and cluster number of every usable pair i < j within an unbroken segment."""
    clusters = {name: index for index, name in enumerate(sorted({chain.cluster for chain in chains}))}
    parts: list[tuple[np.ndarray, ...]] = []
    for chain in chains:
        i, j = np.triu_indices(len(chain.sequence), 1)
        gap = np.linalg.norm(chain.c1_L3[i] - chain.c1_L3[j], axis=-1)
        use = ~np.isnan(gap) & (chain.segment_L[i] == chain.segment_L[j])
        code = pair_codes(pair_graph(chain.partner_L))[i[use], j[use]]
        weight = np.full(len(code), CHAIN_WEIGHT * chain.weight / len(chain.sequence))
        parts.append((code, distance_bin(gap[use]), weight, np.full(len(code), clusters[chain.cluster])))
    code, bins, weight, cluster = (np.concatenate(column) for column in zip(*parts, strict=True))
    return code, bins, weight, cluster


def distance_bin(gap: np.ndarray) -> np.ndarray:
    """Bin of each distance in Å, by `DISTOGRAM_EDGES`."""
    return np.digitize(gap, DISTOGRAM_EDGES)


def _shown(code_P: np.ndarray, cluster_P: np.ndarray, least: int) -> np.ndarray:
    """Codes, sorted, that at least `least` clusters show."""
    both = np.unique(code_P.astype(np.int64) * (cluster_P.max() + 1) + cluster_P) // (cluster_P.max() + 1)
    code, count = np.unique(both, return_counts=True)
    return code[count >= least]


def _histogram(code_P: np.ndarray, bin_P: np.ndarray, weight_P: np.ndarray, known: np.ndarray) -> np.ndarray:
    place = np.minimum(np.searchsorted(known, code_P), len(known) - 1)
    hit = known[place] == code_P
    flat = np.bincount(place[hit] * BINS + bin_P[hit], weight_P[hit], len(known) * BINS)
    return flat.reshape(-1, BINS)


def _parent_rows(known: np.ndarray, level: int, known_above: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Distribution of each code's broader context; a row of -1 where that one is not in the table."""
    every = np.arange(CODES)
    levels = back_off(every)
    above_of = np.zeros(int(levels[level].max()) + 1, dtype=np.int64)
    above_of[levels[level]] = levels[level + 1]
    above = above_of[known]
    place = np.minimum(np.searchsorted(known_above, above), len(known_above) - 1)
    return np.where((known_above[place] == above)[:, None], parents[place], -1.0)
