"""Many chains ahead of training: all are tried, what is done stays done, and processes share the work."""

import logging
from functools import partial

import pytest

from rna_predict.data import stage_results
from rna_predict.data.dataset import open_dataset
from rna_predict.data.fill_store import Filling, fill_store
from rna_predict.data.stage_results import StageResultsStore
from rna_predict.errors import ConfigError, PredictionError
from rna_predict.stage_a_adjacency.config import StageAConfig

IDS = ("1am0_A", "17ra_A", "1f1t_A", "1ehz_A")
LONGEST_FIRST = ["1ehz_A", "1f1t_A", "17ra_A", "1am0_A"]
NATIVE = Filling(pairs=("native",))


@pytest.fixture
def chains(small):
    return open_dataset(small.folder)


@pytest.fixture
def store(tmp_path, quick_stages):
    return StageResultsStore(tmp_path / "store", quick_stages)


def failing(monkeypatch, id, error):
    """Stage C raises `error` for one chain."""
    stage = stage_results.reconstruct

    def run(sequence, *words):
        if sequence.id == id:
            raise error
        return stage(sequence, *words)

    monkeypatch.setattr(stage_results, "reconstruct", run)


def told(filled):
    return [(one.id, one.pairs, one.status) for one in filled]


def test_every_chain_is_made_once_and_then_found(chains, store):
    seen = []
    filling = Filling(pairs=("native", "predicted"))
    filled = fill_store(chains, IDS, store, filling, seen.append)
    assert told(filled) == [(id, pairs, "made") for id in LONGEST_FIRST for pairs in filling.pairs]
    assert seen == filled
    assert {one.status for one in fill_store(chains, IDS, store, filling)} == {"found"}
    assert store.get(chains.get("1am0_A"), "predicted").made == ()


def test_two_processes_make_what_one_makes(chains, store, tmp_path):
    marks = tmp_path / "marks"
    filling = Filling(pairs=("native",), processes=2, begin=partial(marks.mkdir, exist_ok=True))
    filled = fill_store(chains, IDS, store, filling)
    assert sorted(told(filled)) == sorted((id, "native", "made") for id in IDS)
    assert marks.is_dir(), "called in the new processes"
    alone = StageResultsStore(tmp_path / "alone", store.settings)
    fill_store(chains, IDS, alone, NATIVE)
    files = {path.relative_to(store.folder): path.read_bytes() for path in store.folder.rglob("*.*")}
    assert len(files) == 3 * len(IDS) + 1
    assert files == {path.relative_to(alone.folder): path.read_bytes() for path in alone.folder.rglob("*.*")}


def test_one_chains_failure_is_not_the_others(chains, tmp_path, quick_stages, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("rna_predict"), "propagate", True)
    short = StageResultsStore(tmp_path / "short", stage_results.StageSettings(stage_a=StageAConfig(max_length=50)))
    filled = fill_store(chains, IDS, short, Filling(pairs=("native",), coordinates=False))
    assert [one.status for one in filled] == ["failed", "made", "made", "made"]
    assert "1ehz_A: 76 nt is longer than stage_a.max_length 50" in filled[0].failure
    store = StageResultsStore(tmp_path / "store", quick_stages)
    failing(monkeypatch, "1f1t_A", ValueError("a fault\nof ours"))
    filled = fill_store(chains, IDS, store, NATIVE)
    assert [one.status for one in filled] == ["made", "failed", "made", "made"]
    assert filled[1].failure == "ValueError: a fault of ours"
    assert "Traceback" in caplog.text


def test_a_chain_without_coordinates_is_made_and_says_why(chains, store, monkeypatch):
    failing(monkeypatch, "17ra_A", PredictionError("no whole chain"))
    for status in ("made", "found"):
        filled = fill_store(chains, IDS, store, NATIVE)
        assert {one.status for one in filled} == {status}
        assert [one.failure for one in filled] == ["", "", "no whole chain", ""]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError("no space left on device")])
def test_a_stopped_run_goes_on_with_what_is_missing(chains, store, monkeypatch, stop):
    seen = []
    with monkeypatch.context() as patch:
        failing(patch, "17ra_A", stop)
        with pytest.raises(type(stop)):
            fill_store(chains, IDS, store, NATIVE, seen.append)
    assert [one.id for one in seen] == LONGEST_FIRST[:2]
    assert [one.status for one in fill_store(chains, IDS, store, NATIVE)] == ["found", "found", "made", "made"]


def test_unknown_pairs_and_no_processes_are_refused_before_anything_is_made(chains, store):
    with pytest.raises(ConfigError, match="'mine' is unknown"):
        fill_store(chains, IDS, store, Filling(pairs=("native", "mine")))
    with pytest.raises(ConfigError, match="processes: 0"):
        fill_store(chains, IDS, store, Filling(pairs=("native",), processes=0))
    assert not store.folder.exists()
