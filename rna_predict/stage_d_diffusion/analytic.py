"""The denoiser without learned weights: the most probable molecule under the analytic energy, given noisy atoms."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rna_predict.chemistry.chains import linked
from rna_predict.contracts import Adjacency, Coordinates, Embeddings
from rna_predict.contracts.structure import full_mask
from rna_predict.energy.contacts import contact_table, list_contacts
from rna_predict.energy.model import EnergyModel, Weights, relax, settle
from rna_predict.energy.pose import Bodies, Pose, each_alone, moved, step_size
from rna_predict.energy.priors import TorsionPrior, distance_priors
from rna_predict.energy.relations import Relations
from rna_predict.energy.stems import as_found, stem_relations, unstacked_neighbours
from rna_predict.evaluation.geometry_report import model_report
from rna_predict.geometry.frames import Frame, base_frame
from rna_predict.geometry.helix import at, relative
from rna_predict.geometry.nucleotide import fourth_slots, link_torsions, nucleotide_shape, torsions_of
from rna_predict.geometry.torsions import measure_pucker
from rna_predict.stage_d_diffusion.config import StageDConfig

KEEP_TORSION = 3.0
"""Weight of stage C's torsions: soft enough for a rotamer change, which costs at most twice this."""

SOFT = Weights(link=50.0, link_slack=1.0, contact=10.0, margin=-0.4, loop_slack=1.5, link_torsion=0.0)
"""While the noise is large: atoms may pass each other."""

HARD = Weights(link=100.0, link_slack=2.0, contact=200.0, margin=0.2, stem=0.6, loop=0.5, loop_slack=0.5)
"""While the noise is small."""

FINAL = Weights(link=1500.0, link_slack=5.0, contact=600.0, margin=0.12, stem=0.6, loop=0.5, loop_slack=0.5)
"""The end: ideal links and no overlaps."""

STEM_LIMIT = 6.0
"""Å by which stems of a model of stage C that is not strained may be off A-form and are kept; others are asked to be
A-form."""

ROUNDS = 3
"""Extra rounds of refinement for a sample that is not settled."""

SOFT_ABOVE = 1.0
"""Å of noise above which atoms may pass each other."""


def stage_c_pose(coordinates: Coordinates) -> tuple[Pose, Tensor, Tensor]:
    """Stage C's model as a pose of one sample, with the phase and amplitude of its puckers, each [L].

    Atoms come back exactly when C built them with ideal geometry; others are met as nearly as that allows.
    """
    xyz = torch.from_numpy(coordinates.xyz_LA3.copy())
    mask = torch.from_numpy(full_mask(coordinates.sequence))
    frame, _ = base_frame(xyz, mask, coordinates.sequence)
    phase, amplitude, _ = measure_pucker(xyz, mask, coordinates.sequence)
    torsions = torsions_of(xyz, fourth_slots(coordinates.sequence))
    pose = Pose(rotation_SL33=frame.rotation[None], origin_SL3=frame.origin[None], torsion_SL4=torsions[None])
    return pose, phase, amplitude


def energy_model(
    adjacency: Adjacency, embeddings: Embeddings, coordinates: Coordinates, config: StageDConfig
) -> tuple[EnergyModel, Pose]:
    """The terms of stage D, and stage C's model as the pose to start from.

    Stage A gives the stems, stage B the distances, stage C the local geometry, of stems where it is near to A-form.
    """
    pose, phase, amplitude = stage_c_pose(coordinates)
    shape = nucleotide_shape(coordinates.sequence, phase, amplitude)
    stems = stem_relations(coordinates.sequence, adjacency.partner_L, config.stem_weight, phase)
    if model_report(coordinates.sequence, coordinates.xyz_LA3, coordinates.breaks).settled:
        there_L = torch.ones(len(coordinates.sequence), dtype=torch.bool)
        stems = as_found(stems, Frame(pose.rotation_SL33[0], pose.origin_SL3[0]), there_L, STEM_LIMIT)
    linked_L1 = torch.from_numpy(linked(coordinates.length, coordinates.breaks))[:, None]
    own, link = pose.torsion_SL4[0, :, :3], link_torsions(pose.atoms(shape))[0]
    model = EnergyModel(
        shape=shape,
        table=contact_table(coordinates.sequence, coordinates.breaks),
        stems=stems,
        loops=_kept_steps(pose, unstacked_neighbours(adjacency.partner_L, adjacency.breaks), config.loop_weight),
        torsions=TorsionPrior(
            own_L3=own,
            own_weight_L3=torch.full_like(own, KEEP_TORSION),
            link_L3=link,
            link_weight_L3=KEEP_TORSION * linked_L1.expand_as(link).to(link),
        ),
        distances=distance_priors(embeddings),
        breaks=coordinates.breaks,
    )
    return model, pose


