"""The geometry network as it is trained: known structures in, distances and torsions out."""

import logging
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from rna_predict.chemistry.residues import BASE_N_SLOT
from rna_predict.data.batches import Share
from rna_predict.data.chains import Chain
from rna_predict.data.crops import contiguous_crop, spatial_crop
from rna_predict.data.dataset import ChainDataset
from rna_predict.data.geometry_examples import GeometryExample, collate_geometry, geometry_example
from rna_predict.errors import ConfigError, InputError
from rna_predict.evaluation.lddt import THRESHOLDS
from rna_predict.stage_b_torsion.geometry_loss import distance_loss
from rna_predict.stage_b_torsion.geometry_network import GEOMETRY_ATOMS, GeometryModel, distance_centres
from rna_predict.training.config import LossSettings, TrainConfig
from rna_predict.training.one_network import OneNetwork, open_for_training
from rna_predict.training.pipeline import Draws, torsion_terms, weighted_sum
from rna_predict.training.stream import CUTS, BatchStream, open_store, seed_of
from rna_predict.training.validation import head_mcq, validation_chains

PartT = TypeVar("PartT")

log = logging.getLogger(__name__)

SEEN = 20.0
"""Å below which a native distance counts for `distance_lddt`."""


class GeometryPipeline(OneNetwork):
    """The geometry network of stage B and its losses."""

    def terms(self, settings: LossSettings) -> dict[str, float]:
        """Losses by name with their weights."""
        torsions = ("torsion_direction", "torsion_length", "torsion_concentration", "pucker_amplitude")
        known = {"distances": settings.distances, **dict.fromkeys(torsions, settings.torsions)}
        return {name: weight for name, weight in known.items() if weight}

    def losses(self, example: GeometryExample, settings: LossSettings, draws: Draws) -> dict[str, Tensor]:
        """Every loss by name, unweighted, of one batch."""
        del draws
        found = self.model(example.features)
        losses: dict[str, Tensor] = {}
        if settings.distances:
            losses["distances"] = distance_loss(found.distance_BGLLD, example.point_BGL3, example.point_mask_BGL)
        rows_B = example.has_torsions_B
        if settings.torsions and bool(rows_B.any()):
            losses |= torsion_terms(rows_of(found.torsions, rows_B), rows_of(example.torsions, rows_B))
        return losses


def rows_of(batch: PartT, rows_B: Tensor) -> PartT:
    """The rows of a dataclass of tensors."""
    return replace(cast(Any, batch), **{one.name: getattr(batch, one.name)[rows_B] for one in fields(cast(Any, batch))})


def build_geometry(config: TrainConfig) -> GeometryPipeline:
    """Open the network and put on it what the config trains; everything else is frozen.

    Raises:
        ConfigError: modules do not fit the network.
        WeightsError: the weights file is refused, or nothing is trained.
    """
    return GeometryPipeline(open_for_training(GeometryModel, config)).train()


class GeometryStream(BatchStream):
    """Chains of known structure, cut, with the native's pairs or those that stage A predicts."""

    chains: ChainDataset

    def __init__(self, chains: ChainDataset, config: TrainConfig, share: Share | None = None) -> None:
        """Choose the chains, those alone that have pairs of their own: strands of duplexes say nothing about folding.

        Raises:
            ConfigError: see `BatchStream`; or no chain has a pair within itself.
        """
        super().__init__(chains, config, share)
        self.store = open_store(chains, config.data)
        known = len(self.position_N)
        folded = [position for position in self.position_N.tolist() if may_fold(chains[position])]
        log.info("%d of %d chains have base pairs within themselves and train", len(folded), known)
        if not folded:
            raise ConfigError(f"{chains.folder}: none of {known} chains has a base pair within itself.")
        self.position_N = np.array(folded, dtype=np.int64)

    def make(self, position: int, epoch: int) -> GeometryExample:
        """One chain as this epoch sees it.

        Raises:
            InputError: no crop of the chain has anything to learn from.
        """
        chain, settings = self.chains[position], self.settings
        for attempt in range(CUTS):
            rng = np.random.default_rng(seed_of(self.seed, chain.id, epoch, attempt))
            spatial, native = rng.random(2) < (settings.spatial_share, settings.native_pairs)
            cut = spatial_crop(chain, settings.crop, rng) if spatial else None
            index_L = contiguous_crop(chain.length, settings.crop, rng) if cut is None else cut
            pairs = "native" if native and shows_bases(chain) else "predicted"
            stages = self.store.get(chain, pairs, coordinates=False)
            example = geometry_example(chain, stages.adjacency, index_L)
            if bool(example.has_points_B.all()):
                return example
        raise InputError(f"{chain.id}: no crop of it shows two residues of its own. Name it in data.exclude.")

    def put_together(self, made: list[GeometryExample]) -> GeometryExample:
        """One batch."""
        return collate_geometry(made)


