"""What a secondary structure asks of the bases: A-form relations within its stems."""

import dataclasses

import numpy as np
import torch

from rna_predict.chemistry.chains import linked
from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.energy.pose import Bodies
from rna_predict.energy.relations import ARM, Relations, listed
from rna_predict.geometry.frames import Frame
from rna_predict.geometry.helix import at, relative, stem_frames

NON_CANONICAL = 0.1
"""Share of the weight that a relation of a given non-canonical pair has, since its geometry is not known."""


def stem_relations(sequence: str, partner_L: np.ndarray, weight: float, like: torch.Tensor) -> Relations:
    """Pair relations of all pairs, and step relations of both strands wherever two pairs stack.

    Args:
        sequence: letters A C G U.
        partner_L: index of the paired residue or -1.
        weight: stiffness per Å².
        like: a tensor whose dtype and device the result takes.
    """
    pairs = [(i, int(j)) for i, j in enumerate(partner_L) if j > i]
    first: list[int] = []
    second: list[int] = []
    frames: list[Frame] = []
    for i, j in pairs:
        five, three = stem_frames(sequence[i : i + 2], sequence[j] + sequence[j - 1])
        first.append(i)
        second.append(j)
        frames.append(relative(at(five, 0), at(three, 0)))
        if i + 1 < j - 1 and partner_L[i + 1] == j - 1:
            first += [i, j - 1]
            second += [i + 1, j]
            frames.append(relative(at(five, 0), at(five, 1)))
            frames.append(relative(at(three, 1), at(three, 0)))
    weights = [
        weight * (1.0 if all(_pair(sequence, partner_L, k) in CANONICAL_PAIRS for k in ends) else NON_CANONICAL)
        for ends in zip(first, second, strict=True)
    ]
    return listed(first, second, frames, weights, like)


def as_found(relations: Relations, frame: Frame, mask_L: torch.Tensor, limit: float) -> Relations:
    """The relations as two bases of a structure lie, where it has both and they lie nearly as was asked.

    Args:
        relations: what is asked.
        frame: base frames of the structure, [L].
        mask_L: bool, residues that it has.
        limit: Å that a base may be off, a turn counting by `ARM`; beyond it, what was asked stays.
    """
    first, second = relations.first, relations.second
    rotation, origin = relative(at(frame, first), at(frame, second))
    rotation, origin = rotation.to(relations.rotation_N33), origin.to(relations.origin_N3)
    shift = (origin - relations.origin_N3).square().sum(-1)
    turn = (rotation - relations.rotation_N33).square().sum((-1, -2)) / 2
    taken = mask_L[first] & mask_L[second] & (shift + ARM**2 * turn <= limit**2)
    return dataclasses.replace(
        relations,
        rotation_N33=torch.where(taken[:, None, None], rotation, relations.rotation_N33),
        origin_N3=torch.where(taken[:, None], origin, relations.origin_N3),
    )


def stem_bodies(partner_L: np.ndarray) -> Bodies:
    """Each stem one rigid body, every unpaired residue one of its own."""
    label = np.arange(len(partner_L))
    for i, j in ((i, int(j)) for i, j in enumerate(partner_L) if j > i):
        outer = i > 0 and partner_L[i - 1] == j + 1
        label[i] = label[j] = label[i - 1] if outer else i
    _, body = np.unique(label, return_inverse=True)
    return Bodies(body_L=torch.from_numpy(body), count=int(body.max()) + 1)


def unstacked_neighbours(partner_L: np.ndarray, breaks: tuple[int, ...] = ()) -> torch.Tensor:
    """Residues i, int64, bound to i + 1 by a step that is not one between stacked pairs of a stem."""
    here, there = partner_L[:-1], partner_L[1:]
    stacked_L = (here >= 0) & (there >= 0) & (here - there == 1)
    return torch.from_numpy(np.flatnonzero(~stacked_L & linked(len(partner_L), breaks)))


def _pair(sequence: str, partner_L: np.ndarray, residue: int) -> str:
    return sequence[residue] + sequence[partner_L[residue]]
