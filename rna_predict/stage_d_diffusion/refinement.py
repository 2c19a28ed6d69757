"""The end of a sample: the nearest whole molecule with ideal geometry, moved as little as that takes."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rna_predict.contracts.structure import full_mask
from rna_predict.energy.contacts import list_contacts
from rna_predict.energy.model import EnergyModel, Weights, relax
from rna_predict.energy.pose import each_alone
from rna_predict.evaluation.geometry_report import model_report
from rna_predict.stage_d_diffusion.analytic import FINAL, HARD
from rna_predict.stage_d_diffusion.fitting import Molecules, Puckers, fit_molecules

ANCHORS = (4.0, 1.0, 0.1, 0.0)
"""Weights per Å² and atom that hold a sample where it is; each is tried on the samples that the one before left with
stretched bonds or clashes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refined:
    """Samples with ideal geometry.

    Attributes:
        xyz_SLA3: atoms, Å.
        drift_S: root mean square distance in Å from the atoms before.
        terms: energy terms of each sample, each [S].
    """

    xyz_SLA3: Tensor
    drift_S: Tensor
    terms: dict[str, Tensor]


def refine(
    sequence: str, xyz_SLA3: Float[Tensor, "s l a 3"], puckers: Puckers, energy: EnergyModel, iterations: int
) -> Refined:
    """End each sample with closed links and without overlaps.

    Args:
        sequence: letters A C G U.
        xyz_SLA3: the sampler's atoms.
        puckers: of riboses that are not to be recognised, [S, L].
        energy: terms; the shape is replaced. Stems do not count here, so that a sample keeps the pairs that it has.
        iterations: of each round.
    """
    ended = fit_molecules(sequence, xyz_SLA3, puckers)
    left = torch.arange(len(xyz_SLA3))
    for anchor in ANCHORS:
        part = _settled(ended.select(left), xyz_SLA3[left], energy, anchor, iterations)
        ended = replace(ended, pose=ended.pose.with_samples(left, part.pose))
        good = [model_report(sequence, xyz.numpy(), energy.breaks).settled for xyz in part.atoms()]
        left = left[~torch.tensor(good)]
        if not len(left):
            break
    return _measured(ended, xyz_SLA3, energy)


def _settled(start: Molecules, anchor_SLA3: Tensor, energy: EnergyModel, anchor: float, iterations: int) -> Molecules:
    half = iterations // 2
    schedule = [(_alone(HARD, anchor), half), (_alone(FINAL, anchor), half)]
    bodies = each_alone(anchor_SLA3.shape[1])
    return replace(start, pose=relax(replace(energy, shape=start.shape), start.pose, bodies, schedule, anchor_SLA3))


def _alone(weights: Weights, anchor: float) -> Weights:
    return replace(weights, stem=0.0, anchor=anchor)


def _measured(ended: Molecules, before_SLA3: Tensor, energy: EnergyModel) -> Refined:
    xyz_SLA3 = ended.atoms()
    mask_LA = torch.from_numpy(full_mask(ended.sequence))
    contacts = list_contacts(xyz_SLA3, energy.table, 1.0)
    terms = replace(energy, shape=ended.shape).terms(ended.pose, contacts, HARD)
    off_SN = (xyz_SLA3 - before_SLA3)[:, mask_LA].square().sum(-1)
    return Refined(xyz_SLA3=xyz_SLA3, drift_S=off_SN.mean(1).sqrt(), terms=terms)
