"""The O3'-P link between neighbouring residues: one bond and the 1-3 distances that fix its angles."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rna_predict.chemistry.chains import linked
from rna_predict.chemistry.ideal import BOND_LENGTHS
from rna_predict.chemistry.residues import C3, O3, O5, P
from rna_predict.geometry.nucleotide import ANGLE_C3_O3_P, ANGLE_O3_P_O5, LENGTH_O3_P, LENGTH_O5_P


def _third_side(first: float, second: float, degrees: float) -> float:
    return math.sqrt(first**2 + second**2 - 2 * first * second * math.cos(math.radians(degrees)))


LINK_DISTANCES: tuple[tuple[int, int, float, float], ...] = (
    (O3, P, LENGTH_O3_P, 12.0),
    (C3, P, _third_side(BOND_LENGTHS["C3'", "O3'"].value, LENGTH_O3_P, ANGLE_C3_O3_P), 1.0),
    (O3, O5, _third_side(LENGTH_O3_P, LENGTH_O5_P, ANGLE_O3_P_O5), 1.0),
)
"""Slot in residue i, slot in residue i + 1, ideal distance in Å, relative stiffness; OP1 and OP2 follow the link."""


def link_energy(xyz_SLA3: Float[Tensor, "s l a 3"], slack: float, breaks: tuple[int, ...] = ()) -> Float[Tensor, " s"]:
    """Energy of each sample's links, [S]: quadratic below `slack` Å, linear beyond (pseudo-Huber).

    Args:
        xyz_SLA3: [S, L, MAX_ATOMS, 3].
        slack: Å; large for a refinement, small (about 1) while the chain is still open by many Å.
        breaks: first residue of each chain but the first; residues i and i + 1 are linked for all other i.
    """
    total = xyz_SLA3.new_zeros(xyz_SLA3.shape[0])
    bound_L = torch.from_numpy(linked(xyz_SLA3.shape[1], breaks)) if breaks else slice(None)
    for here, there, ideal, stiffness in LINK_DISTANCES:
        gap = (xyz_SLA3[:, :-1, here] - xyz_SLA3[:, 1:, there])[:, bound_L]
        off = (gap.square().sum(-1) + 1e-12).sqrt() - ideal
        total = total + stiffness * (slack**2 * (torch.sqrt(1 + (off / slack) ** 2) - 1)).sum(-1)
    return total


def largest_gap(xyz_SLA3: Float[Tensor, "s l a 3"]) -> Float[Tensor, " s"]:
    """Largest deviation of an O3'-P bond from its ideal length in each sample, [S], Å; 0 for a single residue."""
    if xyz_SLA3.shape[1] < 2:
        return xyz_SLA3.new_zeros(xyz_SLA3.shape[0])
    bond = (xyz_SLA3[:, :-1, O3] - xyz_SLA3[:, 1:, P]).norm(dim=-1)
    return (bond - LENGTH_O3_P).abs().amax(dim=-1)
