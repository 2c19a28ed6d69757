"""Weights from files: what fits is loaded bit for bit, what does not is refused by name, and nothing is loaded."""

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from rna_predict.errors import ConfigError, WeightsError
from rna_predict.nn.initialise import initialise
from rna_predict.nn.profiles import PROFILES
from rna_predict.nn.weights import WeightsHeader, compare, open_network, read_checkpoint, read_header, save_weights
from rna_predict.nn.weights_file import METADATA_KEY

NANO = PROFILES["nano"]


@pytest.fixture
def whole(parts):
    """A network whose every tensor is noise, also those that start at zero or one."""
    module = initialised(parts.whole)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


@pytest.fixture
def path(whole, tmp_path):
    """Its weights file."""
    path = tmp_path / "small.safetensors"
    save_weights(path, whole.state_dict(), WeightsHeader(architecture=NANO, trained=True, source="a test"))
    return path


def initialised(build):
    module = build(NANO)
    initialise(module)
    return module


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def test_what_is_written_is_read_bit_for_bit_and_equal_weights_are_equal_files(whole, path, parts, tmp_path):
    header = read_header(path)
    assert (header.architecture, header.trained, header.source) == (NANO, True, "a test")
    assert header.tensors == len(whole.state_dict())
    assert header.parameters == sum(parameter.numel() for parameter in whole.parameters())
    network = open_network(parts.whole, weights=str(path))
    assert same(network.module.state_dict(), whole.state_dict())
    assert network.header == header
    assert not network.module.training
    assert network.report.counts() | {"loaded": 0} == dict.fromkeys(network.report.counts(), 0)
    again = tmp_path / "again.safetensors"
    save_weights(again, dict(reversed(whole.state_dict().items())), dataclasses.replace(header, sha256="", tensors=0))
    assert again.read_bytes() == path.read_bytes()


def test_a_part_takes_its_own_tensors_and_the_hash_is_the_whole_file_s(whole, path, parts):
    trunk = open_network(parts.trunk, weights=str(path))
    diffusion = open_network(parts.diffusion, weights=str(path))
    everything = whole.state_dict()
    for network in (trunk, diffusion):
        values = network.module.state_dict()
        assert same(values, {key: everything[key] for key in values})
        assert network.header.sha256 == read_header(path).sha256 == network.report.sha256
        assert not network.report.unexpected
    assert set(trunk.report.loaded) | set(diffusion.report.loaded) == set(everything)
    assert trunk.report.elsewhere == diffusion.report.loaded


def test_parameters_stay_trainable_or_not_and_training_them_leaves_the_file_alone(path, parts):
    before = path.read_bytes()
    module = open_network(parts.whole, weights=str(path)).module
    assert module.pairformer_stack.blocks[0].linear_q.weight.requires_grad
    assert not module.diffusion_module.w.requires_grad
    with torch.no_grad():
        module.torsion_head.weight.add_(1)
    assert path.read_bytes() == before


def test_our_own_parts_that_a_file_lacks_start_as_in_an_untrained_network(whole, tmp_path, parts):
    public = {key: tensor for key, tensor in whole.state_dict().items() if not key.startswith("torsion_head.")}
    path = tmp_path / "public.safetensors"
    save_weights(path, public, WeightsHeader(architecture=NANO, trained=True, source="public"))
    network = open_network(parts.trunk, weights=str(path))
    assert network.report.added == ("torsion_head.bias", "torsion_head.weight")
    start = open_network(parts.trunk, untrained_profile="nano").module.state_dict()
    assert torch.equal(network.module.state_dict()["torsion_head.weight"], start["torsion_head.weight"])
    del public["pairformer_stack.blocks.1.linear_o.weight"]
    public["torsion_head.bias"] = whole.torsion_head.bias
    save_weights(path, public, WeightsHeader(architecture=NANO, trained=True, source="public"))
    with pytest.raises(
        WeightsError, match=r"2 missing: pairformer_stack\.blocks\.1\.linear_o\.weight, torsion_head\.w"
    ):
        open_network(parts.trunk, weights=str(path))


