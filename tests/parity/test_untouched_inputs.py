"""Projections of the other stages' results that are still zero leave a public checkpoint as it was, bit for bit."""

from dataclasses import fields, replace

import pytest
import torch

from rna_predict.cli.bench_parity import difference
from rna_predict.cli.parity_inputs import draw
from rna_predict.cli.parity_reference import read_outputs, thin
from rna_predict.nn.features import Representations
from rna_predict.nn.stage_inputs import FrameAtoms, StageInputs, TemplateInputs, TorsionInputs

TOLERANCE = 1e-4


@pytest.fixture(scope="module", autouse=True)
def no_gradient():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def ours(networks):
    return networks("nano")


@pytest.fixture(scope="module")
def said(ours):
    """Something that each stage might say."""
    length = ours.given.length
    probability = draw("probability", 1, length, length).sigmoid()
    everywhere = torch.ones(1, length, dtype=torch.bool)
    return {
        "pair_probability_BLL": probability,
        "partner_BLL": (probability > 0.9).float(),
        "torsions": TorsionInputs(
            sincos_BL82=torch.nn.functional.normalize(draw("torsions", 1, length, 8, 2), dim=-1),
            mask_BL8=draw("defined", 1, length, 8) > -1,
            concentration_BL8=draw("concentration", 1, length, 8).exp(),
        ),
        "coordinates": FrameAtoms(xyz_BL33=10 * draw("frame atoms", 1, length, 3, 3), mask_BL=everywhere),
        "templates": TemplateInputs(
            xyz_BTL33=10 * draw("templates", 1, 2, length, 3, 3), mask_BTL=everywhere[:, None].expand(-1, 2, -1)
        ),
    }


def for_trunk(said):
    return StageInputs(**{name: said[name] for name in ("pair_probability_BLL", "partner_BLL", "templates")})


def for_diffusion(said):
    return StageInputs(**{name: value for name, value in said.items() if name != "templates"})


def test_the_trunk_gives_the_same_bits_and_what_protenix_gives(ours, said, reference_path):
    expected = ours.trunk(ours.given.features, 3)
    found = ours.trunk(ours.given.features, 3, for_trunk(said))
    for field in fields(Representations):
        assert torch.equal(getattr(found, field.name), getattr(expected, field.name)), field.name
    outputs = {
        "inputs": found.inputs_BLI[0],
        "single": found.single_BLS[0],
        "pair": found.pair_BLLZ[0],
        "distogram": ours.trunk.distogram(found.pair_BLLZ)[0],
    }
    case = "nano/trunk_3_cycles"
    gap, _ = difference(case, thin(case, outputs), [read_outputs(reference_path, case)])
    assert gap <= TOLERANCE, f"{gap:.1e}"


def test_denoiser_and_confidence_head_give_the_same_bits_and_what_protenix_gives(ours, said, reference_path):
    given, model = ours.given, ours.diffusion
    drawn = given.representations
    told = replace(drawn, pair_BLLZ=model.diffusion_inputs(drawn.pair_BLLZ, for_diffusion(said)))
    assert torch.equal(told.pair_BLLZ, drawn.pair_BLLZ)
    expected = ours.denoiser(given.noisy_BSA3, given.sigma_BS, given.features, drawn)
    found = ours.denoiser(given.noisy_BSA3, given.sigma_BS, given.features, told)
    assert torch.equal(found, expected)
    gap, _ = difference(
        "denoising step",
        thin("nano/denoising_step", {"xyz": found[0] / 16}),
        [read_outputs(reference_path, "nano/denoising_step")],
    )
    assert gap <= TOLERANCE, f"{gap:.1e}"
    judged = model.confidence_head(given.features, told, given.xyz_BSA3)
    before = model.confidence_head(given.features, drawn, given.xyz_BSA3)
    assert torch.equal(judged.pae_BSLL64, before.pae_BSLL64)
    assert torch.equal(judged.plddt_BSA50, before.plddt_BSA50)


@pytest.mark.parametrize("kind", ["adjacency", "torsions", "coordinates"])
def test_once_trained_they_are_heard_by_the_denoiser(ours, said, kind):
    given, model = ours.given, ours.diffusion
    weights = [value for name, value in model.diffusion_inputs.named_parameters() if name.startswith(kind)]
    assert weights
    for weight in weights:
        assert not weight.any()
        weight.add_(0.1)
    pair = model.diffusion_inputs(given.representations.pair_BLLZ, for_diffusion(said))
    found = ours.denoiser(
        given.noisy_BSA3, given.sigma_BS, given.features, replace(given.representations, pair_BLLZ=pair)
    )
    for weight in weights:
        weight.zero_()
    expected = ours.denoiser(given.noisy_BSA3, given.sigma_BS, given.features, given.representations)
    assert float((found - expected).abs().max()) > 0.01
