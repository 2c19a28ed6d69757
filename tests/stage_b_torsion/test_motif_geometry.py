"""Known loops put their distances and torsions where they lie, by what they are worth, and nothing elsewhere."""

import dataclasses

import numpy as np
import pytest

from rna_predict.chemistry.residues import SLOT
from rna_predict.contracts import DISTOGRAM_ATOMS, EDGES, MotifHit, Provenance, TemplateHits, bin_centres
from rna_predict.geometry.numpy_measures import measure_torsions
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.motif_geometry import MOST_TRUST, motif_torsions, with_motif_distances
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_b_torsion.torsion_values import TorsionValues
from rna_predict.templates.library import open_library
from rna_predict.templates.motifs import rings

from .conftest import adjacency_of

CHAIN = "1y26_X"
KINDS = ["P", "C1'", "N1/N3"]
CENTRES = bin_centres(EDGES["wide"])
ELSEWHERE = 46
"""Bin that the network puts every distance in."""


@pytest.fixture(scope="module")
def chain():
    library = open_library("")
    place = next(n for n, row in enumerate(library.rows) if row.id == CHAIN)
    return library.rows[place], library.atoms(place)


@pytest.fixture(scope="module")
def loop_of(chain):
    """`loop_of(expected, …)`: the chain's first hairpin loop on itself, once for each expected lDDT."""
    row, atoms = chain
    ring = next(ring for ring in rings(row.sequence, row.partner_L) if ring.shape[0] == "hairpin")
    size = len(ring.residue_N)

    def make(*expected: float) -> TemplateHits:
        length, many = len(row.sequence), len(expected)
        bound_N = np.append(atoms.linked_L[ring.residue_N[:-1]], False)
        return TemplateHits(
            id="probe",
            sequence=row.sequence,
            provenance=Provenance(method="templates", package_version="0"),
            xyz_KLA3=np.zeros((0, length, 23, 3), dtype=np.float32),
            mask_KLA=np.zeros((0, length, 23), dtype=bool),
            mask_KL=np.zeros((0, length), dtype=bool),
            position_KL=np.zeros((0, length), dtype=np.int32),
            linked_KL=np.zeros((0, length - 1), dtype=bool),
            motif_residue_N=np.tile(ring.residue_N, many).astype(np.int32),
            motif_xyz_NA3=np.tile(atoms.xyz_LA3[ring.residue_N], (many, 1, 1)),
            motif_mask_NA=np.tile(atoms.mask_LA[ring.residue_N], (many, 1)),
            motif_linked_N=np.tile(bound_N, many),
            motifs=tuple(
                MotifHit(
                    id=CHAIN,
                    kind="hairpin",
                    start=k * size,
                    size=size,
                    similarity=1.0,
                    agreement=1.0,
                    expected_lddt=worth,
                    letters=ring.letters,
                )
                for k, worth in enumerate(expected)
            ),
        )

    return make


def own(length: int) -> np.ndarray:
    log_p = np.full((3, length, length, 48), np.log(1e-8), dtype=np.float32)
    log_p[..., ELSEWHERE] = 0.0
    return log_p


def values_of(length: int) -> TorsionValues:
    return TorsionValues(
        angle_L7=np.full((length, 7), 9.0),
        concentration_L7=np.full((length, 7), 9.0),
        phase_L=np.full(length, 9.0),
        amplitude_L=np.full(length, 9.0),
        phase_concentration_L=np.full(length, 9.0),
    )


@pytest.mark.parametrize(("worth", "trust"), [(1.0, MOST_TRUST), (0.7, 0.6), (0.4, 0.0)])
def test_distances_within_the_loop_are_a_mixture(chain, loop_of, worth, trust):
    row, atoms = chain
    templates = loop_of(worth)
    mixed = with_motif_distances(own(71), EDGES["wide"], KINDS, templates)
    residues = templates.motif_residue_N
    for kind, name in enumerate(KINDS):
        slot_N = [SLOT[row.sequence[n]][DISTOGRAM_ATOMS[name][row.sequence[n]]] for n in residues]
        point_N3 = atoms.xyz_LA3[residues, slot_N]
        gap_NN = np.linalg.norm(point_N3[:, None] - point_N3, axis=-1)
        chance_NNB = np.exp(mixed[kind][np.ix_(residues, residues)])
        near_NN = (gap_NN > 5) & (gap_NN < 25)
        assert near_NN.sum() > 20
        assert np.abs(chance_NNB[near_NN][:, ELSEWHERE] - (1 - trust)).max() < 0.02, name
        if trust:
            told_NNB = chance_NNB.copy()
            told_NNB[..., ELSEWHERE] = 0
            mean_NN = (told_NNB @ CENTRES) / told_NNB.sum(-1)
            assert np.abs(mean_NN - gap_NN)[near_NN].max() < 0.35, name
    np.testing.assert_allclose(np.exp(mixed).sum(-1), 1, atol=1e-4)


def test_other_distances_stay(loop_of):
    templates = loop_of(0.9)
    mixed = with_motif_distances(own(71), EDGES["wide"], KINDS, templates)
    inside_L = np.isin(np.arange(71), templates.motif_residue_N)
    outside_LL = ~(inside_L[:, None] & inside_L)
    assert np.array_equal(mixed[:, outside_LL], own(71)[:, outside_LL])


def test_torsions_inside_are_the_loop_s(chain, loop_of):
    """Those that reach out of it, and all others, stay."""
    row, atoms = chain
    templates = loop_of(0.8)
    found = motif_torsions(values_of(71), templates)
    native_L7, known_L7 = measure_torsions(atoms.xyz_LA3, atoms.mask_LA, row.sequence, atoms.linked_L)
    inner = templates.motif_residue_N[1:-1]
    assert known_L7[inner].all()
    np.testing.assert_allclose(found.angle_L7[inner], native_L7[inner], atol=1e-5)
    assert (found.concentration_L7[inner] == 20.0).all()
    first, last = templates.motif_residue_N[[0, -1]]
    assert (found.angle_L7[first, 0], found.angle_L7[last, 5]) == (9.0, 9.0)
    outside = np.setdiff1d(np.arange(71), templates.motif_residue_N)
    assert (found.angle_L7[outside] == 9.0).all()
    assert (found.phase_L[outside] == 9.0).all()


def test_the_most_trusted_loop_has_the_last_word(chain, loop_of):
    """Two for the same residues: the torsions are those of the better one."""
    two, one = loop_of(0.9, 0.7), loop_of(0.9)
    half = two.motif_xyz_NA3.copy()
    half[len(half) // 2 :, :, 0] *= -1
    mirrored = dataclasses.replace(two, motif_xyz_NA3=half)
    np.testing.assert_array_equal(
        motif_torsions(values_of(71), mirrored).angle_L7, motif_torsions(values_of(71), one).angle_L7
    )


def test_stage_b_says_that_it_used_loops(chain, loop_of):
    row, _ = chain
    sequence, adjacency = adjacency_of(row.sequence, row.partner_L)
    settings = StageBConfig(backend="prior-table", torsions="prior-table")
    torsions, embeddings = predict_torsions(sequence, adjacency, settings, templates=loop_of(0.9))
    without, _ = predict_torsions(sequence, adjacency, settings, templates=loop_of())
    assert torsions.provenance.method == embeddings.provenance.method.replace("prior table", "prior-table")
    assert "1 known loops" in torsions.provenance.method
    assert "known loops" not in without.provenance.method
    assert torsions.digest() != without.digest()
