"""What the denoiser is trained on (AF3 section 3.7.1): aligned coordinates, bonds, local distances; and at which noise.

Every loss takes S noised copies of each RNA of a padded batch and gives [B, S], a value for each copy;
`diffusion_losses` weighs them by their noise. Atoms that the mask leaves out may hold anything, NaN included, and get
no gradient.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rna_predict.geometry.dihedral import distance
from rna_predict.geometry.superpose import superpose
from rna_predict.nn.masked_mean import require_terms
from rna_predict.stage_d_diffusion.bonds import Bonds
from rna_predict.stage_d_diffusion.sampler import SIGMA_DATA

NOISE_MEAN, NOISE_SPREAD = -1.2, 1.5
"""Of the logarithm of the training noise in units of `SIGMA_DATA` (AF3 section 3.7.1)."""

NUCLEOTIDE_WEIGHT = 1 + 5.0
"""w_l of an atom of RNA (AF3 eq. 4): α_rna = 5 on top of 1. Every atom here is one."""

AXES = 3
"""AF3 eq. 3 divides the squared error by the number of axes."""

NEIGHBOUR_RADIUS = 30.0
"""Å: distances of nucleotides' atoms count up to here in the native (AF3 Algorithm 27; 15 Å for proteins)."""

SOFT_THRESHOLDS = (0.5, 1.0, 2.0, 4.0)
"""Å, of AF3 Algorithm 27."""

LONGEST_BOND = 2.5
"""Å: bonded atoms that stand farther apart in the native are ends of a break, not a length to learn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeAtoms:
    """Native structures of a batch in the denoiser's flat order.

    Attributes:
        xyz_BA3: Å.
        mask_BA: atoms that exist and were seen.
    """

    xyz_BA3: Float[Tensor, "b a 3"]
    mask_BA: Bool[Tensor, "b a"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionLosses:
    """Scalars; the first two are weighted by the noise already.

    Attributes:
        mse: aligned squared error, AF3 eq. 3.
        bond: squared error of bond lengths, AF3 eq. 5; zero where no bonds are given.
        smooth_lddt: AF3 Algorithm 27.
    """

    mse: Tensor
    bond: Tensor
    smooth_lddt: Tensor

    def total(self, bond_weight: float = 1.0) -> Tensor:
        """AF3 eq. 6; its α_bond is 0 in the first stage of training and 1 in fine-tuning."""
        return self.mse + bond_weight * self.bond + self.smooth_lddt


def training_noise(
    shape: tuple[int, ...], generator: torch.Generator, mean: float = NOISE_MEAN, spread: float = NOISE_SPREAD
) -> Tensor:
    """Noise levels in Å, σ_data · exp(mean + spread · N) with a standard normal N (AF3 section 3.7.1), on the CPU."""
    return SIGMA_DATA * torch.exp(mean + spread * torch.randn(shape, generator=generator))


def noise_weight(sigma: Tensor) -> Tensor:
    """(σ² + σ_data²) / (σ σ_data)²: the loss of every noise level counts alike at the start (Karras et al. 2022).

    AF3 eq. 6 prints a sum in the denominator; Protenix and EDM, on which it rests, have the product.
    """
    return (sigma.square() + SIGMA_DATA**2) / (sigma * SIGMA_DATA).square()


def diffusion_losses(
    predicted_BSA3: Float[Tensor, "b s a 3"],
    sigma_BS: Float[Tensor, "b s"],
    native: NativeAtoms,
    bonds: Bonds | None = None,
) -> DiffusionLosses:
    """AF3 eq. 6: mean over an RNA's copies, then over RNAs.

    Args:
        predicted_BSA3: the denoiser's guess of the clean coordinates, Å.
        sigma_BS: noise that each copy had, Å.
        native: the truth.
        bonds: those whose lengths are learned (`chain_links`, `all_bonds`); None for none.

    Raises:
        InputError: fewer than two atoms of an RNA were seen.
    """
    weight_BS = noise_weight(sigma_BS)
    bond_BS = torch.zeros_like(weight_BS) if bonds is None else bond_error(predicted_BSA3, native, bonds)
    return DiffusionLosses(
        mse=(weight_BS * aligned_mse(predicted_BSA3, native)).mean(),
        bond=(weight_BS * bond_BS).mean(),
        smooth_lddt=smooth_lddt_loss(predicted_BSA3, native).mean(),
    )


def aligned_mse(predicted_BSA3: Float[Tensor, "b s a 3"], native: NativeAtoms) -> Float[Tensor, "b s"]:
    """AF3 eq. 3, Å²: weighted squared error to the native laid upon the guess (eq. 2, Algorithm 28), over 3.

    No gradient goes through the superposition, which takes the native to the guess, as in AF3.

    Raises:
        InputError: no atom of an RNA was seen.
    """
    mask_BA = native.mask_BA
    require_terms(mask_BA.sum(1), "coordinate loss", "atom that was seen")
    predicted_BSA3, native_BA3 = _clean(predicted_BSA3, native)
    with torch.no_grad():
        native_BSA3 = native_BA3[:, None].expand_as(predicted_BSA3)
        weight_BSA = mask_BA[:, None].to(native_BA3).expand(predicted_BSA3.shape[:-1])
        aligned_BSA3 = superpose(native_BSA3, predicted_BSA3, weight_BSA).apply(native_BSA3)
    squared_BSA = (predicted_BSA3 - aligned_BSA3).square().sum(-1)
    mean_BS = torch.where(mask_BA[:, None], squared_BSA, 0.0).sum(-1) / mask_BA.sum(-1, keepdim=True)
    return NUCLEOTIDE_WEIGHT / AXES * mean_BS


def bond_error(predicted_BSA3: Float[Tensor, "b s a 3"], native: NativeAtoms, bonds: Bonds) -> Float[Tensor, "b s"]:
    """AF3 eq. 5, Å²: mean squared error of the lengths of bonds whose atoms were seen; 0 where an RNA has none.

    Deviations: AF3 has only bonds between polymer and ligand; `LONGEST_BOND`.
    """
    predicted_BSA3, native_BA3 = _clean(predicted_BSA3, native)
    first_BN, second_BN = bonds.atom_BN2.unbind(-1)
    seen_BN = bonds.mask_BN & native.mask_BA.gather(1, first_BN) & native.mask_BA.gather(1, second_BN)
    true_B1N = _lengths(native_BA3[:, None], bonds)
    counted_B1N = seen_BN[:, None] & (true_B1N < LONGEST_BOND)
    squared_BSN = (_lengths(predicted_BSA3, bonds) - true_B1N).square()
    return torch.where(counted_B1N, squared_BSN, 0.0).sum(-1) / counted_B1N.sum(-1).clamp(min=1)


def smooth_lddt_loss(predicted_BSA3: Float[Tensor, "b s a 3"], native: NativeAtoms) -> Float[Tensor, "b s"]:
    """AF3 Algorithm 27: 1 - lDDT with soft thresholds over distances below 30 Å in the native; 0.196 at the truth.

    Only the distances that count are computed, once each, one copy at a time; with gradients they are computed again on
    the way back.

    Raises:
        InputError: no two atoms of an RNA that were seen are within 30 Å.
    """
    near = [_neighbours(xyz_A3, mask_A) for xyz_A3, mask_A in zip(native.xyz_BA3, native.mask_BA, strict=True)]
    counts_B = torch.tensor([len(pair_P2) for pair_P2, _ in near])
    require_terms(counts_B, "smooth lDDT loss", f"two atoms within {NEIGHBOUR_RADIUS:.0f} Å")
    scores = [
        checkpoint(_soft_lddt, copy_A3, *pairs, use_reentrant=False)
        for pairs, copies_SA3 in zip(near, predicted_BSA3.float(), strict=True)
        for copy_A3 in copies_SA3
    ]
    return 1 - torch.stack(scores).view(predicted_BSA3.shape[:2])


def distances(first: Float[Tensor, "*b n 3"], second: Float[Tensor, "*b m 3"]) -> Float[Tensor, "*b n m"]:
    """All distances, from differences: torch's matrix product for them is off by 0.003 Å near zero."""
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


