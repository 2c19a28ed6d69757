"""Torsions before they are a record: what the prior table, the torsion head and TorsionBERT all come down to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rna_predict.contracts import Provenance, RnaSequence, Torsions

if TYPE_CHECKING:
    from torch import Tensor

    from rna_predict.stage_b_torsion.heads import TorsionPrediction

END_CONCENTRATION = 1.0
"""Most certain that a torsion of the residues is which TorsionBERT does not reach (mean resultant length 0.45)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorsionValues:
    """Angles in radians and von Mises concentrations of every residue, those that do not exist included.

    Attributes:
        angle_L7: columns `TORSION_FIELDS`.
        concentration_L7: of the angles.
        phase_L: pucker's phase.
        amplitude_L: pucker's amplitude.
        phase_concentration_L: of the phase.
    """

    angle_L7: np.ndarray
    concentration_L7: np.ndarray
    phase_L: np.ndarray
    amplitude_L: np.ndarray
    phase_concentration_L: np.ndarray

    def record(self, sequence: RnaSequence, provenance: Provenance) -> Torsions:
        """The record: α of each chain's first residue, ε and ζ of its last are masked out."""
        mask_L7 = np.ones((sequence.length, 7), dtype=bool)
        mask_L7[[0, *sequence.breaks], 0] = False
        mask_L7[[first - 1 for first in (*sequence.breaks, sequence.length)], 4:6] = False
        return Torsions(
            id=sequence.id,
            sequence=sequence.sequence,
            breaks=sequence.breaks,
            provenance=provenance,
            angle_L7=np.where(mask_L7, self.angle_L7, 0).astype(np.float32),
            mask_L7=mask_L7,
            concentration_L7=np.where(mask_L7, self.concentration_L7, 0).astype(np.float32),
            pucker_phase_L=np.ascontiguousarray(self.phase_L, dtype=np.float32),
            pucker_amplitude_L=np.ascontiguousarray(self.amplitude_L, dtype=np.float32),
            pucker_concentration_L=np.ascontiguousarray(self.phase_concentration_L, dtype=np.float32),
        )


def head_values(prediction: "TorsionPrediction") -> TorsionValues:
    """What the torsion head says of the batch's one RNA."""
    angle_L8 = prediction.angle_BL8()[0].float().cpu().numpy()
    concentration_L8 = prediction.concentration_BL8[0].float().cpu().numpy()
    return TorsionValues(
        angle_L7=angle_L8[:, :7],
        concentration_L7=concentration_L8[:, :7],
        phase_L=angle_L8[:, 7],
        amplitude_L=prediction.amplitude_BL[0].float().cpu().numpy(),
        phase_concentration_L=concentration_L8[:, 7],
    )


def torsionbert_values(vectors: dict[str, "Tensor"], prior: TorsionValues) -> TorsionValues:
    """TorsionBERT's torsions of residues 1 to L - 2, the prior table's of the last two.

    An angle's concentration is that of the von Mises distribution whose mean vector is as long as the one predicted.
    The prior's concentrations of the last two residues are cut to `END_CONCENTRATION`. The pucker comes from ν0-ν4
    where the release predicts them, its amplitude and the last two residues' pucker from the prior table.

    Args:
        vectors: (cosine, sine) [L - 2, 2] by angle (`torsionbert.predict_angles`).
        prior: the prior table's values of all residues.
    """
    from rna_predict.contracts import TORSION_FIELDS
    from rna_predict.stage_b_torsion.fit_torsions import concentration
    from rna_predict.stage_b_torsion.heads import angle_of
    from rna_predict.stage_b_torsion.torsionbert import pucker_of

    angle_L7, kappa_L7 = prior.angle_L7.astype(np.float64), prior.concentration_L7.astype(np.float64)
    phase_L, phase_kappa_L = prior.phase_L.astype(np.float64), prior.phase_concentration_L.astype(np.float64)
    for kappa in (kappa_L7, phase_kappa_L):
        kappa[-2:] = np.minimum(kappa[-2:], END_CONCENTRATION)
    for column, name in enumerate(TORSION_FIELDS):
        angle_L7[:-2, column] = angle_of(vectors[name].flip(-1)).numpy()
        kappa_L7[:-2, column] = concentration(vectors[name].norm(dim=-1).double().numpy())
    pucker = pucker_of(vectors)
    if pucker is not None:
        phase_L[:-2] = pucker[0].numpy()
        phase_kappa_L[:-2] = concentration(pucker[1].double().numpy())
    return TorsionValues(
        angle_L7=angle_L7,
        concentration_L7=kappa_L7,
        phase_L=phase_L,
        amplitude_L=prior.amplitude_L,
        phase_concentration_L=phase_kappa_L,
    )
