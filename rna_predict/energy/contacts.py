"""Excluded volume: atoms of different residues keep their van der Waals distance, and no bond enters a ring."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path
from scipy.spatial import KDTree
from torch import Tensor

from rna_predict.chemistry.chains import spaced
from rna_predict.chemistry.radii import ACCEPTORS, CLASH_OVERLAP, DONORS, HYDROGEN_BOND_ALLOWANCE, VDW_RADIUS
from rna_predict.chemistry.residues import (
    ATOMS,
    BASE_N_SLOT,
    BONDS,
    C1,
    C2,
    C3,
    C4,
    C5,
    MAX_ATOMS,
    O2,
    O3,
    O4,
    O5,
    OP1,
    OP2,
    RESIDUES,
    RINGS,
    SLOT,
    P,
    element,
)

RING_RADIUS = 1.35
"""Å around a ring's centre kept free on top of an atom's own radius: an atom there would pierce the ring."""

_BONDED_ACROSS = (
    {(O3, slot) for slot in (P, OP1, OP2, O5, C5)}
    | {(C3, slot) for slot in (P, OP1, OP2, O5)}
    | {(slot, P) for slot in (C4, C2)}
)
"""Slots of residues i and i + 1 that are at most three bonds apart."""

_RIGID_RIBOSE = (C4, O4, C3, O3, C2, O2, C1, C5, BASE_N_SLOT)


@cache
def _within_residue() -> np.ndarray:
    """bool [4, MAX_ATOMS, MAX_ATOMS]: atoms of one residue that torsions can bring together, over three bonds apart."""
    allowed = np.zeros((len(RESIDUES), MAX_ATOMS, MAX_ATOMS), dtype=bool)
    for row, letter in enumerate(RESIDUES):
        bonds = np.array([[SLOT[letter][a], SLOT[letter][b]] for a, b in BONDS[letter]])
        graph = coo_array((np.ones(len(bonds)), tuple(bonds.T)), shape=(MAX_ATOMS, MAX_ATOMS))
        steps = shortest_path(graph, directed=False, unweighted=True)
        allowed[row] = (steps > 3) & np.isfinite(steps)
    allowed[:, BASE_N_SLOT:, BASE_N_SLOT:] = False
    allowed[np.ix_(range(len(RESIDUES)), _RIGID_RIBOSE, _RIGID_RIBOSE)] = False
    return allowed


@cache
def _bonded_across() -> np.ndarray:
    """bool [MAX_ATOMS + 1, MAX_ATOMS + 1] of `_BONDED_ACROSS`; the last row and column are ring centres."""
    bonded = np.zeros((MAX_ATOMS + 1, MAX_ATOMS + 1), dtype=bool)
    bonded[tuple(np.array(sorted(_BONDED_ACROSS)).T)] = True
    return bonded


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactTable:
    """Particles of one sequence: its atoms, then a centre for each ring.

    Attributes:
        number_K: int64 [K], number of each particle's residue; between chains one is left out, as they are not bound.
        letter_K: int64 [K], its letter's place in "ACGU".
        slot_K: int64 [K], slot of an atom; MAX_ATOMS for a ring's centre.
        radius_K: float [K], Å.
        donor_K: bool [K].
        acceptor_K: bool [K].
        gather_index: int64 [atoms], where each atom stands in a flattened [L · MAX_ATOMS] array.
        ring_index: int64 [rings, 6], the same for the corners of each ring.
        ring_weight: [rings, 6], 1/corners, zero in the sixth place of a five-membered ring.
    """

    number_K: np.ndarray
    letter_K: np.ndarray
    slot_K: np.ndarray
    radius_K: np.ndarray
    donor_K: np.ndarray
    acceptor_K: np.ndarray
    gather_index: Tensor
    ring_index: Tensor
    ring_weight: Tensor


def contact_table(sequence: str, breaks: tuple[int, ...] = ()) -> ContactTable:
    """Particles of a sequence with their radii and hydrogen-bond roles.

    Args:
        sequence: letters A C G U.
        breaks: first residue of each chain but the first.
    """
    residue, slot, radius, donor, acceptor = [], [], [], [], []
    rings: list[list[int]] = []
    for i, letter in enumerate(sequence):
        for k, atom in enumerate(ATOMS[letter]):
            residue.append(i)
            slot.append(k)
            radius.append(VDW_RADIUS[element(atom)])
            donor.append(atom in DONORS[letter])
            acceptor.append(atom in ACCEPTORS[letter])
        rings += [[i * MAX_ATOMS + ATOMS[letter].index(a) for a in ring] for ring in RINGS[letter]]
    ring_index = torch.zeros(len(rings), 6, dtype=torch.int64)
    ring_weight = torch.zeros(len(rings), 6)
    for n, ring in enumerate(rings):
        ring_index[n, : len(ring)] = torch.tensor(ring)
        ring_weight[n, : len(ring)] = 1 / len(ring)
    centres = [ring[0] // MAX_ATOMS for ring in rings]
    return ContactTable(
        number_K=spaced(len(sequence), breaks, 1)[residue + centres],
        letter_K=np.array([RESIDUES.index(sequence[i]) for i in residue + centres]),
        slot_K=np.array(slot + [MAX_ATOMS] * len(rings)),
        radius_K=np.array(radius + [RING_RADIUS] * len(rings)),
        donor_K=np.array(donor + [False] * len(rings)),
        acceptor_K=np.array(acceptor + [False] * len(rings)),
        gather_index=torch.tensor(np.array(residue) * MAX_ATOMS + np.array(slot)),
        ring_index=ring_index,
        ring_weight=ring_weight,
    )


def particles(xyz_SLA3: Float[Tensor, "s l a 3"], table: ContactTable) -> Float[Tensor, "s k 3"]:
    """Positions of atoms and ring centres, [S, K, 3]."""
    flat = xyz_SLA3.reshape(xyz_SLA3.shape[0], -1, 3)
    centres = (flat[:, table.ring_index] * table.ring_weight.to(flat)[..., None]).sum(2)
    return torch.cat([flat[:, table.gather_index], centres], dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactList:
    """Pairs of particles that may touch.

    Attributes:
        sample_N: int64 [N].
        first_N: int64 [N], particle.
        second_N: int64 [N], particle.
        reach_N: [N], Å below which the pair is pushed apart.
    """

    sample_N: Tensor
    first_N: Tensor
    second_N: Tensor
    reach_N: Tensor


def list_contacts(xyz_SLA3: Float[Tensor, "s l a 3"], table: ContactTable, skin: float) -> ContactList:
    """Neighbour list by a k-d tree for each sample.

    Args:
        xyz_SLA3: coordinates now.
        table: particles of the sequence.
        skin: Å beyond the reach; the list stays complete while no atom has moved by more than half of it.
    """
    points = particles(xyz_SLA3.detach(), table).cpu().numpy()
    columns = []
    for sample, cloud in enumerate(points):
        pairs = KDTree(cloud).query_pairs(2 * max(VDW_RADIUS.values()) - CLASH_OVERLAP + skin, output_type="ndarray")
        kept, reach = _reach(pairs, table)
        near = np.linalg.norm(cloud[kept[:, 0]] - cloud[kept[:, 1]], axis=1) < reach + skin
        columns.append((np.full(near.sum(), sample), kept[near, 0], kept[near, 1], reach[near]))
    sample, first, second, reach = (np.concatenate(column) for column in zip(*columns, strict=True))
    device = xyz_SLA3.device
    return ContactList(
        sample_N=torch.from_numpy(sample).to(device),
        first_N=torch.from_numpy(first.astype(np.int64)).to(device),
        second_N=torch.from_numpy(second.astype(np.int64)).to(device),
        reach_N=torch.from_numpy(reach).to(xyz_SLA3),
    )


def _reach(pairs: np.ndarray, table: ContactTable) -> tuple[np.ndarray, np.ndarray]:
    """Drop pairs that are near by bonds or rigid to each other; reach of the rest in Å."""
    order_K = table.number_K * (MAX_ATOMS + 1) + table.slot_K
    swap = order_K[pairs[:, 0]] > order_K[pairs[:, 1]]
    pairs[swap] = pairs[swap][:, ::-1]
    a, b = pairs[:, 0], pairs[:, 1]
    step = table.number_K[b] - table.number_K[a]
    centre = (table.slot_K[a] == MAX_ATOMS).astype(int) + (table.slot_K[b] == MAX_ATOMS)
    slots = table.slot_K[a], table.slot_K[b]
    keep = (step > 0) & (centre < 2) & ~((step == 1) & _bonded_across()[slots])
    own = np.flatnonzero((step == 0) & (centre == 0))
    keep[own] = _within_residue()[table.letter_K[a[own]], slots[0][own], slots[1][own]]
    a, b, centre = a[keep], b[keep], centre[keep]
    hydrogen = (table.donor_K[a] & table.acceptor_K[b]) | (table.acceptor_K[a] & table.donor_K[b])
    overlap = np.where(centre > 0, 0.0, CLASH_OVERLAP + HYDROGEN_BOND_ALLOWANCE * hydrogen)
    return pairs[keep], table.radius_K[a] + table.radius_K[b] - overlap


def contact_energy(points_SK3: Float[Tensor, "s k 3"], contacts: ContactList, margin: float) -> Float[Tensor, " s"]:
    """Energy of each sample, [S]: squared depth below reach + margin, summed over pairs.

    Args:
        points_SK3: particles (`particles`).
        contacts: a list that is still complete.
        margin: Å added to every reach; negative values let atoms pass each other early on.
    """
    with torch.no_grad():
        first = points_SK3[contacts.sample_N, contacts.first_N]
        gap = (first - points_SK3[contacts.sample_N, contacts.second_N]).square().sum(-1)
        limit = (contacts.reach_N + margin).clamp(min=0.0)
        active = (gap < limit.square()).nonzero()[:, 0]
    sample = contacts.sample_N[active]
    near = points_SK3[sample, contacts.first_N[active]] - points_SK3[sample, contacts.second_N[active]]
    depth = limit[active] - (near.square().sum(-1) + 1e-12).sqrt()
    energy = points_SK3.new_zeros(points_SK3.shape[0])
    return energy.index_add(0, sample, depth.square())
