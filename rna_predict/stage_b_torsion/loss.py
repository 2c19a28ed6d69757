"""What stage B's heads are trained on: distances, torsions with their certainty, sugar puckers, base pairs.

Every function takes a padded batch with masks and gives a scalar: the mean over what an RNA has, then the mean over the
RNAs, so that a batch weighs each RNA as it would alone. What a mask leaves out may hold anything, NaN included, and
gets no gradient. An RNA without a single term is an error: silently it would train nothing.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from rna_predict.contracts.embeddings import DISTOGRAM_EDGES
from rna_predict.nn.masked_mean import masked_mean, require_terms
from rna_predict.stage_b_torsion.heads import AMPLITUDE_RANGE, TorsionPrediction

SHORTEST_VECTOR = 1e-3
"""Length below which a raw (sine, cosine) is no longer stretched to 1, which bounds the gradient near zero."""

MAX_CONCENTRATION = 1000.0
"""κ (a spread of 1.8°) beyond which the likelihood pays nothing: an angle fitted exactly would drive κ to infinity."""

AMPLITUDE_UNIT = (AMPLITUDE_RANGE[1] - AMPLITUDE_RANGE[0]) / 2
"""Errors of the pucker amplitude are measured in half the head's range, 10°."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeTorsions:
    """Torsions of the native structures, the angles in the order of `stage_inputs.ANGLES`, the pucker's phase last.

    Attributes:
        angle_BL8: radians.
        mask_BL8: False where the angle is undefined, its atoms are missing, or the residue is padded.
        amplitude_BL: pucker amplitude τm, radians; counts where the phase does.
    """

    angle_BL8: Float[Tensor, "b l 8"]
    mask_BL8: Bool[Tensor, "b l 8"]
    amplitude_BL: Float[Tensor, "b l"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TorsionLosses:
    """Scalars, unweighted.

    Attributes:
        direction: mean 1 - cos of the error, 0 to 2; half of AF2's torsion loss.
        length: how far the raw vectors' lengths are from 1; AF2 gives it a weight of 0.02.
        concentration: von Mises negative log-likelihood, nats; trains κ alone.
        amplitude: squared error of the pucker amplitude, in (10°)²; 0 where the batch has no pucker.
    """

    direction: Tensor
    length: Tensor
    concentration: Tensor
    amplitude: Tensor


def distogram_loss(
    logits_BLL64: Float[Tensor, "b l l 64"], point_BL3: Float[Tensor, "b l 3"], mask_BL: Bool[Tensor, "b l"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the distance bins (AF3 section 4.4, which takes AF2's eq. 41).

    All ordered pairs count, a residue with itself too, as in AF2 and Protenix.

    Args:
        logits_BLL64: over the bins that `DISTOGRAM_EDGES` bounds.
        point_BL3: distogram atoms in the native, C4 of A and G, C2 of C and U, Å.
        mask_BL: residues that exist and whose atom was seen.

    Raises:
        InputError: an RNA has no such residue.
    """
    point_BL3 = point_BL3.detach()
    distance_BLL = torch.cdist(point_BL3, point_BL3, compute_mode="donot_use_mm_for_euclid_dist")
    edges = torch.tensor(DISTOGRAM_EDGES, dtype=distance_BLL.dtype, device=distance_BLL.device)
    bin_BLL = torch.bucketize(distance_BLL, edges)
    pair_BLL = mask_BL[:, :, None] & mask_BL[:, None, :]
    logits_BLL64 = torch.where(pair_BLL[..., None], logits_BLL64.float(), 0.0)
    nats_BLL = cross_entropy(logits_BLL64.movedim(-1, 1), bin_BLL, reduction="none")
    return masked_mean(nats_BLL, pair_BLL, "distogram loss", "pair of residues whose distogram atoms were seen").mean()


def torsion_losses(prediction: TorsionPrediction, native: NativeTorsions) -> TorsionLosses:
    """Losses of the torsion head; AF2 Algorithm 27 for direction and length, the rest is not in AF2 or AF3.

    An angle is only defined up to full turns, so everything is computed from sines and cosines. The likelihood sees
    the error without its gradient: κ learns how far off the angle is, and the angle does not trade accuracy for it.

    Raises:
        InputError: an RNA has no defined angle.
    """
    mask_BL8 = native.mask_BL8
    angle_BL8 = torch.where(mask_BL8, native.angle_BL8.detach(), 0.0)
    vector_BL82 = torch.where(mask_BL8[..., None], prediction.vector_BL82.float(), 1.0)
    # The 1 under the root keeps its slope finite where the length is not used.
    squared_BL8 = vector_BL82.square().sum(-1)
    short_BL8 = squared_BL8 < SHORTEST_VECTOR**2
    length_BL8 = torch.where(short_BL8, SHORTEST_VECTOR, torch.where(short_BL8, 1.0, squared_BL8).sqrt())
    target_BL82 = torch.stack([torch.sin(angle_BL8), torch.cos(angle_BL8)], dim=-1)
    cosine_BL8 = (vector_BL82 * target_BL82).sum(-1) / length_BL8
    kappa_BL8 = torch.where(mask_BL8, prediction.concentration_BL8.float(), 1.0)
    nats_BL8 = _von_mises_nats(kappa_BL8, cosine_BL8.detach())
    what = ("torsion loss", "defined torsion")
    return TorsionLosses(
        direction=masked_mean(1 - cosine_BL8, mask_BL8, *what).mean(),
        length=masked_mean((length_BL8 - 1).abs(), mask_BL8, *what).mean(),
        concentration=masked_mean(nats_BL8, mask_BL8, *what).mean(),
        amplitude=_amplitude_loss(prediction, native),
    )


def base_pair_loss(
    logits_BLL: Float[Tensor, "b l l"], paired_BLL: Bool[Tensor, "b l l"], mask_BLL: Bool[Tensor, "b l l"]
) -> Float[Tensor, ""]:
    """Cross-entropy of which residues pair, where pairs and non-pairs weigh the same; not in AF3.

    In a chain of L residues some L/2 of L²/2 places are pairs: without the balance the best guess is none. An RNA
    without pairs, or with nothing else, is judged on what it has.

    Args:
        logits_BLL: log-odds of a pair.
        paired_BLL: the native's pairs.
        mask_BLL: places that count: both residues there and far enough apart to pair.

    Raises:
        InputError: an RNA has no place that counts.
    """
    logits_BLL = torch.where(mask_BLL, logits_BLL.float(), 0.0)
    nats_BLL = binary_cross_entropy_with_logits(logits_BLL, paired_BLL.to(logits_BLL.dtype), reduction="none")
    kinds_KBLL = torch.stack([mask_BLL & paired_BLL, mask_BLL & ~paired_BLL])
    counts_KB = kinds_KBLL.sum((-2, -1))
    require_terms(counts_KB.sum(0), "base pair loss", "pair of residues that may form a base pair")
    means_KB = (nats_BLL * kinds_KBLL).sum((-2, -1)) / counts_KB.clamp(min=1)
    return (means_KB.sum(0) / (counts_KB > 0).sum(0)).mean()


def _von_mises_nats(concentration: Tensor, cosine: Tensor) -> Tensor:
    """-log of the von Mises density; i0e(κ) = exp(-κ) I0(κ) does not overflow."""
    kappa = concentration.clamp(max=MAX_CONCENTRATION)
    return kappa * (1 - cosine) + torch.log(torch.special.i0e(kappa)) + math.log(2 * math.pi)


def _amplitude_loss(prediction: TorsionPrediction, native: NativeTorsions) -> Tensor:
    """Riboses may all be incomplete where other torsions are defined, so none is no error here."""
    mask_BL = native.mask_BL8[..., -1]
    target_BL = torch.where(mask_BL, native.amplitude_BL.detach(), 0.0)
    guess_BL = torch.where(mask_BL, prediction.amplitude_BL.float(), 0.0)
    squared_BL = ((guess_BL - target_BL) / AMPLITUDE_UNIT).square()
    return (squared_BL.sum(-1) / mask_BL.sum(-1).clamp(min=1)).mean()
