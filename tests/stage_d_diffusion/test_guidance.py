"""Reading molecules off atoms, guidance of a denoiser's answers, and the refinement that ends a sample."""

import dataclasses

import numpy as np
import pytest
import torch

from rna_predict.chemistry.residues import C1, O3, P
from rna_predict.contracts.structure import full_mask
from rna_predict.evaluation.geometry_report import model_report
from rna_predict.geometry.superpose import rmsd, superpose
from rna_predict.nn.featurise import featurise
from rna_predict.nn.slots import from_slots, to_slots
from rna_predict.stage_d_diffusion.analytic import stage_c_pose
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.fitting import Puckers, credible_puckers, fit_molecules, looks_bonded, molecules
from rna_predict.stage_d_diffusion.guidance import GuidedDenoiser, guiding_energy
from rna_predict.stage_d_diffusion.refinement import refine
from rna_predict.stage_d_diffusion.sampler import Af3Settings, SeededDraws, af3_schedule, rotation_of, sample

CONFIG = StageDConfig()


@pytest.fixture(scope="module")
def truth(hairpin):
    """Stage C's model, one sample."""
    pose, phase_L, amplitude_L = stage_c_pose(hairpin.coordinates)
    puckers = Puckers(phase=phase_L[None], amplitude=amplitude_L[None])
    return molecules(hairpin.sequence.sequence, pose, puckers)


@pytest.fixture(scope="module")
def features(hairpin):
    return featurise(hairpin.sequence.sequence, seed=0)


def clean(truth, samples: int = 1) -> torch.Tensor:
    return truth.atoms().expand(samples, -1, -1, -1)


def noisy(truth, sigma: float, samples: int = 1) -> torch.Tensor:
    noise = torch.randn(samples, *truth.atoms().shape[1:], generator=torch.Generator().manual_seed(2))
    return clean(truth, samples) + sigma * noise * truth.shape.mask_LA[..., None]


def guided(hairpin, truth, features, answer=None, **settings) -> GuidedDenoiser:
    config = dataclasses.replace(CONFIG, **settings)
    return GuidedDenoiser(
        sequence=hairpin.sequence.sequence,
        denoise=lambda flat_SA3, sigma: flat_SA3,
        energy=guiding_energy(hairpin.adjacency, hairpin.embeddings, truth.shape, config),
        features=features,
        config=config,
        puckers=truth.puckers,
        answer=answer,
    )


def turned(xyz: torch.Tensor) -> torch.Tensor:
    rotation = rotation_of(torch.tensor([[0.3, -0.5, 0.7, 0.2]]))[0]
    mask = (xyz != 0).any(-1, keepdim=True)
    return (xyz @ rotation.mT + torch.tensor([3.0, -8.0, 5.0])) * mask


def off(first: torch.Tensor, second: torch.Tensor, truth) -> float:
    return (first - second)[..., truth.shape.mask_LA, :].norm(dim=-1).max().item()


def test_ideal_molecules_come_back_from_their_atoms_with_puckers_of_their_own(hairpin, truth):
    phase = torch.stack([truth.puckers.phase[0], truth.puckers.phase[0] + 2.5])
    both = molecules(
        truth.sequence, truth.pose.sample(torch.tensor([0, 0])), Puckers(phase=phase, amplitude=phase * 0 + 0.65)
    )
    xyz = turned(both.atoms())
    assert off(xyz[:1], xyz[1:], truth) > 0.5
    elsewhere = Puckers(phase=phase + 1.0, amplitude=phase * 0 + 0.5)
    assert off(fit_molecules(truth.sequence, xyz, elsewhere).atoms(), xyz, truth) < 0.01
    assert looks_bonded(truth.sequence, xyz).all()
    assert off(both.select(torch.tensor([1])).atoms(), both.atoms()[1:], truth) < 1e-5
    assert off(both.moved_onto(xyz).atoms(), xyz, truth) < 0.01


