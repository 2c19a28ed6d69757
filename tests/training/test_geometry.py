"""Stage B's geometry network is trained, resumed and taken up like any other; traces of C1' teach it distances."""

import csv
import gzip
import logging
import os
import shutil
import signal
from functools import cache

import numpy as np
import pytest
import torch

from rna_predict.chemistry.residues import C1, SLOT, P
from rna_predict.config import resolve_experiment, resolve_stage_config
from rna_predict.contracts import RnaSequence
from rna_predict.data.build import BuildSettings, build_dataset
from rna_predict.data.dataset import open_dataset
from rna_predict.data.entries import Limits
from rna_predict.data.geometry_examples import collate_geometry, geometry_example
from rna_predict.data.sources import find_sources, read_index
from rna_predict.data.traces import Surroundings, TraceSettings, read_known_chains, read_traces, write_traces
from rna_predict.errors import ConfigError, WeightsError
from rna_predict.nn.partial import read_partial
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.stage_b_torsion.features import PAIR_CHANNELS
from rna_predict.stage_b_torsion.geometry_network import GEOMETRY_ATOMS, distance_centres
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.training.curves import read_curve
from rna_predict.training.geometry import (
    GeometryStream,
    build_geometry,
    distance_lddt,
    geometry_held_out,
    measure_geometry,
)
from rna_predict.training.pipeline import Draws, weighted_sum
from rna_predict.training.run import train

ALL_ATOM = ("17ra_A", "1am0_A", "1ehz_A", "1l2x_A", "165d_A", "165d_B", "1f1t_A", "2kgp_A")
"""Hairpins, a tRNA, a pseudoknot, and both strands of a duplex; the last two are held out."""
HELD_OUT = ALL_ATOM[-2:]
STRAND, TRACE = "165d_A", "c1_1RNK_A"
DRAWS = Draws(seed=0, cycles=1, judged=False)
"""Nothing is drawn for this network but its dropout."""
SETTINGS = (
    *("network.untrained_profile=nano", "data.crop=24", "data.budget=48", "data.min_length=8", "optimiser.warmup=2"),
    *(
        "trainer.steps=6",
        "trainer.save_every=2",
        "trainer.log_every=1",
        "validation.every=3",
        "validation.max_length=40",
    ),
    *("trainer.precision=32-true", "optimiser.accumulate=2"),
)


@pytest.fixture(scope="module")
def chains(shared_dir, chains_dir, tmp_path_factory):
    """A dataset of both kinds of chains, as `make train` builds it."""
    folder = tmp_path_factory.mktemp("geometry")
    index = folder / "all_atom.csv"
    lines = [
        f"{name},{name[:4]},{'ACGU' * 3},c{name[:4]},{'validation' if name in HELD_OUT else 'train'}"
        for name in ALL_ATOM
    ]
    index.write_text("\n".join(["id,pdb_id,sequence,cluster80,split", *lines]))
    with gzip.open(shared_dir / "data" / "rna3d_c1" / "c1_coords.csv.gz", "rt") as file:
        rows = [row for row in csv.reader(file) if row[0] in ("id", "1RNK_A")]
    (folder / "coords.csv").write_text("\n".join(",".join(row) for row in rows))
    around = Surroundings(held_out={}, chains=read_known_chains(index), entry_of={}, date_of={})
    write_traces(
        read_traces(folder / "coords.csv"), around, folder / "structures" / "traces", TraceSettings(prefix="c1_")
    )
    for name in ALL_ATOM:
        shutil.copy(chains_dir / f"{name}.pdb.gz", folder / "structures")
    known = read_index(folder / "structures" / "traces" / "index.csv", "cluster", "split")
    settings = BuildSettings(limits=Limits(min_atoms=0.02))
    build_dataset(find_sources(folder / "structures"), folder / "chains", settings, known)
    return open_dataset(folder / "chains")


@pytest.fixture(scope="module")
def geometry(root, chains):
    """`geometry("trainer.steps=2", …)` is the config of such a training with other values."""

    @cache
    def make(*overrides: str):
        return resolve_experiment("geometry", root / "config", [f"data.dataset={chains.folder}", *SETTINGS, *overrides])

    return make