def shows_bases(chain: Chain) -> bool:
    """Whether the native tells its pairs; a trace of C1' or P atoms does not."""
    return bool(chain.mask_LA[:, BASE_N_SLOT].any())


def may_fold(chain: Chain) -> bool:
    """Whether a chain has base pairs within itself, or does not tell."""
    return not shows_bases(chain) or bool((chain.partner_L >= 0).any())


def geometry_stream(chains: ChainDataset, config: TrainConfig, share: Share | None = None) -> GeometryStream:
    """The stream of a dataset."""
    return GeometryStream(chains, config, share)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryMeasures:
    """Of one chain, whole.

    Attributes:
        loss: what is trained on, weighted.
        distances: loss of the distances, nats.
        distance_lddt: lDDT of the expected C1'-C1' distances, native ones below `SEEN`; no model need have them all.
        mcq: degrees, mean error of angles and pucker phases (circular, as MCQ).
    """

    loss: float
    distances: float
    distance_lddt: float | None
    mcq: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutGeometry:
    """A chain that validates."""

    chain: Chain
    example: GeometryExample

    @property
    def id(self) -> str:
        """Its name."""
        return self.chain.id


def geometry_held_out(chains: ChainDataset, config: TrainConfig) -> list[HeldOutGeometry]:
    """One chain of each cluster of the split `validation`, with the pairs that the config names.

    Raises:
        ConfigError: there is none.
    """
    store = open_store(chains, config.data)
    found = []
    for chain in validation_chains(chains, config):
        adjacency = store.get(chain, config.validation.pairs, coordinates=False).adjacency
        example = geometry_example(chain, adjacency)
        if not bool((example.has_points_B & example.has_torsions_B).all()):
            raise ConfigError(f"data.exclude: {chain.id} shows no two residues of its own. Name it there.")
        found.append(HeldOutGeometry(chain=chain, example=example))
    return found


@torch.no_grad()
def measure_geometry(pipeline: GeometryPipeline, held_out: HeldOutGeometry, config: TrainConfig) -> GeometryMeasures:
    """Losses and measures of one chain by the weights as they are."""
    example = held_out.example.to(next(pipeline.parameters()).device)
    found = pipeline.model(example.features)
    distances = distance_loss(found.distance_BGLLD, example.point_BGL3, example.point_mask_BGL)
    losses = {"distances": distances, **torsion_terms(found.torsions, example.torsions)}
    return GeometryMeasures(
        loss=float(weighted_sum(losses, pipeline.terms(config.losses))),
        distances=float(distances),
        distance_lddt=distance_lddt(found.distance_BGLLD[0], example),
        mcq=head_mcq(found.torsions, example.torsions),
    )


def distance_lddt(logits_GLLD: Tensor, example: GeometryExample) -> float | None:
    """Share of native C1'-C1' distances below `SEEN` that the expected one meets, mean over `THRESHOLDS`."""
    kind = GEOMETRY_ATOMS.index("C1'")
    point_L3, there_L = example.point_BGL3[0, kind], example.point_mask_BGL[0, kind]
    native_LL = torch.cdist(point_L3, point_L3, compute_mode="donot_use_mm_for_euclid_dist")
    seen_LL = (there_L[:, None] & there_L & (native_LL < SEEN)).triu(1)
    if not bool(seen_LL.any()):
        return None
    expected_LL = logits_GLLD[kind].softmax(-1) @ distance_centres().to(logits_GLLD)
    off_P = (expected_LL - native_LL).abs()[seen_LL]
    return float(torch.stack([(off_P < threshold).float().mean() for threshold in THRESHOLDS]).mean())
