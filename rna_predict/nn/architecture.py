"""The sizes of the networks: one dataclass, of which a profile is an instance."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rna_predict.errors import ConfigError

RESTYPES = 32
"""Letters of Protenix: 20 amino acids, X, four RNA bases, N, four DNA bases, N, gap."""

INPUT_FEATURES = 2 * RESTYPES + 1
"""Residue type, profile and mean deletion, which follow the atoms' embedding in the input embedding."""


@dataclass(kw_only=True)
class Architecture:
    """Sizes of trunk, denoiser and confidence head; the defaults are Protenix base v1.0.0 (368 M parameters)."""

    name: str = "base"
    """The profile's name."""
    c_s: int = 384
    """Channels of the single representation."""
    c_z: int = 128
    """Channels of the pair representation."""
    c_m: int = 64
    """Channels of the alignment representation."""
    c_atom: int = 128
    """Channels of an atom."""
    c_atompair: int = 16
    """Channels of a pair of atoms within a window."""
    c_token: int = 384
    """Channels to which the input embedder gathers the atoms of a residue."""
    c_token_diffusion: int = 768
    """Channels of a residue inside the diffusion transformer."""
    c_template: int = 64
    """Channels of the template embedder."""
    pairformer_blocks: int = 48
    """Blocks of the trunk's Pairformer."""
    pairformer_heads: int = 16
    """Heads of its single attention; the confidence head's Pairformer has as many."""
    msa_blocks: int = 4
    """Blocks of the MSA module; the last has no MSA stack."""
    template_blocks: int = 2
    """Blocks of the template embedder; 0 for layouts without one (v0.5.0)."""
    confidence_blocks: int = 4
    """Blocks of the confidence head."""
    input_atom_blocks: int = 3
    """Blocks of the input embedder's atom transformer."""
    encoder_atom_blocks: int = 3
    """Blocks of the denoiser's atom encoder."""
    decoder_atom_blocks: int = 3
    """Blocks of the denoiser's atom decoder."""
    atom_heads: int = 4
    """Heads of every atom transformer."""
    diffusion_blocks: int = 24
    """Blocks of the diffusion transformer."""
    diffusion_heads: int = 16
    """Heads of the diffusion transformer."""
    scale_pair_hidden: bool = False
    """Whether the hidden width of the triangle updates follows their input (v2); else it is 128 channels, 4 heads."""
    c_noise: int = 256
    """Channels of the noise level's Fourier embedding."""
    atoms_per_token: int = 24
    """Rows of the atom-wise confidence weights."""
    c_fold: int = 96
    """Channels of a residue in stage A's network."""
    fold_blocks: int = 3
    """Blocks along the sequence of stage A's network."""
    fold_heads: int = 8
    """Heads of its outer attention."""
    fold_channels: int = 32
    """Channels of a pair in its U-Net, on the finest level."""
    fold_levels: int = 5
    """Levels of its U-Net, each half as fine."""
    c_geometry: int = 48
    """Channels of a pair in stage B's geometry network."""
    c_geometry_hidden: int = 32
    """Channels of the products in its triangle multiplications."""
    c_geometry_single: int = 64
    """Channels of a residue in it."""
    geometry_heads: int = 4
    """Heads of the attention between its residues."""
    geometry_blocks: int = 6
    """Its blocks."""
    c_quality: int = 24
    """Channels of a pair in stage D's quality network."""
    quality_blocks: int = 2
    """Its blocks."""
    cycles: int = 10
    """Recycling cycles that the profile was made for; stage B's config may ask for others."""

    def __post_init__(self) -> None:
        """Raise ConfigError when a size is not positive or heads do not divide their channels."""
        may_be_zero = {"template_blocks", "msa_blocks"}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int and value < (0 if field.name in may_be_zero else 1):
                raise ConfigError(f"architecture.{field.name}: {value} is too small")
        for heads, channels in (
            ("pairformer_heads", "c_s"),
            ("diffusion_heads", "c_token_diffusion"),
            ("atom_heads", "c_atom"),
            ("fold_heads", "c_fold"),
            ("geometry_heads", "c_geometry_single"),
        ):
            if getattr(self, channels) % getattr(self, heads):
                raise ConfigError(
                    f"architecture.{heads}: {getattr(self, heads)} does not divide {channels} {getattr(self, channels)}"
                )
        if self.scale_pair_hidden and (self.c_z % PAIR_HEAD_WIDTH or self.c_template % PAIR_HEAD_WIDTH):
            raise ConfigError(
                f"architecture.c_z: {self.c_z} and c_template {self.c_template} must be multiples of {PAIR_HEAD_WIDTH}"
            )

    @property
    def c_inputs(self) -> int:
        """Channels of the input embedding (AF3's s_inputs)."""
        return self.c_token + INPUT_FEATURES

    def pair_hidden(self, channels: int) -> tuple[int, int]:
        """Hidden channels of triangle multiplication and heads of triangle attention on `channels` channels."""
        if self.scale_pair_hidden:
            return channels, channels // PAIR_HEAD_WIDTH
        return 128, 4

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a weights file's header holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Architecture":
        """Read `to_dict`'s values.

        Raises:
            ConfigError: a key is unknown or a value has another type than the field.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name, value in values.items():
            if name not in fields:
                raise ConfigError(f"architecture.{name}: unknown. Known: {', '.join(fields)}.")
            if type(value) is not fields[name].type:
                raise ConfigError(f"architecture.{name}: expected {fields[name].type}, found {value!r}")
        return cls(**values)


PAIR_HEAD_WIDTH = 32
"""Channels of one head of triangle attention."""