def test_an_untrained_network_says_so_and_has_one_hash_whichever_part_is_opened(parts, tmp_path):
    whole, trunk = (open_network(build, untrained_profile="nano") for build in (parts.whole, parts.trunk))
    assert not whole.header.trained
    assert "starting values of profile nano" in whole.header.source
    assert whole.header.sha256 == trunk.header.sha256
    assert same(whole.module.state_dict(), initialised(parts.whole).state_dict())
    (tmp_path / "mine.yaml").write_text("c_s: 32\nc_z: 32\n")
    mine = open_network(parts.trunk, untrained_profile="mine", profile_dir=tmp_path)
    assert mine.header.architecture.c_s == 32
    assert mine.header.sha256 != trunk.header.sha256


def test_exactly_one_source_of_values_must_be_named(path, parts):
    for given in ({}, {"weights": str(path), "untrained_profile": "nano"}):
        with pytest.raises(ConfigError, match=r"weights .*untrained_profile .*name one of them"):
            open_network(parts.whole, **given)
    with pytest.raises(ConfigError, match=r"profile 'huge': unknown"):
        open_network(parts.whole, untrained_profile="huge")


class Opens:
    """Pickles to code that creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def damage(path, change):
    content = bytearray(path.read_bytes())
    path.write_bytes(change(content))


def flipped(content, position):
    content[position] ^= 1
    return content


BAD = {
    "missing": (lambda path: path.unlink(), r"no such file"),
    "empty": (lambda path: path.write_bytes(b""), r"found an empty file"),
    "text": (lambda path: path.write_text("<html>404 Not Found</html>"), r"found a file that begins with b'<html>40'"),
    "truncated": (lambda path: damage(path, lambda c: c[:-1000]), r"not a readable safetensors file"),
    "cut in the header": (lambda path: damage(path, lambda c: c[:200]), r"not a readable safetensors file"),
    "longer": (lambda path: damage(path, lambda c: c + b"0"), r"not a readable safetensors file"),
    "a flipped byte": (lambda path: damage(path, lambda c: flipped(c, -1)), r"do not match the header's sha256"),
    "the first byte of a tensor": (
        lambda path: damage(path, lambda c: flipped(c, 8 + int.from_bytes(c[:8], "little"))),
        r"do not match the header's sha256",
    ),
    "a changed header": (
        lambda path: damage(path, lambda c: c.replace(b'\\"trained\\": true', b'\\"trained\\": null')),
        r"does not match its seal",
    ),
    "a changed size": (
        lambda path: damage(path, lambda c: c.replace(b'\\"c_s\\": 64', b'\\"c_s\\": 96')),
        r"does not match its seal",
    ),
    "a torch checkpoint by this name": (
        lambda path: torch.save({"a": torch.ones(3)}, path),
        r"holds a torch checkpoint, whatever its name says",
    ),
}

BAD_TORCH = {
    "a pickle with code": (
        lambda path: torch.save({"model": {"w": torch.ones(3), "x": Opens(path.parent / "created")}}, path),
        r"refused: torch\.load\(weights_only=True\) found something else .*Nothing in it was run",
    ),
    "a bare pickle with code": (
        lambda path: path.write_bytes(pickle.dumps(Opens(path.parent / "created"), protocol=2)),
        r"refused: torch\.load\(weights_only=True\)",
    ),
    "a whole module": (lambda path: torch.save(nn.Linear(2, 2), path), r"refused: torch\.load\(weights_only=True\)"),
    "a truncated checkpoint": (
        lambda path: (torch.save({"model": {"w": torch.ones(3000)}}, path), damage(path, lambda c: c[:-500])),
        r"not a readable torch checkpoint",
    ),
    "a list": (lambda path: torch.save([torch.ones(3)], path), r"expected a dictionary of tensors, found list"),
    "no tensors": (lambda path: torch.save({"model": {"step": 3}}, path), r"no tensors at the top or under model"),
    "NaN": (
        lambda path: torch.save({"model": {"a.b": torch.tensor([1.0, torch.nan])}}, path),
        r"a\.b: holds NaN or infinity",
    ),
    "a key twice": (
        lambda path: torch.save({"module.a": torch.ones(3), "a": torch.ones(3)}, path),
        r"a: a stands there twice, with and without a prefix",
    ),
    "another network": (
        lambda path: torch.save({"state_dict": {"encoder.weight": torch.ones(3)}}, path),
        r"linear_no_bias_sinit\.weight is not there, so the sizes of the network cannot be read",
    ),
}


@pytest.mark.parametrize("name", [*BAD, *BAD_TORCH])
def test_a_bad_file_is_refused_by_name_and_nothing_of_it_is_loaded_or_run(path, parts, tmp_path, name):
    make, named = (BAD | BAD_TORCH)[name]
    path = path if name in BAD else tmp_path / "checkpoint.pt"
    make(path)
    built = []

    def build(architecture):
        built.append(parts.whole(architecture))
        return built[-1]

    with pytest.raises(WeightsError, match=named) as refusal:
        open_network(build, weights=str(path))
    assert str(path) in str(refusal.value)
    assert all(parameter.is_meta for module in built for parameter in module.parameters())
    assert not (tmp_path / "created").exists()


def test_a_file_of_another_format_version_is_refused(path, whole):
    header = json.loads(read_header(path).to_json())
    header["format_version"] = 2
    save_file(whole.state_dict(), path, metadata={METADATA_KEY: json.dumps(header)})
    with pytest.raises(WeightsError, match=r"format_version: expected 1, found 2"):
        read_header(path)


def test_a_safetensors_file_without_our_header_has_none(path, whole):
    save_file(whole.state_dict(), path)
    with pytest.raises(WeightsError, match=r"without the header of this package\. Run `rna-predict weights convert`"):
        read_header(path)
    assert read_checkpoint(path).form == "safetensors"


def change_shape(tensors):
    tensors["pairformer_stack.blocks.0.linear_q.weight"] = torch.ones(64, 32)


def drop_half(tensors):
    for key in list(tensors)[::2]:
        del tensors[key]


def add_block(tensors):
    tensors["pairformer_stack.blocks.2.linear_q.weight"] = torch.ones(64, 64)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            change_shape,
            r"1 mismatched: pairformer_stack\.blocks\.0\.linear_q\.weight \(expected \[64, 64\], found \[64, 32",
        ),
        (drop_half, r"9 tensors loaded; 10 missing: confidence_head\.blocks\.0\.layer_norm\.weight, .*, …"),
        (add_block, r"1 unexpected: pairformer_stack\.blocks\.2\.linear_q\.weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_counts_and_names(whole, tmp_path, parts, change, named):
    tensors = whole.state_dict()
    change(tensors)
    path = tmp_path / "other.safetensors"
    save_weights(path, tensors, WeightsHeader(architecture=NANO, trained=True, source="a test"))
    built = []

    def build(architecture):
        built.append(parts.whole(architecture))
        return built[-1]

    with pytest.raises(WeightsError, match=named) as refusal:
        open_network(build, weights=str(path))
    assert str(path) in str(refusal.value)
    assert "Nothing was loaded" in str(refusal.value)
    assert all(parameter.is_meta for parameter in built[0].parameters())


def test_keys_of_no_part_of_the_layout_are_listed_and_left_out(whole, tmp_path, parts):
    path = tmp_path / "more.safetensors"
    tensors = {**whole.state_dict(), "constraint_embedder.weight": torch.ones(3)}
    save_weights(path, tensors, WeightsHeader(architecture=NANO, trained=True, source="a test"))
    report = open_network(parts.trunk, weights=str(path)).report
    assert report.unexpected == report.foreign == ("constraint_embedder.weight",)


def test_a_load_that_matches_nothing_fits_nothing():
    assert not compare({"msa_module.a": (1,)}, {"diffusion_module.a": (1,)}).fits
    assert not compare({"torsion_head.weight": (1,)}, {"diffusion_module.a": (1,)}).fits
    assert compare({"msa_module.a": (1,)}, {"msa_module.a": (1,), "diffusion_module.a": (1,)}).fits


@pytest.mark.parametrize("wrap", ["model", "state_dict", "bare", "legacy", "compiled", "foreign safetensors"])
def test_every_form_of_the_same_tensors_reads_the_same(whole, tmp_path, wrap):
    tensors = whole.state_dict()
    prefixed = {f"module.{key}": tensor for key, tensor in tensors.items()}
    path = tmp_path / "checkpoint.pt"
    match wrap:
        case "foreign safetensors":
            save_file(tensors, path)
        case "legacy":
            torch.save({"model": prefixed}, path, _use_new_zipfile_serialization=False)
        case "compiled":
            torch.save({f"_orig_mod.{key}": tensor for key, tensor in prefixed.items()} | {"step": 7}, path)
        case "bare":
            torch.save(tensors, path)
        case _:
            torch.save({"optimizer": {"lr": 1e-3}, wrap: prefixed, "step": 7}, path)
    checkpoint = read_checkpoint(path)
    assert same(dict(checkpoint.tensors), tensors)
    ours = tmp_path / "ours.safetensors"
    assert (
        save_weights(ours, tensors, WeightsHeader(architecture=NANO, trained=True, source="")).sha256
        == checkpoint.sha256
    )
    assert checkpoint.header is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_become_float32_and_the_notes_say_so(whole, tmp_path, dtype):
    tensors = {key: tensor.to(dtype) for key, tensor in whole.state_dict().items()}
    torch.save({"model": tensors}, tmp_path / "half.pt")
    checkpoint = read_checkpoint(tmp_path / "half.pt")
    assert same(dict(checkpoint.tensors), {key: tensor.float() for key, tensor in tensors.items()})
    assert f"19 tensors converted from {str(dtype)[6:]} to float32" in checkpoint.notes
    assert "tensors taken from 'model'" in checkpoint.notes


def test_only_finite_float32_in_memory_is_written_and_shared_memory_is_parted(tmp_path):
    header = WeightsHeader(architecture=NANO, trained=True, source="")
    wrong = {
        r"a: holds NaN": {"a": torch.tensor([torch.inf, -torch.inf])},
        r"a: expected float32 values in memory, found torch\.float16": {"a": torch.ones(3).half()},
        r"a: expected float32 values in memory, found .* meta": {"a": torch.ones(3, device="meta")},
        r"no tensors to write": {},
    }
    for named, tensors in wrong.items():
        with pytest.raises(WeightsError, match=named):
            save_weights(tmp_path / "x.safetensors", tensors, header)
    assert list(tmp_path.iterdir()) == []
    both = torch.arange(12.0).view(3, 4)
    tensors = {"a": both[:2], "b": both[1:], "c": both.t(), "d": both, "e": both}
    save_weights(tmp_path / "x.safetensors", tensors, header)
    assert same(load_file(tmp_path / "x.safetensors"), tensors)


def test_a_header_whose_length_begins_like_a_pickle_is_read_as_what_it_is(tmp_path):
    """Its low byte is 0x80 in one of 32 files: safetensors pads headers to 8 bytes."""
    for filler in range(0, 257, 8):
        path = tmp_path / f"padded{filler}.safetensors"
        save_file({"torsion_head.weight": torch.ones(2, 3)}, path, metadata={"filler": "x" * filler})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    assert read_checkpoint(path).shapes() == {"torsion_head.weight": (2, 3)}
