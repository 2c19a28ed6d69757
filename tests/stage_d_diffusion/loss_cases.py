"""RNAs of noise that the tests of the losses share."""

import torch

from rna_predict.nn.featurise import featurise
from rna_predict.stage_d_diffusion.confidence_head import ConfidenceLogits
from rna_predict.stage_d_diffusion.loss import NativeAtoms
from rna_predict.stage_d_diffusion.sampler import rotation_of


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seen(xyz, mask=None):
    return NativeAtoms(xyz_BA3=xyz, mask_BA=torch.ones(xyz.shape[:2], dtype=torch.bool) if mask is None else mask)


def moved(xyz_BSA3, seed=0):
    """Each copy turned and shifted."""
    turn = rotation_of(noise(seed, 4))
    return xyz_BSA3 @ turn.T + 20 * noise(seed + 1, 3)


class Rna:
    """Features and a native that is noise, 4 Å a residue apart."""

    def __init__(self, sequence, seed=0):
        self.features = featurise(sequence, seed=0)
        place = 4.0 * self.features.atom_token_BA[..., None] * torch.tensor([1.0, 0.3, 0.1])
        self.native = seen(place + 2 * noise(seed, *place.shape))

    def logits(self, samples=1, seed=9):
        length, atoms = self.features.token_mask_BL.shape[1], self.features.atom_mask_BA.shape[1]
        shapes = [(atoms, 50), (length, length, 64), (length, length, 64), (atoms, 2)]
        plddt, pae, pde, resolved = (noise(seed + k, 1, samples, *s).requires_grad_() for k, s in enumerate(shapes))
        return ConfidenceLogits(plddt_BSA50=plddt, pae_BSLL64=pae, pde_BSLL64=pde, resolved_BSA2=resolved)
