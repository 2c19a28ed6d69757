"""From stage B's torsions to a chain: how each base lies to the next one, and a first trace with the stems in place."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rna_predict.chemistry.ideal import BOND_LENGTHS
from rna_predict.chemistry.residues import C3, C4, C5, O3, O5
from rna_predict.chemistry.torsions import A_FORM_DEGREES
from rna_predict.contracts import TORSION_FIELDS, Torsions
from rna_predict.contracts.loops import LoopDecomposition, Stem
from rna_predict.geometry.frames import Frame, frame_from_atoms
from rna_predict.geometry.helix import at, relative, stem_frames
from rna_predict.geometry.nucleotide import (
    ANGLE_C3_O3_P,
    ANGLE_C4_C5_O5,
    ANGLE_C5_O5_P,
    ANGLE_O3_P_O5,
    LENGTH_C5_O5,
    LENGTH_O3_P,
    LENGTH_O5_P,
    NucleotideShape,
    place,
    place_atoms,
)

APART = 25.0
"""Å from the end of a chain to where the next one begins, before the energy brings them together."""

_COLUMN = {name: index for index, name in enumerate(TORSION_FIELDS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainTorsions:
    """Torsions of S samples as tensors.

    Attributes:
        own_SL4: χ, γ, β, α of each residue, radians.
        link_SL2: ε, ζ from each residue to the next, radians; the last row has no meaning.
    """

    own_SL4: Tensor
    link_SL2: Tensor


def complete_angles(torsions: Torsions) -> tuple[Tensor, Tensor]:
    """Angles [L, 7] with A-form where masked out, and concentrations [L, 7] with 0 there."""
    angle = torch.from_numpy(torsions.angle_L7.copy())
    mask = torch.from_numpy(torsions.mask_L7.copy())
    default = torch.tensor([math.remainder(math.radians(A_FORM_DEGREES[name]), 2 * math.pi) for name in TORSION_FIELDS])
    concentration = torch.from_numpy(torsions.concentration_L7.copy())
    return torch.where(mask, angle, default), torch.where(mask, concentration, torch.zeros(()))


def draw(torsions: Torsions, samples: int, spread: float, generator: torch.Generator) -> ChainTorsions:
    """Samples around stage B's angles.

    Args:
        torsions: means and concentrations.
        samples: S.
        spread: factor on the standard deviation 1/√κ; 0 repeats the means.
        generator: source of the noise.
    """
    angle, concentration = complete_angles(torsions)
    deviation = spread / (concentration + 2.0).sqrt()
    noise = torch.randn(samples, *angle.shape, generator=generator) * deviation
    drawn = angle + noise
    own = torch.stack([drawn[..., _COLUMN[name]] for name in ("chi", "gamma", "beta", "alpha")], dim=-1)
    link = torch.stack([drawn[..., _COLUMN[name]] for name in ("epsilon", "zeta")], dim=-1)
    return ChainTorsions(own_SL4=own, link_SL2=link)


def step_frames(shape: NucleotideShape, chain: ChainTorsions) -> Frame:
    """Frame of base i + 1 as seen from base i, by the torsions between them, [S, L - 1, …].

    The backbone is grown from residue i through P, O5', C5' to C4' and C3' of the next residue, whose own atoms are
    then laid onto that trace.
    """
    samples, length = chain.own_SL4.shape[:2]
    like = chain.own_SL4
    identity = torch.eye(3).to(like).expand(samples, length, 3, 3)
    local = place_atoms(shape, Frame(identity, torch.zeros(samples, length, 3).to(like)), chain.own_SL4)
    here, there = local[:, :-1], local[:, 1:]
    epsilon, zeta = chain.link_SL2[:, :-1].unbind(-1)
    chi_gamma_beta_alpha = chain.own_SL4[:, 1:].unbind(-1)
    phosphorus = place(here[:, :, C4], here[:, :, C3], here[:, :, O3], (LENGTH_O3_P, ANGLE_C3_O3_P), epsilon)
    o5 = place(here[:, :, C3], here[:, :, O3], phosphorus, (LENGTH_O5_P, ANGLE_O3_P_O5), zeta)
    c5 = place(here[:, :, O3], phosphorus, o5, (LENGTH_C5_O5, ANGLE_C5_O5_P), chi_gamma_beta_alpha[3])
    c4 = place(phosphorus, o5, c5, (BOND_LENGTHS["C5'", "C4'"].value, ANGLE_C4_C5_O5), chi_gamma_beta_alpha[2])
    grown = frame_from_atoms(o5, c5, c4)
    own = frame_from_atoms(there[:, :, O5], there[:, :, C5], there[:, :, C4])
    return grown.compose(own.invert())


def grow(sequence: str, loops: LoopDecomposition, steps: Frame, breaks: tuple[int, ...] = ()) -> Frame:
    """Walk from the 5' end; each residue follows its neighbour, and a stem is laid down whole at its first residue.

    A chain whose first residue is in no stem laid down before begins `APART` Å from the end of the last one.

    Args:
        sequence: letters.
        loops: stems and pseudoknots to lay down.
        steps: `step_frames`, [S, L - 1, …].
        breaks: first residue of each chain but the first.

    Returns:
        Base frames [S, L, …]. Strands that meet a stem's second strand do not close yet.
    """
    samples = steps[0].shape[0]
    starts = {stem.i: stem for stem in (*loops.stems, *loops.pseudoknots)}
    rotation = torch.zeros(samples, len(sequence), 3, 3).to(steps[0])
    origin = torch.zeros(samples, len(sequence), 3).to(steps[0])
    placed = [False] * len(sequence)
    for i in range(len(sequence)):
        if placed[i]:
            continue
        if i == 0:
            frame = Frame(torch.eye(3).to(rotation).expand(samples, 3, 3), origin[:, 0])
        else:
            step = Frame(steps.rotation[:, i - 1], steps.origin[:, i - 1])
            if i in breaks:
                step = Frame(torch.eye(3).to(rotation).expand(samples, 3, 3), origin.new_tensor([APART, 0.0, 0.0]))
            frame = Frame(rotation[:, i - 1], origin[:, i - 1]).compose(step)
        residues, frames = _block(sequence, starts.get(i), i)
        for residue, inner in zip(residues, frames, strict=True):
            laid = frame.compose(Frame(inner.rotation.to(rotation), inner.origin.to(origin)))
            rotation[:, residue], origin[:, residue] = laid
            placed[residue] = True
    return Frame(rotation, origin)


def _block(sequence: str, stem: Stem | None, residue: int) -> tuple[list[int], list[Frame]]:
    """Residues laid down together, with their frames as seen from the first one."""
    if stem is None:
        return [residue], [Frame(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))]
    five = list(range(stem.i, stem.i + stem.length))
    three = [stem.j - k for k in range(stem.length)]
    first, second = stem_frames("".join(sequence[k] for k in five), "".join(sequence[k] for k in three))
    frames = [relative(at(first, 0), at(strand, k)) for strand in (first, second) for k in range(stem.length)]
    return five + three, frames
