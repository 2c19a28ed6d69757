"""How good known loops are on others: the lDDT of each loop of a library with the one that a search finds for it."""

from statistics import fmean

import numpy as np

from rna_predict.cli.template_calibration import FOLDS, reliability_rows
from rna_predict.templates.features import fit
from rna_predict.templates.library import Library
from rna_predict.templates.motif_worth import MotifCalibration
from rna_predict.templates.motifs import FoundMotif, find_motif, gap_lddt, loop_gaps, rings


def motif_samples(library: Library) -> list[tuple[str, FoundMotif, float]]:
    """Cluster, search result and true lDDT of every loop that other clusters of the library have a known one for.

    A chain without a cluster counts as one of its own.
    """
    rows = library.rows
    group_N = [row.cluster or row.id for row in rows]
    samples = []
    for position, row in enumerate(rows):
        atoms = library.atoms(position)
        for ring in rings(row.sequence, row.partner_L):
            own_P = loop_gaps(atoms, ring)
            if own_P is None:
                continue
            found = find_motif(ring, library, lambda n, own=group_N[position]: group_N[n] != own)
            if found is None:
                continue
            known_P = loop_gaps(library.atoms(found.chain), found.known)
            assert known_P is not None
            samples.append((group_N[position], found, float(gap_lddt(own_P, known_P[None])[0])))
    return samples


def fit_motifs(samples: list[tuple[str, FoundMotif, float]], made_by: dict[str, object]) -> MotifCalibration:
    """The fit to all samples, a cluster counting by the root of its loops, with its quality across clusters."""
    vector_NF = np.stack([found.vector for _, found, _ in samples])
    true_N = np.array([true for _, _, true in samples])
    clusters = sorted({cluster for cluster, _, _ in samples})
    number_N = np.array([clusters.index(cluster) for cluster, _, _ in samples])
    weight_N = np.sqrt(1.0 / np.bincount(number_N))[number_N]
    fold_C = np.random.default_rng(0).permutation(len(clusters)) % FOLDS
    expected_N = np.zeros(len(samples))
    for fold in range(FOLDS):
        held_N = fold_C[number_N] == fold
        weights = fit(vector_NF[~held_N], true_N[~held_N], weight_N[~held_N])
        own = MotifCalibration(weights=weights, made_by={})
        expected_N[held_N] = [own.expected(vector) for vector in vector_NF[held_N]]
    quality = {
        "loops": len(samples),
        "clusters": len(clusters),
        "across_clusters": {
            "mean_error": round(fmean(np.abs(expected_N - true_N)), 4),
            "pearson": round(float(np.corrcoef(expected_N, true_N)[0, 1]), 4),
            "by_expected": reliability_rows(expected_N, true_N),
        },
    }
    return MotifCalibration(weights=fit(vector_NF, true_N, weight_N), made_by=made_by | quality)
