"""The analytic energy of a pose: one sum, with weights that a schedule may change."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rna_predict.energy.contacts import ContactList, ContactTable, contact_energy, list_contacts, particles
from rna_predict.energy.links import link_energy
from rna_predict.energy.minimise import lbfgs
from rna_predict.energy.pose import Bodies, Pose, each_alone, moved, step_size
from rna_predict.energy.priors import (
    DistancePrior,
    TorsionPrior,
    compactness_energy,
    distance_energy,
    link_torsion_energy,
    own_torsion_energy,
)
from rna_predict.energy.relations import Relations, relation_energy
from rna_predict.geometry.nucleotide import NucleotideShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weights of the terms; energies are in units of about kT at the end of a schedule."""

    link: float = 100.0
    """Of the O3'-P link, per Å²."""
    link_slack: float = 0.5
    """Å at which a link turns from quadratic to linear."""
    stem: float = 1.0
    """Of the base relations in stems."""
    stem_slack: float = 2.0
    """Å at which a stem's relation turns from quadratic to linear."""
    loop: float = 1.0
    """Of the base relations between neighbours in loops."""
    loop_slack: float = 1.0
    """Å at which a loop's relation turns from quadratic to linear."""
    contact: float = 20.0
    """Of overlaps, per Å²."""
    margin: float = 0.1
    """Å added to every contact distance; negative early on."""
    torsion: float = 1.0
    """Of the prior on χ, γ, β."""
    link_torsion: float = 1.0
    """Of the prior on ε, ζ, α; zero while links are open."""
    distance: float = 0.0
    """Of the distogram."""
    compactness: float = 0.0
    """Of the radius of gyration, per Å²."""
    anchor: float = 0.0
    """Of the distance to the anchor coordinates, per Å² and atom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyModel:
    """Everything the energy needs to know about one RNA.

    Attributes:
        shape: rigid parts of its residues.
        table: particles for the contacts.
        stems: what the secondary structure asks of the bases.
        loops: how neighbours in loops are expected to lie.
        torsions: von Mises terms, or None.
        distances: the distograms, one for each kind of atoms; their energies are averaged.
        breaks: first residue of each chain but the first, which no link leads to.
    """

    shape: NucleotideShape
    table: ContactTable
    stems: Relations
    loops: Relations
    torsions: TorsionPrior | None = None
    distances: tuple[DistancePrior, ...] = ()
    breaks: tuple[int, ...] = ()

    def terms(
        self, pose: Pose, contacts: ContactList, weights: Weights, anchor_SLA3: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Weighted terms of each sample, each [S]; a term of weight zero is left out."""
        xyz = pose.atoms(self.shape)
        found = {
            "link": weights.link * link_energy(xyz, weights.link_slack, self.breaks),
            "stem": weights.stem * relation_energy(pose.frame, self.stems, weights.stem_slack),
            "loop": weights.loop * relation_energy(pose.frame, self.loops, weights.loop_slack),
            "contact": weights.contact * contact_energy(particles(xyz, self.table), contacts, weights.margin),
        }
        if self.torsions is not None and weights.torsion:
            found["torsion"] = weights.torsion * own_torsion_energy(pose.torsion_SL4, self.torsions)
        if self.torsions is not None and weights.link_torsion:
            found["link_torsion"] = weights.link_torsion * link_torsion_energy(xyz, self.torsions)
        if self.distances and weights.distance:
            energies = torch.stack([distance_energy(xyz, one) for one in self.distances])
            found["distance"] = weights.distance * energies.mean(0)
        if weights.compactness:
            found["compactness"] = weights.compactness * compactness_energy(xyz)
        if anchor_SLA3 is not None and weights.anchor:
            found["anchor"] = weights.anchor * (xyz - anchor_SLA3).square().sum((-1, -2, -3))
        return found


def relax(
    model: EnergyModel,
    pose: Pose,
    bodies: Bodies,
    schedule: list[tuple[Weights, int]],
    anchor_SLA3: Tensor | None = None,
) -> Pose:
    """Minimise the energy through a schedule of (weights, iterations).

    The neighbour list is renewed every `RENEW` iterations. Atoms that come from further away than its skin in between
    are met only after the next renewal, so a schedule ends with iterations in which little moves.
    """
    for weights, steps in schedule:
        for start in range(0, steps, RENEW):
            pose = _descend(model, pose, bodies, weights, min(RENEW, steps - start), anchor_SLA3)
    return pose


def settle(
    model: EnergyModel, pose: Pose, schedule: list[tuple[Weights, int]], good: Callable[[Tensor], bool], rounds: int
) -> Pose:
    """Run the schedule again, at most `rounds` times, on the samples whose atoms [L, MAX_ATOMS, 3] are not `good`."""
    alone = each_alone(pose.origin_SL3.shape[1])
    for _ in range(rounds):
        bad = torch.tensor([k for k, xyz in enumerate(pose.atoms(model.shape)) if not good(xyz)], dtype=torch.int64)
        if not len(bad):
            break
        pose = pose.with_samples(bad, relax(model, pose.sample(bad), alone, schedule))
    return pose


RENEW = 100
"""Iterations between two neighbour lists."""

SKIN = 1.2
"""Å beyond reach that a neighbour list covers."""


def _descend(
    model: EnergyModel, pose: Pose, bodies: Bodies, weights: Weights, steps: int, anchor_SLA3: Tensor | None
) -> Pose:
    contacts = list_contacts(pose.atoms(model.shape), model.table, SKIN + max(weights.margin, 0.0))
    samples, length = pose.origin_SL3.shape[:2]

    def energy(step_SD: Tensor) -> Tensor:
        terms = model.terms(moved(pose, step_SD, bodies), contacts, weights, anchor_SLA3)
        return torch.stack(list(terms.values())).sum(0)

    start = pose.origin_SL3.new_zeros(samples, step_size(length, bodies))
    step, _ = lbfgs(energy, start, steps, largest_move=0.5)
    return moved(pose, step, bodies)
