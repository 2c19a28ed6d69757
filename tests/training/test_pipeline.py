"""The pipeline that is trained is the one that predicts, and each loss reaches what it should."""

import dataclasses

import pytest
import torch

from rna_predict.data.dataset import open_dataset
from rna_predict.data.examples import collate, make_example
from rna_predict.nn.adapters import AdapterConfig
from rna_predict.stage_d_diffusion.loss import distances
from rna_predict.training.module import TrainingModule
from rna_predict.training.pipeline import Draws, build_pipeline, filled, loss_terms, moved_copies, weighted
from rna_predict.training.stream import open_store

DRAWS = Draws(seed=5, cycles=1, judged=True)
HEADS = {
    "distogram": "trunk.distogram_head.",
    "torsion_direction": "trunk.torsion_head.",
    "torsion_length": "trunk.torsion_head.",
    "torsion_concentration": "trunk.torsion_head.",
    "pucker_amplitude": "trunk.torsion_head.",
    "pairs": "trunk.pair_head.",
    "diffusion_mse": "diffusion.diffusion_module.",
    "smooth_lddt": "diffusion.diffusion_module.",
    "bond": "diffusion.diffusion_module.",
    "plddt": "diffusion.confidence_head.",
    "pae": "diffusion.confidence_head.",
    "pde": "diffusion.confidence_head.",
    "resolved": "diffusion.confidence_head.",
}
"""The part that each loss is read off."""
CONFIDENCE = ("plddt", "pae", "pde", "resolved")


@pytest.fixture(scope="module")
def example(dataset, resolved):
    """A pseudoknot and a hairpin as one batch, with all stages' results."""
    config, chains = resolved("data.coordinates=true"), open_dataset(dataset)
    store = open_store(chains, config.data)
    found = [chains.get(id) for id in ("1l2x_A", "17ra_A")]
    return collate([make_example(one, seed=k, stages=store.get(one, "native")) for k, one in enumerate(found)])


