"""Batches: the same from any place on, every chain in turn, shared out over processes, nothing that is held out."""

import dataclasses
from itertools import islice

import pytest
import torch

from rna_predict.data.batches import Share
from rna_predict.data.dataset import open_dataset
from rna_predict.data.examples import make_example
from rna_predict.errors import ConfigError, InputError
from rna_predict.training.stream import ChainStream, can_be_learned, seed_of, training_positions

TRAINING = {"17ra_A", "1am0_A", "1ehz_A", "1l2x_A"}


@pytest.fixture
def stream(dataset, resolved):
    def make(*overrides, share=None, start=None):
        made = ChainStream(open_dataset(dataset), resolved("trainer.steps=9", *overrides), share)
        if start is not None:
            made.start = start
        return made

    return make


def same(left, right):
    assert left.example.ids == right.example.ids
    assert torch.equal(left.example.features.ref_pos_BA3, right.example.features.ref_pos_BA3)
    assert torch.equal(left.example.atoms.xyz_BA3, right.example.atoms.xyz_BA3)
    assert torch.equal(left.example.stages.partner_BLL, right.example.stages.partner_BLL)
    assert (left.number, left.after) == (right.number, right.after)


def flat(steps):
    return [batch for step in steps for batch in step]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_from_any_place_on_the_batches_are_those_that_would_have_come(stream, accumulate):
    option = f"optimiser.accumulate={accumulate}"
    whole = list(stream(option))
    assert len(whole) == 9
    assert [len(step) for step in whole] == [accumulate] * 9
    for stop in (1, 4, 8):
        rest = list(stream(option, start=whole[stop - 1][-1].after))
        assert len(rest) == 9 - stop
        for one, other in zip(flat(rest), flat(whole[stop:]), strict=True):
            same(one, other)


def test_an_epoch_has_every_chain_once_and_the_next_another_order_and_other_crops(stream):
    batches = flat(stream())
    epochs = {}
    for batch in batches:
        epochs.setdefault(batch.after.epoch - (batch.after.position == 0), []).append(batch)
    assert len(epochs) > 2
    for epoch in (0, 1):
        assert sorted(id for batch in epochs[epoch] for id in batch.example.ids) == sorted(TRAINING)
    crops = [
        batch.example.features.residue_index_BL[batch.example.ids.index("1ehz_A")]
        for epoch in (0, 1)
        for batch in epochs[epoch]
        if "1ehz_A" in batch.example.ids
    ]
    assert not torch.equal(*(crop[crop > 0] for crop in crops))


def test_ranks_share_the_batches_out(stream):
    whole = flat(stream("data.budget=24"))
    parts = [flat(islice(stream("data.budget=24", share=Share(rank=rank, ranks=2)), 4)) for rank in range(2)]
    for k in range(4):
        for rank in range(2):
            assert parts[rank][k].example.ids == whole[2 * k + rank].example.ids


def test_workers_give_the_batches_in_the_same_order(stream):
    loader = torch.utils.data.DataLoader(stream(), batch_size=None, num_workers=2)
    for one, other in zip(flat(loader), flat(stream()), strict=True):
        same(one, other)


def test_a_crop_is_no_longer_than_asked_and_a_batch_no_larger_than_its_budget(stream):
    for batch in flat(stream("data.crop=20", "data.budget=44")):
        mask_BL = batch.example.features.token_mask_BL
        assert mask_BL.sum(1).max() <= 20
        assert mask_BL.numel() <= 44


@pytest.mark.parametrize(("share", "native"), [(0.0, False), (1.0, True)])
def test_pairs_are_the_native_s_or_stage_a_s_as_the_share_says(stream, dataset, share, native):
    """The hairpin's native lacks a pair that stage A predicts."""
    options = (f"data.native_pairs={share}", "data.only=[17ra_A]", "data.crop=32", "data.budget=32")
    batch = flat(stream(*options))[0]
    assert int(batch.example.paired_BLL[0].sum()) > 8
    assert torch.equal(batch.example.stages.partner_BLL[0] > 0, batch.example.paired_BLL[0]) == native


def test_held_out_chains_never_train(stream):
    assert {id for batch in flat(stream()) for id in batch.example.ids} <= TRAINING
    with pytest.raises(ConfigError, match=r"data\.only: 1f1t_A is held out \(validation\)"):
        stream("data.only=[1f1t_A,17ra_A]")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.exclude=[nobody]", r"'nobody' is not in"),
        ("data.max_length=10", "no chain of .* is left to train on"),
        ("data.exclude=[17ra_A,1am0_A,1ehz_A,1l2x_A]", "no chain of .* is left"),
    ],
)
def test_nothing_to_train_on_is_named(stream, override, message):
    with pytest.raises(ConfigError, match=message):
        stream(override)


def test_a_chain_that_shows_nothing_is_refused_by_name(stream, dataset):
    made = stream("data.only=[17ra_A]")
    chain = made.chains.get("17ra_A")
    mask_LA = chain.mask_LA.copy()
    mask_LA[:, 11] = False  # C1'
    assert can_be_learned(make_example(chain, seed=0))
    blind = dataclasses.replace(chain, mask_LA=mask_LA)
    assert not can_be_learned(make_example(blind, seed=0))
    made.chains = type("Blind", (), {"__getitem__": lambda self, k: blind, "clusters": made.chains.clusters})()
    made.chains.length_N = open_dataset(dataset).length_N
    with pytest.raises(InputError, match="17ra_A: no crop of it shows a residue with all its sugar"):
        next(iter(made))


def test_seeds_hang_on_every_part_of_the_place():
    places = [(0, "noise", 1), (0, "noise", 2), (1, "noise", 1), (0, "crop", 1), (0, "noise1", ""), (0, "noise", "1")]
    assert len({seed_of(*place) for place in places}) == len(places)
    assert all(0 <= seed_of(*place) < 2**63 for place in places)
    assert seed_of(0, "noise", 1) == 1413489107338554685


def test_each_training_chain_is_left_out_by_one_fold_and_validation_by_all(dataset, resolved):
    chains = open_dataset(dataset)

    def trained(*overrides):
        return {chains.ids[position] for position in training_positions(chains, resolved(*overrides).data)}

    parts = [trained("data.folds=2", f"data.fold={fold}") for fold in range(2)]
    assert parts[0] | parts[1] == TRAINING
    assert all(parts)
    assert not parts[0] & parts[1]
    assert trained("data.folds=0") == TRAINING


@pytest.mark.parametrize("wrong", [("data.folds=1",), ("data.folds=2", "data.fold=2"), ("data.fold=1",)])
def test_a_fold_that_is_not_there_is_refused(resolved, wrong):
    with pytest.raises(ConfigError, match=r"data\.folds"):
        resolved(*wrong)
