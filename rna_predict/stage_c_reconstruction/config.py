"""How stage C rebuilds coordinates."""

from dataclasses import dataclass

from rna_predict.errors import ConfigError


@dataclass(kw_only=True)
class StageCConfig:
    """Settings of stage C."""

    method: str = "assembly"
    """`assembly`: stems placed as A-form and loops closed onto them; `nerf`: the chain rebuilt from torsions alone."""
    starts: int = 8
    """Traces that are grown and closed; the best one is refined."""
    kept: int = 3
    """Traces that go on as whole chains of free nucleotides before the best is taken."""
    spread: float = 1.0
    """Width of the torsions' noise among the starts, in standard deviations of stage B's distributions."""
    stem_weight: float = 40.0
    """Stiffness of A-form relations in stems, per Å²."""
    loop_weight: float = 12.0
    """Stiffness of stage B's steps in loops where it is certain, per Å²."""
    distance_weight: float = 0.1
    """Weight of stage B's distograms, where a trained network made them; 0 leaves them out."""
    steps_open: int = 80
    """Iterations with passable atoms."""
    steps_closing: int = 80
    """Iterations while links close, before and after the choice among the starts."""
    steps_closed: int = 200
    """Iterations with hard atoms and ideal links."""
    steps_polish: int = 100
    """Iterations of each half of the last touch, which is repeated while a model is not settled."""
    seed: int = 0
    """Seed of the starts' noise."""
    attempts: int = 8
    """Attempts at most, each with the next seed, at a model without breaks, pierced rings, stretched bonds, clashes."""

    def __post_init__(self) -> None:
        """Raise ConfigError for an unknown method or a number out of range."""
        if self.method not in ("assembly", "nerf"):
            raise ConfigError(f"stage_c.method: {self.method!r} is not assembly or nerf")
        for name in ("starts", "kept", "attempts"):
            if getattr(self, name) < 1:
                raise ConfigError(f"stage_c.{name}: {getattr(self, name)} must be at least 1")
        for name in (
            "spread",
            "stem_weight",
            "loop_weight",
            "distance_weight",
            "steps_open",
            "steps_closing",
            "steps_closed",
            "steps_polish",
            "seed",
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"stage_c.{name}: {getattr(self, name)} must not be negative")
