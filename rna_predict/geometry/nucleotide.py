"""A nucleotide as a rigid base with four torsions behind it: exact bonds, angles, planarity and chirality.

The base frame (`chemistry.base_frames`) is the root. χ turns the ribose about the glycosidic bond, γ places O5', β
the phosphorus. OP1 and OP2 follow from O5' and the O3' of the residue before (α is a variable for the first residue
only). Sugar pucker is a constant of the residue. What remains free between neighbours is the O3'-P link, which
`energy.links` closes; everything else is ideal for any value of the variables.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rna_predict.chemistry.base_frames import STANDARD_BASES
from rna_predict.chemistry.ideal import BOND_ANGLES, BOND_LENGTHS
from rna_predict.chemistry.residues import (
    ATOMS,
    BASE_N_SLOT,
    BASES,
    C1,
    C2,
    C3,
    C4,
    C5,
    CHI_FOURTH,
    MAX_ATOMS,
    O2,
    O3,
    O4,
    O5,
    OP1,
    OP2,
    P,
)
from rna_predict.geometry.dihedral import dihedral
from rna_predict.geometry.frames import Frame
from rna_predict.geometry.ribose import RIBOSE_ATOMS, ribose

CHI, GAMMA, BETA, ALPHA = range(4)
"""Columns of the torsion variables."""

LENGTH_O3_P = BOND_LENGTHS["P", "O3'"].value
LENGTH_C5_O5 = BOND_LENGTHS["O5'", "C5'"].value
LENGTH_O5_P = BOND_LENGTHS["P", "O5'"].value
LENGTH_P_OP = BOND_LENGTHS["P", "OP1"].value
ANGLE_C3_O3_P = BOND_ANGLES["C3'", "O3'", "P"].value
ANGLE_O3_P_O5 = BOND_ANGLES["O3'", "P", "O5'"].value
ANGLE_C4_C5_O5 = BOND_ANGLES["O5'", "C5'", "C4'"].value
ANGLE_C5_O5_P = BOND_ANGLES["P", "O5'", "C5'"].value
ANGLE_O5_P_OP = 108.1  # degrees; Gelbin et al. 1996: 105.7-110.7
OP1_AFTER_O3, OP2_AFTER_O3 = 114.6, -114.6
"""Degrees about O5'-P from O3' of the residue before; with these angles OP1-P-OP2 is 119.6° (Gelbin et al. 1996)."""

_RIBOSE_SLOTS = {"C4'": C4, "O4'": O4, "C3'": C3, "O3'": O3, "C2'": C2, "O2'": O2, "C1'": C1, "C5'": C5}


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleotideShape:
    """The rigid parts of each residue, in its base frame.

    Attributes:
        mask_LA: bool [L, MAX_ATOMS], atoms that the residue has.
        base_LB3: [L, 11, 3], base atoms in slot order, zero where the residue has fewer.
        ribose_LR3: [L, 8, 3], ribose atoms (`_RIBOSE_SLOTS` order) at χ = 0; [S, L, 8, 3] where samples have puckers
            of their own.
        axis_L3: [L, 3], unit vector N → C1'.
        nitrogen_L3: [L, 3], the glycosidic nitrogen.
    """

    mask_LA: Tensor
    base_LB3: Tensor
    ribose_LR3: Tensor
    axis_L3: Tensor
    nitrogen_L3: Tensor


def nucleotide_shape(
    sequence: str, phase_L: Float[Tensor, "*s l"], amplitude_L: Float[Tensor, "*s l"]
) -> NucleotideShape:
    """Rigid parts for a sequence with given puckers.

    Args:
        sequence: letters A C G U.
        phase_L: pseudorotation phase, radians, [L] or [S, L]; its dtype and device are those of the result.
        amplitude_L: pucker amplitude, radians.
    """
    like = {"dtype": phase_L.dtype, "device": phase_L.device}
    base = torch.zeros(len(sequence), MAX_ATOMS - BASE_N_SLOT, 3, **like)
    mask = torch.zeros(len(sequence), MAX_ATOMS, dtype=torch.bool, device=phase_L.device)
    carbon, fourth = torch.zeros(len(sequence), 3, **like), torch.zeros(len(sequence), 3, **like)
    for i, letter in enumerate(sequence):
        names = BASES[letter]
        base[i, : len(names)] = torch.tensor([STANDARD_BASES[letter][name] for name in names], **like)
        mask[i, : len(ATOMS[letter])] = True
        carbon[i] = torch.tensor(STANDARD_BASES[letter]["C1'"], **like)
        fourth[i] = torch.tensor(STANDARD_BASES[letter][CHI_FOURTH[letter]], **like)
    local = ribose(phase_L, amplitude_L)
    order = [RIBOSE_ATOMS.index(name) for name in _RIBOSE_SLOTS]
    n, c1, o4 = (local[..., RIBOSE_ATOMS.index(name), :] for name in ("N", "C1'", "O4'"))
    nitrogen = base[:, 0]
    from_local = _axis_frame(c1 - n, o4 - n)
    to_base = _axis_frame(carbon - nitrogen, fourth - nitrogen)
    turn = to_base @ from_local.transpose(-1, -2)
    placed = (local[..., order, :] - n[..., None, :]) @ turn.transpose(-1, -2) + nitrogen[:, None]
    axis = torch.nn.functional.normalize(carbon - nitrogen, dim=-1)
    return NucleotideShape(mask_LA=mask, base_LB3=base, ribose_LR3=placed, axis_L3=axis, nitrogen_L3=nitrogen)


def _axis_frame(axis: Tensor, other: Tensor) -> Tensor:
    """Orthonormal columns: along `axis`, towards `other`, and their cross product."""
    first = torch.nn.functional.normalize(axis, dim=-1)
    second = torch.nn.functional.normalize(other - (other * first).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def place_atoms(shape: NucleotideShape, frame: Frame, torsion_SL4: Float[Tensor, "s l 4"]) -> Float[Tensor, "s l a 3"]:
    """All heavy atoms, [S, L, MAX_ATOMS, 3] in Å.

    Args:
        shape: rigid parts of the L residues.
        frame: base frames, rotation [S, L, 3, 3] and origin [S, L, 3].
        torsion_SL4: χ, γ, β, α in radians (columns CHI, GAMMA, BETA, ALPHA); α counts for the first residue alone.
    """
    rotation, origin = frame
    samples, length = origin.shape[:2]
    chi = torsion_SL4[..., CHI]
    arm = (shape.ribose_LR3 - shape.nitrogen_L3[:, None]).expand(samples, -1, -1, -1)
    axis = shape.axis_L3[None, :, None].expand_as(arm)
    cos, sin = torch.cos(chi)[..., None, None], torch.sin(chi)[..., None, None]
    along = (arm * axis).sum(-1, keepdim=True) * axis
    sugar = cos * (arm - along) + sin * torch.linalg.cross(axis, arm) + along + shape.nitrogen_L3[None, :, None]
    _, _, c3, _, _, _, _, c5 = sugar.unbind(2)
    c4 = sugar[:, :, 0]
    o5 = place(c3, c4, c5, (LENGTH_C5_O5, ANGLE_C4_C5_O5), torsion_SL4[..., GAMMA])
    phosphorus = place(c4, c5, o5, (LENGTH_O5_P, ANGLE_C5_O5_P), torsion_SL4[..., BETA])
    slots: list[Tensor] = [origin] * BASE_N_SLOT
    slots[P], slots[OP1], slots[OP2], slots[O5] = phosphorus, phosphorus, phosphorus, o5
    for column, slot in enumerate(_RIBOSE_SLOTS.values()):
        slots[slot] = sugar[:, :, column]
    base = shape.base_LB3.expand(samples, length, -1, 3)
    local = torch.cat([torch.stack(slots, dim=2), base], dim=2)
    xyz = local @ rotation.transpose(-1, -2) + origin[:, :, None]
    return _with_phosphate_oxygens(xyz, torsion_SL4[:, :1, ALPHA]) * shape.mask_LA[None, :, :, None]


def _with_phosphate_oxygens(xyz_SLA3: Tensor, alpha_S1: Tensor) -> Tensor:
    """Put OP1 and OP2 on either side of the plane of O3' (of the residue before), P and O5'."""
    o5, phosphorus, c5 = (xyz_SLA3[:, :, slot] for slot in (O5, P, C5))
    before = place(c5[:, :1], o5[:, :1], phosphorus[:, :1], (LENGTH_O3_P, ANGLE_O3_P_O5), alpha_S1)
    o3 = torch.cat([before, xyz_SLA3[:, :-1, O3]], dim=1)
    op1 = place(o3, o5, phosphorus, (LENGTH_P_OP, ANGLE_O5_P_OP), alpha_S1.new_tensor(math.radians(OP1_AFTER_O3)))
    op2 = place(o3, o5, phosphorus, (LENGTH_P_OP, ANGLE_O5_P_OP), alpha_S1.new_tensor(math.radians(OP2_AFTER_O3)))
    return torch.cat([xyz_SLA3[:, :, :1], op1[:, :, None], op2[:, :, None], xyz_SLA3[:, :, 3:]], dim=2)


def place(
    a: Float[Tensor, "*b 3"],
    b: Float[Tensor, "*b 3"],
    c: Float[Tensor, "*b 3"],
    bond: tuple[float, float],
    torsion: Float[Tensor, "*#b"],
) -> Float[Tensor, "*b 3"]:
    """The atom d with |cd| and angle b-c-d = `bond` (Å, degrees) and dihedral a-b-c-d = `torsion` (radians)."""
    length, angle = bond[0], math.radians(bond[1])
    along = torch.nn.functional.normalize(c - b, dim=-1)
    normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, along), dim=-1)
    side = torch.linalg.cross(normal, along)
    out = side * torch.cos(torsion)[..., None] + normal * torch.sin(torsion)[..., None]
    return c + length * (math.sin(angle) * out - math.cos(angle) * along)


def torsions_of(xyz_LA3: Float[Tensor, "*b l a 3"], fourth_slot_L: Int[Tensor, " l"]) -> Float[Tensor, "*b l 4"]:
    """χ, γ, β, α' of each residue from its own atoms, [..., L, 4]; α' is read off OP1, so it exists for residue 1.

    Args:
        xyz_LA3: [..., L, MAX_ATOMS, 3].
        fourth_slot_L: int64 [L], slot of the last atom of χ.
    """

    def at(slot: int) -> Tensor:
        return xyz_LA3[..., slot, :]

    index = fourth_slot_L.expand(xyz_LA3.shape[:-2])[..., None, None].expand(*xyz_LA3.shape[:-2], 1, 3)
    fourth = xyz_LA3.gather(-2, index)[..., 0, :]
    chi = dihedral(at(O4), at(C1), at(BASE_N_SLOT), fourth)
    gamma = dihedral(at(O5), at(C5), at(C4), at(C3))
    beta = dihedral(at(P), at(O5), at(C5), at(C4))
    from_op1 = dihedral(at(C5), at(O5), at(P), at(OP1)) - math.radians(OP1_AFTER_O3)
    alpha = torch.atan2(torch.sin(from_op1), torch.cos(from_op1))
    return torch.stack([chi, gamma, beta, alpha], dim=-1)


def link_torsions(xyz_SLA3: Float[Tensor, "*b l a 3"]) -> Float[Tensor, "*b l-1 3"]:
    """ε and ζ of residue i and α of residue i + 1, radians, [..., L - 1, 3]."""
    here, there = xyz_SLA3[..., :-1, :, :], xyz_SLA3[..., 1:, :, :]
    c4, c3, o3 = (here[..., slot, :] for slot in (C4, C3, O3))
    phosphorus, o5, c5 = (there[..., slot, :] for slot in (P, O5, C5))
    epsilon = dihedral(c4, c3, o3, phosphorus)
    zeta = dihedral(c3, o3, phosphorus, o5)
    alpha = dihedral(o3, phosphorus, o5, c5)
    return torch.stack([epsilon, zeta, alpha], dim=-1)


def fourth_slots(sequence: str) -> Int[Tensor, " l"]:
    """int64 [L], slot of the last atom of χ: C4 of purines, C2 of pyrimidines."""
    return torch.tensor([ATOMS[letter].index(CHI_FOURTH[letter]) for letter in sequence])
