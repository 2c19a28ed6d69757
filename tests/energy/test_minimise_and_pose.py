"""The minimiser on functions whose minima are known, and the moves of a pose as rigid motions."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from rna_predict.contracts.structure import whole_structure
from rna_predict.energy.contacts import contact_table, list_contacts
from rna_predict.energy.links import largest_gap
from rna_predict.energy.minimise import lbfgs
from rna_predict.energy.model import EnergyModel, Weights, relax, settle
from rna_predict.energy.pose import TORSION_LEVER, TURN_LEVER, Bodies, Pose, each_alone, moved, step_size, turn
from rna_predict.energy.relations import relation_energy
from rna_predict.energy.stems import stem_relations
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.geometry.superpose import rmsd


def rosenbrock(x: torch.Tensor) -> torch.Tensor:
    return ((1 - x[:, :-1]) ** 2 + 100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2).sum(-1)


def starts(samples: int = 4, size: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(samples, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 1.5


def test_a_quadratic_with_condition_number_ten_thousand_is_solved():
    rng = np.random.default_rng(0)
    basis = torch.from_numpy(np.linalg.qr(rng.normal(size=(12, 12)))[0])
    curvature = torch.logspace(0, 4, 12, dtype=torch.float64)
    matrix = basis @ torch.diag(curvature) @ basis.T
    minimum = torch.from_numpy(rng.normal(size=(3, 12)))

    def energy(x: torch.Tensor) -> torch.Tensor:
        off = x - minimum
        return ((off @ matrix) * off).sum(-1) / 2

    x, value = lbfgs(energy, torch.zeros(3, 12, dtype=torch.float64), 200, largest_move=1.0)
    assert (x - minimum).abs().max() < 1e-5
    torch.testing.assert_close(value, energy(x))


def test_rosenbrocks_valley_is_walked_to_its_end_by_every_sample():
    x, value = lbfgs(rosenbrock, starts(), 300, largest_move=0.5)
    assert (x - 1).abs().max() < 1e-4
    assert value.max() < 1e-8


def test_descent_is_monotone_and_no_variable_moves_further_than_allowed():
    before, values = starts(), [rosenbrock(starts())]
    for steps in range(1, 25):
        x, value = lbfgs(rosenbrock, starts(), steps, largest_move=0.1)
        torch.testing.assert_close(value, rosenbrock(x))
        assert (x - before).abs().max() <= 0.1 + 1e-12
        values.append(value)
        before = x
    assert (torch.stack(values).diff(dim=0) <= 0).all()
    assert (values[-1] < values[0]).all()


def test_a_batch_is_its_samples_side_by_side():
    together, _ = lbfgs(rosenbrock, starts(size=3), 40, largest_move=0.5)
    for k in range(4):
        alone, _ = lbfgs(rosenbrock, starts(size=3)[k : k + 1], 40, largest_move=0.5)
        torch.testing.assert_close(alone[0], together[k], atol=1e-6, rtol=0)


def test_a_sample_at_its_minimum_stays_while_others_move():
    start = starts()
    start[1] = 1.0
    x, _ = lbfgs(rosenbrock, start, 300, largest_move=0.5)
    assert torch.equal(x[1], torch.ones(2, dtype=torch.float64))
    assert (x - 1).abs().max() < 1e-4
    still, value = lbfgs(rosenbrock, torch.ones(2, 2, dtype=torch.float64), 5, largest_move=0.5)
    assert torch.equal(still, torch.ones(2, 2, dtype=torch.float64))
    assert value.tolist() == [0.0, 0.0]


def test_a_wall_of_infinite_energy_is_not_crossed():
    def energy(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x - torch.log(x.clamp(min=1e-30)), torch.full_like(x, torch.inf)).sum(-1)

    x, value = lbfgs(energy, torch.tensor([[3.0], [0.05]], dtype=torch.float64), 60, largest_move=5.0)
    assert (x - 1).abs().max() < 1e-4
    assert value.tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("size", [1e-9, 1e-5, 9e-5, 1.1e-4, 0.02, 1.0, 3.1, 6.0])
def test_turn_is_the_rotation_of_its_axis_and_angle(size):
    vectors = np.random.default_rng(1).normal(size=(20, 3))
    vectors *= size / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = torch.from_numpy(Rotation.from_rotvec(vectors).as_matrix())
    found = turn(torch.from_numpy(vectors))
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)
    torch.testing.assert_close(turn(torch.from_numpy(vectors).float()), expected.float(), atol=1e-6, rtol=0)


def test_turn_has_a_right_gradient_at_zero_too():
    for vector in (torch.zeros(1, 3), torch.tensor([[0.3, -0.2, 0.5]]), torch.tensor([[1e-6, 0.0, 2e-6]])):
        assert torch.autograd.gradcheck(turn, (vector.double().requires_grad_(),))


def test_frames_stay_orthonormal_after_many_moves(a_strand):
    _, pose = a_strand("GACUG", 2)
    pose = Pose(
        rotation_SL33=pose.rotation_SL33.float(),
        origin_SL3=pose.origin_SL3.float(),
        torsion_SL4=pose.torsion_SL4.float(),
    )
    bodies = each_alone(5)
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        pose = moved(pose, torch.randn(2, step_size(5, bodies), generator=generator), bodies)
    product = pose.rotation_SL33 @ pose.rotation_SL33.mT
    assert (product - torch.eye(3)).abs().max() < 1e-4
    torch.testing.assert_close(torch.linalg.det(pose.rotation_SL33), torch.ones(2, 5), atol=1e-4, rtol=0)


def test_a_body_moves_as_one_and_the_others_stay(a_strand):
    shape, pose = a_strand("GACUGC", 2, 0.5)
    bodies = Bodies(body_L=torch.tensor([0, 0, 1, 2, 0, 2]), count=3)
    step = torch.zeros(2, step_size(6, bodies), dtype=torch.float64)
    step[0, :6] = torch.tensor([2.0, -1.0, 3.0, 4.0, 0.5, -2.0])  # body 0 of sample 0: turn, then shift
    before = pose.atoms(shape)
    after = moved(pose, step, bodies)
    xyz = after.atoms(shape)
    mine = torch.tensor([0, 1, 4])
    own = [slot for slot in range(20) if slot not in (1, 2)]  # OP1 and OP2 follow the residue before
    old, new = (x[0, mine][:, own].reshape(-1, 3) for x in (before, xyz))
    assert rmsd(old, new).item() < 1e-6
    assert (new - old).norm(dim=-1).max() > 1.0
    torch.testing.assert_close(xyz[0, [2, 3, 5]][:, own], before[0, [2, 3, 5]][:, own])
    torch.testing.assert_close(xyz[1], before[1])
    centres = bodies.centres(after.origin_SL3) - bodies.centres(pose.origin_SL3)
    torch.testing.assert_close(centres[0, 0], torch.tensor([4.0, 0.5, -2.0], dtype=torch.float64))
    assert centres[0, 1:].abs().max() < 1e-12
    turn_angle = Rotation.from_matrix((after.rotation_SL33[0, 0] @ pose.rotation_SL33[0, 0].mT).numpy()).magnitude()
    lever = bodies.levers(pose.origin_SL3)[0, 0].item()
    assert turn_angle == pytest.approx(np.sqrt(14.0) / lever)


def test_a_lever_is_how_far_a_bodys_residues_move_by_a_radian():
    origin = torch.tensor([[[0.0, 0, 0], [6.0, 0, 0], [50.0, 0, 0]]], dtype=torch.float64)
    bodies = Bodies(body_L=torch.tensor([0, 0, 1]), count=2)
    expected = [np.hypot(3.0, TURN_LEVER), TURN_LEVER]
    assert bodies.levers(origin)[0].tolist() == pytest.approx(expected)
    assert bodies.centres(origin)[0].tolist() == [[3.0, 0, 0], [50.0, 0, 0]]


def test_torsion_steps_turn_torsions_by_their_lever(a_strand):
    _, pose = a_strand("GAC", 2)
    bodies = each_alone(3)
    step = torch.zeros(2, step_size(3, bodies), dtype=torch.float64)
    step[1, 18 + 4 + 2] = 1.0  # sample 1, residue 1, β
    change = moved(pose, step, bodies).torsion_SL4 - pose.torsion_SL4
    assert change.nonzero().tolist() == [[1, 1, 2]]
    assert change[1, 1, 2].item() == pytest.approx(1 / TORSION_LEVER)


def test_choosing_samples_of_a_pose_keeps_their_order(a_strand):
    shape, pose = a_strand("GAC", 3, 1.0)
    chosen = pose.sample(torch.tensor([2, 0]))
    torch.testing.assert_close(chosen.atoms(shape), pose.atoms(shape)[[2, 0]])


def hairpin_model(a_strand, noise: float, samples: int = 1):
    """Energy of a 4-pair stem with a loop of four, and a strand stacked straight as the start."""
    sequence, partner = "GGACUUCGGUCC", np.array([11, 10, 9, 8, -1, -1, -1, -1, 3, 2, 1, 0])
    shape, pose = a_strand(sequence, samples, noise)
    stems = stem_relations(sequence, partner, 20.0, pose.origin_SL3)
    none = stem_relations(sequence, np.full(12, -1), 20.0, pose.origin_SL3)
    return EnergyModel(shape=shape, table=contact_table(sequence), stems=stems, loops=none), pose


def test_relaxing_lowers_the_energy_and_closes_links_and_pairs(a_strand):
    model, pose = hairpin_model(a_strand, 0.3)
    weights = Weights(link_torsion=0.0)
    relaxed = relax(model, pose, each_alone(12), [(weights, 150)])

    def total(p: Pose) -> float:
        contacts = list_contacts(p.atoms(model.shape), model.table, 1.0)
        return sum(term.item() for term in model.terms(p, contacts, weights).values())

    assert total(relaxed) < 0.2 * total(pose)
    before, after = (relation_energy(p.frame, model.stems, 1.0).item() for p in (pose, relaxed))
    assert after < 0.5 * before
    gaps = [largest_gap(p.atoms(model.shape)).item() for p in (pose, relaxed)]
    assert gaps[1] < 0.3 * gaps[0]
    assert relax(model, pose, each_alone(12), []) is pose


def test_terms_scale_with_their_weights_and_vanish_at_zero(a_strand):
    model, pose = hairpin_model(a_strand, 0.5)
    contacts = list_contacts(pose.atoms(model.shape), model.table, 1.0)
    weights = Weights(compactness=0.5, anchor=0.25)
    anchor = pose.atoms(model.shape) + 1.0
    once = model.terms(pose, contacts, weights, anchor)
    assert set(once) == {"link", "stem", "loop", "contact", "compactness", "anchor"}
    heavier = {name: 3 * getattr(weights, name) for name in once}
    thrice = model.terms(pose, contacts, dataclasses.replace(weights, **heavier), anchor)
    for name, value in once.items():
        assert value.item() > 0 or name in ("compactness", "loop")
        torch.testing.assert_close(thrice[name], 3 * value)
    assert once["anchor"].item() == pytest.approx(0.25 * 3 * 12 * 23)
    without = model.terms(pose, contacts, Weights(), anchor)
    assert set(without) == {"link", "stem", "loop", "contact"}


def test_an_anchor_draws_every_atom_to_its_place(a_strand):
    model, pose = hairpin_model(a_strand, 0.3)
    target = pose.atoms(model.shape)
    step = torch.randn(
        1, step_size(12, each_alone(12)), dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )
    away = moved(pose, step * 0.5, each_alone(12))
    off = (away.atoms(model.shape) - target).norm(dim=-1).max()
    weights = Weights(link=0.0, stem=0.0, contact=0.0, anchor=10.0)
    back = relax(model, away, each_alone(12), [(weights, 100)], target)
    assert off > 1.0
    assert (back.atoms(model.shape) - target).norm(dim=-1).max() < 0.05


def test_relaxed_residues_keep_their_ideal_geometry(a_strand):
    model, pose = hairpin_model(a_strand, 0.3)
    xyz = relax(model, pose, each_alone(12), [(Weights(link_torsion=0.0), 60)]).atoms(model.shape)
    report = geometry_report(whole_structure("x", "GGACUUCGGUCC", xyz[0].numpy()))
    assert report.inverted == 0
    assert report.nonplanar == 0


def test_settling_goes_on_with_the_samples_that_are_not_good_and_leaves_the_others(a_strand):
    model, pose = hairpin_model(a_strand, 0.3, samples=2)
    first = pose.atoms(model.shape)[0]
    seen = []

    def only_the_first(xyz: torch.Tensor) -> bool:
        seen.append(xyz)
        return torch.equal(xyz, first)

    settled = settle(model, pose, [(Weights(link_torsion=0.0), 5)], only_the_first, rounds=2)
    assert torch.equal(settled.atoms(model.shape)[0], first)
    assert largest_gap(settled.atoms(model.shape))[1] != largest_gap(pose.atoms(model.shape))[1]
    once = settle(model, pose, [(Weights(link_torsion=0.0), 5)], only_the_first, rounds=1)
    assert not torch.equal(once.origin_SL3[1], settled.origin_SL3[1])
    assert settle(model, pose, [(Weights(), 5)], lambda xyz: True, rounds=3) is pose
    assert len(seen) == 6
