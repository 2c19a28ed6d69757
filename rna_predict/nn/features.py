"""What the networks read: a batch of RNAs as tensors, and what the trunk makes of it."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentFeatures:
    """Rows of an alignment, the query first.

    Attributes:
        residue_BML: letters as Protenix numbers them (A 21, G 22, C 23, U 24, N 25, gap 31).
        deletion_BML: residues deleted before each column, a count.
        mask_BM: False for rows that only pad the batch.
    """

    residue_BML: Int[Tensor, "b m l"]
    deletion_BML: Float[Tensor, "b m l"]
    mask_BM: Bool[Tensor, "b m"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """One batch of RNAs, of one chain or several, padded to L residues and A atoms; the masks are False where padded.

    Attributes:
        token_mask_BL: residues that exist.
        restype_BL: letter of each residue as Protenix numbers it (A 21, G 22, C 23, U 24).
        profile_BLT: share of each of 32 letters in the alignment's column; the query's one-hot without an alignment.
        deletion_mean_BL: mean count of deletions before each column.
        residue_index_BL: number of the residue in its chain from 1 (a crop keeps the chain's numbers).
        chain_BL: number of the residue's chain (AF3's asym_id).
        entity_BL: number of its letters among the different chains' (AF3's entity_id).
        copy_BL: number of the chain among those of the same letters (AF3's sym_id).
        atom_mask_BA: atoms that exist.
        atom_token_BA: residue of each atom; ascending, and 0 where padded.
        atom_slot_BA: slot in the package's atom order; -1 for OP3 of a chain's residue 1, which the package leaves out.
        atom_rank_BA: place of the atom among its component's atoms (row of the atom-wise confidence weights).
        ref_pos_BA3: the residue's reference conformer, Å, centred, shifted by up to 1 Å and turned at random.
        ref_charge_BA: formal charge.
        ref_element_BA: atomic number.
        ref_name_BA4: four characters of the atom's name, each ord - 32.
        distogram_atom_BL: index into the atoms: C4 of A and G, C2 of C and U.
        alignment: None stands for one row, the query (`featurise` never leaves it out: see there for its rows).
    """

    token_mask_BL: Bool[Tensor, "b l"]
    restype_BL: Int[Tensor, "b l"]
    profile_BLT: Float[Tensor, "b l t"]
    deletion_mean_BL: Float[Tensor, "b l"]
    residue_index_BL: Int[Tensor, "b l"]
    chain_BL: Int[Tensor, "b l"]
    entity_BL: Int[Tensor, "b l"]
    copy_BL: Int[Tensor, "b l"]
    atom_mask_BA: Bool[Tensor, "b a"]
    atom_token_BA: Int[Tensor, "b a"]
    atom_slot_BA: Int[Tensor, "b a"]
    atom_rank_BA: Int[Tensor, "b a"]
    ref_pos_BA3: Float[Tensor, "b a 3"]
    ref_charge_BA: Float[Tensor, "b a"]
    ref_element_BA: Int[Tensor, "b a"]
    ref_name_BA4: Int[Tensor, "b a 4"]
    distogram_atom_BL: Int[Tensor, "b l"]
    alignment: AlignmentFeatures | None = None

    def to(self, device: torch.device | str) -> "Features":
        """The same batch on another device."""
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "alignment"}
        alignment = self.alignment
        if alignment is not None:
            alignment = replace(alignment, **{f.name: getattr(alignment, f.name).to(device) for f in fields(alignment)})
        return Features(**moved, alignment=alignment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Representations:
    """What the trunk gives to heads, denoiser and confidence head.

    Attributes:
        inputs_BLI: the input embedding (AF3's s_inputs).
        single_BLS: after the Pairformer.
        pair_BLLZ: after the Pairformer.
    """

    inputs_BLI: Float[Tensor, "b l i"]
    single_BLS: Float[Tensor, "b l s"]
    pair_BLLZ: Float[Tensor, "b l l z"]
