import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.chemistry.chirality import CHIRAL_CENTRES, chiral_slots
from rna_predict.chemistry.ideal import BOND_ANGLES, ideal_bonds
from rna_predict.chemistry.residues import (
    ATOMS,
    BASE_N_SLOT,
    C3,
    C4,
    C5,
    MAX_ATOMS,
    O3,
    O5,
    OP1,
    OP2,
    SLOT,
    P,
)
from rna_predict.chemistry.torsions import A_FORM_RISE, A_FORM_TWIST_DEGREES, TORSIONS
from rna_predict.contracts import Structure
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import InputError
from rna_predict.geometry.dihedral import angle, distance, wrap
from rna_predict.geometry.frames import Frame
from rna_predict.geometry.internal import InternalCoordinates, a_form_internal, ideal_internal, measure_internal
from rna_predict.geometry.nerf import build, prefix_product
from rna_predict.geometry.superpose import rmsd, superpose
from rna_predict.geometry.torsions import measure_pucker, measure_torsions

SEQUENCE = "GACUUGCAAGCU"
DELTA = TORSIONS.index("delta")


def random_torsions(length: int, seed: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    torsion = (torch.rand(length, 7, dtype=torch.float64, generator=generator) - 0.5) * 2 * math.pi
    phase = (torch.rand(length, dtype=torch.float64, generator=generator) - 0.5) * 2 * math.pi
    amplitude = 0.55 + 0.2 * torch.rand(length, dtype=torch.float64, generator=generator)
    return torsion, phase, amplitude


def framed(s: Structure) -> tuple[torch.Tensor, torch.Tensor, str, np.ndarray]:
    """The residues of a native that have C5', C4' and C3'."""
    keep = s.mask_LA[:, [C5, C4, C3]].all(1)
    sequence = "".join(letter for letter, k in zip(s.sequence, keep, strict=True) if k)
    linked = np.diff(s.number_L[keep]) == 1
    return torch.from_numpy(s.xyz_LA3[keep]), torch.from_numpy(s.mask_LA[keep]), sequence, linked


@pytest.mark.parametrize("chain", ["1ehz_A", "4faw_A", "8cf8_A", "8ca7_A", "3dhs_A", "6g90_1"])
def test_a_native_is_rebuilt_from_its_own_internal_coordinates(native, chain):
    xyz, mask, sequence, linked = framed(native(chain))
    rebuilt = build(measure_internal(xyz, mask, sequence, linked))
    # not superposed: the first residue's frame is part of the internal coordinates
    assert (rebuilt - xyz)[mask].norm(dim=-1).max() < 1e-6
    single = build(measure_internal(xyz.float(), mask, sequence, linked))
    assert single.dtype == torch.float32
    assert (single - xyz)[mask].norm(dim=-1).max() < 0.02


def test_missing_atoms_of_a_native_are_completed_with_ideal_ones(native):
    xyz, mask, sequence, linked = framed(native("1ehz_A"))
    hidden = mask.clone()
    hidden[20, OP1], hidden[30, BASE_N_SLOT + 1 :], hidden[40, [P, OP1, OP2]] = False, False, False
    rebuilt = build(measure_internal(torch.where(hidden[..., None], xyz, 999.0), hidden, sequence, linked))
    assert (rebuilt - xyz)[hidden].norm(dim=-1).max() < 1e-6
    assert (rebuilt - xyz)[20, OP1].norm() < 0.3
    assert (rebuilt[30] - xyz[30])[SLOT[sequence[30]]["C4"]].norm() < 4.5
    for first, second, ideal in ideal_bonds(sequence[30]):
        slots = SLOT[sequence[30]]
        assert abs(distance(rebuilt[30, slots[first]], rebuilt[30, slots[second]]).item() - ideal.value) < 0.05


def test_a_residue_without_a_frame_is_refused(native):
    xyz, mask, sequence, linked = framed(native("1ehz_A"))
    mask = mask.clone()
    mask[11, C4] = False
    with pytest.raises(InputError, match="residue 12 lacks C5', C4' or C3'"):
        measure_internal(xyz, mask, sequence, linked)


def test_every_bond_and_backbone_angle_is_ideal_for_any_torsions():
    xyz = build(ideal_internal(SEQUENCE, *random_torsions(len(SEQUENCE))))
    for i, letter in enumerate(SEQUENCE):
        for first, second, ideal in ideal_bonds(letter):
            slots = SLOT[letter]
            found = distance(xyz[i, slots[first]], xyz[i, slots[second]]).item()
            assert found == pytest.approx(ideal.value, abs=0.002), (letter, first, second)
    o3, p, o5 = xyz[:-1, O3], xyz[1:, P], xyz[1:, O5]
    assert (distance(o3, p) - 1.607).abs().max() < 1e-6
    expected = {
        ("C3'", "O3'", "P"): angle(xyz[:-1, C3], o3, p),
        ("O3'", "P", "O5'"): angle(o3, p, o5),
        ("P", "O5'", "C5'"): angle(xyz[:, P], xyz[:, O5], xyz[:, C5]),
        ("O5'", "C5'", "C4'"): angle(xyz[:, O5], xyz[:, C5], xyz[:, C4]),
        ("OP1", "P", "OP2"): angle(xyz[:, OP1], xyz[:, P], xyz[:, OP2]),
    }
    for name, found in expected.items():
        assert (torch.rad2deg(found) - BOND_ANGLES[name].value).abs().max() < 0.1, name


def test_nerf_inverts_the_dihedral_and_the_pucker():
    torsion, phase, amplitude = random_torsions(len(SEQUENCE))
    xyz = build(ideal_internal(SEQUENCE, torsion, phase, amplitude))
    mask = torch.from_numpy(full_mask(SEQUENCE))
    found, defined = measure_torsions(xyz, mask, SEQUENCE)
    given = torch.ones(7, dtype=torch.bool)
    given[DELTA] = False
    off = wrap(found - torsion).abs()
    assert off[defined & given].max() < 1e-6
    assert (~defined).sum() == 3
    phase_back, amplitude_back, _ = measure_pucker(xyz, mask, SEQUENCE)
    assert wrap(phase_back - phase).abs().max() < math.radians(0.2)
    assert (amplitude_back - amplitude).abs().max() < math.radians(0.3)


def test_every_centre_has_its_hand_for_any_torsions():
    xyz = build(ideal_internal(SEQUENCE, *random_torsions(len(SEQUENCE))))
    for i, letter in enumerate(SEQUENCE):
        for x, a, b, c in chiral_slots(letter, tuple(CHIRAL_CENTRES)):
            u, v, w = (xyz[i, s] - xyz[i, x] for s in (a, b, c))
            assert (u @ torch.linalg.cross(v, w)).item() > 2


def atoms_behind(name: str, k: int) -> torch.Tensor:
    """Mask [L, A] of what must move when a torsion of residue k turns, written down from the bond graph."""
    moves = np.zeros((len(SEQUENCE), MAX_ATOMS), dtype=bool)
    moves[k + 1 :] = name != "chi"
    stays = {
        "alpha": {"P", "OP1", "OP2", "O5'"},
        "beta": {"P", "OP1", "OP2", "O5'", "C5'"},
        "gamma": {"P", "OP1", "OP2", "O5'", "C5'", "C4'"},
        "delta": set(ATOMS[SEQUENCE[k]]) - {"O3'"},
        "epsilon": set(ATOMS[SEQUENCE[k]]),
        "zeta": set(ATOMS[SEQUENCE[k]]),
        "chi": {*ATOMS[SEQUENCE[k]][: BASE_N_SLOT + 1]},
        "pucker": {"P", "OP1", "OP2", "O5'", "C5'", "C4'"},
    }[name]
    moves[k] = [slot < len(ATOMS[SEQUENCE[k]]) and ATOMS[SEQUENCE[k]][slot] not in stays for slot in range(MAX_ATOMS)]
    if name == "zeta":
        moves[k + 1, P] = False
    return torch.from_numpy(moves & full_mask(SEQUENCE))


@pytest.mark.parametrize("name", TORSIONS)
@pytest.mark.parametrize("k", [3, 6])
def test_each_torsion_moves_the_atoms_behind_it_and_no_others(name, k):
    internal = ideal_internal(SEQUENCE, *random_torsions(len(SEQUENCE)))
    turned = internal.torsion_L7.clone()
    turned[k, TORSIONS.index(name)] += 0.6
    moved = (build(internal.with_torsions(turned)) - build(internal)).norm(dim=-1)
    behind = atoms_behind(name, k)
    # the last base atom may lie on χ's axis (C4 of a pyrimidine's ring nearly does), so the bound is small
    assert moved[behind].min() > 1e-3
    assert moved[~behind].max() < 1e-9


@pytest.mark.parametrize("which", ["phase", "amplitude"])
def test_the_pucker_moves_the_ring_and_what_follows(which):
    torsion, phase, amplitude = random_torsions(len(SEQUENCE))
    other_phase, other_amplitude = phase.clone(), amplitude.clone()
    (other_phase if which == "phase" else other_amplitude)[4] += 0.05
    before = build(ideal_internal(SEQUENCE, torsion, phase, amplitude))
    after = build(ideal_internal(SEQUENCE, torsion, other_phase, other_amplitude))
    moved = (after - before).norm(dim=-1)
    behind = atoms_behind("pucker", 4)
    assert moved[behind].min() > 1e-5
    assert moved[~behind].max() < 1e-9


def test_a_jump_carries_what_lies_behind_the_break(native):
    xyz, mask, sequence, linked = framed(native("3dhs_A"))
    internal = measure_internal(xyz, mask, sequence, linked)
    gap = int(np.flatnonzero(~linked)[0])
    turned = internal.torsion_L7.clone()
    turned[gap - 3, TORSIONS.index("beta")] += 0.4
    rebuilt = build(internal.with_torsions(turned))
    assert (rebuilt - xyz)[: gap - 3][mask[: gap - 3]].norm(dim=-1).max() < 1e-6
    behind = mask[gap + 1 :]
    assert rmsd(rebuilt[gap + 1 :][behind], xyz[gap + 1 :][behind]) < 1e-6
    assert (rebuilt - xyz)[gap + 1 :][behind].norm(dim=-1).max() > 1


def test_gradient_is_right_in_every_torsion_and_pucker():
    torsion, phase, amplitude = (x.requires_grad_() for x in random_torsions(3))
    assert torch.autograd.gradcheck(lambda t, p, a: build(ideal_internal("GCA", t, p, a)), (torsion, phase, amplitude))
    build(ideal_internal("GCA", torsion, phase, amplitude))[-1].square().sum().backward()
    used = torch.ones(3, 7, dtype=torch.bool)
    used[:, DELTA] = False
    used[0, :3] = False  # before the first residue's frame
    used[-1, 4:6] = False
    used[:-1, 6] = False
    assert (torsion.grad[used].abs() > 1e-6).all()
    assert not torsion.grad[~used].any()


def test_a_batch_equals_its_singles_and_float32_follows_the_input():
    torsion, phase, amplitude = (torch.stack(x) for x in zip(random_torsions(9, 1), random_torsions(9, 2), strict=True))
    together = build(ideal_internal(SEQUENCE[:9], torsion, phase, amplitude))
    for k in range(2):
        alone = build(ideal_internal(SEQUENCE[:9], torsion[k], phase[k], amplitude[k]))
        torch.testing.assert_close(together[k], alone, atol=1e-12, rtol=0)
    single = build(ideal_internal(SEQUENCE[:9], torsion.float(), phase.float(), amplitude.float()))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), together, atol=1e-4, rtol=0)


