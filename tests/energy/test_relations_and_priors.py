"""Base relations, torsion and distance priors and the size law: where each has its minimum, and how it rises."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from rna_predict.chemistry.residues import C1, MAX_ATOMS
from rna_predict.energy.pose import turn
from rna_predict.energy.priors import (
    TorsionPrior,
    compactness_energy,
    distance_energy,
    distance_prior,
    link_torsion_energy,
    own_torsion_energy,
)
from rna_predict.energy.relations import ARM, Relations, relation_energy
from rna_predict.energy.stems import as_found, stem_bodies, stem_relations, unstacked_neighbours
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.geometry.frames import Frame
from rna_predict.geometry.helix import at, pair_relation, relative, stem_frames
from rna_predict.geometry.nucleotide import link_torsions

EDGES = tuple(2.0 + 0.3125 * k for k in range(1, 64))


def wanted(weight: float = 2.0) -> Relations:
    """Residue 2 lies to residue 0 as the C of a G-C pair."""
    frame = pair_relation("GC")
    return Relations(
        first=torch.tensor([0]),
        second=torch.tensor([2]),
        rotation_N33=frame.rotation[None],
        origin_N3=frame.origin[None],
        weight_N=torch.tensor([weight], dtype=torch.float64),
    )


def together(*parts: Relations) -> Relations:
    names = [field.name for field in dataclasses.fields(Relations)]
    return Relations(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def fulfilled() -> Frame:
    """Frames [1, 3, …] that obey `wanted`, in a general place."""
    base = Frame(turn(torch.tensor([0.4, -1.0, 0.8], dtype=torch.float64)), torch.tensor([4.0, 5, -6]).double())
    last = base.compose(pair_relation("GC"))
    eye = torch.eye(3, dtype=torch.float64)
    rotation = torch.stack([base.rotation, eye, last.rotation])[None]
    return Frame(rotation, torch.stack([base.origin, torch.zeros(3).double(), last.origin])[None])


def shifted(frame: Frame, by: float) -> Frame:
    origin = frame.origin.clone()
    origin[:, 2] += torch.tensor([0.0, 0.6, -0.8], dtype=torch.float64) * by
    return Frame(frame.rotation, origin)


def turned(frame: Frame, by: float) -> Frame:
    rotation = frame.rotation.clone()
    rotation[:, 2] = rotation[:, 2] @ turn(torch.tensor([0.48, 0.6, 0.64], dtype=torch.float64) * by)
    return Frame(rotation, frame.origin)


def test_a_relation_that_holds_costs_nothing_and_any_change_something():
    frame = fulfilled()
    assert relation_energy(frame, wanted(), 1.0).item() < 1e-12
    for other in (shifted(frame, 0.1), shifted(frame, -0.1), turned(frame, 0.05), turned(frame, -0.05)):
        assert relation_energy(other, wanted(), 1.0).item() > 1e-3


def test_a_relation_is_quadratic_near_and_linear_far_and_scales_with_its_weight():
    frame, slack = fulfilled(), 0.5

    def energy(by: float, weight: float = 2.0) -> float:
        return relation_energy(shifted(frame, by), wanted(weight), slack).item()

    assert energy(0.01) == pytest.approx(2.0 * 0.01**2 / 2, rel=1e-3)
    assert energy(41.0) - energy(40.0) == pytest.approx(2.0 * slack, rel=1e-3)
    assert energy(0.7, weight=6.0) == pytest.approx(3 * energy(0.7))


def test_a_turn_counts_as_the_shift_of_a_point_at_arms_length():
    frame, angle = fulfilled(), 0.3
    chord = ARM * 2 * math.sin(angle / 2)
    found = relation_energy(turned(frame, angle), wanted(), 1.0).item()
    assert found == pytest.approx(relation_energy(shifted(frame, chord), wanted(), 1.0).item(), rel=1e-6)


def test_relations_do_not_see_rigid_motion_and_add_up(some_motion):
    frame = turned(shifted(fulfilled(), 0.7), 0.4)
    moved = some_motion.compose(frame)
    before = relation_energy(frame, wanted(), 1.0)
    torch.testing.assert_close(relation_energy(moved, wanted(), 1.0), before)
    torch.testing.assert_close(relation_energy(frame, together(wanted(), wanted(5.0)), 1.0), before * 3.5)


def test_relations_of_samples_are_independent_and_their_gradient_is_right():
    ones = [fulfilled(), shifted(fulfilled(), 0.5), turned(fulfilled(), 0.5)]
    frame = Frame(torch.cat([f.rotation for f in ones]), torch.cat([f.origin for f in ones]))
    together = relation_energy(frame, wanted(), 1.0)
    for k, one in enumerate(ones):
        torch.testing.assert_close(relation_energy(one, wanted(), 1.0)[0], together[k], atol=1e-12, rtol=1e-9)
    inputs = [x[1:].clone().requires_grad_() for x in frame]
    assert torch.autograd.gradcheck(lambda r, o: relation_energy(Frame(r, o), wanted(), 1.0), inputs)


def test_an_ideal_stem_obeys_its_stem_relations_and_a_slid_strand_does_not():
    sequence, partner = "GGAUCGAAAGGUUC", np.array([13, 12, 11, 10, 9, -1, -1, -1, -1, 4, 3, 2, 1, 0])
    relations = stem_relations(sequence, partner, 20.0, torch.zeros(1, dtype=torch.float64))
    first, second = stem_frames(sequence[:5], sequence[:8:-1])
    rotation = torch.eye(3, dtype=torch.float64).repeat(1, 14, 1, 1)
    origin = torch.zeros(1, 14, 3, dtype=torch.float64)
    rotation[0, :5], origin[0, :5] = first
    rotation[0, 9:], origin[0, 9:] = second.rotation.flip(0), second.origin.flip(0)
    assert relation_energy(Frame(rotation, origin), relations, 1.0).item() < 1e-9
    assert len(relations.first) == 5 + 2 * 4  # pairs, and a step on either strand between stacked pairs
    assert set(relations.weight_N.tolist()) == {20.0}
    origin[0, :5] += first.origin[1] - first.origin[0]
    assert relation_energy(Frame(rotation, origin), relations, 1.0).item() > 10


def test_an_interrupted_stem_has_no_step_over_the_bulge_and_odd_pairs_pull_less():
    sequence, partner = "GAGCAAAAGCC", np.array([10, -1, 9, 8, -1, -1, -1, -1, 3, 2, 0])
    relations = stem_relations(sequence, partner, 20.0, torch.zeros(1, dtype=torch.float32))
    ends = list(zip(relations.first.tolist(), relations.second.tolist(), strict=True))
    assert sorted(ends) == [(0, 10), (2, 3), (2, 9), (3, 8), (8, 9)]
    assert relations.rotation_N33.dtype == torch.float32
    weight = dict(zip(ends, relations.weight_N.tolist(), strict=True))
    odd = stem_relations("AAGCAAAAGCC", partner, 20.0, torch.zeros(1))
    odd_weight = dict(zip(ends, odd.weight_N.tolist(), strict=True))
    assert weight[0, 10] == 20.0
    assert odd_weight[0, 10] == pytest.approx(2.0)
    assert odd_weight[2, 9] == 20.0
    none = stem_relations("ACGU", np.full(4, -1), 20.0, torch.zeros(1))
    assert len(none.first) == 0
    assert relation_energy(Frame(torch.eye(3).repeat(2, 4, 1, 1), torch.zeros(2, 4, 3)), none, 1.0).tolist() == [0, 0]


def torsion_prior(length: int) -> TorsionPrior:
    rng = np.random.default_rng(4)
    return TorsionPrior(
        own_L3=torch.from_numpy(rng.uniform(-3, 3, (length, 3))),
        own_weight_L3=torch.from_numpy(rng.uniform(1, 5, (length, 3))),
        link_L3=torch.from_numpy(rng.uniform(-3, 3, (length - 1, 3))),
        link_weight_L3=torch.from_numpy(rng.uniform(1, 5, (length - 1, 3))),
    )


def test_torsion_priors_are_lowest_at_their_angles_and_do_not_see_full_turns():
    prior = torsion_prior(5)
    at_prior = torch.cat([prior.own_L3, torch.zeros(5, 1, dtype=torch.float64)], dim=1)[None]
    assert own_torsion_energy(at_prior, prior).item() < 1e-12
    assert own_torsion_energy(at_prior + 2 * math.pi, prior).item() < 1e-9
    for residue, column in ((0, 0), (2, 1), (4, 2)):
        off = at_prior.clone()
        off[0, residue, column] += 0.5
        expected = prior.own_weight_L3[residue, column].item() * (1 - math.cos(0.5))
        assert own_torsion_energy(off, prior).item() == pytest.approx(expected)
    alpha = at_prior.clone()
    alpha[..., 3] += 1.0  # α of the first residue has no prior
    assert own_torsion_energy(alpha, prior).item() < 1e-12


def test_link_torsion_prior_is_lowest_at_the_models_own_link_torsions(a_strand, some_motion):
    shape, pose = a_strand("GCAUG", 2, 0.6)
    xyz = pose.atoms(shape)
    prior = dataclasses.replace(torsion_prior(5), link_L3=link_torsions(xyz)[0])
    energy = link_torsion_energy(xyz, prior)
    assert energy[0].item() < 1e-9
    assert energy[1].item() > 0.1
    expected = (prior.link_weight_L3 * (1 - torch.cos(link_torsions(xyz)[1] - prior.link_L3))).sum()
    assert energy[1].item() == pytest.approx(expected.item())
    torch.testing.assert_close(link_torsion_energy(xyz @ some_motion.rotation.mT + some_motion.origin, prior), energy)
    inputs = xyz[1:].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: link_torsion_energy(x, prior), (inputs,), fast_mode=True)


def two_at(distance: float, length: int = 4) -> torch.Tensor:
    """C1' of the first and the last of `length` residues `distance` Å apart, the others far away."""
    xyz = torch.zeros(1, length, MAX_ATOMS, 3, dtype=torch.float64)
    xyz[0, 1:-1, C1, 0] = 1000.0
    xyz[0, -1, C1, 2] = distance
    return xyz


