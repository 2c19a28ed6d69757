"""What a run leaves behind as it goes: curves, validation, partial checkpoints, and the state that it resumes from."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.core import LightningModule
from torch import distributed

from rna_predict.nn.partial import PartialHeader
from rna_predict.training.config import MORE_IS_BETTER, TrainConfig
from rna_predict.training.curves import Curve
from rna_predict.training.module import TrainingModule
from rna_predict.training.partial import save_trainable
from rna_predict.training.run_log import RunLog
from rna_predict.training.state import StateFolder
from rna_predict.training.stop import Stop
from rna_predict.training.tasks import HeldOut, task_of
from rna_predict.training.validation import averages

log = logging.getLogger(__name__)

BEST, LAST = "best", "last"


class Keeper(Callback):
    """Runs after every step, on every process; only the first one writes.

    Attributes:
        steps: that are done.
        best: step and value of the best validation so far.
        stopped: a signal asked for the end, and the state has been written.
    """

    def __init__(
        self,
        folder: Path,
        config: TrainConfig,
        state: StateFolder,
        held_out: list[HeldOut],
        tracked: RunLog | None = None,
    ) -> None:
        """Keep a run in `folder`, validating on what is `held_out`, recorded in `tracked` where there is one."""
        self.folder, self.config, self.state, self.held_out, self.tracked = folder, config, state, held_out, tracked
        self.curve, self.validation = Curve(folder / "train.csv"), Curve(folder / "validation.csv")
        self.steps = 0
        self.best: tuple[int, float] | None = None
        self.stop = Stop()
        self.stopped = False
        self._begun, self._first = time.monotonic(), 0

    def state_dict(self) -> dict[str, Any]:
        """The best validation so far."""
        return {"best": None if self.best is None else list(self.best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with it."""
        best = state_dict["best"]
        self.best = None if best is None else (int(best[0]), float(best[1]))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Cut the curves to the step that is gone on from."""
        self.stop.listen()
        module = _ours(pl_module)
        self.steps = module.place.number // self.config.optimiser.accumulate
        self._begun, self._first = time.monotonic(), self.steps
        if trainer.is_global_zero:
            self.curve.begin(self.steps)
            self.validation.begin(self.steps)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        """Record the step; validate, save and stop where it is time to."""
        module, settings = _ours(pl_module), self.config.trainer
        self.steps += 1
        last = self.steps == settings.steps
        self._record(trainer, module)
        every = self.config.validation.every
        if every and (self.steps % every == 0 or last):
            self._validate(trainer, module)
        stop = _any_process(self.stop.asked, module.device)
        if self.steps % settings.save_every == 0 or last or stop:
            self._save(trainer, module, LAST)
            trainer.save_checkpoint(self.state.path(self.steps))
            if trainer.is_global_zero:
                self.state.note(self.steps)
        if settings.keep_every and self.steps % settings.keep_every == 0:
            self._save(trainer, module, f"step_{self.steps}")
        if stop and not last:
            self.stopped = trainer.should_stop = True

    def _record(self, trainer: Trainer, module: TrainingModule) -> None:
        """A row of the curve, and every so many steps a line of the log; means over the processes."""
        names = ["loss", *module.pipeline.terms(self.config.losses), "gradient_norm", "learning_rate"]
        values = {name: _mean_over_processes(module.last.get(name), module.device) for name in names}
        if not trainer.is_global_zero:
            return
        self.curve.add(self.steps, values)
        if self.tracked is not None:
            self.tracked.metrics(self.steps, values, "train")
        if self.steps % self.config.trainer.log_every == 0 or self.steps in (1, self.config.trainer.steps):
            seconds = (time.monotonic() - self._begun) / max(1, self.steps - self._first)
            parts = [f"{name} {values[name]:.4g}" for name in ("loss", "gradient_norm") if values[name] is not None]
            log.info(
                "step %d of %d: %s (%.2f s a step)", self.steps, self.config.trainer.steps, ", ".join(parts), seconds
            )

    def _validate(self, trainer: Trainer, module: TrainingModule) -> None:
        """Measure the running mean of the weights, each process some of the chains."""
        task, pipeline, own = (
            task_of(self.config),
            module.pipeline,
            self.held_out[trainer.global_rank :: trainer.world_size],
        )
        was_training = pipeline.training
        pipeline.eval()
        with module.mean.applied(), torch.random.fork_rng(devices=[]):
            rows = [task.measure(pipeline, one, self.config) for one in own]
        pipeline.train(was_training)
        found = averages(_all_processes(rows))
        if trainer.is_global_zero:
            self.validation.add(self.steps, found)
            words = ", ".join(f"{name} {found[name]:.4g}" for name in task.measures if found[name] is not None)
            log.info("validation after step %d: %s", self.steps, words)
            if self.tracked is not None:
                self.tracked.metrics(self.steps, found, "validation")
        self._compare(trainer, module, found[self.config.validation.monitor])

    def _compare(self, trainer: Trainer, module: TrainingModule, value: float | None) -> None:
        """Save the weights where they are the best so far."""
        more = self.config.validation.monitor in MORE_IS_BETTER
        if value is None or math.isnan(value):
            return
        if self.best is None or (value > self.best[1] if more else value < self.best[1]):
            self.best = (self.steps, value)
            self._save(trainer, module, BEST)

    def _save(self, trainer: Trainer, module: TrainingModule, tag: str) -> None:
        """Write the running mean as a partial checkpoint."""
        if not trainer.is_global_zero:
            return
        header = module.pipeline.header
        path = self.folder / f"{tag}.safetensors"
        stated = PartialHeader(
            base_sha256=header.sha256,
            base_source=header.source,
            architecture=header.architecture,
            adapter=self.config.adapters,
            step=self.steps,
        )
        with module.mean.applied():
            written = save_trainable(module.pipeline.networks(), path, stated)
        if self.tracked is not None:
            self.tracked.checkpoint(tag, path, written)


def _ours(module: LightningModule) -> TrainingModule:
    assert isinstance(module, TrainingModule)
    return module


def _parallel() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _any_process(flag: bool, device: torch.device) -> bool:
    """Whether any process says so; all hear the same."""
    if not _parallel():
        return flag
    said = torch.tensor(float(flag), device=device)
    distributed.all_reduce(said)
    return bool(said > 0)


def _mean_over_processes(value: float | None, device: torch.device) -> float | None:
    """Mean of what the processes have; None where none has it."""
    if not _parallel():
        return value
    known = torch.tensor([value or 0.0, float(value is not None)], dtype=torch.float64, device=device)
    distributed.all_reduce(known)
    total, count = known.tolist()
    return total / count if count else None


def _all_processes(rows: list[Any]) -> list[Any]:
    """The rows of all processes."""
    if not _parallel():
        return rows
    gathered: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(gathered, rows)
    return [row for part in gathered for row in part]
