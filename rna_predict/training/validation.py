"""What a network is worth on chains that did not train it: losses with fixed noise, and measures of its samples."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any

import numpy as np
import torch

from rna_predict.chemistry.residues import C3
from rna_predict.data.chains import Chain, model_of, native_of
from rna_predict.data.dataset import ChainDataset
from rna_predict.data.examples import Example, make_example
from rna_predict.errors import ConfigError, InputError
from rna_predict.evaluation.correspondence import common, shared_atoms
from rna_predict.evaluation.interactions import compare_interactions
from rna_predict.evaluation.lddt import lddt
from rna_predict.evaluation.scores import FEWEST_POINTS
from rna_predict.evaluation.superposition import rmsd
from rna_predict.evaluation.tm_score import tm_score
from rna_predict.nn.slots import to_slots
from rna_predict.stage_b_torsion.heads import TorsionPrediction
from rna_predict.stage_b_torsion.loss import NativeTorsions
from rna_predict.training.config import TrainConfig
from rna_predict.training.pipeline import Draws, Pipeline, weighted
from rna_predict.training.stream import can_be_learned, open_store, seed_of

SEED = 0
"""Of the noise of every validation, whatever the run's seed: runs are compared on the same draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Of one chain, means over its samples; None where a measure is undefined.

    Attributes:
        loss: what is trained on, weighted, without the confidence head's.
        lddt: 0 to 1, all heavy atoms.
        tm_c3: TM-score on C3'.
        rmsd: Å, all heavy atoms.
        inf_wc: interaction network fidelity of canonical pairs; None also where bases lie on top of each other.
        head_mcq: degrees, mean error of the torsion head's angles and pucker phase (circular, as MCQ).
        distogram: cross-entropy, nats.
    """

    loss: float
    lddt: float | None
    tm_c3: float | None
    rmsd: float | None
    inf_wc: float | None
    head_mcq: float | None
    distogram: float | None


MEASURES = tuple(field.name for field in fields(Measures))


def validation_chains(chains: ChainDataset, config: TrainConfig) -> list[Chain]:
    """One chain of each cluster of the split `validation`, the first by id that is not too long, short ones first.

    Raises:
        ConfigError: there is none.
    """
    settings, data = config.validation, config.data
    first: dict[str, int] = {}
    for position in sorted(chains.positions("validation").tolist(), key=lambda position: chains.ids[position]):
        length, id = int(chains.length_N[position]), chains.ids[position]
        fits = data.min_length <= length <= (settings.max_length or length)
        if fits and id not in data.exclude:
            first.setdefault(chains.clusters[position], position)
    ordered = sorted(first.values(), key=lambda position: (int(chains.length_N[position]), chains.ids[position]))
    if not ordered:
        raise ConfigError(
            f"{chains.folder}: no chain of the split validation is at most {settings.max_length} nt. Split the dataset "
            "(`rna-predict dataset split`), raise validation.max_length, or set validation.every=0, trainer.keep=last."
        )
    return [chains[position] for position in ordered[: settings.chains or None]]


def validation_examples(chains: ChainDataset, config: TrainConfig) -> list[tuple[Chain, Example]]:
    """Whole chains with the pairs that the config gives them.

    Raises:
        ConfigError: there is none.
        InputError: a chain shows nothing that could be measured.
    """
    store, found = open_store(chains, config.data), []
    for chain in validation_chains(chains, config):
        stages = store.get(chain, config.validation.pairs, coordinates=config.data.coordinates)
        example = make_example(chain, seed=SEED, stages=stages)
        if not can_be_learned(example):
            raise InputError(f"{chain.id}: shows no residue with all its sugar. Name it in data.exclude.")
        found.append((chain, example))
    return found


@torch.no_grad()
def measure(pipeline: Pipeline, chain: Chain, example: Example, config: TrainConfig) -> Measures:
    """Losses and samples of one chain by the weights as they are; the pipeline is in evaluation mode.

    Args:
        pipeline: the networks, on any device.
        chain: the native.
        example: of the whole chain, on the same device.
        config: losses, samples and steps.
    """
    seed = seed_of(SEED, chain.id)
    cycles = config.network.cycles or pipeline.header.architecture.cycles
    found = pipeline.run_trunk(example.features, example.stages, cycles)
    read = pipeline.condition(found, example.stages)
    losses = pipeline.trunk_losses(example, config.losses, found)
    if config.losses.diffusion:
        draws = Draws(seed=seed, cycles=cycles, judged=False)
        losses |= pipeline.diffusion_losses(example, config.losses, read, draws)
    seeds = [seed_of(seed, "sample", k) for k in range(config.validation.samples)]
    sample_SA3 = pipeline.samples(example.features, read, seeds, config.validation.steps)
    slots_SLA3 = to_slots(sample_SA3.cpu(), example.features.to("cpu")).numpy()
    scores = [_scores(chain, xyz_LA3) for xyz_LA3 in slots_SLA3]
    return Measures(
        loss=float(weighted(losses, config.losses)) if losses else math.nan,
        head_mcq=head_mcq(found.torsions, example.torsions),
        distogram=float(losses["distogram"]) if "distogram" in losses else None,
        **{name: _mean([score[name] for score in scores]) for name in ("lddt", "tm_c3", "rmsd", "inf_wc")},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutChain:
    """A chain that validates, and what the networks read of it."""

    chain: Chain
    example: Example

    @property
    def id(self) -> str:
        """The chain's."""
        return self.chain.id