@pytest.mark.parametrize("length", [1, 2])
def test_the_shortest_chains(length):
    xyz = build(ideal_internal("GC"[:length], *random_torsions(length)))
    assert xyz.shape == (length, MAX_ATOMS, 3)
    assert not xyz[~torch.from_numpy(full_mask("GC"[:length]))].any()


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(0, 99))
def test_prefix_product_equals_the_sequential_product(length, seed):
    motions = torch.randn(2, length, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found = prefix_product(motions)
    running = Frame(motions[:, 0, :, :3], motions[:, 0, :, 3])
    for i in range(length):
        if i:
            running = running.compose(Frame(motions[:, i, :, :3], motions[:, i, :, 3]))
        scale = running.rotation.abs().max()
        assert ((found[:, i, :, :3] - running.rotation).abs().max() / scale) < 1e-9


def helix_step(internal: InternalCoordinates) -> tuple[float, float]:
    """Twist in degrees and rise in Å from one residue to the next."""
    backbone = build(internal)[2:10, :BASE_N_SLOT]
    step = superpose(backbone[:-1].reshape(-1, 3), backbone[1:].reshape(-1, 3))
    turn = step.rotation
    axis = torch.stack([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    twist = torch.atan2(axis.norm(), turn.trace() - 1)
    return math.degrees(twist.item()), (step.origin @ axis / axis.norm()).item()


def test_a_form_torsions_build_a_right_handed_a_form_helix():
    twist, rise = helix_step(a_form_internal("C" * 12, torch.zeros((), dtype=torch.float64)))
    # the published torsions are rounded means: 5° in ε or ζ alone turns the helix by 4.3°
    assert twist == pytest.approx(A_FORM_TWIST_DEGREES, abs=6)
    assert rise == pytest.approx(A_FORM_RISE, abs=0.2)
