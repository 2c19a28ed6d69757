"""Internal coordinates of RNA: a bond length, an angle and a dihedral for every heavy atom, measured or ideal.

Each atom d hangs on three others a, b, c of its residue (`REFERENCES`): length c-d, angle b-c-d, dihedral a-b-c-d. The
dihedral is a torsion of the residue plus an offset of the atom, so that turning χ turns the whole base and turning
α turns both phosphate oxygens. The residue hangs on C5'-C4'-C3'; `nerf` says how residues follow each other.

δ and the ring: the ribose is one body fixed to C5'-C4'-C3', and δ only places O3' and what follows it. Turning δ alone
therefore keeps the ring closed and bends the angles at C3'; `ideal_internal` takes δ from the sugar pucker instead.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import radians

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rna_predict.chemistry.base_frames import STANDARD_BASES
from rna_predict.chemistry.ideal import ANGLE_O_P_OP, BOND_ANGLES, BOND_LENGTHS, OP_OFFSET
from rna_predict.chemistry.residues import (
    BASE_N_SLOT,
    BASES,
    C1,
    C2,
    C3,
    C4,
    C5,
    CHI_FOURTH,
    GLYCOSIDIC_N,
    MAX_ATOMS,
    O2,
    O3,
    O4,
    O5,
    OP1,
    OP2,
    RESIDUES,
    P,
    residue_codes,
)
from rna_predict.chemistry.torsions import A_FORM_DEGREES, C3_ENDO_PHASE_DEGREES, TORSIONS
from rna_predict.errors import InputError
from rna_predict.geometry.dihedral import angle, bond_angle_dihedral, distance, wrap
from rna_predict.geometry.frames import Frame, frame_from_atoms
from rna_predict.geometry.ribose import RIBOSE_ATOMS, ribose
from rna_predict.geometry.torsions import measure_torsions

ALPHA, BETA, GAMMA, DELTA, EPSILON, ZETA, CHI = range(7)
NO_TORSION = 7
"""Stands for "no torsion of the residue turns this atom"."""

REFERENCES: dict[int, tuple[int, int, int]] = {
    P: (C4, C5, O5),
    OP1: (C5, O5, P),
    OP2: (C5, O5, P),
    O5: (C3, C4, C5),
    O4: (C5, C3, C4),
    O3: (C5, C4, C3),
    C2: (C5, C4, C3),
    O2: (C4, C3, C2),
    C1: (C4, C3, C2),
    BASE_N_SLOT: (C3, C2, C1),
    **dict.fromkeys(range(BASE_N_SLOT + 1, MAX_ATOMS), (O4, C1, BASE_N_SLOT)),
}
"""Slot → slots a, b, c that it is placed from. C5', C4', C3' have none: they are the residue's frame."""

TURNED_BY: tuple[int, ...] = tuple(
    {P: BETA, OP1: ALPHA, OP2: ALPHA, O5: GAMMA, O3: DELTA}.get(slot, CHI if slot > BASE_N_SLOT else NO_TORSION)
    for slot in range(MAX_ATOMS)
)
"""Slot → column of the torsion that its dihedral follows."""

A_FORM_AMPLITUDE = radians(38.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalCoordinates:
    """Everything that `nerf.build` needs; leading axes of the tensors are batch axes.

    Attributes:
        sequence: letters A C G U.
        torsion_L7: α β γ δ ε ζ χ, radians; ε and ζ of the last residue and of one before a jump are not used.
        length_LA: Å; at C5' and C3' the bond to C4'.
        angle_LA: radians; at C3' the angle C5'-C4'-C3'; unused at C5' and C4'.
        offset_LA: radians; dihedral minus the torsion that turns the atom (`TURNED_BY`).
        link_L3: [L-1, 3] O3'-P length (Å), angles C3'-O3'-P and O3'-P-O5' (radians) to the next residue.
        linked_L: bool [L-1], False where the chain is broken and `jump` is used instead of the link.
        jump: frame of residue i+1 in the frame of residue i, [L-1]; identity where linked.
        start: frame of the first residue: origin C4', x towards C3', C5' in the xy plane with y > 0.
    """

    sequence: str
    torsion_L7: Tensor
    length_LA: Tensor
    angle_LA: Tensor
    offset_LA: Tensor
    link_L3: Tensor
    linked_L: Tensor
    jump: Frame
    start: Frame

    def with_torsions(self, torsion_L7: Float[Tensor, "*b l 7"]) -> "InternalCoordinates":
        """The same lengths, angles and offsets with other torsions."""
        return replace(self, torsion_L7=torsion_L7)


def residue_frames(xyz_LA3: Float[Tensor, "*b l a 3"]) -> Frame:
    """Frame of each residue that the internal coordinates hang on: origin C4', x towards C3', C5' at y > 0."""
    return frame_from_atoms(xyz_LA3[..., C5, :], xyz_LA3[..., C4, :], xyz_LA3[..., C3, :])


