"""The named sizes of the networks, and a user's own in a file; importable without torch."""

from pathlib import Path

from rna_predict.errors import ConfigError
from rna_predict.nn.architecture import Architecture
from rna_predict.plain_yaml import read_yaml

PROFILES: dict[str, Architecture] = {
    profile.name: profile
    for profile in (
        # For tests: a forward pass in a fraction of a second. 16 heads and 3 input blocks, as protenix cannot change
        # them in its confidence head and input embedder, so that nano compares number for number with it.
        Architecture(
            name="nano",
            c_s=64,
            c_z=32,
            c_m=32,
            c_atom=32,
            c_token=64,
            c_token_diffusion=64,
            c_template=32,
            pairformer_blocks=2,
            msa_blocks=2,
            template_blocks=1,
            confidence_blocks=1,
            encoder_atom_blocks=1,
            decoder_atom_blocks=1,
            diffusion_blocks=2,
            diffusion_heads=4,
            scale_pair_hidden=True,
            cycles=2,
            c_fold=32,
            fold_blocks=1,
            fold_heads=4,
            fold_channels=8,
            fold_levels=2,
            c_geometry=16,
            c_geometry_hidden=16,
            c_geometry_single=32,
            geometry_blocks=2,
            c_quality=8,
            quality_blocks=1,
        ),
        # To be trained and run on two cores; docs/decisions/0008-profiles.md says why these widths.
        Architecture(
            name="small",
            c_s=96,
            c_z=64,
            c_m=32,
            c_atom=64,
            c_token=96,
            c_token_diffusion=128,
            c_template=32,
            pairformer_blocks=4,
            pairformer_heads=6,
            msa_blocks=1,
            template_blocks=0,
            confidence_blocks=1,
            input_atom_blocks=1,
            encoder_atom_blocks=1,
            decoder_atom_blocks=1,
            diffusion_blocks=4,
            diffusion_heads=8,
            scale_pair_hidden=True,
            c_noise=128,
            cycles=4,
            c_fold=64,
            fold_channels=16,
            fold_levels=4,
        ),
        # protenix_tiny_default_v0.5.0
        Architecture(
            name="tiny",
            pairformer_blocks=8,
            msa_blocks=1,
            template_blocks=0,
            encoder_atom_blocks=1,
            decoder_atom_blocks=1,
            diffusion_blocks=8,
            cycles=4,
        ),
        # protenix_mini_default_v0.5.0
        Architecture(
            name="mini",
            pairformer_blocks=16,
            msa_blocks=1,
            template_blocks=0,
            encoder_atom_blocks=1,
            decoder_atom_blocks=1,
            diffusion_blocks=8,
            cycles=4,
        ),
        # protenix_base_default_v1.0.0 and protenix_base_20250630_v1.0.0
        Architecture(name="base"),
        # protenix-v2
        Architecture(name="v2", c_z=256, c_m=128, scale_pair_hidden=True),
    )
}
"""Sizes by name; `mini`, `tiny`, `base` and `v2` are those of public weights, whose names stand beside them."""


def find_profile(name: str, folder: Path | None = None) -> Architecture:
    """A named size.

    Args:
        name: one of `PROFILES`, or with a folder the stem of one of its files.
        folder: where given, `<folder>/<name>.yaml` is read and must be there; sizes that it leaves out keep the
            defaults of `Architecture`.

    Raises:
        ConfigError: no such profile or file, an unknown key, a value of another type or out of range; it names the
            file and the key.
    """
    if folder is None:
        if name not in PROFILES:
            raise ConfigError(f"profile {name!r}: unknown. Use one of: {', '.join(PROFILES)}, or name a folder.")
        return PROFILES[name]
    path = folder / f"{name}.yaml"
    if Path(name).name != name or not path.is_file():
        found = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise ConfigError(f"{path}: no such file. Profiles in this folder: {found or 'none'}.")
    try:
        architecture = Architecture.from_dict({"name": name, **read_yaml(path)})
    except ConfigError as error:
        raise error if str(error).startswith(str(path)) else ConfigError(f"{path}: {error}") from error
    if architecture.name != name:
        raise ConfigError(f"{path}: architecture.name: found {architecture.name!r}. Write {name!r} or leave it out.")
    return architecture
