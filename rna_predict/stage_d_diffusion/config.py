"""How stage D samples, ranks and judges models."""

from dataclasses import dataclass

from rna_predict.errors import ConfigError

BACKEND_NAMES = ("analytic", "diffusion")
STARTS = ("auto", "noise", "stage_c")
CONFIDENCES = ("auto", "learned", "heuristic")

_POSITIVE = ("rho", "noise_max", "noise_min", "noise_scale", "step_scale")
_NOT_NEGATIVE = (
    *("alternatives", "churn", "stem_shift", "stem_turn", "distance_weight", "stem_weight", "loop_weight", "seed"),
    *("diffusion_churn", "churn_above", "guidance_below", "guidance_distance_weight", "chunk_rows"),
)
_COUNTS = ("models", "steps", "iterations", "refine_iterations", "diffusion_steps", "guidance_iterations")


@dataclass(kw_only=True)
class StageDConfig:
    """Settings of stage D."""

    backend: str = "analytic"
    """What denoises; one of `BACKEND_NAMES`. `analytic` has no learned weights, `diffusion` runs the networks."""
    models: int = 5
    """Models to sample; all are kept, ranked."""
    alternatives: int = 2
    """Most models of other secondary structures (`analytic`), one for each that stage C built, behind the others: at
    most as many as there are of the first structure, less one. 0 leaves them out."""
    seed: int = 0
    """Seed of the first model; model k uses seed + k."""
    sigma_start: float = 4.0
    """Noise in Å on stage C's atoms from which the sampler starts (`diffusion`: where `start` is stage C's model)."""
    sigma_end: float = 0.05
    """Noise in Å of the analytic sampler's last step but one; the last goes to zero."""
    steps: int = 6
    """Denoising steps of `analytic`."""
    rho: float = 7.0
    """Exponent of the noise schedule (Karras et al. 2022, eq. 5)."""
    churn: float = 0.2
    """Of `analytic`: share of fresh noise at every step above 1 Å (γ0 of AF3 Algorithm 18)."""
    stem_shift: float = 2.0
    """Å by which stems are moved at random before sampling, so that models differ as a whole; not for the first."""
    stem_turn: float = 0.25
    """Radians by which stems are turned at random before sampling; not for the first model."""
    iterations: int = 10
    """Minimiser iterations of one analytic denoising."""
    refine_iterations: int = 240
    """Minimiser iterations that end each model with ideal links and without overlaps."""
    distance_weight: float = 0.05
    """Weight of stage B's distograms in the analytic energy."""
    stem_weight: float = 40.0
    """Stiffness of stage A's stems in the analytic energy and in guidance, per Å²."""
    loop_weight: float = 1.0
    """Stiffness with which loops keep to stage C's local geometry, per Å²; of `analytic`."""
    confidence: str = "auto"
    """Of `analytic`: what pLDDT, PAE and pTM come from: the quality network (`learned`), formulas (`heuristic`), or
    `auto`: the network where stage B's geometry network made the distograms that it reads, else the formulas."""
    weights: str = ""
    """Weights file: of `diffusion` that of the networks, the same that stage B's trunk ran on; of `analytic` that of
    the quality network, empty for the one that the package carries."""
    untrained_profile: str = ""
    """Instead of weights: a profile on RANDOM weights, to try the path and its cost."""
    partial: str = ""
    """Partial checkpoint that was trained on these weights. Stage B's trunk needs the same where it holds tensors of
    the trunk, and none where it does not."""
    device: str = "auto"
    """Where networks run: `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1`."""
    chunk_rows: int = 0
    """Rows of the pair representation that the confidence head works on at once; 0 for all."""
    samples_at_once: int = 5
    """Models that the denoiser works on at once; fewer take less memory and give the same."""
    start: str = "auto"
    """Where `diffusion` starts: `noise`, `stage_c` (its model with `sigma_start` Å of noise, then the levels below), or
    `auto`, which is `noise` with trained weights and `stage_c` without."""
    diffusion_steps: int = 200
    """Levels of AF3's schedule from `noise_max`; from stage C's model only those below `sigma_start` are taken."""
    noise_max: float = 160.0
    """Highest noise level of AF3's schedule in units of 16 Å (s_max)."""
    noise_min: float = 4e-4
    """Where AF3's schedule ends, in units of 16 Å (s_min)."""
    diffusion_churn: float = 0.8
    """Share of fresh noise where a step ends above `churn_above` (γ0 of AF3 Algorithm 18); 0 for few steps."""
    churn_above: float = 1.0
    """Å of noise down to which fresh noise is added (γ_min of AF3 Algorithm 18)."""
    noise_scale: float = 1.003
    """Factor on fresh noise (λ of AF3 Algorithm 18)."""
    step_scale: float = 1.5
    """Factor on each step (η of AF3 Algorithm 18); 1 for few steps."""
    augment: bool = True
    """Whether every step turns and shifts the samples at random (AF3 Algorithm 19). Off, they stay as they lie, for
    networks that were trained on so little that they know it in one orientation only."""
    guidance: bool = True
    """Whether the denoiser's answers are brought towards molecules with closed links, stage A's stems, no overlaps."""
    guidance_below: float = 8.0
    """Å of noise below which guidance acts."""
    guidance_iterations: int = 10
    """Minimiser iterations of one guided step."""
    guidance_distance_weight: float = 0.0
    """Weight of stage B's distogram in guidance."""
    refine: bool = True
    """Whether each model of `diffusion` ends as a whole molecule with ideal geometry; off, the network's atoms are
    written as they are."""

    def __post_init__(self) -> None:
        """Raise ConfigError for an unknown name, a number out of range, or settings that do not go together."""
        for field, known in (("backend", BACKEND_NAMES), ("start", STARTS), ("confidence", CONFIDENCES)):
            found = getattr(self, field)
            if found not in known:
                raise ConfigError(f"stage_d.{field}: {found!r} is unknown. Use one of: {', '.join(known)}.")
        for name in (*_COUNTS, "samples_at_once"):
            if getattr(self, name) < 1:
                raise ConfigError(f"stage_d.{name}: {getattr(self, name)} must be at least 1")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise ConfigError(f"stage_d.{name}: {getattr(self, name)} must not be negative")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigError(f"stage_d.{name}: {getattr(self, name)} must be above zero")
        if not 0 < self.sigma_end < self.sigma_start <= 160:
            raise ConfigError(
                f"stage_d.sigma_start {self.sigma_start}, sigma_end {self.sigma_end}: need 0 < end < start <= 160 Å"
            )
        if not self.rho >= 1:
            raise ConfigError(f"stage_d.rho: {self.rho} must be at least 1")
        if not self.noise_min < self.noise_max:
            raise ConfigError(f"stage_d.noise_min {self.noise_min} must be below noise_max {self.noise_max}")
        self._check_networks()

    def _check_networks(self) -> None:
        """The networks have exactly one source, and a source that is named is used."""
        named = f"found {self.weights!r} and {self.untrained_profile!r}"
        partial = f", partial {self.partial!r}" if self.partial else ""
        if self.backend == "diffusion" and bool(self.weights) == bool(self.untrained_profile):
            raise ConfigError(
                "stage_d.backend: diffusion needs either stage_d.weights (a file) or stage_d.untrained_profile (random "
                f"weights, to try the path); {named}."
            )
        if self.backend == "analytic" and self.weights and self.untrained_profile:
            raise ConfigError(f"stage_d.weights, untrained_profile: name one of them; {named}.")
        if (
            self.backend == "analytic"
            and self.confidence == "heuristic"
            and (self.weights or self.untrained_profile or self.partial)
        ):
            raise ConfigError(
                "stage_d.confidence: heuristic runs no network, but weights, untrained_profile or partial is set; "
                f"{named}{partial}. Set stage_d.confidence to learned, or stage_d.backend to diffusion."
            )
