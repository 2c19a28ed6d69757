"""The store holds what stages A, B and C make at prediction, makes each once, and trusts no file that does not fit."""

import json
import logging
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rna_predict.contracts import RnaSequence
from rna_predict.data import stage_results
from rna_predict.data.dataset import open_dataset
from rna_predict.data.stage_results import StageResultsStore, StageSettings, default_store
from rna_predict.errors import ConfigError, PredictionError
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.prior_table import load_table
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_c_reconstruction.config import StageCConfig
from rna_predict.stage_c_reconstruction.stage import reconstruct

ALL = ("a_adjacency", "b_torsions", "c_coordinates")
STAGES = ("predict_adjacency", "predict_torsions", "reconstruct")


def table_config(**changes):
    return StageBConfig(backend="prior-table", **changes)


@pytest.fixture
def store(tmp_path, quick_stages):
    return StageResultsStore(tmp_path / "store", quick_stages)


@pytest.fixture
def log(caplog, monkeypatch):
    """The log, also after a command of another test has turned it to its own handler."""
    monkeypatch.setattr(logging.getLogger("rna_predict"), "propagate", True)
    caplog.set_level(logging.WARNING)
    return caplog


@pytest.fixture
def calls(monkeypatch):
    """Names of the stages as they run."""
    ran: list[str] = []

    def counted(name):
        stage = getattr(stage_results, name)

        def run(*words):
            ran.append(name)
            return stage(*words)

        monkeypatch.setattr(stage_results, name, run)

    for name in STAGES:
        counted(name)
    return ran


@pytest.fixture
def filled(store, hairpin, hairpin_results):
    """A store that has the hairpin's records already."""
    folder = store.path(hairpin.id, "native")
    hairpin_results.adjacency.save(folder / "a_adjacency.safetensors")
    hairpin_results.torsions.save(folder / "b_torsions.safetensors")
    hairpin_results.coordinates.save(folder / "c_coordinates.safetensors")
    return store


def digests(results):
    return results.adjacency.digest(), results.torsions.digest(), results.coordinates.digest()


def test_records_are_those_of_a_prediction(hairpin, hairpin_results, quick_stages):
    sequence = RnaSequence(id=hairpin.id, sequence=hairpin.sequence)
    adjacency = predict_adjacency(sequence, StageAConfig(alternatives=0), stage_results.native_pairs(hairpin))
    torsions, _ = predict_torsions(sequence, adjacency, StageBConfig(backend="prior-table"))
    coordinates = reconstruct(sequence, adjacency, torsions, quick_stages.stage_c)
    assert digests(hairpin_results) == (adjacency.digest(), torsions.digest(), coordinates.digest())
    assert hairpin_results.adjacency.provenance == adjacency.provenance
    assert StageSettings().stage_c == StageCConfig()


def test_a_second_get_reads_what_the_first_made(store, hairpin, calls):
    first = store.get(hairpin, "native")
    assert (first.made, calls) == (ALL, list(STAGES))
    second = store.get(hairpin, "native")
    assert (second.made, calls) == ((), list(STAGES))
    assert digests(second) == digests(first)
    again = pickle.loads(pickle.dumps(StageResultsStore(store.folder, store.settings)))  # in a worker process
    assert again.get(hairpin, "native").made == ()


def test_native_pairs_are_the_chains_and_predicted_ones_are_stage_as(store, hairpin, small):
    for chain in (hairpin, open_dataset(small.folder).get("1ehz_A")):
        native = store.get(chain, "native", coordinates=False).adjacency
        assert native.given
        assert native.partner_L.tolist() == chain.partner_L.tolist()
        assert np.array_equal(native.probability_LL, chain.partner_L[:, None] == np.arange(chain.length))
        predicted = store.get(chain, "predicted", coordinates=False).adjacency
        own = predict_adjacency(RnaSequence(id=chain.id, sequence=chain.sequence), StageAConfig(alternatives=0))
        assert predicted.digest() == own.digest() != native.digest()
        assert predicted.provenance.method == own.provenance.method