def ideal_internal(
    sequence: str,
    torsion_L7: Float[Tensor, "*b l 7"],
    phase_L: Float[Tensor, "*b l"],
    amplitude_L: Float[Tensor, "*b l"],
) -> InternalCoordinates:
    """Ideal lengths and angles (Gelbin 1996, bases Clowney 1996) with given torsions and sugar puckers.

    δ follows from the pucker: column δ of `torsion_L7` is replaced by the ribose's own value.

    Args:
        sequence: letters A C G U.
        torsion_L7: α β γ δ ε ζ χ in radians, every entry defined (α of the first residue turns its OP1 and OP2).
        phase_L: pseudorotation phase, radians.
        amplitude_L: pucker amplitude, radians, up to 0.84.
    """
    constants = torch.from_numpy(_ideal_constants())
    code = torch.from_numpy(residue_codes(sequence))
    length_LA, angle_LA, offset_LA = constants.to(torsion_L7)[:, code.to(torsion_L7.device)].unbind(0)
    sugar_slots, sugar = _sugar_internal(phase_L, amplitude_L)
    batch = torsion_L7.shape[:-2]
    length_LA, angle_LA, offset_LA = (
        x.expand(*batch, *x.shape).index_copy(-1, sugar_slots.to(x.device), y)
        for x, y in zip((length_LA, angle_LA, offset_LA), sugar, strict=True)
    )
    delta = offset_LA[..., O3 : O3 + 1]
    is_o3 = torch.arange(MAX_ATOMS, device=delta.device) == O3
    count = len(sequence) - 1
    link = torsion_L7.new_tensor(
        [
            BOND_LENGTHS["P", "O3'"].value,
            radians(BOND_ANGLES["C3'", "O3'", "P"].value),
            radians(BOND_ANGLES["O3'", "P", "O5'"].value),
        ]
    )
    return InternalCoordinates(
        sequence=sequence,
        torsion_L7=torch.cat([torsion_L7[..., :DELTA], delta, torsion_L7[..., DELTA + 1 :]], dim=-1),
        length_LA=length_LA,
        angle_LA=angle_LA,
        offset_LA=torch.where(is_o3, torch.zeros_like(offset_LA), offset_LA),
        link_L3=link.expand(*batch, count, 3),
        linked_L=torch.ones(count, dtype=torch.bool, device=torsion_L7.device),
        jump=_identity(torsion_L7, (count,)),
        start=_identity(torsion_L7, ()),
    )


def a_form_internal(sequence: str, like: Tensor) -> InternalCoordinates:
    """Ideal A-form: the usual torsions and C3'-endo at every residue; dtype and device of `like`."""
    torsion = like.new_tensor([radians(A_FORM_DEGREES[name]) for name in TORSIONS]).expand(len(sequence), 7)
    phase = like.new_full((len(sequence),), radians(C3_ENDO_PHASE_DEGREES))
    return ideal_internal(sequence, wrap(torsion), phase, torch.full_like(phase, A_FORM_AMPLITUDE))


