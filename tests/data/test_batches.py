"""Every chain exactly once an epoch over all ranks, an exact length, and the same order after a resume."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.data.batches import Share, TokenBatches
from rna_predict.errors import ConfigError

lengths = st.lists(st.integers(1, 50), min_size=1, max_size=250)


def sampler(lengths, budget=60, seed=0, rank=0, ranks=1):
    return TokenBatches(lengths, budget, seed, Share(rank=rank, ranks=ranks))


@settings(max_examples=60, deadline=None)
@given(lengths=lengths, budget=st.integers(50, 400), ranks=st.integers(1, 4), epoch=st.integers(0, 3))
def test_an_epoch_holds_every_chain_once_within_the_budget_in_equal_shares(lengths, budget, ranks, epoch):
    lengths = lengths * ranks  # then they can always be shared out, in the end one by one
    shares = [sampler(lengths, budget, 7, rank, ranks) for rank in range(ranks)]
    for share in shares:
        share.set_epoch(epoch)
    batches = [list(share) for share in shares]
    assert [len(share) for share in shares] == [len(own) for own in batches]
    assert len({len(own) for own in batches}) == 1
    flat = [position for own in batches for batch in own for position in batch]
    assert sorted(flat) == list(range(len(lengths)))
    for own in batches:
        assert all(batch and len(batch) * max(lengths[k] for k in batch) <= budget for batch in own)


@settings(max_examples=60, deadline=None)
@given(lengths=lengths, taken=st.integers(0, 300), epoch=st.integers(0, 3), ranks=st.integers(1, 2))
def test_a_resumed_sampler_goes_on_where_the_other_stopped(lengths, taken, epoch, ranks):
    lengths = lengths * 2  # an even number of chains can be shared by two
    straight, stopped, fresh = (sampler(lengths, 60, 3, ranks - 1, ranks) for _ in range(3))
    straight.set_epoch(epoch)
    order = list(straight)
    stopped.set_epoch(epoch)
    taken = min(taken, len(order))
    walk = iter(stopped)
    before = [next(walk) for _ in range(taken)]
    fresh.load_state_dict(json.loads(json.dumps(stopped.state_dict())))
    assert len(fresh) == len(order)
    assert before + list(fresh) == order
    straight.set_epoch(epoch + 1)
    fresh.set_epoch(epoch + 1)
    assert list(fresh) == list(straight)


def test_the_order_hangs_on_seed_and_epoch_alone():
    sizes = list(np.random.default_rng(0).integers(5, 40, 80))
    one, two, other = sampler(sizes), sampler(sizes), sampler(sizes, seed=1)
    first = list(one)
    assert list(one) == first
    assert list(two) == first
    assert list(other) != first
    two.set_epoch(1)
    assert list(two) != first
    two.set_epoch(0)
    assert list(two) == first


def test_planning_the_present_epoch_again_keeps_the_place():
    batches = sampler([10] * 60)
    batches.set_epoch(2)
    walk = iter(batches)
    seen = [next(walk) for _ in range(3)]
    batches.set_epoch(2)
    assert seen + list(batches) == list(batches)


def test_chains_of_similar_length_share_a_batch():
    sizes = np.random.default_rng(0).integers(5, 400, 800)
    padded = sum(len(batch) * max(sizes[k] for k in batch) for batch in sampler(sizes, 800))
    assert padded < 1.25 * sizes.sum()


def test_neighbours_in_the_dataset_are_mixed():
    batches = list(sampler([10] * 400))
    assert np.mean([abs(batch[0] - batch[1]) for batch in batches]) > 60


@pytest.mark.parametrize(
    ("sizes", "share", "named"),
    [
        ([], Share(), "no chains"),
        ([0, 4], Share(), "no chains"),
        ([61], Share(), "61 residues does not fit a budget of 60"),
        ([60] * 5, Share(rank=0, ranks=2), "5 chains cannot be shared out evenly over 2 processes. Leave out 1"),
    ],
)
def test_what_cannot_be_batched_is_refused(sizes, share, named):
    with pytest.raises(ConfigError, match=named):
        TokenBatches(sizes, 60, 0, share)


def test_five_chains_that_fit_together_can_be_shared_by_two():
    own = [list(sampler([10] * 5, 60, 0, rank, 2)) for rank in range(2)]
    assert [len(batches) for batches in own] == [1, 1]


@pytest.mark.parametrize(
    "other",
    [sampler([10] * 21), sampler([10] * 20, budget=70), sampler([10] * 20, seed=1), sampler([10] * 20, ranks=2)],
)
def test_a_state_of_another_plan_is_refused(other):
    with pytest.raises(ConfigError, match="other chains"):
        sampler([10] * 20).load_state_dict(other.state_dict())


def test_a_position_outside_the_epoch_is_refused():
    batches = sampler([10] * 20)
    with pytest.raises(ConfigError, match="position 99"):
        batches.load_state_dict(batches.state_dict() | {"position": 99})


def test_a_rank_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="rank 2 of 2"):
        Share(rank=2, ranks=2)
