"""The quality network is trained on models of known RNAs, resumed, and taken up by stage D like any other."""

import json
import os
import shutil
import signal
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rna_predict.chemistry.residues import C1
from rna_predict.cli.dataset_models import Work, own_entries, with_relatives
from rna_predict.config import resolve_experiment
from rna_predict.contracts import Adjacency, RnaSequence
from rna_predict.data.chains import model_of
from rna_predict.data.dataset import open_dataset
from rna_predict.data.decoys import decoys
from rna_predict.data.judged_models import MANIFEST, TRUTH, measured, open_models
from rna_predict.errors import ConfigError, ContractError, InputError
from rna_predict.formats.models import read_ensemble
from rna_predict.nn.partial import read_partial
from rna_predict.pipeline import PipelineConfig
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.templates.library import open_library
from rna_predict.training.curves import read_curve
from rna_predict.training.quality import QualityStream, build_quality, measure_quality, quality_held_out
from rna_predict.training.run import train
from tests.training.conftest import QUICK_MODELS

SETTINGS = (
    *("network.untrained_profile=nano", "data.crop=16", "data.budget=32", "data.min_length=8", "optimiser.warmup=2"),
    *("trainer.steps=6", "trainer.save_every=2", "trainer.log_every=1", "validation.every=3"),
)


@pytest.fixture(scope="module")
def quality(root, models):
    """`quality("trainer.steps=2", …)` is the config of such a training with other values."""

    @cache
    def make(*overrides: str):
        return resolve_experiment("quality", root / "config", [f"data.dataset={models}", *SETTINGS, *overrides])

    return make