def _kept_steps(pose: Pose, first: Tensor, weight: float) -> Relations:
    """Stage C's steps from residues `first` to the next, which are not stacked pairs of one stem."""
    pose_frame = Frame(pose.rotation_SL33[0], pose.origin_SL3[0])
    found = relative(at(pose_frame, first), at(pose_frame, first + 1))
    return Relations(
        first=first,
        second=first + 1,
        rotation_N33=found[0],
        origin_N3=found[1],
        weight_N=torch.full((len(first),), weight).to(found.origin),
    )


def scattered(
    pose: Pose, bodies: Bodies, config: StageDConfig, generators: list[torch.Generator], keep_first: bool
) -> Pose:
    """One sample for each generator with every body of two or more residues moved; `keep_first` leaves the first."""
    samples, length = len(generators), pose.origin_SL3.shape[1]
    many = pose.sample(torch.zeros(samples, dtype=torch.int64))
    step = many.origin_SL3.new_zeros(samples, step_size(length, bodies))
    lever = bodies.levers(many.origin_SL3)
    moving = (torch.bincount(bodies.body_L, minlength=bodies.count) > 1).to(step)[:, None]
    for index, generator in enumerate(generators):
        if keep_first and index == 0:
            continue
        noise = torch.randn(bodies.count, 6, generator=generator).to(step) * moving
        noise[:, :3] *= config.stem_turn * lever[index][:, None]
        noise[:, 3:] *= config.stem_shift
        step[index, : 6 * bodies.count] = noise.reshape(-1)
    return moved(many, step, bodies)


@dataclass(slots=True, kw_only=True)
class AnalyticDenoiser:
    """The proximal step of the energy: argmin E(x) + |x - noisy|² / (2σ²) over molecules with ideal geometry.

    With E = -log p this is the most probable clean molecule given the noisy one, where a learned denoiser gives the
    mean. The minimiser starts from the last answer (`pose`), so noise larger than a residue does not tear it apart.

    Attributes:
        model: the energy.
        pose: the answer so far, S samples.
        config: weights and iterations.
    """

    model: EnergyModel
    pose: Pose
    config: StageDConfig

    def __call__(self, noisy_SLA3: Tensor, sigma: float) -> Tensor:
        """Clean coordinates, [S, L, MAX_ATOMS, 3]."""
        bodies = each_alone(self.pose.origin_SL3.shape[1])
        base = SOFT if sigma > SOFT_ABOVE else HARD
        weights = replace(base, distance=self.config.distance_weight, anchor=1 / (2 * sigma**2))
        self.pose = relax(self.model, self.pose, bodies, [(weights, self.config.iterations)], noisy_SLA3)
        return self.pose.atoms(self.model.shape)

    def finish(self, good: Callable[[Tensor], bool]) -> Tensor:
        """End each sample with closed links and without overlaps; coordinates [S, L, MAX_ATOMS, 3].

        Samples whose atoms [L, MAX_ATOMS, 3] are not `good` go through it again, at most `ROUNDS` times.
        """
        bodies = each_alone(self.pose.origin_SL3.shape[1])
        half = self.config.refine_iterations // 2
        distance = {"distance": self.config.distance_weight}
        schedule = [(replace(HARD, **distance), half), (replace(FINAL, **distance), half)]
        self.pose = settle(self.model, relax(self.model, self.pose, bodies, schedule), schedule, good, ROUNDS)
        return self.pose.atoms(self.model.shape)

    def terms(self) -> dict[str, Tensor]:
        """Unweighted-by-schedule energy terms of the finished samples, each [S]: those of `HARD`."""
        contacts = list_contacts(self.pose.atoms(self.model.shape), self.model.table, 1.0)
        weights = replace(HARD, distance=self.config.distance_weight)
        return {name: value.detach() for name, value in self.model.terms(self.pose, contacts, weights).items()}
