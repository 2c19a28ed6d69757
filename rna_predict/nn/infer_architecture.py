"""Read the sizes of a network from the shapes of its tensors, as published checkpoints name no profile."""

import dataclasses
import re
from collections.abc import Mapping

from rna_predict.errors import ConfigError, WeightsError
from rna_predict.nn.architecture import INPUT_FEATURES, PAIR_HEAD_WIDTH, Architecture
from rna_predict.nn.profiles import PROFILES

Shapes = Mapping[str, tuple[int, ...]]

ROWS = {
    "c_s": "linear_no_bias_sinit.weight",
    "c_z": "linear_no_bias_zinit1.weight",
    "c_m": "msa_module.linear_no_bias_m.weight",
    "c_atom": "input_embedder.atom_attention_encoder.linear_no_bias_ref_pos.weight",
    "c_atompair": "input_embedder.atom_attention_encoder.linear_no_bias_d.weight",
    "c_token": "input_embedder.atom_attention_encoder.linear_no_bias_q.weight",
    "c_token_diffusion": "diffusion_module.linear_no_bias_s.weight",
    "c_template": "template_embedder.linear_no_bias_z.weight",
    "pairformer_heads": "pairformer_stack.blocks.0.attention_pair_bias.linear_nobias_z.weight",
    "atom_heads": "input_embedder.atom_attention_encoder.atom_transformer.diffusion_transformer.blocks.0"
    ".attention_pair_bias.linear_nobias_z.weight",
    "diffusion_heads": "diffusion_module.diffusion_transformer.blocks.0.attention_pair_bias.linear_nobias_z.weight",
    "c_noise": "diffusion_module.diffusion_conditioning.fourier_embedding.w",
    "atoms_per_token": "confidence_head.plddt_weight",
}
"""The tensor whose first axis is a size."""

BLOCKS = {
    "pairformer_blocks": "pairformer_stack",
    "msa_blocks": "msa_module",
    "template_blocks": "template_embedder.pairformer_stack",
    "confidence_blocks": "confidence_head.pairformer_stack",
    "input_atom_blocks": "input_embedder.atom_attention_encoder.atom_transformer.diffusion_transformer",
    "encoder_atom_blocks": "diffusion_module.atom_attention_encoder.atom_transformer.diffusion_transformer",
    "decoder_atom_blocks": "diffusion_module.atom_attention_decoder.atom_transformer.diffusion_transformer",
    "diffusion_blocks": "diffusion_module.diffusion_transformer",
}
"""The module whose list `blocks` is counted."""


UNSEEN = (
    *("name", "cycles", "c_fold", "fold_blocks", "fold_heads", "fold_channels", "fold_levels"),
    *("c_geometry", "c_geometry_hidden", "c_geometry_single", "geometry_heads", "geometry_blocks"),
    *("c_quality", "quality_blocks"),
)
"""What leaves no trace in the shapes of stages B and D: recycling, and the sizes of stage A's network."""


def infer_architecture(shapes: Shapes, where: str = "checkpoint") -> Architecture:
    """The sizes that tensors of these shapes belong to, under the name of the profile that they equal, or `custom`.

    What is `UNSEEN` is the profile's, or the default.

    Args:
        shapes: by state-dict key, the whole layout.
        where: file for the message.

    Raises:
        WeightsError: a tensor that tells a size is missing, blocks are not numbered from 0, or the sizes do not fit
            together; names the file and the key.
    """
    sizes: dict[str, int] = {field: _rows(shapes, key, where) for field, key in ROWS.items()}
    sizes |= {field: _count_blocks(shapes, module, where) for field, module in BLOCKS.items()}
    inputs = shapes["linear_no_bias_sinit.weight"][-1]
    if inputs != sizes["c_token"] + INPUT_FEATURES:
        found = f"{inputs} input channels beside {sizes['c_token']} of the atoms"
        raise WeightsError(f"{where}: linear_no_bias_sinit.weight: expected {INPUT_FEATURES} more, found {found}.")
    try:
        architecture = Architecture(name="custom", scale_pair_hidden=_scales(shapes, where), **sizes)
    except ConfigError as error:
        raise WeightsError(f"{where}: the shapes do not belong to this layout ({error}).") from error
    return name_of(architecture)


def name_of(architecture: Architecture) -> Architecture:
    """The profile with the same sizes, else the architecture as `custom`."""
    for profile in PROFILES.values():
        unseen = {name: getattr(profile, name) for name in UNSEEN}
        if dataclasses.replace(architecture, **unseen) == profile:
            return profile
    return dataclasses.replace(architecture, name="custom")


def _rows(shapes: Shapes, key: str, where: str) -> int:
    if not shapes.get(key):
        raise WeightsError(
            f"{where}: {key} is not there, so the sizes of the network cannot be read. Expected a whole checkpoint "
            "with the layout of Protenix."
        )
    return shapes[key][0]


def _count_blocks(shapes: Shapes, module: str, where: str) -> int:
    pattern = re.compile(rf"{re.escape(module)}\.blocks\.(\d+)\.")
    numbers = {int(match.group(1)) for key in shapes if (match := pattern.match(key))}
    if numbers != set(range(len(numbers))):
        missing = min(set(range(max(numbers))) - numbers)
        raise WeightsError(f"{where}: {module}.blocks.{missing} is not there, but blocks after it are.")
    return len(numbers)


def _scales(shapes: Shapes, where: str) -> bool:
    """Whether the triangle updates' hidden width follows their input.

    At 128 channels both rules give the same; then the template embedder's narrower Pairformer tells, and without one
    the two architectures are the same.
    """
    for module in ("template_embedder.pairformer_stack", "pairformer_stack"):
        key = f"{module}.blocks.0.tri_mul_out.linear_a_p.weight"
        if module != "pairformer_stack" and key not in shapes:
            continue
        hidden, channels = _rows(shapes, key, where), shapes[key][-1]
        if hidden == channels != 4 * PAIR_HEAD_WIDTH:
            return True
        if hidden != 4 * PAIR_HEAD_WIDTH:
            raise WeightsError(f"{where}: {key}: {hidden} hidden channels on {channels} are of no known layout.")
    return False
