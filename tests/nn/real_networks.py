"""The real networks at nano size with every weight drawn, and what they compute; shared by tests of adapters."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rna_predict.nn.featurise import featurise
from rna_predict.nn.profiles import PROFILES
from rna_predict.nn.stage_inputs import FrameAtoms, StageInputs, TemplateInputs, TorsionInputs
from rna_predict.nn.weights import Network, WeightsHeader, open_network, save_weights
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion.network import DiffusionModel

NANO = PROFILES["nano"]
SEQUENCE = "GGCAUCGC"


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drawn(build):
    """A network of which no tensor is zero, so that every part of it reaches the outputs."""
    module = build(NANO).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            fan_in = parameter.shape[-1] if parameter.ndim > 1 else 25
            parameter.normal_(generator=generator).mul_(fan_in**-0.5)
            if "norm" in key and key.endswith("weight"):
                parameter.add_(1)
    return module


def write_base(path):
    """One weights file for both networks."""
    tensors = drawn(Trunk).state_dict() | drawn(DiffusionModel).state_dict()
    return save_weights(path, tensors, WeightsHeader(architecture=NANO, trained=True, source="drawn"))


def open_both(path) -> tuple[Network, Network]:
    return open_network(Trunk, weights=str(path)), open_network(DiffusionModel, weights=str(path))


@dataclass
class Pipeline:
    """Trunk and denoiser on one RNA with inputs of all stages."""

    trunk: Trunk
    diffusion: DiffusionModel

    def outputs(self) -> dict[str, Tensor]:
        length = len(SEQUENCE)
        features = featurise(SEQUENCE, seed=0)
        known = torch.ones(1, length, dtype=torch.bool)
        probability = noise(1, 1, length, length).sigmoid()
        adjacency = {"pair_probability_BLL": probability, "partner_BLL": torch.eye(length)[None]}
        templates = TemplateInputs(xyz_BTL33=8 * noise(2, 1, 1, length, 3, 3), mask_BTL=known[:, None])
        representations = self.trunk(features, 1, StageInputs(**adjacency, templates=templates))
        torsions = self.trunk.torsion_head(representations.single_BLS)
        inputs = StageInputs(
            **adjacency,
            torsions=TorsionInputs(
                sincos_BL82=noise(3, 1, length, 8, 2),
                mask_BL8=torch.ones(1, length, 8, dtype=torch.bool),
                concentration_BL8=noise(4, 1, length, 8).exp(),
            ),
            coordinates=FrameAtoms(xyz_BL33=8 * noise(5, 1, length, 3, 3), mask_BL=known),
        )
        pair = self.diffusion.diffusion_inputs(representations.pair_BLLZ, inputs)
        conditioned = type(representations)(
            inputs_BLI=representations.inputs_BLI, single_BLS=representations.single_BLS, pair_BLLZ=pair
        )
        noisy = 16 * noise(6, 1, 2, features.atom_mask_BA.shape[1], 3)
        clean = self.diffusion.diffusion_module(noisy, torch.tensor([[16.0, 4.0]]), features, conditioned)
        return {
            "single": representations.single_BLS,
            "pair": representations.pair_BLLZ,
            "distogram": self.trunk.distogram(representations.pair_BLLZ),
            "torsions": torsions.vector_BL82,
            "concentration": torsions.concentration_BL8,
            "amplitude": torsions.amplitude_BL,
            "pairs": self.trunk.pair_head(representations.pair_BLLZ),
            "clean": clean,
        }

    def predict(self) -> dict[str, Tensor]:
        with torch.no_grad():
            return self.outputs()


def largest_difference(left, right):
    """Over all outputs, relative to their size."""
    assert left.keys() == right.keys()
    sizes = {key: right[key].detach().square().mean().sqrt() for key in right}
    return max(float((left[key] - right[key]).detach().abs().max() / sizes[key]) for key in left)
