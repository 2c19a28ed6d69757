"""What our networks make of the inputs of `parity_inputs`, one function for each case of the parity check."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rna_predict.cli.parity_inputs import FEW_STEPS, FRESH_NOISE, SAMPLES, Given, Outputs, RecordedDraws, fill
from rna_predict.nn.atom_attention import AtomConditions, TrunkOfAtoms
from rna_predict.nn.template import TemplateFeatures
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion.denoiser import DiffusionModule
from rna_predict.stage_d_diffusion.network import DiffusionModel
from rna_predict.stage_d_diffusion.sampler import SIGMA_DATA, Af3Settings, af3_levels, af3_schedule, sample

OURS_ALONE = ("trunk_inputs.", "torsion_head.", "pair_head.", "diffusion_inputs.")
"""Beginnings of keys that Protenix lacks; they keep their start, which for the inputs is zero."""


@dataclass(frozen=True)
class Ours:
    """Our networks of one size, with the same drawn weights as Protenix's, and what they are run on.

    Attributes:
        trunk: stage B's network.
        diffusion: stage D's network.
        given: the inputs.
    """

    trunk: Trunk
    diffusion: DiffusionModel
    given: Given

    @classmethod
    def build(cls, given: Given) -> "Ours":
        """Make the networks and draw their weights."""
        trunk, diffusion = Trunk(given.architecture), DiffusionModel(given.architecture)
        for network in (trunk, diffusion):
            network.eval()
            fill(network, skip=OURS_ALONE)
        return cls(trunk, diffusion, given)

    def outputs(self, case: str) -> Outputs:
        """Outputs of one of `CASES` without the batch axis."""
        return {name: value[0] for name, value in CASES[case](self).items()}

    @property
    def block(self) -> Any:
        """The first block of the Pairformer."""
        return self.trunk.pairformer_stack.blocks[0]

    @property
    def msa_block(self) -> Any:
        """The first block of the MSA module."""
        return self.trunk.msa_module.blocks[0]

    @property
    def denoiser(self) -> DiffusionModule:
        """The diffusion module."""
        return self.diffusion.diffusion_module

    @property
    def transformer_block(self) -> Any:
        """The first block of the diffusion transformer."""
        return self.denoiser.diffusion_transformer.blocks[0]


def _update(name: str, ours: Ours) -> Outputs:
    return {"pair": getattr(ours.block, name)(ours.given.representations.pair_BLLZ)}


def _attention_ending(ours: Ours) -> Outputs:
    turned = ours.block.tri_att_end(ours.given.representations.pair_BLLZ.transpose(1, 2))
    return {"pair": turned.transpose(1, 2)}


def _pair_bias(ours: Ours) -> Outputs:
    drawn = ours.given.representations
    return {"single": ours.block.attention_pair_bias(drawn.single_BLS, drawn.pair_BLLZ)}


def _pairformer_block(ours: Ours) -> Outputs:
    drawn = ours.given.representations
    single, pair = ours.block(drawn.single_BLS, drawn.pair_BLLZ)
    return {"single": single, "pair": pair}


def _pairformer_stack(ours: Ours) -> Outputs:
    drawn = ours.given.representations
    single, pair = ours.trunk.pairformer_stack(drawn.single_BLS, drawn.pair_BLLZ)
    return {"single": single, "pair": pair}


def _outer_product_mean(ours: Ours) -> Outputs:
    return {"pair": ours.msa_block.outer_product_mean_msa(ours.given.alignment_BMLC)}


def _weighted_averaging(ours: Ours) -> Outputs:
    module = ours.msa_block.msa_stack.msa_pair_weighted_averaging
    return {"rows": module(ours.given.alignment_BMLC, ours.given.representations.pair_BLLZ)}


def _msa_module(ours: Ours, alignment: bool) -> Outputs:
    given = ours.given
    features = given.features if alignment else given.features_without_alignment
    drawn = given.representations
    return {"pair": ours.trunk.msa_module(drawn.pair_BLLZ, drawn.inputs_BLI, features)}


def _template_embedder(ours: Ours, templates: bool) -> Outputs:
    given = ours.given
    found = None
    if templates:
        drawn = {name: value[None] for name, value in given.templates.items()}
        chain_BL = given.features.chain_BL
        same_BTLL = (chain_BL[:, :, None] == chain_BL[:, None])[:, None]
        found = TemplateFeatures(
            distogram_BTLLD=drawn["distogram"] * same_BTLL[..., None].float(),
            distance_mask_BTLL=drawn["pseudo_beta_mask"] * same_BTLL,
            unit_vector_BTLL3=drawn["unit_vector"] * same_BTLL[..., None],
            frame_mask_BTLL=drawn["backbone_frame_mask"] * same_BTLL,
            letter_BTL=drawn["aatype"],
        )
    return {"pair": ours.trunk.template_embedder(given.representations.pair_BLLZ, found)}


def _relative_position(ours: Ours) -> Outputs:
    return {"pair": ours.trunk.relative_position_encoding(ours.given.features)}


def _input_embedder(ours: Ours) -> Outputs:
    return {"inputs": ours.trunk.input_embedder(ours.given.features)}


def _noise_levels(ours: Ours) -> Outputs:
    levels = torch.tensor([af3_levels(Af3Settings())])
    return {"levels": levels / levels[:, :1]}


def _fourier(ours: Ours) -> Outputs:
    embed = ours.denoiser.diffusion_conditioning.fourier_embedding
    return {"noise": embed(ours.given.sigma_BS.log() / 4)}


def _adaptive_layer_norm(ours: Ours) -> Outputs:
    module, given = ours.transformer_block.attention_pair_bias.layernorm_a, ours.given
    return {"tokens": module(given.tokens_BSLC, *module.scale_and_shift(given.conditioning_BSLS))}


def _conditioned_transition(ours: Ours) -> Outputs:
    block, given = ours.transformer_block, ours.given
    modulation = block.modulation(given.conditioning_BSLS)
    update = block.conditioned_transition_block(given.tokens_BSLC, modulation)
    return {"tokens": modulation.transition_gate * update}


def _transformer_block(ours: Ours) -> Outputs:
    block, given = ours.transformer_block, ours.given
    bias = block.bias(given.representations.pair_BLLZ).unsqueeze(1)
    return {"tokens": block(given.tokens_BSLC, block.modulation(given.conditioning_BSLS), bias)}


def _conditioning(ours: Ours) -> Outputs:
    module, given = ours.denoiser.diffusion_conditioning, ours.given
    single = module(module.single(given.representations), given.sigma_BS)
    return {"single": single, "pair": module.pair(given.features, given.representations.pair_BLLZ)}


def _of_atoms(ours: Ours) -> AtomConditions:
    drawn, encoder = ours.given.representations, ours.denoiser.atom_attention_encoder
    trunk = TrunkOfAtoms(single_BLS=drawn.single_BLS, pair_BLLP=encoder.pair_of_atoms(drawn.pair_BLLZ))
    return encoder.conditions(ours.given.features, trunk, ours.denoiser.atom_attention_decoder.atom_transformer)


def _atom_encoder(ours: Ours) -> Outputs:
    conditions = _of_atoms(ours)
    r = ours.given.of_atoms("r", 3)
    tokens, atoms = ours.denoiser.atom_attention_encoder(ours.given.features, conditions, r)
    return {"tokens": tokens, "atoms": atoms, "conditioning": conditions.atom_B1AC}


def _atom_decoder(ours: Ours) -> Outputs:
    given = ours.given
    skip = given.of_atoms("skip", given.architecture.c_atom)
    return {"xyz": ours.denoiser.atom_attention_decoder(given.features, _of_atoms(ours), given.tokens_BSLC, skip)}


def _denoising_step(ours: Ours) -> Outputs:
    given, module = ours.given, ours.denoiser
    conditions = module.conditions(given.features, given.representations)
    clean = module(given.noisy_BSA3, given.sigma_BS, given.features, given.representations, conditions)
    return {"xyz": clean / SIGMA_DATA}


def _sampler(ours: Ours, settings: Af3Settings) -> Outputs:
    given, module = ours.given, ours.denoiser
    conditions = module.conditions(given.features, given.representations)

    def denoise(noisy_SA3: Tensor, sigma: float) -> Tensor:
        return module(noisy_SA3[None], torch.tensor([[sigma]]), given.features, given.representations, conditions)[0]

    start_SA3 = torch.zeros(SAMPLES, given.atoms, 3)
    xyz_SA3 = sample(denoise, start_SA3, af3_schedule(settings), RecordedDraws())
    return {"xyz": xyz_SA3[None] / SIGMA_DATA}


def _confidence(ours: Ours) -> Outputs:
    given = ours.given
    logits = ours.diffusion.confidence_head(given.features, given.representations, given.xyz_BSA3)
    return {
        "plddt": logits.plddt_BSA50,
        "pae": logits.pae_BSLL64,
        "pde": logits.pde_BSLL64,
        "resolved": logits.resolved_BSA2,
    }


def _trunk(ours: Ours, alignment: bool, cycles: int) -> Outputs:
    given = ours.given
    found = ours.trunk(given.features if alignment else given.features_without_alignment, cycles)
    return {
        "inputs": found.inputs_BLI,
        "single": found.single_BLS,
        "pair": found.pair_BLLZ,
        "distogram": ours.trunk.distogram(found.pair_BLLZ),
    }


CASES: dict[str, Callable[[Ours], Outputs]] = {
    "triangle_multiplication_outgoing": partial(_update, "tri_mul_out"),
    "triangle_multiplication_incoming": partial(_update, "tri_mul_in"),
    "triangle_attention_starting": partial(_update, "tri_att_start"),
    "triangle_attention_ending": _attention_ending,
    "transition": partial(_update, "pair_transition"),
    "attention_with_pair_bias": _pair_bias,
    "pairformer_block": _pairformer_block,
    "pairformer_stack": _pairformer_stack,
    "outer_product_mean": _outer_product_mean,
    "pair_weighted_averaging": _weighted_averaging,
    "msa_module": partial(_msa_module, alignment=True),
    "msa_module_without_alignment": partial(_msa_module, alignment=False),
    "template_embedder": partial(_template_embedder, templates=True),
    "template_embedder_without_template": partial(_template_embedder, templates=False),
    "relative_position": _relative_position,
    "input_embedder": _input_embedder,
    "noise_levels": _noise_levels,
    "fourier_embedding": _fourier,
    "adaptive_layernorm": _adaptive_layer_norm,
    "conditioned_transition": _conditioned_transition,
    "diffusion_transformer_block": _transformer_block,
    "diffusion_conditioning": _conditioning,
    "atom_encoder": _atom_encoder,
    "atom_decoder": _atom_decoder,
    "denoising_step": _denoising_step,
    "sampler_few_steps": partial(_sampler, settings=FEW_STEPS),
    "sampler_fresh_noise": partial(_sampler, settings=FRESH_NOISE),
    "confidence_head": _confidence,
    "trunk_1_cycle": partial(_trunk, alignment=True, cycles=1),
    "trunk_3_cycles": partial(_trunk, alignment=True, cycles=3),
    "trunk_1_cycle_without_alignment": partial(_trunk, alignment=False, cycles=1),
    "trunk_3_cycles_without_alignment": partial(_trunk, alignment=False, cycles=3),
}
"""Our side of each case; `parity_peer` has Protenix's. Coordinates are in units of 16 Å, the network's own."""
