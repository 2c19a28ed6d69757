"""What the geometry network is trained on: distances of known structures, softly binned; its torsions as all heads'."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rna_predict.nn.masked_mean import require_terms
from rna_predict.stage_b_torsion.geometry_network import distance_centres

BLUR = 0.7
"""Å, standard deviation with which a native distance is spread over bins: structures agree no better than that."""

NEAR = 20.0
"""Å; a pair at distance d weighs 1 / (1 + (d / NEAR)²): most pairs are far and say little."""


def distance_loss(
    logits_BGLLD: Float[Tensor, "b g l l d"], point_BGL3: Float[Tensor, "b g l 3"], mask_BGL: Bool[Tensor, "b g l"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the distance bins above the least that blurred targets allow, in nats.

    A weighted mean over the pairs i < j and the kinds of atoms of each RNA, then the mean over RNAs.

    Args:
        logits_BGLLD: over bins with `distance_centres`.
        point_BGL3: native atoms, Å.
        mask_BGL: residues that exist and whose atom was seen.

    Raises:
        InputError: an RNA has no two such residues.
    """
    length = logits_BGLLD.shape[2]
    distance_BGLL = torch.cdist(point_BGL3, point_BGL3, compute_mode="donot_use_mm_for_euclid_dist")
    upper_LL = torch.ones(length, length, dtype=torch.bool, device=mask_BGL.device).triu(1)
    pair_BGLL = mask_BGL[..., :, None] & mask_BGL[..., None, :] & upper_LL
    require_terms(pair_BGLL.flatten(1).sum(1), "distance loss", "pair of residues whose atoms were seen")
    places = pair_BGLL.nonzero(as_tuple=True)
    distance_P, logits_PD = distance_BGLL[places], logits_BGLLD[places].float()
    target_PD = blurred(distance_P)
    entropy_P = -(target_PD * target_PD.clamp(min=1e-9).log()).sum(-1)
    nats_P = -(target_PD * logits_PD.log_softmax(-1)).sum(-1) - entropy_P
    weight_P = 1 / (1 + (distance_P / NEAR).square())
    zeros_B = nats_P.new_zeros(len(mask_BGL))
    total_B = zeros_B.index_add(0, places[0], nats_P * weight_P)
    return (total_B / zeros_B.index_add(0, places[0], weight_P)).mean()


def blurred(distance_P: Float[Tensor, " p"]) -> Float[Tensor, "p d"]:
    """Target distributions over the bins: a normal distribution around each distance, the last bin for all beyond."""
    centre_D = distance_centres().to(distance_P)
    off_PD = distance_P.clamp(max=float(centre_D[-1]))[:, None] - centre_D
    return torch.softmax(-0.5 * (off_PD / BLUR).square(), dim=-1)
