"""The confidence head: what it reads of a sample, and what must not change its output."""

from dataclasses import fields, replace

import pytest
import torch

from rna_predict.cli.parity_inputs import NANO, Given, draw, fill
from rna_predict.errors import ConfigError
from rna_predict.nn.features import Representations
from rna_predict.nn.featurise import collate, featurise
from rna_predict.stage_d_diffusion.confidence_head import ConfidenceHead, ConfidenceLogits
from rna_predict.stage_d_diffusion.sampler import rotation_of

SEQUENCES = ("GGCAUCUUCGGAUGC", "GCGAAAGUC")
NAMES = [field.name for field in fields(ConfidenceLogits)]


@pytest.fixture(scope="module")
def head() -> ConfidenceHead:
    module = ConfidenceHead(NANO)
    fill(module)
    return module.eval()


@pytest.fixture(scope="module")
def features():
    return featurise(SEQUENCES[0], seed=3)


@pytest.fixture(scope="module")
def representations(features):
    return Given(NANO, features).representations


@pytest.fixture(scope="module")
def xyz(features):
    return 12 * draw("xyz", 1, 3, features.atom_mask_BA.shape[1], 3)


def gaps(found: ConfidenceLogits, expected: ConfidenceLogits) -> dict[str, float]:
    return {name: float((getattr(found, name) - getattr(expected, name)).detach().abs().max()) for name in NAMES}


@torch.no_grad()
def test_logits_have_the_bins_of_the_layout(head, features, representations, xyz):
    found = head(features, representations, xyz)
    atoms = xyz.shape[2]
    shapes = {"plddt_BSA50": (1, 3, atoms, 50), "pae_BSLL64": (1, 3, 15, 15, 64), "pde_BSLL64": (1, 3, 15, 15, 64)}
    for name, shape in (shapes | {"resolved_BSA2": (1, 3, atoms, 2)}).items():
        assert getattr(found, name).shape == shape
        assert getattr(found, name).std() > 0.1
    assert torch.equal(found.pde_BSLL64, found.pde_BSLL64.transpose(2, 3))
    assert not torch.allclose(found.pae_BSLL64, found.pae_BSLL64.transpose(2, 3), atol=0.1)


@torch.no_grad()
def test_a_rigid_motion_or_a_mirror_changes_nothing_and_another_shape_does(head, features, representations, xyz):
    expected = head(features, representations, xyz)
    rotation, shift = rotation_of(draw("turn", 1, 4))[0], torch.tensor([20.0, -35.0, 8.0])
    for moved in (xyz @ rotation.T + shift, xyz * torch.tensor([1.0, 1.0, -1.0])):
        assert max(gaps(head(features, representations, moved), expected).values()) < 1e-4
    assert min(gaps(head(features, representations, 1.2 * xyz), expected).values()) > 0.01


@torch.no_grad()
def test_only_one_atom_of_each_residue_is_looked_at(head, features, representations, xyz):
    expected = head(features, representations, xyz)
    others = torch.ones(xyz.shape[2]).bool()
    others[features.distogram_atom_BL[0]] = False
    moved = xyz + 9 * draw("others", *xyz.shape) * others[:, None]
    assert max(gaps(head(features, representations, moved), expected).values()) == 0


@torch.no_grad()
def test_samples_are_judged_alone_and_in_any_order(head, features, representations, xyz):
    expected = head(features, representations, xyz)
    order = torch.tensor([2, 0, 1])
    turned = head(features, representations, xyz[:, order])
    assert all(torch.equal(getattr(turned, name), getattr(expected, name)[:, order]) for name in NAMES)
    alone = head(features, representations, xyz[:, 1:2])
    assert all(torch.equal(getattr(alone, name), getattr(expected, name)[:, 1:2]) for name in NAMES)


