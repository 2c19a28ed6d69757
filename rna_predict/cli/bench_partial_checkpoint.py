"""`rna-predict bench partial-checkpoint`: how small a partial checkpoint is, and whether it brings back what it was.

Trunk and diffusion model of a size get adapters of rank 8 on all groups of layers and our own modules in full. Noise on
everything trainable stands for training. The file is written, both networks are made anew, the file is loaded into
them, and their outputs on a short RNA are compared.

Base size has starting values, which are made and not read: the command needs no download, and 2.5 GB of memory. Layers
that start at zero get noise instead. Else nothing of what lies before them would reach the outputs, and a lost adapter
would not be seen.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from rna_predict.nn.adapters import AdapterConfig, Adapters, plain_key
from rna_predict.nn.featurise import featurise
from rna_predict.nn.partial import (
    PartialCheckpoint,
    PartialHeader,
    attach_partial,
    frozen_keys,
    partial_load_state_dict,
    read_partial,
)
from rna_predict.nn.stage_inputs import StageInputs, TemplateInputs
from rna_predict.nn.weights import Network, open_network
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion.network import DiffusionModel
from rna_predict.training.partial import save_trainable

PROFILES = {"base": "", "small": "small_"}
"""Sizes, and what stands before the names of their figures."""

CONFIG = AdapterConfig(rank=8)
SEQUENCE = "GGCGAAAGCC"
CYCLES = 2
SIGMA = 16.0
SPREAD = 0.02
"""Standard deviation of the noise that stands for training."""


def run() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row for each size, and the figures, the small size's with a prefix."""
    rows, figures = [], {}
    for profile, prefix in PROFILES.items():
        found = measure(profile)
        rows.append({"profile": profile, **found, "share": f"{found['partial_bytes'] / found['full_bytes']:.2%}"})
        figures |= {prefix + name: value for name, value in found.items()}
    return rows, figures


def measure(profile: str) -> dict[str, Any]:
    """Figures of one size.

    `full_bytes` are those of the tensors of a file of both networks, without its header. `max_abs_diff` is over all
    outputs, coordinates in units of 16 Å as the network has them; `changed_by` is by how much the output that changed
    least differs from what it is without the file, so that a difference of zero says something.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "partial.safetensors"
        trained = Pair.untrained(profile)
        full_bytes = sum(4 * each.numel() for network in trained.networks() for each in tensors_of(network).values())
        outputs, changed_by = trained.train(path)
        del trained  # one network of base size is in memory at a time
        partial = read_partial(path)
        fresh = Pair.untrained(profile)
        exact = [load_and_check(network, partial) for network in fresh.networks()]
        again = fresh.outputs()
        return {
            "partial_bytes": path.stat().st_size,
            "full_bytes": full_bytes,
            "trained_parameters": partial.header.parameters,
            "missing_equals_frozen": all(exact),
            "max_abs_diff": difference(again, outputs),
            "changed_by": changed_by,
            "finite": all(bool(value.isfinite().all()) for value in again.values()),
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """Stage B's trunk and stage D's model."""

    trunk: Network
    diffusion: Network

    @classmethod
    def untrained(cls, profile: str) -> "Pair":
        """Both with the starting values of a profile, noise where these are zero; always the same."""
        networks = [open_network(build, untrained_profile=profile) for build in (Trunk, DiffusionModel)]
        generator = torch.Generator().manual_seed(2)
        for network in networks:
            for parameter in network.module.parameters():
                if not parameter.any():
                    with torch.no_grad():
                        parameter.normal_(std=SPREAD, generator=generator)
        return cls(*networks)

    def networks(self) -> tuple[Network, Network]:
        """Both."""
        return self.trunk, self.diffusion

    def train(self, path: Path) -> tuple[dict[str, Tensor], float]:
        """Put noise on what is trainable and write it; the outputs, and by how much each at least changed."""
        before = self.outputs()
        generator = torch.Generator().manual_seed(0)
        for network in self.networks():
            Adapters(network.module).add(CONFIG.part_of(network.module))
            for parameter in network.module.parameters():
                if parameter.requires_grad:
                    with torch.no_grad():
                        parameter.add_(SPREAD * torch.randn(parameter.shape, generator=generator))
        header = PartialHeader(
            base_sha256=self.trunk.header.sha256,
            base_source=self.trunk.header.source,
            architecture=self.trunk.header.architecture,
            adapter=CONFIG,
        )
        save_trainable([network.module for network in self.networks()], path, header)
        outputs = self.outputs()
        return outputs, min(difference({key: outputs[key]}, {key: before[key]}) for key in outputs)

    @torch.no_grad()
    def outputs(self) -> dict[str, Tensor]:
        """Trunk, heads and one denoising step on a hairpin, with inputs of stage A and a template."""
        trunk, diffusion = cast(Trunk, self.trunk.module), cast(DiffusionModel, self.diffusion.module)
        generator, length = torch.Generator().manual_seed(1), len(SEQUENCE)
        features = featurise(SEQUENCE, seed=0)
        atoms = features.atom_mask_BA.shape[1]
        inputs = StageInputs(
            pair_probability_BLL=torch.rand(1, length, length, generator=generator),
            templates=TemplateInputs(
                xyz_BTL33=8 * torch.randn(1, 1, length, 3, 3, generator=generator),
                mask_BTL=torch.ones(1, 1, length, dtype=torch.bool),
            ),
        )
        found = trunk(features, CYCLES, inputs)
        torsions = trunk.torsion_head(found.single_BLS)
        noisy_BSA3 = SIGMA * torch.randn(1, 1, atoms, 3, generator=generator)
        sigma_BS = torch.full((1, 1), SIGMA)
        return {
            "single": found.single_BLS,
            "pair": found.pair_BLLZ,
            "distogram": trunk.distogram(found.pair_BLLZ),
            "torsions": torsions.vector_BL82,
            "clean": diffusion.diffusion_module(noisy_BSA3, sigma_BS, features, found) / SIGMA,
        }


def load_and_check(network: Network, partial: PartialCheckpoint) -> bool:
    """Load into a fresh network; whether all that it reports missing is all that is frozen, and nothing is odd."""
    layout = set(network.module.state_dict())
    attach_partial(network.module, partial, network.header.sha256)
    report = partial_load_state_dict(network.module, partial.tensors)
    missing = set(report.missing)
    frozen = missing == frozen_keys(network.module) == layout - set(report.loaded)
    return frozen and not report.unexpected and not missing & set(partial.tensors)


def tensors_of(network: Network) -> dict[str, Tensor]:
    """All tensors by plain key."""
    return {plain_key(key): tensor for key, tensor in network.module.state_dict().items()}


def difference(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    """Largest absolute difference of any output."""
    return max(float((left[key] - right[key]).abs().max()) for key in right)