def test_a_ribose_that_is_none_gets_the_pucker_of_the_fallback(truth):
    xyz = clean(truth).clone()
    xyz[0, 4, C1] += 0.4
    otherwise = Puckers(phase=truth.puckers.phase * 0 + 2.0, amplitude=truth.puckers.amplitude * 0 + 0.6)
    found = credible_puckers(truth.sequence, xyz, otherwise)
    others = np.delete(np.arange(12), 4)
    assert found.phase[0, 4].item() == 2.0
    assert (found.phase - truth.puckers.phase)[0, others].abs().max() < 1e-3
    assert looks_bonded(truth.sequence, xyz)[0].tolist() == [k != 4 for k in range(12)]


def test_a_good_answer_is_hardly_changed_however_it_lies(hairpin, truth, features):
    for answer in (None, truth):
        flat = from_slots(turned(clean(truth)), features)
        found = guided(hairpin, truth, features, answer)(flat, 0.05)
        assert (found - flat).norm(dim=-1).max() < 0.25


def test_guidance_makes_a_molecule_of_noise_and_stops_where_it_is_told(hairpin, truth, features):
    flat = from_slots(turned(noisy(truth, 1.0, 2)), features)
    both = truth.select(torch.tensor([0, 0]))
    raw = [model_report(truth.sequence, xyz.numpy()) for xyz in to_slots(flat, features)]
    found = guided(hairpin, truth, features, both)(flat, 1.0)
    ended = [model_report(truth.sequence, xyz.numpy()) for xyz in to_slots(found, features)]
    assert min(report.bonds.breaks for report in raw) > 3
    assert min(report.clashes for report in raw) > 20
    assert [report.faults for report in ended] == ["", ""]
    assert max(report.clashes for report in ended) < 8
    assert max(report.bonds.bond_max for report in ended) < 0.3
    assert (found - flat).square().sum(-1).mean().sqrt() < 2.0  # √3 Å of it is the noise
    above = guided(hairpin, truth, features, both, guidance_below=0.9)
    assert torch.equal(above(flat, 1.0), flat)


def test_samples_are_guided_apart_from_each_other(hairpin, truth, features):
    flat = from_slots(noisy(truth, 1.0, 2), features)
    together = guided(hairpin, truth, features, truth.select(torch.tensor([0, 0])))(flat, 1.0)
    alone = guided(hairpin, truth, features, truth)(flat[1:], 1.0)
    assert (together[1:] - alone).abs().max() < 0.05  # rounding grows with the iterations
    assert (together[0] - together[1]).abs().max() > 0.3


def test_residues_that_look_bonded_are_read_off_the_answer_and_others_go_on_from_the_last(hairpin, truth, features):
    """A flipped base is taken over from clean atoms at once; from noise it is not."""
    other = dataclasses.replace(truth.pose, torsion_SL4=truth.pose.torsion_SL4.clone())
    other.torsion_SL4[0, 5, 0] += 2.5
    last = dataclasses.replace(truth, pose=other)
    wrong = off(last.atoms()[:, 5:6], clean(truth)[:, 5:6], dataclasses.replace(truth, shape=_row(truth.shape, 5)))
    assert wrong > 3.0
    one = guided(hairpin, truth, features, last, guidance_iterations=1)
    found = to_slots(one(from_slots(clean(truth), features), 0.2), features)
    assert off(found, clean(truth), truth) < 0.5
    one = guided(hairpin, truth, features, last, guidance_iterations=1)
    found = to_slots(one(from_slots(noisy(truth, 1.5), features), 4.0), features)
    assert rmsd(found[0, 5, :12], last.atoms()[0, 5, :12]) < 0.3


def _row(shape, residue: int):
    return dataclasses.replace(shape, mask_LA=shape.mask_LA[residue : residue + 1])


