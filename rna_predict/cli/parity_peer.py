"""What Protenix's own modules make of the inputs of `parity_inputs`, one function for each case of the parity check.

One RNA without a batch axis. Where Protenix has a second path for its inference (in place, with the conditioning shared
between steps and the bias fused), `Peer.in_place` takes it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rna_predict.cli.parity_inputs import FEW_STEPS, FRESH_NOISE, SAMPLES, Given, Outputs, RecordedDraws
from rna_predict.cli.parity_protenix import convert, empty_templates, load
from rna_predict.stage_d_diffusion.sampler import SIGMA_DATA, Af3Settings


@dataclass(frozen=True)
class Peer:
    """Protenix's network of one size and what it is run on.

    Attributes:
        network: Protenix's own, with drawn weights.
        given: the inputs.
        in_place: whether to take the paths of its inference.
    """

    network: Any
    given: Given
    in_place: bool

    @property
    def block(self) -> Any:
        """The first block of the Pairformer."""
        return self.network.pairformer_stack.blocks[0]

    @property
    def denoiser(self) -> Any:
        """The diffusion module."""
        return self.network.diffusion_module

    @property
    def single(self) -> Tensor:
        """Drawn single representation; a new one each time, as some paths overwrite it."""
        return self.given.representations.single_BLS[0].clone()

    @property
    def pair(self) -> Tensor:
        """Drawn pair representation."""
        return self.given.representations.pair_BLLZ[0].clone()

    @property
    def inputs(self) -> Tensor:
        """Drawn input embedding."""
        return self.given.representations.inputs_BLI[0].clone()

    def features(self, *, alignment: bool = True, templates: bool = False) -> dict[str, Any]:
        """Protenix's dictionary of the RNA; without templates it holds those that its pipeline pads with."""
        given = self.given
        entries = convert(given.features if alignment else given.features_without_alignment)
        found = given.templates if templates else empty_templates(given.length)
        entries |= {f"template_{name}": value for name, value in found.items()}
        entries = self.network.relative_position_encoding.generate_relp(entries)
        return load("model.protenix").update_input_feature_dict(entries)

    def conditioning(self, features: dict[str, Any]) -> dict[str, Any]:
        """Arguments of its denoiser that do not depend on the noise; its inference makes them once."""
        shared = {"s_inputs": self.inputs, "s_trunk": self.single, "input_feature_dict": features}
        if not self.in_place:
            return shared | {"z_trunk": self.pair, "pair_z": None, "p_lm": None, "c_l": None}
        pair = self.denoiser.diffusion_conditioning.prepare_cache(features["relp"], self.pair, False)
        p_lm, c_l = self.denoiser.atom_attention_encoder.prepare_cache(
            **{name: features[name] for name in ATOM_FEATURES}, r_l=True, z=pair
        )
        extra = {"inplace_safe": True, "enable_efficient_fusion": True}
        return shared | extra | {"z_trunk": None, "pair_z": pair, "p_lm": p_lm, "c_l": c_l}


ATOM_FEATURES = (
    *("ref_pos", "ref_charge", "ref_mask", "ref_element", "ref_atom_name_chars", "atom_to_token_idx"),
    *("d_lm", "v_lm", "pad_info"),
)
"""Arguments of its atom encoder that its dictionary holds."""


def _update(name: str, peer: Peer) -> Outputs:
    return {"pair": getattr(peer.block, name)(peer.pair)}


def _attention_ending(peer: Peer) -> Outputs:
    turned = peer.block.tri_att_end(peer.pair.transpose(0, 1).contiguous())
    return {"pair": turned.transpose(0, 1)}


def _pair_bias(peer: Peer) -> Outputs:
    return {"single": peer.block.attention_pair_bias(a=peer.single, s=None, z=peer.pair)}


def _pairformer_block(peer: Peer) -> Outputs:
    single, pair = peer.block(peer.single, peer.pair, None, inplace_safe=peer.in_place)
    return {"single": single, "pair": pair}


def _pairformer_stack(peer: Peer) -> Outputs:
    single, pair = peer.network.pairformer_stack(peer.single, peer.pair, None, inplace_safe=peer.in_place)
    return {"single": single, "pair": pair}


def _outer_product_mean(peer: Peer) -> Outputs:
    module = peer.network.msa_module.blocks[0].outer_product_mean_msa
    return {"pair": module(peer.given.alignment_BMLC[0], inplace_safe=peer.in_place)}


def _weighted_averaging(peer: Peer) -> Outputs:
    module = peer.network.msa_module.blocks[0].msa_stack.msa_pair_weighted_averaging
    return {"rows": module(peer.given.alignment_BMLC[0], peer.pair)}


def _msa_module(peer: Peer, alignment: bool) -> Outputs:
    features = peer.features(alignment=alignment)
    pair = peer.network.msa_module(features, peer.pair, peer.inputs, None, inplace_safe=peer.in_place)
    return {"pair": pair}


def _template_embedder(peer: Peer, templates: bool) -> Outputs:
    features = peer.features(templates=templates)
    return {"pair": peer.network.template_embedder(features, peer.pair, inplace_safe=peer.in_place)}


def _relative_position(peer: Peer) -> Outputs:
    return {"pair": peer.network.relative_position_encoding(peer.features()["relp"])}


def _input_embedder(peer: Peer) -> Outputs:
    return {"inputs": peer.network.input_embedder(peer.features(), inplace_safe=peer.in_place)}


