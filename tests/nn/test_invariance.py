"""What must not change the networks' outputs: padding, the company in a batch, the order of samples, rigid motions."""

from dataclasses import fields, replace

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from rna_predict.cli.parity_cases import Ours
from rna_predict.cli.parity_inputs import ARCHITECTURES, Given, RecordedDraws, draw, draw_integers, prepared
from rna_predict.nn.features import AlignmentFeatures, Features, Representations
from rna_predict.nn.featurise import collate, featurise
from rna_predict.stage_d_diffusion.sampler import Af3Settings, af3_schedule, from_structure, rotation_of, sample

LONG, SHORT = "GGCAUCUUCGGAUGAACGUAGCAC", "GCGAAAGUCGCAU"
TOLERANCE = 1e-5
"""Of outputs of order one."""
SAMPLES = 3
RANGES = {
    "restype_BL": (0, 31),
    "residue_index_BL": (-40, 90),
    "atom_token_BA": (0, len(LONG) - 1),
    "atom_slot_BA": (-1, 22),
    "atom_rank_BA": (0, 23),
    "ref_element_BA": (1, 100),
    "ref_name_BA4": (0, 63),
    "distogram_atom_BL": (0, 200),
    "residue_BML": (0, 31),
}
"""Whole numbers that padding may hold; everything else may be any number."""


def features_of(sequence):
    return prepared(featurise(sequence, seed=3))


def noise(name, like):
    low, high = RANGES.get(name, (0, 0))
    return draw_integers(name, low, high, *like.shape) if like.dtype == torch.int64 else 5 * draw(name, *like.shape)


def with_noise(features, *, rows=True):
    """Overwrite everything that the masks say to be padding; `rows` overwrites the alignment's as well."""
    residue, atom = features.token_mask_BL, features.atom_mask_BA
    masks = {"L": residue, "A": atom}
    values = {}
    for field in fields(Features):
        value = getattr(features, field.name)
        axis = field.name.rpartition("_")[2][1:2]
        if field.name in ("token_mask_BL", "atom_mask_BA", "alignment"):
            values[field.name] = value
            continue
        mask = masks[axis].reshape(*masks[axis].shape, *[1] * (value.dim() - 2))
        values[field.name] = torch.where(mask, value, noise(field.name, value))
    alignment = features.alignment
    if rows:
        there = alignment.mask_BM[:, :, None] & residue[:, None]
        values["alignment"] = AlignmentFeatures(
            residue_BML=torch.where(there, alignment.residue_BML, noise("residue_BML", alignment.residue_BML)),
            deletion_BML=torch.where(there, alignment.deletion_BML, noise("deletions", there).abs()),
            mask_BM=alignment.mask_BM,
        )
    return Features(**values)


def first_rows(features, count):
    alignment = features.alignment
    kept = {field.name: getattr(alignment, field.name)[:, :count] for field in fields(AlignmentFeatures)}
    return replace(features, alignment=AlignmentFeatures(**kept))


def representations_of(name, features):
    """Drawn representations of one RNA."""
    drawn = Given(ARCHITECTURES["nano"], features).representations
    return Representations(
        **{f.name: value + draw(name, *value.shape) for f in fields(drawn) for value in [getattr(drawn, f.name)]}
    )


def batch_of(parts, name):
    """Tensors [1, ...] of several RNAs in one, the smaller in the corner of noise."""
    sizes = [max(part.shape[axis] for part in parts) for axis in range(1, parts[0].dim())]
    whole = 5 * draw(name, len(parts), *sizes)
    for row, part in zip(whole, parts, strict=True):
        row[tuple(slice(size) for size in part.shape[1:])] = part[0]
    return whole


def corner(batch, index, like):
    """What of a batch's item belongs to the RNA that `like` [1, ...] is of."""
    return batch[index, *(slice(size) for size in like.shape[1:])]


def check(ours, expected, tolerance=TOLERANCE):
    """Compare, and say how far the worst is off."""
    gap = float((ours - expected).abs().max())
    assert gap <= tolerance * max(1.0, float(expected.square().mean().sqrt())), f"{gap:.1e}"


