"""How well a prior table predicts torsions and distances of chains it was not made from, given their native pairs."""

import hashlib
from dataclasses import dataclass

import numpy as np

from rna_predict.chemistry.torsions import A_FORM_DEGREES, TORSIONS
from rna_predict.contracts import DISTOGRAM_EDGES
from rna_predict.stage_b_torsion.contexts import residue_keys
from rna_predict.stage_b_torsion.fit_distances import distance_bin
from rna_predict.stage_b_torsion.natives import NativeChain
from rna_predict.stage_b_torsion.pair_graph import pair_codes, pair_graph
from rna_predict.stage_b_torsion.prior_table import PriorTable
from rna_predict.stage_b_torsion.priors_build import PriorSettings, fit_table

FOLDS = 4
NEAR = 15.0
"""Å, native distances that the lDDT-like score counts."""
FAR = 22.0
"""Å, the upper end of the distogram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainErrors:
    """Errors of one chain.

    Attributes:
        weight: weight of the chain in means.
        table_L7: radians, absolute torsion differences of the table, NaN where the native has none.
        a_form_L7: the same for A-form torsions everywhere.
        paired_L: which residues are paired.
        log_likelihood: mean natural logarithm of the probability of the native's distance bins below `FAR`.
        distance_score: lDDT-like agreement of the median distances with native ones below `NEAR`.
    """

    weight: float
    table_L7: np.ndarray
    a_form_L7: np.ndarray
    paired_L: np.ndarray
    log_likelihood: float
    distance_score: float


def score(table: PriorTable, chains: list[NativeChain]) -> dict[str, float]:
    """Figures of a table on chains: see `figures`."""
    return figures([_errors(table, chain) for chain in chains])


def cross_validate(chains: list[NativeChain], settings: PriorSettings) -> dict[str, float]:
    """The same figures by four-fold cross-validation over clusters."""
    errors: list[ChainErrors] = []
    for fold in range(FOLDS):
        table = fit_table([chain for chain in chains if _fold(chain) != fold], settings, {})
        errors += [_errors(table, chain) for chain in chains if _fold(chain) == fold]
    return figures(errors)


def figures(errors: list[ChainErrors]) -> dict[str, float]:
    """Figures over all residues, weighted by chain.

    MCQ in degrees over the seven torsions (atan2 of the sums of sin Δ and cos Δ, Δ in [0, π]), of the table and of
    A-form torsions everywhere, for all, paired (`stem`) and unpaired (`loop`) residues and by torsion; the mean over
    chains of each chain's MCQ; and of the distances the mean log-likelihood and the lDDT-like score.
    """
    weight = np.array([chain.weight for chain in errors])
    weight_N = np.repeat(weight, [len(chain.paired_L) for chain in errors])
    paired_N = np.concatenate([chain.paired_L for chain in errors])
    result: dict[str, float] = {"chains": float(len(errors))}
    for name in ("table", "a_form"):
        apart = [getattr(chain, f"{name}_L7") for chain in errors]
        apart_N7 = np.concatenate(apart)
        result[f"mcq_{name}"] = _mcq(apart_N7, weight_N)
        result[f"mcq_{name}_stem"] = _mcq(apart_N7[paired_N], weight_N[paired_N])
        result[f"mcq_{name}_loop"] = _mcq(apart_N7[~paired_N], weight_N[~paired_N])
        each = [_mcq(one, np.ones(len(one))) for one in apart]
        result[f"mcq_{name}_mean_of_chains"] = float(np.average(each, weights=weight))
        for column, torsion in enumerate(TORSIONS):
            result[f"mcq_{name}_{torsion}"] = _mcq(apart_N7[:, column : column + 1], weight_N)
    for name in ("log_likelihood", "distance_score"):
        values = np.array([getattr(chain, name) for chain in errors])
        result[name] = float(np.average(values[~np.isnan(values)], weights=weight[~np.isnan(values)]))
    return result


def median_distance(log_probability: np.ndarray) -> np.ndarray:
    """Å, middle of the bin [..., 64] that holds the median; the last bin counts as 2 Å beyond its lower edge."""
    edges = np.array(DISTOGRAM_EDGES)
    step = edges[1] - edges[0]
    middles = np.append(edges - step / 2, edges[-1] + 2.0)
    cumulative = np.cumsum(np.exp(log_probability.astype(np.float64)), axis=-1)
    return middles[np.minimum((cumulative < 0.5).sum(axis=-1), len(edges))]


def _fold(chain: NativeChain) -> int:
    return int(hashlib.sha256(chain.cluster.encode()).hexdigest(), 16) % FOLDS


def _errors(table: PriorTable, chain: NativeChain) -> ChainErrors:
    predicted_L7 = table.angle_K7[table.torsion_rows(residue_keys(chain.sequence, chain.loops))].astype(np.float64)
    native_L7 = chain.angle_L9[:, :7]
    a_form_7 = np.radians([A_FORM_DEGREES[name] for name in TORSIONS])
    likelihood, agreement = _distance_errors(table, chain)
    return ChainErrors(
        weight=chain.weight,
        table_L7=_apart(predicted_L7, native_L7),
        a_form_L7=_apart(a_form_7, native_L7),
        paired_L=chain.partner_L >= 0,
        log_likelihood=likelihood,
        distance_score=agreement,
    )


def _distance_errors(table: PriorTable, chain: NativeChain) -> tuple[float, float]:
    i, j = np.triu_indices(len(chain.sequence), 1)
    gap = np.linalg.norm(chain.c1_L3[i] - chain.c1_L3[j], axis=-1)
    use = (gap < FAR) & (chain.segment_L[i] == chain.segment_L[j])
    i, j, gap = i[use], j[use], gap[use]
    if not (gap < NEAR).any():
        return float("nan"), float("nan")
    logits = table.log_probability_N64[table.distance_row_C[pair_codes(pair_graph(chain.partner_L))[i, j]]]
    likelihood = logits[np.arange(len(gap)), distance_bin(gap)].mean(dtype=np.float64)
    off = np.abs(median_distance(logits) - gap)[gap < NEAR]
    return float(likelihood), float(np.mean([(off < limit).mean() for limit in (0.5, 1, 2, 4)]))


def _apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.abs(np.remainder(first - second + np.pi, 2 * np.pi) - np.pi)


def _mcq(apart_N7: np.ndarray, weight_N: np.ndarray) -> float:
    seen_N7 = ~np.isnan(apart_N7)
    share_N7 = weight_N[:, None] * seen_N7
    value_N7 = np.where(seen_N7, apart_N7, 0.0)
    return float(np.degrees(np.arctan2((share_N7 * np.sin(value_N7)).sum(), (share_N7 * np.cos(value_N7)).sum())))
