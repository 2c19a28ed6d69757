"""What known loops say of an RNA's distances and torsions, weighed by what they are worth."""

import numpy as np

from rna_predict.contracts import Motif, TemplateHits, atom_slots, bin_centres
from rna_predict.geometry.numpy_measures import measure_pucker, measure_torsions
from rna_predict.stage_b_torsion.template_geometry import density_around
from rna_predict.stage_b_torsion.torsion_values import TorsionValues

TRUST = (2.0, 0.4)
"""Weight of a known loop at its distances: the first times what its expected lDDT is above the second."""

MOST_TRUST = 0.95
"""Largest weight."""

SPREAD = (0.3, 0.06)
"""Å and share of the distance: by how much a loop of expected lDDT e is off, times `3.5 (1 - e)`."""

LEAST_SPREAD = 0.35
"""Å, smallest standard deviation of a loop's distance."""

TORSION_CONCENTRATION = 25.0
"""von Mises κ of a torsion taken from a loop of expected lDDT 1."""


def with_motif_distances(
    log_p_GLLB: np.ndarray, edges: tuple[float, ...], atoms: list[str], templates: TemplateHits
) -> np.ndarray:
    """float32 [G, L, L, B], log-probabilities in which known loops have a share.

    Args:
        log_p_GLLB: normalised, of the network or table, and of whole templates where there are any.
        edges: Å, upper edges of all bins but the last, of equal width.
        atoms: kinds of atoms, keys of `DISTOGRAM_ATOMS`.
        templates: what was found.
    """
    mixed = np.array(log_p_GLLB, dtype=np.float32)
    centre_B = bin_centres(edges)
    for motif in reversed(templates.known_loops):  # the most trusted has the last word
        block = np.ix_(motif.residue_N, motif.residue_N)
        for kind, name in enumerate(atoms):
            rows = np.arange(len(motif.residue_N))
            slot_N = atom_slots(name, templates.sequence)[motif.residue_N]
            seen_N = motif.mask_NA[rows, slot_N]
            told_NNB = _told(motif.xyz_NA3[rows, slot_N].astype(np.float64), motif.hit.expected_lddt, centre_B)
            trust_NN1 = _trust(motif) * (seen_N[:, None] & seen_N)[..., None]
            both_NNB = (1 - trust_NN1) * np.exp(mixed[kind][block]) + trust_NN1 * told_NNB
            mixed[kind][block] = np.log(np.clip(both_NNB, 1e-8, None))
    return mixed


def _trust(motif: Motif) -> float:
    return float(np.clip(TRUST[0] * (motif.hit.expected_lddt - TRUST[1]), 0.0, MOST_TRUST))


def _told(point_N3: np.ndarray, expected: float, centre_B: np.ndarray) -> np.ndarray:
    """The loop's own distribution of each distance, [N, N, B]."""
    gap_NN = np.linalg.norm(point_N3[:, None] - point_N3, axis=-1)
    spread_NN = np.maximum(3.5 * (1 - expected) * (SPREAD[0] + SPREAD[1] * gap_NN), LEAST_SPREAD)
    density_NNB = density_around(gap_NN, spread_NN, centre_B)
    return density_NNB / density_NNB.sum(-1, keepdims=True)


def motif_torsions(values: TorsionValues, templates: TemplateHits) -> TorsionValues:
    """Torsions and puckers with those of known loops in their place, where they have them."""
    angle_L7, kappa_L7 = values.angle_L7.copy(), values.concentration_L7.copy()
    phase_L, phase_kappa_L = values.phase_L.copy(), values.phase_concentration_L.copy()
    for motif in reversed(templates.known_loops):
        letters = "".join(templates.sequence[n] for n in motif.residue_N)
        found_N7, known_N7 = measure_torsions(motif.xyz_NA3, motif.mask_NA, letters, motif.linked_N)
        pucker_N, _, ring_N = measure_pucker(motif.xyz_NA3, motif.mask_NA, letters)
        kappa = TORSION_CONCENTRATION * motif.hit.expected_lddt
        rows, columns = np.nonzero(known_N7)
        angle_L7[motif.residue_N[rows], columns] = found_N7[rows, columns]
        kappa_L7[motif.residue_N[rows], columns] = kappa
        phase_L[motif.residue_N[ring_N]], phase_kappa_L[motif.residue_N[ring_N]] = pucker_N[ring_N], kappa
    return TorsionValues(
        angle_L7=angle_L7,
        concentration_L7=kappa_L7,
        phase_L=phase_L,
        amplitude_L=values.amplitude_L,
        phase_concentration_L=phase_kappa_L,
    )