@pytest.fixture(scope="module", autouse=True)
def no_gradient():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def singles():
    """Two RNAs, the second shorter and with fewer rows in its alignment."""
    return [features_of(LONG), first_rows(features_of(SHORT), 4)]


@pytest.fixture(scope="module")
def batch(singles):
    """Both in one batch, noise in the padding."""
    return with_noise(collate(singles))


@pytest.fixture(scope="module")
def networks(singles):
    return Ours.build(Given(ARCHITECTURES["nano"], singles[0]))


@pytest.fixture(scope="module")
def known(singles):
    """Representations and coordinates of each RNA, and of both in one batch with noise in the padding."""
    each = [representations_of(str(n), features) for n, features in enumerate(singles)]
    together = Representations(
        **{f.name: batch_of([getattr(one, f.name) for one in each], f.name) for f in fields(Representations)}
    )
    xyz = [16 * draw(f"xyz {n}", 1, SAMPLES, one.atom_mask_BA.shape[1], 3) for n, one in enumerate(singles)]
    return each, together, xyz, batch_of(xyz, "xyz")


@pytest.mark.parametrize("item", [0, 1])
@pytest.mark.parametrize("aligned", [True, False], ids=["alignment", "no alignment"])
def test_padding_and_company_change_nothing_in_the_trunk(networks, singles, batch, item, aligned):
    alone = singles[item] if aligned else replace(singles[item], alignment=None)
    together = batch if aligned else replace(batch, alignment=None)
    expected, found = networks.trunk(alone, 2), networks.trunk(together, 2)
    for field in fields(Representations):
        value = getattr(expected, field.name)
        check(corner(getattr(found, field.name), item, value), value[0])


@pytest.mark.parametrize("item", [0, 1])
def test_padding_and_company_change_nothing_in_the_denoiser(networks, singles, batch, known, item):
    each, together, xyz, all_xyz = known
    sigma = torch.tensor([[30.0, 4.0, 0.5], [7.0, 90.0, 1.0]])
    alone = networks.denoiser(xyz[item], sigma[item : item + 1], singles[item], each[item])
    found = networks.denoiser(all_xyz, sigma, batch, together)
    check(corner(found, item, alone) / 16, alone[0] / 16)


@pytest.mark.parametrize("item", [0, 1])
def test_padding_and_company_change_nothing_in_the_confidence_head(networks, singles, batch, known, item):
    each, together, xyz, all_xyz = known
    expected = networks.diffusion.confidence_head(singles[item], each[item], xyz[item])
    found = networks.diffusion.confidence_head(batch, together, all_xyz)
    for field in fields(expected):
        value = getattr(expected, field.name)
        check(corner(getattr(found, field.name), item, value), value[0])


def test_the_order_of_the_alignments_rows_does_not_matter(networks, singles):
    alignment = singles[0].alignment
    order = torch.tensor([0, 4, 2, 6, 1, 5, 3])
    turned = {field.name: getattr(alignment, field.name)[:, order] for field in fields(AlignmentFeatures)}
    expected = networks.trunk(singles[0], 1)
    found = networks.trunk(replace(singles[0], alignment=AlignmentFeatures(**turned)), 1)
    check(found.pair_BLLZ, expected.pair_BLLZ)


def test_samples_do_not_see_each_other(networks, singles, known):
    each, _, xyz, _ = known
    order = torch.tensor([2, 0, 1])
    sigma = torch.tensor([[30.0, 4.0, 0.5]])
    expected = networks.denoiser(xyz[0], sigma, singles[0], each[0])
    found = networks.denoiser(xyz[0][:, order], sigma[:, order], singles[0], each[0])
    check(found / 16, expected[:, order] / 16, 1e-6)
    alone = networks.denoiser(xyz[0][:, 1:2], sigma[:, 1:2], singles[0], each[0])
    check(alone / 16, expected[:, 1:2] / 16, 1e-6)
    plddt = networks.diffusion.confidence_head(singles[0], each[0], xyz[0]).plddt_BSA50
    turned = networks.diffusion.confidence_head(singles[0], each[0], xyz[0][:, order]).plddt_BSA50
    check(turned, plddt[:, order], 1e-6)


