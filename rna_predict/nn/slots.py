"""Flat atoms as the networks order them [.., A, 3], and the package's atom slots [.., L, 23, 3], in both directions.

Leading axes may be anything where the features hold one RNA (B = 1): none, samples, batch and samples. Where they hold
several, the first axis is the batch.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rna_predict.chemistry.residues import MAX_ATOMS, O5, OP1, P
from rna_predict.errors import ContractError
from rna_predict.geometry.nucleotide import ANGLE_O3_P_O5, LENGTH_O3_P, OP1_AFTER_O3, place
from rna_predict.nn.features import Features


def slot_mask(features: Features) -> Bool[Tensor, "b l a"]:
    """Slots [B, L, 23] of which the features have an atom."""
    length = features.token_mask_BL.shape[1]
    index_BA = _slot_index(features)
    mask = torch.zeros(len(index_BA), length * MAX_ATOMS + 1, dtype=torch.bool, device=index_BA.device)
    return mask.scatter(1, index_BA, True)[:, :-1].unflatten(1, (length, MAX_ATOMS))


def to_slots(flat_SA3: Float[Tensor, "*s a 3"], features: Features) -> Float[Tensor, "*s l k 3"]:
    """Coordinates [.., L, 23, 3] of flat ones: OP3 is dropped, and slots without an atom are zero.

    Raises:
        ContractError: the atoms or the leading axis are not those of the features.
    """
    length = features.token_mask_BL.shape[1]
    if flat_SA3.shape[-2:] != (features.atom_mask_BA.shape[1], 3):
        raise ContractError(f"to_slots: {tuple(flat_SA3.shape)} for {features.atom_mask_BA.shape[1]} atoms")
    index = _spread(_slot_index(features), flat_SA3.shape[:-2]).expand_as(flat_SA3)
    empty = flat_SA3.new_zeros(*flat_SA3.shape[:-2], length * MAX_ATOMS + 1, 3)
    return empty.scatter(-2, index, flat_SA3)[..., :-1, :].unflatten(-2, (length, MAX_ATOMS))


def from_slots(xyz_SLA3: Float[Tensor, "*s l k 3"], features: Features) -> Float[Tensor, "*s a 3"]:
    """Flat coordinates [.., A, 3] of slots; padded atoms are zero.

    OP3 of residue 1 has no slot. It is put where O3' of a residue before would be: 1.607 Å from P, 104° from O5', and
    on the side that makes OP1 the pro-S oxygen (`geometry.nucleotide`).

    Raises:
        ContractError: the residues or the leading axis are not those of the features.
    """
    length = features.token_mask_BL.shape[1]
    if xyz_SLA3.shape[-3:] != (length, MAX_ATOMS, 3):
        raise ContractError(f"from_slots: {tuple(xyz_SLA3.shape)} for {length} residues of {MAX_ATOMS} slots")
    token_BA, slot_BA, leading = features.atom_token_BA, features.atom_slot_BA, xyz_SLA3.shape[:-3]
    index = _spread(token_BA * MAX_ATOMS + slot_BA.clamp(min=0), leading)
    flat_SA3 = xyz_SLA3.flatten(-3, -2).gather(-2, index.expand(*index.shape[:-1], 3))
    token = _spread(token_BA, leading)
    op3_SA3 = _op3(xyz_SLA3).gather(-2, token.expand(*token.shape[:-1], 3))
    flat_SA3 = torch.where(_spread(slot_BA < 0, leading), op3_SA3, flat_SA3)
    return torch.where(_spread(features.atom_mask_BA, leading), flat_SA3, torch.zeros_like(flat_SA3))


def _slot_index(features: Features) -> Tensor:
    """Place of each atom among L · 23 slots [B, A]; one past the last for OP3 and padding."""
    outside_BA = ~features.atom_mask_BA | (features.atom_slot_BA < 0)
    index_BA = features.atom_token_BA * MAX_ATOMS + features.atom_slot_BA
    return index_BA.masked_fill(outside_BA, features.token_mask_BL.shape[1] * MAX_ATOMS)


def _spread(values_BA: Tensor, leading: torch.Size) -> Tensor:
    """What is known per atom of each RNA [B, A] as [*leading, A, 1]."""
    batch = values_BA.shape[0]
    if batch == 1:
        return values_BA[0, :, None].expand(*leading, -1, 1)
    if not leading or leading[0] != batch:
        raise ContractError(f"slots: leading axes {tuple(leading)} of coordinates for a batch of {batch}")
    return values_BA.view(batch, *([1] * (len(leading) - 1)), -1, 1).expand(*leading, -1, 1)


def _op3(xyz_SLA3: Tensor) -> Tensor:
    """Where each residue's phosphorus would carry its third oxygen [.., L, 3]."""
    op1, o5, phosphorus = (xyz_SLA3[..., slot, :] for slot in (OP1, O5, P))
    turn = xyz_SLA3.new_tensor(-math.radians(OP1_AFTER_O3))
    return place(op1, o5, phosphorus, (LENGTH_O3_P, ANGLE_O3_P_O5), turn)
