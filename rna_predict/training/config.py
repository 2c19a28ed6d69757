"""What a training run does: which network, on which chains, what of it is trained, by which losses, how long."""

import math
from dataclasses import dataclass, field
from typing import Any

from rna_predict.errors import ConfigError
from rna_predict.nn.adapters import AdapterConfig

TORSION_SOURCES = ("head", "prior-table")
DECAYS = ("cosine", "constant")
KEEPS = ("best", "last")
ON_NAN = ("stop", "skip")
PRECISIONS = ("32-true", "bf16-mixed")
STRATEGIES = ("auto", "ddp")
PAIR_SOURCES = ("native", "predicted")
MODELS = ("structure", "folding", "geometry", "quality")


@dataclass(kw_only=True)
class NetworkSettings:
    """The weights that training starts from; they stay frozen but for what `adapters` names."""

    model: str = "structure"
    """Which networks: `structure` (trunk and denoiser, stages B and D), `folding` (base pairs, stage A), `geometry`
    (distances and torsions, stage B) or `quality` (lDDT and errors of models, stage D)."""
    weights: str = ""
    """Weights file of the networks."""
    untrained_profile: str = ""
    """Instead of weights: a profile's starting values, to train a network from nothing."""
    cycles: int = 0
    """Most recycling cycles; each step draws from 1 to this. 0 for as many as the profile was made for."""
    torsions: str = "head"
    """Torsions that stage D is told: the torsion head's own, or those of the prior table (`prior-table`)."""
    dropout: bool = True
    """Whether the trunk's blocks drop channels in training, as AF3's do."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of range or an unknown name."""
        _not_negative(self, "network", "cycles")
        _one_of(self, "network", torsions=TORSION_SOURCES, model=MODELS)


@dataclass(kw_only=True)
class DataSettings:
    """Which chains train and validate, and how they are cut and put together."""

    dataset: str = "results/dataset/chains"
    """Folder of a dataset, that `rna-predict dataset build` made; `dataset pairs` for the folding network, `dataset
    models` for the quality network."""
    store: str = ""
    """Where results of stages A, B and C for its chains are kept; empty for `<dataset>.stages`."""
    crop: int = 128
    """Longest piece of a chain, residues."""
    budget: int = 128
    """Most residues of a batch, padding included; at least `crop`."""
    spatial_share: float = 0.5
    """Share of crops around a point in space; the others are stretches of the chain."""
    native_pairs: float = 0.5
    """Share of examples whose base pairs are the native's; the others get those that stage A predicts."""
    coordinates: bool = True
    """Whether stage C builds each chain, so that stage D learns what its model is worth; the first time takes long."""
    told_share: float = 0.5
    """Of the folding network: share of examples that are told the ensembles of energy models."""
    consensus_sources: tuple[str, ...] = ()
    """Of the folding network: sources whose pairs are those of a family's consensus, which leaves pairs out."""
    consensus_alone: float = 0.3
    """Weight of a residue without a partner in those sources, beside 1 of all others."""
    per_cluster: int = 1
    """Chains of each cluster (of each family, for the folding network) in an epoch, drawn anew; 0 for all."""
    min_length: int = 8
    """Shortest chain that trains or validates, residues."""
    max_length: int = 0
    """Longest chain that trains; 0 for no limit."""
    only: tuple[str, ...] = ()
    """Ids to train on; empty for the whole split `train`."""
    exclude: tuple[str, ...] = ()
    """Ids that neither train nor validate."""
    folds: int = 0
    """Parts that the training clusters are drawn into, so that a network can be asked about what it has not seen; 0
    for one whole."""
    fold: int = 0
    """The part that does not train, counted from 0."""
    workers: int = 0
    """Processes that prepare batches; 0 prepares them in the training process."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of range, or a batch that holds no crop."""
        self.only, self.exclude = tuple(self.only), tuple(self.exclude)
        self.consensus_sources = tuple(self.consensus_sources)
        _not_negative(self, "data", "per_cluster", "max_length", "workers", "folds", "fold")
        _at_least_one(self, "data", "crop", "budget", "min_length")
        _shares(self, "data", "spatial_share", "native_pairs", "told_share", "consensus_alone")
        if self.budget < self.crop:
            raise ConfigError(
                f"data.budget: {self.budget} residues hold no crop of {self.crop}. Raise it, or cut less."
            )
        if self.folds == 1 or self.fold >= max(self.folds, 1):
            raise ConfigError(
                f"data.folds {self.folds}, fold {self.fold}: expected a fold below folds, which are 0 or more than 1."
            )


