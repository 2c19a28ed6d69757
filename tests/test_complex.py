"""Complexes of several chains through all stages: real strands, and what holds them together."""

import numpy as np
import pytest
import torch

from rna_predict.chemistry.residues import O3, P
from rna_predict.contracts import RnaSequence
from rna_predict.contracts.sequence import rna_of_text
from rna_predict.energy.contacts import contact_table, list_contacts
from rna_predict.energy.links import link_energy
from rna_predict.errors import ConfigError
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.evaluation.scores import score
from rna_predict.formats.structure import joined, read_structure
from rna_predict.pipeline import PipelineConfig, predict
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.pair_graph import pair_graph
from rna_predict.stage_c_reconstruction.config import StageCConfig
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.templates.config import TemplatesConfig
from tests.test_pipeline import QUICK

ONE_MODEL = PipelineConfig(templates=TemplatesConfig(enabled=False), stage_d=StageDConfig(models=1))


@pytest.fixture(scope="module")
def duplex(chains_dir):
    """Both strands of 1qcu, an A-form duplex of 22 nt."""
    return joined([read_structure(chains_dir / f"1qcu_{name}.pdb.gz") for name in "AB"])


@pytest.fixture(scope="module")
def prediction(duplex):
    """Two strands without a template."""
    return predict(RnaSequence(id="1qcu", sequence=duplex.sequence, breaks=duplex.breaks), ONE_MODEL)


def test_a_duplex_is_near_its_crystal_structure(prediction, duplex):
    found = score(prediction.ensemble.structure(0), duplex)
    assert found.rmsd < 1.5, "0.8 Å when this was written"
    assert found.lddt > 0.9
    assert found.inf_wc == 1.0


def test_strands_are_whole_and_nothing_binds_them_to_each_other(prediction):
    model = prediction.ensemble.structure(0)
    report = geometry_report(model)
    assert (report.faults, report.bonds.bonds_over_003, report.clashes, report.atoms_missing) == ("", 0, 0, 0)
    first = model.breaks[0]
    gap = np.linalg.norm(model.xyz_LA3[first - 1, O3] - model.xyz_LA3[first, P])
    assert gap > 5, "the ends of two strands lie at the same end of the helix, but are not bound"
    assert len(annotate_pairs(model).canonical) == 11


def test_a_strand_that_pairs_with_nothing_stays_whole():
    complex_ = predict(rna_of_text("loose", "GGGCUUCGGCCC&AAAA"), QUICK)
    report = geometry_report(complex_.ensemble.structure(0))
    assert report.faults == ""
    assert not complex_.adjacency.partner_L[12:].max() >= 0


def test_templates_and_known_loops_never_link_two_chains():
    config = PipelineConfig(stage_c=QUICK.stage_c, stage_d=QUICK.stage_d)
    trna = "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"
    found = predict(rna_of_text("split", f"{trna[:35]}&{trna[35:]}"), config)
    assert found.templates.hits, "the chains together are a tRNA"
    assert not found.templates.linked_KL[:, 34].any()
    assert found.templates.linked_KL[:, 33].any()
    assert all(
        hit.kind != "hairpin" or not (found.templates.motif_residue_N == 35).any() for hit in found.templates.motifs
    )
    assert geometry_report(found.ensemble.structure(0)).bonds.breaks == 0


def test_no_backbone_leads_from_chain_to_chain():
    alone = np.full(8, -1)
    assert pair_graph(alone).path_LL[3, 4] == 1
    assert pair_graph(alone, (4,)).path_LL[3, 4] == 31, "as far as can be told apart"
    assert pair_graph(alone, (4,)).path_LL[2, 3] == 1
    paired = np.array([7, -1, -1, -1, -1, -1, -1, 0])
    assert pair_graph(paired, (4,)).path_LL[3, 4] == 3 + 1 + 3, "along both strands and over the pair"


def test_links_and_contacts_know_the_chains():
    torch.manual_seed(0)
    xyz_SLA3 = torch.randn(1, 4, 23, 3)
    parts = link_energy(xyz_SLA3[:, :2], 0.5) + link_energy(xyz_SLA3[:, 2:], 0.5)
    torch.testing.assert_close(link_energy(xyz_SLA3, 0.5, (2,)), parts)
    assert link_energy(xyz_SLA3, 0.5) > parts
    bound, free = (list_contacts(xyz_SLA3, contact_table("AAAA", breaks), 0.5) for breaks in ((), (2,)))
    assert len(free.sample_N) > len(bound.sample_N), "O3' and P of two chains may touch, and must not overlap"


def test_methods_for_one_chain_refuse_several():
    rna = rna_of_text("two", "GGCACUUCGG&CCGAAGUGCC")
    with pytest.raises(ConfigError, match=r"nerf builds one chain, two has 2\. Use assembly"):
        predict(rna, PipelineConfig(stage_c=StageCConfig(method="nerf")))
    with pytest.raises(ConfigError, match="torsionbert reads one chain"):
        predict(rna, PipelineConfig(stage_b=StageBConfig(torsions="torsionbert", torsionbert="folder")))


def test_the_networks_take_a_complex():
    config = PipelineConfig(
        stage_b=StageBConfig(backend="trunk", untrained_profile="nano"),
        stage_c=QUICK.stage_c,
        stage_d=StageDConfig(
            backend="diffusion", untrained_profile="nano", models=1, steps=3, refine=True, refine_iterations=100
        ),
    )
    found = predict(rna_of_text("two", "GGCACUUCGG&CCGAAGUGCC"), config)
    assert found.ensemble.breaks == (10,)
    assert geometry_report(found.ensemble.structure(0)).bonds.breaks == 0
