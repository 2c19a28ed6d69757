"""What counts as worse."""

import dataclasses

import pytest

from rna_predict.errors import ConfigError
from rna_predict.relax.config import RelaxConfig
from rna_predict.relax.judge import measure, worsened


def changed(measured, **changes):
    geometry = dataclasses.replace(measured.geometry, **changes)
    return dataclasses.replace(measured, geometry=geometry)


def test_nothing_is_worse_than_itself(native):
    assert worsened(measure(native), measure(native)) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clashes", "clashes"),
        ("inverted", "inverted sugar centres"),
        ("pierced", "pierced rings"),
        ("nonplanar", "bases out of plane"),
    ],
)
def test_one_more_fault_is_worse_and_one_less_is_not(native, name, words):
    before = measure(native)
    count = getattr(before.geometry, name)
    after = changed(before, **{name: count + 1})
    assert worsened(before, after) == f"{words}: {count} before, {count + 1} after"
    assert worsened(after, before) == ""


@pytest.mark.parametrize(("name", "words"), [("breaks", "chain breaks"), ("bonds_over_006", "bonds off by 0.06 A")])
def test_breaks_and_stretched_bonds_are_worse(native, name, words):
    before = measure(native)
    bonds = before.geometry.bonds
    after = changed(before, bonds=dataclasses.replace(bonds, **{name: getattr(bonds, name) + 2}))
    assert words in worsened(before, after)


def test_a_lost_pair_is_named_and_a_new_one_is_welcome(native):
    whole = measure(native)
    first = min(whole.pairs)
    less = dataclasses.replace(whole, pairs=whole.pairs - {first})
    assert worsened(whole, less) == f"1 of {len(whole.pairs)} pairs lost ({first[0] + 1}-{first[1] + 1})"
    assert worsened(less, whole) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"solvent": "water"}, "relax.solvent: 'water' is not one of none, vacuum, obc2, gbn2"),
        ({"stiffness": 0.0}, "relax.stiffness: 0.0 must be above 0"),
        ({"seconds": -1.0}, "relax.seconds"),
        ({"cutoff": float("nan")}, "relax.cutoff"),
    ],
)
def test_settings_out_of_range_are_named(changes, said):
    with pytest.raises(ConfigError) as error:
        RelaxConfig(**changes)
    assert said in str(error.value)
