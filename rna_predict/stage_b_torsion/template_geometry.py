"""What known structures, threaded onto an RNA, say of its distances and torsions, weighed by what they are worth.

A distance becomes a mixture: with the chance that the templates are right it lies around theirs, else where the network
(or the prior table) says. So a weak hit bends the prediction, and a near copy settles it.
"""

import numpy as np

from rna_predict.contracts import TemplateHits, atom_slots, bin_centres
from rna_predict.geometry.numpy_measures import measure_pucker, measure_torsions
from rna_predict.stage_b_torsion.torsion_values import TorsionValues

TRUST = 1.3
"""Weight of the templates at a distance: this times the expected TM-score of the best that covers both residues."""

MOST_TRUST = 0.95
"""Largest weight of the templates."""

SPREAD = (0.6, 0.15)
"""Å and share of the distance: by how much a template of expected TM-score t is off, times `1.6 (1 - t)`."""

LEAST_SPREAD = 0.4
"""Å, smallest standard deviation of a template's distance."""

SHARPNESS = 2.0
"""Exponent of the expected TM-score in a template's share beside others."""

ROWS = 64
"""Rows of residues that are worked on at once."""

TORSION_TM = 0.4
"""Least expected TM-score of a template that gives torsions."""

TORSION_CONCENTRATION = 25.0
"""von Mises κ of a torsion taken from a template of expected TM-score 1."""


def mixed_distances(
    log_p_GLLB: np.ndarray, edges: tuple[float, ...], atoms: list[str], templates: TemplateHits
) -> np.ndarray:
    """float32 [G, L, L, B], log-probabilities of the mixture.

    Args:
        log_p_GLLB: of the network or table, normalised.
        edges: Å, upper edges of all bins but the last, of equal width.
        atoms: kinds of atoms, keys of `DISTOGRAM_ATOMS`.
        templates: what was found; none leaves everything as it is.
    """
    if not templates.hits:
        return log_p_GLLB
    centre_B = bin_centres(edges)
    worth_K = np.array([hit.expected_tm for hit in templates.hits])
    rows_L = np.arange(templates.length)
    mixed = np.array(log_p_GLLB, dtype=np.float32)
    for kind, name in enumerate(atoms):
        slot_L = atom_slots(name, templates.sequence)
        point_KL3 = templates.xyz_KLA3[:, rows_L, slot_L].astype(np.float64)
        there_KL = templates.mask_KLA[:, rows_L, slot_L]
        for start in range(0, templates.length, ROWS):
            rows = slice(start, start + ROWS)
            seen_KRL = there_KL[:, rows, None] & there_KL[:, None, :]
            gap_KRL = np.linalg.norm(point_KL3[:, rows, None] - point_KL3[:, None], axis=-1)
            told_RLB, trust_RL = _told(gap_KRL, seen_KRL, worth_K, centre_B)
            own_RLB = np.exp(mixed[kind, rows])
            both_RLB = (1 - trust_RL[..., None]) * own_RLB + trust_RL[..., None] * told_RLB
            mixed[kind, rows] = np.log(np.clip(both_RLB, 1e-8, None))
    return mixed


def _told(
    gap_KRL: np.ndarray, seen_KRL: np.ndarray, worth_K: np.ndarray, centre_B: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The templates' own distribution [R, L, B] of each distance, and its weight [R, L]."""
    share_KRL = seen_KRL * worth_K[:, None, None] ** SHARPNESS
    trust_RL = np.clip(TRUST * (seen_KRL * worth_K[:, None, None]).max(0), 0.0, MOST_TRUST)
    total_RL = np.clip(share_KRL.sum(0), 1e-9, None)
    told_RLB = np.zeros((*trust_RL.shape, len(centre_B)))
    for gap_RL, share_RL, worth in zip(gap_KRL, share_KRL / total_RL, worth_K, strict=True):
        spread_RL = np.maximum(1.6 * (1 - worth) * (SPREAD[0] + SPREAD[1] * gap_RL), LEAST_SPREAD)
        density_RLB = density_around(gap_RL, spread_RL, centre_B)
        told_RLB += share_RL[..., None] * density_RLB / density_RLB.sum(-1, keepdims=True)
    return told_RLB, trust_RL


def density_around(gap: np.ndarray, spread: np.ndarray, centre_B: np.ndarray) -> np.ndarray:
    """Density in each bin [..., B], up to a factor, of distances around known ones; those beyond the last are in it.

    Args:
        gap: [...], Å.
        spread: [...], Å, standard deviation.
        centre_B: Å, of the bins.
    """
    off = (np.clip(gap, None, centre_B[-1])[..., None] - centre_B) / spread[..., None]
    return np.exp(-0.5 * off**2) + 1e-12


def template_torsions(values: TorsionValues, templates: TemplateHits) -> TorsionValues:
    """Torsions and puckers with those of the best template in their place, where it has them and is worth it."""
    angle_L7, kappa_L7 = values.angle_L7.copy(), values.concentration_L7.copy()
    phase_L, phase_kappa_L = values.phase_L.copy(), values.phase_concentration_L.copy()
    taken_L = np.zeros(templates.length, dtype=bool)
    for index, hit in enumerate(templates.hits):
        if hit.expected_tm < TORSION_TM:
            break
        xyz_LA3, mask_LA = templates.xyz_KLA3[index], templates.mask_KLA[index]
        found_L7, known_L7 = measure_torsions(xyz_LA3, mask_LA, templates.sequence, templates.linked_KL[index])
        pucker_L, _, ring_L = measure_pucker(xyz_LA3, mask_LA, templates.sequence)
        kappa = TORSION_CONCENTRATION * hit.expected_tm
        new_L7 = known_L7 & ~taken_L[:, None]
        angle_L7[new_L7], kappa_L7[new_L7] = found_L7[new_L7], kappa
        new_L = ring_L & ~taken_L
        phase_L[new_L], phase_kappa_L[new_L] = pucker_L[new_L], kappa
        taken_L |= templates.mask_KL[index]
    return TorsionValues(
        angle_L7=angle_L7,
        concentration_L7=kappa_L7,
        phase_L=phase_L,
        amplitude_L=values.amplitude_L,
        phase_concentration_L=phase_kappa_L,
    )
