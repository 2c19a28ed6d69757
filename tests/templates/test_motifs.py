"""Known loops: what a loop is, which known one stands for it, and what the search hands on."""

import dataclasses

import numpy as np
import pytest

from rna_predict.chemistry.residues import C1
from rna_predict.cli.library_calibration import calibrate_motifs
from rna_predict.contracts import TemplateHits
from rna_predict.errors import ContractError
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.motif_worth import read_motif_calibration
from rna_predict.templates.motifs import find_motif, gap_lddt, loop_gaps, rings, similarity
from rna_predict.templates.stage import find_templates

from .conftest import ADENINE, TRNA, adjacency_of, position_of, row_of

TETRALOOP = ("GGGACUCGAAAGAGUCCC", "(((((((....)))))))")


def ring_of(letters: str, pairs: str, kind: str = "hairpin"):
    return next(ring for ring in rings(letters, from_dot_bracket(pairs, "x")) if ring.shape[0] == kind)


def test_loops_with_the_pairs_that_border_them():
    found = rings("GGAACGAAAGGCC", from_dot_bracket("((..(....).))", "x"))
    assert [(ring.shape, ring.letters) for ring in found] == [
        (("internal", (2, 1)), "GAACGGC"),
        (("hairpin", (4,)), "CGAAAG"),
    ]
    assert found[0].residue_N.tolist() == [1, 2, 3, 4, 9, 10, 11]


def test_a_loop_is_also_read_from_its_other_pairs():
    partner_L = from_dot_bracket("((..(....).))", "x")
    turned = rings("GGAACGAAAGGCC", partner_L, turned=True)
    assert [ring.shape for ring in turned] == [("internal", (2, 1)), ("internal", (1, 2)), ("hairpin", (4,))]
    assert (turned[1].letters, turned[1].residue_N.tolist()) == ("GGCGAAC", [9, 10, 11, 1, 2, 3, 4])


def test_similarity_of_letters():
    """Six residues of a tetraloop: four count 1, the bordering pair 0.3 each, 4.6 in all."""
    same = ring_of(*TETRALOOP)
    assert similarity(same, same) == 1.0
    other = ring_of("GGGACUCGCAAGAGUCCC", TETRALOOP[1])  # A to C in the loop
    assert similarity(same, other) == pytest.approx(3.6 / 4.6)
    alike = ring_of("GGGACUCGGAAGAGUCCC", TETRALOOP[1])  # A to G
    assert similarity(same, alike) == pytest.approx(4.0 / 4.6)
    knotted = dataclasses.replace(same, knotted=(False, False, True, False, False, False))
    assert similarity(same, knotted) == pytest.approx(3.6 / 4.6)


def test_lddt_of_distances():
    native_P = np.array([5.0, 8.0, 20.0])  # the last is too far to count
    model_KP = np.array([[5.0, 8.0, 0.0], [5.7, 8.0, 20.0], [np.nan, 13.0, 20.0]])
    assert gap_lddt(native_P, model_KP).tolist() == [1.0, 0.875, 0.0]


def test_a_gnra_tetraloop_finds_one_of_its_fold(carried):
    """Its G-A pair is closed: the bases of the first and the last residue are as near as in GNRA loops."""
    found = find_motif(ring_of(*TETRALOOP), carried, lambda position: True)
    assert found is not None
    assert (found.known.shape, found.similarity) == (("hairpin", (4,)), 1.0)
    atoms = carried.atoms(found.chain)
    first, last = found.known.residue_N[1], found.known.residue_N[4]
    assert 7.5 < np.linalg.norm(atoms.xyz_LA3[first, C1] - atoms.xyz_LA3[last, C1]) < 10.5
    assert found.agreement > 0.85


def test_chains_that_do_not_count_are_not_found(carried):
    ring = ring_of(*TETRALOOP)
    first = find_motif(ring, carried, lambda position: True)
    second = find_motif(ring, carried, lambda position: position != first.chain)
    assert second.chain != first.chain
    assert find_motif(ring, carried, lambda position: False) is None


def test_a_loop_of_a_chain_is_the_chain_s_own(small):
    """What is found for a loop of a chain of the library, that chain alone counting, has its distances."""
    row, position = row_of(small, ADENINE), position_of(small, ADENINE)
    for ring in rings(row.sequence, row.partner_L):
        own_P = loop_gaps(small.atoms(position), ring)
        found = find_motif(ring, small, lambda n: n == position)
        assert gap_lddt(own_P, loop_gaps(small.atoms(position), found.known)[None])[0] > 0.5
        assert found.known.shape == ring.shape


