"""Crops of a chain: an exact number of residues, in one piece or around a point in space (AF3 section 2.7).

Differences from AF3: a dataset row is one chain, so there is no cropping over interfaces; the centre of a residue is
C1', and residues without it come last instead of never, so that a crop always has the size that was asked for.
"""

import numpy as np

from rna_predict.chemistry.residues import C1
from rna_predict.data.chains import Chain
from rna_predict.errors import ConfigError


def contiguous_crop(length: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Positions int64 [min(length, size)] of a stretch of the chain that begins anywhere with equal chance."""
    _check(size)
    if length <= size:
        return np.arange(length)
    start = int(rng.integers(length - size + 1))
    return np.arange(start, start + size)


def spatial_crop(chain: Chain, size: int, rng: np.random.Generator) -> np.ndarray:
    """Positions int64 [min(L, size)], ascending, of the residues nearest to one that is drawn among those with C1'."""
    _check(size)
    if chain.length <= size:
        return np.arange(chain.length)
    there_L = chain.mask_LA[:, C1]
    candidates = np.flatnonzero(there_L) if there_L.any() else np.arange(chain.length)
    centre = int(rng.choice(candidates))
    apart_L = np.linalg.norm(chain.xyz_LA3[:, C1] - chain.xyz_LA3[centre, C1], axis=-1)
    along_L = np.abs(np.arange(chain.length) - centre)
    order = np.lexsort((along_L, np.where(there_L, apart_L, np.inf)))
    return np.sort(order[:size])


def take(chain: Chain, index_L: np.ndarray) -> Chain:
    """The chain's residues at ascending positions, numbers kept.

    Pairs and breaks follow: a pair stays when both ends do, residues whose canonical partner is left out are marked in
    `elsewhere_L`, and residues that were not neighbours are not linked. Torsions stay as measured in the whole chain.

    Raises:
        ConfigError: the positions do not rise or lie outside the chain.
    """
    index_L = np.asarray(index_L, dtype=np.int64)
    if not len(index_L) or index_L[0] < 0 or index_L[-1] >= chain.length or (np.diff(index_L) <= 0).any():
        raise ConfigError(f"{chain.id}: a crop needs rising positions from 0 to {chain.length - 1}")
    place_L = np.full(chain.length + 1, -1, dtype=np.int32)  # the last entry stands for "no partner", index -1
    place_L[index_L] = np.arange(len(index_L))
    partner_L = place_L[chain.partner_L[index_L]]
    lost_L = (chain.partner_L[index_L] >= 0) & (partner_L < 0)
    pair_P2 = place_L[chain.pair_P2]
    kept_P = (pair_P2[:, 0] >= 0) & (pair_P2[:, 1] >= 0)
    return Chain(
        id=chain.id,
        sequence="".join(chain.sequence[i] for i in index_L),
        xyz_LA3=chain.xyz_LA3[index_L],
        mask_LA=chain.mask_LA[index_L],
        number_L=chain.number_L[index_L],
        torsion_L7=chain.torsion_L7[index_L],
        torsion_mask_L7=chain.torsion_mask_L7[index_L],
        pucker_L2=chain.pucker_L2[index_L],
        pucker_mask_L=chain.pucker_mask_L[index_L],
        partner_L=partner_L,
        pair_P2=pair_P2[kept_P],
        pair_class=tuple(label for label, kept in zip(chain.pair_class, kept_P, strict=True) if kept),
        linked_L=(np.diff(index_L) == 1) & chain.linked_L[index_L[:-1]],
        elsewhere_L=chain.elsewhere_L[index_L] | lost_L,
        origin=chain.origin,
    )


def _check(size: int) -> None:
    if size < 1:
        raise ConfigError(f"crop: {size} residues. Ask for at least 1.")
