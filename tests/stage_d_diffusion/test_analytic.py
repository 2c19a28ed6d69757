"""The analytic denoiser and the pose that it starts from."""

import dataclasses

import numpy as np
import pytest
import torch

from rna_predict.contracts.structure import full_mask, whole_structure
from rna_predict.energy.stems import stem_bodies
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.geometry.nucleotide import nucleotide_shape
from rna_predict.geometry.superpose import rmsd
from rna_predict.stage_d_diffusion.analytic import AnalyticDenoiser, energy_model, scattered, stage_c_pose
from rna_predict.stage_d_diffusion.config import StageDConfig

QUIET = StageDConfig(iterations=12)


def denoiser(hairpin, samples: int = 1, config: StageDConfig = QUIET) -> AnalyticDenoiser:
    model, pose = energy_model(hairpin.adjacency, hairpin.embeddings, hairpin.coordinates, config)
    return AnalyticDenoiser(model=model, pose=pose.sample(torch.zeros(samples, dtype=torch.int64)), config=config)


def noisy(hairpin, sigma: float, samples: int = 1) -> torch.Tensor:
    clean = torch.from_numpy(hairpin.coordinates.xyz_LA3.copy()).expand(samples, -1, -1, -1)
    mask = torch.from_numpy(full_mask(hairpin.sequence.sequence))[..., None]
    return clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(4)) * mask


def test_stage_cs_atoms_come_back_from_its_pose(hairpin):
    pose, phase, amplitude = stage_c_pose(hairpin.coordinates)
    xyz = pose.atoms(nucleotide_shape(hairpin.sequence.sequence, phase, amplitude))[0].numpy()
    off = np.linalg.norm(xyz - hairpin.coordinates.xyz_LA3, axis=-1)
    assert off[full_mask(hairpin.sequence.sequence)].max() < 0.01


def test_small_noise_is_hardly_touched_and_taken_away(hairpin):
    clean = torch.from_numpy(hairpin.coordinates.xyz_LA3.copy())
    mask = torch.from_numpy(full_mask(hairpin.sequence.sequence))
    found = denoiser(hairpin)(noisy(hairpin, 0.05), 0.05)[0]
    assert (found - clean)[mask].norm(dim=-1).max() < 0.3
    before = (noisy(hairpin, 0.05)[0] - clean)[mask].norm(dim=-1).mean()
    assert (found - clean)[mask].norm(dim=-1).mean() < before


def test_a_molecule_shifted_at_small_noise_is_followed(hairpin):
    """At small σ the denoiser must believe where the atoms are, whatever its own last answer was."""
    shift = torch.tensor([0.6, -0.3, 0.4])
    clean = torch.from_numpy(hairpin.coordinates.xyz_LA3.copy())
    mask = torch.from_numpy(full_mask(hairpin.sequence.sequence))
    found = denoiser(hairpin)((clean + shift)[None] * mask[..., None], 0.05)[0]
    assert (found - clean - shift)[mask].norm(dim=-1).mean() < 0.15


def test_large_noise_leaves_a_molecule(hairpin):
    config = dataclasses.replace(QUIET, iterations=30)
    found = denoiser(hairpin, config=config)(noisy(hairpin, 4.0), 4.0)[0]
    report = geometry_report(whole_structure("x", hairpin.sequence.sequence, found.numpy()))
    assert report.bonds.breaks == 0
    assert report.inverted == 0
    assert report.nonplanar == 0
    clean = torch.from_numpy(hairpin.coordinates.xyz_LA3.copy())
    mask = torch.from_numpy(full_mask(hairpin.sequence.sequence))
    before, after = (rmsd(x[mask], clean[mask]).item() for x in (noisy(hairpin, 4.0)[0], found))
    assert after < 0.4 * before


def test_the_denoisers_samples_are_independent(hairpin):
    both = noisy(hairpin, 1.0, samples=2)
    together = denoiser(hairpin, samples=2)(both, 1.0)
    alone = denoiser(hairpin)(both[1:], 1.0)
    # float32, so rounding grows a little with the iterations
    assert (together[1] - alone[0]).abs().max() < 0.05
    assert (together[0] - together[1]).abs().max() > 0.1


def test_only_the_first_sample_starts_as_stage_c_left_it_and_stems_move_as_one(hairpin):
    _, pose = energy_model(hairpin.adjacency, hairpin.embeddings, hairpin.coordinates, QUIET)
    bodies = stem_bodies(hairpin.adjacency.partner_L)
    config = StageDConfig(stem_shift=2.0, stem_turn=0.3)
    many = scattered(pose, bodies, config, seeded(0, 1, 2), True)
    torch.testing.assert_close(many.origin_SL3[0], pose.origin_SL3[0], atol=1e-4, rtol=0)
    stem, loop = [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7]
    for sample in (1, 2):
        torch.testing.assert_close(many.origin_SL3[sample, loop], pose.origin_SL3[0, loop], atol=1e-4, rtol=0)
        moved = (many.origin_SL3[sample, stem] - pose.origin_SL3[0, stem]).norm(dim=-1)
        assert moved.min() > 0.2
        assert rmsd(many.origin_SL3[sample, stem], pose.origin_SL3[0, stem]) < 1e-3
    again = scattered(pose, bodies, config, seeded(7, 1), False)
    torch.testing.assert_close(again.origin_SL3[1], many.origin_SL3[1])  # by its seed, not its neighbours'
    assert (again.origin_SL3[0, stem] - pose.origin_SL3[0, stem]).norm(dim=-1).min() > 0.2
    still = scattered(pose, bodies, StageDConfig(stem_shift=0.0, stem_turn=0.0), seeded(1, 2), False)
    torch.testing.assert_close(still.origin_SL3[1], pose.origin_SL3[0], atol=1e-4, rtol=0)


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("sigma", [0.05, 4.0])
def test_the_answer_is_the_pose_that_the_next_step_starts_from(hairpin, sigma):
    one = denoiser(hairpin)
    found = one(noisy(hairpin, sigma), sigma)
    torch.testing.assert_close(one.pose.atoms(one.model.shape), found)