def test_without_coordinates_stage_c_does_not_run(store, hairpin, calls):
    results = store.get(hairpin, "native", coordinates=False)
    assert (results.coordinates, results.failure, results.made) == (None, "", ALL[:2])
    assert "reconstruct" not in calls
    assert store.get(hairpin, "native").made == ALL[2:]
    assert store.get(hairpin, "native", coordinates=False).coordinates is None


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("damage", ["cut", "changed", "foreign"])
def test_a_damaged_file_is_made_again_and_said(filled, hairpin, hairpin_results, log, name, damage):
    path = filled.path(hairpin.id, "native") / f"{name}.safetensors"
    content = path.read_bytes()
    other = {"cut": content[:-40], "changed": content[:-3] + b"xyz", "foreign": b"not a record"}[damage]
    path.write_bytes(other)
    results = filled.get(hairpin, "native")
    assert results.made == (name,)
    assert digests(results) == digests(hairpin_results)
    assert f"{path}: is made again: " in log.text
    assert path.read_bytes() == content
    assert filled.get(hairpin, "native").made == ()


def test_files_of_another_chain_or_of_other_pairs_are_made_again(filled, hairpin, log):
    letters = "C" + hairpin.sequence[1:]
    assert filled.get(replace(hairpin, sequence=letters), "native").made == ALL
    assert "made for made0 (20 nt) with another sequence" in log.text
    assert filled.get(hairpin, "native").made == ALL
    log.clear()
    partner_L = hairpin.partner_L.copy()
    partner_L[[2, 11]] = -1
    fewer = filled.get(replace(hairpin, partner_L=partner_L), "native")
    assert fewer.made == ALL
    assert fewer.adjacency.pairs == [(0, 13), (1, 12)]
    assert "was made from other pairs than the chain has" in log.text


def test_records_that_do_not_belong_to_each_other_are_made_again(filled, hairpin, hairpin_results, log):
    folder = filled.path(hairpin.id, "native")
    other = filled.get(hairpin, "predicted", coordinates=False)
    assert other.torsions.digest() != hairpin_results.torsions.digest()
    other.torsions.save(folder / "b_torsions.safetensors")
    results = filled.get(hairpin, "native")
    assert results.made == ("b_torsions",)
    assert digests(results) == digests(hairpin_results)
    assert "torsions of made0 is stale" in log.text
    turned = replace(hairpin_results.torsions, pucker_phase_L=-hairpin_results.torsions.pucker_phase_L)
    turned.save(folder / "b_torsions.safetensors")
    assert filled.get(hairpin, "native").made == ("c_coordinates",)
    assert "coordinates of made0 is stale" in log.text


def test_the_key_is_of_the_pairs_and_of_all_settings(tmp_path, store, quick_stages):
    table, digest = load_table()
    copy = tmp_path / "copy.safetensors"
    table.save(copy)
    assert load_table(str(copy))[1] == digest
    replace(table, made_by={"command": "other"}).save(tmp_path / "other.safetensors")
    assert StageResultsStore(tmp_path, quick_stages).keys == store.keys
    same = StageSettings(stage_b=table_config(prior_table=str(copy)), stage_c=quick_stages.stage_c)
    assert StageResultsStore(tmp_path, same).keys == store.keys
    others = [
        StageSettings(),
        replace(quick_stages, stage_a=StageAConfig(mea_gamma=2.0)),
        replace(quick_stages, stage_b=table_config(prior_table=str(tmp_path / "other.safetensors"))),
        replace(quick_stages, stage_c=replace(quick_stages.stage_c, seed=1)),
    ]
    keys = [key for settings in [quick_stages, *others] for key in StageResultsStore(tmp_path, settings).keys.values()]
    assert len(set(keys)) == len(keys) == 10


def test_other_settings_have_files_of_their_own_and_the_key_is_spelled_out(filled, hairpin, quick_stages, calls):
    other = StageResultsStore(filled.folder, replace(quick_stages, stage_a=StageAConfig(mea_gamma=2.0)))
    assert other.get(hairpin, "native", coordinates=False).made == ALL[:2]
    assert filled.get(hairpin, "native").made == ()
    stated = json.loads((other.folder / f"{other.keys['native']}.json").read_text())
    assert (stated["pairs"], stated["stage_a"]["mea_gamma"]) == ("native", 2)
    assert stated["stage_c"]["method"] == "nerf"


