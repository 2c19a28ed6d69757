import gzip
import math

import biotite.structure as struc
import numpy as np
import pytest
import torch
from biotite.structure.io.pdb import PDBFile
from hypothesis import given
from hypothesis import strategies as st

from rna_predict.chemistry.torsions import A_FORM_DEGREES, PSEUDOTORSIONS, RING_TORSIONS, TORSIONS, quadruplet
from rna_predict.geometry import numpy_measures, torsions
from rna_predict.geometry.dihedral import angle, bond_angle_dihedral, dihedral, distance, wrap

ALL = [*TORSIONS, *RING_TORSIONS, *PSEUDOTORSIONS]


@pytest.fixture
def quadruples() -> np.ndarray:
    return np.random.default_rng(7).normal(size=(4, 50, 3)) * 3


def test_dihedral_is_positive_clockwise_seen_from_b_to_c():
    a, b, c = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]], dtype=torch.float64)
    turn = torch.tensor(0.7, dtype=torch.float64)
    d = torch.stack([turn.cos(), turn.sin(), torch.ones_like(turn)])
    assert dihedral(a, b, c, d).item() == pytest.approx(0.7)


def test_dihedral_angle_and_distance_agree_with_biotite(quadruples):
    tensors = [torch.from_numpy(x) for x in quadruples]
    expected = struc.dihedral(*quadruples)
    np.testing.assert_allclose(dihedral(*tensors).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(numpy_measures.dihedral(*quadruples), expected, atol=1e-6)
    np.testing.assert_allclose(angle(*tensors[:3]).numpy(), struc.angle(*quadruples[:3]), atol=1e-6)
    np.testing.assert_allclose(numpy_measures.angle(*quadruples[:3]), struc.angle(*quadruples[:3]), atol=1e-6)
    np.testing.assert_allclose(distance(*tensors[:2]).numpy(), struc.distance(*quadruples[:2]), atol=1e-6)


def test_the_three_measures_together_are_the_three_alone(quadruples):
    a, b, c, d = (torch.from_numpy(x) for x in quadruples)
    length, bend, turn = bond_angle_dihedral(a, b, c, d)
    torch.testing.assert_close(length, distance(c, d))
    torch.testing.assert_close(bend, angle(b, c, d))
    torch.testing.assert_close(turn, dihedral(a, b, c, d))


def test_rigid_motion_keeps_and_mirror_negates_dihedrals(quadruples):
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = quadruples @ turn.T + 40.0
    before = numpy_measures.dihedral(*quadruples)
    np.testing.assert_allclose(numpy_measures.dihedral(*moved), before, atol=1e-9)
    np.testing.assert_allclose(numpy_measures.dihedral(*(quadruples * [1, 1, -1])), -before, atol=1e-9)


def test_gradients_stay_finite_where_the_measures_are_undefined():
    points = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]], dtype=torch.float64, requires_grad=True)
    for p in (points, line):
        (dihedral(*p) + angle(*p[:3]) + distance(p[0], p[0])).backward()
        assert torch.isfinite(p.grad).all()
    assert angle(*line[:3]).item() == pytest.approx(math.pi)


def test_dihedral_gradient_is_right(quadruples):
    tensors = [torch.from_numpy(x[:4]).requires_grad_() for x in quadruples]
    assert torch.autograd.gradcheck(dihedral, tensors)
    assert torch.autograd.gradcheck(angle, tensors[:3])


@given(st.floats(-50, 50))
def test_wrap_keeps_the_direction_and_the_range(x):
    wrapped = float(wrap(torch.tensor(x, dtype=torch.float64)))
    assert -math.pi < wrapped <= math.pi
    assert math.cos(wrapped - x) == pytest.approx(1.0)


@pytest.mark.parametrize("chain", ["4faw_A", "4fau_A"])
def test_torch_and_numpy_measure_a_native_alike(native, chain):
    s = native(chain)
    expected, expected_mask = numpy_measures.measure_torsions(s.xyz_LA3, s.mask_LA, s.sequence, s.linked_L, ALL)
    xyz, mask = torch.from_numpy(s.xyz_LA3), torch.from_numpy(s.mask_LA)
    found, found_mask = torsions.measure_torsions(xyz, mask, s.sequence, s.linked_L, ALL)
    np.testing.assert_array_equal(found_mask.numpy(), expected_mask)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
    assert expected_mask.mean() > 0.95
    phase, amplitude, ring = torsions.measure_pucker(xyz, mask, s.sequence)
    phase_np, amplitude_np, ring_np = numpy_measures.measure_pucker(s.xyz_LA3, s.mask_LA, s.sequence)
    np.testing.assert_array_equal(ring.numpy(), ring_np)
    np.testing.assert_allclose(phase.numpy()[ring_np], phase_np[ring_np], atol=1e-9)
    np.testing.assert_allclose(amplitude.numpy()[ring_np], amplitude_np[ring_np], atol=1e-9)


