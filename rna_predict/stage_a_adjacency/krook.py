"""A matching as rooks that do not attack each other: each residue takes its best partner, if it is taken in turn.

RFold (Tan et al. 2022) calls it the K-Rook problem and reads the arg-max over rows and columns of the map of scores.
Here staying alone is one of a residue's choices, and the map is symmetric: a pair forms when both residues prefer each
other to all others and to staying alone. Every result is a valid matching; pseudoknots are as good as any other pair.
"""

import numpy as np


def rooks(pair_LL: np.ndarray, alone_L: np.ndarray) -> np.ndarray:
    """The matching, int32 [L], index of the partner or -1.

    Args:
        pair_LL: score of each pair [L, L], symmetric; -inf (or very low) where it cannot form.
        alone_L: score of staying alone [L].
    """
    best_L = pair_LL.argmax(axis=1)
    place_L = np.arange(len(pair_LL))
    mutual_L = (best_L[best_L] == place_L) & (best_L != place_L)
    score_L = pair_LL[place_L, best_L]
    kept_L = mutual_L & (score_L > np.maximum(alone_L, alone_L[best_L]))
    return np.where(kept_L, best_L, -1).astype(np.int32)
