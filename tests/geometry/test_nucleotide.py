"""A nucleotide built on its base frame: ideal for any variables, and a native's own variables rebuild it."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from rna_predict.chemistry.chirality import chiral_slots
from rna_predict.chemistry.ideal import ideal_bonds
from rna_predict.chemistry.residues import ATOMS, C1, O3, O5, OP1, OP2, SLOT, P
from rna_predict.geometry.dihedral import angle, dihedral, wrap
from rna_predict.geometry.frames import Frame, base_frame
from rna_predict.geometry.nucleotide import (
    ALPHA,
    BETA,
    CHI,
    GAMMA,
    fourth_slots,
    link_torsions,
    nucleotide_shape,
    place,
    place_atoms,
    torsions_of,
)
from rna_predict.geometry.torsions import measure_pucker, measure_torsions

SEQUENCE = "ACGUGCUAACGU"
SAMPLES = 3


def random_variables(sequence: str = SEQUENCE, samples: int = SAMPLES, seed: int = 5):
    """Puckers over all phases, frames and torsions without any order, float64."""
    rng, length = np.random.default_rng(seed), len(sequence)
    phase = torch.from_numpy(rng.uniform(-math.pi, math.pi, length))
    amplitude = torch.from_numpy(rng.uniform(0.55, 0.75, length))
    rotation = Rotation.random(samples * length, rng=rng).as_matrix().reshape(samples, length, 3, 3)
    frame = Frame(torch.from_numpy(rotation), torch.from_numpy(rng.normal(size=(samples, length, 3)) * 10))
    torsion = torch.from_numpy(rng.uniform(-math.pi, math.pi, (samples, length, 4)))
    return phase, amplitude, frame, torsion


def built(seed: int = 5):
    phase, amplitude, frame, torsion = random_variables(seed=seed)
    return place_atoms(nucleotide_shape(SEQUENCE, phase, amplitude), frame, torsion)


def test_every_bond_has_its_ideal_length_whatever_the_variables():
    xyz = built()
    for i, letter in enumerate(SEQUENCE):
        for a, b, ideal in ideal_bonds(letter):
            length = (xyz[:, i, SLOT[letter][a]] - xyz[:, i, SLOT[letter][b]]).norm(dim=-1)
            assert (length - ideal.value).abs().max() < 0.005, (letter, a, b)


def test_sugar_centres_and_the_phosphate_have_the_right_hand_whatever_the_variables():
    xyz = built()
    for i, letter in enumerate(SEQUENCE):
        for centre, *ends in chiral_slots(letter, ("C1'", "C2'", "C3'", "C4'", "P")):
            a, b, c = (xyz[:, i, end] - xyz[:, i, centre] for end in ends)
            volume = (a * torch.linalg.cross(b, c)).sum(-1)
            assert (volume > 1.5).all(), (letter, ATOMS[letter][centre])


def test_bases_are_flat_and_slots_that_a_residue_lacks_are_zero():
    xyz = built()
    for i, letter in enumerate(SEQUENCE):
        base = xyz[:, i, C1 : len(ATOMS[letter])]
        spread = torch.linalg.svdvals(base - base.mean(1, keepdim=True))
        assert spread[:, 2].max() < 1e-6
        assert (xyz[:, i, len(ATOMS[letter]) :] == 0).all()


def test_angles_of_the_phosphate_are_those_of_the_dictionary():
    xyz = built()
    p, op1, op2, o5, c5 = (xyz[:, :, slot] for slot in (P, OP1, OP2, O5, 4))
    c4 = xyz[:, :, 5]
    for three, degrees in (((p, o5, c5), 120.9), ((o5, c5, c4), 111.6), ((op1, p, op2), 119.6)):
        assert (angle(*three).rad2deg() - degrees).abs().max() < 0.1
    for oxygen in (op1, op2):
        assert (angle(oxygen, p, o5).rad2deg() - 108.0).abs().max() < 0.2


def test_the_variables_are_measured_back():
    phase, amplitude, frame, torsion = random_variables()
    xyz = place_atoms(nucleotide_shape(SEQUENCE, phase, amplitude), frame, torsion)
    mask = torch.tensor([[k < len(ATOMS[x]) for k in range(23)] for x in SEQUENCE])
    for sample in range(SAMPLES):
        found, _ = measure_torsions(xyz[sample], mask, SEQUENCE)  # α β γ δ ε ζ χ
        for column, variable in ((6, CHI), (2, GAMMA), (1, BETA)):
            assert wrap(found[:, column] - torsion[sample, :, variable]).abs().max() < 1e-6
        frame_back, _ = base_frame(xyz[sample], mask, SEQUENCE)
        torch.testing.assert_close(frame_back.rotation, frame.rotation[sample], atol=1e-6, rtol=0)
        torch.testing.assert_close(frame_back.origin, frame.origin[sample], atol=1e-6, rtol=0)
        phase_back, amplitude_back, _ = measure_pucker(xyz[sample], mask, SEQUENCE)
        assert wrap(phase_back - phase).abs().max().rad2deg() < 0.5
        assert (amplitude_back - amplitude).abs().max().rad2deg() < 0.5
    read = torsions_of(xyz, fourth_slots(SEQUENCE))
    assert wrap(read[..., :3] - torsion[..., :3]).abs().max() < 1e-6
    assert wrap(read[:, 0, ALPHA] - torsion[:, 0, ALPHA]).abs().max() < 1e-6
    assert read.shape == (SAMPLES, len(SEQUENCE), 4)


def test_link_torsions_are_epsilon_zeta_alpha_of_the_torsion_table():
    xyz = built()
    mask = torch.tensor([[k < len(ATOMS[x]) for k in range(23)] for x in SEQUENCE])
    found = link_torsions(xyz)
    for sample in range(SAMPLES):
        expected, _ = measure_torsions(xyz[sample], mask, SEQUENCE)
        columns = torch.stack([expected[:-1, 4], expected[:-1, 5], expected[1:, 0]], dim=-1)
        assert wrap(found[sample] - columns).abs().max() < 1e-9


def test_phosphate_oxygens_lie_to_the_sides_of_the_link_as_in_a_native(native):
    trna = native("1ehz_A")
    real = torch.from_numpy(trna.xyz_LA3)
    model = built()[0]

    def sides(xyz: torch.Tensor, slot: int) -> torch.Tensor:
        return dihedral(xyz[:-1, O3], xyz[1:, O5], xyz[1:, P], xyz[1:, slot]).rad2deg()

    for slot in (OP1, OP2):
        centre = sides(real, slot).median()
        off = torch.remainder(sides(model, slot) - centre + 180, 360) - 180
        assert off.abs().max() < 5.0
    assert sides(real, OP1).median() > 90
    assert sides(real, OP2).median() < -90


@pytest.mark.parametrize(("name", "limit"), [("1ehz_A", 0.5), ("3sd3_A", 0.25)])
def test_a_natives_own_variables_rebuild_it(native, name, limit):
    chain = native(name)
    xyz, mask = torch.from_numpy(chain.xyz_LA3), torch.from_numpy(chain.mask_LA)
    frame, _ = base_frame(xyz, mask, chain.sequence)
    phase, amplitude, _ = measure_pucker(xyz, mask, chain.sequence)
    torsion = torsions_of(xyz, fourth_slots(chain.sequence))
    shape = nucleotide_shape(chain.sequence, phase, amplitude)
    again = place_atoms(shape, Frame(frame.rotation[None], frame.origin[None]), torsion[None])[0]
    assert torch.equal(shape.mask_LA, torch.from_numpy(chain.mask_LA | shape.mask_LA.numpy()))
    off = (again - xyz).norm(dim=-1)
    assert off[mask].median() < 0.1
    seen = Frame(frame.rotation, frame.origin).invert()
    lean = (seen.apply(again) - seen.apply(xyz))[1:]
    for slot in range(len(ATOMS["C"])):  # slots that every residue has
        assert off[1:, slot].median() < limit, slot  # far from the base, small angles add up
        assert lean[:, slot].median(0).values.abs().max() < 0.1, slot


def test_each_torsion_moves_the_atoms_behind_it_and_no_others():
    phase, amplitude, frame, torsion = random_variables(samples=1)
    shape = nucleotide_shape(SEQUENCE, phase, amplitude)
    before = place_atoms(shape, frame, torsion)[0]
    residue, backbone = 4, set(range(12))
    behind = {CHI: backbone - {C1}, GAMMA: {P, OP1, OP2, O5}, BETA: {P, OP1, OP2}, ALPHA: set()}
    for column, atoms in behind.items():
        turned = torsion.clone()
        turned[0, residue, column] += 0.4
        moved = (place_atoms(shape, frame, turned)[0] - before).norm(dim=-1) > 1e-6
        expected = torch.zeros_like(moved)
        expected[residue, sorted(atoms)] = True
        if O3 in atoms:  # the next residue's phosphate oxygens look at O3'
            expected[residue + 1, [OP1, OP2]] = True
        assert torch.equal(moved, expected), column
    turned = torsion.clone()
    turned[0, 0, ALPHA] += 0.4
    moved = (place_atoms(shape, frame, turned)[0] - before).norm(dim=-1) > 1e-6
    assert moved.nonzero().tolist() == [[0, OP1], [0, OP2]]


def test_place_gives_the_bond_the_angle_and_the_signed_dihedral():
    a, b, c = torch.randn(3, 7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    torsion = torch.linspace(-3.0, 3.0, 7, dtype=torch.float64)
    d = place(a, b, c, (1.6, 104.0), torsion)
    torch.testing.assert_close((d - c).norm(dim=-1), torch.full((7,), 1.6, dtype=torch.float64))
    torch.testing.assert_close(angle(b, c, d), torch.full((7,), math.radians(104.0), dtype=torch.float64))
    torch.testing.assert_close(dihedral(a, b, c, d), torsion)


def test_gradients_are_right():
    sequence = "GUC"
    phase, amplitude, frame, torsion = random_variables(sequence, samples=1, seed=2)
    inputs = [x.detach().requires_grad_() for x in (phase, amplitude, frame.rotation, frame.origin, torsion)]

    def atoms(phase, amplitude, rotation, origin, torsion):
        return place_atoms(nucleotide_shape(sequence, phase, amplitude), Frame(rotation, origin), torsion)

    assert torch.autograd.gradcheck(atoms, inputs, fast_mode=True)


def test_samples_are_independent_and_the_dtype_is_kept():
    phase, amplitude, frame, torsion = random_variables()
    shape = nucleotide_shape(SEQUENCE, phase, amplitude)
    together = place_atoms(shape, frame, torsion)
    for k in range(SAMPLES):
        one = place_atoms(shape, Frame(frame.rotation[k : k + 1], frame.origin[k : k + 1]), torsion[k : k + 1])
        torch.testing.assert_close(one[0], together[k])
    single = nucleotide_shape(SEQUENCE, phase.float(), amplitude.float())
    xyz = place_atoms(single, Frame(frame.rotation.float(), frame.origin.float()), torsion.float())
    assert xyz.dtype == torch.float32
    assert (xyz - together).abs().max() < 1e-4
