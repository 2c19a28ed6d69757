"""`rna-predict train`: native structures to a partial checkpoint."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from rna_predict.cli.console import LOG
from rna_predict.cli.threads import set_threads
from rna_predict.errors import ConfigError

NEEDED = ("lightning", "peft", "lancedb")
"""What the extra `train` installs; predictions do without."""

STOPPED = 75
"""Exit code of a training that a signal stopped: its state is written, and the same command goes on."""


def train(
    experiment: Annotated[str, typer.Argument(help="A file of the group experiment, without .yaml.")] = "",
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that was stopped there goes on.")] = Path("run"),
    config: Annotated[Path | None, typer.Option(help="Instead: settings that `config experiment` wrote.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="trainer.steps=100 changes a value, adapters=full picks a file.")
    ] = None,
    config_dir: Annotated[Path, typer.Option(help="Folder with the groups.")] = Path("config"),
    name: Annotated[str, typer.Option(help="Name in tracking; without it the folder's.")] = "",
    threads: Annotated[int, typer.Option(min=1, help="Threads for OpenMP, BLAS and torch.")] = 1,
) -> None:
    """Train the networks, or what adapters add to them, on a dataset; writes partial.safetensors into the run's folder.

    Exit code 75: a signal (TERM, INT, USR1) stopped it after a step; its state is written, the same command goes on.
    """
    set_threads(threads)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(f"train: {', '.join(missing)} not installed. pip install 'rna-predict[train]'")
    from rna_predict.config import read_train_config, resolve_experiment
    from rna_predict.training.config import TrainConfig

    if bool(experiment) == (config is not None):
        raise ConfigError("train: name an experiment, or a file with its settings (--config), not both.")
    if config is not None and settings:
        raise ConfigError("--set changes an experiment; the settings in --config are complete.")
    chosen = read_train_config(config) if config else resolve_experiment(experiment, config_dir, settings or [])
    assert isinstance(chosen, TrainConfig)
    from rna_predict.training.run import train as run

    outcome = run(chosen, out, name)
    if outcome.status == "stopped":
        LOG.warning("%s: stopped after step %d; the same command goes on", out, outcome.steps)
        raise typer.Exit(STOPPED)
    if outcome.partial is not None:
        LOG.info("%s: %d steps", outcome.partial, outcome.steps)
