"""Where atoms stand in the flat order that the denoiser works in, and which of them are bonded."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from rna_predict.chemistry.letters import LETTER_ID
from rna_predict.chemistry.residues import BONDS, MAX_ATOMS, O3, RESIDUES, SLOT, P
from rna_predict.nn.features import Features


@dataclass(frozen=True, slots=True, kw_only=True)
class Bonds:
    """Pairs of flat atoms.

    Attributes:
        atom_BN2: index of each bond's two atoms; 0 where there is no bond.
        mask_BN: bonds that exist.
    """

    atom_BN2: Int[Tensor, "b n 2"]
    mask_BN: Bool[Tensor, "b n"]


def atom_places(features: Features) -> Int[Tensor, "b l k"]:
    """Index into the flat atoms of each residue's 23 slots; -1 where a slot is empty. OP3 has no slot."""
    batch, length = features.token_mask_BL.shape
    known_BA = features.atom_mask_BA & (features.atom_slot_BA >= 0)
    slot_BA = features.atom_token_BA * MAX_ATOMS + features.atom_slot_BA
    slot_BA = torch.where(known_BA, slot_BA, length * MAX_ATOMS)
    atom_BA = torch.arange(slot_BA.shape[1], device=slot_BA.device).expand_as(slot_BA)
    places = slot_BA.new_full((batch, length * MAX_ATOMS + 1), -1).scatter(1, slot_BA, atom_BA)
    return places[:, :-1].unflatten(1, (length, MAX_ATOMS))


def chain_links(features: Features) -> Bonds:
    """O3'-P between residues of a chain whose numbers follow each other."""
    place_BLK, number_BL, chain_BL = atom_places(features), features.residue_index_BL, features.chain_BL
    atom_BN2 = torch.stack([place_BLK[:, :-1, O3], place_BLK[:, 1:, P]], dim=-1)
    follows_BN = (number_BL[:, 1:] == number_BL[:, :-1] + 1) & (chain_BL[:, 1:] == chain_BL[:, :-1])
    return _known(atom_BN2, follows_BN)


def all_bonds(features: Features) -> Bonds:
    """The links of the chain and the bonds within residues, between heavy atoms; P-OP3 is left out."""
    longest = max(len(pairs) for pairs in BONDS.values())
    slots = torch.full((max(LETTER_ID.values()) + 1, longest, 2), -1)
    for letter in RESIDUES:
        pairs = [[SLOT[letter][name] for name in pair] for pair in BONDS[letter]]
        slots[LETTER_ID[letter], : len(pairs)] = torch.tensor(pairs)
    slots = slots.to(features.restype_BL.device)
    slot_BLN2 = slots[features.restype_BL]
    place_BLK = atom_places(features)
    atom_BLN2 = place_BLK.gather(2, slot_BLN2.clamp(min=0).flatten(2)).unflatten(2, (-1, 2))
    within = _known(atom_BLN2.flatten(1, 2), (slot_BLN2 >= 0).all(-1).flatten(1))
    between = chain_links(features)
    return Bonds(
        atom_BN2=torch.cat([within.atom_BN2, between.atom_BN2], dim=1),
        mask_BN=torch.cat([within.mask_BN, between.mask_BN], dim=1),
    )


def _known(atom_BN2: Tensor, mask_BN: Tensor) -> Bonds:
    mask_BN = mask_BN & (atom_BN2 >= 0).all(-1)
    return Bonds(atom_BN2=torch.where(mask_BN[..., None], atom_BN2, 0), mask_BN=mask_BN)
