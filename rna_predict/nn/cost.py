"""Memory and time that a run will take, estimated from sizes alone; importable without torch.

Both are estimates for float32 on a CPU, one RNA, no gradients. Time is the work that `nn.work` counts, divided by the
speed of the machine at each kind of work. Memory is what is held at the worst moment of a stage, counted by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rna_predict.errors import ConfigError
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.limits import BIAS_BYTES, CHANNELS_AT_ONCE, WINDOWS_AT_ONCE
from rna_predict.nn.work import (
    ATOMS_PER_RESIDUE,
    FLOAT,
    KEYS,
    KINDS,
    QUERIES,
    Work,
    confidence_head,
    denoiser_step,
    diffusion_conditions,
    input_embedder,
    msa_module,
    pairformer,
    recycling,
    template_embedder,
    trunk_layers,
    windows,
)

STAGES = ("stage_b", "stage_d")
"""Stages that run networks."""

EMPTY_TEMPLATES = 2
"""As `template.NO_TEMPLATE`: passes of the template embedder for an RNA without templates."""

EFFICIENCY = 0.7
"""Share of a machine's speed at single operations that whole networks reach: measured on nano, small and single blocks
of base at 76 to 300 residues, where it lay between 0.4 and 1."""

DISTOGRAM_BINS = 64

PROCESS_BYTES = 330e6
"""Python with torch, this package and what it imports, before any network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is to be run.

    Attributes:
        length: residues.
        cycles: recycling cycles of the trunk.
        models: samples of stage D.
        steps: denoising steps of stage D.
        msa_rows: rows of the alignment, the query included.
        samples_at_once: samples that the denoiser works on together.
    """

    length: int
    cycles: int
    models: int = 5
    steps: int = 200
    msa_rows: int = 1
    samples_at_once: int = 5

    def __post_init__(self) -> None:
        """Raise ConfigError when a number is below 1."""
        for name in ("length", "cycles", "models", "steps", "msa_rows", "samples_at_once"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)} must be at least 1")


def works(architecture: Architecture, run: Run) -> dict[str, dict[str, Work]]:
    """The work of each part by stage; the parameters of parts that run several times count once."""
    a, length = architecture, run.length
    templates = EMPTY_TEMPLATES if a.template_blocks else 0
    together = min(run.models, run.samples_at_once)
    return {
        "stage_b": {
            "input embedder": input_embedder(a, length),
            "start, recycling, distogram": trunk_layers(a, length) + recycling(a, length).again(run.cycles),
            "template embedder": template_embedder(a, length, templates).again(run.cycles),
            "MSA module": msa_module(a, length, run.msa_rows).again(run.cycles),
            "Pairformer": pairformer(a, length, a.pairformer_blocks).again(run.cycles),
        },
        "stage_d": {
            "conditioning": diffusion_conditions(a, length),
            "denoising": denoiser_step(a, length, together).again(run.steps * run.models / together),
            "confidence head": confidence_head(a, length).again(run.models),
        },
    }


def parameters(architecture: Architecture) -> int:
    """Parameters of the published layout; this package's own projections are some thousandths more."""
    run = Run(length=1, cycles=1)
    return sum(work.parameters for parts in works(architecture, run).values() for work in parts.values())


def seconds(work: Work, speeds: Mapping[str, float]) -> float:
    """Time of a work on a machine that does `speeds` of each of `KINDS` per second when it does nothing else."""
    return sum(work.amounts.get(kind, 0.0) / speeds[kind] for kind in KINDS) / EFFICIENCY


def weight_bytes(architecture: Architecture, stage: str) -> int:
    """Float32 weights of a stage's network."""
    run = Run(length=1, cycles=1)
    return FLOAT * sum(work.parameters for work in works(architecture, run)[stage].values())


def pair_bytes(architecture: Architecture, length: int) -> int:
    """One pair representation."""
    return FLOAT * length**2 * architecture.c_z


def peak_bytes(architecture: Architecture, stage: str, run: Run) -> int:
    """Memory of the whole process at the worst moment of `stage_b` or `stage_d`.

    Raises:
        ConfigError: another stage.
    """
    if stage not in STAGES:
        raise ConfigError(f"{stage!r}: runs no networks. Stages: {', '.join(STAGES)}.")
    held = _stage_b_bytes(architecture, run) if stage == "stage_b" else _stage_d_bytes(architecture, run)
    return int(PROCESS_BYTES + weight_bytes(architecture, stage) + held)


def _update_channels(a: Architecture, c_z: int) -> int:
    """Channels of L x L that a block of pair updates holds beside the pair representation: both triangle factors."""
    return 2 * a.pair_hidden(c_z)[0] + CHANNELS_AT_ONCE


def _stage_b_bytes(a: Architecture, run: Run) -> float:
    pairs = float(FLOAT * run.length**2)
    template = 4 * a.c_template + _update_channels(a, a.c_template) if a.template_blocks else 0
    cells = FLOAT * run.msa_rows * run.length * a.c_m * 3
    trunk = pairs * (2 * a.c_z + max(_update_channels(a, a.c_z), template)) + cells
    # The embeddings beside the bytes of their file.
    written = 2 * pairs * (a.c_z + DISTOGRAM_BINS)
    return max(trunk, written)


def _stage_d_bytes(a: Architecture, run: Run) -> float:
    pairs = float(FLOAT * run.length**2)
    atoms, together = run.length * ATOMS_PER_RESIDUE, min(run.models, run.samples_at_once)
    atom_blocks = a.encoder_atom_blocks + a.decoder_atom_blocks
    biases = pairs * a.diffusion_heads * a.diffusion_blocks
    conditions = (biases if biases <= BIAS_BYTES else pairs * a.c_z) + pairs * a.c_atompair
    conditions += FLOAT * windows(run.length) * QUERIES * KEYS * a.atom_heads * atom_blocks
    conditions += FLOAT * atoms * a.c_atom * 8 * atom_blocks
    embeddings = pairs * (3 * a.c_z + DISTOGRAM_BINS)
    making = FLOAT * min(windows(run.length), WINDOWS_AT_ONCE) * QUERIES * KEYS * 6 * a.c_atompair
    step = FLOAT * together * (14 * run.length * a.c_token_diffusion + 12 * atoms * a.c_atom)
    step += FLOAT * 2 * windows(run.length) * KEYS * a.c_atom
    judging = pairs * (2 * a.c_z + _update_channels(a, a.c_z) + 2 * DISTOGRAM_BINS * run.models)
    return embeddings + conditions + max(making, step, judging)
