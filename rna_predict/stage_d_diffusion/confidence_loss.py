"""What the confidence head is trained on (AF3 section 4.3): the errors that its samples really have.

The labels are computed from the samples without gradient; the logits alone are trained. Every loss is a cross-entropy
over bins, the mean over an RNA's terms and samples, then over RNAs. Where Protenix computes a label otherwise than the
paper, ours is Protenix's, as public weights were trained on it: lDDT is a share of the counted distances.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from rna_predict.chemistry.residues import C1, C3, C4
from rna_predict.nn.features import Features
from rna_predict.nn.masked_mean import masked_mean
from rna_predict.stage_d_diffusion.bonds import atom_places
from rna_predict.stage_d_diffusion.confidence_head import ERROR_BINS, PLDDT_BINS, ConfidenceLogits
from rna_predict.stage_d_diffusion.loss import NEIGHBOUR_RADIUS, NativeAtoms, distances

THRESHOLDS = (0.5, 1.0, 2.0, 4.0)
"""Å below which a distance counts as kept (AF3 section 4.3.1)."""

HIGHEST_ERROR = 32.0
"""Å; the last bin of PAE and PDE is open."""

LDDT_ROUNDING = 1e-6
"""Added to the number of neighbours (Protenix): a share that falls onto an edge belongs to the bin below."""

FLAT = 1e-3
"""Area in Å² of a residue's frame triangle below which it has no frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceLosses:
    """Scalars, unweighted.

    Attributes:
        plddt: of each atom that was seen, section 4.3.1.
        pae: of each residue seen from each frame, section 4.3.2.
        pde: of each two residues' distance, section 4.3.3.
        resolved: of each atom, section 4.3.4.
    """

    plddt: Tensor
    pae: Tensor
    pde: Tensor
    resolved: Tensor

    def total(self, pae_weight: float = 1.0) -> Tensor:
        """The sum in AF3 eq. 15, before its α_confidence; α_pae is 0 in the first stages of AF3's training."""
        return self.plddt + self.pde + self.resolved + pae_weight * self.pae


def confidence_losses(
    logits: ConfidenceLogits, features: Features, sample_BSA3: Float[Tensor, "b s a 3"], native: NativeAtoms
) -> ConfidenceLosses:
    """All four losses.

    Args:
        logits: of the samples.
        features: the batch.
        sample_BSA3: the samples that were judged, Å.
        native: the truth.

    Raises:
        InputError: an RNA lacks an atom with neighbours, a frame, or a pair of distogram atoms in the native.
    """
    with torch.no_grad():
        xyz_BSA3 = sample_BSA3.float()
        native = NativeAtoms(xyz_BA3=native.xyz_BA3.float(), mask_BA=native.mask_BA)
        sugar = frame_atoms(features, native)
        share_BSA, judged_BA = atom_lddt(xyz_BSA3, native, sugar[0])
        pae_BSLL, seen_BLL = aligned_error(xyz_BSA3, native, sugar)
        pde_BSLL, both_BLL = distance_error(xyz_BSA3, native, features)
        resolved_BA = native.mask_BA[:, None].expand(xyz_BSA3.shape[:-1]).long()
    return ConfidenceLosses(
        plddt=_loss(logits.plddt_BSA50, _bins(share_BSA, PLDDT_BINS, 1.0), judged_BA, "pLDDT"),
        pae=_loss(logits.pae_BSLL64, _bins(pae_BSLL, ERROR_BINS, HIGHEST_ERROR), seen_BLL, "PAE"),
        pde=_loss(logits.pde_BSLL64, _bins(pde_BSLL, ERROR_BINS, HIGHEST_ERROR), both_BLL, "PDE"),
        resolved=_loss(logits.resolved_BSA2, resolved_BA, features.atom_mask_BA, "resolved"),
    )


@dataclass(frozen=True, slots=True)
class ResidueAtom:
    """One atom of each residue: its index into the flat atoms, and whether it was seen."""

    atom_BL: Int[Tensor, "b l"]
    seen_BL: Bool[Tensor, "b l"]


def atom_lddt(
    xyz_BSA3: Float[Tensor, "b s a 3"], native: NativeAtoms, centre: ResidueAtom
) -> tuple[Float[Tensor, "b s a"], Bool[Tensor, "b a"]]:
    """Section 4.3.1: the share of an atom's distances to C1' atoms, below 30 Å in the native, that a sample keeps.

    Returns:
        The shares, and which atoms have one: seen, with a C1' other than itself in reach.
    """
    index_BL, batch = centre.atom_BL, torch.arange(len(centre.atom_BL), device=xyz_BSA3.device)[:, None]
    true_BAL = distances(native.xyz_BA3, native.xyz_BA3[batch, index_BL])
    found_BSAL = distances(xyz_BSA3, xyz_BSA3.transpose(1, 2)[batch, index_BL].transpose(1, 2))
    off_BSAL = (found_BSAL - true_BAL[:, None]).abs()
    kept_BSAL = torch.stack([off_BSAL < threshold for threshold in THRESHOLDS]).float().mean(0)
    itself_BAL = torch.arange(native.mask_BA.shape[1], device=xyz_BSA3.device)[:, None] == index_BL[:, None]
    near_BAL = (true_BAL < NEIGHBOUR_RADIUS) & native.mask_BA[:, :, None] & centre.seen_BL[:, None] & ~itself_BAL
    count_BA = near_BAL.sum(-1)
    share_BSA = (kept_BSAL * near_BAL[:, None]).sum(-1) / (count_BA[:, None] + LDDT_ROUNDING)
    return share_BSA, count_BA > 0


