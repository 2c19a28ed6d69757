"""The records of stages A, B and C as tensors of the networks, and the check that they belong to these weights."""

from dataclasses import replace

import numpy as np
import torch

from rna_predict.chemistry.residues import C1, C3, C4
from rna_predict.contracts import Adjacency, Coordinates, Embeddings, Torsions
from rna_predict.errors import ContractError
from rna_predict.nn.features import Representations
from rna_predict.nn.opened import OpenedNetwork
from rna_predict.nn.stage_inputs import FrameAtoms, StageInputs, TorsionInputs, pair_inputs
from rna_predict.stage_d_diffusion.inputs import StageDInputs


def require_same_weights(embeddings: Embeddings, opened: OpenedNetwork) -> None:
    """Refuse embeddings of another trunk than stage D's, or of none: to this denoiser they would be noise.

    Which trunk that is says `nn.partial.trunk_identity`.

    Raises:
        ContractError: naming stage B as the one to run again, both hashes, and what to do with a partial checkpoint.
    """
    found, method = embeddings.provenance.weights, embeddings.provenance.method
    expected, header = opened.trunk_sha256, opened.header
    if found == expected:
        return
    made = f"weights {found} ({method})" if found != "none" else f"{method} (weights none)"
    trunk = "" if expected == header.sha256 else f" and on embeddings of weights {expected}"
    raise ContractError(
        f"b_embeddings of {embeddings.id}: made by {made}, but stage D runs on weights {header.sha256} "
        f"({header.source}){trunk}. Run stage_b again with backend trunk on the same weights{_remedy(opened)}."
    )


def _remedy(opened: OpenedNetwork) -> str:
    """What to do with partial checkpoints, as the end of a sentence."""
    if not opened.given:
        return "; where a partial checkpoint made these, give the same one to stage_b and stage_d (stage_d.partial)"
    if opened.trunk_sha256 != opened.base_sha256:
        return f", and give the same partial checkpoint to stage_b and stage_d: {opened.given}"
    return f" and without a partial checkpoint: {opened.given}, given to stage_d, holds nothing of the trunk"


def representations_of(embeddings: Embeddings) -> Representations:
    """Stage B's representations, B = 1."""
    return Representations(
        inputs_BLI=torch.from_numpy(embeddings.inputs_LI.copy())[None],
        single_BLS=torch.from_numpy(embeddings.single_LS.copy())[None],
        pair_BLLZ=torch.from_numpy(embeddings.pair_LLZ.copy())[None],
    )


def stage_inputs_of(inputs: StageDInputs) -> StageInputs:
    """Pairs, torsions and coordinates as they enter the pair representation, B = 1."""
    return record_inputs(inputs.adjacency, inputs.torsions, inputs.coordinates)


def record_inputs(adjacency: Adjacency, torsions: Torsions, coordinates: Coordinates | None) -> StageInputs:
    """The same from the records by themselves, which training has without embeddings, and may have without stage C."""
    return replace(
        pair_inputs(adjacency.probability_LL, adjacency.partner_L),
        torsions=_torsions(torsions),
        coordinates=None if coordinates is None else _frame_atoms(coordinates),
    )


def _torsions(torsions: Torsions) -> TorsionInputs:
    """Stage B's seven torsions, then the phase of the pucker, which every residue has (`nn.stage_inputs.ANGLES`)."""
    angle_L8 = torch.from_numpy(np.column_stack([torsions.angle_L7, torsions.pucker_phase_L]))
    mask_L8 = np.column_stack([torsions.mask_L7, np.ones(torsions.length, dtype=bool)])
    concentration_L8 = np.column_stack([torsions.concentration_L7, torsions.pucker_concentration_L])
    return TorsionInputs(
        sincos_BL82=torch.stack([angle_L8.sin(), angle_L8.cos()], dim=-1)[None],
        mask_BL8=torch.from_numpy(mask_L8)[None],
        concentration_BL8=torch.from_numpy(concentration_L8)[None],
    )


def _frame_atoms(coordinates: Coordinates) -> FrameAtoms:
    """C1', C3' and C4' of stage C's model, which has them all."""
    xyz_L33 = torch.from_numpy(coordinates.xyz_LA3[:, [C1, C3, C4]])
    return FrameAtoms(xyz_BL33=xyz_L33[None], mask_BL=torch.ones(1, coordinates.length, dtype=torch.bool))
