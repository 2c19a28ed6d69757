"""What a training run is made of, for each kind of network that is trained: data, model, validation."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from rna_predict.data.batches import Share
from rna_predict.data.dataset import open_dataset
from rna_predict.data.judged_models import open_models
from rna_predict.data.pair_table import read_pair_table
from rna_predict.nn.weights import WeightsHeader
from rna_predict.training.config import LossSettings, TrainConfig
from rna_predict.training.folding import (
    FoldingMeasures,
    build_folding,
    folding_held_out,
    folding_stream,
    measure_folding,
)
from rna_predict.training.geometry import (
    GeometryMeasures,
    build_geometry,
    geometry_held_out,
    geometry_stream,
    measure_geometry,
)
from rna_predict.training.pipeline import Draws, build_pipeline
from rna_predict.training.quality import (
    QualityMeasures,
    build_quality,
    measure_quality,
    quality_held_out,
    quality_stream,
)
from rna_predict.training.stream import BatchStream, ChainStream, TrainingSet
from rna_predict.training.validation import MEASURES, held_out_chains, measure_held_out


class TrainedModel(Protocol):
    """Networks and their losses, as a module of torch."""

    header: WeightsHeader

    def networks(self) -> tuple[nn.Module, ...]:
        """The networks; their plain keys together are those of the weights file."""
        ...

    def terms(self, settings: LossSettings) -> dict[str, float]:
        """Losses by name with their weights."""
        ...

    def losses(self, example: Any, settings: LossSettings, draws: Draws) -> dict[str, Tensor]:
        """Every loss of a batch by name, unweighted."""
        ...


class HeldOut(Protocol):
    """Something that validates."""

    @property
    def id(self) -> str:
        """Its name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One kind of training.

    Attributes:
        measures: names of what a validation measures.
        open_dataset: from its folder.
        build: the networks with what is trained of them.
        stream: batches of a dataset.
        held_out: what validates.
        measure: one of those, by the weights as they are; a dataclass with a field for each of `measures`.
    """

    measures: tuple[str, ...]
    open_dataset: Callable[[Path], Any]
    build: Callable[[TrainConfig], Any]
    stream: Callable[[Any, TrainConfig, Share], BatchStream]
    held_out: Callable[[Any, TrainConfig], list[Any]]
    measure: Callable[[Any, Any, TrainConfig], Any]


TASKS = {
    "structure": Task(
        measures=MEASURES,
        open_dataset=open_dataset,
        build=build_pipeline,
        stream=ChainStream,
        held_out=held_out_chains,
        measure=measure_held_out,
    ),
    "folding": Task(
        measures=tuple(field.name for field in fields(FoldingMeasures)),
        open_dataset=read_pair_table,
        build=build_folding,
        stream=folding_stream,
        held_out=folding_held_out,
        measure=measure_folding,
    ),
    "geometry": Task(
        measures=tuple(field.name for field in fields(GeometryMeasures)),
        open_dataset=open_dataset,
        build=build_geometry,
        stream=geometry_stream,
        held_out=geometry_held_out,
        measure=measure_geometry,
    ),
    "quality": Task(
        measures=tuple(field.name for field in fields(QualityMeasures)),
        open_dataset=open_models,
        build=build_quality,
        stream=quality_stream,
        held_out=quality_held_out,
        measure=measure_quality,
    ),
}
"""By `network.model`."""


def task_of(config: TrainConfig) -> Task:
    """The task of a run."""
    return TASKS[config.network.model]


__all__ = ["HeldOut", "Task", "TrainedModel", "TrainingSet", "task_of"]