def measure_internal(
    xyz_LA3: Float[Tensor, "l a 3"], mask_LA: Bool[Tensor, "l a"], sequence: str, linked_L: np.ndarray | None = None
) -> InternalCoordinates:
    """A structure's own internal coordinates; `nerf.build` gives the structure back.

    Atoms that are missing, or whose references are, get the ideal values of an A-form residue. Where residues are not
    neighbours, or O3', P or O5' between them is missing, the next residue's frame is kept as a jump.

    Args:
        xyz_LA3: coordinates in slot order, Å.
        mask_LA: True where the atom is present.
        sequence: letters A C G U.
        linked_L: bool [L-1], True where residues i and i+1 are bound; None means an unbroken chain.

    Raises:
        InputError: a residue lacks C5', C4' or C3', so it has no frame.
    """
    framed = mask_LA[:, [C5, C4, C3]].all(-1)
    if not framed.all():
        number = int(torch.nonzero(~framed)[0, 0]) + 1
        raise InputError(f"residue {number} lacks C5', C4' or C3'; leave it out or complete it before measuring.")
    ideal = a_form_internal(sequence, xyz_LA3)
    bound = torch.ones(len(sequence) - 1, dtype=torch.bool) if linked_L is None else torch.from_numpy(linked_L)
    crossing = mask_LA[:-1, O3] & mask_LA[1:, P] & mask_LA[1:, O5]
    link_ok = bound.to(mask_LA.device) & crossing
    torsion, known = measure_torsions(xyz_LA3, mask_LA, sequence, link_ok.cpu().numpy())
    torsion = torch.where(known, torsion, ideal.torsion_L7)
    slots = list(REFERENCES)
    quads = torch.tensor([(*REFERENCES[slot], slot) for slot in slots], device=xyz_LA3.device)
    a, b, c, d = xyz_LA3[:, quads].unbind(-2)
    have = mask_LA[:, quads].all(-1)
    column = torch.tensor([TURNED_BY[slot] for slot in slots], device=xyz_LA3.device)
    turned = torch.cat([torsion, torch.zeros_like(torsion[:, :1])], dim=-1)[:, column]
    found = bond_angle_dihedral(a, b, c, d)
    measured = (found[0], found[1], wrap(found[2] - turned))
    length, bend, offset = (x.clone() for x in (ideal.length_LA, ideal.angle_LA, ideal.offset_LA))
    for target, value in zip((length, bend, offset), measured, strict=True):
        target[:, slots] = torch.where(have, value, target[:, slots])
    length[:, C5] = distance(xyz_LA3[:, C5], xyz_LA3[:, C4])
    length[:, C3] = distance(xyz_LA3[:, C3], xyz_LA3[:, C4])
    bend[:, C3] = angle(xyz_LA3[:, C5], xyz_LA3[:, C4], xyz_LA3[:, C3])
    before, after = xyz_LA3[:-1], xyz_LA3[1:]
    link = torch.stack(
        [
            distance(before[:, O3], after[:, P]),
            angle(before[:, C3], before[:, O3], after[:, P]),
            angle(before[:, O3], after[:, P], after[:, O5]),
        ],
        dim=-1,
    )
    frames = residue_frames(xyz_LA3)
    first, rest = (Frame(frames.rotation[s], frames.origin[s]) for s in (slice(None, -1), slice(1, None)))
    step, same = first.invert().compose(rest), _identity(xyz_LA3, (len(sequence) - 1,))
    return InternalCoordinates(
        sequence=sequence,
        torsion_L7=torsion,
        length_LA=length,
        angle_LA=bend,
        offset_LA=offset,
        link_L3=torch.where(link_ok[:, None], link, ideal.link_L3),
        linked_L=link_ok,
        jump=Frame(
            torch.where(link_ok[:, None, None], same.rotation, step.rotation),
            torch.where(link_ok[:, None], same.origin, step.origin),
        ),
        start=Frame(frames.rotation[0], frames.origin[0]),
    )


