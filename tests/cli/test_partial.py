"""Partial checkpoints on the command line: `--partial`, `weights merge`, `weights inspect`, and their exit codes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rna_predict.config import read_stage_config
from rna_predict.contracts import RnaSequence
from rna_predict.formats.models import read_ensemble
from rna_predict.nn.adapters import AdapterConfig
from rna_predict.nn.partial import METADATA_KEY, PartialHeader, merge_partial, read_partial, save_partial
from rna_predict.nn.weights import OURS, Network, open_network, read_header, save_weights
from rna_predict.stage_b_torsion.trunk import Trunk

from ..nn.partial_files import BOTH, CONFIG, everything, write_partial
from ..nn.real_networks import Pipeline, write_base

pytest.importorskip("peft")

QUICK = [
    f"--set={setting}"
    for setting in (
        *("stage_c.starts=1", "stage_c.kept=1", "stage_c.steps_open=30", "stage_c.steps_closing=30"),
        *("stage_c.steps_closed=80", "stage_c.steps_polish=40", "stage_b.cycles=1", "stage_d.models=1"),
        *("stage_d.diffusion_steps=15", "stage_d.refine_iterations=60"),
    )
]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    write_base(path)
    return path


@pytest.fixture(scope="module")
def partial(base) -> Path:
    return write_partial(base.with_name("p.safetensors"), weights=str(base))


@pytest.fixture
def fasta(tmp_path) -> Path:
    (tmp_path / "x.fa").write_text(">hairpin\nGGGCUUCGGCCC\n")
    return tmp_path / "x.fa"


def networks(weights="", partial=None, **source) -> list[Network]:
    found = [open_network(build, weights=str(weights), **source) for build in BOTH]
    return found if partial is None else [merge_partial(each, read_partial(partial)) for each in found]


def outputs(found: list[Network]) -> dict[str, torch.Tensor]:
    return Pipeline(*(each.module for each in found)).predict()


def apart(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    """Root mean square difference of the output that differs most, relative to its size."""
    assert left.keys() == right.keys()
    return max(float((left[key] - right[key]).norm() / right[key].norm()) for key in right)


# predict, config resolve


def test_predict_takes_one_up_in_both_stages_and_every_file_names_it(run, fasta, tmp_path):
    path = write_partial(tmp_path / "p.safetensors", untrained_profile="nano")
    models = {}
    for name, words in {"without": (), "with": ("--partial", path)}.items():
        result = run("predict", fasta, "--out", tmp_path / name, "--untrained", "nano", *words, *QUICK)
        assert result.code == 0, result.err
        assert "UNTRAINED random weights" in result.err
        for stage in ("stage_b", "stage_d"):
            assert (f"{stage}: p.safetensors (step 7) merged into" in result.err) == (name == "with")
        for suffix in ("cif", "json", "pdb"):
            text = (tmp_path / name / f"hairpin.{suffix}").read_text()
            assert "UNTRAINED" in text
            assert ("partial checkpoint p.safetensors (step 7)" in text) == (name == "with"), suffix
        files = [tmp_path / name / f"hairpin.{suffix}" for suffix in ("cif", "json")]
        models[name] = read_ensemble(*files, RnaSequence(id="hairpin", sequence="GGGCUUCGGCCC"))
    assert models["with"].provenance.weights != models["without"].provenance.weights
    assert abs(models["with"].models[0].xyz_LA3 - models["without"].models[0].xyz_LA3).max() > 0.01


def test_a_file_of_other_weights_fails_the_rna_and_says_so(run, fasta, tmp_path, base, partial):
    result = run("predict", fasta, "--out", tmp_path / "out", "--untrained", "nano", "--partial", partial, *QUICK)
    assert result.code == 1
    reason = (tmp_path / "out" / "status.tsv").read_text().splitlines()[1].split("\t")[3]
    assert reason.startswith(f"{partial}: trained on weights {read_header(base).sha256[:12]} (drawn), found")
    assert not list((tmp_path / "out").glob("hairpin.*"))


def test_one_alone_is_exit_code_2(run, fasta, tmp_path, partial):
    for words in (("predict", fasta), ("config", "resolve")):
        result = run(*words, "--out", tmp_path / "out", "--partial", partial)
        assert result.code == 2
        assert f"--partial {partial}: name the weights that it was trained on" in result.err
    assert not list((tmp_path / "out").glob("*"))


def test_config_resolve_gives_it_to_both_stages_and_an_override_to_one(run, tmp_path):
    def resolved(*words):
        assert run("config", "resolve", "--out", tmp_path, *words).code == 0
        return [read_stage_config(f"stage_{name}", tmp_path / f"stage_{name}.yaml") for name in "bd"]

    for source in (("--weights", "w.safetensors"), ("--untrained", "nano")):
        for name in ("o'p, q.safetensors", "a\\b\\'c", "ends\\"):
            assert [stage.partial for stage in resolved(*source, "--partial", name)] == [name] * 2
        stages = resolved(*source, "--partial", "p")
        assert [stage.backend for stage in stages] == ["trunk", "diffusion"]
    stages = resolved("--weights", "w", "stage_d.partial=d.safetensors")
    assert [stage.partial for stage in stages] == ["", "d.safetensors"]
    stages = resolved("--weights", "w", "--partial", "p", "stage_b.partial=")
    assert [stage.partial for stage in stages] == ["", "p"]


# weights merge


def test_merge_writes_what_base_and_partial_are_together(run, base, partial, tmp_path):
    out = tmp_path / "merged.safetensors"
    result = run("weights", "merge", base, partial, "--out", out, "--licence", "Apache-2.0")
    assert result.code == 0, result.err
    header = read_header(out)
    assert (header.source, header.licence, header.trained) == ("drawn + p.safetensors (step 7)", "Apache-2.0", True)
    assert header.architecture == read_header(base).architecture
    assert load_file(out).keys() == load_file(base).keys()
    for merged, again in zip(networks(base, partial), networks(out), strict=True):
        state = again.module.state_dict()
        assert all(torch.equal(state[key], tensor) for key, tensor in merged.module.state_dict().items())
    together, found = outputs(networks(base, partial)), outputs(networks(out))
    assert apart(found, together) < 1e-6
    assert apart(found, outputs(networks(base))) > 0.1
    assert header.sha256 not in {read_header(base).sha256, read_partial(partial).header.sha256}


@pytest.mark.parametrize("build", BOTH)
def test_one_of_a_stage_alone_leaves_the_other_stage_the_base(run, base, tmp_path, build):
    partial, out = (
        write_partial(tmp_path / "p.safetensors", (build,), weights=str(base)),
        tmp_path / "merged.safetensors",
    )
    assert run("weights", "merge", base, partial, "--out", out, "--source", "mine").code == 0
    assert read_header(out).source == "mine"
    before, after, changed = load_file(base), load_file(out), set()
    for key, tensor in before.items():
        if not torch.equal(after[key], tensor):
            changed.add(key)
    keys = {each: set(open_network(each, weights=str(base)).module.state_dict()) for each in BOTH}
    assert changed
    assert changed <= keys[build]


def test_merged_starting_values_stay_untrained_unless_everything_was_trained(run, tmp_path):
    configs = [everything(build) for build in BOTH]
    whole = AdapterConfig(groups=(), full_modules=tuple(name for each in configs for name in each.full_modules))
    for builds, config, trained in ((BOTH, CONFIG, False), (BOTH, whole, True), ((Trunk,), configs[0], False)):
        partial = write_partial(tmp_path / "p.safetensors", builds, config, untrained_profile="nano")
        out = tmp_path / "merged.safetensors"
        result = run("weights", "merge", partial, "--untrained", "nano", "--out", out)
        assert result.code == 0, result.err
        assert read_header(out).trained == trained
        assert ("UNTRAINED" in result.err) == (not trained)
        if builds == BOTH:
            together = outputs(networks(partial=partial, untrained_profile="nano"))
            assert apart(outputs(networks(out)), together) < 1e-6


@pytest.fixture
def public(base, tmp_path) -> Path:
    """The base as published weights are, without this package's parts."""
    kept = {key: tensor for key, tensor in load_file(base).items() if key.split(".")[0] not in OURS}
    save_weights(tmp_path / "public.safetensors", kept, read_header(base))
    return tmp_path / "public.safetensors"


