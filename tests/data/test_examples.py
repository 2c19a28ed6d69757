"""What the networks and losses get: features and targets of a crop are those of the chain at the same places."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from rna_predict.chemistry.residues import ATOMS
from rna_predict.data.crops import spatial_crop
from rna_predict.data.dataset import open_dataset
from rna_predict.data.examples import collate, make_example
from rna_predict.errors import ContractError
from rna_predict.nn.features import Features
from rna_predict.nn.featurise import AlignmentRows, featurise
from rna_predict.nn.slots import to_slots
from rna_predict.stage_b_torsion.loss import base_pair_loss, distogram_loss


@pytest.fixture(scope="module")
def trna(small):
    return open_dataset(small.folder).get("1ehz_A")


def test_a_whole_chain_has_the_features_of_its_letters(trna):
    example, plain = make_example(trna, seed=4), featurise(trna.sequence, seed=4)
    for field in fields(Features):
        if field.name != "alignment":
            assert torch.equal(getattr(example.features, field.name), getattr(plain, field.name)), field.name
    assert example.ids == ("1ehz_A",)


def test_coordinates_stand_at_the_atoms_that_the_features_name(trna):
    example = make_example(trna, seed=0)
    features, atoms = example.features, example.atoms
    assert torch.equal(to_slots(atoms.xyz_BA3[0], features), torch.from_numpy(trna.xyz_LA3.copy()))
    assert int(atoms.mask_BA.sum()) == int(trna.mask_LA.sum())
    assert not atoms.mask_BA[0, 0]  # OP3
    names = ["".join(chr(c + 32) for c in row).strip() for row in features.ref_name_BA4[0].tolist()]
    for k in (5, 400, 1500):
        token, name = int(features.atom_token_BA[0, k]), names[k]
        slot = ATOMS[trna.sequence[token]].index(name)
        assert atoms.xyz_BA3[0, k].tolist() == trna.xyz_LA3[token, slot].tolist()
    assert torch.equal(atoms.xyz_BA3[0, features.distogram_atom_BL[0]], example.point_BL3[0])


def test_what_was_not_seen_is_masked_and_zero(made_chain):
    chain = made_chain(20)
    atoms = make_example(chain, seed=0).atoms
    assert not atoms.xyz_BA3[~atoms.mask_BA].any()
    assert 0 < atoms.mask_BA.sum() == chain.mask_LA.sum() < atoms.mask_BA.numel()


def test_a_crop_is_the_whole_at_its_places(made_chain):
    chain = made_chain(40, pairs=((2, 20), (5, 33), (12, 38)))
    index_L = spatial_crop(chain, 23, np.random.default_rng(2))
    whole, crop = make_example(chain, seed=1), make_example(chain, index_L, seed=1)
    own, all_ = crop.features, whole.features
    token_A = all_.atom_token_BA[0].numpy()
    kept_A = np.isin(token_A, index_L)
    for name in ("ref_pos_BA3", "ref_element_BA", "ref_name_BA4", "atom_slot_BA", "atom_rank_BA", "atom_mask_BA"):
        assert torch.equal(getattr(own, name)[0], getattr(all_, name)[0, kept_A]), name
    for name in ("restype_BL", "profile_BLT", "token_mask_BL"):
        assert torch.equal(getattr(own, name)[0], getattr(all_, name)[0, index_L]), name
    assert index_L[own.atom_token_BA[0]].tolist() == token_A[kept_A].tolist()
    assert torch.equal(
        own.ref_pos_BA3[0, own.distogram_atom_BL[0]], all_.ref_pos_BA3[0, all_.distogram_atom_BL[0, index_L]]
    )
    assert own.residue_index_BL[0].tolist() == (chain.number_L[index_L] - chain.number_L[0] + 1).tolist()
    assert torch.equal(crop.atoms.xyz_BA3[0], whole.atoms.xyz_BA3[0, kept_A])
    assert torch.equal(crop.atoms.mask_BA[0], whole.atoms.mask_BA[0, kept_A])
    assert torch.equal(crop.torsions.angle_BL8[0], whole.torsions.angle_BL8[0, index_L])
    assert torch.equal(crop.torsions.mask_BL8[0], whole.torsions.mask_BL8[0, index_L])
    assert torch.equal(crop.point_BL3[0], whole.point_BL3[0, index_L])
    assert torch.equal(crop.paired_BLL[0], whole.paired_BLL[0][index_L][:, index_L])


def test_only_a_crop_with_the_first_residue_has_op3(trna):
    for start, expected in ((0, 1), (7, 0)):
        features = make_example(trna, np.arange(start, start + 9), seed=0).features
        assert int((features.atom_slot_BA < 0).sum()) == expected


def test_torsions_have_the_pucker_last(trna):
    torsions = make_example(trna, seed=0).torsions
    assert torch.equal(torsions.angle_BL8[0, :, :7], torch.from_numpy(trna.torsion_L7.copy()))
    assert torch.equal(torsions.angle_BL8[0, :, 7], torch.from_numpy(trna.pucker_L2[:, 0].copy()))
    assert torch.equal(torsions.amplitude_BL[0], torch.from_numpy(trna.pucker_L2[:, 1].copy()))
    assert not torsions.mask_BL8[0, 0, 0]  # α of the first residue


def test_places_that_say_nothing_about_pairing_are_masked(made_chain):
    chain = made_chain(30, pairs=((2, 20), (5, 15)))
    index_L = np.array([0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 29])
    example = make_example(chain, index_L, seed=0)
    paired_LL, mask_LL = example.paired_BLL[0], example.pair_mask_BLL[0]
    assert sorted(map(tuple, paired_LL.nonzero().tolist())) == [(5, 9), (9, 5)]
    assert not mask_LL[2].any()  # its partner is outside
    assert mask_LL[5, 9]
    elsewhere_L = chain.elsewhere_L[index_L]
    near_LL = np.abs(chain.number_L[index_L][:, None] - chain.number_L[index_L]) <= 3
    for i in range(12):
        for j in range(12):
            hidden = near_LL[i, j] or 2 in (i, j) or any(elsewhere_L[k] and k not in (5, 9) for k in (i, j))
            assert bool(mask_LL[i, j]) == (not hidden), (i, j)


def test_a_padded_batch_holds_each_example_and_false_masks_beside_it(small, made_chain):
    rows = open_dataset(small.folder)
    examples = [make_example(rows.get("17ra_A"), seed=0), make_example(made_chain(33, pairs=((2, 20),)), seed=1)]
    batch = collate(examples)
    assert batch.ids == ("17ra_A", "made0")
    for b, one in enumerate(examples):
        length, atoms = one.point_BL3.shape[1], one.atoms.mask_BA.shape[1]
        assert torch.equal(batch.atoms.xyz_BA3[b, :atoms], one.atoms.xyz_BA3[0])
        assert torch.equal(batch.atoms.mask_BA[b, :atoms], one.atoms.mask_BA[0])
        assert torch.equal(batch.torsions.angle_BL8[b, :length], one.torsions.angle_BL8[0])
        assert torch.equal(batch.torsions.mask_BL8[b, :length], one.torsions.mask_BL8[0])
        assert torch.equal(batch.torsions.amplitude_BL[b, :length], one.torsions.amplitude_BL[0])
        assert torch.equal(batch.point_BL3[b, :length], one.point_BL3[0])
        assert torch.equal(batch.point_mask_BL[b, :length], one.point_mask_BL[0])
        assert torch.equal(batch.paired_BLL[b, :length, :length], one.paired_BLL[0])
        assert torch.equal(batch.pair_mask_BLL[b, :length, :length], one.pair_mask_BLL[0])
        assert not batch.atoms.mask_BA[b, atoms:].any()
        assert not batch.torsions.mask_BL8[b, length:].any()
        assert not batch.point_mask_BL[b, length:].any()
        assert not batch.pair_mask_BLL[b, length:].any()
        assert not batch.pair_mask_BLL[b, :, length:].any()
    assert batch.features.token_mask_BL.sum(1).tolist() == [21, 33]
    with pytest.raises(ContractError, match="no examples"):
        collate([])


def test_the_losses_take_a_batch_as_it_is(small):
    rows = open_dataset(small.folder)
    batch = collate([make_example(rows.get(id), seed=0) for id in ("17ra_A", "1ehz_A")]).to("cpu")
    length = batch.point_BL3.shape[1]
    noise = torch.randn(2, length, length, 64, generator=torch.Generator().manual_seed(0))
    assert distogram_loss(noise, batch.point_BL3, batch.point_mask_BL) > 3
    right = torch.where(batch.paired_BLL, 20.0, -20.0)
    assert base_pair_loss(right, batch.paired_BLL, batch.pair_mask_BLL) < 1e-6


def test_an_alignment_is_cut_with_the_chain(trna):
    rng = np.random.default_rng(0)
    query = featurise(trna.sequence, seed=0).restype_BL[0].numpy()
    residue_ML = np.stack([query, rng.integers(21, 25, 76), rng.integers(21, 25, 76)])
    rows = AlignmentRows(residue_ML=residue_ML, deletion_ML=rng.integers(0, 3, (3, 76)))
    features = make_example(trna, np.arange(10, 25), seed=0, alignment=rows).features
    whole = featurise(trna.sequence, seed=0, alignment=rows)
    assert features.alignment is not None
    assert features.alignment.residue_BML[0, 1:].tolist() == residue_ML[:, 10:25].tolist()
    assert features.alignment.deletion_BML[0, 1:].tolist() == rows.deletion_ML[:, 10:25].tolist()
    assert torch.equal(features.profile_BLT, whole.profile_BLT[:, 10:25])
    assert torch.equal(features.deletion_mean_BL, whole.deletion_mean_BL[:, 10:25])
