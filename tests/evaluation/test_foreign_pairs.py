"""Residues that pair with another chain of the entry."""

import dataclasses

import numpy as np
import pytest

from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.evaluation.foreign_pairs import paired_elsewhere


def test_both_strands_of_a_duplex_are_paired_with_each_other(native):
    first, second = native("165d_A"), native("165d_B")
    assert paired_elsewhere(first, [second]).sum() == 4
    assert paired_elsewhere(second, [first]).sum() == 6
    assert not paired_elsewhere(first, []).any()


def test_a_rigid_motion_of_all_chains_changes_nothing_and_of_one_everything(native, moved):
    first, second = native("165d_A"), native("165d_B")
    together = paired_elsewhere(moved(first, 3), [moved(second, 3)])
    assert np.array_equal(together, paired_elsewhere(first, [second]))
    assert not paired_elsewhere(first, [moved(second, 3)]).any()


def test_a_copy_in_the_same_place_is_no_partner(native, disturbed):
    trna = native("1ehz_A")
    assert not paired_elsewhere(trna, [trna, disturbed(trna, 0.3)]).any()


def test_a_missing_base_pairs_with_nothing(native):
    first, second = native("165d_A"), native("165d_B")
    mask_LA = second.mask_LA.copy()
    mask_LA[:, 12:] = False
    bare = dataclasses.replace(second, mask_LA=mask_LA, xyz_LA3=np.where(mask_LA[..., None], second.xyz_LA3, 0.0))
    assert not paired_elsewhere(first, [bare]).any()
    assert not paired_elsewhere(bare, [first]).any()


@pytest.mark.parametrize("name", ["1ehz_A", "3dhs_A"])
def test_halves_of_an_rna_find_most_pairs_between_them(native, name):
    whole = native(name)
    half = whole.length // 2
    parts = [
        dataclasses.replace(
            whole,
            sequence=whole.sequence[part],
            xyz_LA3=whole.xyz_LA3[part],
            mask_LA=whole.mask_LA[part],
            number_L=whole.number_L[part],
        )
        for part in (slice(0, half), slice(half, None))
    ]
    found = paired_elsewhere(parts[0], [parts[1]])
    between = {i for i, j in annotate_pairs(whole).canonical if i < half <= j}
    assert len(between) > 5
    assert between <= set(np.flatnonzero(found))
