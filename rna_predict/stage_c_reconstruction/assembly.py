"""Stems as A-form bodies, loops grown from stage B's torsions and closed onto them, then a restrained refinement."""

import logging
import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from rna_predict.contracts import RnaSequence, Torsions
from rna_predict.contracts.loops import LoopDecomposition
from rna_predict.energy.contacts import contact_table, list_contacts
from rna_predict.energy.model import EnergyModel, Weights, relax, settle
from rna_predict.energy.motifs import motif_relations
from rna_predict.energy.pose import Bodies, Pose, each_alone
from rna_predict.energy.priors import TorsionPrior, distance_priors
from rna_predict.energy.relations import Relations, joined
from rna_predict.energy.stems import as_found, stem_bodies, stem_relations, unstacked_neighbours
from rna_predict.errors import PredictionError
from rna_predict.evaluation.geometry_report import model_report
from rna_predict.geometry.frames import Frame
from rna_predict.geometry.nucleotide import nucleotide_shape
from rna_predict.stage_c_reconstruction.chain import ChainTorsions, complete_angles, draw, grow, step_frames
from rna_predict.stage_c_reconstruction.config import StageCConfig
from rna_predict.stage_c_reconstruction.distance_geometry import (
    Known,
    laid_onto,
    points_from_distances,
    template_frames,
)

log = logging.getLogger(__name__)

OPEN = Weights(link=10.0, link_slack=0.5, contact=2.0, margin=-1.0, loop_slack=2.0, compactness=0.05, link_torsion=0.0)
"""While stems find their places: links pull with a constant force, atoms may pass each other."""

CLOSING = Weights(
    link=50.0, link_slack=1.0, contact=10.0, margin=-0.4, loop_slack=1.5, compactness=0.02, link_torsion=0.0
)
"""Links close, atoms are nearly hard."""

CLOSED = Weights(
    link=100.0,
    link_slack=2.0,
    contact=200.0,
    margin=0.2,
    stem=0.6,
    loop=0.3,
    loop_slack=0.5,
    torsion=0.5,
    link_torsion=0.5,
)
"""Hard atoms; knowledge about loops gives way where it contradicts them (docs/decisions/0006)."""

TEMPLATE_LIMIT = math.inf
"""Å by which a base of such a template's helix may be off A-form: where it is no pair there, stage A is wrong."""

ROUNDS = 3
"""Extra rounds of the last touch for a model that is not settled."""

ENOUGH = 3
"""Whole but strained models after which the least strained is taken."""

POLISH = replace(CLOSED, link=1500.0, link_slack=5.0, contact=600.0, margin=0.12, link_torsion=0.3)
"""The last touch: ideal links and no overlaps."""


def energy_model(
    partner_L: np.ndarray,
    torsions: Torsions,
    config: StageCConfig,
    known: Known | None = None,
) -> EnergyModel:
    """The terms of the assembly: stems, loop priors, torsion priors, links, contacts, and what is known beside."""
    sequence, breaks = torsions.sequence, torsions.breaks
    phase = torch.from_numpy(torsions.pucker_phase_L.copy())
    shape = nucleotide_shape(sequence, phase, torch.from_numpy(torsions.pucker_amplitude_L.copy()))
    chain = draw(torsions, 1, 0.0, torch.Generator())
    stems = stem_relations(sequence, partner_L, config.stem_weight, phase)
    loops = _loop_relations(step_frames(shape, chain), partner_L, torsions, config.loop_weight)
    if known is not None and known.same_molecule and (template := template_frames(known)) is not None:
        stems = as_found(stems, template.frame, template.mask_L, TEMPLATE_LIMIT)
    if known is not None and known.templates is not None:
        loops = joined(loops, motif_relations(known.templates, partner_L, config.loop_weight, loops.origin_N3))
    return EnergyModel(
        shape=shape,
        table=contact_table(sequence, breaks),
        stems=stems,
        loops=loops,
        torsions=_torsion_prior(torsions, chain),
        distances=() if known is None else distance_priors(known.embeddings),
        breaks=breaks,
    )


def _loop_relations(steps: Frame, partner_L: np.ndarray, torsions: Torsions, weight: float) -> Relations:
    """Stage B's steps between neighbours that are not stacked pairs of one stem, softer where B is uncertain."""
    first = unstacked_neighbours(partner_L, torsions.breaks)
    _, concentration = complete_angles(torsions)
    crossing = torch.cat([concentration[:-1, 4:6], concentration[1:, :3]], dim=1)  # ε ζ | α β γ
    certainty = 1 / (1 / (crossing + 0.5)).mean(dim=1)
    return Relations(
        first=first,
        second=first + 1,
        rotation_N33=steps[0][0][first],
        origin_N3=steps[1][0][first],
        weight_N=weight * (certainty[first] / 10.0).clamp(max=1.0),
    )


