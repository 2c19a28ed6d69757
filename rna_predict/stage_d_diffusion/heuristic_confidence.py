"""Confidence without a learned head: formulas over the ensemble, stage A's certainty and stage B's distogram.

Marked `heuristic` in every output. Nothing here has seen a native of the RNA; `rna-predict bench fold` prints how
well it tracks the true lDDT.
"""

import numpy as np

from rna_predict.chemistry.residues import C1, C4, MAX_ATOMS, P
from rna_predict.contracts import Adjacency, Embeddings
from rna_predict.evaluation.lddt import INCLUSION_RADIUS, THRESHOLDS
from rna_predict.evaluation.tm_score import d0_rna
from rna_predict.stage_d_diffusion.judged import Confidence

_TRACE = (P, C4, C1)
"""Atoms that stand for a residue when models are compared."""

PLDDT_WEIGHTS = (-0.145, 0.99, 0.28)
"""pLDDT / 100 = first + second · `expected_lddt` + third · stem certainty (half of it outside stems).

Least squares on the residues of the best-ranked models of the 28 validation targets, each target weighing the same;
left out one by one, pLDDT and true lDDT of a target's residues correlate with a mean r of 0.66. The first was lowered
by 0.03 when known loops had made stage B surer of itself (decision 0021)."""


def pair_certainty(adjacency: Adjacency) -> np.ndarray:
    """Probability that stage A gives to what it chose for each residue, [L]: its pair, or staying unpaired."""
    paired = adjacency.partner_L >= 0
    row = np.arange(adjacency.length)
    chosen = adjacency.probability_LL[row, np.where(paired, adjacency.partner_L, row)]
    return np.where(paired, chosen, 1 - adjacency.probability_LL.sum(axis=1)).clip(0, 1)


def heuristic_confidence(xyz_SLA3: np.ndarray, adjacency: Adjacency, embeddings: Embeddings) -> list[Confidence]:
    """Confidence of every model of an ensemble."""
    certainty = pair_certainty(adjacency)
    stem = np.where(adjacency.partner_L >= 0, certainty, 0.5 * certainty)
    found = []
    for index in range(len(xyz_SLA3)):
        base, distances, pairs = PLDDT_WEIGHTS
        plddt = 100 * (base + distances * expected_lddt(xyz_SLA3[index], embeddings) + pairs * stem)
        pde = expected_distance_error(xyz_SLA3[index], embeddings)
        pae = np.maximum(aligned_error(xyz_SLA3, index), pde) if len(xyz_SLA3) > 1 else pde
        found.append(
            Confidence(
                plddt_LA=np.repeat(plddt[:, None], MAX_ATOMS, axis=1).clip(0, 100).astype(np.float32),
                pae_LL=pae.astype(np.float32),
                pde_LL=pde.astype(np.float32),
                ptm=predicted_tm(pae),
            )
        )
    return found


