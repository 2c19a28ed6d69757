"""Numbers of the confidence head: expected values over its bins, as Protenix reads them.

pLDDT has 50 bins from 0 to 100, PAE and PDE have 64 from 0 to 32 Å; each counts at its centre.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.nn.features import Features, Representations
from rna_predict.nn.slots import from_slots
from rna_predict.stage_d_diffusion.confidence_head import ConfidenceHead
from rna_predict.stage_d_diffusion.judged import Confidence

HIGHEST_PLDDT = 100.0
HIGHEST_ERROR = 32.0


def learned_confidence(
    head: ConfidenceHead,
    features: Features,
    representations: Representations,
    xyz_SLA3: np.ndarray,
    chunk_rows: int | None = None,
) -> list[Confidence]:
    """Judge models as they are written, one after the other.

    Args:
        head: the confidence head.
        features: of the RNA, B = 1, on the head's device.
        representations: what the denoiser read.
        xyz_SLA3: float32 [S, L, MAX_ATOMS, 3], Å; OP3 of residue 1 is put where it belongs.
        chunk_rows: rows of the pair representation at once; None for all.
    """
    found = []
    for xyz_LA3 in xyz_SLA3:
        xyz_SLA = torch.from_numpy(xyz_LA3.copy())[None, None].to(features.atom_mask_BA.device)
        with torch.no_grad():
            logits = head(features, representations, from_slots(xyz_SLA, features), chunk_rows)
        pae_LL64 = logits.pae_BSLL64[0, 0].cpu()
        plddt_A = expected(logits.plddt_BSA50[0, 0].cpu(), HIGHEST_PLDDT)
        found.append(
            Confidence(
                plddt_LA=_in_slots(plddt_A, features),
                pae_LL=expected(pae_LL64, HIGHEST_ERROR).numpy(),
                pde_LL=expected(logits.pde_BSLL64[0, 0].cpu(), HIGHEST_ERROR).numpy(),
                ptm=predicted_tm(pae_LL64),
            )
        )
    return found


def centres(bins: int, highest: float) -> Tensor:
    """Centres of equal bins from 0 to `highest`."""
    return (torch.arange(bins) + 0.5) * (highest / bins)


def expected(logits: Float[Tensor, "*x bins"], highest: float) -> Float[Tensor, "*x"]:
    """Mean over bins from 0 to `highest`."""
    return logits.float().softmax(-1) @ centres(logits.shape[-1], highest)


def predicted_tm(pae_LL64: Float[Tensor, "l l bins"]) -> float:
    """pTM (AF3, section 5.9.1): the best row's mean of the expected 1 / (1 + (error / d0)²).

    d0 is the protein's formula with at least 19 residues, as in AF3 and Protenix for every kind of chain; every
    nucleotide has a frame (C1', C3', C4').
    """
    length = pae_LL64.shape[0]
    d0 = 1.24 * (max(length, 19) - 15) ** (1 / 3) - 1.8
    weight = 1 / (1 + (centres(pae_LL64.shape[-1], HIGHEST_ERROR) / d0) ** 2)
    return float((pae_LL64.float().softmax(-1) @ weight).mean(1).max().clamp(0, 1))


def _in_slots(plddt_A: Tensor, features: Features) -> np.ndarray:
    """Values of flat atoms in slot order [L, MAX_ATOMS]; OP3 is left out, slots without an atom are zero."""
    token_A, slot_A = features.atom_token_BA[0].cpu(), features.atom_slot_BA[0].cpu()
    kept_A = (slot_A >= 0) & features.atom_mask_BA[0].cpu()
    plddt_LA = torch.zeros(features.token_mask_BL.shape[1], MAX_ATOMS)
    plddt_LA[token_A[kept_A], slot_A[kept_A]] = plddt_A[kept_A]
    return plddt_LA.clamp(0, 100).numpy()
