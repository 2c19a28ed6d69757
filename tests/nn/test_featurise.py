import numpy as np
import pytest
import torch

from rna_predict.chemistry.conformers import reference_conformers
from rna_predict.chemistry.letters import LETTER_ID, letter_ids
from rna_predict.chemistry.residues import ATOM_COUNTS, ATOMS, MAX_ATOMS, residue_codes
from rna_predict.errors import ContractError
from rna_predict.nn.featurise import MAX_ROWS, AlignmentRows, collate, featurise

RNA = "GCAUGGAC"


def names(features, b=0):
    """Name of each atom, read off the four characters."""
    codes = features.ref_name_BA4[b][features.atom_mask_BA[b]]
    return ["".join(chr(code + 32) for code in row).rstrip() for row in codes.tolist()]


def rows_of(sequence, depth, seed=0):
    rng = np.random.default_rng(seed)
    residue_ML = rng.choice([21, 22, 23, 24, 25, 31], (depth, len(sequence)))
    residue_ML[0] = letter_ids(sequence)
    deletion_ML = rng.integers(0, 4, residue_ML.shape)
    deletion_ML[0] = 0
    return AlignmentRows(residue_ML=residue_ML, deletion_ML=deletion_ML)


def test_letters_are_numbered_as_protenix_numbers_them():
    features = featurise("ACGU", seed=0)
    assert features.restype_BL.tolist() == [[21, 23, 22, 24]]
    assert features.residue_index_BL.tolist() == [[1, 2, 3, 4]]
    assert features.token_mask_BL.all()


def test_only_residue_1_has_op3_and_nobody_has_hydrogens():
    features = featurise(RNA, seed=0)
    found = names(features)
    assert found == ["OP3", *(atom for letter in RNA for atom in ATOMS[letter])]
    assert features.atom_slot_BA[0, 0] == -1
    assert (features.atom_slot_BA[0, 1:] >= 0).all()
    assert set(features.ref_element_BA[0].tolist()) == {6, 7, 8, 15}
    symbol = {6: "C", 7: "N", 8: "O", 15: "P"}
    assert [symbol[number] for number in features.ref_element_BA[0].tolist()] == [name[0] for name in found]


def test_atoms_know_their_residue_their_slot_and_their_place_in_the_whole_component():
    features = featurise(RNA, seed=0)
    expected_token = [0] + [i for i, letter in enumerate(RNA) for _ in ATOMS[letter]]
    expected_slot = [-1] + [slot for letter in RNA for slot in range(len(ATOMS[letter]))]
    assert features.atom_token_BA[0].tolist() == expected_token
    assert features.atom_slot_BA[0].tolist() == expected_slot
    assert features.atom_rank_BA[0].tolist() == [slot + 1 for slot in expected_slot]  # OP3 counts where it is absent


def test_the_distogram_atom_is_c4_of_purines_and_c2_of_pyrimidines():
    features = featurise(RNA, seed=0)
    found = names(features)
    picked = features.distogram_atom_BL[0]
    assert [found[k] for k in picked] == ["C4" if letter in "AG" else "C2" for letter in RNA]
    assert features.atom_token_BA[0, picked].tolist() == list(range(len(RNA)))


def motion(features, i, letter):
    """Turn and shift that lead from the centred conformer to what residue i got: turn @ (x + shift)."""
    moved = features.ref_pos_BA3[0][features.atom_token_BA[0] == i].double()
    conformer = torch.tensor(reference_conformers()[letter].position_A3)[0 if i == 0 else 1 :]
    conformer = conformer - conformer.mean(0)
    left, _, right = torch.linalg.svd(conformer.T @ (moved - moved.mean(0)))
    turn = (left @ right).T
    torch.testing.assert_close(conformer @ turn.T, moved - moved.mean(0), atol=1e-4, rtol=0)
    return turn, turn.T @ moved.mean(0)


def test_each_residue_is_its_conformer_turned_and_never_mirrored():
    features = featurise("GGCU", seed=3)
    turns = [motion(features, i, letter)[0] for i, letter in enumerate("GGCU")]
    for turn in turns:
        assert torch.linalg.det(turn) == pytest.approx(1, abs=1e-6)
    angles = [torch.arccos(((one.T @ two).trace() - 1) / 2) for one in turns for two in turns if one is not two]
    assert min(angles) > 0.1


