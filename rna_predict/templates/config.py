"""Which templates an RNA gets."""

import math
import re
from dataclasses import dataclass, field

from rna_predict.errors import ConfigError


@dataclass(kw_only=True)
class TemplatesConfig:
    """Settings of the template search; the numbers were chosen in docs/decisions/0018-templates.md."""

    enabled: bool = True
    """Whether known structures are looked for at all."""

    library: str = ""
    """A library that `rna-predict templates build` made; empty for the one that the package carries."""

    max_hits: int = 5
    """Most templates of one RNA."""

    min_expected_tm: float = 0.35
    """Least expected TM-score of a template, over the whole RNA."""

    motifs: bool = True
    """Whether each loop of the RNA is also looked up on its own, with the pairs that border it, and stretches of it."""

    min_expected_lddt: float = 0.65
    """Least expected lDDT of a known loop or stretch, over its residues."""

    min_expected_pairs: float = 0.7
    """Least expected share of right pairs of a known stretch that stage A is told of, or that the model follows."""

    max_identity: float = 1.0
    """Chains that share more than this part of the shorter of both are left out: for honest measuring."""

    before: str = ""
    """Only chains deposited before this day, YYYY-MM-DD; chains without a date are then left out. Empty for all."""

    exclude: list[str] = field(default_factory=list)
    """Ids of chains, or clusters as `cluster:NAME`, that are left out."""

    min_length: int = 15
    """Shortest RNA in nt that is looked up: strands of a few residues fit anywhere."""

    prefilter: int = 3000
    """Largest library, in chains, that is aligned whole; of a larger one as many, the nearest by embedding."""

    aligned: int = 60
    """Chains with the best scores whose alignment is looked at in full."""

    def __post_init__(self) -> None:
        """Raise ConfigError, naming the field and what it may be."""
        ranges = {
            "max_hits": (0, 1000),
            "min_expected_tm": (0.0, 1.0),
            "min_expected_lddt": (0.0, 1.0),
            "min_expected_pairs": (0.0, 1.0),
            "max_identity": (0.0, 1.0),
            "min_length": (2, 100_000),
            "prefilter": (1, 1_000_000),
            "aligned": (1, 100_000),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ConfigError(f"templates.{name}: {value} is outside {low} … {high}.")
        if self.before and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", self.before):
            raise ConfigError(f"templates.before: {self.before!r} is not a day as YYYY-MM-DD.")