def test_parts_that_neither_file_holds_stay_out_so_that_nothing_takes_them_for_trained(run, public, tmp_path):
    config = AdapterConfig(rank=2, groups=("trunk_transition",), full_modules=("trunk_inputs", "diffusion_inputs"))
    partial, out = (
        write_partial(tmp_path / "p.safetensors", BOTH, config, weights=str(public)),
        tmp_path / "m.safetensors",
    )
    assert run("weights", "merge", public, partial, "--out", out).code == 0
    roots = {key.split(".")[0] for key in load_file(out)}
    assert roots & set(OURS) == {"trunk_inputs", "diffusion_inputs"}
    assert apart(outputs(networks(out)), outputs(networks(public, partial))) < 1e-6
    piece = AdapterConfig(groups=(), full_modules=("torsion_head.linear_out",))
    partial = write_partial(tmp_path / "piece.safetensors", (Trunk,), piece, weights=str(public))
    result = run("weights", "merge", public, partial, "--out", tmp_path / "n.safetensors")
    assert result.code == 2
    assert "holds a piece of the torsion head" in result.err
    assert not (tmp_path / "n.safetensors").exists()


def test_what_cannot_be_merged_is_exit_code_2_and_nothing_is_written(run, base, partial, public, tmp_path):
    out = tmp_path / "out" / "merged.safetensors"
    cases = {
        (base,): "expected BASE PARTIAL, or PARTIAL --untrained PROFILE",
        (base, partial, "--untrained", "nano"): "expected BASE PARTIAL, or PARTIAL --untrained PROFILE",
        (public, partial): f"{partial}: trained on weights {read_header(base).sha256[:12]} (drawn), found",
        (partial, "--untrained", "nano"): f"{partial}: trained on weights",
        (partial, base): f"{base}: not a partial checkpoint",
        (partial, partial): f"{partial}: a partial checkpoint, which holds only what was trained",
        (base, tmp_path / "absent.safetensors"): "absent.safetensors: no such file",
    }
    for words, named in cases.items():
        result = run("weights", "merge", *words, "--out", out)
        assert result.code == 2, words
        assert named in result.err
    assert not out.parent.exists()
    assert run("weights", "convert", partial, "--out", out).code == 2


