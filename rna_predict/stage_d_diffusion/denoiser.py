"""The denoiser (AF3 Algorithm 20) with EDM's preconditioning (Karras et al. 2022, table 1)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rna_predict.nn.architecture import Architecture
from rna_predict.nn.atom_attention import AtomAttentionDecoder, AtomAttentionEncoder, AtomConditions, TrunkOfAtoms
from rna_predict.nn.attention import masked_bias
from rna_predict.nn.diffusion_transformer import DiffusionTransformer, PairConditions, biases_of
from rna_predict.nn.features import Features, Representations
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.limits import BIAS_BYTES
from rna_predict.nn.rows import row_slices
from rna_predict.stage_d_diffusion.conditioning import DiffusionConditioning
from rna_predict.stage_d_diffusion.sampler import SIGMA_DATA


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the denoiser reads of an RNA apart from the noise; made once for all samples and steps.

    Attributes:
        single_BLS: single conditioning without the noise level.
        pair: pair conditioning of the residues' transformer.
        atoms: conditioning of the atom transformers.
    """

    single_BLS: Float[Tensor, "b l s"]
    pair: PairConditions
    atoms: AtomConditions


class DiffusionModule(nn.Module):
    """AF3 Algorithm 20, in float32 whatever autocast says.

    A padded residue or atom changes nothing at the existing ones; its own output has no meaning.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        c_token = architecture.c_token_diffusion
        self.diffusion_conditioning = DiffusionConditioning(architecture)
        self.atom_attention_encoder = AtomAttentionEncoder(
            architecture, c_token=c_token, blocks=architecture.encoder_atom_blocks, with_trunk=True
        )
        self.layernorm_s = layer_norm(architecture.c_s, offset=False)
        self.linear_no_bias_s = Linear(architecture.c_s, c_token, init="zeros")
        self.diffusion_transformer = DiffusionTransformer(
            c_token,
            architecture.c_s,
            architecture.c_z,
            architecture.diffusion_heads,
            blocks=architecture.diffusion_blocks,
        )
        self.layernorm_a = layer_norm(c_token, offset=False)
        self.atom_attention_decoder = AtomAttentionDecoder(
            architecture, c_token=c_token, blocks=architecture.decoder_atom_blocks
        )
        self.heads = architecture.diffusion_heads
        self.c_atompair = architecture.c_atompair

    def conditions(self, features: Features, representations: Representations) -> Conditions:
        """Make what does not depend on the noise; without gradients a few rows of the pairs at a time."""
        with torch.autocast(representations.pair_BLLZ.device.type, enabled=False):
            pair, pair_BLLP = self._pair_conditions(features, representations.pair_BLLZ)
            trunk = TrunkOfAtoms(single_BLS=representations.single_BLS.float(), pair_BLLP=pair_BLLP)
            decoder = self.atom_attention_decoder.atom_transformer
            return Conditions(
                single_BLS=self.diffusion_conditioning.single(representations),
                pair=pair,
                atoms=self.atom_attention_encoder.conditions(features, trunk, decoder),
            )

    def forward(
        self,
        noisy_BSA3: Float[Tensor, "b s a 3"],
        sigma_BS: Float[Tensor, "b #s"],
        features: Features,
        representations: Representations,
        conditions: Conditions | None = None,
    ) -> Float[Tensor, "b s a 3"]:
        """Guess the clean coordinates, Å.

        Args:
            noisy_BSA3: clean coordinates plus noise of standard deviation `sigma_BS`, Å.
            sigma_BS: noise level of each sample, above 0; [B, 1] where all samples share one, which saves time.
            features: the batch.
            representations: of the trunk.
            conditions: what `conditions` made of the same features and representations; None to make it here.
        """
        if conditions is None:
            conditions = self.conditions(features, representations)
        with torch.autocast(noisy_BSA3.device.type, enabled=False):
            sigma_BS11 = sigma_BS.float()[:, :, None, None]
            ratio_BS11 = sigma_BS11 / SIGMA_DATA
            noisy_BSA3 = noisy_BSA3.float()
            scaled_BSA3 = noisy_BSA3 / torch.sqrt(SIGMA_DATA**2 + sigma_BS11**2)
            update_BSA3 = self._network(scaled_BSA3, sigma_BS.float(), features, conditions)
            keep_BS11 = 1 / (1 + ratio_BS11**2)
            return keep_BS11 * noisy_BSA3 + sigma_BS11 / torch.sqrt(1 + ratio_BS11**2) * update_BSA3

    def _network(
        self, scaled_BSA3: Tensor, sigma_BS: Tensor, features: Features, conditions: Conditions
    ) -> Float[Tensor, "b s a 3"]:
        """EDM's F: the update of the scaled coordinates."""
        single_BSLS = self.diffusion_conditioning(conditions.single_BLS, sigma_BS)
        token_BSLC, atom_BSAC = self.atom_attention_encoder(features, conditions.atoms, scaled_BSA3)
        token_BSLC = token_BSLC + self.linear_no_bias_s(self.layernorm_s(single_BSLS))
        token_BSLC = self.diffusion_transformer(token_BSLC, single_BSLS, conditions.pair)
        return self.atom_attention_decoder(features, conditions.atoms, self.layernorm_a(token_BSLC), atom_BSAC)

    def _pair_conditions(
        self, features: Features, pair_BLLZ: Tensor
    ) -> tuple[PairConditions, Float[Tensor, "b l l p"]]:
        """The residues' pair conditioning, and what the atoms read of it."""
        mask_BL, blocks = features.token_mask_BL, self.diffusion_transformer.all_blocks()
        if torch.is_grad_enabled():
            conditioned_BLLZ = checkpoint(self.diffusion_conditioning.pair, features, pair_BLLZ, use_reentrant=False)
            pair = PairConditions(biases=(), pair_BLLZ=conditioned_BLLZ, mask_BL=mask_BL)
            return pair, self.atom_attention_encoder.pair_of_atoms(conditioned_BLLZ)
        batch, residues = pair_BLLZ.shape[:2]
        kept = 4 * batch * residues**2 * self.heads * len(blocks) <= BIAS_BYTES
        shape = (len(blocks) if kept else 0, batch, 1, self.heads, residues, residues)
        biases = pair_BLLZ.new_empty(shape, dtype=torch.float32)
        conditioned_BLLZ = None if kept else torch.empty_like(pair_BLLZ, dtype=torch.float32)
        pair_BLLP = pair_BLLZ.new_empty((batch, residues, residues, self.c_atompair), dtype=torch.float32)
        for rows in row_slices(pair_BLLZ, None):
            part_BRLZ = self.diffusion_conditioning.pair(features, pair_BLLZ, rows)
            pair_BLLP[:, rows] = self.atom_attention_encoder.pair_of_atoms(part_BRLZ)
            if conditioned_BLLZ is not None:
                conditioned_BLLZ[:, rows] = part_BRLZ
            else:
                biases[:, :, 0, :, rows] = masked_bias(biases_of(blocks, part_BRLZ), mask_BL[:, None, None, :])
        pair = PairConditions(biases=biases.unbind(0), pair_BLLZ=conditioned_BLLZ, mask_BL=mask_BL)
        return pair, pair_BLLP
