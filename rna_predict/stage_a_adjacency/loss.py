"""What stage A's network learns from: the partner of each residue, or that it has none, as a choice."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rna_predict.stage_a_adjacency.network import FoldingScores, log_rows


def partner_loss(
    pair_BLL: Float[Tensor, "b l l"],
    alone_BL: Float[Tensor, "b l"],
    partner_BL: Int[Tensor, "b l"],
    weight_BL: Float[Tensor, "b l"],
) -> Float[Tensor, ""]:
    """Cross-entropy of each residue's choice, nats; the weighted mean over residues, then the mean over RNAs.

    The rows of a symmetric map are its columns, so that this is RFold's loss over both: soft, where the matching that
    is read from the same scores is not differentiable.

    Args:
        pair_BLL: scores of pairs.
        alone_BL: score of having no partner.
        partner_BL: index of the partner, -1 for none.
        weight_BL: of each residue; 0 where nothing is known, or where its partner is no legal one.
    """
    total_BL = torch.logaddexp(pair_BLL.logsumexp(-1), alone_BL)
    chosen_BL = pair_BLL.gather(-1, partner_BL.clamp(min=0)[..., None])[..., 0]
    chosen_BL = torch.where(partner_BL >= 0, chosen_BL, alone_BL)
    loss_BL = torch.where(weight_BL > 0, total_BL - chosen_BL, 0.0) * weight_BL
    return (loss_BL.sum(1) / weight_BL.sum(1).clamp(min=1e-6)).mean()


def folding_losses(
    scores: FoldingScores, partner_BL: Int[Tensor, "b l"], weight_BL: Float[Tensor, "b l"]
) -> dict[str, Tensor]:
    """Losses of the refined scores and of the draft, by name."""
    return {
        "folding": partner_loss(scores.pair_BLL, scores.alone_BL, partner_BL, weight_BL),
        "folding_draft": partner_loss(scores.draft_BLL, scores.alone_BL, partner_BL, weight_BL),
    }


def known_weight(legal_BLL: Bool[Tensor, "b l l"], partner_BL: Int[Tensor, "b l"]) -> Float[Tensor, "b l"]:
    """1 where a residue has no partner or a legal one, else 0: a non-canonical pair is no choice of the network's."""
    legal_BL = legal_BLL.gather(-1, partner_BL.clamp(min=0)[..., None])[..., 0]
    return ((partner_BL < 0) | legal_BL).float()


def pair_distributions(scores: FoldingScores) -> Float[Tensor, "b l l"]:
    """Probability of each pair: the geometric mean of what both residues choose, symmetric."""
    row_BLL = log_rows(scores.pair_BLL, scores.alone_BL)
    return ((row_BLL + row_BLL.mT) / 2).exp()
