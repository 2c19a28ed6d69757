"""Chains as the networks and their losses read them: features, and the native atoms, torsions, distances and pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rna_predict.chemistry.residues import CHI_FOURTH, SLOT
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.data import stage_tensors
from rna_predict.data.chains import Chain
from rna_predict.data.crops import take
from rna_predict.data.padding import stacked
from rna_predict.data.stage_results import StageResults
from rna_predict.errors import ContractError
from rna_predict.nn import featurise
from rna_predict.nn.features import Features
from rna_predict.nn.slots import from_slots
from rna_predict.nn.stage_inputs import StageInputs
from rna_predict.stage_b_torsion.loss import NativeTorsions
from rna_predict.stage_d_diffusion.loss import NativeAtoms


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One chain or crop (B = 1), or a padded batch of several; masks are False where padded.

    Attributes:
        ids: of the chains.
        features: what the networks read.
        atoms: coordinates in the features' flat order; OP3, which natives rarely show, is never there.
        torsions: angles and puckers.
        point_BL3: distogram atoms (C4 of A and G, C2 of C and U), Å.
        point_mask_BL: residues whose distogram atom is there.
        paired_BLL: canonical pairs, symmetric.
        pair_mask_BLL: places that say something about pairing: both residues there, at least three between them, and
            neither paired with something outside the crop or chain.
        stages: results of stages A, B and C, as the networks get them at prediction (`StageInputs.only`).
    """

    ids: tuple[str, ...]
    features: Features
    atoms: NativeAtoms
    torsions: NativeTorsions
    point_BL3: Float[Tensor, "b l 3"]
    point_mask_BL: Bool[Tensor, "b l"]
    paired_BLL: Bool[Tensor, "b l l"]
    pair_mask_BLL: Bool[Tensor, "b l l"]
    stages: StageInputs = field(default_factory=StageInputs)

    def to(self, device: torch.device | str) -> "Example":
        """The same on another device."""
        atoms = {one.name: getattr(self.atoms, one.name).to(device) for one in fields(NativeAtoms)}
        torsions = {one.name: getattr(self.torsions, one.name).to(device) for one in fields(NativeTorsions)}
        return Example(
            ids=self.ids,
            features=self.features.to(device),
            atoms=NativeAtoms(**atoms),
            torsions=NativeTorsions(**torsions),
            stages=self.stages.to(device),
            **{name: getattr(self, name).to(device) for name in _TENSORS},
        )


_TENSORS = ("point_BL3", "point_mask_BL", "paired_BLL", "pair_mask_BLL")


def make_example(
    chain: Chain,
    index_L: np.ndarray | None = None,
    *,
    seed: int,
    alignment: featurise.AlignmentRows | None = None,
    stages: StageResults | None = None,
) -> Example:
    """The example of a chain, or of the crop of it at rising positions.

    Features and the stages' results are those of the whole chain, cut: a crop from its middle has no OP3 and keeps the
    profile of its columns. Residues are numbered as in the chain, whose first has number 1; missing ones leave a gap.

    Args:
        chain: a whole chain.
        index_L: positions of the crop (`crops.contiguous_crop`, `crops.spatial_crop`); None takes all.
        seed: turns the reference conformers.
        alignment: of the whole chain, its first row the sequence.
        stages: results of the whole chain (`StageResultsStore.get`).

    Raises:
        ContractError: the alignment does not fit the chain, or the results are of another one.
        ConfigError: the positions do not rise or lie outside the chain.
    """
    index_L = np.arange(chain.length) if index_L is None else np.asarray(index_L, dtype=np.int64)
    crop = take(chain, index_L)
    if stages is not None:
        stages.require_chain(chain)
    whole = featurise.featurise(chain.sequence, seed=seed, alignment=alignment)
    features = crop_features(whole, index_L, crop.number_L - chain.number_L[0] + 1)
    xyz_BA3, mask_BA = _flat(crop, features)
    rows, slots = np.arange(crop.length), [SLOT[letter][CHI_FOURTH[letter]] for letter in crop.sequence]
    paired_LL, pair_mask_LL = _pairs(crop)
    return Example(
        ids=(chain.id,),
        features=features,
        atoms=NativeAtoms(xyz_BA3=xyz_BA3, mask_BA=mask_BA),
        torsions=_torsions(crop),
        point_BL3=_tensor(crop.xyz_LA3[rows, slots]),
        point_mask_BL=_tensor(crop.mask_LA[rows, slots]),
        paired_BLL=_tensor(paired_LL),
        pair_mask_BLL=_tensor(pair_mask_LL),
        stages=StageInputs() if stages is None else stage_tensors.cut(stage_tensors.to_inputs(stages), index_L),
    )


