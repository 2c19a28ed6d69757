"""Molecules with ideal geometry that lie near given atoms: what guidance starts from, and what a sample ends as."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rna_predict.chemistry.ideal import BOND_LENGTHS, ideal_bonds
from rna_predict.chemistry.residues import RING_BONDS, SLOT
from rna_predict.contracts.structure import full_mask
from rna_predict.energy.pose import Pose
from rna_predict.geometry.frames import Frame, base_frame
from rna_predict.geometry.nucleotide import NucleotideShape, fourth_slots, nucleotide_shape, torsions_of
from rna_predict.geometry.superpose import superpose
from rna_predict.geometry.torsions import measure_pucker

RING_TOLERANCE = 0.15
"""Å by which every bond of a ribose ring may be off before its pucker counts as noise."""

BOND_TOLERANCE = 0.2
"""Å by which every bond of a residue may be off before its atoms count as noise."""

AMPLITUDES = (math.radians(20.0), math.radians(46.0))
"""Pucker amplitudes that count as a ribose's; known structures lie between about 30° and 45°."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Puckers:
    """Sugar puckers of S samples in radians, phase and amplitude [S, L] each."""

    phase: Tensor
    amplitude: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Molecules:
    """S molecules of one RNA with ideal geometry.

    Attributes:
        sequence: letters A C G U.
        shape: rigid parts; the riboses differ from sample to sample, [S, L, 8, 3].
        pose: where they are.
        puckers: of every sample.
    """

    sequence: str
    shape: NucleotideShape
    pose: Pose
    puckers: Puckers

    def atoms(self) -> Float[Tensor, "s l a 3"]:
        """All heavy atoms, Å; slots that a residue lacks are zero."""
        return self.pose.atoms(self.shape)

    def select(self, index: Tensor) -> "Molecules":
        """The samples of that index."""
        shape = replace(self.shape, ribose_LR3=self.shape.ribose_LR3[index])
        puckers = Puckers(phase=self.puckers.phase[index], amplitude=self.puckers.amplitude[index])
        return replace(self, shape=shape, pose=self.pose.sample(index), puckers=puckers)

    def with_residues(self, chosen_SL: Bool[Tensor, "s l"], other: "Molecules") -> "Molecules":
        """These molecules with the chosen residues of `other`."""

        def put(own: Tensor, new: Tensor) -> Tensor:
            return torch.where(chosen_SL.reshape(*chosen_SL.shape, *[1] * (own.ndim - 2)), new, own)

        pose, more = self.pose, other.pose
        chosen = Pose(
            rotation_SL33=put(pose.rotation_SL33, more.rotation_SL33),
            origin_SL3=put(pose.origin_SL3, more.origin_SL3),
            torsion_SL4=put(pose.torsion_SL4, more.torsion_SL4),
        )
        puckers = Puckers(
            phase=put(self.puckers.phase, other.puckers.phase),
            amplitude=put(self.puckers.amplitude, other.puckers.amplitude),
        )
        return molecules(self.sequence, chosen, puckers)

    def moved_onto(self, xyz_SLA3: Float[Tensor, "s l a 3"]) -> "Molecules":
        """Each molecule as a rigid body where it lies best on the atoms given."""
        mask_A = self.shape.mask_LA.flatten().to(xyz_SLA3).expand(len(xyz_SLA3), -1)
        motion = superpose(self.atoms().flatten(1, 2), xyz_SLA3.flatten(1, 2), mask_A)
        turned = Frame(motion.rotation[:, None], motion.origin[:, None]).compose(self.pose.frame)
        pose = replace(self.pose, rotation_SL33=turned.rotation, origin_SL3=turned.origin)
        return replace(self, pose=pose)


def molecules(sequence: str, pose: Pose, puckers: Puckers) -> Molecules:
    """Molecules with these poses and the puckers [S, L] of each."""
    shape = nucleotide_shape(sequence, puckers.phase, puckers.amplitude)
    return Molecules(sequence=sequence, shape=shape, pose=pose, puckers=puckers)


def fit_molecules(sequence: str, xyz_SLA3: Float[Tensor, "s l a 3"], otherwise: Puckers) -> Molecules:
    """A molecule for each sample: bases superposed, torsions and puckers read off the atoms.

    Atoms with ideal geometry come back exactly; of others only the base and the four torsions are met.

    Args:
        sequence: letters A C G U.
        xyz_SLA3: every slot that the sequence has is set.
        otherwise: puckers [S, L] of riboses that are none (`credible_puckers`).
    """
    puckers = credible_puckers(sequence, xyz_SLA3, otherwise)
    mask_SLA = _mask(sequence, xyz_SLA3)
    frame, _ = base_frame(xyz_SLA3, mask_SLA, sequence)
    torsions = torsions_of(xyz_SLA3, fourth_slots(sequence).to(xyz_SLA3.device))
    pose = Pose(rotation_SL33=frame.rotation, origin_SL3=frame.origin, torsion_SL4=torsions)
    return molecules(sequence, pose, puckers)


def credible_puckers(sequence: str, xyz_SLA3: Float[Tensor, "s l a 3"], otherwise: Puckers) -> Puckers:
    """Puckers as measured where a ring is within `RING_TOLERANCE` and `AMPLITUDES` of a ribose, else `otherwise`."""
    phase, amplitude, _ = measure_pucker(xyz_SLA3, _mask(sequence, xyz_SLA3), sequence)
    credible = (amplitude > AMPLITUDES[0]) & (amplitude < AMPLITUDES[1])
    for first, second in RING_BONDS:
        gap = xyz_SLA3[:, :, SLOT["A"][first]] - xyz_SLA3[:, :, SLOT["A"][second]]
        credible &= (gap.norm(dim=-1) - BOND_LENGTHS[first, second].value).abs() < RING_TOLERANCE
    return Puckers(
        phase=torch.where(credible, phase, otherwise.phase.to(phase)),
        amplitude=torch.where(credible, amplitude, otherwise.amplitude.to(amplitude)),
    )


def looks_bonded(sequence: str, xyz_SLA3: Float[Tensor, "s l a 3"]) -> Bool[Tensor, "s l"]:
    """Residues whose every covalent bond is ideal within `BOND_TOLERANCE`: their pose can be read off the atoms."""
    rows = [
        (i, SLOT[letter][first], SLOT[letter][second], ideal.value)
        for i, letter in enumerate(sequence)
        for first, second, ideal in ideal_bonds(letter)
    ]
    *places, lengths = zip(*rows, strict=True)
    residue, first, second = (torch.tensor(place, device=xyz_SLA3.device) for place in places)
    length = xyz_SLA3.new_tensor(lengths)
    off = (xyz_SLA3[:, residue, first] - xyz_SLA3[:, residue, second]).norm(dim=-1) - length
    bad = torch.zeros(xyz_SLA3.shape[:2], device=xyz_SLA3.device)
    return bad.index_add(1, residue, (off.abs() > BOND_TOLERANCE).to(bad)) == 0


def _mask(sequence: str, xyz_SLA3: Tensor) -> Tensor:
    return torch.from_numpy(full_mask(sequence)).to(xyz_SLA3.device).expand(xyz_SLA3.shape[:-1])
