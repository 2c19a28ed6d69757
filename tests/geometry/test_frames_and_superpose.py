import math

import numpy as np
import pytest
import torch
from biotite.structure import superimpose

from rna_predict.chemistry.base_frames import STANDARD_BASES
from rna_predict.chemistry.residues import BASES
from rna_predict.geometry.frames import Frame, base_frame, frame_from_atoms, sugar_frame
from rna_predict.geometry.superpose import rmsd, superpose


def points(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 5


def some_frame(*shape: int, seed: int = 1) -> Frame:
    a, b, c = points(*shape, 3, seed=seed).unbind(-2)
    return frame_from_atoms(a, b, c)


def test_a_frame_is_a_rotation_with_the_named_axes():
    a, b, c = points(6, 3).unbind(-2)
    frame = frame_from_atoms(a, b, c)
    torch.testing.assert_close(frame.rotation @ frame.rotation.mT, torch.eye(3, dtype=torch.float64).expand(6, 3, 3))
    torch.testing.assert_close(torch.linalg.det(frame.rotation), torch.ones(6, dtype=torch.float64))
    local = frame.invert().apply(torch.stack([a, b, c], dim=-2))
    assert local[:, 1].abs().max() < 1e-12
    assert local[:, 2, 1:].abs().max() < 1e-12
    assert (local[:, 2, 0] > 0).all()
    assert local[:, 0, 2].abs().max() < 1e-12
    assert (local[:, 0, 1] > 0).all()


def test_compose_and_invert():
    first, second, x = some_frame(4), some_frame(4, seed=2), points(4, 9)
    torch.testing.assert_close(first.compose(second).apply(x), first.apply(second.apply(x)))
    torch.testing.assert_close(first.invert().apply(first.apply(x)), x)


def test_superpose_finds_the_motion_back():
    frame, x = some_frame(5), points(5, 12)
    found = superpose(x, frame.apply(x))
    torch.testing.assert_close(found.rotation, frame.rotation)
    torch.testing.assert_close(found.origin, frame.origin)
    assert rmsd(x, frame.apply(x)).max() < 1e-6


def test_superpose_agrees_with_biotite_on_a_native_against_noise(native):
    s = native("1ehz_A")
    target = s.xyz_LA3[s.mask_LA]
    mobile = target @ some_frame().rotation.numpy() + np.random.default_rng(3).normal(size=target.shape) * 2
    fitted, _ = superimpose(target, mobile)
    expected = math.sqrt(((fitted - target) ** 2).sum(-1).mean())
    assert rmsd(torch.from_numpy(mobile), torch.from_numpy(target)).item() == pytest.approx(expected, abs=1e-4)


def test_a_mirror_image_is_not_superposed_by_reflection():
    x = points(3, 10)
    frame = superpose(x, x * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.det(frame.rotation), torch.ones(3, dtype=torch.float64))
    assert rmsd(x, -x).min() > 1.0


def test_masked_points_have_no_say_whatever_they_hold():
    frame, x = some_frame(2), points(2, 8)
    target = frame.apply(x)
    weight = torch.ones(2, 8, dtype=torch.float64)
    weight[:, 5:] = 0
    x[:, 5:] = float("nan")
    target[:, 6] = 1e6
    found = superpose(x, target, weight)
    torch.testing.assert_close(found.rotation, frame.rotation)
    assert rmsd(x, target, weight).max() < 1e-6


def test_weights_equal_repeated_points():
    x, y = points(6), points(6, seed=9)
    weight = torch.tensor([1.0, 2, 1, 3, 1, 1], dtype=torch.float64)
    index = torch.repeat_interleave(torch.arange(6), weight.long())
    torch.testing.assert_close(rmsd(x, y, weight), rmsd(x[index], y[index]))


def test_gradient_is_right():
    x, y = points(2, 6).requires_grad_(), points(2, 6, seed=4).requires_grad_()
    weight = torch.rand(2, 6, dtype=torch.float64) + 0.5
    assert torch.autograd.gradcheck(lambda a, b: superpose(a, b, weight).apply(a), (x, y))
    assert torch.autograd.gradcheck(lambda a, b: rmsd(a, b, weight), (x, y))


@pytest.mark.parametrize("case", ["same", "line", "square", "one", "none"])
def test_gradient_is_finite_where_the_rotation_or_the_svd_is_degenerate(case):
    x = {
        "same": points(5),
        "line": torch.arange(5, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64),
        "square": torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], dtype=torch.float64),
        "one": points(1),
        "none": points(4),
    }[case]
    weight = torch.zeros(len(x), dtype=torch.float64) if case == "none" else torch.ones(len(x), dtype=torch.float64)
    mobile = x.clone().requires_grad_()
    frame = superpose(mobile, x, weight)
    (frame.rotation.sum() + frame.origin.sum() + rmsd(mobile, x, weight)).backward()
    assert torch.isfinite(mobile.grad).all()
    torch.testing.assert_close(torch.linalg.det(frame.rotation), torch.tensor(1.0, dtype=torch.float64))


def test_float32_stays_float32():
    frame = superpose(points(4).float(), points(4, seed=2).float())
    assert frame.rotation.dtype == frame.origin.dtype == torch.float32


def test_base_frames_of_a_native_lay_the_standard_bases_onto_it(native):
    s = native("1ehz_A")
    xyz, mask = torch.from_numpy(s.xyz_LA3), torch.from_numpy(s.mask_LA)
    frame, present = base_frame(xyz, mask, s.sequence)
    assert present.all()
    off = []
    for i, letter in enumerate(s.sequence):
        standard = torch.tensor([STANDARD_BASES[letter][name] for name in BASES[letter]], dtype=torch.float64)
        placed = Frame(frame.rotation[i], frame.origin[i]).apply(standard)
        off.append((placed - xyz[i, 12 : 12 + len(standard)]).norm(dim=-1).max().item())
    assert np.median(off) < 0.06  # the maximum is a dihydrouridine, which is not planar
    # G1-C72 of tRNA-Phe is a Watson-Crick pair: both bases share one frame but for the half turn about x
    first, second = (Frame(frame.rotation[i], frame.origin[i]) for i in (0, 71))
    assert (first.origin - second.origin).norm() < 1.0
    assert (first.rotation[:, 2] @ second.rotation[:, 2]).item() < -0.9
    assert (first.rotation[:, 0] @ second.rotation[:, 0]).item() > 0.9


def test_sugar_frames_move_with_the_molecule(native):
    s = native("1ehz_A")
    xyz = torch.from_numpy(s.xyz_LA3)
    motion = some_frame()
    moved = sugar_frame(motion.apply(xyz))
    expected = Frame(motion.rotation.expand(s.length, 3, 3), motion.origin.expand(s.length, 3)).compose(
        sugar_frame(xyz)
    )
    torch.testing.assert_close(moved.rotation, expected.rotation)
    torch.testing.assert_close(moved.origin, expected.origin)