def crop_features(features: Features, index_L: np.ndarray, number_L: np.ndarray) -> Features:
    """The features of some residues of one RNA (B = 1) and of their atoms, in the same order.

    Args:
        features: of the whole RNA.
        index_L: rising positions.
        number_L: number of each of these residues.
    """
    index = torch.from_numpy(index_L)
    length = features.token_mask_BL.shape[1]
    place_L = torch.full((length,), -1).index_put((index,), torch.arange(len(index)))
    token_A = place_L[features.atom_token_BA[0]]
    kept_A = token_A >= 0
    atom_A = kept_A.cumsum(0) - 1
    changed = {
        "residue_index_BL": torch.from_numpy(number_L.astype(np.int64))[None],
        "atom_token_BA": token_A[kept_A][None],
        "distogram_atom_BL": atom_A[features.distogram_atom_BL[:, index]],
    }
    for name in (one.name for one in fields(Features) if one.name not in (*changed, "alignment")):
        value = getattr(features, name)
        changed[name] = value[:, index] if name.rpartition("_")[2][1] == "L" else value[:, kept_A]
    alignment = features.alignment
    if alignment is not None:
        residue_BML, deletion_BML = alignment.residue_BML[..., index], alignment.deletion_BML[..., index]
        alignment = replace(alignment, residue_BML=residue_BML, deletion_BML=deletion_BML)
    return Features(**changed, alignment=alignment)


def collate(examples: Sequence[Example]) -> Example:
    """One padded batch of several examples; what is padded is 0, and False in the masks.

    So are stages' results that one example lacks and another has.

    Raises:
        ContractError: no examples.
    """
    if not examples:
        raise ContractError("collate: no examples to put together")
    features = featurise.collate([one.features for one in examples])
    length, atoms = features.token_mask_BL.shape[1], features.atom_mask_BA.shape[1]
    return Example(
        ids=tuple(id for one in examples for id in one.ids),
        features=features,
        atoms=NativeAtoms(
            xyz_BA3=stacked([one.atoms.xyz_BA3 for one in examples], atoms),
            mask_BA=stacked([one.atoms.mask_BA for one in examples], atoms),
        ),
        torsions=NativeTorsions(
            angle_BL8=stacked([one.torsions.angle_BL8 for one in examples], length),
            mask_BL8=stacked([one.torsions.mask_BL8 for one in examples], length),
            amplitude_BL=stacked([one.torsions.amplitude_BL for one in examples], length),
        ),
        point_BL3=stacked([one.point_BL3 for one in examples], length),
        point_mask_BL=stacked([one.point_mask_BL for one in examples], length),
        paired_BLL=stacked([one.paired_BLL for one in examples], length, length),
        pair_mask_BLL=stacked([one.pair_mask_BLL for one in examples], length, length),
        stages=stage_tensors.collate([one.stages for one in examples], [len(one.ids) for one in examples], length),
    )


def _flat(crop: Chain, features: Features) -> tuple[Tensor, Tensor]:
    """Coordinates [1, A, 3], 0 where not there, and mask [1, A]."""
    token_A, slot_A = features.atom_token_BA[0], features.atom_slot_BA[0]
    there_A = torch.from_numpy(crop.mask_LA.copy())[token_A, slot_A.clamp(min=0)] & (slot_A >= 0)
    flat_A3 = from_slots(torch.from_numpy(crop.xyz_LA3.copy()), features)
    return torch.where(there_A[:, None], flat_A3, 0.0)[None], there_A[None]


def _torsions(crop: Chain) -> NativeTorsions:
    phase_L1, phase_mask_L1 = crop.pucker_L2[:, :1], crop.pucker_mask_L[:, None]
    return NativeTorsions(
        angle_BL8=_tensor(np.concatenate([crop.torsion_L7, phase_L1], axis=1)),
        mask_BL8=_tensor(np.concatenate([crop.torsion_mask_L7, phase_mask_L1], axis=1)),
        amplitude_BL=_tensor(crop.pucker_L2[:, 1]),
    )


def _pairs(crop: Chain) -> tuple[np.ndarray, np.ndarray]:
    """Canonical pairs and the places that say something, both bool [L, L]."""
    rows = np.arange(crop.length)
    paired_LL = (crop.partner_L[:, None] == rows) & (crop.partner_L >= 0)[:, None]
    inside_L = ~crop.elsewhere_L | (crop.partner_L >= 0)
    far_LL = np.abs(crop.number_L[:, None] - crop.number_L) > MIN_LOOP
    return paired_LL, far_LL & inside_L[:, None] & inside_L


def _tensor(values: np.ndarray) -> Tensor:
    """A copy with a batch axis of 1: the chain's arrays stay as they are."""
    return torch.from_numpy(np.array(values))[None]
