"""What known loops and known stretches are worth: those of each of a library's chains, found among its other clusters.

A chain without a cluster counts as one of its own.
"""

from collections.abc import Iterator

from rna_predict.cli.cluster_fit import Sample, fit_clusters
from rna_predict.templates import local_worth, motif_worth
from rna_predict.templates.library import Library, chain_positions
from rna_predict.templates.local import LocalHit, local_hits
from rna_predict.templates.logistic import LogisticFit
from rna_predict.templates.motifs import find_motif, gap_lddt, loop_gaps, residue_gaps, rings


def calibrate_motifs(library: Library) -> LogisticFit:
    """The fit of the lDDT of a known loop on another."""
    about: dict[str, object] = {"command": "rna-predict templates calibrate-motifs", "library": library.digest}
    return fit_clusters(motif_samples(library), motif_worth.SCHEMA, motif_worth.TERMS, about, "loops")


def calibrate_local(library: Library) -> LogisticFit:
    """The fit of the share of a known stretch's pairs that are right on another RNA."""
    about: dict[str, object] = {"command": "rna-predict templates calibrate-local", "library": library.digest}
    return fit_clusters(local_samples(library), local_worth.SCHEMA, local_worth.TERMS, about, "stretches")


def calibrate_stretches(library: Library) -> LogisticFit:
    """The fit of the lDDT of a known stretch on another RNA whose pairs are known."""
    about: dict[str, object] = {"command": "rna-predict templates calibrate-stretches", "library": library.digest}
    samples = stretch_samples(library)
    return fit_clusters(samples, local_worth.STRETCH_SCHEMA, local_worth.STRETCH_TERMS, about, "stretches")


def motif_samples(library: Library) -> list[Sample]:
    """Every loop that other clusters of the library have a known one for, with the true lDDT of both."""
    group_N = [row.cluster or row.id for row in library.rows]
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
    return [
        Sample(group, hit.figures.vector, hit.agreement(library.rows[position].partner_L))
        for group, position, hit in _stretches(library)
    ]


def stretch_samples(library: Library) -> list[Sample]:
    """The same stretches with the lDDT of both."""
    samples = []
    for group, position, hit in _stretches(library):
        own_P = residue_gaps(library.atoms(position), hit.residue_N)
        known_P = residue_gaps(library.atoms(hit.position), hit.place_N)
        vector = hit.figures.stretch_vector(hit.agreement(library.rows[position].partner_L))
        samples.append(Sample(group, vector, float(gap_lddt(own_P, known_P[None])[0])))
    return samples


def _stretches(library: Library) -> Iterator[tuple[str, int, LocalHit]]:
    """Group and position of a chain, and a stretch of it that reads like one of another cluster."""
    group_N = [row.cluster or row.id for row in library.rows]
    blank = LogisticFit(schema="", terms=local_worth.TERMS, weights=(0.0,) * len(local_worth.TERMS), made_by={})
    chains = chain_positions(library.rows)
    for position in chains:
        row = library.rows[position]
        others = [n for n in chains if group_N[n] != group_N[position]]
        for hit in local_hits(row.sequence, (0, len(row.sequence)), library, others, blank):
            yield group_N[position], position, hit
