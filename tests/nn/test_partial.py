"""Partial checkpoints: they hold what was trained and nothing else, and load wholly or not at all."""

import dataclasses
import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from rna_predict.errors import WeightsError
from rna_predict.nn.adapters import AdapterConfig, Adapters, is_adapter, plain_key, trainable_state
from rna_predict.nn.partial import (
    METADATA_KEY,
    PartialCheckpoint,
    PartialHeader,
    attach_partial,
    frozen_keys,
    merge_partial,
    partial_load_state_dict,
    read_partial,
    save_partial,
)
from rna_predict.nn.weights import read_header
from rna_predict.training.partial import save_trainable

from .real_networks import NANO, Pipeline, largest_difference, open_both, write_base

CONFIG = AdapterConfig(rank=2, alpha=4.0)
FULL = AdapterConfig(groups=(), full_modules=("torsion_head", "layernorm_s"))
needs_peft = pytest.mark.skipif(find_spec("peft") is None, reason="needs peft: pip install 'rna-predict[train]'")


class Toy(nn.Module):
    """Two trained tensors, a frozen one and a buffer."""

    def __init__(self):
        super().__init__()
        self.torsion_head = nn.Linear(4, 3)
        self.layernorm_s = nn.Linear(2, 2, bias=False)
        self.register_buffer("scale", torch.ones(2))
        self.layernorm_s.requires_grad_(False)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    write_base(path)
    return path


def header_of(path, config=CONFIG, **more):
    base = read_header(path)
    return PartialHeader(
        base_sha256=base.sha256, base_source=base.source, architecture=base.architecture, adapter=config, **more
    )


def opened(path):
    trunk, diffusion = open_both(path)
    return Pipeline(trunk=trunk.module, diffusion=diffusion.module)


def stir(*modules, seed=1):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    """A pipeline with everything trainable changed, what it computes, and its partial checkpoint."""
    pytest.importorskip("peft")
    path = tmp_path_factory.mktemp("partial") / "partial.safetensors"
    pipeline = opened(base)
    for module in (pipeline.trunk, pipeline.diffusion):
        Adapters(module).add(CONFIG.part_of(module))
    stir(pipeline.trunk, pipeline.diffusion)
    written = save_trainable([pipeline.trunk, pipeline.diffusion], path, header_of(base, step=7))
    return pipeline, pipeline.predict(), path, written


# What the file holds


@needs_peft
def test_the_file_holds_what_was_trained_and_no_frozen_key(trained, base):
    pipeline, _, path, written = trained
    stored = load_file(path)
    state = trainable_state(pipeline.trunk) | trainable_state(pipeline.diffusion)
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[key], state[key]) for key in stored)
    assert not set(stored) & (frozen_keys(pipeline.trunk) | frozen_keys(pipeline.diffusion))
    full = set(load_file(base))
    for key in stored:
        assert key.rpartition(".")[0] + ".weight" in full if is_adapter(key) else key in full, key
    assert path.stat().st_size < 0.2 * base.stat().st_size
    partial = read_partial(path)
    assert partial.header == written
    assert (written.tensors, written.parameters) == (len(stored), sum(each.numel() for each in stored.values()))
    assert (written.step, written.adapter, written.architecture) == (7, CONFIG, NANO)
    assert written.base_sha256 == read_header(base).sha256


@needs_peft
def test_a_fresh_network_with_the_file_computes_what_the_trained_one_did(trained, base):
    _, outputs, path, _ = trained
    fresh, partial = opened(base), read_partial(path)
    assert largest_difference(fresh.predict(), outputs) > 0.1, "without the file the outputs must differ"
    sha256 = read_header(base).sha256
    for module in (fresh.trunk, fresh.diffusion):
        before = {plain_key(key) for key in module.state_dict()}
        attach_partial(module, partial, sha256)
        report = partial_load_state_dict(module, partial.tensors)
        assert set(report.missing) == frozen_keys(module) == before - set(report.loaded)
        assert set(report.loaded) == set(trainable_state(module))
        assert not report.unexpected
        assert set(report.elsewhere) == set(partial.tensors) - set(report.loaded)
    again = fresh.predict()
    assert all(value.isfinite().all() for value in again.values())
    assert largest_difference(again, outputs) == 0


