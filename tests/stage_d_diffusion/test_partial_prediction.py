"""Stages B and D on a partial checkpoint: what it changes, which trunk goes with it, what is refused, what is said."""

import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from rna_predict.contracts import Embeddings, Ensemble, Torsions
from rna_predict.errors import ConfigError, ContractError, WeightsError
from rna_predict.formats.models import write_best_pdb, write_ensemble
from rna_predict.nn import opened as opened_networks
from rna_predict.nn.adapters import AdapterConfig
from rna_predict.nn.opened import NetworkSource, open_for_prediction
from rna_predict.nn.partial import STAGE_D_PARTS, merged_sha256, read_partial, save_partial, stages_of, trunk_identity
from rna_predict.nn.weights import LAYOUT, open_network, read_header, save_weights
from rna_predict.stage_b_torsion import trunk_backend
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion import learned
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.network import DiffusionModel
from rna_predict.stage_d_diffusion.stage import sample_ensemble

from ..nn.partial_files import everything, open_attached, write_partial
from ..nn.real_networks import write_base

pytest.importorskip("peft")

CPU = torch.device("cpu")
RAW = {"start": "noise", "noise_max": 4.0, "guidance": False, "refine": False, "diffusion_steps": 3, "models": 1}
HEAD = AdapterConfig(groups=(), full_modules=("torsion_head",))
HOLDS = {"both": (Trunk, DiffusionModel), "trunk": (Trunk,), "diffusion": (DiffusionModel,)}


@dataclass(frozen=True, kw_only=True)
class Files:
    """Base weights, and partial checkpoints on them by what they hold."""

    base: Path
    partial: dict[str, Path]

    def source(self, name: str = "") -> dict[str, str]:
        return {"weights": str(self.base), "partial": str(self.partial[name]) if name else ""}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    base = folder / "base.safetensors"
    write_base(base)
    partial = {
        name: write_partial(folder / f"{name}.safetensors", builds, weights=str(base)) for name, builds in HOLDS.items()
    }
    return Files(base=base, partial=partial)


def stage_b(rna, **source) -> tuple[Torsions, Embeddings]:
    config = StageBConfig(backend="trunk", **{"device": "cpu", "precision": "float32", "torsions": "head"} | source)
    return predict_torsions(rna.sequence, rna.adjacency, config)


def stage_d(rna, embeddings: Embeddings, **source) -> Ensemble:
    config = StageDConfig(backend="diffusion", device="cpu", **RAW | source)
    return sample_ensemble(rna.sequence, dataclasses.replace(rna.records(), embeddings=embeddings), config)


def numbers(torsions: Torsions, embeddings: Embeddings, ensemble: Ensemble | None = None) -> dict[str, np.ndarray]:
    """Everything that the networks compute, angles as directions."""
    found = {name: getattr(embeddings, name) for name in ("single_LS", "pair_LLZ", "distogram_GLLB")}
    found["direction"] = np.stack([np.sin(torsions.angle_L7), np.cos(torsions.angle_L7)]) * torsions.mask_L7
    found["concentration"] = torsions.concentration_L7 * torsions.mask_L7
    if ensemble is not None:
        found |= {"xyz": ensemble.models[0].xyz_LA3, "pae": ensemble.models[0].pae_LL, "pde": ensemble.models[0].pde_LL}
        found["plddt"] = ensemble.models[0].plddt_LA
    return found


