"""The endless row of batches: which chains, how they are cut, and what each random number of a step hangs on.

Nothing is drawn from a generator that lives on from step to step. Every draw has a seed made of the run's seed and the
place where it is needed (`seed_of`), so that a run that was stopped anywhere goes on as if it had not been.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from rna_predict.data.batches import Share, TokenBatches
from rna_predict.data.crops import contiguous_crop, spatial_crop
from rna_predict.data.dataset import ChainDataset
from rna_predict.data.examples import Example, collate, make_example
from rna_predict.data.splits import folds_of
from rna_predict.data.stage_results import StageResultsStore, default_store
from rna_predict.errors import ConfigError, InputError
from rna_predict.stage_d_diffusion.confidence_loss import frame_atoms
from rna_predict.training.config import DataSettings, TrainConfig

HELD_OUT = ("validation", "test", "within")
"""Splits that may not train."""

CUTS = 8
"""Crops of a chain that are tried before it is refused because nothing in them can be learned from."""


def seed_of(*place: object) -> int:
    """A seed of 63 bits for a place, the same on every machine."""
    digest = hashlib.sha256(repr(place).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a stream stands: the next batch, in order and in its epoch."""

    number: int = 0
    epoch: int = 0
    position: int = 0

    def to_dict(self) -> dict[str, int]:
        """Plain values for a checkpoint."""
        return {"number": self.number, "epoch": self.epoch, "position": self.position}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch and its place.

    Attributes:
        example: what is trained on.
        number: batches of this process before it.
        after: the place of the next batch.
    """

    example: Any
    number: int
    after: Place


class TrainingSet(Protocol):
    """What a stream asks of a dataset: chains of known structure, or known secondary structures."""

    folder: Path
    ids: list[str]
    clusters: list[str]
    splits: dict[str, str]

    @property
    def length_N(self) -> np.ndarray:
        """int64 [N], residues of each position."""
        ...

    @property
    def digest(self) -> str:
        """Hash of all rows."""
        ...

    def positions(self, split: str) -> np.ndarray:
        """int64 positions of a split."""
        ...


class BatchStream(IterableDataset[list[Batch]]):
    """The batches of each optimiser step, from `start` to the last step; `make` and `put_together` say of what."""

    def __init__(self, chains: TrainingSet, config: TrainConfig, share: Share | None = None) -> None:
        """Choose the chains.

        Raises:
            ConfigError: no chain is left to train on, or an id of `only` or `exclude` is not in the dataset.
        """
        self.chains, self.settings, self.share = chains, config.data, share or Share()
        self.seed, self.steps, self.accumulate = config.trainer.seed, config.trainer.steps, config.optimiser.accumulate
        self.position_N = training_positions(chains, config.data)
        self.start = Place()

    def __iter__(self) -> Iterator[list[Batch]]:
        """Batches of each step from `start` on; each of several workers makes those of every so many steps."""
        worker = get_worker_info()
        own, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        planned = self._planned()
        for turn in range(self.steps - self.start.number // self.accumulate):
            batches = [next(planned) for _ in range(self.accumulate)]
            if turn % workers == own:
                yield [self._made(*batch) for batch in batches]

    def epoch_positions(self, epoch: int) -> np.ndarray:
        """Positions of an epoch's chains: all, or `per_cluster` of each cluster."""
        if not self.settings.per_cluster:
            return self.position_N
        rng = np.random.default_rng(seed_of(self.seed, "clusters", epoch))
        members: dict[str, list[int]] = {}
        for position in self.position_N.tolist():
            members.setdefault(self.chains.clusters[position], []).append(position)
        drawn = [rng.permutation(each)[: self.settings.per_cluster] for each in members.values()]
        return np.sort(np.concatenate(drawn))

    def _planned(self) -> Iterator[tuple[list[int], int, int, Place]]:
        """Positions of each batch, its number, its epoch, and the place after it."""
        number, epoch, position = self.start.number, self.start.epoch, self.start.position
        while True:
            position_N = self.epoch_positions(epoch)
            length_N = np.minimum(self.chains.length_N[position_N], self.settings.crop)
            seed = seed_of(self.seed, "batches", epoch) % 2**32
            batches = TokenBatches(length_N.tolist(), self.settings.budget, seed, self.share)
            batches.position = position
            for batch in batches:
                last = position + 1 == len(batches)
                after = Place(
                    number=number + 1, epoch=epoch + 1 if last else epoch, position=0 if last else position + 1
                )
                yield position_N[batch].tolist(), number, epoch, after
                number, position = number + 1, position + 1
            epoch, position = epoch + 1, 0

    def _made(self, positions: list[int], number: int, epoch: int, after: Place) -> Batch:
        made = [self.make(position, epoch) for position in positions]
        return Batch(example=self.put_together(made), number=number, after=after)

    @abstractmethod
    def make(self, position: int, epoch: int) -> Any:
        """What is learned from one row as this epoch sees it."""

    @abstractmethod
    def put_together(self, made: list[Any]) -> Any:
        """One batch of what `make` made; it has `ids` and `to`."""