def test_modules_trained_in_full_alone_go_into_a_file_and_out_again(base, tmp_path):
    trunk, _ = open_both(base)
    pipeline = opened(base)
    Adapters(pipeline.trunk).add(FULL)
    stir(pipeline.trunk)
    path = tmp_path / "p.safetensors"
    save_trainable(pipeline.trunk, path, header_of(base, FULL))
    merged = merge_partial(trunk, read_partial(path))
    plain = opened(base)
    assert largest_difference(plain.predict(), pipeline.predict()) > 0.1
    plain.trunk = merged.module
    assert largest_difference(plain.predict(), pipeline.predict()) == 0
    assert set(merged.report.missing) == frozen_keys(pipeline.trunk)


@needs_peft
def test_merged_for_a_prediction_the_outputs_are_the_same_and_the_hash_tells_them_apart(trained, base):
    _, outputs, path, written = trained
    before = base.read_bytes()
    networks, partial = open_both(base), read_partial(path)
    merged = [merge_partial(network, partial) for network in networks]
    assert largest_difference(Pipeline(*(each.module for each in merged)).predict(), outputs) < 5e-6
    both = json.dumps([written.base_sha256, written.sha256]).encode()
    assert merged[0].header.sha256 == merged[1].header.sha256 == hashlib.sha256(both).hexdigest()
    assert merged[0].header.source == "drawn + partial.safetensors (step 7)"
    assert set(merged[0].report.loaded) | set(merged[1].report.loaded) == set(partial.tensors)
    assert base.read_bytes() == before, "the base file is mapped, and must not be written to"
    assert merged[0].module.state_dict().keys() == open_both(base)[0].module.state_dict().keys()


@needs_peft
def test_two_files_stand_side_by_side_on_one_network(trained, base, tmp_path):
    _, outputs, path, _ = trained
    fresh, partial = opened(base), read_partial(path)
    start, sha256 = fresh.predict(), read_header(base).sha256
    attach_partial(fresh.diffusion, partial, sha256)
    adapters = attach_partial(fresh.trunk, partial, sha256, "first")
    assert largest_difference(fresh.predict(), outputs) == 0
    adapters.add(FULL, "second")
    stir(fresh.trunk, seed=5)
    second = fresh.predict()
    save_trainable(fresh.trunk, tmp_path / "second.safetensors", header_of(base, FULL))
    other = opened(base)
    attach_partial(other.diffusion, partial, sha256)
    both = attach_partial(other.trunk, read_partial(tmp_path / "second.safetensors"), sha256, "b")
    both.add(CONFIG.part_of(other.trunk), "a")
    report = partial_load_state_dict(other.trunk, partial.tensors)
    assert set(report.missing) == frozen_keys(other.trunk)
    assert not [key for key in report.missing if is_adapter(key)]
    assert largest_difference(other.predict(), outputs) == 0
    both.use("b")
    assert frozen_keys(other.trunk) == set(opened(base).trunk.state_dict()) - set(trainable_state(other.trunk))
    assert largest_difference(other.predict(), second) == 0
    both.use(None)
    assert {plain_key(key) for key in other.trunk.state_dict() if not is_adapter(key)} >= set(report.missing)
    assert largest_difference(other.predict(), start) > 0.1


# What is refused, and that nothing is half-loaded


def noise_state(module):
    generator = torch.Generator().manual_seed(3)
    return {key: torch.randn(each.shape, generator=generator) for key, each in trainable_state(module).items()}