def _identity(like: Tensor, shape: tuple[int, ...]) -> Frame:
    eye = torch.eye(3, dtype=like.dtype, device=like.device)
    return Frame(eye.expand(*shape, 3, 3), like.new_zeros(*shape, 3))


_SUGAR_SLOTS = (O4, O3, C2, O2, C1, BASE_N_SLOT)


def _sugar_internal(phase_L: Tensor, amplitude_L: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Slots, and lengths, angles and dihedrals [..., L, slots] of the atoms that the ideal ribose places."""
    backbone = {
        "C4'": C4,
        "O4'": O4,
        "C3'": C3,
        "O3'": O3,
        "C2'": C2,
        "O2'": O2,
        "C1'": C1,
        "C5'": C5,
        "N": BASE_N_SLOT,
    }
    at = {backbone[name]: k for k, name in enumerate(RIBOSE_ATOMS)}
    xyz = ribose(phase_L, amplitude_L)
    quads = torch.tensor([[at[s] for s in (*REFERENCES[slot], slot)] for slot in _SUGAR_SLOTS], device=xyz.device)
    a, b, c, d = xyz[..., quads, :].unbind(-2)
    frame_length = xyz.new_tensor([BOND_LENGTHS["C5'", "C4'"].value, BOND_LENGTHS["C3'", "C4'"].value])
    frame_length = frame_length.expand(*phase_L.shape, 2)
    bend = angle(xyz[..., at[C5], :], xyz[..., at[C4], :], xyz[..., at[C3], :])[..., None]
    zero = torch.zeros_like(bend)
    slots = torch.tensor([*_SUGAR_SLOTS, C5, C3])
    length, angles, turn = bond_angle_dihedral(a, b, c, d)
    return slots, (
        torch.cat([length, frame_length], dim=-1),
        torch.cat([angles, zero, bend], dim=-1),
        torch.cat([turn, zero, zero], dim=-1),
    )


@lru_cache(maxsize=1)
def _ideal_constants() -> np.ndarray:
    """Lengths, angles, offsets [3, 4 residue types, MAX_ATOMS] of the phosphate and of the base, 0 elsewhere."""
    table = np.zeros((3, len(RESIDUES), MAX_ATOMS))
    oxygen, turn = radians(ANGLE_O_P_OP), radians(OP_OFFSET)
    table[:, :, P] = [[BOND_LENGTHS["P", "O5'"].value], [radians(BOND_ANGLES["P", "O5'", "C5'"].value)], [0.0]]
    table[:, :, OP1] = [[BOND_LENGTHS["P", "OP1"].value], [oxygen], [turn]]
    table[:, :, OP2] = [[BOND_LENGTHS["P", "OP2"].value], [oxygen], [-turn]]
    table[:, :, O5] = [[BOND_LENGTHS["O5'", "C5'"].value], [radians(BOND_ANGLES["O5'", "C5'", "C4'"].value)], [0.0]]
    for code, letter in enumerate(RESIDUES):
        atoms = {name: np.array(xyz) for name, xyz in STANDARD_BASES[letter].items()}
        nitrogen = atoms[GLYCOSIDIC_N[letter]]
        axis = nitrogen - atoms["C1'"]
        fourth = np.cross(axis, atoms[CHI_FOURTH[letter]] - nitrogen)[2]
        for k, name in enumerate(BASES[letter][1:], start=BASE_N_SLOT + 1):
            arm = atoms[name] - nitrogen
            length = np.linalg.norm(arm)
            bend = np.arccos(-(axis @ arm) / np.linalg.norm(axis) / length)
            # the base is planar: on the side of χ's fourth atom, or across
            across = 0.0 if np.cross(axis, arm)[2] * fourth > 0 else np.pi
            table[:, code, k] = length, bend, across
    return table
