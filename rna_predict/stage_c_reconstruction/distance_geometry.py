"""First traces from stage B's distances: points that meet them, and the nucleotides laid onto these points.

Distances do not tell a structure from its mirror image; A-form stems do, which fit one of the two better.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.csgraph import shortest_path
from torch import Tensor

from rna_predict.chemistry.residues import C1
from rna_predict.contracts import Embeddings, TemplateHits, bin_centres
from rna_predict.energy.minimise import lbfgs
from rna_predict.energy.pose import Bodies, Pose
from rna_predict.energy.priors import distance_energy, distance_prior
from rna_predict.geometry.frames import Frame, base_frame
from rna_predict.geometry.nucleotide import NucleotideShape
from rna_predict.geometry.superpose import superpose

ATOM = "C1'"
"""The kind of atoms that the points stand for."""

STEPS = 200
"""Iterations in which the points come to meet the distances."""

NOISE = 4.0
"""Å of noise on the points of all samples but the first, before they are brought to meet the distances."""

WINDOW = 2
"""Neighbours on each side by which a residue outside stems is turned."""

FEWEST = 6
"""Residues of a stem that tells the hand."""

TEMPLATE_TM = 0.45
"""Least expected TM-score of a template whose atoms the assembly begins with."""


SAME_IDENTITY = 0.9
"""Equal letters among aligned ones from which on a template's helices are taken over as they are, and not as A-form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the assembly is told beside pairs and torsions.

    Attributes:
        embeddings: of stage B, with distances.
        templates: known structures on the RNA, the best first; None where none was looked for.
    """

    embeddings: Embeddings
    templates: TemplateHits | None = None

    @property
    def same_molecule(self) -> bool:
        """Whether that template is the RNA itself in another structure: then its helices are the RNA's too."""
        hits = [] if self.templates is None else self.templates.hits
        return self.template is not None and hits[0].identity >= SAME_IDENTITY

    @property
    def template(self) -> int | None:
        """Index of the template whose atoms the assembly begins with."""
        hits = [] if self.templates is None else self.templates.hits
        return 0 if hits and hits[0].expected_tm >= TEMPLATE_TM else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFrames:
    """Base frames and C1' atoms of a template.

    Attributes:
        frame: [L].
        c1_L3: Å.
        mask_L: bool, residues that it has.
    """

    frame: Frame
    c1_L3: Tensor
    mask_L: Tensor


def template_frames(known: Known) -> TemplateFrames | None:
    """Those of the best template; None where there is none that is worth it."""
    index = known.template
    if index is None or known.templates is None:
        return None
    xyz_LA3 = torch.from_numpy(known.templates.xyz_KLA3[index].copy())
    mask_LA = torch.from_numpy(known.templates.mask_KLA[index].copy())
    frame, there_L = base_frame(xyz_LA3, mask_LA, known.templates.sequence)
    mask_L = there_L & mask_LA[:, C1] & torch.from_numpy(known.templates.mask_KL[index].copy())
    return TemplateFrames(frame=frame, c1_L3=xyz_LA3[:, C1], mask_L=mask_L)


def points_from_distances(
    embeddings: Embeddings, samples: int, generator: torch.Generator
) -> Float[Tensor, "s l 3"] | None:
    """Points that meet stage B's C1'-C1' distances, of either hand; None where it has no such distances.

    Torgerson's classical scaling of the expected distances, those that are only known to be far by the shortest way
    over nearer ones, then a descent on -log p of the distogram.

    Args:
        embeddings: of stage B.
        samples: S.
        generator: of the noise that makes them differ.
    """
    if ATOM not in embeddings.distogram_atoms or embeddings.length < 4:
        return None
    logits_LLB = torch.from_numpy(embeddings.distogram_GLLB[embeddings.distogram_atoms.index(ATOM)].copy())
    scaled_L3 = torch.from_numpy(classical_scaling(expected_distances(logits_LLB, embeddings.distogram_edges)))
    length = len(scaled_L3)
    prior = distance_prior(logits_LLB, embeddings.distogram_edges, 1, torch.zeros(length, dtype=torch.int64))
    noise_SL3 = NOISE * torch.randn(samples, length, 3, generator=generator)
    noise_SL3[0] = 0.0
    start_SD = (scaled_L3.float() + noise_SL3).flatten(1)

    def energy(points_SD: Tensor) -> Tensor:
        return distance_energy(points_SD.view(samples, length, 1, 3), prior) / length

    found, _ = lbfgs(energy, start_SD, STEPS, largest_move=2.0)
    return found.view(samples, length, 3)


