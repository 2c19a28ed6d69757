"""The other program: Protenix 2.0.0's own modules, run on the inputs of `parity_inputs`.

Nothing of it is used by predictions. It is imported with its plain LayerNorm (its fused one needs CUDA) and given one
RNA without a batch axis. Where it has a second path for inference that works in place, both are run.
"""

import contextlib
import importlib
import io
import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from rna_predict.cli.parity_inputs import fill
from rna_predict.nn.architecture import RESTYPES, Architecture
from rna_predict.nn.features import Features

VERSION = "2.0.0"
"""The version that the reference was made with."""

EVERY_ROW = 10**9
"""More rows than any alignment has: Protenix then takes all of them instead of a random share."""


def load(name: str) -> Any:
    """Import a module of Protenix; ImportError when it or something that it needs is not installed."""
    os.environ.setdefault("LAYERNORM_TYPE", "torch")
    with contextlib.redirect_stdout(io.StringIO()):
        return importlib.import_module(f"protenix.{name}")


def build(architecture: Architecture) -> nn.Module:
    """Protenix's network with our sizes, for inference, with drawn weights in place of its own start."""
    a = architecture
    protenix, confidence = load("model.protenix"), load("model.modules.confidence")
    with no_initialisation(), contextlib.redirect_stdout(io.StringIO()):
        network = protenix.Protenix(_config(a))
        network.input_embedder.atom_attention_encoder = load("model.modules.transformer").AtomAttentionEncoder(
            has_coords=False,
            c_token=a.c_token,
            c_atom=a.c_atom,
            c_atompair=a.c_atompair,
            n_blocks=a.input_atom_blocks,
            n_heads=a.atom_heads,
        )
        network.confidence_head.pairformer_stack = confidence.PairformerStack(
            c_z=a.c_z,
            c_s=a.c_s,
            n_blocks=a.confidence_blocks,
            n_heads=a.pairformer_heads,
            hidden_scale_up=a.scale_pair_hidden,
        )
    fill(network)
    return network.eval()


def _config(a: Architecture) -> Any:
    from ml_collections.config_dict import ConfigDict

    pair = {"c_z": a.c_z, "blocks_per_ckpt": None, "hidden_scale_up": a.scale_pair_hidden}
    atoms = {"c_atom": a.c_atom, "c_atompair": a.c_atompair}
    channels = {"c_s": a.c_s, "c_s_inputs": a.c_inputs}
    rows = {"train": EVERY_ROW, "test": EVERY_ROW}
    return ConfigDict(
        {
            "enable_tf32": False,
            "enable_diffusion_shared_vars_cache": False,
            "enable_efficient_fusion": False,
            "train_confidence_only": False,
            "train_noise_sampler": {},
            "inference_noise_scheduler": {},
            "diffusion_batch_size": 1,
            "triangle_multiplicative": "torch",
            "triangle_attention": "torch",
            "data": {"msa": {"enable": True, "strategy": "topk", "sample_cutoff": rows, "min_size": rows}},
            **{"c_s": a.c_s, "c_z": a.c_z, "c_s_inputs": a.c_inputs},
            "model": {
                **{"N_cycle": 1, "N_model_seed": 1},
                "input_embedder": {**atoms, "c_token": a.c_token},
                "relative_position_encoding": {"c_z": a.c_z},
                "template_embedder": {**pair, "c": a.c_template, "n_blocks": a.template_blocks},
                "msa_module": {**pair, "c_m": a.c_m, "c_s_inputs": a.c_inputs, "n_blocks": a.msa_blocks},
                "constraint_embedder": {
                    **{f"{name}_embedder": {} for name in ("pocket", "contact", "contact_atom", "substructure")},
                    "c_constraint_z": a.c_z,
                },
                "pairformer": {**pair, "c_s": a.c_s, "n_blocks": a.pairformer_blocks, "n_heads": a.pairformer_heads},
                "diffusion_module": {
                    **atoms,
                    **channels,
                    **{"c_z": a.c_z, "c_token": a.c_token_diffusion},
                    "atom_encoder": {"n_blocks": a.encoder_atom_blocks, "n_heads": a.atom_heads},
                    "transformer": {"n_blocks": a.diffusion_blocks, "n_heads": a.diffusion_heads},
                    "atom_decoder": {"n_blocks": a.decoder_atom_blocks, "n_heads": a.atom_heads},
                },
                "confidence_head": {
                    **pair,
                    **channels,
                    **{"n_blocks": a.confidence_blocks, "max_atoms_per_token": a.atoms_per_token},
                },
                "distogram_head": {"c_z": a.c_z},
            },
        }
    )


@contextlib.contextmanager
def no_initialisation() -> Iterator[None]:
    """Keep its layers from drawing truncated normals, which takes minutes; whoever builds fills them instead."""
    layers, primitives = load("model.triangular.layers"), load("model.modules.primitives")
    original = layers.trunc_normal_init_
    layers.trunc_normal_init_ = primitives.trunc_normal_init_ = lambda weights, scale=1.0, fan="fan_in": None
    try:
        yield
    finally:
        layers.trunc_normal_init_ = primitives.trunc_normal_init_ = original


def convert(features: Features) -> dict[str, Any]:
    """Protenix's dictionary of one RNA; without an alignment the query is its only row, as its pipeline does."""
    token_A = features.atom_token_BA[0]
    length, atoms = features.restype_BL.shape[1], len(token_A)
    index_L = torch.arange(length)
    representative_A = torch.zeros(atoms).long()
    representative_A[features.distogram_atom_BL[0]] = 1
    entries = {
        "restype": one_hot(features.restype_BL[0], RESTYPES).float(),
        "profile": features.profile_BLT[0],
        "deletion_mean": features.deletion_mean_BL[0],
        "residue_index": features.residue_index_BL[0],
        "token_index": index_L,
        **{"asym_id": features.chain_BL[0], "entity_id": features.entity_BL[0], "sym_id": features.copy_BL[0]},
        "token_bonds": torch.zeros(length, length),
        "atom_to_token_idx": token_A,
        "atom_to_tokatom_idx": features.atom_rank_BA[0],
        "distogram_rep_atom_mask": representative_A,
        "ref_pos": features.ref_pos_BA3[0],
        "ref_charge": features.ref_charge_BA[0],
        "ref_mask": torch.ones(atoms).long(),
        "ref_element": one_hot(features.ref_element_BA[0] - 1, 128),
        "ref_atom_name_chars": one_hot(features.ref_name_BA4[0], 64),
        "ref_space_uid": token_A,
    }
    if features.alignment is None:
        msa_ML, deletion_ML = features.restype_BL, torch.zeros(1, length)
    else:
        msa_ML, deletion_ML = features.alignment.residue_BML[0], features.alignment.deletion_BML[0]
    return entries | {
        "msa": msa_ML,
        "has_deletion": deletion_ML.clamp(0, 1),
        "deletion_value": (deletion_ML / 3).atan() * (2 / torch.pi),
    }


def empty_templates(length: int) -> dict[str, Tensor]:
    """What Protenix's pipeline gives for an RNA: one template of gaps and three padded with letter 0, all masked."""
    aatype_TL = torch.zeros(4, length).long()
    aatype_TL[0] = RESTYPES - 1
    shape = (4, length, length)
    return {
        "aatype": aatype_TL,
        "distogram": torch.zeros(*shape, 39),
        "pseudo_beta_mask": torch.zeros(shape),
        "unit_vector": torch.zeros(*shape, 3),
        "backbone_frame_mask": torch.zeros(shape),
    }