def c1_of(length: int) -> torch.Tensor:
    return torch.full((length,), C1)


def peaked(bin_index: int, length: int = 4) -> torch.Tensor:
    place = torch.arange(64, dtype=torch.float64)
    return (-0.5 * ((place - bin_index) / 2.0) ** 2).expand(length, length, 64)


def test_a_peaked_distogram_has_its_minimum_at_its_mode():
    prior = distance_prior(peaked(25), EDGES, 3, c1_of(4))
    assert list(zip(prior.first.tolist(), prior.second.tolist(), strict=True)) == [(0, 3)]
    mode = 2.0 + 0.3125 * 25.5
    distances = np.arange(3.0, 21.0, 0.05)
    energies = [distance_energy(two_at(d), prior).item() for d in distances]
    assert distances[int(np.argmin(energies))] == pytest.approx(mode, abs=0.1)
    expected = -torch.log_softmax(peaked(25)[0, 3], dim=-1)
    assert distance_energy(two_at(mode), prior).item() == pytest.approx(expected[25].item(), abs=1e-4)
    halfway = (expected[30] + expected[31]).item() / 2
    assert distance_energy(two_at(2.0 + 0.3125 * 31), prior).item() == pytest.approx(halfway, abs=1e-4)


def test_beyond_the_bins_the_distogram_is_flat():
    prior = distance_prior(peaked(25), EDGES, 3, c1_of(4))
    for inside, outside in ((0.3, 1.9), (40.0, 22.5)):
        assert distance_energy(two_at(inside), prior).item() == pytest.approx(
            distance_energy(two_at(outside), prior).item(), abs=0.05
        )


