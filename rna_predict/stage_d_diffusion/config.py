"""How stage D samples, ranks and judges models."""

from dataclasses import dataclass

from rna_predict.errors import ConfigError

BACKEND_NAMES = ("analytic",)


@dataclass(kw_only=True)
class StageDConfig:
    """Settings of stage D."""

    backend: str = "analytic"
    """What denoises; one of `BACKEND_NAMES`. `analytic` has no learned weights."""
    models: int = 5
    """Models to sample; all are kept, ranked."""
    seed: int = 0
    """Seed of the first model; model k uses seed + k."""
    sigma_start: float = 4.0
    """Noise in Å on stage C's atoms from which the sampler starts."""
    sigma_end: float = 0.05
    """Noise in Å of the sampler's last step but one; the last goes to zero."""
    steps: int = 6
    """Denoising steps."""
    rho: float = 7.0
    """Exponent of the noise schedule (Karras et al. 2022, eq. 5)."""
    churn: float = 0.2
    """Share of fresh noise at every step above 1 Å (γ0 of AF3 Algorithm 18)."""
    stem_shift: float = 2.0
    """Å by which stems are moved at random before sampling, so that models differ as a whole; not for the first."""
    stem_turn: float = 0.25
    """Radians by which stems are turned at random before sampling; not for the first model."""
    iterations: int = 10
    """Minimiser iterations of one analytic denoising."""
    refine_iterations: int = 240
    """Minimiser iterations that end each model with ideal links and without overlaps."""
    distance_weight: float = 0.02
    """Weight of stage B's distogram in the analytic energy."""
    stem_weight: float = 40.0
    """Stiffness of stage A's stems in the analytic energy, per Å²."""
    loop_weight: float = 1.0
    """Stiffness with which loops keep to stage C's local geometry, per Å²."""

    def __post_init__(self) -> None:
        """Raise ConfigError for an unknown backend or a number out of range."""
        if self.backend not in BACKEND_NAMES:
            raise ConfigError(f"stage_d.backend: {self.backend!r} is unknown. Use one of: {', '.join(BACKEND_NAMES)}.")
        for name in ("models", "steps", "iterations", "refine_iterations"):
            if getattr(self, name) < 1:
                raise ConfigError(f"stage_d.{name}: {getattr(self, name)} must be at least 1")
        for name in ("churn", "stem_shift", "stem_turn", "distance_weight", "stem_weight", "loop_weight", "seed"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"stage_d.{name}: {getattr(self, name)} must not be negative")
        if not 0 < self.sigma_end < self.sigma_start <= 160:
            raise ConfigError(
                f"stage_d.sigma_start {self.sigma_start}, sigma_end {self.sigma_end}: need 0 < end < start <= 160 Å"
            )
        if not self.rho >= 1:
            raise ConfigError(f"stage_d.rho: {self.rho} must be at least 1")
