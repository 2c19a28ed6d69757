"""What both sides of the parity check read: sizes, weights and inputs, all made again from names alone.

Every number is a uniform draw of numpy's frozen Mersenne twister, seeded by the SHA-256 of a name. The same numbers
come out on every machine and version, so the committed reference holds outputs only. Weights that start at zero in a
fresh network (gates, output layers) are drawn as well: a term multiplied by zero would be checked by nothing.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from rna_predict.nn.architecture import RESTYPES, Architecture
from rna_predict.nn.features import AlignmentFeatures, Features, Representations
from rna_predict.stage_d_diffusion.sampler import SIGMA_DATA, Af3Settings

Outputs = dict[str, Tensor]
"""What a module gives, each tensor with the batch axis left out."""

SEQUENCE = "GGCAUCUUCGGAUGAACGUAGCAC"
"""24 nt, as many as torch.cdist measures directly: beyond 25 it multiplies matrices, and Protenix's distances are then
off by some 0.003 Å near 0. The number of atoms is no multiple of a window's 32."""

CROP = 16
"""Number of the residue after which 40 are skipped."""

ALIGNMENT_ROWS = 7
"""Rows of the alignment, the query first."""

TEMPLATES = 2
"""Templates of the explicit template features."""

SAMPLES = 2
"""Samples of the denoiser, the sampler and the confidence head."""

SIGMAS = (40.0, 2.5)
"""Noise levels of the samples in the checks of one denoising step, Å."""

FEW_STEPS = Af3Settings(steps=5, churn=0.0, step_scale=1.0)
"""The sampler as Protenix's mini and tiny networks run it."""

FRESH_NOISE = Af3Settings(steps=6)
"""The sampler as the base network runs it, with fresh noise, but in fewer steps (yet fewer would throw atoms far)."""

NANO = Architecture(
    name="nano",
    c_s=64,
    c_z=32,
    c_m=32,
    c_atom=32,
    c_atompair=8,
    c_token=64,
    c_token_diffusion=64,
    c_template=32,
    pairformer_blocks=2,
    pairformer_heads=4,
    msa_blocks=2,
    template_blocks=1,
    confidence_blocks=1,
    input_atom_blocks=1,
    encoder_atom_blocks=1,
    decoder_atom_blocks=1,
    atom_heads=2,
    diffusion_blocks=2,
    diffusion_heads=4,
    scale_pair_hidden=True,
)

ARCHITECTURES = {
    "nano": NANO,
    "middle": Architecture(
        name="middle",
        c_s=128,
        c_z=64,
        c_m=64,
        c_atom=64,
        c_token=128,
        c_token_diffusion=192,
        c_template=64,
        pairformer_blocks=4,
        pairformer_heads=16,
        msa_blocks=3,
        confidence_blocks=2,
        input_atom_blocks=2,
        encoder_atom_blocks=2,
        decoder_atom_blocks=2,
        diffusion_blocks=4,
        scale_pair_hidden=True,
    ),
    "unscaled": replace(NANO, name="unscaled", scale_pair_hidden=False, template_blocks=2, input_atom_blocks=3),
}
"""Sizes that are compared; `unscaled` has the fixed hidden widths (128 channels, 4 heads) of Protenix base v1."""


def draw(name: str, *shape: int, scale: float = 1.0) -> Tensor:
    """Float32 numbers of mean 0 and standard deviation `scale`, the same for the same name wherever it runs."""
    seed = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype="<u4")
    uniform = np.random.RandomState(seed).uniform(-(3**0.5), 3**0.5, size=shape)
    return torch.from_numpy((uniform * scale).astype(np.float32))


def draw_integers(name: str, low: int, high: int, *shape: int) -> Tensor:
    """Integers from `low` to `high`, both included."""
    unit = draw(name, *shape).double() / (2 * 3**0.5) + 0.5
    return (low + (unit * (high - low + 1)).floor().clamp(0, high - low)).long()


@torch.no_grad()
def fill(module: nn.Module, prefix: str = "", skip: tuple[str, ...] = ()) -> None:
    """Draw every parameter by its key: scales of LayerNorm around 1, matrices for outputs of order one.

    Args:
        module: the whole network or a part of it.
        prefix: put before the module's keys, so that a part gets the numbers that it has in the whole.
        skip: beginnings of keys that keep their values.
    """
    for key, parameter in module.named_parameters():
        name, shape = prefix + key, tuple(parameter.shape)
        if key.startswith(skip) or key.endswith(("lower_bins", "upper_bins")):
            continue
        if name.endswith("weight") and parameter.dim() == 1:
            value = 1 + draw(name, *shape, scale=0.2)
        elif parameter.dim() == 1:
            value = draw(name, *shape, scale=1.0 if name.endswith((".w", ".b")) else 0.3)
        else:
            value = draw(name, *shape, scale=shape[-2 if parameter.dim() == 3 else -1] ** -0.5)
        parameter.copy_(value)