def apart(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> dict[str, float]:
    """Root mean square difference of each, relative to its size."""
    assert left.keys() == right.keys()
    return {key: np.linalg.norm(left[key] - right[key]) / np.linalg.norm(right[key]) for key in left}


@pytest.fixture
def on_networks(hairpin):
    """Both stages on one source."""

    def predict(**source) -> dict[str, np.ndarray]:
        torsions, embeddings = stage_b(hairpin, **source)
        return numbers(torsions, embeddings, stage_d(hairpin, embeddings, **source))

    return predict


@pytest.fixture
def said(monkeypatch) -> Iterator[list[str]]:
    """What the opener logs, whatever state other tests have left logging in; it has opened nothing yet."""
    opened_networks._opener.cache_clear()
    logger, handler, messages = logging.getLogger(opened_networks.__name__), logging.Handler(), []
    monkeypatch.setattr(handler, "emit", lambda record: messages.append(record.getMessage()))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield messages
    logger.setLevel(level)
    logger.removeHandler(handler)


# What it changes


def test_a_prediction_is_that_of_the_network_with_the_adapter_attached(files, on_networks, monkeypatch):
    without, found = on_networks(**files.source()), on_networks(**files.source("both"))
    for backend in (trunk_backend, learned):
        monkeypatch.setattr(backend, "open_for_prediction", open_attached)
    attached = on_networks(**files.source("both"))
    same, changed = apart(found, attached), apart(found, without)
    assert max(same.values()) < 1e-6, same
    assert min(changed.values()) > 1e-4, changed


def test_without_one_nothing_is_read_or_changed(files, hairpin, on_networks):
    before = stage_b(hairpin, **files.source())[1].digest()
    on_networks(**files.source("both"))
    assert stage_b(hairpin, **files.source())[1].digest() == before
    plain = open_network(Trunk, weights=str(files.base)).module.state_dict()
    kept = open_for_prediction(Trunk, NetworkSource(**files.source()), CPU).network.module.state_dict()
    assert all(torch.equal(kept[key], plain[key]) for key in plain)


def test_another_file_under_the_same_name_is_another_network(files, hairpin, tmp_path, monkeypatch):
    opened = []

    def counting(*arguments, **options):
        opened.append(arguments[0])
        return open_network(*arguments, **options)

    monkeypatch.setattr(opened_networks, "open_network", counting)
    path = tmp_path / "p.safetensors"
    source = {"weights": str(files.base), "partial": str(path)}
    results = []
    for seed in (1, 2):
        write_partial(path, seed=seed, weights=str(files.base))
        for _ in range(2):
            torsions, embeddings = stage_b(hairpin, **source)
            results.append((torsions, embeddings, stage_d(hairpin, embeddings, **source)))
    assert opened == [Trunk, DiffusionModel] * 2
    first, again, second, _ = (numbers(*each) for each in results)
    assert set(apart(first, again).values()) == {0.0}
    assert min(apart(first, second).values()) > 1e-4
    for record in range(3):
        assert results[0][record].provenance.weights != results[2][record].provenance.weights


# Which trunk goes with it


def test_each_stage_has_its_parts_of_the_layout():
    keys = {build: open_network(build, untrained_profile="nano").module.state_dict() for build in HOLDS["both"]}
    assert stages_of(keys[Trunk]) == ("stage_b",)
    assert stages_of(keys[DiffusionModel]) == ("stage_d",)
    small = {"folding", "geometry", "quality"}
    assert {key.split(".")[0] for key in keys[DiffusionModel]} == set(STAGE_D_PARTS) - small
    assert {key.split(".")[0] for each in keys.values() for key in each} == set(LAYOUT) - small
    assert stages_of([*keys[Trunk], *keys[DiffusionModel]]) == ("stage_b", "stage_d")
    assert stages_of(["regressor.1.weight", "layers.0.linear1.lora_A"]) == ()


def test_the_trunk_is_another_one_where_the_file_holds_tensors_of_it(files):
    base = read_header(files.base).sha256
    found = {name: read_partial(path) for name, path in files.partial.items()}
    assert {name: each.stages for name, each in found.items()} == {
        "both": ("stage_b", "stage_d"),
        "trunk": ("stage_b",),
        "diffusion": ("stage_d",),
    }
    assert trunk_identity(base, None) == trunk_identity(base, found["diffusion"]) == base
    assert trunk_identity(base, found["both"]) == merged_sha256(base, found["both"]) != base
    assert trunk_identity(base, found["trunk"]) == merged_sha256(base, found["trunk"])
    assert len({base, *(merged_sha256(base, each) for each in found.values())}) == 4


def test_one_of_stage_d_alone_leaves_the_trunk_the_base(files, hairpin):
    with pytest.raises(
        WeightsError, match=r"diffusion\.safetensors: holds no tensor of stage_b's network, only of stage_d "
    ):
        stage_b(hairpin, **files.source("diffusion"))
    _, embeddings = stage_b(hairpin, **files.source())
    base = stage_d(hairpin, embeddings, **files.source())
    found = stage_d(hairpin, embeddings, **files.source("diffusion"))
    assert np.abs(found.models[0].xyz_LA3 - base.models[0].xyz_LA3).max() > 0.1
    assert base.provenance.weights == embeddings.provenance.weights == read_header(files.base).sha256
    assert found.provenance.weights == merged_sha256(base.provenance.weights, read_partial(files.partial["diffusion"]))
    _, other = stage_b(hairpin, **files.source("trunk"))
    named = (
        rf"made by weights {other.provenance.weights} \(.*partial checkpoint trunk\.safetensors \(step 7\)\).*"
        rf"on weights {found.provenance.weights} .*on embeddings of weights {base.provenance.weights}.*"
        r"without a partial checkpoint: diffusion\.safetensors \(step 7\), given to stage_d, holds nothing of the trunk"
    )
    with pytest.raises(ContractError, match=named):
        stage_d(hairpin, other, **files.source("diffusion"))


def test_one_of_the_trunk_alone_leaves_stage_d_the_base_on_that_trunk(files, hairpin, said):
    _, embeddings = stage_b(hairpin, **files.source("trunk"))
    found = stage_d(hairpin, embeddings, **files.source("trunk"))
    assert said[-1] == (
        f"stage_d: {files.partial['trunk']} is of the trunk alone: stage D runs on its base, on this trunk's embeddings"
    )
    source = NetworkSource(**files.source("trunk"))
    kept = open_for_prediction(DiffusionModel, source, CPU).network.module.state_dict()
    base = open_network(DiffusionModel, weights=str(files.base))
    assert all(torch.equal(kept[key], tensor) for key, tensor in base.module.state_dict().items())
    assert found.provenance.weights == base.header.sha256 != embeddings.provenance.weights
    _, plain = stage_b(hairpin, **files.source())
    before = stage_d(hairpin, plain, **files.source())
    assert np.abs(found.models[0].xyz_LA3 - before.models[0].xyz_LA3).max() > 0.01
    expected = rf"made by weights {plain.provenance.weights} .*on embeddings of weights {embeddings.provenance.weights}"
    with pytest.raises(ContractError, match=expected):
        stage_d(hairpin, plain, **files.source("trunk"))


def test_one_of_both_is_given_to_both_or_to_none(files, hairpin):
    (_, plain), (_, embeddings) = stage_b(hairpin, **files.source()), stage_b(hairpin, **files.source("both"))
    base, merged = plain.provenance.weights, embeddings.provenance.weights
    assert base == read_header(files.base).sha256
    assert merged == merged_sha256(base, read_partial(files.partial["both"]))
    assert stage_d(hairpin, embeddings, **files.source("both")).provenance.weights == merged
    forgotten = rf"made by weights {merged} .*stage D runs on weights {base} .*same one to stage_b and stage_d"
    with pytest.raises(ContractError, match=forgotten):
        stage_d(hairpin, embeddings, **files.source())
    forgotten = (
        rf"made by weights {base} .*stage D runs on weights {merged} \(drawn \+ both\.safetensors \(step 7\)\)\. "
        r".*give the same partial checkpoint to stage_b and stage_d: both\.safetensors \(step 7\)\."
    )
    with pytest.raises(ContractError, match=forgotten):
        stage_d(hairpin, plain, **files.source("both"))


# What is refused


def damaged(files: Files, kind: str, folder: Path) -> Path:
    """A file that must not be taken up on the base, by what is wrong with it."""
    path, content = folder / f"{kind}.safetensors", files.partial["both"].read_bytes()
    if kind.startswith("other"):
        tensors = open_network(Trunk, weights=str(files.base)).module.state_dict()
        tensors |= open_network(DiffusionModel, weights=str(files.base)).module.state_dict()
        tensors["layernorm_s.weight"] = tensors["layernorm_s.weight"] + 1
        other = folder / "base.safetensors"
        save_weights(other, tensors, dataclasses.replace(read_header(files.base), source="another"))
        write_partial(path, HOLDS["trunk" if kind == "other trunk" else "both"], weights=str(other))
    elif kind == "misfit":
        partial = read_partial(files.partial["both"])
        wrong = {key: torch.ones(9) for key in ("torsion_head.linear_out.bias", "diffusion_inputs.coordinates.weight")}
        assert wrong.keys() < partial.tensors.keys()
        save_partial(path, {**partial.tensors, **wrong}, partial.header)
    elif kind == "flipped":
        path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    elif kind == "truncated":
        path.write_bytes(content[:-5])
    elif kind == "weights":
        path.write_bytes(files.base.read_bytes())
    return path


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("other", r"trained on weights [0-9a-f]{12} \(another\), found [0-9a-f]{12}"),
        ("other trunk", r"trained on weights [0-9a-f]{12} \(another\), found [0-9a-f]{12}"),
        ("misfit", r"1 mismatched: .* \(expected .*, found \[9\]\)"),
        ("flipped", "do not match the header's sha256; the file is damaged"),
        ("truncated", "not a readable safetensors file"),
        ("absent", "no such file"),
        ("weights", "not a partial checkpoint of this package"),
    ],
)
def test_a_file_that_does_not_belong_is_refused_by_name_and_nothing_is_half_loaded(
    files, hairpin, tmp_path, kind, named
):
    _, before = stage_b(hairpin, **files.source())
    path = damaged(files, kind, tmp_path)
    for _ in range(2):
        with pytest.raises(WeightsError, match=rf"{path}: .*{named}"):
            stage_b(hairpin, **files.source() | {"partial": str(path)})
        with pytest.raises(WeightsError, match=rf"{path}: .*{named}"):
            stage_d(hairpin, before, **files.source() | {"partial": str(path)})
    assert stage_b(hairpin, **files.source())[1].digest() == before.digest()
    kept = open_for_prediction(DiffusionModel, NetworkSource(**files.source()), CPU).network.module.state_dict()
    plain = open_network(DiffusionModel, weights=str(files.base)).module.state_dict()
    assert all(torch.equal(kept[key], plain[key]) for key in plain)


