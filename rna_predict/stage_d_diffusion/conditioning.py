"""What the denoiser is conditioned on: the trunk's representations and the noise level (AF3 Algorithm 21)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rna_predict.nn.architecture import Architecture
from rna_predict.nn.embeddings import FourierEmbedding, RelativePositionEncoding
from rna_predict.nn.features import Features, Representations
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.rows import add
from rna_predict.nn.transition import Transition
from rna_predict.stage_d_diffusion.sampler import SIGMA_DATA

TRANSITION_FACTOR = 2


class DiffusionConditioning(nn.Module):
    """AF3 Algorithm 21, in three parts: pairs and residues, which do not depend on the noise, and the level itself.

    It has a relative position encoding of its own.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        c_s, c_z, c_noise = architecture.c_s, architecture.c_z, architecture.c_noise
        self.relpe = RelativePositionEncoding(c_z)
        self.layernorm_z = layer_norm(2 * c_z, offset=False)
        self.linear_no_bias_z = Linear(2 * c_z, c_z)
        self.transition_z1 = Transition(c_z, TRANSITION_FACTOR)
        self.transition_z2 = Transition(c_z, TRANSITION_FACTOR)
        self.layernorm_s = layer_norm(c_s + architecture.c_inputs, offset=False)
        self.linear_no_bias_s = Linear(c_s + architecture.c_inputs, c_s)
        self.fourier_embedding = FourierEmbedding(c_noise)
        self.layernorm_n = layer_norm(c_noise, offset=False)
        self.linear_no_bias_n = Linear(c_noise, c_s)
        self.transition_s1 = Transition(c_s, TRANSITION_FACTOR)
        self.transition_s2 = Transition(c_s, TRANSITION_FACTOR)

    def pair(
        self, features: Features, pair_BLLZ: Float[Tensor, "b l l z"], rows: slice = slice(None)
    ) -> Float[Tensor, "b r l z"]:
        """Lines 1 to 5 for some rows of the pair representation; each pair is conditioned by itself."""
        trunk_BRLZ = pair_BLLZ[:, rows].float()
        joint = torch.cat([trunk_BRLZ, self.relpe(features, rows)], dim=-1)
        pair_BRLZ = self.linear_no_bias_z(self.layernorm_z(joint))
        pair_BRLZ = add(pair_BRLZ, self.transition_z1.updates(pair_BRLZ))
        return add(pair_BRLZ, self.transition_z2.updates(pair_BRLZ))

    def single(self, representations: Representations) -> Float[Tensor, "b l s"]:
        """Lines 6 and 7: what of the single conditioning does not depend on the noise."""
        joint = torch.cat([representations.single_BLS.float(), representations.inputs_BLI.float()], dim=-1)
        return self.linear_no_bias_s(self.layernorm_s(joint))

    def forward(self, single_BLS: Float[Tensor, "b l cs"], sigma_BS: Float[Tensor, "b s"]) -> Float[Tensor, "b s l cs"]:
        """Lines 8 to 12: add the noise level, in Å and above 0, to `single`'s output."""
        noise_BSN = self.fourier_embedding(torch.log(sigma_BS / SIGMA_DATA) / 4)
        level_BSC = self.linear_no_bias_n(self.layernorm_n(noise_BSN))
        single_BSLC = single_BLS.unsqueeze(1) + level_BSC.unsqueeze(2)
        single_BSLC = add(single_BSLC, self.transition_s1.updates(single_BSLC))
        return add(single_BSLC, self.transition_s2.updates(single_BSLC))