def expected_distance_error(xyz_LA3: np.ndarray, embeddings: Embeddings) -> np.ndarray:
    """Mean |d - d'| in Å of the model's distances d over stage B's distogram of d', [L, L].

    Between C1' atoms, or those of the first kind where it has no others. The open last bin counts as its lower edge, or
    as the model's own distance where that is larger.
    """
    kind = embeddings.distogram_atoms.index("C1'") if "C1'" in embeddings.distogram_atoms else 0
    edges = np.array(embeddings.distogram_edges, dtype=np.float32)
    width = edges[1] - edges[0]
    centres = np.append(edges - width / 2, edges[-1])
    slot_L = embeddings.distogram_slots(kind)
    distance = _distances(xyz_LA3[np.arange(len(slot_L)), slot_L].astype(np.float32))
    error = np.zeros_like(distance)
    for row in range(len(distance)):
        logits = embeddings.distogram_GLLB[kind, row]
        weight = np.exp(logits - logits.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        off = np.abs(distance[row][:, None] - centres)
        off[:, -1] = np.maximum(edges[-1] - distance[row], 0)
        error[row] = (weight * off).sum(axis=1)
    np.fill_diagonal(error, 0)
    return (error + error.T) / 2


def expected_lddt(xyz_LA3: np.ndarray, embeddings: Embeddings) -> np.ndarray:
    """What stage B's distograms expect of each residue's lDDT, [L], 0 to 1, mean over their kinds of atoms.

    Of each distance of the model below lDDT's radius, the chance that the true one lies within each of lDDT's
    thresholds; 0 for a residue without such a distance.
    """
    length, first = embeddings.length, embeddings.distogram_edges[0]
    width = embeddings.distogram_edges[1] - first
    total, rows = np.zeros(length), np.arange(length)
    for kind in range(len(embeddings.distogram_atoms)):
        point_L3 = xyz_LA3[rows, embeddings.distogram_slots(kind)].astype(np.float32)
        gap_LL = _distances(point_L3)
        for row in range(length):
            near = np.flatnonzero((gap_LL[row] < INCLUSION_RADIUS) & (rows != row))
            if not len(near):
                continue
            logits = embeddings.distogram_GLLB[kind, row, near]
            chance_NB = np.exp(logits - logits.max(axis=1, keepdims=True))
            below_NE = np.cumsum(chance_NB / chance_NB.sum(axis=1, keepdims=True), axis=1)
            below_NE = np.pad(below_NE, ((0, 0), (1, 0)))  # at the lower edge of the first bin, and at each upper edge

            def up_to(limit: np.ndarray, below_NE: np.ndarray = below_NE) -> np.ndarray:
                place = np.clip((limit - first) / width + 1, 0, below_NE.shape[1] - 1.001)
                low = place.astype(int)
                at = np.arange(len(below_NE))
                return below_NE[at, low] + (place - low) * (below_NE[at, low + 1] - below_NE[at, low])

            kept = [up_to(gap_LL[row, near] + t) - up_to(gap_LL[row, near] - t) for t in THRESHOLDS]
            total[row] += np.mean(kept)
    return total / len(embeddings.distogram_atoms)


def aligned_error(xyz_SLA3: np.ndarray, index: int) -> np.ndarray:
    """Mean distance in Å between C1' of residue j in this model and in the others, after frames of residue i meet."""
    others = [m for m in range(len(xyz_SLA3)) if m != index]
    own = seen_from_sugars(xyz_SLA3[index])
    total = np.zeros(own.shape[:2])
    for other in others:
        total += np.linalg.norm(own - seen_from_sugars(xyz_SLA3[other]), axis=-1)
    return total / len(others)


def seen_from_sugars(xyz_LA3: np.ndarray) -> np.ndarray:
    """C1' of every residue (second axis) in the frame of P, C4', C1' of each (first), Å, [L, L, 3]."""
    return _seen_from(*_sugar_frames(xyz_LA3), xyz_LA3[:, C1])


def predicted_tm(pae_LL: np.ndarray) -> float:
    """pTM by AF3's formula with RNA's d0: the best row's mean of 1 / (1 + (error / d0)²)."""
    return float((1 / (1 + (pae_LL / d0_rna(len(pae_LL))) ** 2)).mean(axis=1).max())


def _distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points, axis=-1)


def _sugar_frames(xyz_LA3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Axes [L, 3, 3] (rows) and origins [L, 3] of P, C4', C1'."""
    p, c4, c1 = (xyz_LA3[:, slot] for slot in _TRACE)
    first = c1 - c4
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    second = p - c4
    second = second - (second * first).sum(1, keepdims=True) * first
    second = second / np.linalg.norm(second, axis=1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=1), c4


def _seen_from(axes: np.ndarray, origin: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points in every frame, [L, L, 3]."""
    return np.einsum("lcx,ljx->ljc", axes, points[None] - origin[:, None])
