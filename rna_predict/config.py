"""YAML and overrides in, checked dataclasses out; with the command line the only door that Hydra comes through.

The configs of the four stages and of the template search are composed once (`resolve_stage_config`), written as plain
YAML, and read back by the stages.
Nothing is ever instantiated from a configuration file.
"""

import dataclasses
import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rna_predict.contracts import atomic_path
from rna_predict.errors import ConfigError
from rna_predict.plain_yaml import read_yaml

STAGE_CONFIGS = {
    "stage_a": ("rna_predict.stage_a_adjacency.config", "StageAConfig"),
    "templates": ("rna_predict.templates.config", "TemplatesConfig"),
    "stage_b": ("rna_predict.stage_b_torsion.config", "StageBConfig"),
    "stage_c": ("rna_predict.stage_c_reconstruction.config", "StageCConfig"),
    "stage_d": ("rna_predict.stage_d_diffusion.config", "StageDConfig"),
}
"""Module and dataclass of each stage's settings, imported when asked for."""

TRAIN_GROUPS = {
    "network": ("rna_predict.training.config", "NetworkSettings"),
    "data": ("rna_predict.training.config", "DataSettings"),
    "adapters": ("rna_predict.nn.adapters", "AdapterConfig"),
    "losses": ("rna_predict.training.config", "LossSettings"),
    "optimiser": ("rna_predict.training.config", "OptimiserSettings"),
    "validation": ("rna_predict.training.config", "ValidationSettings"),
    "trainer": ("rna_predict.training.config", "TrainerSettings"),
}
"""Module and dataclass of each group of a training's settings, the fields of `TrainConfig`."""

EXPERIMENTS = "experiment"
"""The group whose files put the groups of a training together."""


@runtime_checkable
class StageConfig(Protocol):
    """Any of the dataclasses of settings; they have no common base, each stands beside the code that it sets."""

    __dataclass_fields__: Any


def stage_config_class(stage: str) -> type[Any]:
    """The dataclass that holds the settings of `stage_a` … `stage_d`, or of `templates`.

    Raises:
        ConfigError: another name.
    """
    if stage not in STAGE_CONFIGS:
        raise ConfigError(f"{stage!r}: no such stage. Stages: {', '.join(STAGE_CONFIGS)}.")
    return _imported(*STAGE_CONFIGS[stage])


def train_group_class(group: str) -> type[Any]:
    """The dataclass of one group of a training's settings."""
    return _imported(*TRAIN_GROUPS[group])


def _imported(module: str, name: str) -> type[Any]:
    return getattr(importlib.import_module(module), name)


def resolve_stage_config(
    stage: str, config_dir: Path | None = None, overrides: Sequence[str] = (), choice: str = "default"
) -> StageConfig:
    """Compose one stage's settings: the dataclass's defaults, the group file, then the overrides.

    Args:
        stage: `stage_a` … `stage_d`.
        config_dir: folder with the Hydra groups, `<config_dir>/<stage>/<choice>.yaml`; None takes the defaults alone,
            so that the package works without a checkout.
        overrides: `key=value` in Hydra's grammar, without the stage's name.
        choice: which file of the group.

    Raises:
        ConfigError: naming the key: unknown, of the wrong type, NaN, out of range, or a file that is missing or unsafe.
    """
    cls = stage_config_class(stage)
    if config_dir is None:
        if choice != "default":
            raise ConfigError(f"{stage}: choice {choice!r} needs a configuration folder. Give --config-dir.")
    else:
        _check_group(config_dir, stage, choice)
    # Without a folder Hydra still needs the group: the dataclass's own defaults stand in for the file.
    ConfigStore.instance().store(group="rna_predict_defaults", name=stage, node=dataclasses.asdict(cls()))
    group = f"+{stage}={choice}" if config_dir else f"+rna_predict_defaults@{stage}={stage}"
    composed = _compose(stage, config_dir, [group, *(f"++{stage}.{override}" for override in overrides)])
    section = composed.get(stage)
    if not isinstance(section, dict):
        raise ConfigError(f"{stage}: the settings must be a mapping of keys to values, found {section!r}")
    return checked_config(cls, section, where=stage)


