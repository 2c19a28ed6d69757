"""What known loops and known stretches are worth: those of each of a library's chains, found among its other clusters.

A chain without a cluster counts as one of its own.
"""

from rna_predict.cli.cluster_fit import Sample, fit_clusters
from rna_predict.templates import local_worth, motif_worth
from rna_predict.templates.library import Library, chain_positions
from rna_predict.templates.local import LocalHit, local_hits
from rna_predict.templates.logistic import LogisticFit
from rna_predict.templates.motifs import find_motif, gap_lddt, loop_gaps, rings


def calibrate_motifs(library: Library) -> LogisticFit:
    """The fit of the lDDT of a known loop on another."""
    about: dict[str, object] = {"command": "rna-predict templates calibrate-motifs", "library": library.digest}
    return fit_clusters(motif_samples(library), motif_worth.SCHEMA, motif_worth.TERMS, about, "loops")


def calibrate_local(library: Library) -> LogisticFit:
    """The fit of the share of a known stretch's pairs that are right on another RNA."""
    about: dict[str, object] = {"command": "rna-predict templates calibrate-local", "library": library.digest}
    return fit_clusters(local_samples(library), local_worth.SCHEMA, local_worth.TERMS, about, "stretches")


def motif_samples(library: Library) -> list[Sample]:
    """Every loop that other clusters of the library have a known one for, with the true lDDT of both."""
    group_N = _groups(library)
    samples = []
    for position, row in enumerate(library.rows):
        atoms = library.atoms(position)
        for ring in rings(row.sequence, row.partner_L, breaks=row.breaks):
            own_P = loop_gaps(atoms, ring)
            if own_P is None:
                continue
            found = find_motif(ring, library, lambda n, own=group_N[position]: group_N[n] != own)
            if found is None:
                continue
            known_P = loop_gaps(library.atoms(found.chain), found.known)
            assert known_P is not None
            samples.append(Sample(group_N[position], found.vector, float(gap_lddt(own_P, known_P[None])[0])))
    return samples


def local_samples(library: Library) -> list[Sample]:
    """Every stretch of a chain that reads like one of another cluster, with the share of its pairs that both have."""
    group_N = _groups(library)
    blank = LogisticFit(schema="", terms=local_worth.TERMS, weights=(0.0,) * len(local_worth.TERMS), made_by={})
    samples = []
    for position, row in enumerate(library.rows):
        others = [n for n in chain_positions(library.rows) if not row.loop and group_N[n] != group_N[position]]
        for hit in local_hits(row.sequence, (0, len(row.sequence)), library, others, blank):
            samples.append(Sample(group_N[position], hit.vector, _share_right(hit, row.partner_L.tolist())))
    return samples


def _share_right(hit: LocalHit, partner: list[int]) -> float:
    return sum(partner[i] == j for i, j in hit.pairs) / len(hit.pairs)


def _groups(library: Library) -> list[str]:
    return [row.cluster or row.id for row in library.rows]
