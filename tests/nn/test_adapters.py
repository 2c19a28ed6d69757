"""Adapters: nothing changes at the start, everything that is trained reaches the outputs, and nothing else moves."""

import subprocess
import sys

import pytest
import torch

from rna_predict.errors import ConfigError
from rna_predict.nn.adapters import (
    GROUPS,
    AdapterConfig,
    Adapters,
    adapted_layers,
    is_adapter,
    merge_tensors,
    plain_key,
    trainable_state,
    trained_shapes,
)
from rna_predict.stage_b_torsion.torsionbert import TorsionBert, _Sizes
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion.network import DiffusionModel

from .real_networks import Pipeline, drawn, largest_difference, noise

pytest.importorskip("peft", reason="adapters need peft: pip install 'rna-predict[train]'")

BOTH = AdapterConfig(rank=2, alpha=4.0)


@pytest.fixture
def pipeline():
    return Pipeline(trunk=drawn(Trunk), diffusion=drawn(DiffusionModel))


def attach(pipeline, config=BOTH, name="default", seed=0):
    both = [Adapters(module) for module in (pipeline.trunk, pipeline.diffusion)]
    for adapters in both:
        adapters.add(config.part_of(adapters.module), name, seed)
    return both


def stir(*modules, seed=1, size=0.1):
    """Noise onto everything that is trained, as if it had been."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                if parameter.requires_grad:
                    parameter.add_(size * torch.randn(parameter.shape, generator=generator))


def test_a_new_adapter_changes_no_bit_of_any_output(pipeline):
    before, recorded = pipeline.predict(), pipeline.outputs()
    attach(pipeline)
    after, again = pipeline.predict(), pipeline.outputs()
    for key in before:
        assert torch.equal(after[key], before[key]), key
        assert again[key].requires_grad, key
    # Where gradients are recorded, frozen weights take other kernels, which round differently.
    assert largest_difference(again, recorded) < 5e-6


@pytest.mark.parametrize("training", [False, True])
def test_every_trained_tensor_gets_a_gradient_and_no_frozen_one_does(pipeline, training):
    attach(pipeline)
    stir(pipeline.trunk, pipeline.diffusion)
    for module in (pipeline.trunk, pipeline.diffusion):
        module.train(training)  # with dropout, and blocks computed again on the way back
    sum(value.square().mean() for value in pipeline.outputs().values()).backward()
    trained = 0
    for module in (pipeline.trunk, pipeline.diffusion):
        for key, parameter in module.named_parameters():
            if parameter.requires_grad:
                trained += 1
                assert parameter.grad is not None, key
                assert parameter.grad.any(), key
            else:
                assert parameter.grad is None, key
    # nano: 2 blocks of 10 + 5 attention, 12 triangle and 6 transition layers; 2 blocks of 5 + 3; two tensors each.
    # In full: 2 projections of the trunk, 8 tensors of the torsion head, 4 of the pair head, 4 projections of stage D.
    assert trained == 2 * (2 * (15 + 12 + 6) + 2 * 8) + 2 + 8 + 4 + 4


def test_merged_into_the_weights_an_adapter_computes_the_same(pipeline):
    both = attach(pipeline)
    stir(pipeline.trunk, pipeline.diffusion)
    adapted, plain = pipeline.predict(), Pipeline(trunk=drawn(Trunk), diffusion=drawn(DiffusionModel))
    assert largest_difference(adapted, plain.predict()) > 0.1, "the adapter must matter"
    state = [{key: tensor.clone() for key, tensor in trainable_state(each.module).items()} for each in both]
    for adapters in both:
        adapters.merge("default")
    merged = pipeline.predict()
    assert largest_difference(merged, adapted) < 5e-6
    for module, fresh in ((pipeline.trunk, plain.trunk), (pipeline.diffusion, plain.diffusion)):
        assert module.state_dict().keys() == fresh.state_dict().keys()
        assert [p.requires_grad for p in module.parameters()] == [p.requires_grad for p in fresh.parameters()]
    # Without peft: the same tensors added to fresh weights give the same weights.
    for module, tensors, target in zip(
        (plain.trunk, plain.diffusion), state, (pipeline.trunk, pipeline.diffusion), strict=True
    ):
        merge_tensors(module, tensors, BOTH.scale)
        assert all(torch.equal(value, target.state_dict()[key]) for key, value in module.state_dict().items())


def test_single_layers_agree_with_their_merged_weight_to_a_millionth():
    model = drawn(DiffusionModel)
    adapters = Adapters(model)
    adapters.add(AdapterConfig(groups=("diffusion_transformer",), full_modules=()))
    stir(model)
    block = model.diffusion_module.diffusion_transformer.blocks[0].conditioned_transition_block
    x = noise(0, 5, 64)
    layer = block.linear_nobias_a1
    called, read = layer(x), torch.nn.functional.linear(x, layer.weight)
    layer.enable_adapters(False)
    assert layer.weight is layer.base_layer.weight
    layer.enable_adapters(True)
    adapters.merge("default")
    torch.testing.assert_close(block.linear_nobias_a1(x), called, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(read, called, atol=1e-6, rtol=1e-6)


def test_adapters_stand_side_by_side_and_only_the_one_in_use_counts_and_is_trained(pipeline):
    base = pipeline.predict()
    first = attach(pipeline, name="first")
    stir(pipeline.trunk, pipeline.diffusion, seed=1)
    with_first = pipeline.predict()
    second_config = AdapterConfig(groups=("trunk_triangle",), rank=3, full_modules=("torsion_head", "distogram_head"))
    first[0].add(second_config, "second")
    first[1].use(None)
    assert largest_difference(pipeline.predict(), base) == 0, "a second adapter starts from the base"
    stir(pipeline.trunk, seed=2)
    with_second = pipeline.predict()
    assert largest_difference(with_second, base) > 0.1
    assert set(trainable_state(pipeline.trunk)) == set(trained_shapes(drawn(Trunk), second_config))
    for adapters in first:
        adapters.use("first")
    assert largest_difference(pipeline.predict(), with_first) == 0
    assert set(trainable_state(pipeline.trunk)) == set(trained_shapes(drawn(Trunk), BOTH.part_of(pipeline.trunk)))
    for adapters in first:
        adapters.use(None)
    assert largest_difference(pipeline.predict(), base) == 0
    assert not trainable_state(pipeline.trunk)
    first[0].use("second")
    assert largest_difference(pipeline.predict(), with_second) == 0
    assert first[0].names == ("first", "second")
    with pytest.raises(ConfigError, match=r"adapter 'third': unknown\. Known: first, second"):
        first[0].use("third")


def test_what_is_trained_is_what_the_settings_say(pipeline):
    fresh = drawn(Trunk)
    for config in (BOTH, AdapterConfig(groups=("trunk_transition",), rank=5, full_modules=("layernorm_s",))):
        trunk = drawn(Trunk)
        part = config.part_of(trunk)
        Adapters(trunk).add(part)
        shapes = {key: tuple(tensor.shape) for key, tensor in trainable_state(trunk).items()}
        assert shapes == trained_shapes(fresh, part)
        assert {plain_key(key) for key in trunk.state_dict() if not is_adapter(key)} == set(fresh.state_dict())


def test_starting_factors_depend_on_the_seed_and_the_layer_alone():
    states = []
    for seed, groups in (
        (0, ("trunk_triangle",)),
        (0, ("trunk_attention", "trunk_triangle")),
        (1, ("trunk_triangle",)),
    ):
        trunk = drawn(Trunk)
        before = torch.get_rng_state()
        Adapters(trunk).add(AdapterConfig(groups=groups, full_modules=()), seed=seed)
        assert torch.equal(torch.get_rng_state(), before), "nobody else's random numbers are taken"
        states.append({key: value.clone() for key, value in trainable_state(trunk).items() if "tri_mul" in key})
    for key in states[0]:
        assert torch.equal(states[0][key], states[1][key])
        assert torch.equal(states[0][key], states[2][key]) == key.endswith("lora_B")
    assert len({float(value.sum()) for key, value in states[0].items() if key.endswith("lora_A")}) == 24


def test_a_group_without_a_layer_and_a_module_that_is_not_there_are_refused_and_leave_the_network_alone():
    trunk = drawn(Trunk)
    keys, grads = list(trunk.state_dict()), [p.requires_grad for p in trunk.parameters()]
    for config, message in [
        (AdapterConfig(groups=("diffusion_transformer",), full_modules=()), "matches no layer of Trunk"),
        (AdapterConfig(groups=(), full_modules=("torsion_head.linear_9",)), "has no parameters in Trunk"),
        (
            AdapterConfig(groups=("trunk_triangle",), full_modules=("pairformer_stack.blocks.1",)),
            "layers that are adap",
        ),
    ]:
        with pytest.raises(ConfigError, match=message):
            Adapters(trunk).add(config)
        assert list(trunk.state_dict()) == keys
        assert [p.requires_grad for p in trunk.parameters()] == grads
    adapters = Adapters(trunk)
    adapters.add(AdapterConfig(groups=("trunk_triangle",), full_modules=()))
    for name in ("default", "a.b", ""):
        with pytest.raises(ConfigError, match="adapter"):
            adapters.add(AdapterConfig(groups=(), full_modules=()), name)
    with pytest.raises(ConfigError, match="layers that are adapted"):
        adapters.add(AdapterConfig(groups=(), full_modules=("pairformer_stack",)), "more")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"groups": ("attention",)}, "groups: 'attention' is unknown"),
        ({"full_modules": ("torsion_heads",)}, "full_modules: 'torsion_heads' is no module"),
        ({"groups": ("torsionbert", "torsionbert")}, "twice"),
        ({"rank": 0}, "rank: 0"),
        ({"alpha": float("nan")}, "alpha"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        AdapterConfig(**wrong)


def test_settings_survive_a_file_and_unknown_ones_are_refused():
    config = AdapterConfig(groups=["torsionbert"], rank=3, alpha=1.5, dropout=0.1, full_modules=[])
    assert AdapterConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ConfigError, match="expected"):
        AdapterConfig.from_dict(config.to_dict() | {"more": 1})


def test_the_groups_hold_the_layers_of_their_blocks_and_none_of_other_parts():
    trunk, diffusion = drawn(Trunk), drawn(DiffusionModel)
    counts = {"trunk_attention": 2 * 15, "trunk_triangle": 2 * 12, "trunk_transition": 2 * 6}
    for group, count in counts.items():
        layers = adapted_layers(trunk, AdapterConfig(groups=(group,), full_modules=()))
        assert len(layers) == count
        assert all(layer.startswith("pairformer_stack.blocks.") for layer in layers)
    layers = adapted_layers(diffusion, AdapterConfig(groups=("diffusion_transformer",), full_modules=()))
    assert len(layers) == 2 * 8
    assert {layer.split(".")[1] for layer in layers} == {"diffusion_transformer"}
    assert set(GROUPS) == {*counts, "diffusion_transformer", "torsionbert"}


def test_dropout_is_there_in_training_alone():
    model = drawn(DiffusionModel)
    Adapters(model).add(AdapterConfig(groups=("diffusion_transformer",), full_modules=(), dropout=0.5))
    stir(model)
    block, x = model.diffusion_module.diffusion_transformer.blocks[0], noise(0, 4, 64)
    layer = block.attention_pair_bias.attention.linear_o
    assert torch.equal(layer(x), layer(x))
    model.train()
    assert not torch.equal(layer(x), layer(x))


def test_torsionbert_s_adapters_count_on_the_fast_path_too():
    sizes = _Sizes(vocabulary=20, positions=30, kinds=2, width=128, hidden=96, layers=2, regressor=48, outputs=18)
    torch.manual_seed(0)
    network = TorsionBert(sizes).eval()
    tokens = torch.randint(0, 20, (1, 12), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before = network(tokens)
    adapters = Adapters(network)
    adapters.add(AdapterConfig(groups=("torsionbert",), rank=2, full_modules=()))
    with torch.inference_mode():
        assert torch.equal(network(tokens), before)
    stir(network, size=0.1)
    recorded = network(tokens)
    recorded.square().sum().backward()
    assert all(p.grad.any() for p in network.parameters() if p.requires_grad)
    assert sum(p.requires_grad for p in network.parameters()) == 2 * (2 * 3 + 2)
    with torch.inference_mode():
        fast = network(tokens)
    assert (fast - before).abs().max() > 0.01
    torch.testing.assert_close(fast, recorded, atol=5e-6, rtol=0)
    adapters.merge("default")
    with torch.inference_mode():
        torch.testing.assert_close(network(tokens), fast, atol=2e-6, rtol=0)


def test_nothing_imports_peft_before_an_adapter_is_added():
    command = "import sys, rna_predict.nn.partial; sys.exit(len({'peft', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
