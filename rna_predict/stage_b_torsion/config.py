"""How stage B predicts torsions and pair distances."""

from dataclasses import dataclass

from rna_predict.errors import ConfigError

BACKEND_NAMES = ("prior-table",)


@dataclass(kw_only=True)
class StageBConfig:
    """Settings of stage B."""

    backend: str = "prior-table"
    """What predicts torsions and distances; one of `BACKEND_NAMES`. `prior-table` has no learned weights."""

    prior_table: str = ""
    """Path of another prior table (`rna-predict priors build`); empty for the one that the package carries."""

    max_length: int = 3000
    """Longest sequence in nt: the embeddings take about 0.3 kB for every pair of residues."""

    def __post_init__(self) -> None:
        """Raise ConfigError, naming the field and what it may be."""
        if self.backend not in BACKEND_NAMES:
            raise ConfigError(f"stage_b.backend: {self.backend!r} is unknown. Use one of: {', '.join(BACKEND_NAMES)}.")
        if not 1 <= self.max_length <= 100_000:
            raise ConfigError(f"stage_b.max_length: {self.max_length} is outside 1 … 100000.")
