"""One optimiser step of the pipeline, as Lightning runs it on any number of devices.

The optimiser is stepped by hand, for one reason: a step takes `accumulate` batches, and a run that was stopped between
two of them must not go on with half a gradient. A Lightning batch is therefore the list of all batches of a step.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rna_predict.errors import TrainingError, WeightsError
from rna_predict.training.config import TrainConfig
from rna_predict.training.optimiser import RunningMean, build_optimiser, trained_parameters
from rna_predict.training.pipeline import Draws, weighted_sum
from rna_predict.training.stream import Batch, Place, seed_of
from rna_predict.training.tasks import task_of

log = logging.getLogger(__name__)


class TrainingModule(LightningModule):
    """The pipeline, its losses and its optimiser; what is saved of it is what is trained, and where it stands.

    Attributes:
        pipeline: the networks.
        config: of the run.
        mean: running mean of what is trained; it is what validates and what is handed on.
        place: of the next batch.
        skipped: ids of batches that were left out, a tuple each.
        last: losses of the last step, by name.
    """

    def __init__(self, config: TrainConfig) -> None:
        """Open the networks; see `build_pipeline` and `build_folding` for what they raise."""
        super().__init__()
        self.automatic_optimization = False
        self.strict_loading = (
            False  # what is frozen is not in a checkpoint; on_load_checkpoint is strict about the rest
        )
        self.config = config
        self.pipeline = task_of(config).build(config)
        self.mean = RunningMean(self.pipeline, config.optimiser.ema)
        self.place = Place()
        self.skipped: list[tuple[str, ...]] = []
        self.last: dict[str, float] = {}

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LambdaLR]]:
        """AdamW and its schedule."""
        optimiser, schedule = build_optimiser(self.pipeline, self.config.optimiser, self.config.trainer.steps)
        return [optimiser], [schedule]

    def training_step(self, batches: Sequence[Batch]) -> None:
        """One step of the optimiser over the gradients of several batches.

        Raises:
            TrainingError: a loss or the gradient is not finite, naming the chains of the batch.
        """
        optimiser, schedule = cast(Optimizer, self.optimizers()), cast(LambdaLR, self.lr_schedulers())
        totals: dict[str, list[float]] = {}
        for batch in batches:
            losses = self._losses(batch)
            loss = weighted_sum(losses, self.pipeline.terms(self.config.losses))
            for name, value in {"loss": loss, **losses}.items():
                totals.setdefault(name, []).append(float(value.detach()))
            self.manual_backward(loss / len(batches))
        ids = tuple(id for batch in batches for id in batch.example.ids)
        norm, rate = self._clip(), optimiser.param_groups[0]["lr"]
        bad = [name for name, values in totals.items() if not all(map(_finite, values))]
        if bad or not _finite(norm):
            self._refuse(ids, bad or ["gradient"])
        else:
            optimiser.step()
            self.mean.update()
        optimiser.zero_grad()
        schedule.step()
        self.place = batches[-1].after
        self.last = {name: sum(values) / len(values) for name, values in totals.items()}
        self.last |= {"gradient_norm": norm, "learning_rate": rate}

    def transfer_batch_to_device(
        self, batch: Sequence[Batch], device: torch.device, dataloader_idx: int
    ) -> list[Batch]:
        """Move the examples; the frozen records are made anew."""
        del dataloader_idx
        return [replace(one, example=one.example.to(device)) for one in batch]

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """What is trained, by the names of the module; all the rest is in the weights that it started from."""
        return {name: each.detach() for name, each in trained_parameters(self).items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know of."""
        checkpoint["rna_predict"] = {
            "base_sha256": self.pipeline.header.sha256,
            "place": self.place.to_dict(),
            "mean": self.mean.state_dict(),
            "skipped": [list(ids) for ids in self.skipped],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the state is of this very training before anything of it is taken.

        Raises:
            WeightsError: other weights, or other tensors are trained.
        """
        ours, found, expected = checkpoint["rna_predict"], checkpoint["state_dict"], self.state_dict()
        if ours["base_sha256"] != self.pipeline.header.sha256:
            raise WeightsError(
                f"the state is of a training on weights {ours['base_sha256'][:12]}, these are "
                f"{self.pipeline.header.sha256[:12]}. Give those weights, or begin a new run."
            )
        differs = {key for key in {*found, *expected} if _shape(found.get(key)) != _shape(expected.get(key))}
        if differs:
            raise WeightsError(f"the state trains other tensors, as {sorted(differs)[0]}. Begin a new run.")
        self.mean.load_state_dict(ours["mean"])
        self.place = Place(**ours["place"])
        self.skipped = [tuple(ids) for ids in ours["skipped"]]

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """Losses of one batch; the dropout of torch is seeded by its place as well."""
        config, architecture = self.config, self.pipeline.header.architecture
        seed = seed_of(config.trainer.seed, "step", batch.number, self.global_rank)
        torch.manual_seed(seed)
        most = config.network.cycles or architecture.cycles
        # All processes draw the same number of cycles: a step takes as long as its slowest process.
        cycles = 1 + seed_of(config.trainer.seed, "cycles", batch.number) % most
        judged = batch.number % config.losses.rollout_every == 0
        return self.pipeline.losses(batch.example, config.losses, Draws(seed=seed, cycles=cycles, judged=judged))

    def _clip(self) -> float:
        """Norm of the gradient before it is cut to `optimiser.clip`."""
        limit = self.config.optimiser.clip or float("inf")
        parameters = [each for each in self.pipeline.parameters() if each.grad is not None]
        return float(torch.nn.utils.clip_grad_norm_(parameters, limit))

    def _refuse(self, ids: tuple[str, ...], names: Sequence[str]) -> None:
        """Skip a step whose numbers are none, or stop."""
        trainer = self.config.trainer
        words = f"step {self.global_step + 1}: {', '.join(names)} is not finite; chains of the step: {', '.join(ids)}"
        self.skipped.append(ids)
        if trainer.on_nan == "stop":
            raise TrainingError(
                f"{words}. Nothing was changed by it. Name a chain in data.exclude, or set trainer.on_nan=skip."
            )
        if len(self.skipped) > trainer.max_skips:
            raise TrainingError(
                f"{words}; {len(self.skipped)} steps were skipped, trainer.max_skips is {trainer.max_skips}."
            )
        log.warning("%s: skipped", words)


def _finite(value: float) -> bool:
    return abs(value) < float("inf")


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
