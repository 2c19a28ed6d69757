"""The sizes of a network are read from the shapes of its tensors, and what tells no size is refused."""

import dataclasses

import pytest

from rna_predict.errors import WeightsError
from rna_predict.nn.infer_architecture import UNSEEN, infer_architecture
from rna_predict.nn.profiles import PROFILES
from rna_predict.nn.weights import build_on_meta
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion.network import DiffusionModel


def shapes_of(architecture):
    networks = [build_on_meta(build, architecture) for build in (Trunk, DiffusionModel)]
    return {key: tuple(tensor.shape) for network in networks for key, tensor in network.state_dict().items()}


@pytest.mark.parametrize("name", ["nano", "small"])
def test_our_own_sizes_are_recognised(name):
    assert infer_architecture(shapes_of(PROFILES[name])) == PROFILES[name]


@pytest.mark.parametrize(
    "changes",
    [
        {"c_s": 96, "c_token": 80, "c_m": 16, "c_atom": 48, "c_atompair": 8, "c_token_diffusion": 96, "c_noise": 64},
        {"c_z": 64, "c_template": 64, "pairformer_heads": 4, "atom_heads": 2, "diffusion_heads": 2},
        {"pairformer_blocks": 3, "msa_blocks": 1, "template_blocks": 0, "confidence_blocks": 2, "diffusion_blocks": 1},
        {"input_atom_blocks": 1, "encoder_atom_blocks": 2, "decoder_atom_blocks": 3, "atoms_per_token": 20},
        {"scale_pair_hidden": False, "c_z": 128},
        {"scale_pair_hidden": True, "c_z": 128},
    ],
)
def test_every_size_is_read_and_what_is_no_profile_is_custom(changes):
    architecture = dataclasses.replace(PROFILES["nano"], **changes)
    found = infer_architecture(shapes_of(architecture))
    unseen = {name: getattr(architecture, name) for name in UNSEEN}
    assert dataclasses.replace(found, **unseen) == architecture
    assert found.name == "custom"


def drop(shapes, words):
    for key in [key for key in shapes if words in key]:
        del shapes[key]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda s: drop(s, "diffusion_module."), r"f\.pt: diffusion_module\.linear_no_bias_s\.weight is not there"),
        (lambda s: drop(s, "pairformer_stack.blocks.0."), r"pairformer_stack\.blocks\.0\.\S+ is not there"),
        (lambda s: s.update({"pairformer_stack.blocks.5.a": (1,)}), r"pairformer_stack\.blocks\.2 is not there, but"),
        (lambda s: s.update({"linear_no_bias_sinit.weight": (64, 99)}), r"_sinit\.weight: expected 65 more"),
        (
            lambda s: (
                s.update({"pairformer_stack.blocks.0.tri_mul_out.linear_a_p.weight": (50, 32)})
                or drop(s, "template_embedder.pairformer_stack")
            ),
            r"linear_a_p\.weight: 50 hidden channels on 32 are of no known layout",
        ),
        (lambda s: s.update({"confidence_head.plddt_weight": ()}), r"confidence_head\.plddt_weight is not there"),
        (
            lambda s: s.update({"pairformer_stack.blocks.0.attention_pair_bias.linear_nobias_z.weight": (7, 32)}),
            r"do not belong to this layout \(architecture\.pairformer_heads: 7 does not divide c_s 64\)",
        ),
    ],
)
def test_shapes_that_tell_no_size_are_refused_by_file_and_key(damage, named):
    shapes = shapes_of(PROFILES["nano"])
    damage(shapes)
    with pytest.raises(WeightsError, match=named):
        infer_architecture(shapes, "f.pt")