def _torsion_prior(torsions: Torsions, chain: ChainTorsions) -> TorsionPrior:
    _, concentration = complete_angles(torsions)
    capped = concentration.clamp(max=20.0)
    own, link = chain.own_SL4[0], chain.link_SL2[0]
    return TorsionPrior(
        own_L3=own[:, :3],
        own_weight_L3=capped[:, [6, 2, 1]],
        link_L3=torch.cat([link[:-1], own[1:, 3:]], dim=1),
        link_weight_L3=torch.cat([capped[:-1, 4:6], capped[1:, :1]], dim=1),
    )


def assemble(
    loops: LoopDecomposition,
    partner_L: np.ndarray,
    torsions: Torsions,
    config: StageCConfig,
    known: Known | None = None,
) -> np.ndarray:
    """Coordinates float32 [L, MAX_ATOMS, 3] of the first attempt that is a sound molecule.

    Sound: no chain break, pierced ring, inverted sugar centre, bond off by 0.03 Å, and few clashes. Once `ENOUGH`
    attempts were whole but strained, or after `config.attempts`, the least strained is taken, and a warning says so.

    Raises:
        PredictionError: none is whole; the message says what was wrong with the last.
    """
    known = known if config.distance_weight else None
    template = None if known is None else template_frames(known)
    model = energy_model(partner_L, torsions, config, known)
    bodies = stem_bodies(partner_L)
    expected = draw(torsions, 1, 0.0, torch.Generator())
    faults = ""
    whole: list[tuple[int, np.ndarray]] = []
    for attempt in range(config.attempts):
        generator = torch.Generator().manual_seed(config.seed + attempt)
        chain = draw(torsions, config.starts, config.spread, generator)
        if attempt == 0:  # the first trace of all is stage B's own angles
            chain.own_SL4[0], chain.link_SL2[0] = expected.own_SL4[0], expected.link_SL2[0]
        rotation, origin = grow(torsions.sequence, loops, step_frames(model.shape, chain), torsions.breaks)
        traces = Pose(rotation_SL33=rotation, origin_SL3=origin, torsion_SL4=chain.own_SL4)
        points = points_from_distances(known.embeddings, config.starts, generator) if known else None
        if points is not None:
            traces = laid_onto(points, traces, model.shape, bodies, template)
        xyz_LA3 = _close(torsions.rna, model, traces, bodies, config)
        report = model_report(torsions.sequence, xyz_LA3, torsions.breaks)
        if report.settled and not report.faults:
            return xyz_LA3
        faults = report.faults or f"{report.clashes} clashes, bonds off by up to {report.bonds.bond_max or 0:.2f} Å"
        log.info("%s: attempt %d of %d has %s", torsions.id, attempt + 1, config.attempts, faults)
        if not report.faults:
            whole.append((report.clashes + report.bonds.bonds_over_003, xyz_LA3))
        if len(whole) == ENOUGH:
            break
    if whole:
        log.warning("%s: stage C's best of %d whole models is strained", torsions.id, len(whole))
        return min(whole, key=lambda found: found[0])[1]
    raise PredictionError(
        f"{torsions.id}: stage C found no whole chain in {config.attempts} attempts; the last has {faults}. "
        "Try another stage_c.seed, more stage_c.attempts, or another secondary structure."
    )


def _close(rna: RnaSequence, model: EnergyModel, traces: Pose, bodies: Bodies, config: StageCConfig) -> np.ndarray:
    """Close and compare the traces, and refine the best."""
    opening, closing, closed, polished = (
        replace(each, distance=config.distance_weight) for each in (OPEN, CLOSING, CLOSED, POLISH)
    )
    pose = relax(model, traces, bodies, [(opening, config.steps_open), (closing, config.steps_closing)])
    pose = pose.sample(lowest(model, pose, closing, config.kept))
    alone = each_alone(rna.length)
    pose = relax(model, pose, alone, [(closing, config.steps_closing), (closed, config.steps_closed)])
    pose = pose.sample(lowest(model, pose, closed, 1))
    polish = [(closed, config.steps_polish), (polished, config.steps_polish)]
    pose = relax(model, pose, alone, polish)

    def settled(xyz_LA3: Tensor) -> bool:
        return model_report(rna.sequence, xyz_LA3.numpy(), rna.breaks).settled

    pose = settle(model, pose, polish, settled, ROUNDS)
    return pose.atoms(model.shape)[0].numpy()


def lowest(model: EnergyModel, pose: Pose, weights: Weights, count: int) -> Tensor:
    """Indices of the samples with the lowest energies, lowest first."""
    contacts = list_contacts(pose.atoms(model.shape), model.table, 1.0)
    terms = model.terms(pose, contacts, replace(weights, compactness=0.0))
    return torch.stack(list(terms.values())).sum(0).argsort()[:count]