WEIGHT, BIAS = "torsion_head.weight", "torsion_head.bias"
BROKEN = {
    "shape": ({WEIGHT: torch.zeros(4, 3)}, r"torsion_head\.weight \(expected \[3, 4\], found \[4, 3\]"),
    "broadcast": ({WEIGHT: torch.zeros(1, 4)}, r"expected \[3, 4\], found \[1, 4\]"),
    "scalar": ({BIAS: torch.zeros(())}, r"expected \[3\], found \[\]"),
    "unexpected": ({"torsion_head.scale": torch.zeros(1)}, r"1 unexpected: torsion_head\.scale"),
    "foreign": ({"something.else": torch.zeros(1)}, r"1 unexpected: something\.else"),
    "frozen": ({"layernorm_s.weight": torch.zeros(2, 2)}, r"1 unexpected: layernorm_s\.weight"),
    "missing": ({BIAS: None}, r"1 missing: torsion_head\.bias"),
    "nan": ({BIAS: torch.tensor([0, torch.nan, 0])}, r"torsion_head\.bias: holds NaN"),
    "nothing": ({BIAS: None, WEIGHT: None}, "0 tensors loaded"),
    "elsewhere": (
        {BIAS: None, WEIGHT: None, "diffusion_module.layernorm_s.weight": torch.zeros(3)},
        "0 tensors loaded",
    ),
}
"""What is put into a state that fits (None: taken out of it), and what the refusal says."""


def broken(kind, state):
    changes, message = BROKEN[kind]
    return {key: each for key, each in (state | changes).items() if each is not None}, message


LENIENT = ("unexpected", "foreign", "frozen", "missing")


@pytest.mark.parametrize("kind", BROKEN)
def test_what_does_not_fit_is_refused_by_name_and_nothing_is_loaded(kind):
    module = Toy()
    state, message = broken(kind, noise_state(module))
    before = {key: each.clone() for key, each in module.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        partial_load_state_dict(module, state)
    assert all(torch.equal(each, before[key]) for key, each in module.state_dict().items())


@pytest.mark.parametrize("kind", BROKEN)
def test_lenient_loading_forgives_keys_but_neither_shapes_nor_emptiness(kind):
    module = Toy()
    state, message = broken(kind, noise_state(module))
    before = {key: each.clone() for key, each in module.state_dict().items()}
    if kind not in LENIENT:
        with pytest.raises(WeightsError, match=message):
            partial_load_state_dict(module, state, strict=False)
        assert all(torch.equal(each, before[key]) for key, each in module.state_dict().items())
        return
    report = partial_load_state_dict(module, state, strict=False)
    for key, each in module.state_dict().items():
        assert torch.equal(each, state[key] if key in report.loaded else before[key]), key
    assert set(report.missing) == set(module.state_dict()) - set(report.loaded)
    assert set(report.unexpected) == set(state) - set(report.loaded)


def test_what_fits_is_loaded_and_the_report_says_what_is_frozen():
    module = Toy()
    state = noise_state(module) | {"diffusion_module.layernorm_s.weight": torch.zeros(3)}
    report = partial_load_state_dict(module, state)
    assert report.loaded == ("torsion_head.bias", "torsion_head.weight")
    assert report.missing == ("layernorm_s.weight", "scale")
    assert report.elsewhere == ("diffusion_module.layernorm_s.weight",)
    assert all(torch.equal(module.state_dict()[key], state[key]) for key in report.loaded)


def test_a_network_that_trains_nothing_takes_nothing():
    module = Toy().requires_grad_(False)
    with pytest.raises(WeightsError, match="0 tensors loaded"):
        partial_load_state_dict(module, {"torsion_head.bias": torch.zeros(3)}, strict=False)


@pytest.fixture
def toy_file(tmp_path):
    path = tmp_path / "toy.safetensors"
    header = PartialHeader(base_sha256="a" * 64, base_source="toy", architecture=None, adapter=FULL)
    save_trainable(Toy(), path, header)
    return path


def test_other_base_weights_are_refused(base, toy_file):
    trunk, _ = open_both(base)
    keys = list(trunk.module.state_dict())
    for refused in (lambda p: merge_partial(trunk, p), lambda p: attach_partial(trunk.module, p, "b" * 64)):
        with pytest.raises(WeightsError, match=r"trained on weights aaaaaaaaaaaa \(toy\), found [0-9a-f]{12}"):
            refused(read_partial(toy_file))
    assert list(trunk.module.state_dict()) == keys


def test_a_file_that_does_not_fit_the_network_leaves_it_as_it_was(base, tmp_path):
    trunk, _ = open_both(base)
    head = trunk.module.torsion_head.state_dict(prefix="torsion_head.")
    state = {key: torch.ones_like(each) for key, each in head.items()}
    state |= {"layernorm_s.weight": torch.ones(1), "layernorm_s.bias": torch.ones(NANO.c_s)}
    path = tmp_path / "p.safetensors"
    save_partial(path, state, header_of(base, FULL))
    trainable = [each.requires_grad for each in trunk.module.parameters()]
    before = {key: each.clone() for key, each in trunk.module.state_dict().items()}
    for refused in (
        lambda p: merge_partial(trunk, p),
        lambda p: attach_partial(trunk.module, p, trunk.header.sha256),
    ):
        with pytest.raises(WeightsError, match=r"1 mismatched: layernorm_s\.weight \(expected \[64\], found \[1\]\)"):
            refused(read_partial(path))
    assert all(torch.equal(each, before[key]) for key, each in trunk.module.state_dict().items())
    assert [each.requires_grad for each in trunk.module.parameters()] == trainable


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "text", "header"])
def test_a_damaged_file_is_refused(toy_file, damage):
    content = toy_file.read_bytes()
    changed = {
        "truncate": content[:-5],
        "flip": content[:-3] + bytes([content[-3] ^ 1]) + content[-2:],
        "empty": b"",
        "text": b"these are no tensors at all",
        "header": content.replace(b'\\"step\\": 0', b'\\"step\\": 1'),
    }[damage]
    assert changed != content
    toy_file.write_bytes(changed)
    with pytest.raises(WeightsError, match=r"toy\.safetensors"):
        read_partial(toy_file)


