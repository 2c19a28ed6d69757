"""A crop has the size that was asked for, and everything in it is what it was in the chain."""

import numpy as np
import pytest

from rna_predict.chemistry.residues import C1
from rna_predict.data.chains import ARRAYS
from rna_predict.data.crops import contiguous_crop, spatial_crop, take
from rna_predict.errors import ConfigError


def test_a_stretch_begins_anywhere_and_has_the_size(made_chain):
    rng = np.random.default_rng(0)
    starts = set()
    for _ in range(300):
        index_L = contiguous_crop(30, 24, rng)
        assert (np.diff(index_L) == 1).all()
        assert len(index_L) == 24
        starts.add(int(index_L[0]))
    assert starts == set(range(7))
    assert contiguous_crop(30, 30, rng).tolist() == contiguous_crop(30, 99, rng).tolist() == list(range(30))


def test_a_crop_in_space_holds_the_residues_nearest_to_a_drawn_one(made_chain):
    chain, rng = made_chain(40), np.random.default_rng(1)
    centres = set()
    for _ in range(200):
        index_L = spatial_crop(chain, 12, rng)
        assert len(index_L) == 12
        assert (np.diff(index_L) > 0).all()
        there = np.flatnonzero(chain.mask_LA[:, C1])
        assert set(index_L) <= set(there)
        xyz_L3 = chain.xyz_LA3[:, C1]
        outside = np.setdiff1d(there, index_L)
        apart_LM = np.linalg.norm(xyz_L3[index_L, None] - xyz_L3[None], axis=-1)
        fits = [apart_LM[k, index_L].max() <= apart_LM[k, outside].min() for k in range(12)]
        assert any(fits)  # some residue has all others of the crop nearer than all outside
        centres.update(index_L[fits])
    assert len(centres) > 20


def test_residues_without_c1_fill_a_crop_that_needs_them(made_chain):
    chain = made_chain(40)
    index_L = spatial_crop(chain, 38, np.random.default_rng(0))
    missing = np.flatnonzero(~chain.mask_LA[:, C1])
    assert len(index_L) == 38
    assert len(np.intersect1d(index_L, missing)) == 38 - (40 - len(missing))


def test_the_same_seed_draws_the_same_crop(made_chain):
    chain = made_chain(40)
    for crop in (lambda rng: spatial_crop(chain, 9, rng), lambda rng: contiguous_crop(40, 9, rng)):
        assert crop(np.random.default_rng(3)).tolist() == crop(np.random.default_rng(3)).tolist()


def test_numbers_and_arrays_are_those_of_the_chain(made_chain):
    chain = made_chain(30, pairs=((2, 20), (3, 19), (10, 27)))
    index_L = np.array([0, 2, 3, 4, 10, 18, 19, 29])
    crop = take(chain, index_L)
    assert crop.sequence == "".join(chain.sequence[k] for k in index_L)
    same = [name for name in ARRAYS if name not in ("partner_L", "pair_P2", "linked_L", "elsewhere_L")]
    for name in same:
        assert np.array_equal(getattr(crop, name), getattr(chain, name)[index_L]), name
    assert crop.id == chain.id


def test_pairs_follow_and_lost_partners_are_marked(made_chain):
    chain = made_chain(30, pairs=((2, 20), (3, 19), (10, 27)))
    crop = take(chain, np.array([0, 2, 3, 4, 10, 18, 19, 29]))
    assert crop.pair_P2.tolist() == [[2, 6]]
    assert crop.pair_class == ("c1",)
    assert crop.partner_L.tolist() == [-1, -1, 6, -1, -1, -1, 2, -1]
    lost = {1, 4}  # positions 2 and 10 of the chain, whose partners 20 and 27 are left out
    own = {k for k, index in enumerate([0, 2, 3, 4, 10, 18, 19, 29]) if chain.elsewhere_L[index]}
    assert set(np.flatnonzero(crop.elsewhere_L)) == lost | own


def test_only_residues_that_were_linked_are(made_chain):
    chain = made_chain(30)
    index_L = np.array([0, 1, 2, 3, 10, 11, 12, 13, 14, 29])
    linked_L = take(chain, index_L).linked_L
    assert linked_L.tolist() == [bool(chain.linked_L[k]) and k not in (3, 14) for k in index_L[:-1]]


def test_the_whole_chain_is_its_own_crop(made_chain):
    chain = made_chain(30, pairs=((2, 20), (3, 19)))
    assert take(chain, np.arange(30)).digest() == chain.digest()
    assert take(chain, np.arange(29)).digest() != chain.digest()


@pytest.mark.parametrize("index", [[], [3, 3], [4, 2], [-1, 2], [0, 30]])
def test_positions_that_are_none_are_refused(made_chain, index):
    with pytest.raises(ConfigError, match="rising positions"):
        take(made_chain(30), np.array(index))


def test_a_crop_of_nothing_is_refused(made_chain):
    with pytest.raises(ConfigError, match="at least 1"):
        contiguous_crop(30, 0, np.random.default_rng(0))
