"""`rna-predict weights`: what it says of a file, what it converts, and what it refuses."""

import json

import pytest
import torch
from safetensors.torch import load_file

from rna_predict.nn.profiles import PROFILES
from rna_predict.nn.weights import OURS, read_checkpoint, read_header


@pytest.fixture(scope="module")
def nano(tmp_path_factory):
    """Starting values of nano in our format."""
    from rna_predict.cli.weights import untrained

    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    untrained("nano", path, seed=3, profile_dir=None)
    return path


@pytest.fixture
def public(nano, tmp_path):
    """The same as a training program publishes it: a torch file, prefixed, without this package's own parts."""
    path = tmp_path / "published.pt"
    tensors = {f"module.{key}": tensor for key, tensor in load_file(nano).items() if key.split(".")[0] not in OURS}
    torch.save({"model": tensors, "step": 9}, path)
    return path


def figures(result):
    return json.loads(result.out.splitlines()[-1])


def test_untrained_weights_say_so_and_a_seed_repeats_them(run, nano, tmp_path):
    header = read_header(nano)
    assert (header.architecture, header.trained) == (PROFILES["nano"], False)
    assert header.source == "starting values of profile nano, seed 3"
    for seed, same in ((3, True), (4, False)):
        path = tmp_path / f"{seed}.safetensors"
        assert run("weights", "untrained", "nano", "--out", path, "--seed", seed).code == 0
        assert (read_header(path).sha256 == header.sha256) == same


def test_inspect_prints_parts_and_counts_and_ends_in_one_json_line(run, nano):
    result = run("weights", "inspect", nano)
    assert result.code == 0
    found, header = figures(result), read_header(nano)
    assert found["form"] == "rna-predict"
    assert found["profile"] == "nano"
    assert not found["trained"]
    assert found["sha256"] == header.sha256
    assert (found["loaded"], found["missing"], found["unexpected"], found["mismatched"]) == (header.tensors, 0, 0, 0)
    assert found["architecture"] == PROFILES["nano"].to_dict()
    rows = [line.split() for line in result.out.splitlines() if line.startswith(("pairformer_stack", "rna_predict "))]
    assert [row[0] for row in rows] == ["pairformer_stack", "rna_predict"]
    pairformer = [t.numel() for key, t in load_file(nano).items() if key.startswith("pairformer_stack.")]
    assert rows[0][1:] == [str(len(pairformer)), str(sum(pairformer))]


def test_inspect_recognises_a_published_file_by_its_shapes(run, public):
    result = run("weights", "inspect", public)
    assert result.code == 0
    found = figures(result)
    assert (found["form"], found["profile"], found["fits"]) == ("torch", "nano", True)
    assert found["added"] > 0
    assert "tensors taken from 'model'" in result.out


def test_convert_keeps_every_value_and_the_hash(run, public, tmp_path):
    out = tmp_path / "ours.safetensors"
    result = run("weights", "convert", public, "--out", out, "--source", "a test", "--licence", "Apache-2.0")
    assert result.code == 0, result.err
    header, before = read_header(out), read_checkpoint(public)
    assert (header.source, header.licence, header.trained) == ("a test", "Apache-2.0", True)
    assert header.architecture == PROFILES["nano"]
    assert header.sha256 == before.sha256
    written = load_file(out)
    assert written.keys() == before.tensors.keys()
    assert all(torch.equal(written[key], tensor) for key, tensor in before.tensors.items())


def rewrite(path, change):
    content = torch.load(path, weights_only=True)
    change(content["model"])
    torch.save(content, path)


def drop_half(tensors):
    for key in [key for key in tensors if "linear_no_bias_a" in key or "tri_mul_in" in key]:
        del tensors[key]


def widen(tensors):
    tensors["module.layernorm_s.weight"] = torch.ones(65)


def surplus(tensors):
    tensors["module.input_embedder.linear_esm.weight"] = torch.ones(3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (drop_half, r"missing: confidence_head.pairformer_stack.blocks.0.pair_transition.linear_no_bias_a.weight"),
        (widen, r"1 mismatched: layernorm_s.weight (expected [64], found [65])"),
        (surplus, r"1 unexpected: input_embedder.linear_esm.weight"),
    ],
)
def test_a_file_that_does_not_fit_is_described_and_not_converted(run, public, tmp_path, change, named):
    rewrite(public, change)
    inspected = run("weights", "inspect", public)
    assert inspected.code == 1
    assert named in inspected.out
    assert not figures(inspected)["fits"]
    out = tmp_path / "ours.safetensors"
    converted = run("weights", "convert", public, "--out", out)
    assert converted.code == 2
    assert f"{public}: does not fit the networks" in converted.err
    assert named in converted.err
    assert not out.exists()


def test_tensors_of_other_networks_are_left_out_with_a_warning(run, public, tmp_path):
    rewrite(public, lambda tensors: tensors.update({"module.constraint_embedder.weight": torch.ones(3)}))
    out = tmp_path / "ours.safetensors"
    result = run("weights", "convert", public, "--out", out)
    assert result.code == 0
    assert "1 tensors of no part left out: constraint_embedder.weight" in result.err
    assert "constraint_embedder.weight" not in load_file(out)


def test_a_file_that_cannot_be_read_ends_in_one_line(run, tmp_path):
    bad = tmp_path / "bad.pt"
    bad.write_text("hello")
    for words in (("inspect", bad), ("convert", bad, "--out", tmp_path / "x.safetensors")):
        result = run("weights", *words)
        assert result.code == 2
        assert result.err.startswith(f"rna-predict: {bad}: expected safetensors or a torch checkpoint")
    assert run("weights", "untrained", "huge", "--out", tmp_path / "x.safetensors").code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pt"]