def resolve_experiment(name: str, config_dir: Path, overrides: Sequence[str] = ()) -> StageConfig:
    """Compose a training's settings from `<config_dir>/experiment/<name>.yaml` and the groups that it names.

    Args:
        name: of the experiment.
        config_dir: folder with the Hydra groups.
        overrides: `group.key=value`, or `group=choice` for another file of a group.

    Returns:
        A `TrainConfig`.

    Raises:
        ConfigError: as `resolve_stage_config`.
    """
    _check_group(config_dir, EXPERIMENTS, name)
    for group in TRAIN_GROUPS:
        for path in sorted((config_dir / group).glob("*.yaml")):
            read_yaml(path)
    where = f"{EXPERIMENTS} {name}"
    values = [one if one.partition("=")[0] in TRAIN_GROUPS else f"++{one}" for one in overrides]
    return checked_config(
        _train_config(), _compose(where, config_dir, [f"+{EXPERIMENTS}={name}", *values]), where=where
    )


def read_train_config(path: Path) -> StageConfig:
    """Read a resolved experiment that `write_stage_config` wrote.

    Raises:
        ConfigError: naming file and key.
    """
    return checked_config(_train_config(), read_yaml(path), where=str(path))


def _train_config() -> type[Any]:
    return _imported("rna_predict.training.config", "TrainConfig")


def _check_group(config_dir: Path, group: str, choice: str) -> None:
    """Refuse a file of a group that is not there, and any file beside it that is no plain YAML."""
    chosen = config_dir / group / f"{choice}.yaml"
    if not chosen.is_file():
        found = sorted(path.stem for path in chosen.parent.glob("*.yaml"))
        raise ConfigError(f"{chosen}: no such file. Choices for {group}: {', '.join(found) or 'none'}.")
    for path in sorted(chosen.parent.glob("*.yaml")):
        read_yaml(path)


def _compose(where: str, config_dir: Path | None, arguments: list[str]) -> dict[Any, Any]:
    """Hydra's part: group files and overrides as one plain mapping, interpolations resolved."""
    ConfigStore.instance().store(name="rna_predict_root", node={})
    folder = str((config_dir or Path(__file__).parent).resolve())
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=folder):
            composed = compose("rna_predict_root", arguments)
        plain = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"{where}: {_first_line(error)}") from error
    return plain if isinstance(plain, dict) else {}


def checked_config(cls: type[Any], values: Mapping[Any, Any], where: str) -> Any:
    """Lay `values` over the defaults of `cls` and return the instance.

    Args:
        cls: a stage's dataclass.
        values: plain mapping; keys that are left out keep their default.
        where: file or stage for the message.

    Raises:
        ConfigError: naming `where` and the key.
    """
    _refuse_unsafe(values, where)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(cls), OmegaConf.create(dict(values)))
        missing = OmegaConf.missing_keys(merged)
        if missing:
            raise ConfigError(f"{where}: {', '.join(sorted(missing))}: no value. Set it.")
        return OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or getattr(error, "key", None)
        known = ", ".join(field.name for field in dataclasses.fields(cls))
        raise ConfigError(f"{where}: {key}: {_first_line(error)}. Known keys: {known}.") from error
    except ConfigError as error:
        raise error if str(error).startswith(where) else ConfigError(f"{where}: {error}") from error


def _refuse_unsafe(value: Any, where: str, key: str = "") -> None:
    """Raise ConfigError at a NaN, an infinity or a key that asks for an object to be made."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            path = f"{key}.{name}".lstrip(".")
            if str(name).startswith("_"):
                raise ConfigError(f"{where}: {path}: keys that begin with an underscore are refused. Remove it.")
            _refuse_unsafe(inner, where, path)
    elif isinstance(value, (list, tuple)):
        for position, inner in enumerate(value):
            _refuse_unsafe(inner, where, f"{key}[{position}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {key}: {value} is not a finite number")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def read_stage_config(stage: str, path: Path | None) -> StageConfig:
    """Read a resolved config that `write_stage_config` wrote; None gives the defaults.

    Raises:
        ConfigError: naming file and key.
    """
    cls = stage_config_class(stage)
    return checked_config(cls, read_yaml(path) if path else {}, where=str(path or stage))


def write_stage_config(config: StageConfig, path: Path) -> bool:
    """Write every value as plain YAML, whole or not at all, and only where the content changes.

    Returns:
        Whether the file was written.
    """
    text = yaml.safe_dump(OmegaConf.to_container(_structured(config), enum_to_str=True), sort_keys=False)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return True


def _structured(config: StageConfig) -> DictConfig:
    return OmegaConf.structured(config)