def test_before_it_is_turned_a_conformer_is_shifted_by_up_to_1_angstrom_along_each_axis():
    features = featurise("A" * 200, seed=5)
    shifts = torch.stack([motion(features, i, "A")[1] for i in range(200)])
    assert 0.98 < shifts.abs().max() < 1 + 1e-4
    torch.testing.assert_close(shifts.std(0), torch.full((3,), 3**-0.5, dtype=torch.float64), atol=0.06, rtol=0)
    assert shifts.mean(0).abs().max() < 0.15


def test_turns_are_spread_over_all_directions():
    features = featurise("A" * 2000, seed=5)
    p, n = features.atom_slot_BA[0] == 0, features.atom_slot_BA[0] == 12
    arrow = torch.nn.functional.normalize(features.ref_pos_BA3[0][n] - features.ref_pos_BA3[0][p], dim=-1)
    assert arrow.mean(0).abs().max() < 0.05  # of 2000 directions: 3 standard deviations are 0.04
    assert ((arrow.T @ arrow) / 2000 - torch.eye(3) / 3).abs().max() < 0.03


def test_the_seed_decides_and_what_follows_a_residue_does_not():
    one, same, other = (featurise(RNA, seed=seed).ref_pos_BA3 for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert (one - other).norm(dim=-1).min() > 1e-3
    longer = featurise(RNA + "GGG", seed=1).ref_pos_BA3
    assert torch.equal(longer[:, : one.shape[1]], one)


def test_without_an_alignment_the_profile_is_the_sequence_and_the_query_stands_twice():
    features = featurise(RNA, seed=0)
    assert torch.equal(features.profile_BLT, torch.nn.functional.one_hot(features.restype_BL, 32).float())
    assert not features.deletion_mean_BL.any()
    assert features.alignment is not None
    assert torch.equal(features.alignment.residue_BML, features.restype_BL[:, None].expand(-1, 2, -1))
    assert not features.alignment.deletion_BML.any()


def test_profile_and_mean_deletion_count_the_rows_of_the_alignment_once():
    residue_ML = np.array([[22, 23, 21], [22, 31, 21], [25, 23, 21], [22, 23, 24]])
    deletion_ML = np.array([[0, 0, 0], [0, 300, 0], [2, 0, 0], [0, 0, 1]])
    features = featurise("GCA", seed=0, alignment=AlignmentRows(residue_ML=residue_ML, deletion_ML=deletion_ML))
    expected = torch.zeros(3, 32)
    expected[0, 22], expected[0, 25] = 0.75, 0.25
    expected[1, 23], expected[1, 31] = 0.75, 0.25
    expected[2, 21], expected[2, 24] = 0.75, 0.25
    torch.testing.assert_close(features.profile_BLT[0], expected)
    torch.testing.assert_close(features.deletion_mean_BL[0], torch.tensor([0.5, 75.0, 0.25]))
    assert features.alignment is not None
    assert features.alignment.residue_BML[0].tolist() == [residue_ML[0].tolist(), *residue_ML.tolist()]
    assert features.alignment.deletion_BML[0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 127, 0], [2, 0, 0], [0, 0, 1]]


def test_more_rows_than_the_module_takes_still_count_in_the_profile():
    residue_ML = np.full((MAX_ROWS + 5, 2), 21)
    residue_ML[MAX_ROWS:] = 24
    rows = AlignmentRows(residue_ML=residue_ML, deletion_ML=np.zeros_like(residue_ML))
    features = featurise("AA", seed=0, alignment=rows)
    assert features.alignment is not None
    assert features.alignment.residue_BML.shape == (1, MAX_ROWS, 2)
    assert features.profile_BLT[0, 0, 24] == pytest.approx(5 / (MAX_ROWS + 5))


