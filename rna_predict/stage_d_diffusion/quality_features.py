"""What the quality network reads of one model: how stage B's distograms agree with it, its pairs, how it was built."""

import itertools
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rna_predict.chemistry.chains import spaced
from rna_predict.chemistry.residues import RESIDUES
from rna_predict.contracts import BUILD_METHODS, Adjacency, Embeddings, bin_centres
from rna_predict.evaluation.lddt import THRESHOLDS
from rna_predict.stage_d_diffusion.heuristic_confidence import expected_lddt, pair_certainty

KINDS = ("P", "C1'", "N1/N3")
"""Kinds of atoms that the distograms are of: those of stage B's geometry network."""

C1_KIND = KINDS.index("C1'")

SEPARATION = 16
"""Residues apart beyond which places in the sequence are alike."""

SEPARATIONS = 2 * SEPARATION + 1

SHELLS = (3.0, 45.0, 15)
"""First and last centre in Å and number of the Gaussians that tell the model's C1' distances."""

ENDS = 10
"""Residues from an end of a chain beyond which it is no matter."""

PAIR_FEATURES = len(KINDS) * (len(THRESHOLDS) + 2) + SHELLS[2] + 2
SINGLE_FEATURES = len(RESIDUES) + len(BUILD_METHODS) + 4


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFeatures:
    """Features of a padded batch of models; what is padded is 0.

    Attributes:
        single_BLF: letter, how stage C built the residue, certainty of its pair, whether it has one, the lDDT that the
            distograms expect, how near an end of a chain is.
        pair_BLLP: of each kind of atoms the chance that the true distance is within each of lDDT's thresholds of the
            model's, by how much the expected distance is longer, and its spread; then the model's C1' distance in
            shells, the pair's probability, and whether it is in the structure.
        separation_BLL: j - i, clipped, from 0.
        distance_BLL: Å between the model's C1' atoms.
        mask_BL: where there is a residue.
    """

    single_BLF: Float[Tensor, "b l f"]
    pair_BLLP: Float[Tensor, "b l l p"]
    separation_BLL: Int[Tensor, "b l l"]
    distance_BLL: Float[Tensor, "b l l"]
    mask_BL: Bool[Tensor, "b l"]

    def to(self, device: torch.device | str) -> "QualityFeatures":
        """The same on a device."""
        return QualityFeatures(**{one.name: getattr(self, one.name).to(device) for one in fields(self)})

    def cut(self, start: int, end: int) -> "QualityFeatures":
        """Those of a stretch of residues."""
        part = slice(start, end)
        return QualityFeatures(
            single_BLF=self.single_BLF[:, part],
            pair_BLLP=self.pair_BLLP[:, part, part],
            separation_BLL=self.separation_BLL[:, part, part],
            distance_BLL=self.distance_BLL[:, part, part],
            mask_BL=self.mask_BL[:, part],
        )


def readable(embeddings: Embeddings) -> bool:
    """Whether stage B's distograms are those that the network reads: of `KINDS`, in wide bins."""
    return tuple(embeddings.distogram_atoms) == KINDS and embeddings.distogram_bins == "wide"


