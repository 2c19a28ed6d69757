"""Coordinates from internal coordinates, all residues at once (NeRF, Parsons et al. 2005, in parallel).

Each residue is placed in its own frame at constant depth; the frames follow from the rigid steps between neighbours by
a parallel prefix (an associative scan of log2 L levels; Ladner and Fischer 1980), as in AlQuraishi's pNeRF (2019) but
without a sequential pass. Differentiable in every internal coordinate, in float32 and float64, with leading batch axes.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from rna_predict.chemistry.residues import (
    ATOM_COUNTS,
    BASE_N_SLOT,
    C1,
    C2,
    C3,
    C5,
    MAX_ATOMS,
    O2,
    O3,
    O4,
    O5,
    OP1,
    OP2,
    P,
    residue_codes,
)
from rna_predict.geometry.frames import Frame
from rna_predict.geometry.internal import EPSILON, TURNED_BY, ZETA, InternalCoordinates


def build(internal: InternalCoordinates) -> Float[Tensor, "*b l a 3"]:
    """All heavy atoms [..., L, MAX_ATOMS, 3] in Å; slots that a residue does not have are zero."""
    bend_LA, dihedral_LA = internal.angle_LA, atom_dihedrals(internal)
    trig = (torch.cos(bend_LA), torch.sin(bend_LA), torch.cos(dihedral_LA), torch.sin(dihedral_LA))
    frames = _residue_frames(internal, trig)
    local_LA3 = _local_atoms(internal.length_LA, trig)
    xyz_LA3 = local_LA3 @ frames.rotation.mT + frames.origin[..., None, :]
    slots = torch.from_numpy(ATOM_COUNTS[residue_codes(internal.sequence)]).to(xyz_LA3.device)
    present_LA = torch.arange(MAX_ATOMS, device=xyz_LA3.device) < slots[:, None]
    return xyz_LA3 * present_LA[..., None]


def atom_dihedrals(internal: InternalCoordinates) -> Float[Tensor, "*b l a"]:
    """Dihedral of every atom: its torsion plus its offset."""
    torsion = internal.torsion_L7
    column = torch.tensor(TURNED_BY, device=torsion.device)
    padded = torch.cat([torsion, torch.zeros_like(torsion[..., :1])], dim=-1)
    return padded[..., column] + internal.offset_LA


Trig = tuple[Tensor, Tensor, Tensor, Tensor]
"""cos and sin of the angle, cos and sin of the dihedral, each [..., L, A]."""


def _turn(trig: Trig) -> Tensor:
    """Rotation from the frame at c (x along b→c, a in the xy plane, z = ab x bc) to the one at d, [..., 3, 3]."""
    cos_bend, sin_bend, cos, sin = trig
    zero = torch.zeros_like(cos)
    rows = [-cos_bend, -sin_bend, zero, sin_bend * cos, -cos_bend * cos, -sin, sin_bend * sin, -cos_bend * sin, cos]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def _arm(length: Tensor, trig: Trig) -> Tensor:
    """Position of d in the frame at c, [..., 3]."""
    cos_bend, sin_bend, cos, sin = trig
    return length[..., None] * torch.stack([-cos_bend, sin_bend * cos, sin_bend * sin], dim=-1)


def _at(trig: Trig, slot: int | slice) -> Trig:
    cos_bend, sin_bend, cos, sin = trig
    return cos_bend[..., slot], sin_bend[..., slot], cos[..., slot], sin[..., slot]


def _local_atoms(length_LA: Tensor, trig: Trig) -> Tensor:
    """Atoms [..., L, A, 3] in the residue's frame: origin C4', x towards C3', C5' in the xy plane with y > 0."""
    arm_LA3, turn = _arm(length_LA, trig), {s: _turn(_at(trig, s)) for s in (O5, P, C2, C1)}
    cos_bend, sin_bend, zero = trig[0][..., C3], trig[1][..., C3], torch.zeros_like(length_LA[..., C3])
    one = torch.ones_like(zero)
    c4 = torch.stack([zero, zero, zero], dim=-1)
    c3 = torch.stack([length_LA[..., C3], zero, zero], dim=-1)
    c5_way = torch.stack([cos_bend, sin_bend, zero], dim=-1)
    c5 = length_LA[..., C5, None] * c5_way
    # frame at C5', x along C4'→C5', with C3' in its plane; it runs on to O5' and P
    c5_side = torch.stack([sin_bend, -cos_bend, zero], dim=-1)
    at_c5 = torch.stack([c5_way, c5_side, torch.stack([zero, zero, -one], dim=-1)], dim=-1)
    o5 = c5 + _rotate(at_c5, arm_LA3[..., O5, :])
    at_o5 = at_c5 @ turn[O5]
    phosphorus = o5 + _rotate(at_o5, arm_LA3[..., P, :])
    oxygens = phosphorus[..., None, :] + arm_LA3[..., [OP1, OP2], :] @ (at_o5 @ turn[P]).mT
    # frame at C4', x along C3'→C4', with C5' in its plane: the axes turned by half a turn about y
    o4 = arm_LA3[..., O4, :] * arm_LA3.new_tensor([-1.0, 1.0, -1.0])
    # the frame at C3' has the residue's own axes
    c2, o3 = c3 + arm_LA3[..., C2, :], c3 + arm_LA3[..., O3, :]
    at_c2 = turn[C2]
    c1, o2 = (c2 + _rotate(at_c2, arm_LA3[..., slot, :]) for slot in (C1, O2))
    nitrogen = c1 + _rotate(at_c2 @ turn[C1], arm_LA3[..., BASE_N_SLOT, :])
    base = nitrogen[..., None, :] + arm_LA3[..., BASE_N_SLOT + 1 :, :] @ _axes(o4, c1, nitrogen).mT
    backbone = torch.stack(
        [phosphorus, oxygens[..., 0, :], oxygens[..., 1, :], o5, c5, c4, o4, c3, o3, c2, o2, c1], dim=-2
    )
    return torch.cat([backbone, nitrogen[..., None, :], base], dim=-2)


def _rotate(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector[..., None])[..., 0]


def _axes(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Axes of the frame at c, as in `_turn`."""
    x = c - b
    x = x / x.norm(dim=-1, keepdim=True)
    z = torch.linalg.cross(b - a, x)
    z = z / z.norm(dim=-1, keepdim=True)
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=-1)