def test_one_in_place_of_the_weights_is_refused_as_what_it_is(files, hairpin):
    path = files.partial["both"]
    with pytest.raises(WeightsError, match=rf"{path}: a partial checkpoint, .*Give it as partial \(--partial\)"):
        stage_b(hairpin, weights=str(path))


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (
            lambda: StageBConfig(backend="prior-table", partial="p"),
            r"stage_b\.partial: 'p' is given, but stage_b\.backend is prior-table",
        ),
        (lambda: StageDConfig(partial="p", confidence="heuristic"), r"heuristic runs no network.*partial 'p'"),
        (lambda: StageBConfig(backend="trunk", partial="p"), r"stage_b\.backend: trunk needs either stage_b\.weights"),
        (lambda: StageDConfig(backend="diffusion", partial="p"), r"stage_d\.backend: diffusion needs either"),
    ],
)
def test_one_without_a_network_to_take_it_up_is_refused(config, named):
    with pytest.raises(ConfigError, match=named):
        config()


# Torsions of the head


@pytest.fixture
def headless(files, tmp_path) -> str:
    """The base as published weights are, without a torsion head."""
    tensors = open_network(Trunk, weights=str(files.base)).module.state_dict()
    kept = {key: tensor for key, tensor in tensors.items() if not key.startswith("torsion_head.")}
    save_weights(tmp_path / "public.safetensors", kept, read_header(files.base))
    return str(tmp_path / "public.safetensors")