def test_the_distogram_measures_between_the_atoms_that_it_names():
    xyz = two_at(5.0)
    xyz[0, 0, 17], xyz[0, 3, 20] = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([13.0, 0.0, 0.0])
    elsewhere = distance_prior(peaked(25), EDGES, 3, torch.tensor([17, C1, C1, 20]))
    between_c1 = distance_prior(peaked(25), EDGES, 3, c1_of(4))
    torch.testing.assert_close(distance_energy(xyz, elsewhere), distance_energy(two_at(11.0), between_c1))
    assert distance_energy(xyz, elsewhere).item() != pytest.approx(distance_energy(xyz, between_c1).item(), abs=0.1)


def test_the_distogram_counts_each_pair_from_the_nearest_on_once():
    prior = distance_prior(torch.zeros(6, 6, 64), EDGES, 3, c1_of(6))
    assert sorted(zip(prior.first.tolist(), prior.second.tolist(), strict=True)) == [
        (i, j) for i in range(6) for j in range(i + 3, 6)
    ]
    assert distance_energy(torch.randn(2, 6, MAX_ATOMS, 3), prior).tolist() == pytest.approx([6 * math.log(64)] * 2)


def test_distogram_and_size_do_not_see_rigid_motion_and_their_gradients_are_right(a_strand, some_motion):
    shape, pose = a_strand("GACUGC", 2, 1.0)
    logits = torch.randn(6, 6, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    prior = distance_prior(logits, EDGES, 3, c1_of(6))
    wide = pose.atoms(shape).detach() * 3  # larger than the size law allows
    for energy, xyz in ((lambda x: distance_energy(x, prior), wide / 3), (compactness_energy, wide)):
        value = energy(xyz)
        torch.testing.assert_close(energy(xyz @ some_motion.rotation.mT + some_motion.origin), value)
        torch.testing.assert_close(torch.stack([energy(xyz[k : k + 1])[0] for k in range(2)]), value)
        assert torch.autograd.gradcheck(energy, (xyz.clone().requires_grad_(),), fast_mode=True)
        assert (value > 0).all()


def test_size_is_free_below_the_law_and_quadratic_above():
    length = 64
    expected = 5.5 * 4.0
    xyz = torch.zeros(2, length, MAX_ATOMS, 3, dtype=torch.float64)
    side = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(length // 2)
    xyz[0, :, C1, 0] = side * (expected - 1)
    xyz[1, :, C1, 0] = side * (expected + 3)
    assert compactness_energy(xyz).tolist() == pytest.approx([0.0, 9.0], abs=1e-5)


def test_each_stem_is_one_body_and_every_other_residue_its_own():
    brackets = "((.(((..[[[...)))))..]]]."
    bodies = stem_bodies(np.asarray(from_dot_bracket(brackets)))
    groups = {tuple(torch.nonzero(bodies.body_L == k)[:, 0].tolist()) for k in range(bodies.count)}
    stems = {(0, 1, 17, 18), (3, 4, 5, 14, 15, 16), (8, 9, 10, 21, 22, 23)}  # the bulge parts the first two
    assert groups == stems | {(k,) for k, x in enumerate(brackets) if x == "."}


def test_steps_are_free_wherever_two_pairs_do_not_stack():
    brackets = "((.(((...)))))(((...)))"
    free = unstacked_neighbours(np.asarray(from_dot_bracket(brackets))).tolist()
    # 11 → 12 is opposite the bulge, 13 → 14 leads from one stem into the next
    assert free == [1, 2, 5, 6, 7, 8, 11, 13, 16, 17, 18, 19]


def test_stems_as_a_structure_has_them_where_it_is_near():
    """Bases that the structure has and that lie within the limit; all others stay as asked."""
    sequence, partner_L = "GGCAGAAAUGCC", np.array([11, 10, 9, 8, -1, -1, -1, -1, 3, 2, 1, 0])
    asked = stem_relations(sequence, partner_L, 40.0, torch.zeros(1, dtype=torch.float64))
    generator = torch.Generator().manual_seed(0)
    turned = torch.linalg.qr(torch.randn(12, 3, 3, generator=generator, dtype=torch.float64))[0]
    turned = turned * torch.linalg.det(turned)[:, None, None]
    frame = Frame(turned, torch.randn(12, 3, generator=generator, dtype=torch.float64) * 0.3)
    found = relative(at(frame, asked.first), at(frame, asked.second))
    everywhere = torch.ones(12, dtype=torch.bool)
    taken = as_found(asked, frame, everywhere, 1e6)
    torch.testing.assert_close(taken.rotation_N33, found[0])
    torch.testing.assert_close(taken.origin_N3, found[1])
    torch.testing.assert_close(taken.weight_N, asked.weight_N)
    for mask_L, limit in ((everywhere, 0.01), (~everywhere, 1e6)):
        kept = as_found(asked, frame, mask_L, limit)
        torch.testing.assert_close(kept.origin_N3, asked.origin_N3)
        torch.testing.assert_close(kept.rotation_N33, asked.rotation_N33)
    some_L = everywhere.clone()
    some_L[11] = False
    part = as_found(asked, frame, some_L, 1e6)
    with_last = (asked.first == 11) | (asked.second == 11)
    assert 0 < int(with_last.sum()) < len(with_last)
    torch.testing.assert_close(part.origin_N3[with_last], asked.origin_N3[with_last])
    torch.testing.assert_close(part.origin_N3[~with_last], found[1][~with_last])