@pytest.fixture(scope="module")
def finished(geometry, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    return folder, train(geometry(), folder)


@pytest.fixture(scope="module")
def adjacency():
    """Stage A's result of a chain, as quick as it can be made."""
    config = StageAConfig(backend="viennarna", family="off", pseudoknots="off")
    return lambda chain: predict_adjacency(RnaSequence(id=chain.id, sequence=chain.sequence), config)


@pytest.fixture(scope="module")
def example(chains, adjacency):
    """`example("1ehz_A", positions)`."""
    return lambda name, index_L=None: geometry_example(chains.get(name), adjacency(chains.get(name)), index_L)


@pytest.fixture
def pipeline(geometry):
    """Nano's network as training leaves it: nothing is zero any more."""
    built = build_geometry(geometry()).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return built


def losses_of(pipeline, geometry, made) -> dict[str, torch.Tensor]:
    return pipeline.losses(made, geometry().losses, DRAWS)


# A run.


def test_it_leaves_curves_and_weights_of_stage_b(finished):
    folder, outcome = finished
    assert outcome.status == "finished"
    columns, rows = read_curve(folder / "train.csv")
    assert {"distances", "torsion_direction", "torsion_concentration", "pucker_amplitude"} <= set(columns)
    assert len(rows) == 6
    assert all(0 < row["distances"] < 6 for row in rows)
    validation = read_curve(folder / "validation.csv")[1]
    assert [row["step"] for row in validation] == [3, 6]
    assert all(0 <= row["distance_lddt"] <= 1 and 0 < row["mcq"] < 180 for row in validation)
    partial = read_partial(outcome.partial)
    assert (partial.stages, partial.header.architecture.name) == (("stage_b",), "nano")
    assert {key.split(".")[0] for key in partial.tensors} == {"geometry"}


def test_stage_b_takes_the_partial_checkpoint_up(finished, root, chains, adjacency):
    folder, _ = finished
    chain = chains.get("17ra_A")
    rna = (RnaSequence(id=chain.id, sequence=chain.sequence), adjacency(chain))
    base = ["backend=geometry", "untrained_profile=nano", "torsions=head"]
    taken = f"partial={folder / 'partial.safetensors'}"
    start, trained = (
        predict_torsions(*rna, resolve_stage_config("stage_b", root / "config", each))
        for each in (base, [*base, taken])
    )
    for before, after in zip(start, trained, strict=True):
        assert after.provenance.weights != before.provenance.weights
        assert "partial" in after.provenance.method
    assert np.ptp(start[1].distogram_GLLB) < 1e-5, "starting values know nothing"
    assert np.ptp(trained[1].distogram_GLLB) > 0.1
    assert np.abs(trained[0].angle_L7 - start[0].angle_L7).max() > 1e-3
    small = resolve_stage_config("stage_b", root / "config", [base[0], "untrained_profile=small", taken])
    with pytest.raises(WeightsError, match="trained on weights"):
        predict_torsions(*rna, small)


def test_what_is_handed_on_measures_what_the_last_validation_did(finished, geometry, chains):
    folder, outcome = finished
    config, pipeline = geometry(), build_geometry(geometry()).eval()
    state = read_partial(outcome.partial).tensors
    with torch.no_grad():
        for key, parameter in pipeline.model.named_parameters():
            parameter.copy_(state[key])
    held_out = geometry_held_out(chains, config)
    assert [one.id for one in held_out] == sorted(HELD_OUT, key=lambda id: chains.get(id).length)
    measured = [measure_geometry(pipeline, one, config) for one in held_out]
    stated = read_curve(folder / "validation.csv")[1][-1]
    for name in ("loss", "distances", "distance_lddt", "mcq"):
        assert np.mean([getattr(row, name) for row in measured]) == pytest.approx(stated[name], abs=1e-5), name


class DeathError(RuntimeError):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("how", ["signal", "death"])
def test_stopped_or_dead_at_some_step_it_goes_on_bit_for_bit(finished, geometry, tmp_path, monkeypatch, how):
    made, real = [], GeometryStream.put_together

    def counting(self, parts):
        made.append(parts)
        if len(made) == 7:  # of the fourth step; the state that was written last is of the second
            if how == "death":
                raise DeathError
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, parts)

    with monkeypatch.context() as patched:
        patched.setattr(GeometryStream, "put_together", counting)
        if how == "death":
            with pytest.raises(DeathError):
                train(geometry(), tmp_path / "run")
        else:
            stopped = train(geometry(), tmp_path / "run")
            assert (stopped.status, stopped.steps in (3, 4)) == ("stopped", True)
    assert not (tmp_path / "run" / "partial.safetensors").exists()
    outcome = train(geometry(), tmp_path / "run")
    assert (outcome.status, outcome.steps) == ("finished", 6)
    for name in ("train.csv", "validation.csv", "partial.safetensors", "last.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (finished[0] / name).read_bytes(), name


def test_a_measure_of_another_model_is_no_monitor(geometry):
    with pytest.raises(ConfigError, match=r"validation\.monitor: tm_c3 is no measure of the model geometry"):
        geometry("validation.monitor=tm_c3")


# Which chains, and what of them.


def test_strands_without_pairs_of_their_own_are_left_out(geometry, chains, caplog, monkeypatch):
    """Both strands of 165d pair with each other; what a trace pairs with nobody knows, and it stays."""
    assert chains.get(STRAND).elsewhere_L.any()
    assert not (chains.get(STRAND).partner_L >= 0).any()
    monkeypatch.setattr(logging.getLogger("rna_predict"), "propagate", True)
    with caplog.at_level(logging.INFO):
        stream = GeometryStream(chains, geometry())
    assert {chains.ids[position] for position in stream.position_N} == {
        *("17ra_A", "1am0_A", "1ehz_A", "1l2x_A"),
        TRACE,
    }
    assert "5 of 7 chains have base pairs within themselves and train" in caplog.text
    with pytest.raises(ConfigError, match="none of 1 chains has a base pair within itself"):
        GeometryStream(chains, geometry(f"data.only=[{STRAND}]"))


def test_a_trace_gets_the_pairs_that_stage_a_predicts(geometry, chains):
    """Its own, of which it tells none, would be no pair at all."""
    stream = GeometryStream(chains, geometry("data.native_pairs=1.0", "data.crop=40", "data.spatial_share=0.0"))
    made = stream.make(chains.ids.index(TRACE), 0)
    paired_LL = made.features.pair_BLLF[0, ..., PAIR_CHANNELS.index("paired")]
    assert paired_LL.sum() >= 10
    assert torch.equal(paired_LL, paired_LL.T)
    told = stream.make(chains.ids.index("1ehz_A"), 0).features.pair_BLLF[0, ..., PAIR_CHANNELS.index("paired")]
    assert told.sum() > 0


def test_examples_hold_the_atoms_by_name_and_what_the_whole_chain_says(chains, example):
    chain, index_L = chains.get("1ehz_A"), np.array([0, 1, 2, 30, 69, 70, 71])
    whole, cut = example("1ehz_A"), example("1ehz_A", index_L)
    for row, position in enumerate(index_L):
        letter = chain.sequence[position]
        slots = (P, C1, SLOT[letter]["N1" if letter in "AG" else "N3"])
        for kind, slot in enumerate(slots):
            assert bool(cut.point_mask_BGL[0, kind, row]) == bool(chain.mask_LA[position, slot])
            np.testing.assert_array_equal(cut.point_BGL3[0, kind, row].numpy(), chain.xyz_LA3[position, slot])
    assert torch.equal(cut.features.pair_BLLF, whole.features.pair_BLLF[:, index_L][:, :, index_L])
    assert cut.features.pair_BLLF[0, 0, 6, PAIR_CHANNELS.index("paired")] == 1, "1-72 of the acceptor stem"
    bases = cut.point_BGL3[0, GEOMETRY_ATOMS.index("N1/N3")]
    assert (bases[0] - bases[6]).norm() == pytest.approx(2.9, abs=0.2), "N1-N3 of a Watson-Crick pair"


def test_residues_that_pair_with_another_chain_count_for_nothing(chains, example):
    strand, own_L = example(STRAND), ~chains.get(STRAND).elsewhere_L
    assert own_L.tolist() == [False, False, True, True, True, True, False, False, True]
    for kind in range(3):
        np.testing.assert_array_equal(strand.point_mask_BGL[0, kind].numpy(), own_L)
    assert not strand.torsions.mask_BL8[0, ~own_L].any()
    assert strand.torsions.mask_BL8[0, own_L].any()
    alone = example(STRAND, np.array([0, 1]))
    assert (alone.has_points_B.tolist(), alone.has_torsions_B.tolist()) == ([False], [False])


# What it learns.


def test_traces_train_on_distances_alone(pipeline, geometry, example):
    trace = example(TRACE)
    assert trace.point_mask_BGL.sum(-1).tolist() == [[0, 34, 0]]
    assert trace.has_torsions_B.tolist() == [False]
    losses = losses_of(pipeline, geometry, trace)
    assert set(losses) == {"distances"}
    weighted_sum(losses, pipeline.terms(geometry().losses)).backward()
    network = pipeline.model.geometry
    slope_GD = network.distances.weight.grad.unflatten(0, (3, 48)).abs().sum((1, 2))
    assert slope_GD[GEOMETRY_ATOMS.index("C1'")] > 0
    assert slope_GD[[0, 2]].tolist() == [0, 0], "no P and no base was seen"
    assert all(parameter.grad is None for parameter in network.torsions.parameters())
    assert network.pair_in.weight.grad.abs().sum() > 0


def test_a_trace_in_a_batch_changes_no_torsion_loss(pipeline, geometry, example):
    """And the distances of the batch are the mean of both."""
    hairpin, trace = example("17ra_A"), example(TRACE)
    alone = losses_of(pipeline, geometry, hairpin)
    both = losses_of(pipeline, geometry, collate_geometry([hairpin, trace]))
    assert set(both) == set(alone) > {"distances"}
    for name in set(both) - {"distances"}:
        assert both[name].item() == pytest.approx(alone[name].item(), rel=1e-4), name
    distances = (alone["distances"] + losses_of(pipeline, geometry, trace)["distances"]) / 2
    assert both["distances"].item() == pytest.approx(distances.item(), rel=1e-4)


def test_a_loss_without_weight_is_left_out(pipeline, geometry, example):
    for off, expected in (("distances", False), ("torsions", True)):
        settings = geometry(f"losses.{off}=0").losses
        found = pipeline.losses(example("17ra_A"), settings, DRAWS)
        assert ("distances" in found) is expected
        assert ("torsion_direction" in found) is not expected
        assert set(found) == set(pipeline.terms(settings))


def test_a_hairpin_can_be_learned(geometry, example):
    """Twenty-five steps on one chain: most of its distances come within 2 Å of the native's."""
    pipeline, made = build_geometry(geometry()), example("17ra_A")
    optimiser = torch.optim.Adam(pipeline.parameters(), lr=2e-2)
    torch.manual_seed(0)
    before = losses_of(pipeline, geometry, made)
    assert distance_lddt(pipeline.model(made.features).distance_BGLLD[0].detach(), made) < 0.2
    for _ in range(25):
        optimiser.zero_grad()
        weighted_sum(losses_of(pipeline, geometry, made), pipeline.terms(geometry().losses)).backward()
        optimiser.step()
    pipeline.eval()
    after = losses_of(pipeline, geometry, made)
    assert after["distances"] < 0.3 * before["distances"]
    assert after["torsion_direction"] < 0.5 * before["torsion_direction"]
    assert distance_lddt(pipeline.model(made.features).distance_BGLLD[0].detach(), made) > 0.6


@pytest.mark.parametrize(("off", "expected"), [(0.0, 1.0), (0.7, 0.75), (1.5, 0.5), (3.0, 0.25), (6.0, 0.0)])
def test_the_lddt_of_distances_counts_what_is_met(example, off, expected):
    """Logits that mix two neighbouring bins so that their mean is the native's distance and `off` more."""
    made = example("17ra_A")
    kind = GEOMETRY_ATOMS.index("C1'")
    point_L3 = made.point_BGL3[0, kind]
    wanted_LL = torch.cdist(point_L3, point_L3) + off
    centres = distance_centres()
    low_LL = (wanted_LL - centres[0]).floor().clamp(0, 45).long()
    share_LL = (wanted_LL - centres[low_LL]).clamp(0, 1)
    chance_LLB = torch.zeros(*wanted_LL.shape, 48)
    chance_LLB.scatter_(-1, low_LL[..., None], (1 - share_LL)[..., None])
    chance_LLB.scatter_add_(-1, low_LL[..., None] + 1, share_LL[..., None])
    logits = (chance_LLB + 1e-12).log()[None].repeat(3, 1, 1, 1)
    assert distance_lddt(logits, made) == pytest.approx(expected, abs=0.01)