@torch.no_grad()
def _neighbours(xyz_A3: Tensor, mask_A: Tensor) -> tuple[Int[Tensor, "p 2"], Float[Tensor, " p"]]:
    """Pairs of atoms of a native that were seen within the radius, each pair once, and their distances."""
    seen_N = mask_A.nonzero()[:, 0]
    xyz_A3 = xyz_A3.float()
    point_N3 = xyz_A3[seen_N]
    pair_P2 = seen_N[(distances(point_N3, point_N3) < NEIGHBOUR_RADIUS).triu(1).nonzero()]
    return pair_P2, _between(xyz_A3, pair_P2)


def _between(xyz_A3: Tensor, pair_P2: Tensor) -> Float[Tensor, " p"]:
    return distance(*(xyz_A3.index_select(0, atom_P) for atom_P in pair_P2.unbind(1)))


def _soft_lddt(predicted_A3: Tensor, pair_P2: Tensor, true_P: Tensor) -> Float[Tensor, ""]:
    off_P = (_between(predicted_A3, pair_P2) - true_P).abs()
    kept_P = torch.zeros_like(off_P)
    for threshold in SOFT_THRESHOLDS:
        kept_P = kept_P + torch.sigmoid(threshold - off_P)
    return kept_P.mean() / len(SOFT_THRESHOLDS)


def _clean(predicted_BSA3: Tensor, native: NativeAtoms) -> tuple[Tensor, Tensor]:
    """Guess and native in float32, zero where the mask is False, so that nothing there can spread."""
    mask_BA1 = native.mask_BA[..., None]
    predicted_BSA3 = torch.where(mask_BA1[:, None], predicted_BSA3.float(), 0.0)
    return predicted_BSA3, torch.where(mask_BA1, native.xyz_BA3.detach().float(), 0.0)


def _lengths(xyz_BSA3: Tensor, bonds: Bonds) -> Tensor:
    """[B, S, N]; of S copies of each RNA."""
    index_BN = bonds.atom_BN2.flatten(1)
    index_BSN3 = index_BN[:, None, :, None].expand(-1, xyz_BSA3.shape[1], -1, 3)
    ends_BSN23 = xyz_BSA3.gather(2, index_BSN3).unflatten(2, (-1, 2))
    return distance(ends_BSN23[..., 0, :], ends_BSN23[..., 1, :])
