"""ViennaRNA's ensembles under several sets of energy parameters.

ViennaRNA 2.7.2 keeps the parameters of the last model for the next compound whose model has equal settings, even when
another set was loaded in between (ViennaRNA issue 284). Each set therefore asks for a temperature that no other set
has, apart by a millionth of a degree.
"""

from collections.abc import Callable

import numpy as np
import RNA

from rna_predict.chemistry.chains import marked

PARAMETER_SETS: dict[str, Callable[[], int]] = {
    "turner2004": RNA.params_load_RNA_Turner2004,
    "langdon2018": RNA.params_load_RNA_Langdon2018,
    "andronescu2007": RNA.params_load_RNA_Andronescu2007,
}
"""Energy parameters that ViennaRNA carries, measured (Turner) or fitted to known structures (the others)."""

APART = 1e-6
"""Degrees between the temperatures of two sets."""


def compound_under(sequence: str, parameters: str, model: RNA.md, breaks: tuple[int, ...] = ()) -> RNA.fold_compound:
    """A fold compound that holds the energies of one set, whatever is loaded afterwards.

    Args:
        sequence: letters A C G U.
        parameters: a key of `PARAMETER_SETS`.
        model: settings; its temperature is moved by less than 1e-5 degrees.
        breaks: first residue of each chain but the first; ViennaRNA folds the chains as one complex, in this order.
    """
    PARAMETER_SETS[parameters]()
    model.temperature += APART * list(PARAMETER_SETS).index(parameters)
    compound = RNA.fold_compound(marked(sequence, breaks), model)
    compound.exp_params_rescale()  # the Boltzmann factors are made here, not when the partition function asks for them
    return compound


def pair_matrix(compound: RNA.fold_compound) -> np.ndarray:
    """Pair probabilities of a compound whose partition function was computed, float64 [L, L], i < j."""
    return np.array(compound.bpp())[1:, 1:]


def ensemble_of(sequence: str, parameters: str, breaks: tuple[int, ...] = ()) -> np.ndarray:
    """Pair probabilities under one set at 37 °C, float64 [L, L], i < j; `breaks` as in `compound_under`."""
    compound = compound_under(sequence, parameters, RNA.md(), breaks)
    compound.exp_params_rescale(compound.mfe()[1])
    compound.pf()
    return pair_matrix(compound)
