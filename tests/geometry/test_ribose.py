import math

import numpy as np
import pytest
import torch
from biotite.structure import superimpose

from rna_predict.chemistry.chirality import CHIRAL_CENTRES, SUGAR_CENTRES
from rna_predict.chemistry.ideal import BOND_LENGTHS, PUCKER_ANGLES, RING_ANGLES_C2_ENDO, RING_ANGLES_C3_ENDO
from rna_predict.chemistry.residues import BASE_N_SLOT, SLOT
from rna_predict.geometry.dihedral import angle, dihedral, distance, wrap
from rna_predict.geometry.numpy_measures import measure_pucker
from rna_predict.geometry.ribose import RIBOSE_ATOMS, ribose
from rna_predict.geometry.torsions import pucker

PHASES = torch.deg2rad(torch.arange(-180, 360, 2.5, dtype=torch.float64))
RING = ("C4'", "O4'", "C1'", "C2'", "C3'")


def sugar(degrees: float, phases: torch.Tensor = PHASES) -> dict[str, torch.Tensor]:
    xyz = ribose(phases, torch.full_like(phases, math.radians(degrees)))
    return dict(zip(RIBOSE_ATOMS, xyz.unbind(-2), strict=True))


def ring_torsions(atoms: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack([dihedral(*(atoms[RING[(k + j) % 5]] for j in range(4))) for k in range(5)], dim=-1)


@pytest.mark.parametrize("degrees", [25, 30, 38, 45])
def test_phase_and_amplitude_are_measured_back(degrees):
    phase, amplitude = pucker(ring_torsions(sugar(degrees)))
    assert wrap(phase - PHASES).abs().max() < math.radians(0.2)
    assert (amplitude - math.radians(degrees)).abs().max() < math.radians(0.3)


@pytest.mark.parametrize("degrees", [25, 38, 48])
def test_every_bond_is_ideal_at_every_phase(degrees):
    atoms = sugar(degrees)
    bonds = [pair for pair in BOND_LENGTHS if set(pair) <= set(RIBOSE_ATOMS)]
    assert len(bonds) == 9
    for pair in bonds:
        assert (distance(atoms[pair[0]], atoms[pair[1]]) - BOND_LENGTHS[pair].value).abs().max() < 1e-6


@pytest.mark.parametrize(("degrees", "within"), [(30, 3.0), (38, 3.0), (41, 3.05), (45, 3.45)])
def test_every_angle_stays_near_the_crystal_values(degrees, within):
    atoms = sugar(degrees)
    assert len(PUCKER_ANGLES) == 13
    for triple, values in PUCKER_ANGLES.items():
        found = torch.rad2deg(angle(*(atoms[name] for name in triple)))
        outside = torch.maximum(min(values) - found, found - max(values))
        assert outside.max() < within, triple


def test_the_two_usual_puckers_have_their_own_angles():
    atoms = sugar(38, torch.deg2rad(torch.tensor([18.0, 162.0], dtype=torch.float64)))
    for triple, values in PUCKER_ANGLES.items():
        found = torch.rad2deg(angle(*(atoms[name] for name in triple)))
        assert (found - torch.tensor(values)).abs().max() < 0.8, triple
    assert RING_ANGLES_C3_ENDO == (101.3, 102.6, 104.0, 109.9, 107.6)
    assert RING_ANGLES_C2_ENDO[4] == 105.8


@pytest.mark.parametrize("degrees", [15, 38, 48])
def test_every_centre_has_the_hand_of_beta_d_ribose(degrees):
    atoms = sugar(degrees)
    for centre in SUGAR_CENTRES:
        a, b, c = (atoms[name] - atoms[centre] for name in CHIRAL_CENTRES[centre])
        volume = (a * torch.linalg.cross(b, c)).sum(-1)
        assert volume.min() > 2.0, centre


def test_delta_follows_the_pucker_as_in_crystals():
    atoms = sugar(38, torch.deg2rad(torch.tensor([18.0, 162.0], dtype=torch.float64)))
    delta = torch.rad2deg(dihedral(atoms["C5'"], atoms["C4'"], atoms["C3'"], atoms["O3'"]))
    assert delta[0].item() == pytest.approx(80, abs=3)
    assert delta[1].item() == pytest.approx(145, abs=3)


def test_gradients_are_right_and_float32_follows_the_input():
    phase = torch.tensor([0.3, 2.8, -1.5], dtype=torch.float64, requires_grad=True)
    amplitude = torch.tensor([0.66, 0.6, 0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ribose, (phase, amplitude))
    single = ribose(phase.float(), amplitude.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), ribose(phase, amplitude), atol=2e-6, rtol=0)


def test_a_native_sugar_is_superposed_by_the_ideal_one(native):
    s = native("1ehz_A")
    phase, amplitude, mask = measure_pucker(s.xyz_LA3, s.mask_LA, s.sequence)
    slots = [BASE_N_SLOT if name == "N" else SLOT["A"][name] for name in RIBOSE_ATOMS]
    ideal = ribose(torch.from_numpy(phase), torch.from_numpy(amplitude)).numpy()
    off = []
    for i in np.flatnonzero(mask & s.mask_LA[:, slots].all(1)):
        fitted, _ = superimpose(s.xyz_LA3[i, slots], ideal[i])
        off.append(np.sqrt(((fitted - s.xyz_LA3[i, slots]) ** 2).sum(-1).mean()))
    assert len(off) > 70
    assert np.median(off) < 0.06