def held_out_chains(chains: ChainDataset, config: TrainConfig) -> list[HeldOutChain]:
    """See `validation_examples`."""
    return [HeldOutChain(chain=chain, example=example) for chain, example in validation_examples(chains, config)]


def measure_held_out(pipeline: Pipeline, held_out: HeldOutChain, config: TrainConfig) -> Measures:
    """`measure` on the device where the pipeline is."""
    device = next(pipeline.parameters()).device
    return measure(pipeline, held_out.chain, held_out.example.to(device), config)


def averages(rows: Sequence[Any]) -> dict[str, float | None]:
    """Mean of each measure over the chains that have it; None where none has. All rows are of one dataclass."""
    return {field.name: _mean([getattr(row, field.name) for row in rows]) for field in fields(rows[0])}


def _scores(chain: Chain, xyz_LA3: np.ndarray) -> dict[str, float | None]:
    """Measures of one sample; atoms of a network that has learned nothing need not be a molecule."""
    model, native = model_of(chain, xyz_LA3), native_of(chain)
    match = common(model, native)
    atoms = shared_atoms(model, native, match)
    try:
        inf_wc = compare_interactions(model, native, match).wc.inf
    except InputError:  # collapsed bases have no planes to judge pairs by
        inf_wc = None
    return {
        "lddt": lddt(atoms).value,
        "tm_c3": tm_score(atoms, "C3'") if atoms.mask_LA[:, C3].sum() >= FEWEST_POINTS else None,
        "rmsd": rmsd(atoms) if atoms.mask_LA.sum() >= FEWEST_POINTS else None,
        "inf_wc": inf_wc,
    }


def head_mcq(found: TorsionPrediction, native: NativeTorsions) -> float | None:
    """Degrees, mean error of a torsion head's angles and pucker phase (circular, as MCQ); None without any."""
    mask_BL8 = native.mask_BL8
    if not bool(mask_BL8.any()):
        return None
    turn_BL8 = found.angle_BL8() - native.angle_BL8
    off = torch.atan2(turn_BL8.sin(), turn_BL8.cos()).abs()[mask_BL8].double()
    return math.degrees(float(torch.atan2(off.sin().sum(), off.cos().sum())))


def _mean(values: Sequence[float | None]) -> float | None:
    known: Iterator[float] = (value for value in values if value is not None and not math.isnan(value))
    found = list(known)
    return fmean(found) if found else None