def test_backbone_torsions_of_a_native_agree_with_biotite_atom_by_atom(native, chains_dir):
    s = native("1ehz_A")
    with gzip.open(chains_dir / f"{s.id}.pdb.gz", "rt") as file:
        atoms = PDBFile.read(file).get_structure(model=1)
    by_name = {(int(a.res_id), str(a.atom_name)): a.coord for a in atoms}
    found, mask = numpy_measures.measure_torsions(s.xyz_LA3, s.mask_LA, s.sequence, s.linked_L, ALL)
    checked = 0
    for i, letter in enumerate(s.sequence):
        for t, name in enumerate(ALL):
            keys = [(int(s.number_L[i]) + offset, atom) for atom, offset in quadruplet(name, letter)]
            assert bool(mask[i, t]) == all(key in by_name for key in keys)
            if mask[i, t]:
                expected = struc.dihedral(*[by_name[key] for key in keys])
                assert found[i, t] == pytest.approx(expected, abs=1e-4)
                checked += 1
    assert checked > 10 * s.length


def test_natives_population_lies_at_the_a_form_values(native):
    s = native("4faw_A")
    found, mask = numpy_measures.measure_torsions(s.xyz_LA3, s.mask_LA, s.sequence, s.linked_L)
    for t, name in enumerate(TORSIONS):
        off = numpy_measures.wrap(found[mask[:, t], t] - math.radians(A_FORM_DEGREES[name]))
        assert abs(math.degrees(np.median(off))) < 15, name
    phase, amplitude, ring = numpy_measures.measure_pucker(s.xyz_LA3, s.mask_LA, s.sequence)
    c3_endo = (np.degrees(phase[ring]) > -18) & (np.degrees(phase[ring]) < 54)
    assert c3_endo.mean() > 0.75
    assert 35 < math.degrees(np.median(amplitude[ring])) < 45
    nu, nu_mask = numpy_measures.measure_torsions(s.xyz_LA3, s.mask_LA, s.sequence, names=RING_TORSIONS)
    endo = nu[ring][c3_endo]
    assert (np.median(endo, axis=0)[[1, 3]] < 0).all()
    assert nu_mask.all(-1).sum() == ring.sum()


@given(st.floats(-math.pi, math.pi), st.floats(0.3, 0.8))
def test_pucker_inverts_the_pseudorotation_formula(phase, amplitude):
    nu = amplitude * np.cos(phase + np.radians(144) * np.arange(-2, 3))
    for found in (numpy_measures.pucker(nu), torsions.pucker(torch.from_numpy(nu))):
        assert math.cos(float(found[0]) - phase) == pytest.approx(1.0)
        assert float(found[1]) == pytest.approx(amplitude)


def test_masked_atoms_send_no_gradient_and_no_nan(native):
    s = native("4fau_A")
    xyz = torch.from_numpy(s.xyz_LA3).requires_grad_()
    mask = torch.from_numpy(s.mask_LA)
    found, _ = torsions.measure_torsions(xyz, mask, s.sequence, s.linked_L, ALL)
    found.sum().backward()
    assert torch.isfinite(xyz.grad).all()
    assert not xyz.grad[~mask].any()


def test_a_batch_equals_its_singles(native):
    s = native("4faw_A")
    xyz = torch.from_numpy(s.xyz_LA3)
    batch = torch.stack([xyz, xyz.flip(-1) + 3.0])
    mask = torch.from_numpy(s.mask_LA).expand(2, -1, -1)
    together, _ = torsions.measure_torsions(batch, mask, s.sequence, s.linked_L)
    for k in range(2):
        alone, _ = torsions.measure_torsions(batch[k], mask[k], s.sequence, s.linked_L)
        assert torch.equal(together[k], alone)
