"""Known stretches as pieces of a structure: those that hold what stems and loops leave open, on the RNA's residues."""

import numpy as np
import pytest
import torch

from rna_predict.chemistry.residues import C1
from rna_predict.cli.library_calibration import calibrate_stretches
from rna_predict.contracts import TemplateHits, decompose
from rna_predict.contracts.templates import STRETCH
from rna_predict.energy.motifs import motif_relations
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.local_worth import read_stretch_calibration
from rna_predict.templates.stage import FEWEST_FREE, find_templates

from .conftest import adjacency_of, position_of
from .test_local import CRISPR, HANDLE

HANDLE_PAIRS = [(4, 18), (5, 17), (6, 16), (7, 15), (8, 14)]


def partners(pairs: list[tuple[int, int]]) -> np.ndarray:
    partner_L = np.full(len(CRISPR), -1)
    for i, j in pairs:
        partner_L[i], partner_L[j] = j, i
    return partner_L


@pytest.fixture(scope="module")
def hits(carried) -> TemplateHits:
    return find_templates(adjacency_of(CRISPR, partners(HANDLE_PAIRS)), TemplatesConfig(), carried)


def test_the_handle_of_another_species_is_laid_on_the_rna(hits, carried):
    (piece,) = [motif for motif in hits.known_loops if motif.hit.kind == STRETCH]
    assert piece.hit.id == HANDLE
    assert piece.hit.agreement == 1.0
    assert 0.7 < piece.hit.expected_lddt < 1
    assert {0, 1, 2, 3, 19} <= set(piece.residue_N.tolist())
    known = carried.atoms(position_of(carried, HANDLE)).xyz_LA3[:, C1]
    own = np.linalg.norm(piece.xyz_NA3[0, C1] - piece.xyz_NA3[-1, C1])
    assert np.abs(np.linalg.norm(known[:, None] - known, axis=-1) - own).min() < 0.05
    assert f"stretch of {HANDLE}" in piece.hit.sentence


def test_pieces_stand_in_the_order_of_their_worth_and_survive_the_file(hits, tmp_path):
    worth = [motif.expected_lddt for motif in hits.motifs]
    assert worth == sorted(worth, reverse=True)
    hits.save(tmp_path / "t.safetensors")
    assert TemplateHits.load(tmp_path / "t.safetensors").digest() == hits.digest()


@pytest.mark.parametrize(
    ("pairs", "config"),
    [
        (HANDLE_PAIRS[:3], TemplatesConfig()),
        ([(20, 39)], TemplatesConfig()),
        (HANDLE_PAIRS, TemplatesConfig(motifs=False)),
        (HANDLE_PAIRS, TemplatesConfig(min_expected_pairs=0.95)),
        (HANDLE_PAIRS, TemplatesConfig(min_expected_lddt=0.95)),
        (HANDLE_PAIRS, TemplatesConfig(max_identity=0.4)),
        (HANDLE_PAIRS, TemplatesConfig(exclude=[HANDLE])),
        (HANDLE_PAIRS, TemplatesConfig(enabled=False)),
    ],
)
def test_none_where_the_rna_lacks_its_pairs_or_the_settings_leave_it_out(carried, pairs, config):
    found = find_templates(adjacency_of(CRISPR, partners(pairs)), config, carried)
    assert all(motif.id != HANDLE or motif.kind != STRETCH for motif in found.motifs)


def test_what_stems_and_loops_hold_already_is_no_stretch(carried):
    hairpin = "GGGACUCGAAAGAGUCCC"
    partner_L = np.full(len(hairpin), -1)
    for i in range(7):
        partner_L[i], partner_L[-1 - i] = len(hairpin) - 1 - i, i
    found = find_templates(adjacency_of(hairpin, partner_L), TemplatesConfig(), carried)
    assert {motif.kind for motif in found.motifs} == {"hairpin"}
    for row in [row for row in carried.rows if not row.loop][::40]:
        own = find_templates(adjacency_of(row.sequence, row.partner_L), TemplatesConfig(max_hits=0), carried)
        held = row.partner_L >= 0
        for motif in own.known_loops:
            if motif.hit.kind != STRETCH:
                held[motif.residue_N] = True
        assert all(
            (~held[motif.residue_N]).sum() >= FEWEST_FREE for motif in own.known_loops if motif.hit.kind == STRETCH
        )


def test_stems_stay_those_of_the_helix(hits):
    partner_L = partners(HANDLE_PAIRS)
    relations = motif_relations(hits, partner_L, 12.0, torch.zeros(1))
    stem_L = decompose(partner_L).stem_L
    for i, j in zip(relations.first.tolist(), relations.second.tolist(), strict=True):
        assert stem_L[i] < 0 or stem_L[i] != stem_L[j]
    assert len({*relations.first.tolist(), *relations.second.tolist()} & {0, 1, 2, 3}) >= 2


def test_the_carried_fit_is_what_its_command_makes(carried):
    made, kept = calibrate_stretches(carried), read_stretch_calibration()
    assert kept.made_by["library"] == carried.digest
    assert made.weights == pytest.approx(kept.weights, rel=1e-4)
    assert made.made_by["across_clusters"]["pearson"] > 0.75
