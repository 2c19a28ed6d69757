"""Search for pseudoknots with an energy model of nested structures: take a helix out, fold the rest, add it again.

As in HotKnots (Ren et al. 2005, RNA 11:1494) and Iterative HFold, but each candidate helix is tried first and the rest
folded around it, so that the nested optimum need not hold either of the two helices. The free energy of the knotted
ensemble is that of the rest with the helix's residues unpaired, plus the helix's stacks, plus a penalty: a constant
and a little for each unpaired residue within the knot (Dirks and Pierce 2003, J Comput Chem 24:1664; Reeder and
Giegerich 2004, BMC Bioinformatics 5:104, in form; the values were fitted, docs/decisions/0017).
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from rna_predict.errors import ConfigError, PredictionError
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Constraints, Fold, FoldFunction, pair_probabilities
from rna_predict.stage_a_adjacency.helix_energy import Helix, HelixEnergy, candidates
from rna_predict.stage_a_adjacency.reactivity import stacked_energy

GAS_CONSTANT = 0.0019872  # kcal/mol/K
LEAST_THIRD_LOOP = 2
"""Residues, as in pknotsRG (Reeder and Giegerich 2004)."""

LEAST_UNPAIRED = 1e-6
"""Smallest probability of being unpaired that a cost is computed from; float32 rounds below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knot:
    """A helix with the fold of the rest, and the free energy of both over that of the fold without it, kcal/mol."""

    helix: Helix
    rest: Fold
    gain: float


def search_pseudoknots(
    sequence: str, fold: Fold, config: StageAConfig, constraints: Constraints, refold: FoldFunction
) -> Fold:
    """The fold with the helix that crosses it and lowers the free energy most, if there is one.

    The probabilities are those of a mixture: with the knot's Boltzmann weight w, those of the rest and 1 for the
    helix's pairs; with 1 - w those of `fold`.

    Raises:
        ConfigError: the backend gives no free energy.
    """
    if fold.free_energy is None:
        raise ConfigError(
            f"stage_a.pseudoknots: iterative needs a free energy, backend {config.backend} gives none. Use off, "
            "threshknot or crossing."
        )
    thermal = GAS_CONSTANT * (config.temperature_celsius + 273.15)
    best: Knot | None = None
    for helix in _promising(sequence, fold, config, constraints, thermal):
        told = dataclasses.replace(constraints, unpaired=tuple(sorted({*constraints.unpaired, *helix.residues})))
        try:
            rest = refold(sequence, config, told)
        except PredictionError:  # the hard pairs cannot be held without these residues
            continue
        knot = Knot(helix=helix, rest=rest, gain=_gain(fold, rest, helix, config))
        if knot.gain < (0.0 if best is None else best.gain):
            best = knot
    return fold if best is None else _mixed(fold, best, thermal)


def _promising(
    sequence: str, fold: Fold, config: StageAConfig, constraints: Constraints, thermal: float
) -> list[Helix]:
    """The `pseudoknot_candidates` helices of the best estimates, as far as these outweigh the penalty."""
    unpaired_L = 1.0 - fold.probability_LL.sum(axis=1, dtype=np.float64)
    cost_L = -thermal * np.log(np.clip(unpaired_L, LEAST_UNPAIRED, 1.0))
    reactivity_L = constraints.reactivity_L
    stacked_L = None if reactivity_L is None else stacked_energy(reactivity_L, config)
    energy = HelixEnergy(sequence, config.temperature_celsius, constraints, stacked_L)
    blocked = frozenset(constraints.unpaired) | {end for pair in constraints.pairs for end in pair}
    found = candidates(sequence, energy, blocked, cost_L, config.pseudoknot_min_stem)
    return [
        helix for estimate, helix in found[: config.pseudoknot_candidates] if estimate + config.pseudoknot_penalty < 0
    ]


def _gain(fold: Fold, rest: Fold, helix: Helix, config: StageAConfig) -> float:
    """kcal/mol of the knotted ensemble over the fold; infinite where the helix crosses nothing, or as none can.

    A knot inside a closing pair is left out: of the candidates that the energies favoured there, too few were right.
    So is one whose third loop is too short to pass the first helix.
    """
    partner_L = rest.matching
    pairs = [(int(i), int(partner_L[i])) for i in np.flatnonzero(partner_L > np.arange(len(partner_L)))]
    crossed = [pair for pair in pairs if helix.crosses(*pair)]
    if not crossed or fold.free_energy is None or rest.free_energy is None:
        return np.inf
    start = min(i for i, _ in (*crossed, helix.pairs[0]))
    stop = max(j for _, j in (*crossed, helix.pairs[0]))
    if any(i < start and stop < j for i, j in pairs) or _third_loop(helix, crossed) < LEAST_THIRD_LOOP:
        return np.inf
    unpaired = int((partner_L[start : stop + 1] < 0).sum()) - len(helix.residues)
    penalty = config.pseudoknot_penalty + config.pseudoknot_unpaired * unpaired
    return helix.energy + rest.free_energy - fold.free_energy + penalty


def _third_loop(helix: Helix, crossed: list[tuple[int, int]]) -> int:
    """Residues between the 3' strands of the knot's two helices; they run along the shallow groove of the first."""
    (_, outer), (_, inner) = helix.pairs[0], helix.pairs[-1]
    before = [inner - j - 1 for i, j in crossed if i < helix.pairs[0][0]]
    behind = [j - outer - 1 for i, j in crossed if i > helix.pairs[0][0]]
    return min(before + behind)


def _mixed(fold: Fold, knot: Knot, thermal: float) -> Fold:
    """The fold without and the rest with the knot's helix, by their Boltzmann weights; the matching is the latter's."""
    weight = 1.0 / (1.0 + np.exp(knot.gain / thermal))
    mixture_LL = (1.0 - weight) * fold.probability_LL.astype(np.float64) + weight * knot.rest.probability_LL
    partner_L = knot.rest.matching.copy()
    for i, j in knot.helix.pairs:
        partner_L[i], partner_L[j] = j, i
        mixture_LL[i, j] += weight
    lowered = thermal * float(np.logaddexp(0.0, -knot.gain / thermal))
    free_energy = None if fold.free_energy is None else fold.free_energy - lowered
    return dataclasses.replace(
        fold, probability_LL=pair_probabilities(mixture_LL), partner_L=partner_L, free_energy=free_energy
    )