def test_a_chain_that_stage_c_cannot_build_goes_without_coordinates(store, hairpin, monkeypatch, log):
    tries = []

    def fail(sequence, *words):
        tries.append(sequence.id)
        raise PredictionError(f"{sequence.id}: no whole chain")

    monkeypatch.setattr(stage_results, "reconstruct", fail)
    first = store.get(hairpin, "native")
    assert (first.coordinates, first.failure) == (None, "made0: no whole chain")
    assert first.adjacency.partner_L.tolist() == hairpin.partner_L.tolist()
    second = store.get(hairpin, "native")
    assert (second.coordinates, second.failure, second.made) == (None, first.failure, ())
    assert tries == ["made0"]
    assert log.text.count("goes without coordinates (made0: no whole chain)") == 1
    StageResultsStore(store.folder, store.settings).get(hairpin, "native")
    assert log.text.count("goes without coordinates") == 2  # another process
    assert tries == ["made0"]
    assert store.get(hairpin, "native", coordinates=False).failure == ""


def test_a_failure_is_not_believed_of_other_inputs_or_where_it_is_damaged(store, hairpin, hairpin_results, log):
    failed = store.path(hairpin.id, "native") / "c_coordinates.failed.json"
    failed.parent.mkdir(parents=True)
    inputs = {"a_adjacency": hairpin_results.adjacency.digest(), "b_torsions": hairpin_results.torsions.digest()}
    for content, named in (
        (json.dumps({"reason": "old", "inputs": inputs | {"b_torsions": "0"}}), "of other base pairs or torsions"),
        (json.dumps({"reason": "old"})[:-3], "is damaged"),
        ("[]", "is damaged"),
    ):
        failed.write_text(content)
        (failed.parent / "c_coordinates.safetensors").unlink(missing_ok=True)
        results = store.get(hairpin, "native")
        assert "c_coordinates" in results.made
        assert digests(results) == digests(hairpin_results)
        assert named in log.text
        assert not failed.exists()
        log.clear()
    failed.write_text(json.dumps({"reason": "old", "inputs": inputs}))
    assert store.get(hairpin, "native").failure == "old"


def test_two_processes_may_make_the_same_chain_at_once(store, hairpin, hairpin_results, monkeypatch, log):
    def meanwhile(*words):
        monkeypatch.setattr(stage_results, "reconstruct", reconstruct)
        other = StageResultsStore(store.folder, store.settings).get(hairpin, "native")
        assert other.made == ALL[2:]
        return reconstruct(*words)

    monkeypatch.setattr(stage_results, "reconstruct", meanwhile)
    assert digests(store.get(hairpin, "native")) == digests(hairpin_results)
    assert store.get(hairpin, "native").made == ()
    found = sorted(path.name for path in store.path(hairpin.id, "native").iterdir())
    assert found == [f"{name}.safetensors" for name in ALL]
    assert log.text == ""


def test_what_cannot_be_made_for_training_is_refused(store, hairpin):
    for settings, named in (
        (StageBConfig(backend="trunk", untrained_profile="nano"), "stage_b.backend: 'trunk'"),
        (table_config(torsions="torsionbert", torsionbert="folder"), "stage_b.torsions: 'torsionbert'"),
    ):
        with pytest.raises(ConfigError, match=named):
            StageSettings(stage_b=settings)
    with pytest.raises(ConfigError, match=r"pairs: 'mine' is unknown\. Use one of: native, predicted"):
        store.get(hairpin, "mine")


def test_the_default_folder_stands_beside_the_dataset(tmp_path, monkeypatch):
    assert default_store(tmp_path / "set") == tmp_path / "set.stages"
    monkeypatch.chdir(tmp_path)
    assert default_store(Path()) == tmp_path.with_name(f"{tmp_path.name}.stages")
