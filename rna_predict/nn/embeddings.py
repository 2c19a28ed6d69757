"""Embeddings that trunk and denoiser start from: input features, relative positions, noise levels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import embedding, one_hot

from rna_predict.nn.architecture import RESTYPES, Architecture
from rna_predict.nn.atom_attention import AtomAttentionEncoder
from rna_predict.nn.features import Features
from rna_predict.nn.layers import Linear

REACH = 32
"""Residues apart beyond which relative positions are alike (AF3's r_max)."""

CHAINS = 2
"""The same for copies of a chain (AF3's s_max)."""

FOURIER_SEED = 42
"""Protenix draws the Fourier features of an untrained network with this seed."""


class InputFeatureEmbedder(nn.Module):
    """AF3 Algorithm 2: atoms gathered to residues, then residue type, profile and mean deletion as they are."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.atom_attention_encoder = AtomAttentionEncoder(
            architecture, c_token=architecture.c_token, blocks=architecture.input_atom_blocks, with_trunk=False
        )

    def forward(self, features: Features) -> Float[Tensor, "b l i"]:
        """Embed the input; AF3's s_inputs."""
        encoder = self.atom_attention_encoder
        token_B1LC, _ = encoder(features, encoder.conditions(features))
        token_BLC = token_B1LC.squeeze(1)
        restype_BLT = one_hot(features.restype_BL, RESTYPES).to(token_BLC.dtype)
        deletion_BL1 = features.deletion_mean_BL.unsqueeze(-1)
        return torch.cat([token_BLC, restype_BLT, features.profile_BLT, deletion_BL1], dim=-1)


class RelativePositionEncoding(nn.Module):
    """AF3 Algorithm 3, where a residue is a token.

    The weight keeps the paper's columns: 66 for the difference of residues, 66 for that of tokens within a residue, 1
    for the same entity, 6 for the difference of copies. Within a chain the last two are constant, and the tokens'
    difference is 0 on the diagonal and "another residue" elsewhere: one row for each difference of residues will do.
    Between chains, differences of residues and tokens have their last columns: one row for each difference of copies
    of one entity, and one for different entities (as Protenix has it: the difference of copies counts where the
    entity is the same).

    Args:
        c_z: channels of the pair representation.
    """

    def __init__(self, c_z: int) -> None:
        super().__init__()
        self.linear_no_bias = Linear(2 * (2 * REACH + 2) + 1 + 2 * CHAINS + 2, c_z)

    def forward(self, features: Features, rows: slice = slice(None)) -> Float[Tensor, "b r l z"]:
        """Embed the relative positions of residues `rows` (all, if not said) and all residues."""
        index_BL, chain_BL, entity_BL = features.residue_index_BL, features.chain_BL, features.entity_BL
        apart_BRL = index_BL[:, rows, None] - index_BL[:, None, :]
        row_BRL = (apart_BRL.clamp(-REACH, REACH) + REACH).masked_fill(apart_BRL == 0, 2 * REACH + 1)
        copies_BRL = features.copy_BL[:, rows, None] - features.copy_BL[:, None, :]
        other_BRL = copies_BRL.clamp(-CHAINS, CHAINS) + CHAINS
        other_BRL = other_BRL.masked_fill(entity_BL[:, rows, None] != entity_BL[:, None, :], 2 * CHAINS + 1)
        same_BRL = chain_BL[:, rows, None] == chain_BL[:, None, :]
        return embedding(torch.where(same_BRL, row_BRL, 2 * REACH + 2 + other_BRL), self._table())

    def _table(self) -> Float[Tensor, "r z"]:
        """Row 0 to 64: another residue, 32 before to 32 after; row 65: the residue itself.

        Then five rows for copies of the chain, 2 before to 2 after, and one for other entities.
        """
        column = self.linear_no_bias.weight.t()
        residue, token, entity, chain = column.split([2 * REACH + 2, 2 * REACH + 2, 1, 2 * CHAINS + 2])
        same_chain = entity[0] + chain[CHAINS]
        apart = residue[:-1] + token[-1]
        itself = residue[REACH] + token[REACH]
        within = torch.cat([apart, itself.unsqueeze(0)]) + same_chain
        between = residue[-1] + token[-1]
        return torch.cat([within, between + entity[0] + chain[:-1], (between + chain[-1]).unsqueeze(0)])


class FourierEmbedding(nn.Module):
    """AF3 Algorithm 22: cosines of the noise level with random, fixed frequencies and phases.

    Frequencies and phases are parameters that take no gradient, so that a checkpoint holds them.

    Args:
        channels: number of cosines.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(channels), requires_grad=False)
        self.b = nn.Parameter(torch.empty(channels), requires_grad=False)
        self.fill(None)

    @torch.no_grad()
    def fill(self, generator: torch.Generator | None) -> None:
        """Draw frequencies and phases; the same ones always, whatever `generator` is (it suits `initialise`)."""
        if self.w.is_meta:
            return
        fixed = torch.Generator().manual_seed(FOURIER_SEED)
        self.w.copy_(torch.randn(self.w.shape, generator=fixed))
        self.b.copy_(torch.randn(self.b.shape, generator=fixed))

    def forward(self, level: Float[Tensor, "*lead"]) -> Float[Tensor, "*lead c"]:
        """Embed log noise levels; Algorithm 21 scales them."""
        return torch.cos(2 * torch.pi * (level.unsqueeze(-1) * self.w + self.b))