def test_confidence_does_not_depend_on_where_the_sample_lies(networks, singles, known):
    each, _, xyz, _ = known
    rotation, shift = rotation_of(draw("turn", 1, 4))[0], torch.tensor([20.0, -35.0, 8.0])
    expected = networks.diffusion.confidence_head(singles[0], each[0], xyz[0])
    moved = networks.diffusion.confidence_head(singles[0], each[0], xyz[0] @ rotation.T + shift)
    for field in fields(expected):
        check(getattr(moved, field.name), getattr(expected, field.name), 1e-4)


class Turned:
    """The draws of another, all turned by one rotation."""

    def __init__(self, draws, rotation):
        self.draws, self.rotation = draws, rotation

    def noise(self, step, like_SX3):
        return self.draws.noise(step, like_SX3) @ self.rotation.T

    def motion(self, step, like_SX3):
        rotation, shift = self.draws.motion(step, like_SX3)
        return self.rotation @ rotation @ self.rotation.T, shift @ self.rotation.T


@pytest.mark.parametrize(
    "schedule",
    [
        af3_schedule(Af3Settings(steps=8)),
        af3_schedule(Af3Settings(steps=8), start=20.0),
        from_structure([9.0, 3.0, 1.0, 0.0], 0.5),
    ],
    ids=["AF3", "AF3 from a structure", "from a structure"],
)
def test_the_sampler_turns_with_its_start_and_noise(schedule):
    def denoise(noisy, sigma):
        """Equivariant under rigid motions: shrink differences of neighbours about the centre."""
        centre = noisy.mean(1, keepdim=True)
        return centre + (noisy - centre + noisy.roll(1, 1) - centre) / (2 + sigma / 16)

    rotation = rotation_of(draw("turn", 1, 4))[0]
    start = 10 * draw("start", SAMPLES, 50, 3)
    expected = sample(denoise, start, schedule, RecordedDraws()) @ rotation.T
    found = sample(denoise, start @ rotation.T, schedule, Turned(RecordedDraws(), rotation))
    scale = float(expected.square().mean().sqrt())
    check(found / scale, expected / scale, 1e-5)


class NoDefaultDevice(TorchFunctionMode):
    """Refuses to make a tensor whose device is not said."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        assert function not in _device_constructors() or kwargs.get("device") is not None, function
        return function(*args, **kwargs)


def test_every_tensor_is_made_on_the_device_of_the_inputs(networks, singles, known):
    each, _, xyz, _ = known
    sigma = torch.tensor([[30.0, 4.0, 0.5]])
    with pytest.raises(AssertionError), NoDefaultDevice():
        torch.arange(3)
    with NoDefaultDevice():
        networks.trunk(singles[0], 1)
        networks.trunk(replace(singles[0], alignment=None), 1)
        networks.denoiser(xyz[0], sigma, singles[0], each[0])
        networks.diffusion.confidence_head(singles[0], each[0], xyz[0])


def test_the_trunk_follows_the_dtype_of_weights_and_features(singles):
    double = {
        f.name: value.double() if value.is_floating_point() else value
        for f in fields(Features)
        if f.name != "alignment"
        for value in [getattr(singles[0], f.name)]
    }
    alignment = replace(singles[0].alignment, deletion_BML=singles[0].alignment.deletion_BML.double())
    networks = Ours.build(Given(ARCHITECTURES["nano"], singles[0]))
    expected = networks.trunk(singles[0], 2)
    found = networks.trunk.double()(Features(**double, alignment=alignment), 2)
    assert found.pair_BLLZ.dtype == torch.float64
    check(expected.pair_BLLZ.double(), found.pair_BLLZ)
