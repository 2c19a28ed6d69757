"""What chemical probing says of an RNA's pairs.

Deigan et al. 2009, Accurate SHAPE-directed RNA structure determination, PNAS 106:97: a residue of reactivity r that is
stacked in a helix adds m · ln(1 + r) + b kcal/mol for each of the two stacks that it takes part in.
"""

import numpy as np

from rna_predict.contracts.reactivity import Reactivity
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.evidence import Evidence


def reactivity_evidence(reactivity: Reactivity) -> Evidence:
    """Reactivities as evidence; the backend turns them into energies."""
    return Evidence(name="reactivity", digest=reactivity.digest(), reactivity_L=reactivity.value_L)


def stacked_energy(reactivity_L: np.ndarray, config: StageAConfig) -> np.ndarray:
    """kcal/mol [L] that each residue adds for each stack that it takes part in; 0 without a reactivity."""
    energy_L = config.shape_slope * np.log1p(reactivity_L.astype(np.float64)) + config.shape_intercept
    return np.where(np.isnan(reactivity_L), 0.0, energy_L)
