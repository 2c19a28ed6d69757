"""Residues are matched by number, by shift, or stretch by stretch, and never against their letters."""

import dataclasses

import numpy as np
import pytest

from rna_predict.contracts import Structure
from rna_predict.errors import InputError
from rna_predict.evaluation.correspondence import common, shared_atoms


def subset(structure: Structure, keep: np.ndarray, numbers: np.ndarray | None = None) -> Structure:
    return Structure(
        id=f"{structure.id}_part",
        sequence="".join(np.array(list(structure.sequence))[keep]),
        xyz_LA3=structure.xyz_LA3[keep],
        mask_LA=structure.mask_LA[keep],
        number_L=structure.number_L[keep] if numbers is None else numbers,
    )


def test_a_native_with_gaps_is_matched_by_number(native):
    model = native("1ehz_A")
    keep = np.r_[0:16, 20:70]
    match = common(model, subset(model, keep))
    assert match.notice is None
    assert match.missing == 0
    np.testing.assert_array_equal(match.model_L, keep)


def test_a_shift_of_all_numbers_is_found_and_announced(native):
    model = native("1ehz_A")
    keep = np.r_[3:16, 20:70]
    match = common(model, subset(model, keep, model.number_L[keep] + 900))
    np.testing.assert_array_equal(match.model_L, keep)
    assert "matched by sequence" in match.notice


def test_numbers_without_the_gaps_fall_back_to_the_stretches_of_the_chain(native):
    model = native("1ehz_A")
    keep = np.r_[0:16, 20:76]
    match = common(model, subset(model, keep, np.arange(501, 501 + len(keep))))
    np.testing.assert_array_equal(match.model_L, keep)


def test_a_model_that_lacks_residues_is_matched_and_the_lack_is_counted(native):
    whole = native("1ehz_A")
    model = subset(whole, np.arange(10, 60))
    match = common(model, whole)
    assert (len(match.native_L), match.missing, match.notice) == (50, 26, None)
    atoms = shared_atoms(model, whole, match)
    assert atoms.native_mask_LA[:10].any()
    assert not atoms.mask_LA[:10].any()
    np.testing.assert_array_equal(atoms.model_LA3[10:60], whole.xyz_LA3[10:60])


def test_another_rna_of_the_same_length_is_refused(native):
    model = native("1ehz_A")
    other = dataclasses.replace(model, sequence=model.sequence, id="other")
    letters = list(model.sequence)
    letters[4:6] = letters[5:3:-1]
    assert "".join(letters) != model.sequence
    swapped = dataclasses.replace(other, sequence="".join(letters), mask_LA=model.mask_LA & (np.arange(23) < 12))
    with pytest.raises(InputError, match="contradicts"):
        common(model, swapped)


def bare_chain(name: str, sequence: str, numbers: np.ndarray) -> Structure:
    size = len(sequence)
    mask_LA = np.zeros((size, 23), dtype=bool)
    return Structure(id=name, sequence=sequence, xyz_LA3=np.zeros((size, 23, 3)), mask_LA=mask_LA, number_L=numbers)


def test_the_width_of_a_gap_decides_between_repeats():
    model = bare_chain("model", "GGACUGGACU", np.arange(1, 11))
    match = common(model, bare_chain("native", "GGCU", np.array([101, 102, 109, 110])))
    np.testing.assert_array_equal(match.model_L, [0, 1, 8, 9])


def test_a_native_that_fits_at_two_places_is_refused():
    model = bare_chain("model", "GGACUGGACU", np.arange(1, 11))
    with pytest.raises(InputError, match="several places"):
        common(model, bare_chain("native", "GGACU", np.arange(100, 105)))