def stirred(pipeline, seed=1):
    """No tensor is zero, so that every part reaches the losses."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in pipeline.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return pipeline


@pytest.fixture(scope="module")
def losses(example, resolved):
    """The pipeline with every layer trained, and its losses."""
    config = resolved("adapters=full", "network.dropout=false", experiment="small")
    pipeline = stirred(build_pipeline(config))
    return pipeline, config, pipeline.losses(example, config.losses, DRAWS)


def gradients(pipeline, loss):
    names, parameters = zip(*((n, p) for n, p in pipeline.named_parameters() if p.requires_grad), strict=True)
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return {name for name, each in zip(names, found, strict=True) if each is not None and each.any()}


def test_every_loss_is_there_and_finite(losses):
    _, config, found = losses
    assert set(found) == set(loss_terms(config.losses)) == set(HEADS)
    assert all(value.isfinite() and value > 0 for value in found.values())


@pytest.mark.parametrize("name", HEADS)
def test_a_loss_reaches_its_head_and_the_trunk_but_confidence_the_head_alone(losses, name):
    pipeline, _, found = losses
    reached = gradients(pipeline, found[name])
    head = {key for key, each in pipeline.named_parameters() if key.startswith(HEADS[name]) and each.requires_grad}
    assert head & reached
    if name in CONFIDENCE:
        assert all(key.startswith("diffusion.confidence_head.") for key in reached)
        return
    assert any(key.startswith("trunk.pairformer_stack.blocks.0.") for key in reached)
    assert any(key.startswith("trunk.input_embedder.") for key in reached)
    assert "trunk.trunk_inputs.adjacency.weight" in reached
    assert not any(key.startswith("diffusion.confidence_head.") for key in reached)


@pytest.mark.parametrize("name", ["diffusion_mse", "smooth_lddt", "bond"])
def test_the_denoiser_s_losses_reach_what_stages_a_b_and_c_enter_through_but_not_the_torsion_head(losses, name):
    pipeline, _, found = losses
    reached = gradients(pipeline, found[name])
    inputs = {f"diffusion.diffusion_inputs.{kind}.weight" for kind in ("adjacency", "torsions_first", "coordinates")}
    assert inputs <= reached
    assert not any(key.startswith("trunk.torsion_head.") for key in reached)


def test_every_layer_gets_a_gradient_from_some_loss(losses, example):
    pipeline, config, _ = losses
    twice = pipeline.losses(example, config.losses, dataclasses.replace(DRAWS, cycles=2))
    reached = gradients(pipeline, weighted(twice, config.losses))
    without = {name for name, each in pipeline.named_parameters() if each.requires_grad} - reached
    # Layers that read nothing but what is not among the inputs: templates, and charges, which no atom of RNA has.
    assert all("template" in name or "ref_charge" in name for name in without), sorted(without)


def test_the_sum_is_weighted_as_the_settings_say(losses):
    _, config, found = losses
    weights = loss_terms(config.losses)
    expected = sum(float(found[name]) * weight for name, weight in weights.items())
    assert float(weighted(found, config.losses)) == pytest.approx(expected, rel=1e-6)
    assert weights["bond"] == config.losses.diffusion * config.losses.bond
    assert weights["distogram"] == weights["pairs"] == 0.03, "equal weights are two terms"


def test_a_batch_weighs_each_rna_as_it_would_alone(dataset, resolved, example):
    """The losses without noise; the noisy ones draw other numbers for another shape."""
    config = resolved("losses.diffusion=0", "losses.confidence=0", "network.dropout=false")
    pipeline, chains = stirred(build_pipeline(config)).eval(), open_dataset(dataset)
    store = open_store(chains, dataclasses.replace(config.data, coordinates=True))
    with torch.no_grad():
        both = pipeline.losses(example, config.losses, DRAWS)
        alone = [
            pipeline.losses(make_example(chain, seed=k, stages=store.get(chain, "native")), config.losses, DRAWS)
            for k, chain in enumerate(chains.get(id) for id in ("1l2x_A", "17ra_A"))
        ]
    for name, value in both.items():
        assert float(value) == pytest.approx(float(sum(one[name] for one in alone) / 2), rel=2e-5), name


def test_the_same_draws_give_the_same_losses_and_others_do_not(losses, example):
    pipeline, config, found = losses
    again = pipeline.losses(example, config.losses, DRAWS)
    other = pipeline.losses(example, config.losses, dataclasses.replace(DRAWS, seed=6))
    assert all(torch.equal(again[name], found[name]) for name in found)
    assert other["diffusion_mse"] != found["diffusion_mse"]
    assert other["distogram"] == found["distogram"]


def test_copies_are_the_native_moved_as_a_rigid_body(example):
    copies_BSA3 = moved_copies(example, 3, torch.Generator().manual_seed(0))
    for k in range(2):
        seen_A = example.atoms.mask_BA[k]
        native = distances(example.atoms.xyz_BA3[k, seen_A], example.atoms.xyz_BA3[k, seen_A])
        for copy_A3 in copies_BSA3[k]:
            assert torch.allclose(distances(copy_A3[seen_A], copy_A3[seen_A]), native, atol=1e-4)
        assert not torch.allclose(copies_BSA3[k, 0], copies_BSA3[k, 1], atol=1.0)


def test_an_atom_that_was_not_seen_stands_in_the_middle_of_its_residue(example):
    features, atoms = example.features, example.atoms
    filled_BA3 = filled(atoms, features)
    for k in range(2):
        centre = atoms.xyz_BA3[k][atoms.mask_BA[k]].mean(0)
        exists_A = features.atom_mask_BA[k]
        unseen = torch.nonzero(exists_A & ~atoms.mask_BA[k])[:, 0].tolist()
        assert unseen, "OP3 is never seen"
        for atom in unseen:
            same_A = (features.atom_token_BA[k] == features.atom_token_BA[k, atom]) & atoms.mask_BA[k]
            assert torch.allclose(filled_BA3[k, atom], atoms.xyz_BA3[k][same_A].mean(0) - centre, atol=1e-4)


@pytest.mark.parametrize("adapters", ["default", "full"])
def test_every_trainable_tensor_changes_in_two_steps_and_no_frozen_one(resolved, example, adapters):
    """One step moves all but what lies before a layer that starts at zero: adapters' first factors, one LayerNorm."""
    config = resolved(f"adapters={adapters}", "optimiser.warmup=0", "optimiser.clip=0")
    module = TrainingModule(config)
    pipeline = module.pipeline
    with torch.no_grad():  # a network that has learned something: no layer of it is zero
        for name, parameter in pipeline.named_parameters():
            if "lora" not in name and not any(f".{ours}." in f".{name}" for ours in AdapterConfig().full_modules):
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))))
    before = {name: each.detach().clone() for name, each in pipeline.named_parameters()}
    (optimiser,), _ = module.configure_optimizers()
    changed = []
    for step in range(2):
        losses = pipeline.losses(example, config.losses, dataclasses.replace(DRAWS, seed=step, cycles=2))
        weighted(losses, config.losses).backward()
        optimiser.step()
        optimiser.zero_grad()
        changed.append({name for name, each in pipeline.named_parameters() if not torch.equal(each, before[name])})
    trained = {name for name, each in pipeline.named_parameters() if each.requires_grad}
    late = {name for name in trained if ".lora_A." in name or "pair_head.layer_norm" in name}
    unread = {name for name in trained if "template" in name or "ref_charge" in name}  # inputs that are not there
    assert changed[0] >= trained - late - unread
    assert changed[1] >= trained - unread
    assert changed[1] <= trained
    assert any("lora" in name for name in late) == (adapters == "default")