def quality_features(
    xyz_LA3: np.ndarray, adjacency: Adjacency, embeddings: Embeddings, built_L: np.ndarray
) -> QualityFeatures:
    """Features of one model, B = 1.

    Args:
        xyz_LA3: all heavy atoms, Å.
        adjacency: pairs that it was built on.
        embeddings: with distograms of `KINDS`.
        built_L: how stage C built each residue, `Coordinates.built_L`.
    """
    agreement, distance_LL = [], torch.empty(0)
    for kind in range(len(KINDS)):
        gap_LL = _distances(xyz_LA3, embeddings.distogram_slots(kind))
        agreement += _agreement(gap_LL, embeddings, kind)
        distance_LL = gap_LL if kind == C1_KIND else distance_LL
    first, last, count = SHELLS
    centres = torch.linspace(first, last, count)
    shells_LLK = torch.exp(-(((distance_LL[..., None] - centres) * (count - 1) / (last - first)) ** 2))
    paired_LL = torch.zeros_like(distance_LL)
    row_N = np.flatnonzero(adjacency.partner_L >= 0)
    paired_LL[row_N, adjacency.partner_L[row_N]] = 1
    probability_LL = torch.from_numpy(np.array(adjacency.probability_LL))
    place_L = torch.from_numpy(spaced(adjacency.length, adjacency.breaks, SEPARATION + 1))
    apart_LL = (place_L - place_L[:, None]).clamp(-SEPARATION, SEPARATION) + SEPARATION
    return QualityFeatures(
        single_BLF=_single(xyz_LA3, adjacency, embeddings, built_L)[None],
        pair_BLLP=torch.cat([torch.stack([*agreement, probability_LL, paired_LL], -1), shells_LLK], -1)[None],
        separation_BLL=apart_LL.long()[None],
        distance_BLL=distance_LL[None],
        mask_BL=torch.ones(1, adjacency.length, dtype=torch.bool),
    )


def _distances(xyz_LA3: np.ndarray, slot_L: np.ndarray) -> Float[Tensor, "l l"]:
    point_L3 = torch.from_numpy(np.asarray(xyz_LA3[np.arange(len(slot_L)), slot_L], dtype=np.float32))
    return torch.cdist(point_L3, point_L3, compute_mode="donot_use_mm_for_euclid_dist")


def _agreement(gap_LL: Tensor, embeddings: Embeddings, kind: int) -> list[Float[Tensor, "l l"]]:
    """Chances within each threshold, by how much the expected distance is longer (tanh, over 10 Å), spread / 10 Å."""
    edges = embeddings.distogram_edges
    width = edges[1] - edges[0]
    first = edges[0] - width
    chance_LLB = torch.from_numpy(embeddings.distogram_GLLB[kind].copy()).softmax(-1)
    below_LLE = torch.nn.functional.pad(chance_LLB.cumsum(-1), (1, 0))  # at the first bin's lower edge and all upper

    def up_to(limit_LL: Tensor) -> Tensor:
        place_LL = ((limit_LL - first) / width).clamp(0, below_LLE.shape[-1] - 1.001)
        low_LL = place_LL.long()
        lower, upper = (below_LLE.gather(-1, at[..., None])[..., 0] for at in (low_LL, low_LL + 1))
        return lower + (place_LL - low_LL) * (upper - lower)

    centres = torch.from_numpy(bin_centres(edges)).float()
    mean_LL = chance_LLB @ centres
    spread_LL = (chance_LLB @ centres.square() - mean_LL.square()).clamp(min=0).sqrt()
    kept = [up_to(gap_LL + threshold) - up_to(gap_LL - threshold) for threshold in THRESHOLDS]
    return [*kept, torch.tanh((mean_LL - gap_LL) / 10), spread_LL / 10]


def _single(
    xyz_LA3: np.ndarray, adjacency: Adjacency, embeddings: Embeddings, built_L: np.ndarray
) -> Float[Tensor, "l f"]:
    letter_L4 = np.array([[letter == residue for residue in RESIDUES] for letter in adjacency.sequence])
    ends = itertools.pairwise((0, *adjacency.breaks, adjacency.length))
    to_end = [np.minimum(np.arange(stop - start), np.arange(stop - start)[::-1]) for start, stop in ends]
    columns = [
        letter_L4,
        np.asarray(built_L)[:, None] == np.arange(len(BUILD_METHODS)),
        pair_certainty(adjacency),
        adjacency.partner_L >= 0,
        expected_lddt(xyz_LA3, embeddings),
        np.minimum(np.concatenate(to_end), ENDS) / ENDS,
    ]
    return torch.from_numpy(np.column_stack(columns).astype(np.float32))
