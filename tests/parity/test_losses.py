"""Losses and their gradients against Protenix's own, on the same numbers."""

import os

import pytest
import torch

from rna_predict.nn.featurise import featurise
from rna_predict.stage_b_torsion.loss import distogram_loss
from rna_predict.stage_d_diffusion.bonds import all_bonds, atom_places
from rna_predict.stage_d_diffusion.confidence_head import ConfidenceLogits
from rna_predict.stage_d_diffusion.confidence_loss import confidence_losses
from rna_predict.stage_d_diffusion.loss import NativeAtoms, aligned_mse, bond_error, noise_weight, smooth_lddt_loss

os.environ.setdefault("LAYERNORM_TYPE", "torch")
oracle = pytest.importorskip("protenix.model.loss", reason="the oracle is not installed: pip install protenix==2.0.0")

SAMPLES = 3
C1, C3, C4 = 11, 7, 5
"""Slots of the frame's atoms, as `chemistry.residues` has them (tested there)."""


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Case:
    """An RNA of 9 nt: noise for a native, of which a tenth was not seen, samples near it, and logits."""

    def __init__(self):
        self.features = features = featurise("GGCAUUAGC", seed=0)
        token_A = features.atom_token_BA[0]
        atoms, length = len(token_A), 9
        self.mask_A = torch.rand(atoms, generator=torch.Generator().manual_seed(0)) < 0.9
        self.xyz_A3 = 5.0 * token_A[:, None] * torch.tensor([1.0, 0.2, 0.1]) + 1.2 * noise(1, atoms, 3)
        self.native = NativeAtoms(xyz_BA3=self.xyz_A3[None], mask_BA=self.mask_A[None])
        self.guess_SA3 = self.xyz_A3 + torch.tensor([0.3, 1.0, 3.0])[:, None, None] * noise(2, SAMPLES, atoms, 3)
        place_LK = atom_places(features)[0]
        self.frame_L3 = place_LK[:, [C1, C3, C4]]
        self.centre_A = torch.zeros(atoms).index_fill(0, place_LK[:, C1], 1)
        self.distogram_A = torch.zeros(atoms).index_fill(0, features.distogram_atom_BL[0], 1)
        self.plddt, self.resolved = noise(3, SAMPLES, atoms, 50), noise(4, SAMPLES, atoms, 2)
        self.pae, self.pde = noise(5, SAMPLES, length, length, 64), noise(6, SAMPLES, length, length, 64)
        self.weights = {"is_rna": torch.ones(atoms), "is_dna": torch.zeros(atoms), "is_ligand": torch.zeros(atoms)}

    def float_mask(self):
        return self.mask_A.float()

    def pair_mask(self):
        return self.float_mask()[:, None] * self.float_mask()


@pytest.fixture(scope="module")
def case():
    return Case()


def agree(ours, theirs, at):
    """Values and gradients of two functions of the same tensor."""
    first, second = at.clone().requires_grad_(), at.clone().requires_grad_()
    left, right = ours(first), theirs(second)
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)
    left.backward()
    right.backward()
    assert second.grad.abs().max() > 1e-4
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-3, atol=1e-6)


def test_coordinates(case):
    scale = noise_weight(torch.tensor([0.5, 4.0, 60.0]))
    arguments = {"true_coordinate": case.xyz_A3, "coordinate_mask": case.float_mask(), **case.weights}
    agree(
        lambda x: (scale * aligned_mse(x[None], case.native)).mean(),
        lambda x: oracle.MSELoss()(pred_coordinate=x, per_sample_scale=scale, **arguments),
        case.guess_SA3,
    )


def test_smooth_lddt(case):
    theirs, true = oracle.SmoothLDDTLoss(), torch.cdist(case.xyz_A3, case.xyz_A3)
    nucleotide = torch.ones(len(case.xyz_A3))
    near = oracle.compute_lddt_mask(true, case.pair_mask(), nucleotide)
    assert 0.2 < near.mean() < 0.8, "the radius of 30 Å must divide the pairs"
    agree(
        lambda x: smooth_lddt_loss(x[None], case.native).mean(),
        lambda x: theirs.dense_forward(x, case.xyz_A3, near, true_distance=true),
        case.guess_SA3,
    )


def test_bonds(case):
    bonds = all_bonds(case.features)
    first, second = bonds.atom_BN2[0][bonds.mask_BN[0]].unbind(-1)
    true = torch.cdist(case.xyz_A3, case.xyz_A3)
    bonded = torch.zeros_like(true)
    bonded[first, second] = 1
    bonded = bonded * (true < 2.5)
    assert (bonded * case.pair_mask()).sum() > 30
    agree(
        lambda x: bond_error(x[None], case.native, bonds).mean(),
        lambda x: oracle.BondLoss().sparse_forward(x, case.xyz_A3, case.pair_mask(), bonded),
        case.guess_SA3,
    )


def test_distogram(case):
    atom_L = case.features.distogram_atom_BL[0]
    agree(
        lambda x: distogram_loss(x, case.xyz_A3[None, atom_L], case.mask_A[None, atom_L]),
        lambda x: oracle.DistogramLoss()(x[0], case.xyz_A3, case.float_mask(), case.distogram_A),
        case.pae[:1],
    )


def confidence(case, **given):
    values = {"plddt_BSA50": case.plddt, "pae_BSLL64": case.pae, "pde_BSLL64": case.pde, "resolved_BSA2": case.resolved}
    logits = ConfidenceLogits(**{name: value[None] for name, value in (values | given).items()})
    return confidence_losses(logits, case.features, case.guess_SA3[None], case.native)


def test_plddt(case):
    ones = torch.ones(len(case.xyz_A3))
    agree(
        lambda x: confidence(case, plddt_BSA50=x).plddt,
        lambda x: oracle.PLDDTLoss()(x, case.guess_SA3, case.xyz_A3, case.float_mask(), ones, ones, case.centre_A),
        case.plddt,
    )


def test_pae(case):
    whole = case.mask_A[case.frame_L3].all(-1)
    assert 0 < whole.sum() < 9, "some frames must be whole and some not"
    agree(
        lambda x: confidence(case, pae_BSLL64=x).pae,
        lambda x: oracle.PAELoss()(
            x, case.guess_SA3, case.xyz_A3, case.float_mask(), case.frame_L3, case.centre_A, torch.ones(9)
        ),
        case.pae,
    )


def test_pde(case):
    agree(
        lambda x: confidence(case, pde_BSLL64=x).pde,
        lambda x: oracle.PDELoss()(x, case.guess_SA3, case.xyz_A3, case.float_mask(), case.distogram_A),
        case.pde,
    )


def test_resolved(case):
    agree(
        lambda x: confidence(case, resolved_BSA2=x).resolved,
        lambda x: oracle.ExperimentallyResolvedLoss()(x, case.float_mask()),
        case.resolved,
    )
