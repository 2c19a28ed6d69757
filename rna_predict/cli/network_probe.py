"""One measurement of `bench networks`, in a process of its own: `python -m rna_predict.cli.network_probe JOB`.

JOB is a `Job` as JSON, the answer one line of JSON. Peak memory is what the first run adds to the resident set at its
highest (VmHWM, reset before it, in /proc/self), after a run on 16 residues that loads what is loaded once.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import torch
import typer
from torch import nn

from rna_predict.cli.parity_inputs import Given
from rna_predict.cli.parity_peer import Peer
from rna_predict.cli.parity_protenix import load, no_initialisation
from rna_predict.cli.resident import resident_mb
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.featurise import featurise
from rna_predict.nn.pairformer import PairformerBlock
from rna_predict.stage_d_diffusion.denoiser import DiffusionModule

BASE = Architecture()
"""Protenix base v1: 24 transformer blocks and 3 + 3 atom blocks in the denoiser."""

WARM_UP = 16
"""Residues of the run before the measurement."""

SAMPLES = 5
"""Samples of a denoiser step, Protenix's default."""

SIGMA = 16.0
"""Noise level of a denoiser step, Å."""

WEIGHT_SCALE = 0.03
"""Weights are uniform within ± this, so that no output vanishes or overflows."""

Step = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to measure.

    Attributes:
        network: `pairformer` (one block) or `denoiser` (one step).
        side: `ours`, `protenix`, or `protenix without cache` (of the denoiser).
        tokens: residues.
        threads: of torch.
        runs: timed runs after the first.
    """

    network: str
    side: str
    tokens: int
    threads: int
    runs: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds of the median run and of what is made once before the first step; MB that the first run adds."""

    seconds: float
    prepare_seconds: float
    peak_mb: float


@torch.no_grad()
def probe(job: Job) -> Measured:
    """Do it."""
    torch.set_num_threads(job.threads)
    prepare = pairformer(job.side) if job.network == "pairformer" else denoiser(job.side)
    prepare(WARM_UP)()
    start = time.perf_counter()
    step = prepare(job.tokens)
    prepared = time.perf_counter() - start
    before = resident_mb(reset=True)
    step()
    peak = resident_mb(reset=False) - before
    seconds = []
    for _ in range(job.runs):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return Measured(seconds=sorted(seconds)[len(seconds) // 2], prepare_seconds=prepared, peak_mb=peak)


def pairformer(side: str) -> Callable[[int], Step]:
    """A Pairformer block of base, ready for any length."""
    block = _pairformer_of(side)
    fill(block)

    def prepare(tokens: int) -> Step:
        single_LS, pair_LLZ = torch.randn(tokens, BASE.c_s), torch.randn(tokens, tokens, BASE.c_z)
        if side == "ours":
            single_BLS, pair_BLLZ = single_LS[None], pair_LLZ[None]
            return lambda: block(single_BLS, pair_BLLZ)
        # As its inference runs it on a CPU: in place on what it is given, no chunks below 1,024 tokens.
        return lambda: block(single_LS, pair_LLZ, None, inplace_safe=True, chunk_size=None)

    return prepare


def _pairformer_of(side: str) -> nn.Module:
    if side == "ours":
        return PairformerBlock(BASE, c_z=BASE.c_z, c_s=BASE.c_s).eval()
    module = load("model.modules.pairformer")
    with no_initialisation():
        return module.PairformerBlock().eval()


def denoiser(side: str) -> Callable[[int], Step]:
    """Base's denoiser, ready for an RNA of any length."""
    module = _denoiser_of(side)
    for network in module.__dict__.values():
        fill(network)

    def prepare(tokens: int) -> Step:
        features = featurise("GACU" * (tokens // 4), seed=0)
        given = Given(BASE, features)
        noisy_SA3 = torch.randn(SAMPLES, features.atom_mask_BA.shape[1], 3) * SIGMA
        if side == "ours":
            ours: DiffusionModule = module.diffusion_module
            drawn = given.representations
            conditions = ours.conditions(features, drawn)
            sigma_BS = torch.full((1, 1), SIGMA)
            return lambda: ours(noisy_SA3[None], sigma_BS, features, drawn, conditions)
        peer = Peer(module, given, side == "protenix")
        shared = peer.conditioning(peer.features()) | {"inplace_safe": True}
        sigma_S = torch.full((SAMPLES,), SIGMA)
        return lambda: module.diffusion_module(noisy_SA3, sigma_S, **shared)

    return prepare


def _denoiser_of(side: str) -> SimpleNamespace:
    if side == "ours":
        return SimpleNamespace(diffusion_module=DiffusionModule(BASE).eval())
    diffusion, embedders = load("model.modules.diffusion"), load("model.modules.embedders")
    with no_initialisation():
        return SimpleNamespace(
            diffusion_module=diffusion.DiffusionModule().eval(),
            relative_position_encoding=embedders.RelativePositionEncoding().eval(),
        )


def fill(module: nn.Module) -> None:
    """Draw all weights, those that start at zero as well: a product with zeros may be faster."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        parameter.uniform_(-WEIGHT_SCALE, WEIGHT_SCALE)


if __name__ == "__main__":
    typer.echo(json.dumps(dataclasses.asdict(probe(Job(**json.loads(sys.argv[1]))))))