def _fourier(peer: Peer) -> Outputs:
    return {"noise": peer.denoiser.diffusion_conditioning.fourier_embedding(peer.given.sigma_BS[0].log() / 4)}


def _adaptive_layer_norm(peer: Peer) -> Outputs:
    module = peer.denoiser.diffusion_transformer.blocks[0].attention_pair_bias.layernorm_a
    return {"tokens": module(peer.given.tokens_BSLC[0], peer.given.conditioning_BSLS[0])}


def _conditioned_transition(peer: Peer) -> Outputs:
    module = peer.denoiser.diffusion_transformer.blocks[0].conditioned_transition_block
    return {"tokens": module(peer.given.tokens_BSLC[0], peer.given.conditioning_BSLS[0])}


def _transformer_block(peer: Peer) -> Outputs:
    module = peer.denoiser.diffusion_transformer.blocks[0]
    given = peer.given
    tokens, _, _ = module(given.tokens_BSLC[0], given.conditioning_BSLS[0], peer.pair[None], inplace_safe=peer.in_place)
    return {"tokens": tokens}


def _conditioning(peer: Peer) -> Outputs:
    single, pair = peer.denoiser.diffusion_conditioning(
        peer.given.sigma_BS[0], peer.features()["relp"], peer.inputs, peer.single, peer.pair, None, peer.in_place
    )
    return {"single": single, "pair": pair}


def _encoded(peer: Peer, features: dict[str, Any]) -> tuple[Tensor, ...]:
    return peer.denoiser.atom_attention_encoder(
        **{name: features[name] for name in ATOM_FEATURES},
        r_l=peer.given.of_atoms("r", 3)[0],
        s=peer.single[None],
        z=peer.pair[None],
        inplace_safe=peer.in_place,
    )


def _atom_encoder(peer: Peer) -> Outputs:
    tokens, atoms, conditioning, _ = _encoded(peer, peer.features())
    return {"tokens": tokens, "atoms": atoms, "conditioning": conditioning}


def _atom_decoder(peer: Peer) -> Outputs:
    features, given = peer.features(), peer.given
    _, _, conditioning, pairs = _encoded(peer, features)
    skip = given.of_atoms("skip", given.architecture.c_atom)[0]
    token_A = features["atom_to_token_idx"]
    return {"xyz": peer.denoiser.atom_attention_decoder(token_A, given.tokens_BSLC[0], skip, conditioning, pairs)}


def _denoising_step(peer: Peer) -> Outputs:
    given = peer.given
    clean = peer.denoiser(given.noisy_BSA3[0], given.sigma_BS[0], **peer.conditioning(peer.features()))
    return {"xyz": clean / SIGMA_DATA}


def _noise_levels(peer: Peer) -> Outputs:
    levels = peer.network.inference_noise_scheduler()
    return {"levels": levels / levels[0]}


def _sampler(peer: Peer, settings: Af3Settings) -> Outputs:
    with _recorded_draws():
        xyz = load("model.generator").sample_diffusion(
            peer.denoiser,
            noise_schedule=peer.network.inference_noise_scheduler(N_step=settings.steps),
            N_sample=SAMPLES,
            gamma0=settings.churn,
            step_scale_eta=settings.step_scale,
            guidance_configs={"enable": False},
            **peer.conditioning(peer.features()),
        )
    return {"xyz": xyz / SIGMA_DATA}


def _confidence(peer: Peer) -> Outputs:
    logits = peer.network.confidence_head(
        peer.features(),
        peer.inputs,
        peer.single,
        peer.pair,
        None,
        peer.given.xyz_BSA3[0],
        inplace_safe=peer.in_place,
    )
    return dict(zip(("plddt", "pae", "pde", "resolved"), logits, strict=True))


def _trunk(peer: Peer, alignment: bool, cycles: int) -> Outputs:
    features = peer.features(alignment=alignment)
    inputs, single, pair = peer.network.get_pairformer_output(features, cycles, inplace_safe=peer.in_place)
    return {"inputs": inputs, "single": single, "pair": pair, "distogram": peer.network.distogram_head(pair)}


@contextmanager
def _recorded_draws() -> Iterator[None]:
    """Let Protenix's sampler read recorded numbers: `torch` and the rotation are replaced in its own modules only."""
    generator, augmentation = load("model.generator"), load("model.utils")
    draws, step = RecordedDraws(), 0

    def noise(size: tuple[int, ...], **_: Any) -> Tensor:
        return draws.noise(step, torch.empty(size))

    def rotation(N_sample: int) -> Tensor:
        nonlocal step
        step += 1
        return draws.motion(step, torch.empty(N_sample, 1, 3))[0]

    def translation(size: tuple[int, ...], **_: Any) -> Tensor:
        return draws.motion(step, torch.empty(size[0], 1, 3))[1].reshape(size)

    original = augmentation.uniform_random_rotation
    generator.torch, augmentation.torch = _Torch(noise), _Torch(translation)
    augmentation.uniform_random_rotation = rotation
    try:
        yield
    finally:
        generator.torch = augmentation.torch = torch
        augmentation.uniform_random_rotation = original


class _Torch:
    """torch with another `randn`."""

    def __init__(self, randn: Callable[..., Tensor]) -> None:
        self.randn = randn

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


CASES: dict[str, Callable[[Peer], Outputs]] = {
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
"""Protenix's side of each case; `parity_cases` has ours."""