def test_a_head_that_the_partial_checkpoint_brings_counts_as_trained(headless, hairpin, tmp_path):
    path = write_partial(tmp_path / "head.safetensors", (Trunk,), HEAD, weights=headless)
    torsions, _ = stage_b(hairpin, weights=headless, partial=str(path))
    source = NetworkSource(weights=headless, partial=str(path))
    attached = open_attached(Trunk, source, CPU).network.module
    with torch.no_grad():
        angle_BL8 = attached.torsion_head(
            torch.tensor(stage_b(hairpin, weights=headless, torsions="prior-table")[1].single_LS)[None]
        ).angle_BL8()
    mask_L7 = torsions.mask_L7
    np.testing.assert_allclose(torsions.angle_L7[mask_L7], angle_BL8[0, :, :7].numpy()[mask_L7], atol=1e-5)
    assert "UNTRAINED" not in torsions.provenance.method


def test_a_head_that_nobody_trained_does_not_by_another_part_s_training(headless, hairpin, tmp_path):
    others = AdapterConfig(full_modules=("trunk_inputs",), groups=("trunk_transition",))
    path = write_partial(tmp_path / "rest.safetensors", (Trunk,), others, weights=headless)
    with pytest.raises(ConfigError, match=rf"the torsion head of {headless} and {path} was never trained"):
        stage_b(hairpin, weights=headless, partial=str(path))
    _, embeddings = stage_b(hairpin, weights=headless, partial=str(path), torsions="prior-table")
    assert embeddings.provenance.partial == "partial checkpoint rest.safetensors (step 7)"