@dataclass(kw_only=True)
class LossSettings:
    """Weights of the losses, AF3's where it has them; 0 leaves a loss out."""

    diffusion: float = 4.0
    """On the aligned coordinate error and smooth lDDT of the denoiser."""
    bond: float = 1.0
    """Factor of the bond lengths within the denoiser's loss."""
    distogram: float = 0.03
    """On the cross-entropy of the distance bins."""
    torsions: float = 0.1
    """On torsion angles, their concentration, and pucker amplitudes."""
    pairs: float = 0.03
    """On the cross-entropy of which residues pair."""
    confidence: float = 1e-4
    """On pLDDT, PAE, PDE and resolved."""
    folding: float = 1.0
    """On the partner of each residue, of the folding network alone."""
    folding_draft: float = 0.3
    """The same on its scores before they are refined."""
    distances: float = 1.0
    """On the distances between atoms, of the geometry network alone."""
    quality: float = 1.0
    """On the lDDT of a model's residues, of the quality network alone."""
    quality_errors: float = 0.1
    """On the errors of its positions and distances, PAE and PDE."""
    quality_tm: float = 0.3
    """On the TM-score of whole models."""
    trunk_share: float = 1.0
    """Share of the denoiser's gradient that goes on into the trunk; 1 as in AF3, less lets the trunk's heads lead."""
    noise_mean: float = -1.2
    """Mean of the logarithm of the training noise in units of 16 Å; AF3's, median 4.8 Å. More trains the fold."""
    noise_spread: float = 1.5
    """Standard deviation of that logarithm."""
    copies: int = 4
    """Noised copies of each RNA that the denoiser learns from in one step."""
    rollout_steps: int = 10
    """Denoising steps that make the sample which the confidence head judges."""
    rollout_every: int = 1
    """Steps from one such sample to the next; between them the confidence head rests."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a negative weight, or when nothing is left to train on."""
        names = ("diffusion", "bond", "distogram", "torsions", "pairs", "confidence", "folding", "folding_draft")
        names += ("distances", "quality", "quality_errors", "quality_tm")
        _not_negative(self, "losses", *names)
        _at_least_one(self, "losses", "copies", "rollout_steps", "rollout_every")
        _shares(self, "losses", "trunk_share")
        if not (abs(self.noise_mean) <= 5 and 0 < self.noise_spread <= 5):
            raise ConfigError(
                f"losses.noise_mean {self.noise_mean}, noise_spread {self.noise_spread}: expected a mean from -5 to 5 "
                "and a spread above 0, at most 5."
            )
        if not any(getattr(self, name) for name in names if name != "bond"):
            raise ConfigError("losses: every weight is 0. There is nothing to train on.")


@dataclass(kw_only=True)
class OptimiserSettings:
    """AdamW, its schedule, and the running mean of the weights."""

    learning_rate: float = 1e-3
    """Highest learning rate."""
    weight_decay: float = 0.01
    """Decay of AdamW, on matrices alone."""
    beta1: float = 0.9
    """Decay of AdamW's first moment."""
    beta2: float = 0.95
    """Decay of AdamW's second moment."""
    warmup: int = 100
    """Steps in which the learning rate rises from 0."""
    decay: str = "cosine"
    """What follows: `cosine` down to `final_share`, or `constant`."""
    final_share: float = 0.1
    """Share of the highest learning rate at the last step."""
    clip: float = 10.0
    """Largest norm of the gradient; 0 does not clip."""
    accumulate: int = 1
    """Batches of one optimiser step."""
    ema: float = 0.999
    """Decay of the weights' running mean, which validates and is saved; 0 takes the weights themselves."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of range."""
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"optimiser.learning_rate: {self.learning_rate} must be positive and finite.")
        _not_negative(self, "optimiser", "weight_decay", "warmup", "clip")
        _at_least_one(self, "optimiser", "accumulate")
        _shares(self, "optimiser", "final_share")
        for name in ("beta1", "beta2", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"optimiser.{name}: {getattr(self, name)} must be in [0, 1).")
        _one_of(self, "optimiser", decay=DECAYS)


@dataclass(kw_only=True)
class ValidationSettings:
    """What is measured on the chains of the split `validation`, with the running mean of the weights."""

    every: int = 200
    """Steps from one validation to the next; 0 never validates."""
    chains: int = 8
    """Chains, one a cluster, the shortest clusters' first when there are more; 0 for one of every cluster."""
    max_length: int = 200
    """Longest chain that validates, residues; 0 for no limit."""
    samples: int = 1
    """Models that are sampled of each chain; the measures are means over them."""
    steps: int = 20
    """Denoising steps of a sample; plain Euler steps from noise, neither guided nor refined."""
    pairs: str = "predicted"
    """Whose base pairs the chains get: `predicted` by stage A, as a user has them, or the `native` ones."""
    monitor: str = "lddt"
    """The measure of the best weights: `lddt`, `tm_c3`, `inf_wc`, `f1`, `distance_lddt`, `plddt_pearson` (more is
    better), `loss`, `rmsd`; which of them a model has, `training.config.MONITORS` says."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of range or an unknown name."""
        _not_negative(self, "validation", "every", "chains", "max_length")
        _at_least_one(self, "validation", "samples", "steps")
        _one_of(self, "validation", pairs=PAIR_SOURCES, monitor=(*MORE_IS_BETTER, *LESS_IS_BETTER))


MORE_IS_BETTER = ("lddt", "tm_c3", "inf_wc", "f1", "distance_lddt", "plddt_pearson")
LESS_IS_BETTER = ("loss", "rmsd")