def expected_distances(logits_LLB: Tensor, edges: tuple[float, ...]) -> np.ndarray:
    """float64 [L, L], Å; where the open bin is the likeliest, the shortest way over other residues."""
    centre_B = torch.from_numpy(bin_centres(edges)).to(logits_LLB)
    chance_LLB = logits_LLB.softmax(-1)
    mean_LL = (chance_LLB @ centre_B).double().numpy()
    near_LL = np.where(chance_LLB[..., -1].numpy() < 0.5, mean_LL, np.inf)
    np.fill_diagonal(near_LL, 0.0)
    rows = np.arange(len(near_LL) - 1)
    near_LL[rows, rows + 1] = near_LL[rows + 1, rows] = mean_LL[rows, rows + 1]
    return shortest_path((near_LL + near_LL.T) / 2, directed=False)


def classical_scaling(distance_LL: np.ndarray) -> np.ndarray:
    """Points float64 [L, 3] whose distances are nearest to those given (Torgerson 1952)."""
    length = len(distance_LL)
    centring = np.eye(length) - 1 / length
    values, vectors = np.linalg.eigh(-0.5 * centring @ distance_LL**2 @ centring)
    return vectors[:, -3:] * np.sqrt(np.clip(values[-3:], 1e-6, None))


def laid_onto(
    points_SL3: Tensor, pose: Pose, shape: NucleotideShape, bodies: Bodies, template: TemplateFrames | None = None
) -> Pose:
    """The pose with its bodies moved onto points, or onto their mirror image where that fits better.

    The hand is that of the template where there is one, else that of the stems; residues that the template has lie as
    they do there.

    Args:
        points_SL3: where the C1' atoms should be.
        pose: S samples, whose neighbours lie to each other as stage B says.
        shape: of the residues.
        bodies: stems as one body each, every other residue alone.
        template: a known structure on the RNA.
    """
    own_SL3 = pose.atoms(shape)[:, :, C1]
    mirror_SL3 = points_SL3 * points_SL3.new_tensor([1.0, 1.0, -1.0])
    both = (points_SL3, mirror_SL3)
    if template is None:
        misfits = torch.stack([_misfit(own_SL3, each, bodies) for each in both])
    else:
        misfits = torch.stack([_onto(each, template)[1] for each in both])
    points_SL3 = torch.where((misfits[1] < misfits[0])[:, None, None], mirror_SL3, points_SL3)
    rotation, origin = pose.rotation_SL33.clone(), pose.origin_SL3.clone()
    length = own_SL3.shape[1]
    for body in range(bodies.count):
        member = (bodies.body_L == body).nonzero()[:, 0]
        alone = len(member) == 1
        around = torch.arange(max(0, int(member[0]) - WINDOW), min(length, int(member[0]) + WINDOW + 1))
        fitted = around if alone else member
        motion = superpose(own_SL3[:, fitted], points_SL3[:, fitted])
        turn, shift = motion.rotation, motion.origin
        if alone:  # turned as its neighbours lie, put where it belongs
            shift = points_SL3[:, member[0]] - (turn @ own_SL3[:, member[0], :, None])[..., 0]
        rotation[:, member] = turn[:, None] @ rotation[:, member]
        origin[:, member] = (turn[:, None] @ origin[:, member, :, None])[..., 0] + shift[:, None]
    if template is not None:
        motion, _ = _onto(points_SL3, template)
        there = template.mask_L
        rotation[:, there] = motion.rotation[:, None] @ template.frame.rotation[there]
        origin[:, there] = motion.apply(template.frame.origin[there].expand(len(points_SL3), -1, -1))
    return Pose(rotation_SL33=rotation, origin_SL3=origin, torsion_SL4=pose.torsion_SL4)


def _onto(points_SL3: Tensor, template: TemplateFrames) -> tuple[Frame, Tensor]:
    """The motion of the template onto the points, and the squared Å [S] by which it misses them."""
    own_SN3 = template.c1_L3[template.mask_L].expand(len(points_SL3), -1, -1)
    there_SN3 = points_SL3[:, template.mask_L]
    motion = superpose(own_SN3, there_SN3)
    return motion, (motion.apply(own_SN3) - there_SN3).square().sum((-1, -2))


def _misfit(own_SL3: Tensor, points_SL3: Tensor, bodies: Bodies) -> Tensor:
    """Squared Å [S] by which long stems miss the points, summed."""
    total = own_SL3.new_zeros(len(own_SL3))
    for body in torch.nonzero(torch.bincount(bodies.body_L) >= FEWEST)[:, 0]:
        member = bodies.body_L == body
        moved = superpose(own_SL3[:, member], points_SL3[:, member]).apply(own_SL3[:, member])
        total = total + (moved - points_SL3[:, member]).square().sum((-1, -2))
    return total