def test_files_of_other_kinds_are_refused(base, tmp_path):
    with pytest.raises(WeightsError, match="not a partial checkpoint"):
        read_partial(base)
    with pytest.raises(WeightsError, match="no such file"):
        read_partial(tmp_path / "absent.safetensors")
    header = PartialHeader(base_sha256="a", base_source="b", architecture=None, adapter=FULL)
    values = json.loads(header.to_json())
    for wrong, message in [({"format_version": 9}, "format_version: expected 1, found 9"), ({"more": 1}, "seal")]:
        path = tmp_path / "p.safetensors"
        save_file({"a": torch.zeros(1)}, path, metadata={METADATA_KEY: json.dumps(values | wrong)})
        with pytest.raises(WeightsError, match=message):
            read_partial(path)
    assert PartialHeader.from_json(header.to_json(), "here") == header


def test_what_must_not_be_written_is_not(tmp_path):
    header = PartialHeader(base_sha256="a", base_source="b", architecture=None, adapter=FULL)
    poisoned = Toy()
    with torch.no_grad():
        poisoned.torsion_head.bias[1] = torch.inf
    for modules, message in [
        (Toy().requires_grad_(False), "nothing was trained"),
        ([Toy(), Toy()], "2 tensors are trained by two networks"),
        (poisoned, r"torsion_head\.bias: holds NaN or infinity"),
    ]:
        with pytest.raises(WeightsError, match=message):
            save_trainable(modules, tmp_path / "p.safetensors", header)
    assert not list(tmp_path.iterdir())


def test_everything_trained_counts_as_trained_and_a_part_on_untrained_weights_does_not(base):
    for config, counts in ((FULL, False), (None, True)):
        for network in open_both(base):
            children = tuple(name for name, child in network.module.named_children() if [*child.parameters()])
            part = (config or AdapterConfig(groups=(), full_modules=children)).part_of(network.module)
            if not part.full_modules:
                continue
            whole = {key: each for key, each in network.module.named_parameters() if each.requires_grad}
            state = {key: each.detach() for key, each in whole.items() if key.split(".")[0] in part.full_modules}
            untrained = dataclasses.replace(network, header=dataclasses.replace(network.header, trained=False))
            partial = PartialCheckpoint(path=Path("made"), header=header_of(base, part), tensors=state)
            assert merge_partial(untrained, partial).header.trained == counts
            assert merge_partial(network, dataclasses.replace(partial, tensors=state)).header.trained
