"""Numbers read from the confidence head's logits, against definitions and against Protenix's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts.structure import full_mask
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.features import Representations
from rna_predict.nn.featurise import featurise
from rna_predict.nn.slots import from_slots
from rna_predict.stage_d_diffusion.confidence_head import ConfidenceHead, ConfidenceLogits
from rna_predict.stage_d_diffusion.judged import Confidence
from rna_predict.stage_d_diffusion.learned_confidence import expected, learned_confidence, predicted_tm
from rna_predict.stage_d_diffusion.ranking import energy_score, learned_score

SEQUENCE = "GACU"


def error_logits(length: int) -> torch.Tensor:
    row = torch.arange(length).float()
    return 4 * torch.sin(row[:, None, None] * 0.7 + row[:, None] * 1.3 + torch.arange(64).float() * 0.21)


def test_a_certain_bin_counts_at_its_centre():
    certain = torch.full((3, 64), -60.0)
    certain[0, 0] = certain[1, 63] = certain[2, 10] = 60.0
    assert expected(certain, 32.0).tolist() == pytest.approx([0.25, 31.75, 5.25])
    assert expected(torch.zeros(50), 100.0).item() == pytest.approx(50.0)
    half = torch.full((50,), -60.0)
    half[[4, 44]] = 0.0
    assert expected(half, 100.0).item() == pytest.approx((9 + 89) / 2)


def test_errors_plddt_and_ptm_are_protenixs():
    """Values of `logits_to_score` and `calculate_ptm` of Protenix 2.0.0 on the same logits."""
    errors = expected(error_logits(30), 32.0)
    assert errors[0, 0].item() == pytest.approx(12.1177006, abs=1e-4)
    assert errors[3, 17].item() == pytest.approx(13.7097654, abs=1e-4)
    assert errors.mean().item() == pytest.approx(15.9940863, abs=1e-4)
    assert predicted_tm(error_logits(30)) == pytest.approx(0.0590529405, abs=1e-6)
    assert predicted_tm(error_logits(30)[:12, :12]) == pytest.approx(0.00717112189, abs=1e-6)
    logits = 3 * torch.cos(torch.arange(10).float()[:, None] * 0.9 + torch.arange(50).float() * 0.17)
    theirs = [50.334137, 59.004753, 53.430412, 43.959362, 42.424900, 51.493599, 49.273499, 50.496758, 59.034031]
    assert expected(logits, 100.0)[:9].tolist() == pytest.approx(theirs, abs=1e-4)


def test_ptm_is_the_best_rows_and_one_where_there_is_no_error():
    certain = torch.full((40, 40, 64), -60.0)
    certain[..., 63] = 60.0
    assert predicted_tm(certain) < 0.02
    certain[7, :, 63], certain[7, :, 0] = -60.0, 60.0
    d0 = 1.24 * 25 ** (1 / 3) - 1.8
    assert predicted_tm(certain) == pytest.approx(1 / (1 + (0.25 / d0) ** 2), abs=1e-5)


class Echo(ConfidenceHead):
    """Gives each atom's x coordinate as its certain pLDDT bin, and each row's number as its errors' bin."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.seen = []

    def forward(self, features, representations, xyz_BSA3, chunk_rows=None):
        self.seen.append((xyz_BSA3, chunk_rows))
        length = features.token_mask_BL.shape[1]
        plddt = torch.full((*xyz_BSA3.shape[:3], 50), -60.0)
        plddt.scatter_(-1, xyz_BSA3[..., :1].round().long() % 50, 60.0)
        pae = torch.full((1, 1, length, length, 64), -60.0)
        pae[..., torch.arange(length), :, torch.arange(length)] = 60.0
        return ConfidenceLogits(plddt_BSA50=plddt, pae_BSLL64=pae, pde_BSLL64=pae + 0, resolved_BSA2=plddt[..., :2])


def test_each_atoms_plddt_stands_in_its_slot_and_op3s_nowhere():
    features = featurise(SEQUENCE, seed=0)
    one = torch.zeros(1, 4, 1)
    nothing = Representations(inputs_BLI=one, single_BLS=one, pair_BLLZ=torch.zeros(1, 4, 4, 1))
    mask_LA = full_mask(SEQUENCE)
    xyz = np.zeros((2, 4, MAX_ATOMS, 3), dtype=np.float32)
    xyz[..., 0] = np.random.default_rng(1).integers(0, 50, (2, 4, MAX_ATOMS)) * mask_LA
    xyz[..., 1] = np.arange(MAX_ATOMS) * mask_LA
    head = Echo()
    found = learned_confidence(head, features, nothing, xyz, 7)
    assert len(found) == 2
    for one, atoms in zip(found, xyz, strict=True):
        assert one.plddt_LA[mask_LA] == pytest.approx(2 * atoms[..., 0][mask_LA] + 1, abs=1e-3)
        assert not one.plddt_LA[~mask_LA].any()
        assert one.plddt_LA.dtype == one.pae_LL.dtype == one.pde_LL.dtype == np.float32
        assert one.pae_LL.tolist() == [pytest.approx([0.25 + 0.5 * row] * 4) for row in range(4)]
        assert np.array_equal(one.pae_LL, one.pde_LL)
    seen = torch.cat([xyz for xyz, _ in head.seen], dim=1)
    torch.testing.assert_close(seen[0], from_slots(torch.from_numpy(xyz), features))  # as they are written, OP3 made up
    assert {chunk for _, chunk in head.seen} == {7}


def test_a_starting_head_says_50_of_everything():
    small = Architecture(c_s=16, c_z=16, c_token=16, pairformer_heads=2, confidence_blocks=1, scale_pair_hidden=False)
    head = ConfidenceHead(small)
    drawn = torch.Generator().manual_seed(1)
    representations = Representations(
        inputs_BLI=torch.randn(1, 4, small.c_inputs, generator=drawn),
        single_BLS=torch.randn(1, 4, 16, generator=drawn),
        pair_BLLZ=torch.randn(1, 4, 4, 16, generator=drawn),
    )
    xyz = np.random.default_rng(2).normal(size=(1, 4, MAX_ATOMS, 3)).astype(np.float32) * 10
    (one,) = learned_confidence(head, featurise(SEQUENCE, seed=0), representations, xyz)
    assert one.plddt_LA[full_mask(SEQUENCE)] == pytest.approx(50.0, abs=1e-3)
    assert one.pae_LL == pytest.approx(np.full((4, 4), 16.0), abs=1e-3)


def test_the_learned_ranking_follows_ptm_and_puts_clashing_models_last(ensemble_sample):
    sample = ensemble_sample
    confident = Confidence(plddt_LA=np.zeros(1), pae_LL=np.zeros(1), pde_LL=np.zeros(1), ptm=0.8)
    doubtful = replace(confident, ptm=0.3)
    assert learned_score(sample, confident) == pytest.approx(0.8)
    assert learned_score(sample, doubtful) == pytest.approx(0.3)
    clashing = replace(sample, report=replace(sample.report, clashes=sample.report.atoms))
    assert learned_score(clashing, confident) == pytest.approx(0.8 - 100)
    assert energy_score(replace(sample, terms={"link": 3.0, "stem": 21.0})) == pytest.approx(-2.0)
    assert energy_score(replace(sample, drift=5.0)) == energy_score(sample)
