"""The ViennaRNA backend: McCaskill's partition function and a matching read from it.

Lorenz et al. 2011, ViennaRNA Package 2.0, Algorithms Mol Biol 6:26. Energy parameters: Turner 2004, dangles 2.

Several chains are folded as one complex in their order, at ViennaRNA's standard state of 1 mol/l. It does not add a
pseudo-energy to a pair that closes a loop in which a chain ends.
"""

import numpy as np
import RNA

from rna_predict.chemistry.chains import spaced, split_chains
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.errors import PredictionError
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.energy_models import compound_under
from rna_predict.stage_a_adjacency.folding import Constraints, Fold, can_pair, pair_probabilities

INFEASIBLE = 1e4
"""kcal/mol; ViennaRNA's energy of "no structure fits the constraints" is 1e5."""

SMALLEST_PROBABILITY = 1e-6
"""Pairs below it are left out. At 3,000 nt 89,000 of 4.5 million remain, and all others together sum to 3e-5."""


def fold(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    """Compute pair probabilities and read a matching.

    Raises:
        PredictionError: no structure of the energy model fits the constraints (an internal loop may hold
            30 unpaired residues at most).
    """
    model = RNA.md()
    model.temperature = config.temperature_celsius
    model.noLP = int(not config.lonely_pairs)
    if config.max_pair_span:
        model.max_bp_span = config.max_pair_span + 1  # ViennaRNA counts both residues
    compound = compound_under(sequence, config.energy_parameters, model, constraints.breaks)
    _constrain(compound, config, constraints)
    mfe_structure, energy = compound.mfe()
    if not np.isfinite(energy) or energy > INFEASIBLE:
        pairs = ", ".join(f"{i + 1}-{j + 1}" for i, j in constraints.pairs[:5])
        raise PredictionError(
            f"ViennaRNA finds no structure that has all given pairs ({pairs} …). Use given_mode override."
        )
    compound.exp_params_rescale(energy)
    free_energy = compound.pf()[1]
    probability_LL = pair_probabilities(_upper_triangle(compound, len(sequence)))
    if config.readout == "mfe":
        structure = mfe_structure
    else:
        structure = compound.centroid()[0] if config.readout == "centroid" else compound.MEA(config.mea_gamma)[0]
    return Fold(probability_LL=probability_LL, partner_L=from_dot_bracket(structure), free_energy=free_energy)


def _upper_triangle(compound: RNA.fold_compound, length: int) -> np.ndarray:
    """Pair probabilities i < j, float64 [L, L].

    `bpp()` would make a Python number of each of L² pairs, half a gigabyte at 3,000 nt; the list has those that count.
    """
    upper_LL = np.zeros((length, length))
    for entry in compound.plist_from_probs(SMALLEST_PROBABILITY):
        upper_LL[entry.i - 1, entry.j - 1] = entry.p
    return upper_LL


def _constrain(compound: RNA.fold_compound, config: StageAConfig, constraints: Constraints) -> None:
    enforced = RNA.CONSTRAINT_CONTEXT_ALL_LOOPS | RNA.CONSTRAINT_CONTEXT_ENFORCE
    for i, j in constraints.pairs:
        compound.hc_add_bp(i + 1, j + 1, enforced)
    for i in constraints.unpaired:
        compound.hc_add_up(i + 1)
    if constraints.bonus_LL is not None:
        for i, j in np.argwhere(np.triu(constraints.bonus_LL, k=1)):
            compound.sc_add_bp(int(i) + 1, int(j) + 1, float(constraints.bonus_LL[i, j]))
    if constraints.reactivity_L is not None:
        values = np.where(np.isnan(constraints.reactivity_L), -999.0, constraints.reactivity_L)  # negative: none
        compound.sc_add_SHAPE_deigan([-999.0, *map(float, values)], config.shape_slope, config.shape_intercept)


def mea_matching(sequence: str, probability_LL: np.ndarray, gamma: float, breaks: tuple[int, ...] = ()) -> np.ndarray:
    """The nested matching of maximum expected accuracy under any pair probabilities, int32 [L].

    Only canonical pairs with at least three residues between, or in different chains, are considered. ViennaRNA's
    programme knows one chain: between chains it is given places that pair with nothing.

    Args:
        sequence: letters A C G U.
        probability_LL: float32 [L, L], as in `contracts.Adjacency`.
        gamma: weight of a paired against an unpaired base.
        breaks: first residue of each chain but the first.
    """
    legal = np.triu(np.where(can_pair(sequence, breaks), probability_LL, 0.0), k=1)
    place_L = spaced(len(sequence), breaks, MIN_LOOP)
    listed = [
        RNA.ep(int(place_L[i]) + 1, int(place_L[j]) + 1, float(legal[i, j]), RNA.PLIST_TYPE_BASEPAIR)
        for i, j in np.argwhere(legal)
    ]
    if not listed:
        return np.full(len(sequence), -1, dtype=np.int32)
    filled = ("A" * MIN_LOOP).join(split_chains(sequence, breaks))
    structure = RNA.MEA_from_plist(listed, filled, gamma)[0]
    return from_dot_bracket("".join(structure[place] for place in place_L))
