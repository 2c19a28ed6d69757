"""How the bases of known loops lie to each other, as terms of the energy."""

import numpy as np
import torch
from torch import Tensor

from rna_predict.contracts import Motif, TemplateHits, decompose
from rna_predict.energy.relations import Relations, listed
from rna_predict.geometry.frames import Frame, base_frame
from rna_predict.geometry.helix import at, relative

REACH = 12.0
"""Å between the frames of two bases up to which their relation is kept."""

TRUST = (0.5, 0.35)
"""Full weight is reached when the expected lDDT is the second above the first."""


def motif_relations(templates: TemplateHits, partner_L: np.ndarray, weight: float, like: Tensor) -> Relations:
    """Relations of bases that are near in a known loop or stretch, but for those that other terms hold.

    These are neighbours, pairs, and residues of one stem.

    Args:
        templates: with the known loops.
        partner_L: index of the paired residue or -1.
        weight: stiffness per Å² of a loop that is surely right.
        like: a tensor whose dtype and device the result takes.
    """
    first: list[int] = []
    second: list[int] = []
    frames: list[Frame] = []
    weights: list[float] = []
    stem_L = decompose(partner_L, templates.breaks).stem_L
    for motif in templates.known_loops:
        frame, gap_NN = _frames(motif, templates.sequence)
        trust = float(np.clip((motif.hit.expected_lddt - TRUST[0]) / TRUST[1], 0.0, 1.0))
        ahead_NN = motif.residue_N[:, None] < motif.residue_N
        for a, b in np.argwhere((gap_NN <= REACH) & ahead_NN).tolist():
            i, j = int(motif.residue_N[a]), int(motif.residue_N[b])
            if j - i > 1 and partner_L[i] != j and (stem_L[i] < 0 or stem_L[i] != stem_L[j]):
                first.append(i)
                second.append(j)
                frames.append(relative(at(frame, a), at(frame, b)))
                weights.append(weight * trust)
    return listed(first, second, frames, weights, like)


def _frames(motif: Motif, sequence: str) -> tuple[Frame, np.ndarray]:
    """Base frames of a loop's residues, and how far they are apart, Å [N, N]; infinitely where a frame is missing."""
    letters = "".join(sequence[n] for n in motif.residue_N)
    frame, there_N = base_frame(torch.from_numpy(motif.xyz_NA3.copy()), torch.from_numpy(motif.mask_NA.copy()), letters)
    gap_NN = torch.cdist(frame.origin, frame.origin).numpy()
    missing_N = ~there_N.numpy()
    gap_NN[missing_N] = gap_NN[:, missing_N] = np.inf
    return frame, gap_NN
