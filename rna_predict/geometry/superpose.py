"""Optimal superposition of point sets (Kabsch 1976), weighted, batched, masked, never a reflection."""

import torch
from jaxtyping import Float
from torch import Tensor

from rna_predict.geometry.frames import Frame

DEGENERATE = 1e-6
"""Share of the covariance's size below which a direction of rotation counts as undetermined; its gradient is damped."""


def superpose(
    mobile: Float[Tensor, "*b n 3"], target: Float[Tensor, "*b n 3"], weight: Float[Tensor, "*b n"] | None = None
) -> Frame:
    """The rigid motion that takes `mobile` onto `target` with the least weighted squared deviation.

    Where the best rotation is not unique (fewer than three points, all on a line) one of the best is returned.
    First derivatives are exact and finite: they come from the optimality condition, not from the SVD, whose own
    derivative is infinite for equal singular values. Second derivatives are not.

    Args:
        mobile: points to move.
        target: points to move onto.
        weight: ≥ 0, e.g. a mask as floats; None weights all alike. All zero gives the identity.
    """
    if weight is None:
        weight = torch.ones_like(mobile[..., 0])
    total = weight.sum(-1, keepdim=True)
    share = (weight / torch.where(total > 0, total, torch.ones_like(total)))[..., None]
    # masked points may hold anything, NaN included
    mobile = torch.where(share > 0, mobile, torch.zeros_like(mobile))
    target = torch.where(share > 0, target, torch.zeros_like(target))
    centre_m, centre_t = (share * mobile).sum(-2), (share * target).sum(-2)
    covariance = ((target - centre_t[..., None, :]) * share).mT @ (mobile - centre_m[..., None, :])
    rotation = _with_gradient(_best_rotation(covariance.detach()), covariance)
    return Frame(rotation, centre_t - (rotation @ centre_m[..., None])[..., 0])


def rmsd(
    mobile: Float[Tensor, "*b n 3"], target: Float[Tensor, "*b n 3"], weight: Float[Tensor, "*b n"] | None = None
) -> Float[Tensor, "*b"]:
    """Weighted root mean square deviation after superposition, Å."""
    if weight is None:
        weight = torch.ones_like(mobile[..., 0])
    frame = superpose(mobile, target, weight)
    off = frame.apply(mobile) - target
    squared = torch.where(weight > 0, (off * off).sum(-1) * weight, torch.zeros_like(weight))
    mean = squared.sum(-1) / weight.sum(-1).clamp_min(torch.finfo(weight.dtype).tiny)
    exact = mean < torch.finfo(mean.dtype).eps ** 2
    return torch.where(exact, torch.zeros_like(mean), torch.where(exact, torch.ones_like(mean), mean).sqrt())


def _best_rotation(covariance: Tensor) -> Tensor:
    """Proper rotation R that maximises tr(Rᵀ covariance)."""
    u, _, vh = torch.linalg.svd(covariance)
    sign = torch.linalg.det(u @ vh)
    flip = torch.diag_embed(torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign.sign()], dim=-1))
    return u @ flip @ vh


def _with_gradient(rotation: Tensor, covariance: Tensor) -> Tensor:
    """`rotation` with the derivative that the optimality condition gives.

    With S = Rᵀ covariance the optimum has axial(S) = 0; a small change turns R by ω = (tr S - S)⁻¹ axial(S).
    """
    aligned = rotation.mT @ covariance
    axial = torch.stack(
        [
            aligned[..., 2, 1] - aligned[..., 1, 2],
            aligned[..., 0, 2] - aligned[..., 2, 0],
            aligned[..., 1, 0] - aligned[..., 0, 1],
        ],
        dim=-1,
    )
    axial = axial - axial.detach()  # value exactly 0: R stays orthogonal to the last digit
    fixed = aligned.detach()
    fixed = (fixed + fixed.mT) / 2
    trace = fixed.diagonal(dim1=-2, dim2=-1).sum(-1)
    eye = torch.eye(3, dtype=fixed.dtype, device=fixed.device)
    stiffness, axes = torch.linalg.eigh(trace[..., None, None] * eye - fixed)
    floor = DEGENERATE * stiffness[..., -1:]
    determined = stiffness > floor
    yielding = torch.where(determined, 1 / torch.where(determined, stiffness, torch.ones_like(stiffness)), 0.0)
    turn = (axes @ (yielding[..., None] * (axes.mT @ axial[..., None])))[..., 0]
    return rotation + rotation @ _cross_matrix(turn)


def _cross_matrix(v: Tensor) -> Tensor:
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