def test_guidance_forms_the_pairs_of_stage_a(hairpin, truth, features):
    apart = dataclasses.replace(truth.pose, origin_SL3=truth.pose.origin_SL3.clone())
    across = truth.atoms()[0, 11, C1] - truth.atoms()[0, 0, C1]
    apart.origin_SL3[0, 11] += 4.0 * across / across.norm()
    start = dataclasses.replace(truth, pose=apart)
    flat = from_slots(start.atoms(), features)
    with_pairs = guided(hairpin, truth, features, start, guidance_iterations=20)
    opened = hairpin.adjacency.partner_L.copy()
    opened[[0, 11]] = -1
    without = dataclasses.replace(hairpin, adjacency=dataclasses.replace(hairpin.adjacency, partner_L=opened))
    gaps = []
    for one in (with_pairs, guided(without, truth, features, start, guidance_iterations=20)):
        xyz = to_slots(one(flat, 2.0), features)[0]
        gaps.append((xyz[0, C1] - xyz[11, C1]).norm().item())
    assert gaps[0] == pytest.approx(across.norm().item(), abs=0.8)
    assert gaps[1] > gaps[0] + 1.5


def test_the_distogram_guides_only_where_it_is_asked_to(hairpin, truth):
    for weight in (0.0, 0.5):
        config = dataclasses.replace(CONFIG, guidance_distance_weight=weight)
        energy = guiding_energy(hairpin.adjacency, hairpin.embeddings, truth.shape, config)
        assert bool(energy.distances) == (weight > 0)
        assert len(energy.loops.first) == 0
        assert energy.torsions is None


@pytest.fixture(scope="module")
def energy(hairpin, truth):
    return guiding_energy(hairpin.adjacency, hairpin.embeddings, truth.shape, CONFIG)


def test_refinement_hardly_moves_a_good_structure(truth, energy):
    refined = refine(truth.sequence, turned(clean(truth)), truth.puckers, energy, 100)
    assert refined.drift_S.item() < 0.2
    before, after = turned(clean(truth)), refined.xyz_SLA3
    moved = (after - before)[:, truth.shape.mask_LA].square().sum(-1).mean().sqrt()
    assert refined.drift_S.item() == pytest.approx(moved.item())
    assert model_report(truth.sequence, after[0].numpy()).settled
    assert set(refined.terms) == {"link", "stem", "loop", "contact"}


def test_refinement_closes_broken_chains_and_parts_clashes_next_to_where_they_were(truth, energy):
    xyz = torch.cat([noisy(truth, 0.15), clean(truth)])
    xyz[1, 6:] += torch.tensor([2.5, 1.0, 0.0]) * truth.shape.mask_LA[6:, :, None]
    assert (xyz[1, 5, O3] - xyz[1, 6, P]).norm() > 2.5
    puckers = Puckers(phase=truth.puckers.phase.expand(2, -1), amplitude=truth.puckers.amplitude.expand(2, -1))
    refined = refine(truth.sequence, xyz, puckers, energy, 100)
    for drift, found in zip(refined.drift_S, refined.xyz_SLA3, strict=True):
        report = model_report(truth.sequence, found.numpy())
        assert report.faults == ""
        assert report.acceptable
        assert drift < 1.2
        assert not found[~torch.from_numpy(full_mask(truth.sequence))].any()
    alone = refine(truth.sequence, xyz[:1], truth.puckers, energy, 100)
    assert off(alone.xyz_SLA3, refined.xyz_SLA3[:1], truth) < 0.1


def test_a_perfect_network_is_hardly_disturbed_by_guidance_and_refinement(hairpin, truth, features, energy):
    """AF3's sampler in few steps, from noise, with a denoiser that knows the structure but not how it lies."""
    flat = from_slots(clean(truth), features)

    def oracle(noisy_SA3: torch.Tensor, sigma: float) -> torch.Tensor:
        both = flat.expand_as(noisy_SA3)
        return superpose(both, noisy_SA3).apply(both)

    denoise = dataclasses.replace(guided(hairpin, truth, features), denoise=oracle)
    schedule = af3_schedule(Af3Settings(steps=12, churn=0.0, step_scale=1.0))
    draws = SeededDraws([torch.Generator().manual_seed(1)])
    xyz = to_slots(sample(denoise, torch.zeros_like(flat), schedule, draws), features)
    mask = truth.shape.mask_LA
    assert rmsd(xyz[0][mask], clean(truth)[0][mask]) < 0.2
    refined = refine(truth.sequence, xyz, truth.puckers, energy, 60)
    assert rmsd(refined.xyz_SLA3[0][mask], clean(truth)[0][mask]) < 0.25