@torch.no_grad()
def test_an_rna_in_a_batch_with_noise_for_padding_is_as_alone(head, features, representations, xyz):
    short = featurise(SEQUENCES[1], seed=4)
    batch = collate([short, features])
    whole = {f.name: 5 * draw(f.name, 2, *getattr(representations, f.name).shape[1:]) for f in fields(Representations)}
    own = Given(NANO, short).representations
    for name, value in whole.items():
        for row, one in enumerate((own, representations)):
            part = getattr(one, name)
            value[row][tuple(slice(size) for size in part.shape[1:])] = part[0]
    short_xyz = 12 * draw("short", 1, 3, short.atom_mask_BA.shape[1], 3)
    all_xyz = torch.full((2, *xyz.shape[1:]), torch.nan)
    all_xyz[0, :, : short_xyz.shape[2]], all_xyz[1] = short_xyz[0], xyz[0]
    padding = torch.where(batch.token_mask_BL, batch.distogram_atom_BL, batch.atom_mask_BA.shape[1] - 1)
    together = head(replace(batch, distogram_atom_BL=padding), Representations(**whole), all_xyz)
    for row, alone in enumerate([head(short, own, short_xyz), head(features, representations, xyz)]):
        for name in NAMES:
            expected = getattr(alone, name)[0]
            found = getattr(together, name)[row][tuple(slice(size) for size in expected.shape)]
            assert (found - expected).abs().max() < 1e-5


@torch.no_grad()
def test_rows_in_parts_give_what_all_at_once_give(head, features, representations, xyz):
    expected = head(features, representations, xyz, 15)
    assert max(gaps(head(features, representations, xyz, 4), expected).values()) < 1e-5


@torch.no_grad()
def test_an_atom_has_the_weights_of_its_place_in_its_component(features, representations, xyz):
    head = ConfidenceHead(NANO).eval()
    fill(head, skip=("plddt_weight", "resolved_weight"))
    assert head(features, representations, xyz).plddt_BSA50.abs().max() == 0
    head.plddt_weight[7, :, 30] = draw("place", NANO.c_s)
    found = head(features, representations, xyz).plddt_BSA50.abs().amax((0, 1)) > 0
    expected = torch.zeros_like(found)
    expected[features.atom_rank_BA[0] == 7, 30] = True
    assert torch.equal(found, expected)


@torch.no_grad()
def test_distances_fall_into_open_bins_and_enter_as_they_are(head):
    distances = torch.tensor([[0.0, 3.25, 3.26, 4.5, 4.51, 60.0]]).unsqueeze(1)
    [(_, found)] = head._distance_updates(distances, None)
    bins = head.linear_no_bias_d.weight.t()
    none = torch.zeros(NANO.c_z)
    expected = torch.stack([none, none, bins[0], none, bins[1], bins[38]])
    expected = expected + distances[0].T * head.linear_no_bias_d_wo_onehot.weight[:, 0]
    assert (found[0, 0] - expected).abs().max() < 1e-4
    assert head.lower_bins[-1] == 50.75
    assert head.upper_bins[-1] == 1e6


def test_no_gradient_reaches_the_trunk_and_all_weights_get_one(head, features, representations, xyz):
    given = Representations(
        **{f.name: getattr(representations, f.name).clone().requires_grad_() for f in fields(Representations)}
    )
    with torch.no_grad():
        expected = head(features, representations, xyz)
    head.train()
    found = head(features, given, xyz)
    head.eval()
    assert max(gaps(found, expected).values()) < 1e-4  # no dropout in training
    sum(getattr(found, name).square().sum() for name in NAMES).backward()
    gradients = {name: p.grad for name, p in head.named_parameters()}
    head.zero_grad()
    assert not [name for name, gradient in gradients.items() if gradient is None]
    assert all(getattr(given, f.name).grad is None for f in fields(Representations))


def test_autocast_changes_nothing(head, features, representations, xyz):
    with torch.no_grad():
        expected = head(features, representations, xyz)
        with torch.autocast("cpu", torch.bfloat16):
            assert max(gaps(head(features, representations, xyz), expected).values()) == 0


def test_an_atom_beyond_the_weights_is_refused(head, features, representations, xyz):
    wrong = replace(features, atom_rank_BA=features.atom_rank_BA + 2)
    with pytest.raises(ConfigError, match=r"atoms_per_token: 24 is too small for an atom of rank 25"):
        head(wrong, representations, xyz)