def test_the_carried_fit_is_what_its_command_makes(carried):
    made = calibrate_motifs(carried)
    kept = read_motif_calibration()
    assert kept.made_by["library"] == carried.digest
    assert made.weights == pytest.approx(kept.weights, rel=1e-4)
    assert made.made_by["across_clusters"]["pearson"] > 0.6


def test_better_letters_are_worth_more(carried):
    calibration = read_motif_calibration()
    ring = ring_of(*TETRALOOP)
    odd = ring_of("GGGACUCUCCUGAGUCCC", TETRALOOP[1])
    worth = [calibration.expected(find_motif(one, carried, lambda n: True).vector) for one in (ring, odd)]
    assert worth[0] > 0.85 > worth[1]


@pytest.fixture(scope="module")
def hits(small) -> TemplateHits:
    row = row_of(small, TRNA)
    config = TemplatesConfig(max_hits=0, min_expected_lddt=0.0)
    return find_templates(adjacency_of(row.sequence, row.partner_L), config, small)


def test_known_loops_lie_on_the_rna_s_residues(small, hits):
    row = row_of(small, TRNA)
    own = {ring.residue_N.tolist()[0]: ring for ring in rings(row.sequence, row.partner_L)}
    assert len(hits.motifs) == len(own)
    for motif in hits.known_loops:
        assert motif.mask_NA[:, C1].all()
        assert set(motif.residue_N.tolist()) <= set(own[int(motif.residue_N[0])].residue_N.tolist())
        step = np.linalg.norm(motif.xyz_NA3[1:, C1] - motif.xyz_NA3[:-1, C1], axis=1)
        assert (step[motif.linked_N] < 9.5).all()


def test_they_are_off_where_the_config_says_so(small):
    row = row_of(small, TRNA)
    adjacency = adjacency_of(row.sequence, row.partner_L)
    for off in ({"motifs": False}, {"enabled": False}, {"min_length": 100}, {"min_expected_lddt": 1.0}):
        assert not find_templates(adjacency, TemplatesConfig(**{"max_hits": 0} | off), small).motifs


def test_a_template_that_says_as_much_leaves_none(small):
    """With itself as a template the tRNA needs no loops of others."""
    row = row_of(small, TRNA)
    found = find_templates(adjacency_of(row.sequence, row.partner_L), TemplatesConfig(), small)
    assert found.hits[0].expected_tm > 0.85
    assert not found.motifs


def test_identity_and_exclusion_hold_for_loops(small):
    row = row_of(small, TRNA)
    adjacency = adjacency_of(row.sequence, row.partner_L)
    base = {"max_hits": 0, "min_expected_lddt": 0.0}
    assert TRNA in {motif.id for motif in find_templates(adjacency, TemplatesConfig(**base), small).motifs}
    for narrow in ({"max_identity": 0.8}, {"exclude": [TRNA]}, {"before": "2000-01-01"}):
        found = find_templates(adjacency, TemplatesConfig(**base | narrow), small)
        assert TRNA not in {motif.id for motif in found.motifs}


def test_a_record_of_loops_comes_back_from_its_file(hits, tmp_path):
    path = tmp_path / "t_templates.safetensors"
    hits.save(path)
    back = TemplateHits.load(path)
    assert back.digest() == hits.digest()
    assert back.motifs == hits.motifs


@pytest.mark.parametrize(
    "change",
    [
        {"motifs": ()},
        {"motif_linked_N": np.zeros(1, dtype=bool)},
        {"motif_residue_N": None},
        {"motif_xyz_NA3": None},
    ],
)
def test_arrays_that_do_not_fit_are_refused(hits, change):
    residue_N, xyz_NA3 = hits.motif_residue_N.copy(), hits.motif_xyz_NA3.copy()
    residue_N[1] = residue_N[0]
    xyz_NA3[~hits.motif_mask_NA] = 1.0
    made = {"motif_residue_N": residue_N, "motif_xyz_NA3": xyz_NA3}
    with pytest.raises(ContractError):
        dataclasses.replace(hits, **{name: made[name] if value is None else value for name, value in change.items()})
