"""Soft knowledge about a chain: its torsions, the distances of its residues, and its size."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rna_predict.chemistry.residues import C1
from rna_predict.contracts import Embeddings, bin_centres
from rna_predict.geometry.nucleotide import link_torsions


@dataclass(frozen=True, slots=True, kw_only=True)
class TorsionPrior:
    """Von Mises terms on χ, γ, β of a residue and on ε, ζ, α of its link to the next one.

    Attributes:
        own_L3: [L, 3], radians, columns CHI, GAMMA, BETA of `geometry.nucleotide`.
        own_weight_L3: [L, 3].
        link_L3: [L - 1, 3], ε and ζ of residue i and α of residue i + 1.
        link_weight_L3: [L - 1, 3].
    """

    own_L3: Tensor
    own_weight_L3: Tensor
    link_L3: Tensor
    link_weight_L3: Tensor


def own_torsion_energy(torsion_SL4: Float[Tensor, "s l 4"], prior: TorsionPrior) -> Float[Tensor, " s"]:
    """Σ weight · (1 - cos(torsion - prior)) over χ, γ, β of each sample, [S]."""
    return (prior.own_weight_L3 * (1 - torch.cos(torsion_SL4[..., :3] - prior.own_L3))).sum((-1, -2))


def link_torsion_energy(xyz_SLA3: Float[Tensor, "s l a 3"], prior: TorsionPrior) -> Float[Tensor, " s"]:
    """Σ weight · (1 - cos(torsion - prior)) over ε, ζ and α of each sample, [S].

    Only for chains that are nearly closed: where a link is open three of the atoms can come to lie on a line, at which
    a dihedral jumps.
    """
    found = link_torsions(xyz_SLA3)
    return (prior.link_weight_L3 * (1 - torch.cos(found - prior.link_L3))).sum((-1, -2))


@dataclass(frozen=True, slots=True, kw_only=True)
class DistancePrior:
    """What a distogram says about chosen pairs of residues.

    Attributes:
        first: int64 [P].
        second: int64 [P].
        slot_L: int64 [L], slot of the atom between which the distances are, residue by residue.
        energy_PB: [P, B], -log p of each bin, up to a constant of the pair.
        centre: Å, centre of the first bin.
        width: Å between neighbouring bin centres.
    """

    first: Tensor
    second: Tensor
    slot_L: Tensor
    energy_PB: Tensor
    centre: float
    width: float


FAR = 0.9
"""A pair whose last, open bin holds more than this says only that it is far, and is left out: of 79,003 pairs of a
400-nt RNA 7,958 stay with stage B's prior table."""


def distance_prior(
    logits_LLB: Float[Tensor, "l l b"], edges: tuple[float, ...], nearest: int, slot_L: Int[Tensor, " l"]
) -> DistancePrior:
    """Energies of the pairs i < j that are at least `nearest` apart in sequence and not surely far (`FAR`).

    Args:
        logits_LLB: [L, L, B] over bins of equal width whose first B - 1 upper edges are `edges` (the last bin is open).
        edges: Å.
        nearest: smallest j - i.
        slot_L: int64, slot of the atom of each residue between which the bins' distances are.
    """
    first, second = torch.triu_indices(logits_LLB.shape[0], logits_LLB.shape[0], offset=nearest)
    far = logits_LLB[first, second, -1] - torch.logsumexp(logits_LLB, dim=-1)[first, second]
    near = far <= math.log(FAR)
    first, second = first[near], second[near]
    width = edges[1] - edges[0]
    energy = -torch.log_softmax(logits_LLB[first, second], dim=-1)
    return DistancePrior(
        first=first, second=second, slot_L=slot_L, energy_PB=energy, centre=edges[0] - width / 2, width=width
    )


NEAREST = 3
"""Smallest distance in sequence at which a distogram counts; nearer neighbours are set by relations and links."""


def distance_priors(embeddings: Embeddings) -> tuple[DistancePrior, ...]:
    """Stage B's distograms as energies, one for each kind of atoms."""
    priors = []
    for kind in range(len(embeddings.distogram_atoms)):
        logits = torch.from_numpy(embeddings.distogram_GLLB[kind].copy())
        slot_L = torch.from_numpy(embeddings.distogram_slots(kind))
        priors.append(distance_prior(logits, embeddings.distogram_edges, NEAREST, slot_L))
    return tuple(priors)


PAIR_REACH = (7.0, 14.0)
"""Å between which C1' atoms of two paired residues lie."""

BELIEF = 0.25
"""Chance of lying there below which a pair is left out."""


def believed_pairs(partner_L: np.ndarray, embeddings: Embeddings) -> np.ndarray:
    """Stage A's matching without the pairs that stage B's distances contradict, as a template that fits better may.

    Args:
        partner_L: index of the paired residue or -1.
        embeddings: of stage B; without C1' distances all pairs stay.
    """
    kept_L = partner_L.copy()
    if "C1'" not in embeddings.distogram_atoms:
        return kept_L
    centre_B = bin_centres(embeddings.distogram_edges)
    inside_B = (centre_B > PAIR_REACH[0]) & (centre_B < PAIR_REACH[1])
    first = np.flatnonzero(partner_L > np.arange(len(partner_L)))
    logits_PB = embeddings.distogram_GLLB[embeddings.distogram_atoms.index("C1'"), first, partner_L[first]]
    chance_PB = np.exp(logits_PB - logits_PB.max(axis=1, keepdims=True))
    chance_P = chance_PB[:, inside_B].sum(axis=1) / chance_PB.sum(axis=1)
    left_out = first[chance_P < BELIEF]
    kept_L[partner_L[left_out]] = -1
    kept_L[left_out] = -1
    return kept_L


def distance_energy(xyz_SLA3: Float[Tensor, "s l a 3"], prior: DistancePrior) -> Float[Tensor, " s"]:
    """-log p of the distances, linear between bin centres and flat outside them, summed over pairs, [S]."""
    atom = xyz_SLA3[:, torch.arange(len(prior.slot_L), device=xyz_SLA3.device), prior.slot_L]
    gap = (atom[:, prior.first] - atom[:, prior.second]).square().sum(-1)
    place = (((gap + 1e-6).sqrt() - prior.centre) / prior.width).clamp(0.0, prior.energy_PB.shape[1] - 1.001)
    low = place.detach().floor()
    table = prior.energy_PB.expand(place.shape[0], -1, -1)
    below = table.gather(-1, low.long()[..., None])[..., 0]
    above = table.gather(-1, low.long()[..., None] + 1)[..., 0]
    return (below + (place - low) * (above - below)).sum(-1)


def compactness_energy(xyz_SLA3: Float[Tensor, "s l a 3"]) -> Float[Tensor, " s"]:
    """Squared excess of the radius of gyration over 5.5·L^(1/3) Å, [S]; nothing is gained below it.

    Source of the law: Hyeon, Dima & Thirumalai 2006, J. Chem. Phys. 125, 194905 (R_G = 5.5 N^(1/3) Å).
    """
    c1 = xyz_SLA3[:, :, C1]
    spread = (c1 - c1.mean(1, keepdim=True)).square().sum(-1).mean(1)
    expected = 5.5 * xyz_SLA3.shape[1] ** (1 / 3)
    return ((spread + 1e-6).sqrt() - expected).clamp(min=0).square()