def test_a_batch_holds_each_rna_and_masks_the_rest():
    one, two = featurise("GCAUG", seed=1, alignment=rows_of("GCAUG", 6)), featurise("AC", seed=2)
    both = collate([one, two])
    for b, single in enumerate((one, two)):
        tokens, atoms = single.token_mask_BL.shape[1], single.atom_mask_BA.shape[1]
        assert both.token_mask_BL[b].tolist() == [True] * tokens + [False] * (5 - tokens)
        assert both.atom_mask_BA[b].sum() == atoms == both.atom_mask_BA[b, :atoms].sum()
        for name in ("restype_BL", "profile_BLT", "deletion_mean_BL", "residue_index_BL", "distogram_atom_BL"):
            assert torch.equal(getattr(both, name)[b, :tokens], getattr(single, name)[0]), name
        for name in ("atom_token_BA", "atom_slot_BA", "atom_rank_BA", "ref_pos_BA3", "ref_charge_BA", "ref_name_BA4"):
            assert torch.equal(getattr(both, name)[b, :atoms], getattr(single, name)[0]), name
        assert both.alignment is not None
        assert single.alignment is not None
        depth = single.alignment.mask_BM.shape[1]
        assert both.alignment.mask_BM[b].tolist() == [True] * depth + [False] * (7 - depth)
        for name in ("residue_BML", "deletion_BML"):
            assert torch.equal(getattr(both.alignment, name)[b, :depth, :tokens], getattr(single.alignment, name)[0])
    assert both.ref_element_BA.min() == 1  # an atomic number, also where nothing is
    assert both.atom_token_BA.dtype == both.restype_BL.dtype == torch.int64
    assert both.profile_BLT.dtype == both.ref_charge_BA.dtype == both.ref_pos_BA3.dtype == torch.float32


def test_an_rna_without_alignment_keeps_the_query_alone_beside_one_with():
    from dataclasses import replace

    bare = replace(featurise("GC", seed=0), alignment=None)
    assert collate([bare, bare]).alignment is None
    alignment = collate([bare, featurise("ACG", seed=0)]).alignment
    assert alignment is not None
    assert alignment.mask_BM.tolist() == [[True, False], [True, True]]
    assert alignment.residue_BML[0, 0, :2].tolist() == [22, 23]


def test_a_chain_of_one_and_a_long_one_are_defined():
    assert featurise("U", seed=0).atom_mask_BA.shape == (1, 21)
    long = "ACGU" * 1000
    assert featurise(long, seed=0).atom_mask_BA.shape[1] == 1 + ATOM_COUNTS[residue_codes(long)].sum()


@pytest.mark.parametrize(
    ("sequence", "alignment", "message"),
    [
        ("", None, "the sequence is empty"),
        ("GCT", None, "letter 'T' is not one of ACGU"),
        ("GCA", AlignmentRows(residue_ML=np.full((2, 4), 22), deletion_ML=np.zeros((2, 4))), r"letters \(2, 4\)"),
        ("GC", AlignmentRows(residue_ML=np.full((2, 2), 22), deletion_ML=np.zeros((1, 2))), r"deletions \(1, 2\)"),
        ("GC", AlignmentRows(residue_ML=np.full((2, 2), 22), deletion_ML=np.zeros((2, 2))), "first row is not the seq"),
        ("G", AlignmentRows(residue_ML=np.array([[22], [32]]), deletion_ML=np.zeros((2, 1))), "a letter outside 0-31"),
        ("G", AlignmentRows(residue_ML=np.array([[22]]), deletion_ML=np.array([[-1]])), "a negative deletion"),
        ("G", AlignmentRows(residue_ML=np.zeros((0, 1)), deletion_ML=np.zeros((0, 1))), "first row is not"),
    ],
)
def test_what_does_not_fit_is_refused(sequence, alignment, message):
    with pytest.raises(ContractError, match=message):
        featurise(sequence, seed=0, alignment=alignment)


def test_nothing_to_put_together_is_refused():
    with pytest.raises(ContractError, match="no features"):
        collate([])


def test_letters_of_rna_start_at_21():
    assert LETTER_ID == {"A": 21, "G": 22, "C": 23, "U": 24}
    assert MAX_ATOMS == 23


def test_each_chain_begins_with_its_op3_and_is_numbered_from_one():
    features = featurise("GGCAUCACGU", seed=0, breaks=(6,))
    assert features.residue_index_BL.tolist() == [[1, 2, 3, 4, 5, 6, 1, 2, 3, 4]]
    assert features.chain_BL.tolist() == features.entity_BL.tolist() == [[0] * 6 + [1] * 4]
    assert features.copy_BL.tolist() == [[0] * 10]
    op3 = features.atom_slot_BA[0] == -1
    assert features.atom_token_BA[0][op3].tolist() == [0, 6]