def _residue_frames(internal: InternalCoordinates, trig: Trig) -> Frame:
    """Frame of every residue in space, [..., L]."""
    step = _steps(internal, trig)
    rotation = torch.where(internal.linked_L[:, None, None], step.rotation, internal.jump.rotation)
    origin = torch.where(internal.linked_L[:, None], step.origin, internal.jump.origin)
    batch = internal.torsion_L7.shape[:-2]
    start = torch.cat([internal.start.rotation, internal.start.origin[..., None]], dim=-1)
    start = start.expand(*batch, 3, 4)[..., None, :, :]
    motions = torch.cat([start, torch.cat([rotation, origin[..., None]], dim=-1)], dim=-3)
    motions = prefix_product(motions)
    return Frame(motions[..., :3], motions[..., 3])


def _steps(internal: InternalCoordinates, trig: Trig) -> Frame:
    """Frame of residue i+1 in the frame of residue i, [..., L-1]: C3', O3', P, O5', C5', C4' walked along."""
    here, there = slice(None, -1), slice(1, None)
    length, link, torsion = internal.length_LA, internal.link_L3, internal.torsion_L7[..., here, :]

    def bend_of(residues: slice, slot: int) -> tuple[Tensor, Tensor]:
        return trig[0][..., residues, slot], trig[1][..., residues, slot]

    def turn_of(residues: slice, slot: int) -> tuple[Tensor, Tensor]:
        return trig[2][..., residues, slot], trig[3][..., residues, slot]

    alpha = internal.torsion_L7[..., there, 0]
    cos_link, sin_link = torch.cos(link[..., 1:]), torch.sin(link[..., 1:])
    bends = (
        bend_of(here, O3),
        (cos_link[..., 0], sin_link[..., 0]),
        (cos_link[..., 1], sin_link[..., 1]),
        bend_of(there, P),
        bend_of(there, O5),
        bend_of(there, C3),
    )
    turns = (
        turn_of(here, O3),
        _cos_sin(torsion[..., EPSILON]),
        _cos_sin(torsion[..., ZETA]),
        _cos_sin(alpha),
        turn_of(there, P),
        turn_of(there, O5),
    )
    parts = [torch.stack(part, dim=-1) for part in (*zip(*bends, strict=True), *zip(*turns, strict=True))]
    rotations = _turn((parts[0], parts[1], parts[2], parts[3])).unbind(-3)
    bonds = (length[..., here, O3], link[..., 0], *(length[..., there, slot] for slot in (P, O5, C5)))
    zero = torch.zeros_like(bonds[0])
    origin, rotation = torch.stack([length[..., here, C3], zero, zero], dim=-1), rotations[0]
    for bond, turn in zip(bonds, rotations[1:], strict=True):
        origin = origin + bond[..., None] * rotation[..., 0]
        rotation = rotation @ turn
    return Frame(rotation, origin)


def _cos_sin(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cos(x), torch.sin(x)


def prefix_product(motions: Float[Tensor, "*b l 3 4"]) -> Float[Tensor, "*b l 3 4"]:
    """Products M1, M1 M2, M1 M2 M3, … of rigid motions [rotation | origin], in 2 log2 L levels and O(L) work."""
    length = motions.shape[-3]
    if length == 1:
        return motions
    even, odd = motions[..., 0::2, :, :], motions[..., 1::2, :, :]
    pairs = length // 2
    ends = prefix_product(_chain(even[..., :pairs, :, :], odd))
    firsts = torch.cat([even[..., :1, :, :], _chain(ends[..., : (length - 1) // 2, :, :], even[..., 1:, :, :])], dim=-3)
    woven = torch.stack([firsts[..., :pairs, :, :], ends], dim=-3).flatten(-4, -3)
    return woven if length % 2 == 0 else torch.cat([woven, firsts[..., -1:, :, :]], dim=-3)


def _chain(outer: Tensor, inner: Tensor) -> Tensor:
    """outer ∘ inner of motions [..., 3, 4]."""
    product = outer[..., :3] @ inner
    return torch.cat([product[..., :3], product[..., 3:] + outer[..., 3:]], dim=-1)