class ChainStream(BatchStream):
    """Chains of known structure, cut and told as the pipeline trains on them."""

    chains: ChainDataset

    def __init__(self, chains: ChainDataset, config: TrainConfig, share: Share | None = None) -> None:
        """See `BatchStream`."""
        super().__init__(chains, config, share)
        self.store = open_store(chains, config.data)

    def put_together(self, made: list[Example]) -> Example:
        """One batch."""
        return collate(made)

    def make(self, position: int, epoch: int) -> Example:
        """One chain as this epoch sees it.

        Raises:
            InputError: no crop of the chain has anything to learn from.
        """
        chain, settings = self.chains[position], self.settings
        for attempt in range(CUTS):
            seed = seed_of(self.seed, chain.id, epoch, attempt)
            rng = np.random.default_rng(seed)
            spatial, native = rng.random(2) < (settings.spatial_share, settings.native_pairs)
            index_L = (
                spatial_crop(chain, settings.crop, rng)
                if spatial
                else contiguous_crop(chain.length, settings.crop, rng)
            )
            stages = self.store.get(chain, "native" if native else "predicted", coordinates=settings.coordinates)
            example = make_example(chain, index_L, seed=seed % 2**32, stages=stages)
            if can_be_learned(example):
                return example
        raise InputError(f"{chain.id}: no crop of it shows a residue with all its sugar. Name it in data.exclude.")


def can_be_learned(example: Example) -> bool:
    """Whether every loss but that of pairs has a term: two atoms, a torsion, a distogram atom, a sugar's frame."""
    sugar = frame_atoms(example.features, example.atoms)
    sugar_BL = sugar[0].seen_BL & sugar[1].seen_BL & sugar[2].seen_BL
    found = (example.point_mask_BL.sum(1) > 1, example.torsions.mask_BL8.any(2).any(1), sugar_BL.any(1))
    return bool(torch.stack([*found, example.atoms.mask_BA.sum(1) > 1]).all())


def training_positions(chains: TrainingSet, settings: DataSettings) -> np.ndarray:
    """int64 positions of the chains that train.

    Raises:
        ConfigError: none is left, or an id is not in the dataset.
    """
    unknown = sorted({*settings.only, *settings.exclude} - set(chains.ids))
    if unknown:
        raise ConfigError(f"data.only, data.exclude: {unknown[0]!r} is not in {chains.folder}.")
    length_N, longest = chains.length_N, settings.max_length or int(chains.length_N.max(initial=0))
    wanted = set(settings.only) or {chains.ids[position] for position in chains.positions("train")}
    wanted -= {*settings.exclude, *_left_out(chains, settings)}
    kept = [
        position
        for position, id in enumerate(chains.ids)
        if id in wanted and settings.min_length <= length_N[position] <= longest
    ]
    if not kept:
        raise ConfigError(f"data: no chain of {chains.folder} is left to train on. Look at its splits.tsv.")
    held_out = [chains.ids[position] for position in kept if chains.splits[chains.ids[position]] in HELD_OUT]
    if held_out:
        raise ConfigError(f"data.only: {held_out[0]} is held out ({chains.splits[held_out[0]]}). Train on others.")
    return np.array(kept, dtype=np.int64)


def _left_out(chains: TrainingSet, settings: DataSettings) -> set[str]:
    """Ids of the clusters of the fold that does not train."""
    if not settings.folds:
        return set()
    position_N = chains.positions("train").tolist()
    fold_of = folds_of([chains.clusters[position] for position in position_N], settings.folds)
    return {chains.ids[p] for p in position_N if fold_of[chains.clusters[p]] == settings.fold}


def open_store(chains: ChainDataset, settings: DataSettings) -> StageResultsStore:
    """Where results of stages A, B and C for the dataset's chains are kept."""
    return StageResultsStore(Path(settings.store) if settings.store else default_store(chains.folder))
