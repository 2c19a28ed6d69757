"""A training run from its settings to partial.safetensors; the same call goes on where a stopped one was."""

import dataclasses
import fcntl
import json
import logging
import os
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_only

from rna_predict import __version__
from rna_predict.atomic import atomic_path
from rna_predict.contracts import digest_of
from rna_predict.errors import InputError, TrainingError
from rna_predict.nn.partial import read_partial
from rna_predict.training.config import TrainConfig
from rna_predict.training.data import TrainingData
from rna_predict.training.keeper import BEST, Keeper
from rna_predict.training.module import TrainingModule
from rna_predict.training.run_log import RunLog
from rna_predict.training.state import StateFolder, WholeCheckpoints, set_aside
from rna_predict.training.stop import SIGNALS, Stop
from rna_predict.training.stream import TrainingSet
from rna_predict.training.tasks import task_of

log = logging.getLogger(__name__)

PARTIAL = "partial.safetensors"
SUMMARY = "run.json"
LOCK = ".running"
WITHOUT_EFFECT = ("save_every", "keep_every", "log_every", "tracking")
"""Settings of the trainer that change no number of a run: it resumes although they differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a run.

    Attributes:
        status: `finished`, or `stopped` by a signal; then the same command goes on.
        steps: that are done.
        partial: what it hands on, where it is finished.
        best: step and value of the best validation.
    """

    status: str
    steps: int
    partial: Path | None
    best: tuple[int, float] | None


def train(config: TrainConfig, folder: Path, name: str = "") -> Outcome:
    """Train, or go on with a training that was stopped.

    Args:
        config: of the run.
        folder: of the run; a state of the same run in it is taken up, of another one moved aside.
        name: of the run in tracking; empty for the folder's name.

    Raises:
        InputError: the dataset cannot be read, or another process writes to the folder.
        ConfigError: settings do not go together, or nothing is left to train or validate on.
        WeightsError: the weights are refused.
        TrainingError: the numbers of a step are none, or the state is damaged.
    """
    chains = task_of(config).open_dataset(Path(config.data.dataset))
    module = TrainingModule(config)
    key = run_key(config, chains, module.pipeline.header.sha256)
    state = StateFolder(folder, key)
    parts = _Parts(chains, module, state, name or folder.name)
    if not first_process():
        return _run(config, folder, parts)
    with _alone(folder):
        if state.foreign() and (place := set_aside(folder, (LOCK,))) is not None:
            log.warning("%s: other settings, chains or weights than before; what was there is in %s", folder, place)
        _write(folder / "settings.json", {"key": key, "config": dataclasses.asdict(config)})
        return _run(config, folder, parts)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a run is made of."""

    chains: TrainingSet
    module: TrainingModule
    state: StateFolder
    name: str


def _run(config: TrainConfig, folder: Path, parts: _Parts) -> Outcome:
    module, begun = parts.module, time.monotonic()
    held_out = task_of(config).held_out(parts.chains, config) if config.validation.every else []
    tracked = _tracked(config, parts)
    keeper = Keeper(folder, config, parts.state, held_out, tracked)
    resume = parts.state.newest()
    if resume is not None:
        log.info("%s: going on from %s", folder, resume.name)
    status = "failed"
    try:
        with _listening() as keeper.stop, _quiet_lightning():
            trainer = build_trainer(config, keeper, folder)
            data = TrainingData(parts.chains, config)
            trainer.fit(module, datamodule=data, ckpt_path=None if resume is None else str(resume))
        status = "stopped" if keeper.stopped else "finished"
    finally:
        if tracked is not None:
            tracked.end(status)
    if not first_process() or status == "stopped":
        return Outcome(status=status, steps=keeper.steps, partial=None, best=keeper.best)
    return _finish(config, folder, keeper, time.monotonic() - begun)


def _finish(config: TrainConfig, folder: Path, keeper: Keeper, seconds: float) -> Outcome:
    """Hand on the weights that the config asks for, and say what they are."""
    if config.trainer.keep == BEST and keeper.best is None:
        raise TrainingError(
            f"{folder}: no validation gave a value for {config.validation.monitor}, so no weights are the best. "
            "Set trainer.keep=last, or monitor another measure."
        )
    chosen = read_partial(folder / f"{config.trainer.keep}.safetensors")
    with atomic_path(folder / PARTIAL) as temporary:
        temporary.write_bytes(chosen.path.read_bytes())
    _write(
        folder / SUMMARY,
        {
            "status": "finished",
            "steps": keeper.steps,
            "kept": config.trainer.keep,
            "kept_step": chosen.header.step,
            "sha256": chosen.header.sha256,
            "parameters": chosen.header.parameters,
            "best": None
            if keeper.best is None
            else {"step": keeper.best[0], config.validation.monitor: keeper.best[1]},
            "validated_on": [one.id for one in keeper.held_out],
            "seconds_of_last_start": round(seconds, 1),
            "package_version": __version__,
        },
    )
    return Outcome(status="finished", steps=keeper.steps, partial=folder / PARTIAL, best=keeper.best)


def first_process() -> bool:
    """Whether this process writes: the only one, or the first of those that Lightning or Slurm started."""
    return not rank_zero_only.rank  # pyright: ignore[reportFunctionMemberAccess]


def run_key(config: TrainConfig, chains: TrainingSet, base_sha256: str) -> str:
    """Hash of all that decides the numbers of a run."""
    stated = dataclasses.asdict(config)
    for name in WITHOUT_EFFECT:
        del stated["trainer"][name]
    for group, name in (("data", "dataset"), ("data", "store"), ("data", "workers"), ("network", "weights")):
        del stated[group][name]  # what they hold counts, not where it lies
    splits = sorted(chains.splits.items())
    return digest_of([stated, chains.digest, [list(one) for one in splits], base_sha256])


def build_trainer(config: TrainConfig, keeper: Keeper, folder: Path) -> Trainer:
    """Lightning's trainer; the stream of batches ends with the last step, so that one epoch is the whole run."""
    settings = config.trainer
    strategy: Any = settings.strategy
    if settings.devices * settings.nodes > 1 and strategy in ("auto", "ddp"):
        strategy = DDPStrategy(find_unused_parameters=True)  # the confidence head rests in some steps
    return Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy=strategy,
        precision=settings.precision,  # pyright: ignore[reportArgumentType]
        max_epochs=1,
        callbacks=[keeper],
        plugins=[WholeCheckpoints(), *_environment()],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )


def _environment() -> list[Any]:
    """Inside a Slurm job of one task Lightning starts the other processes itself, instead of waiting for more tasks."""
    return [LightningEnvironment()] if os.environ.get("SLURM_NTASKS", "1") == "1" else []


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Leave out what Lightning says of devices, loaders and other products; its errors stay."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _listening() -> Iterator[Stop]:
    """Whether a signal asked for the end; the handlers that were there come back afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield Stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder; the kernel lets go of it when the process dies, however it dies.

    Raises:
        InputError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder}: another training writes there. Wait for it, or name another folder."
            ) from error
        except OSError as error:
            log.warning(
                "%s: this file system has no locks (%s); run one training at a time there", folder, error.strerror
            )
        yield


def _tracked(config: TrainConfig, parts: _Parts) -> RunLog | None:
    if not config.trainer.tracking or not first_process():
        return None
    return RunLog.begin(parts.name, parts.state.key, config, parts.module.pipeline.header.sha256)


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
