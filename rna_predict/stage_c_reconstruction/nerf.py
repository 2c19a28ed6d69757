"""Stage C, method `nerf`: the chain rebuilt from torsions and sugar puckers alone, with ideal lengths and angles."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rna_predict.chemistry.torsions import A_FORM_DEGREES, TORSIONS
from rna_predict.contracts import RnaSequence, Torsions
from rna_predict.errors import ConfigError, ContractError, PredictionError
from rna_predict.geometry.internal import ideal_internal
from rna_predict.geometry.nerf import build

MAX_AMPLITUDE = 0.84
"""Radians (48°), up to where the ribose holds its bonds and angles; crystals lie at 35° to 45°."""


def build_from_torsions(
    sequence: str,
    torsion_L7: Float[Tensor, "*b l 7"],
    phase_L: Float[Tensor, "*b l"],
    amplitude_L: Float[Tensor, "*b l"],
) -> Float[Tensor, "*b l a 3"]:
    """All heavy atoms with ideal lengths and angles, Å; differentiable, batched.

    δ is not read: a closed ring with given bonds has no room for it beside phase and amplitude, from which it follows.

    Args:
        sequence: letters A C G U.
        torsion_L7: α β γ δ ε ζ χ, radians, every entry set.
        phase_L: pseudorotation phase, radians.
        amplitude_L: pucker amplitude, radians.
    """
    return build(ideal_internal(sequence, torsion_L7, phase_L, amplitude_L))


def rebuild(sequence: RnaSequence, torsions: Torsions) -> np.ndarray:
    """Coordinates float32 [L, MAX_ATOMS, 3] of the contract's torsions, computed in float64.

    At the chain's ends, where they are undefined, α, ε and ζ take A-form values; only the first residue's phosphate
    oxygens depend on that.

    Raises:
        ConfigError: several chains, between which torsions say nothing.
        ContractError: another sequence, or a torsion inside the chain is masked out.
        PredictionError: a pucker amplitude that no ribose has.
    """
    if sequence.breaks:
        raise ConfigError(
            f"stage_c.method: nerf builds one chain, {sequence.id} has {len(sequence.chains)}. Use assembly."
        )
    if torsions.sequence != sequence.sequence:
        raise ContractError(
            f"b_torsions of {torsions.id}: made for another sequence than {sequence.id}. Run stage_b again."
        )
    at_end = np.zeros_like(torsions.mask_L7)
    at_end[0, TORSIONS.index("alpha")] = True
    at_end[-1, [TORSIONS.index("epsilon"), TORSIONS.index("zeta")]] = True
    missing = np.argwhere(~torsions.mask_L7 & ~at_end)
    if len(missing):
        residue, column = missing[0]
        raise ContractError(
            f"b_torsions of {torsions.id}: {TORSIONS[column]} of residue {residue + 1} is masked out; nerf needs every "
            "torsion inside the chain. Run stage_b again or use stage_c.method=assembly."
        )
    if torsions.pucker_amplitude_L.max() > MAX_AMPLITUDE:
        raise PredictionError(
            f"b_torsions of {torsions.id}: pucker amplitude {torsions.pucker_amplitude_L.max():.2f} rad exceeds "
            f"{MAX_AMPLITUDE}, beyond any ribose. Run stage_b again."
        )
    a_form = np.radians([A_FORM_DEGREES[name] for name in TORSIONS])
    angle_L7 = np.where(torsions.mask_L7, torsions.angle_L7.astype(np.float64), a_form)
    phase_L, amplitude_L = (
        torch.from_numpy(x.astype(np.float64)) for x in (torsions.pucker_phase_L, torsions.pucker_amplitude_L)
    )
    with torch.no_grad():
        xyz_LA3 = build_from_torsions(sequence.sequence, torch.from_numpy(angle_L7), phase_L, amplitude_L)
    return xyz_LA3.numpy().astype(np.float32)
