"""Stage D's network: denoiser and confidence head under the keys of the published checkpoints."""

from torch import nn

from rna_predict.nn.architecture import Architecture
from rna_predict.nn.stage_inputs import StageInputProjection
from rna_predict.stage_d_diffusion.confidence_head import ConfidenceHead
from rna_predict.stage_d_diffusion.denoiser import DiffusionModule

STAGE_INPUTS = ("adjacency", "torsions", "coordinates")
"""What other stages tell stage D through the pair representation: A, B and C."""


class DiffusionModel(nn.Module):
    """The root of stage D's parameters.

    Attributes:
        diffusion_module: the denoiser.
        confidence_head: judges the samples.
        diffusion_inputs: adds other stages' results to the trunk's pair representation, before either reads it; ours,
            not in published checkpoints, and zero until it is trained.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.diffusion_module = DiffusionModule(architecture)
        self.confidence_head = ConfidenceHead(architecture)
        self.diffusion_inputs = StageInputProjection(architecture.c_z, STAGE_INPUTS)