# weights inspect


def test_inspect_says_what_a_partial_checkpoint_holds_and_on_what(run, base, partial):
    result = run("weights", "inspect", partial)
    assert result.code == 0, result.err
    found, header = json.loads(result.out.splitlines()[-1]), read_header(base)
    tensors = load_file(partial)
    values = sum(tensor.numel() for tensor in tensors.values())
    assert found == {
        **{"file": str(partial), "form": "partial checkpoint", "profile": "nano", "step": 7, "fits": True},
        **{"base_sha256": header.sha256, "base_source": "drawn", "stages": ["stage_b", "stage_d"]},
        **{"groups": list(CONFIG.groups), "rank": 2, "alpha": 4.0, "full_modules": list(OURS)},
        **{"sha256": read_partial(partial).header.sha256, "tensors": len(tensors)},
        **{"parameters": values, "bytes": 4 * values},
    }
    rows = [line.split() for line in result.out.splitlines() if line.startswith(("pairformer", "diffusion", "rna_pre"))]
    parts = {name: [int(word) for word in words] for name, *words in rows}
    sums = torch.tensor(list(parts.values())).sum(0).tolist()
    assert list(parts) == ["pairformer_stack", "diffusion_module", "rna_predict"]
    assert sums == [len(tensors), values, 4 * values]
    assert "groups        trunk_attention, trunk_triangle" in result.out


def test_inspect_says_why_one_does_not_fit_and_refuses_a_damaged_one(run, partial, tmp_path):
    whole = read_partial(partial)
    state = dict(whole.tensors)
    state["layernorm_s.weight"] = torch.ones(3)
    save_partial(tmp_path / "odd.safetensors", state, whole.header)
    result = run("weights", "inspect", tmp_path / "odd.safetensors")
    assert result.code == 1
    assert "1 unexpected: layernorm_s.weight" in result.out
    assert json.loads(result.out.splitlines()[-1])["fits"] is False
    content = partial.read_bytes()
    (tmp_path / "bad.safetensors").write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    result = run("weights", "inspect", tmp_path / "bad.safetensors")
    assert result.code == 2
    assert "bad.safetensors: the tensors do not match" in result.err


def test_inspect_reads_one_of_torsionbert(run, tmp_path):
    adapter = AdapterConfig(groups=("torsionbert",), full_modules=())
    header = PartialHeader(base_sha256="a" * 64, base_source="sayby", architecture=None, adapter=adapter)
    state = {"layers.0.linear1.lora_A": torch.ones(8, 4), "layers.0.linear1.lora_B": torch.ones(4, 8)}
    save_partial(tmp_path / "t.safetensors", state, header)
    result = run("weights", "inspect", tmp_path / "t.safetensors")
    assert result.code == 0
    assert [line.split() for line in result.out.splitlines() if line.startswith("torsionbert")] == [
        ["torsionbert", "2", "64", "256"]
    ]
    save_file(state, tmp_path / "u.safetensors", metadata={METADATA_KEY: "{}"})
    assert run("weights", "inspect", tmp_path / "u.safetensors").code == 2
