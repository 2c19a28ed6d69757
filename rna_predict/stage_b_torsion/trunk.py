"""Stage B's network: from the features of an RNA to its single and pair representation."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rna_predict.errors import ConfigError
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.attention import only_if_padded
from rna_predict.nn.embeddings import InputFeatureEmbedder, RelativePositionEncoding
from rna_predict.nn.features import Features, Representations
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.msa import MSAModule
from rna_predict.nn.pairformer import PairformerStack
from rna_predict.nn.rows import add, row_slices
from rna_predict.nn.stage_inputs import StageInputProjection, StageInputs
from rna_predict.nn.template import TemplateEmbedder
from rna_predict.stage_b_torsion.heads import DistogramHead, PairHead, TorsionHead


class Trunk(nn.Module):
    """AF3 Algorithm 1, lines 1-13 and 17, under the root keys of Protenix.

    Ours are `trunk_inputs`, which adds stage A's adjacency and templates to the initial pair representation and starts
    at zero, `torsion_head` and `pair_head`. `linear_no_bias_token_bond` keeps its key, but is not applied: it embeds
    bonds between the tokens of ligands and modified residues, of which a chain of plain RNA has none, and has no bias.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        c_s, c_z = architecture.c_s, architecture.c_z
        self.input_embedder = InputFeatureEmbedder(architecture)
        self.relative_position_encoding = RelativePositionEncoding(c_z)
        self.template_embedder = TemplateEmbedder(architecture)
        if not architecture.template_blocks:  # then it has layers that nothing reads, and that no training could change
            self.template_embedder.requires_grad_(False)
        self.msa_module = MSAModule(architecture)
        self.pairformer_stack = PairformerStack(architecture, blocks=architecture.pairformer_blocks, c_z=c_z, c_s=c_s)
        self.linear_no_bias_sinit = Linear(architecture.c_inputs, c_s)
        self.linear_no_bias_zinit1 = Linear(c_s, c_z)
        self.linear_no_bias_zinit2 = Linear(c_s, c_z)
        self.linear_no_bias_token_bond = Linear(1, c_z)
        self.linear_no_bias_token_bond.requires_grad_(False)
        self.linear_no_bias_z_cycle = Linear(c_z, c_z, init="zeros")
        self.linear_no_bias_s = Linear(c_s, c_s, init="zeros")
        self.layernorm_z_cycle = layer_norm(c_z)
        self.layernorm_s = layer_norm(c_s)
        self.distogram_head = DistogramHead(c_z)
        self.trunk_inputs = StageInputProjection(c_z, ("adjacency", "templates"))
        self.torsion_head = TorsionHead(c_s)
        self.pair_head = PairHead(c_z)

    def forward(
        self,
        features: Features,
        cycles: int,
        stage_inputs: StageInputs | None = None,
        chunk_rows: int | None = None,
    ) -> Representations:
        """Run `cycles` cycles; a gradient is recorded in the last one alone, as AF3 trains.

        Args:
            features: one batch; padded residues change nothing elsewhere.
            cycles: 1 or more.
            stage_inputs: stage A's adjacency and templates, or None.
            chunk_rows: rows of pairs at once; None for all while a gradient is recorded, else few.

        Raises:
            ConfigError: `cycles` or `chunk_rows` is not positive.
        """
        if cycles < 1:
            raise ConfigError(f"cycles: {cycles} is too small; the trunk runs at least once")
        inputs_BLI = self.input_embedder(features)
        single_init_BLS, pair_init_BLLZ = self._start(inputs_BLI, features, stage_inputs)
        mask_BL = only_if_padded(features.token_mask_BL)
        single_BLS = torch.zeros_like(single_init_BLS)
        # Zeros before the first cycle: one position stands for all, until a cycle has made them differ.
        pair_BLLZ = torch.zeros_like(pair_init_BLLZ[:, :1, :1])
        for cycle in range(cycles):
            with torch.set_grad_enabled(torch.is_grad_enabled() and cycle + 1 == cycles):
                pair_BLLZ = self._recycled(pair_init_BLLZ, pair_BLLZ, chunk_rows)
                pair_BLLZ = self._evidence(pair_BLLZ, inputs_BLI, features, chunk_rows)
                single_BLS = single_init_BLS + self.linear_no_bias_s(self.layernorm_s(single_BLS))
                single_BLS, pair_BLLZ = self.pairformer_stack.overwrite(single_BLS, pair_BLLZ, mask_BL, chunk_rows)
                assert single_BLS is not None
        return Representations(inputs_BLI=inputs_BLI, single_BLS=single_BLS, pair_BLLZ=pair_BLLZ)

    def distogram(self, pair_BLLZ: Float[Tensor, "b l l z"]) -> Float[Tensor, "b l l 64"]:
        """Logits of the distance between the residues' distogram atoms."""
        return self.distogram_head(pair_BLLZ)

    def _start(self, inputs_BLI: Tensor, features: Features, stage_inputs: StageInputs | None) -> tuple[Tensor, Tensor]:
        """Lines 2-5: what every cycle starts from, in full precision also under autocast."""
        single_BLS = self.linear_no_bias_sinit(inputs_BLI).to(self.layernorm_s.weight.dtype)
        pair_BLLZ = self.relative_position_encoding(features)
        pair_BLLZ = pair_BLLZ + self.linear_no_bias_zinit1(single_BLS)[:, :, None]
        pair_BLLZ = pair_BLLZ + self.linear_no_bias_zinit2(single_BLS)[:, None]
        return single_BLS, self.trunk_inputs(pair_BLLZ, stage_inputs)

    def _recycled(self, init_BLLZ: Tensor, pair_BLLZ: Tensor, chunk_rows: int | None) -> Tensor:
        """Line 8; overwrites the last cycle's pair representation where no gradient is recorded."""
        if torch.is_grad_enabled() or pair_BLLZ.shape != init_BLLZ.shape:
            return init_BLLZ + self.linear_no_bias_z_cycle(self.layernorm_z_cycle(pair_BLLZ))
        for rows in row_slices(pair_BLLZ, chunk_rows):
            update = self.linear_no_bias_z_cycle(self.layernorm_z_cycle(pair_BLLZ[:, rows]))
            torch.add(init_BLLZ[:, rows], update, out=pair_BLLZ[:, rows])
        return pair_BLLZ

    def _evidence(self, pair_BLLZ: Tensor, inputs_BLI: Tensor, features: Features, chunk_rows: int | None) -> Tensor:
        """Lines 9 and 10: templates, alignment; overwrites the pair representation where no gradient is recorded."""
        if len(self.template_embedder.pairformer_stack.blocks):
            mask_BL = only_if_padded(features.token_mask_BL)
            pair_BLLZ = add(pair_BLLZ, self.template_embedder.updates(pair_BLLZ, None, mask_BL, chunk_rows))
        return self.msa_module.overwrite(pair_BLLZ, inputs_BLI, features, chunk_rows)
