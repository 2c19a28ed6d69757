"""Each rule of each record, broken alone, is refused by name."""

import math

import numpy as np
import pytest

from rna_predict.errors import ContractError


def put(value, *places):
    """A copy with `(index, number)` put in."""
    value = value.copy()
    for index, number in places:
        value[index] = number
    return value


def pair(base, i, j):
    return put(base, (i, j), (j, i))


CASES = [
    ("adjacency", "probability_LL", lambda v: put(v, ((0, 6), -0.1), ((6, 0), -0.1)), r"outside \[0, 1\]"),
    ("adjacency", "probability_LL", lambda v: put(v, ((0, 6), 1.01), ((6, 0), 1.01)), r"outside \[0, 1\]"),
    ("adjacency", "probability_LL", lambda v: put(v, ((0, 6), 0.2)), "not symmetric"),
    ("adjacency", "probability_LL", lambda v: put(v, ((4, 4), 0.1)), "zero diagonal"),
    (
        "adjacency",
        "probability_LL",
        lambda v: put(v, ((0, 6), 0.6), ((6, 0), 0.6), ((0, 8), 0.6), ((8, 0), 0.6)),
        "sum to more than 1",
    ),
    ("adjacency", "partner_L", lambda v: put(v, (0, 12)), "outside the sequence"),
    ("adjacency", "partner_L", lambda v: put(v, (4, -2)), "outside the sequence"),
    ("adjacency", "partner_L", lambda v: put(v, (0, 9)), "residues 1 and 10 are not mutual"),
    ("adjacency", "partner_L", lambda v: put(v, (4, 4)), "fewer than 3"),
    ("adjacency", "partner_L", lambda v: pair(put(v, (3, -1), (8, -1)), 4, 7), "pair 5-8 has fewer than 3"),
    ("torsions", "angle_L7", lambda v: put(v, ((3, 1), 3.2)), r"angles must lie in \(-π, π\]"),
    ("torsions", "angle_L7", lambda v: put(v, ((3, 1), -3.2)), r"angles must lie in \(-π, π\]"),
    ("torsions", "angle_L7", lambda v: put(v, ((0, 0), 1.0)), "masked out is not zero"),
    ("torsions", "pucker_phase_L", lambda v: put(v, (3, 162.0)), "pucker_phase_L of hp: angles"),
    ("torsions", "concentration_L7", lambda v: put(v, ((3, 1), -0.1)), "concentration is negative"),
    ("torsions", "pucker_concentration_L", lambda v: put(v, (3, -0.1)), "concentration is negative"),
    ("torsions", "pucker_amplitude_L", lambda v: put(v, (3, 0.0)), "pucker_amplitude_L of hp: must be positive"),
    ("torsions", "mask_L7", lambda v: put(v, ((0, 0), True)), "alpha of residue 1 is undefined"),
    ("torsions", "mask_L7", lambda v: put(v, ((11, 4), True)), "epsilon of residue 12 is undefined"),
    ("torsions", "mask_L7", lambda v: put(v, ((11, 5), True)), "zeta of residue 12 is undefined"),
    ("embeddings", "distogram_atoms", lambda v: ["O2"], "'O2' is unknown. Known: C1', C4/C2, P, N1/N3"),
    ("embeddings", "distogram_bins", lambda v: "fine", "'fine' is unknown. Known: af3, wide"),
    ("embeddings", "distogram_bins", lambda v: "wide", r"expected shape \(1, 12, 12, 48\), found \(1, 12, 12, 64\)"),
    ("embeddings", "channels", lambda v: ["one"], "1 names for 2 channels"),
    ("coordinates", "built_L", lambda v: put(v, (3, 8)), "unknown build code 8"),
    ("coordinates", "xyz_LA3", np.zeros_like, "atoms of residue 1 coincide"),
    ("coordinates", "xyz_LA3", lambda v: put(v, ((5, 3), v[5, 4])), "atoms of residue 6 coincide"),
    ("coordinates", "xyz_LA3", lambda v: put(v, ((3, 22), 9.0)), "slot that its residue does not have is not zero"),
]


@pytest.mark.parametrize(("kind", "name", "change", "message"), CASES)
def test_a_broken_rule_is_refused(make, kind, name, change, message):
    with pytest.raises(ContractError, match=message):
        make(kind, **{name: change(getattr(make(kind), name))})


def test_non_canonical_letters_pair_only_where_the_user_gave_them(make):
    partner = pair(put(make("adjacency").partner_L, (0, -1), (11, -1)), 4, 11)
    with pytest.raises(ContractError, match="pair 5-12 is U-C, not canonical"):
        make("adjacency", partner_L=partner)
    assert (4, 11) in make("adjacency", partner_L=partner, given=True).pairs


def test_a_pair_with_three_residues_between_is_the_closest_and_pairs_are_sorted(make):
    partner = pair(np.full(12, -1, dtype=np.int32), 3, 7)
    assert make("adjacency", partner_L=partner, given=True).pairs == [(3, 7)]
    assert make("adjacency").pairs == [(0, 11), (1, 10), (2, 9), (3, 8)]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_in_every_array(make, bad):
    arrays = {
        "adjacency": ["probability_LL"],
        "torsions": ["angle_L7", "concentration_L7", "pucker_phase_L", "pucker_amplitude_L", "pucker_concentration_L"],
        "embeddings": ["inputs_LI", "single_LS", "pair_LLZ", "distogram_GLLB"],
        "coordinates": ["xyz_LA3"],
    }
    for kind, names in arrays.items():
        for name in names:
            value = put(getattr(make(kind), name), (-1, bad))
            with pytest.raises(ContractError, match=f"{name} of hp: holds NaN or infinity"):
                make(kind, **{name: value})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("adjacency", "probability_LL"),
        ("adjacency", "partner_L"),
        ("torsions", "angle_L7"),
        ("torsions", "mask_L7"),
        ("torsions", "pucker_phase_L"),
        ("embeddings", "inputs_LI"),
        ("embeddings", "single_LS"),
        ("embeddings", "pair_LLZ"),
        ("embeddings", "distogram_GLLB"),
        ("coordinates", "xyz_LA3"),
        ("coordinates", "built_L"),
    ],
)
def test_another_dtype_and_one_residue_less_are_refused(make, kind, name):
    value = getattr(make(kind), name)
    for wrong, message in (
        (value.astype(np.float64), "expected a .* array, found float64"),
        (value[:-1], f"{name} of hp: expected shape"),
    ):
        with pytest.raises(ContractError, match=message):
            make(kind, **{name: wrong})


def test_a_list_is_no_array(make):
    words = "expected a float32 array, found list|Type-check error"  # the latter where the tests check annotations
    with pytest.raises((ContractError, TypeError), match=words):
        make("torsions", angle_L7=make("torsions").angle_L7.tolist())