@dataclass(frozen=True)
class Given:
    """Inputs of all modules at one size; the batch axis is 1.

    Attributes:
        architecture: the size.
        features: a real RNA's, with an alignment.
    """

    architecture: Architecture
    features: Features

    @property
    def length(self) -> int:
        """Residues."""
        return self.features.restype_BL.shape[1]

    @property
    def atoms(self) -> int:
        """Atoms."""
        return self.features.atom_token_BA.shape[1]

    @cached_property
    def features_without_alignment(self) -> Features:
        """The same RNA when no alignment is known."""
        restype_BL = self.features.restype_BL
        return replace(
            self.features,
            alignment=None,
            profile_BLT=torch.nn.functional.one_hot(restype_BL, RESTYPES).float(),
            deletion_mean_BL=torch.zeros(restype_BL.shape),
        )

    @cached_property
    def representations(self) -> Representations:
        """Drawn ones, where a module is checked without the trunk before it."""
        a = self.architecture
        return Representations(
            inputs_BLI=draw("inputs", 1, self.length, a.c_inputs),
            single_BLS=draw("single", 1, self.length, a.c_s),
            pair_BLLZ=draw("pair", 1, self.length, self.length, a.c_z),
        )

    @cached_property
    def templates(self) -> dict[str, Tensor]:
        """Drawn template features under the paper's names, without a batch axis."""
        length = self.length
        shape = (TEMPLATES, length, length)
        distogram = draw("template_distogram", *shape, 39).argmax(-1)
        mask_TL = draw("template_mask", TEMPLATES, length) > -1
        mask_TLL = (mask_TL[:, :, None] & mask_TL[:, None]).float()
        unit_vector = nn.functional.normalize(draw("template_unit_vector", *shape, 3), dim=-1)
        return {
            "aatype": draw_integers("template_aatype", 21, 24, TEMPLATES, length),
            "distogram": nn.functional.one_hot(distogram, 39) * mask_TLL[..., None],
            "pseudo_beta_mask": mask_TLL,
            "unit_vector": unit_vector * mask_TLL[..., None],
            "backbone_frame_mask": mask_TLL,
        }

    @property
    def alignment_BMLC(self) -> Tensor:
        """Representation of the alignment's rows."""
        return draw("rows", 1, ALIGNMENT_ROWS, self.length, self.architecture.c_m)

    @property
    def tokens_BSLC(self) -> Tensor:
        """Residues inside the diffusion transformer."""
        return draw("tokens", 1, SAMPLES, self.length, self.architecture.c_token_diffusion)

    @property
    def conditioning_BSLS(self) -> Tensor:
        """Single conditioning of the diffusion transformer."""
        return draw("conditioning", 1, SAMPLES, self.length, self.architecture.c_s)

    def of_atoms(self, name: str, channels: int) -> Tensor:
        """Something of each sample's atoms, [1, SAMPLES, A, C]."""
        return draw(name, 1, SAMPLES, self.atoms, channels)

    @property
    def sigma_BS(self) -> Tensor:
        """Noise levels of the samples, Å."""
        return torch.tensor([SIGMAS])

    @property
    def noisy_BSA3(self) -> Tensor:
        """Coordinates as noisy as `sigma_BS`, Å."""
        scale_BS = (self.sigma_BS**2 + SIGMA_DATA**2) ** 0.5
        return self.of_atoms("noisy", 3) * scale_BS[..., None, None]

    @property
    def xyz_BSA3(self) -> Tensor:
        """Coordinates as a prediction has them, Å."""
        return self.of_atoms("xyz", 3) * SIGMA_DATA


class RecordedDraws:
    """The sampler's noise and motions, drawn by name; ours asks for them as it does for its own (`sampler.Draws`)."""

    def noise(self, step: int, like_SX3: Tensor) -> Tensor:
        """Noise of a step, 0 the start's: a normal spread in place of a normal distribution."""
        return draw(f"noise {step}", *like_SX3.shape)

    def motion(self, step: int, like_SX3: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations [S, 3, 3] and translations [S, 3] of a step, from 1."""
        samples = like_SX3.shape[0]
        rotation_S33, triangle_S33 = torch.linalg.qr(draw(f"rotation {step}", samples, 3, 3).double())
        rotation_S33 = rotation_S33 * triangle_S33.diagonal(dim1=-2, dim2=-1).sign()[:, None]
        rotation_S33[..., 0] *= torch.linalg.det(rotation_S33)[:, None]
        return rotation_S33.float(), draw(f"translation {step}", samples, 3)


def prepared(features: Features) -> Features:
    """Make the features of one RNA say more: an alignment, a gap in its numbers, and three chains, two of them alike.

    The alignment is drawn (all letters, gaps, deletions), and the profile is its own. Residues after `CROP` are
    numbered as in a crop, beyond the reach of relative positions.
    """
    restype_BL = features.restype_BL
    shape = (1, ALIGNMENT_ROWS, restype_BL.shape[1])
    letters = torch.tensor([21, 22, 23, 24, 25, 31])
    residue_BML = letters[draw_integers("alignment", 0, len(letters) - 1, *shape)]
    residue_BML[:, 0] = restype_BL
    deletion_BML = draw_integers("deletions", -6, 4, *shape).clamp(min=0).float()
    deletion_BML[:, 0] = 0
    index_BL, length = features.residue_index_BL, restype_BL.shape[1]
    chain_BL = torch.bucketize(index_BL, torch.tensor([length // 2, 3 * length // 4]))
    alignment = AlignmentFeatures(
        residue_BML=residue_BML, deletion_BML=deletion_BML, mask_BM=torch.ones(shape[:2], dtype=torch.bool)
    )
    return replace(
        features,
        alignment=alignment,
        residue_index_BL=torch.where(index_BL > CROP, index_BL + 40, index_BL),
        chain_BL=chain_BL,
        entity_BL=chain_BL // 2,
        copy_BL=chain_BL % 2,
        profile_BLT=torch.nn.functional.one_hot(residue_BML, RESTYPES).float().mean(1),
        deletion_mean_BL=deletion_BML.mean(1),
    )