def aligned_error(
    xyz_BSA3: Float[Tensor, "b s a 3"], native: NativeAtoms, sugar: tuple[ResidueAtom, ResidueAtom, ResidueAtom]
) -> tuple[Float[Tensor, "b s l l"], Bool[Tensor, "b l l"]]:
    """AF3 Algorithm 30, Å: how far the second residue's C1' is off, seen from the first residue's frame.

    Returns:
        The errors, and which count: a whole frame that is not flat, and a C1' that was seen.
    """
    true_BLL3, flat_BL = _seen_from_frames(native.xyz_BA3, sugar)
    copies = [_seen_from_frames(copy_BA3, sugar)[0] - true_BLL3 for copy_BA3 in xyz_BSA3.unbind(1)]
    error_BSLL = torch.stack([off_BLL3.square().sum(-1).sqrt() for off_BLL3 in copies], dim=1)
    frame_BL = sugar[0].seen_BL & sugar[1].seen_BL & sugar[2].seen_BL & ~flat_BL
    return error_BSLL, frame_BL[:, :, None] & sugar[0].seen_BL[:, None]


def distance_error(
    xyz_BSA3: Float[Tensor, "b s a 3"], native: NativeAtoms, features: Features
) -> tuple[Float[Tensor, "b s l l"], Bool[Tensor, "b l l"]]:
    """Section 4.3.3, Å: by how much a sample's distances between distogram atoms are off; and which were seen."""
    atom_BL = features.distogram_atom_BL
    seen_BL = native.mask_BA.gather(1, atom_BL) & features.token_mask_BL
    true_BL3 = _pick(native.xyz_BA3, atom_BL)
    found = [_pick(copy_BA3, atom_BL) for copy_BA3 in xyz_BSA3.unbind(1)]
    true_BLL = distances(true_BL3, true_BL3)
    error_BSLL = torch.stack([(distances(point, point) - true_BLL).abs() for point in found], dim=1)
    return error_BSLL, seen_BL[:, :, None] & seen_BL[:, None]


def frame_atoms(features: Features, native: NativeAtoms) -> tuple[ResidueAtom, ResidueAtom, ResidueAtom]:
    """C1', C3' and C4', the atoms of an RNA residue's frame; C1' is also its centre."""
    place_BLK = atom_places(features)

    def named(slot: int) -> ResidueAtom:
        atom_BL = place_BLK[..., slot].clamp(min=0)
        return ResidueAtom(atom_BL, native.mask_BA.gather(1, atom_BL) & (place_BLK[..., slot] >= 0))

    return named(C1), named(C3), named(C4)


def _seen_from_frames(
    xyz_BA3: Tensor, sugar: tuple[ResidueAtom, ResidueAtom, ResidueAtom]
) -> tuple[Float[Tensor, "b l l 3"], Bool[Tensor, "b l"]]:
    """AF3 Algorithm 29: all C1' in the frames of C1', C3', C4' with its origin at C3'; and which frames are flat."""
    a, origin, c = (_pick(xyz_BA3, atom.atom_BL) for atom in sugar)
    to_a, to_c = normalize(a - origin, dim=-1), normalize(c - origin, dim=-1)
    first, second = normalize(to_a + to_c, dim=-1), normalize(to_c - to_a, dim=-1)
    axes_BL33 = torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)
    step_BLL3 = a[:, None] - origin[:, :, None]
    area_BL = torch.linalg.cross(a - origin, c - origin).norm(dim=-1) / 2
    return torch.einsum("blxy,blky->blkx", axes_BL33, step_BLL3), area_BL < FLAT


def _pick(xyz_BA3: Tensor, atom_BL: Tensor) -> Float[Tensor, "b l 3"]:
    return xyz_BA3.gather(1, atom_BL[..., None].expand(-1, -1, 3))


def _bins(values: Tensor, bins: int, highest: float) -> Tensor:
    """Number of the bin of each value, of `bins` equal ones from 0 to `highest`; an edge belongs to the bin below."""
    edges = torch.linspace(0, highest, bins + 1, device=values.device)
    return torch.bucketize(values.contiguous(), edges[1:-1])


def _loss(logits_BSXC: Tensor, label_BSX: Tensor, mask_BX: Tensor, name: str) -> Tensor:
    """Cross-entropy; every sample of an RNA has the same terms."""
    mask_B1X = mask_BX[:, None]
    logits_BSXC = torch.where(mask_B1X[..., None], logits_BSXC.float(), 0.0)
    nats_BSX = cross_entropy(logits_BSXC.movedim(-1, 1), label_BSX, reduction="none")
    return masked_mean(nats_BSX, mask_B1X, f"{name} loss", "term: the atoms that it needs were not seen").mean()
