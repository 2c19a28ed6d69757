"""INF, pair F1 and MCQ."""

import dataclasses
import math

import numpy as np
import pytest

from rna_predict.chemistry.residues import SLOT
from rna_predict.contracts import Structure
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.evaluation.correspondence import common
from rna_predict.evaluation.interactions import (
    Agreement,
    agreement,
    compare_interactions,
    deformation_index,
    pair_agreement,
)
from rna_predict.evaluation.mcq import MCQ_TORSIONS, mcq


def test_inf_is_the_geometric_mean_and_f1_the_harmonic_one():
    found = agreement([(0, 9), (1, 8), (2, 7)], [(0, 9), (1, 8), (3, 6), (4, 11), (5, 10)])
    assert found == Agreement(shared=2, model_only=1, native_only=3)
    assert found.inf == pytest.approx(math.sqrt(2 / 3 * 2 / 5))
    assert found.f1 == pytest.approx(2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5))


def test_inf_is_undefined_where_neither_has_a_pair_and_zero_where_one_has():
    assert agreement([], []).inf is None
    assert agreement([], []).f1 is None
    assert agreement([(0, 9)], []).inf == 0.0
    assert agreement([], [(0, 9)]).inf == 0.0


def test_non_canonical_pairs_must_agree_in_their_class():
    assert agreement([(0, 9, "tHS")], [(0, 9, "tHS")]).inf == 1.0
    assert agreement([(0, 9, "cWW")], [(0, 9, "tHS")]).inf == 0.0


def test_a_native_agrees_with_itself_and_less_the_more_it_is_disturbed(native, disturbed):
    target = native("1ehz_A")
    values = []
    for size in (0.0, 3.0, 8.0):
        model = disturbed(target, size)
        result = compare_interactions(model, target, common(model, target))
        values.append((result.wc.inf, result.nwc.inf, result.stacking.inf, result.all.inf))
    assert values[0] == (1.0, 1.0, 1.0, 1.0)
    assert (np.diff(np.array(values, dtype=float), axis=0) < 0).all()


@pytest.mark.parametrize("hidden", [slice(12, None), SLOT["C"]["C6"]])
def test_a_base_that_the_native_does_not_show_whole_is_left_out_on_both_sides(native, hidden):
    model = native("1ehz_A")
    mask_LA = model.mask_LA.copy()
    mask_LA[71, hidden] = False  # C72, paired with G1; without C6 alone the pair is still seen
    target = dataclasses.replace(model, mask_LA=mask_LA)
    result = compare_interactions(model, target, common(model, target))
    assert (result.left_out, result.wc.inf, result.stacking.inf) == (1, 1.0, 1.0)
    torn = disturbed_pair(model)
    assert compare_interactions(torn, target, common(torn, target)).wc.inf == 1.0  # G1-C72 is nobody's fault


def disturbed_pair(structure: Structure) -> Structure:
    """C72 moved away from G1."""
    xyz_LA3 = structure.xyz_LA3.copy()
    xyz_LA3[71] += 30.0 * structure.mask_LA[71][:, None]
    return dataclasses.replace(structure, xyz_LA3=xyz_LA3)


def test_a_pair_that_the_model_lacks_is_missed(native):
    target = native("1ehz_A")
    torn = disturbed_pair(target)
    found = compare_interactions(torn, target, common(torn, target)).wc
    assert (found.native_only, found.model_only) == (1, 0)


def test_a_gap_in_the_native_does_not_shift_its_pairs(native):
    model = native("1ehz_A")
    keep = np.r_[0:16, 20:76]
    target = Structure(
        id="gap",
        sequence="".join(np.array(list(model.sequence))[keep]),
        xyz_LA3=model.xyz_LA3[keep],
        mask_LA=model.mask_LA[keep],
        number_L=model.number_L[keep],
    )
    assert compare_interactions(model, target, common(model, target)).wc.inf == 1.0
    partner_L = np.full(model.length, -1)
    for i, j in annotate_pairs(model).canonical:
        partner_L[i], partner_L[j] = j, i
    assert pair_agreement(partner_L, target).f1 == 1.0
    assert pair_agreement(partner_L, target, common(model, target)).f1 == 1.0


def test_pair_f1_of_a_matching_counts_wrong_and_missed_pairs(native):
    target = native("1ehz_A")
    pairs = annotate_pairs(target).canonical
    partner_L = np.full(target.length, -1)
    for i, j in pairs[1:]:
        partner_L[i], partner_L[j] = j, i
    found = pair_agreement(partner_L, target)
    assert (found.shared, found.model_only, found.native_only) == (len(pairs) - 1, 0, 1)


def test_deformation_index_is_undefined_without_fidelity():
    assert deformation_index(8.0, 0.5) == 16.0
    assert deformation_index(8.0, 0.0) is None
    assert deformation_index(8.0, None) is None


def test_mcq_of_chi_equals_the_one_from_biotites_dihedrals(native, disturbed):
    import biotite.structure as struc

    target = native("1ehz_A")
    model = disturbed(target, 4.0)

    def chi(structure: Structure) -> np.ndarray:
        values = []
        for k, letter in enumerate(structure.sequence):
            names = ("O4'", "C1'", "N9", "C4") if letter in "AG" else ("O4'", "C1'", "N1", "C2")
            values.append(struc.dihedral(*(structure.xyz_LA3[k, SLOT[letter][name]] for name in names)))
        return np.array(values)

    difference = np.abs(chi(model) - chi(target))
    difference = np.minimum(difference, 2 * np.pi - difference)
    expected = np.degrees(np.arctan2(np.sin(difference).sum(), np.cos(difference).sum()))
    result = mcq(model, target, common(model, target))
    assert expected > 3.0
    assert result.by_torsion["chi"] == pytest.approx(expected, abs=1e-3)  # biotite measures in float32


def test_mcq_is_zero_for_the_native_itself_and_leaves_the_chain_ends_out(native, moved):
    target = native("1ehz_A")
    result = mcq(moved(target, 2), target, common(target, target))
    assert result.value == pytest.approx(0.0, abs=1e-6)
    assert set(result.by_torsion) == set(MCQ_TORSIONS)
    assert result.left_out == 3  # alpha of the first residue, epsilon and zeta of the last
    assert result.compared == 8 * 76 - 3


def test_a_torsion_that_only_the_model_lacks_counts_as_opposite(native):
    target = native("1ehz_A")
    mask_LA = target.mask_LA.copy()
    mask_LA[:, SLOT["A"]["O4'"]] = False
    model = dataclasses.replace(target, mask_LA=mask_LA)
    assert mcq(model, target, common(model, target)).by_torsion["chi"] == pytest.approx(180.0)
    other = mcq(target, model, common(target, model))
    assert other.by_torsion["chi"] is None
    assert other.value == pytest.approx(0.0, abs=1e-6)