def test_on_starting_values_only_training_everything_ends_untrained(hairpin, tmp_path):
    part = write_partial(tmp_path / "part.safetensors", untrained_profile="nano")
    torsions, embeddings = stage_b(hairpin, untrained_profile="nano", partial=str(part))
    ensemble = stage_d(hairpin, embeddings, untrained_profile="nano", partial=str(part))
    for record in (torsions, embeddings, ensemble):
        assert record.provenance.untrained
        assert record.provenance.partial == "partial checkpoint part.safetensors (step 7)"
    stated = tmp_path / "start.safetensors"
    start = open_network(Trunk, untrained_profile="nano")
    save_weights(stated, start.module.state_dict(), start.header)
    head = write_partial(tmp_path / "head.safetensors", (Trunk,), HEAD, weights=str(stated))
    with pytest.raises(ConfigError, match="was never trained"):
        stage_b(hairpin, weights=str(stated), partial=str(head))
    whole = write_partial(tmp_path / "whole.safetensors", (Trunk,), everything(Trunk), weights=str(stated))
    assert not stage_b(hairpin, weights=str(stated), partial=str(whole))[0].provenance.untrained


# What is said


def test_outputs_name_file_and_step_once_and_where_it_acted(files, hairpin, tmp_path):
    torsions, embeddings = stage_b(hairpin, **files.source("both"))
    words = "partial checkpoint both.safetensors (step 7)"
    assert embeddings.provenance.method == f"trunk, profile nano, 2 cycles, float32, {words}"
    assert torsions.provenance.method == f"torsion head of {embeddings.provenance.method}"
    ensemble = stage_d(hairpin, embeddings, **files.source("both"))
    assert ensemble.provenance.method == f"diffusion, profile nano, {words}"
    write_ensemble(ensemble, tmp_path / "d.cif", tmp_path / "d.json")
    write_best_pdb(ensemble, tmp_path / "d.pdb")
    for suffix in ("cif", "json", "pdb"):
        assert words in (tmp_path / f"d.{suffix}").read_text(), suffix
    _, of_trunk = stage_b(hairpin, **files.source("trunk"))
    method = stage_d(hairpin, of_trunk, **files.source("trunk")).provenance.method
    assert method == "diffusion, profile nano; partial checkpoint trunk.safetensors (step 7) in stage B"
    _, plain = stage_b(hairpin, **files.source())
    method = stage_d(hairpin, plain, **files.source("diffusion")).provenance.method
    assert method == "diffusion, profile nano, partial checkpoint diffusion.safetensors (step 7)"
    records = dataclasses.replace(hairpin.records(), embeddings=of_trunk)
    quick = StageDConfig(models=1, steps=2, iterations=2, refine_iterations=60)
    method = sample_ensemble(hairpin.sequence, records, quick).provenance.method
    assert method == f"analytic energy; distances: {of_trunk.provenance.method}"
    assert method.count("partial checkpoint trunk.safetensors (step 7)") == 1
    assert not plain.provenance.partial


def test_a_name_that_is_not_ascii_gets_into_every_output(files, hairpin, tmp_path):
    path = tmp_path / "größe.safetensors"
    path.write_bytes(files.partial["diffusion"].read_bytes())
    _, embeddings = stage_b(hairpin, **files.source())
    ensemble = stage_d(hairpin, embeddings, weights=str(files.base), partial=str(path))
    write_ensemble(ensemble, tmp_path / "d.cif", tmp_path / "d.json")
    write_best_pdb(ensemble, tmp_path / "d.pdb")
    for suffix in ("cif", "json", "pdb"):
        assert r"gr\xf6\xdfe.safetensors" in (tmp_path / f"d.{suffix}").read_text().replace("\\\\", "\\"), suffix


def test_the_log_says_once_what_was_merged(files, said):
    for _ in range(2):
        found = open_for_prediction(Trunk, NetworkSource(**files.source("both")), CPU)
    loaded = len(found.network.report.loaded)
    assert said == [f"stage_b: both.safetensors (step 7) merged into drawn: {loaded} tensors"]
    assert loaded == sum(stages_of([key]) == ("stage_b",) for key in read_partial(files.partial["both"]).tensors)
