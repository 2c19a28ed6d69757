"""What stage A's network reads of an RNA."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from rna_predict.chemistry.residues import residue_codes
from rna_predict.stage_a_adjacency.energy_models import ensemble_of
from rna_predict.stage_a_adjacency.folding import can_pair
from rna_predict.stage_a_adjacency.network import LETTERS, FoldingFeatures

TOLD = ("turner2004", "langdon2018")
"""Energy parameters whose ensembles the network is told, in the order of its channels."""

FLOOR = 1e-4
"""Probabilities below it are told as it: log-odds have no end."""

SCALE = 5.0
"""Log-odds are told in units of it."""


def told_ensembles(ensembles: Mapping[str, np.ndarray]) -> np.ndarray:
    """Log-odds of each pair by each of `TOLD`, scaled, float32 [M, L, L], symmetric.

    Args:
        ensembles: pair probabilities i < j by energy parameters, those of `TOLD` among them.
    """
    return np.stack([scaled_log_odds(ensembles[name]) for name in TOLD])


def ensembles_to_tell(sequence: str) -> np.ndarray:
    """`told_ensembles` of a sequence."""
    return told_ensembles({name: ensemble_of(sequence, name) for name in TOLD})


def scaled_log_odds(upper_LL: np.ndarray) -> np.ndarray:
    """Log-odds over `SCALE`, float32 [L, L], symmetric, from pair probabilities i < j."""
    upper_LL = np.triu(upper_LL, k=1)
    p_LL = np.clip(upper_LL + upper_LL.T, FLOOR, 1 - FLOOR)
    return (np.log(p_LL / (1 - p_LL)) / SCALE).astype(np.float32)


def features_of(sequences: Sequence[str], energies: Sequence[np.ndarray | None]) -> FoldingFeatures:
    """A batch, shorter RNAs filled up with places where there is no residue.

    Args:
        sequences: letters A C G U.
        energies: of `told_ensembles` (or a piece of it), or None where the network is not to be told.
    """
    length = max(map(len, sequences))
    code_BL = np.full((len(sequences), length), len(LETTERS), dtype=np.int64)
    legal_BLL = np.zeros((len(sequences), length, length), dtype=bool)
    energy_BMLL = np.zeros((len(sequences), len(TOLD), length, length), dtype=np.float32)
    for k, (sequence, energy_MLL) in enumerate(zip(sequences, energies, strict=True)):
        size = len(sequence)
        code_BL[k, :size] = residue_codes(sequence)
        legal_BLL[k, :size, :size] = can_pair(sequence)
        if energy_MLL is not None:
            energy_BMLL[k, :, :size, :size] = energy_MLL
    return FoldingFeatures(
        code_BL=torch.from_numpy(code_BL),
        legal_BLL=torch.from_numpy(legal_BLL),
        energy_BMLL=torch.from_numpy(energy_BMLL),
        told_B=torch.tensor([energy is not None for energy in energies]),
    )