@dataclass(kw_only=True)
class TrainerSettings:
    """How long and on what it runs, and what it keeps."""

    steps: int = 1000
    """Optimiser steps."""
    seed: int = 0
    """Decides the order of chains, crops, noise, dropout, and how adapters start."""
    accelerator: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `gpu`."""
    devices: int = 1
    """Processes, each with a device of its own."""
    nodes: int = 1
    """Machines."""
    strategy: str = "auto"
    """How several processes share the work: `auto` or `ddp`."""
    precision: str = "32-true"
    """`32-true`, or `bf16-mixed`: the trunk's matrix products in bfloat16, the denoiser in float32."""
    save_every: int = 100
    """Steps after which the state for resuming is written, and the weights so far."""
    keep_every: int = 0
    """Steps whose weights stay, as step_<n>.safetensors; 0 keeps none but the best and the last."""
    keep: str = "best"
    """What the run hands on as partial.safetensors: the `best` weights by validation, or the `last`."""
    log_every: int = 10
    """Steps from one line of the log to the next; the curves have every step."""
    on_nan: str = "stop"
    """At a loss or gradient that is not finite: `stop`, or `skip` the batch and log its ids."""
    max_skips: int = 20
    """Batches in all that `skip` may leave out before it stops after all."""
    tracking: str = ""
    """Folder of a LanceDB database that runs, curves and checkpoints are recorded in; empty for none."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of range or an unknown name."""
        _at_least_one(self, "trainer", "steps", "devices", "nodes", "save_every", "log_every")
        _not_negative(self, "trainer", "seed", "keep_every", "max_skips")
        _one_of(self, "trainer", strategy=STRATEGIES, precision=PRECISIONS, keep=KEEPS, on_nan=ON_NAN)
        if self.on_nan == "skip" and self.devices * self.nodes > 1:
            raise ConfigError("trainer.on_nan: skip would part processes that work together. Use stop.")


@dataclass(kw_only=True)
class TrainConfig:
    """All settings of a training run, one group each."""

    network: NetworkSettings = field(default_factory=NetworkSettings)
    """Weights to start from."""
    data: DataSettings = field(default_factory=DataSettings)
    """Chains, crops, batches."""
    adapters: AdapterConfig = field(default_factory=AdapterConfig)
    """What is trained."""
    losses: LossSettings = field(default_factory=LossSettings)
    """By what it is trained."""
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    """How it is trained."""
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    """How it is measured."""
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    """For how long, on what, and what is kept."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless the weights have exactly one source, or where groups do not go together."""
        network = self.network
        if bool(network.weights) == bool(network.untrained_profile):
            raise ConfigError(
                f"network.weights {network.weights!r}, network.untrained_profile {network.untrained_profile!r}: name "
                "one, a weights file to adapt or a profile to train from its starting values."
            )
        if "torsionbert" in self.adapters.groups:
            raise ConfigError("adapters.groups: torsionbert is no part of trunk and denoiser, which this trains.")
        for module, loss in TRAINED_BY.items():
            if module in self.adapters.full_modules and not getattr(self.losses, loss):
                raise ConfigError(
                    f"adapters.full_modules: {module}, but losses.{loss} is 0: it would keep its values and count as "
                    "trained. Leave it out, or weigh its loss."
                )
        known = MONITORS[network.model]
        if self.validation.monitor not in known:
            raise ConfigError(
                f"validation.monitor: {self.validation.monitor} is no measure of the model {network.model}. "
                f"Use one of: {', '.join(known)}."
            )
        if self.optimiser.warmup > self.trainer.steps:
            raise ConfigError(
                f"optimiser.warmup: {self.optimiser.warmup} steps are more than trainer.steps {self.trainer.steps}."
            )
        if self.trainer.keep == "best" and not self.validation.every:
            raise ConfigError("trainer.keep: best needs a validation (validation.every above 0). Use last.")


MONITORS = {
    "structure": ("lddt", "tm_c3", "inf_wc", "loss", "rmsd"),
    "folding": ("f1", "loss"),
    "geometry": ("distance_lddt", "loss"),
    "quality": ("plddt_pearson", "loss"),
}
"""Measures of each model."""

TRAINED_BY = {
    "distogram_head": "distogram",
    "torsion_head": "torsions",
    "pair_head": "pairs",
    "diffusion_module": "diffusion",
    "confidence_head": "confidence",
}
"""Modules that one loss alone trains."""


def _not_negative(settings: Any, group: str, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(settings, name) < math.inf:
            raise ConfigError(f"{group}.{name}: {getattr(settings, name)} must not be negative.")


def _at_least_one(settings: Any, group: str, *names: str) -> None:
    for name in names:
        if getattr(settings, name) < 1:
            raise ConfigError(f"{group}.{name}: {getattr(settings, name)} must be at least 1.")


def _shares(settings: Any, group: str, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(settings, name) <= 1:
            raise ConfigError(f"{group}.{name}: {getattr(settings, name)} is no share from 0 to 1.")


def _one_of(settings: Any, group: str, **known: tuple[str, ...]) -> None:
    for name, values in known.items():
        if getattr(settings, name) not in values:
            found = f"{group}.{name}: {getattr(settings, name)!r}"
            raise ConfigError(f"{found} is unknown. Use one of: {', '.join(values)}.")