@pytest.fixture(scope="module")
def finished(quality, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    return folder, train(quality(), folder)


# Models and their truth.


def test_every_chain_has_its_models_pairs_and_truth(models, dataset):
    found, chains = open_models(models), open_dataset(dataset)
    assert set(found.ids) == {"17ra_A", "1l2x_A", "1f1t_A", "2kgp_A"}, "1am0_A has one pair, 1ehz_A is too long"
    assert {id: chains.splits[id] for id in found.ids} == found.splits
    for position, row in enumerate(found.rows):
        assert (row.length, row.cluster) == (chains.get(row.id).length, f"c{row.id[:4]}")
        for model in range(row.models):
            example = found.example(position, model)
            assert example.ids == (row.id,)
            assert 0.2 < float(example.lddt_BL.nanmean()) <= 1
            assert float(example.pae_BLL[0].diagonal().nan_to_num().max()) < 3, "C1' of a residue in its own frame"
            assert torch.equal(example.pde_BLL.nan_to_num(), example.pde_BLL.transpose(1, 2).nan_to_num())


def test_truth_is_measured_on_the_models_that_lie_beside_it(models, dataset):
    found, chain = open_models(models), open_dataset(dataset).get("1l2x_A")
    ensemble = read_ensemble(models / "1l2x_A" / "d_models.cif", models / "1l2x_A" / "d_confidence.json")
    for model in range(2):
        true = measured(chain, ensemble.models[model].xyz_LA3)
        example = found.example(found.ids.index("1l2x_A"), model)
        np.testing.assert_allclose(example.lddt_BL[0], true["lddt"], atol=0.01)
        np.testing.assert_allclose(example.pae_BLL[0], true["pae"], atol=0.05)


def test_the_native_itself_is_right_everywhere_and_half_of_it_moved_is_not(dataset):
    chain = open_dataset(dataset).get("1l2x_A")
    native_LA3 = model_of(chain, chain.xyz_LA3).xyz_LA3
    true = measured(chain, native_LA3)
    assert np.nanmin(true["lddt"]) == 1
    assert float(true["tm"]) == pytest.approx(1)
    assert max(np.nanmax(true["pae"]), np.nanmax(true["pde"])) < 1e-4
    moved_LA3, half = native_LA3.copy(), chain.length // 2
    moved_LA3[half:] += 7 * chain.mask_LA[half:, :, None] / np.sqrt(3)
    off = measured(chain, moved_LA3)
    assert np.nanmax(off["pae"][half:, half:]) < 1e-4
    assert np.allclose(off["pae"][2:half, half:], 7, atol=1e-3)
    assert np.nanmean(off["lddt"]) < 0.9
    assert float(off["tm"]) < 0.8


def test_decoys_are_worse_than_the_model_that_they_were_made_of(models):
    """One of them may be better by chance, where the model was bad."""
    found, lost, further = open_models(models), [], []
    for position, row in enumerate(found.rows):
        assert row.decoys == 3
        whole, *worse = (found.example(position, model) for model in (0, *range(row.models, row.models + 3)))
        for one in worse:
            lost.append(float(whole.lddt_BL.nanmean() - one.lddt_BL.nanmean()))
            further.append(float(one.pae_BLL.nanmean() - whole.pae_BLL.nanmean()))
            assert torch.equal(one.features.single_BLF[..., :13], whole.features.single_BLF[..., :13])
    assert np.mean(lost) > 0.05
    assert np.mean(further) > 1


def test_a_decoy_has_one_fault_and_the_next_another(dataset):
    chain = open_dataset(dataset).get("1l2x_A")
    made = decoys(chain.xyz_LA3, chain.mask_LA, "x", 3)
    assert np.array_equal(made, decoys(chain.xyz_LA3, chain.mask_LA, "x", 3))
    assert not np.array_equal(made, decoys(chain.xyz_LA3, chain.mask_LA, "y", 3))
    gap_LL = np.linalg.norm(chain.xyz_LA3[:, None, C1] - chain.xyz_LA3[:, C1], axis=-1)
    off = [np.abs(np.linalg.norm(one[:, None, C1] - one[:, C1], axis=-1) - gap_LL) for one in made]
    for turned_or_moved in off[:2]:  # two rigid parts
        parts = [(turned_or_moved[:k, :k].max(), turned_or_moved[k:, k:].max()) for k in range(1, chain.length)]
        assert min(max(pair) for pair in parts) < 1e-3
        assert turned_or_moved.max() > 0.5
    assert np.median(off[2][np.triu_indices(chain.length, 1)]) > 0.2
    within = made[:, :, None] - made[:, :, :, None]
    own = chain.xyz_LA3[:, None] - chain.xyz_LA3[:, :, None]
    lengths = [np.linalg.norm(each, axis=-1) for each in (within, own[None])]
    both = chain.mask_LA[:, None] & chain.mask_LA[:, :, None]
    assert np.abs(lengths[0] - lengths[1])[:, both].max() < 1e-3, "residues stay as they are"


def test_no_template_is_of_the_chains_own_cluster(models):
    """17ra_A, 1l2x_A and others are in the carried library; their models were made without them."""
    for id in open_models(models).ids:
        adjacency = Adjacency.load(models / id / "a_adjacency.safetensors")
        assert id not in adjacency.provenance.method


def test_a_chain_with_relatives_in_the_library_is_predicted_again_with_these_and_without_its_own_entry(tmp_path):
    rows = [row for row in open_library().rows if row.cluster and not row.loop]
    sources = {row.cluster: {other.source for other in rows if other.cluster == row.cluster} for row in rows}
    known = next(row for row in rows if len(sources[row.cluster]) > 1)
    alone = next(row for row in rows if sources[row.cluster] == {row.source})
    entries = {row.id: SimpleNamespace(origin=SimpleNamespace(entry=row.source)) for row in (known, alone)}
    base = PipelineConfig()
    work = [
        Work(
            dataset=tmp_path, out=tmp_path, id=r.id, name=r.id, split="train", cluster=r.cluster, config=base, decoys=1
        )
        for r in (known, alone)
    ]
    own = own_entries(SimpleNamespace(get=entries.get), work, "")
    assert set(own) == {known.id}
    assert set(own[known.id]) == {row.id for row in open_library().rows if row.source == known.source}
    again = with_relatives(work[0], base, own[known.id])
    assert again.name == f"{known.id}.relatives"
    left_out = set(again.config.templates.exclude)
    relatives = {row.id for row in rows if row.cluster == known.cluster and row.source != known.source}
    assert known.id in left_out
    assert not left_out & (relatives | {f"cluster:{known.cluster}"})
    assert again.config.templates.max_identity == 1


def test_what_is_predicted_is_kept_and_measured_anew_and_what_is_not_is_made(models, dataset, run, tmp_path):
    copy = shutil.copytree(models, tmp_path / "models")
    kept = (copy / "17ra_A" / "d_models.cif").stat().st_mtime_ns
    (copy / "17ra_A" / TRUTH).unlink()
    (copy / "1l2x_A" / "d_confidence.json").unlink()
    weights = str(copy / "missing.safetensors")
    words = [word for setting in QUICK_MODELS for word in ("--config", setting)]
    result = run(
        *("dataset", "models", dataset, "--out", copy, "--weights", weights, "--weights", weights),
        *("--max-length", 40, *words),
    )
    figures = json.loads(result.out.splitlines()[-1])
    assert [one["id"] for one in figures["failed"]] == ["1l2x_A"], "the weights are missing"
    assert "missing.safetensors" in figures["failed"][0]["reason"]
    assert figures["chains"] == {"train": 1, "validation": 2}
    assert (copy / "17ra_A" / "d_models.cif").stat().st_mtime_ns == kept
    assert (copy / "17ra_A" / TRUTH).read_bytes() == (models / "17ra_A" / TRUTH).read_bytes()


def test_a_folder_without_models_and_a_damaged_list_are_refused(tmp_path):
    with pytest.raises(InputError, match="dataset models"):
        open_models(tmp_path)
    (tmp_path / MANIFEST).write_text('{"schema": "rna_predict.judged_models", "version": 1}')
    with pytest.raises(ContractError, match="damaged list"):
        open_models(tmp_path)


# A run.


def test_it_leaves_curves_and_weights_of_stage_d(finished):
    folder, outcome = finished
    assert outcome.status == "finished"
    columns, rows = read_curve(folder / "train.csv")
    assert {"quality", "pae", "pde", "tm"} <= set(columns)
    assert all(0 < row["quality"] < 1 and 0 < row["pae"] < 4 for row in rows)
    validation = read_curve(folder / "validation.csv")[1]
    assert [row["step"] for row in validation] == [3, 6]
    assert all(abs(row["plddt_bias"]) <= row["plddt_error"] < 1 for row in validation)
    partial = read_partial(outcome.partial)
    assert (partial.stages, partial.header.architecture.name) == (("stage_d",), "nano")
    assert {key.split(".")[0] for key in partial.tensors} == {"quality"}


def test_stopped_at_some_step_it_goes_on_bit_for_bit(finished, quality, tmp_path, monkeypatch):
    made, real = [], QualityStream.put_together

    def counting(self, parts):
        made.append(parts)
        if len(made) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, parts)

    with monkeypatch.context() as patched:
        patched.setattr(QualityStream, "put_together", counting)
        assert train(quality(), tmp_path / "run").status == "stopped"
    assert train(quality(), tmp_path / "run").status == "finished"
    for name in ("train.csv", "validation.csv", "partial.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (finished[0] / name).read_bytes(), name


def test_stage_d_takes_the_partial_checkpoint_up(finished):
    from rna_predict.pipeline import predict

    folder, _ = finished
    sequence = RnaSequence(id="hairpin", sequence="GGCACGAAAGUGCC")
    found = []
    for partial in ("", str(folder / "partial.safetensors")):
        config = PipelineConfig()
        config.stage_a.family, config.templates.enabled, config.stage_c.starts = "off", False, 2
        config.stage_d = StageDConfig(models=1, steps=3, untrained_profile="nano", partial=partial)
        found.append(predict(sequence, config).ensemble)
    start, trained = found
    assert np.ptp(start.models[0].plddt_LA[:, C1]) < 0.1, "starting values know nothing"
    assert abs(trained.models[0].plddt_LA[:, C1] - start.models[0].plddt_LA[:, C1]).max() > 0.1
    assert "partial checkpoint" in trained.provenance.method
    assert trained.provenance.weights != start.provenance.weights


def test_it_learns_what_models_are_worth(quality, models, tmp_path):
    """Sixty steps on two RNAs: what it says of those that train gets better than one number for all."""
    config = quality("trainer.steps=60", "validation.every=0", "trainer.keep=last", "optimiser.learning_rate=5e-3")
    outcome = train(config, tmp_path / "run")
    state = read_partial(outcome.partial).tensors
    pipeline = build_quality(config).eval()
    found, said, true = open_models(models), [], []
    before = [measure_quality(pipeline, one, config).loss for one in quality_held_out(found, config)]
    with torch.no_grad():
        for key, parameter in pipeline.model.named_parameters():
            parameter.copy_(state[key])
        for position in found.positions("train"):
            example = found.example(int(position))
            said += pipeline.model(example.features).lddt_BL.sigmoid()[example.known_BL].tolist()
            true += example.lddt_BL[example.known_BL].tolist()
    after = [measure_quality(pipeline, one, config).loss for one in quality_held_out(found, config)]
    assert np.corrcoef(said, true)[0, 1] > 0.3
    assert np.mean(after) < np.mean(before)


def test_without_chains_that_validate_it_says_what_to_do(quality, models):
    found = open_models(models)
    excluded = ",".join(found.ids[k] for k in found.positions("validation"))
    with pytest.raises(ConfigError, match=r"validation\.every=0"):
        quality_held_out(found, quality(f"data.exclude=[{excluded}]"))
