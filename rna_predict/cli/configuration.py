"""`rna-predict config`: compose the stages' settings from Hydra groups and overrides."""

import ast
import dataclasses
import inspect
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rna_predict.cli.console import LOG
from rna_predict.errors import ConfigError

Weights = Annotated[
    Path | None,
    typer.Option(help="Weights file (.safetensors) of the networks: stage B runs its trunk, stage D its denoiser."),
]
Untrained = Annotated[
    str | None,
    typer.Option(
        metavar="PROFILE",
        help="Run the networks of a profile on RANDOM weights, to try the path and its cost. Outputs say UNTRAINED.",
    ),
]

app = typer.Typer(help="Settings of the four stages.", no_args_is_help=True)


@app.callback()
def config() -> None:
    """Settings of the four stages."""


@app.command("resolve")
def resolve(
    settings: Annotated[
        list[str] | None,
        typer.Argument(help="stage_d=default picks a file of the group; stage_d.seed=7 changes one value."),
    ] = None,
    stage: Annotated[list[str] | None, typer.Option(help="Stage to resolve; without it all four.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for stage_a.yaml … stage_d.yaml.")] = Path("results/config"),
    config_dir: Annotated[Path | None, typer.Option(help="Folder with the groups; without it the defaults.")] = None,
    weights: Weights = None,
    untrained: Untrained = None,
) -> None:
    """Write each stage's complete settings as plain YAML; a file whose content stays the same is not touched."""
    from rna_predict.config import STAGE_CONFIGS, resolve_stage_config, write_stage_config

    wanted = stage or list(STAGE_CONFIGS)
    network = [setting for setting in network_settings(weights, untrained) if setting.partition(".")[0] in wanted]
    choices, overrides = split_settings([*network, *(settings or [])], wanted)
    resolved = {name: resolve_stage_config(name, config_dir, overrides[name], choices[name]) for name in wanted}
    for name, values in resolved.items():
        changed = write_stage_config(values, out / f"{name}.yaml")
        LOG.info("%s: %s", out / f"{name}.yaml", "written" if changed else "unchanged")


def network_settings(weights: Path | None, untrained: str | None) -> list[str]:
    """The settings that hand stages B and D over to the networks, as `stage.key=value`; none where neither is named.

    Raises:
        ConfigError: both are named.
    """
    if weights is not None and untrained is not None:
        raise ConfigError(f"--weights {weights} and --untrained {untrained}: name one of them.")
    if weights is None and untrained is None:
        return []
    key, value = ("weights", str(weights)) if weights is not None else ("untrained_profile", untrained)
    quoted = "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"  # Hydra's grammar
    backends = {"stage_b": "trunk", "stage_d": "diffusion"}
    return [
        f"{stage}.{setting}" for stage, name in backends.items() for setting in (f"backend={name}", f"{key}={quoted}")
    ]


def split_settings(settings: Sequence[str], stages: Sequence[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Sort `stage=choice` and `stage.key=value` by stage.

    Raises:
        ConfigError: neither form, or another stage.
    """
    choices = dict.fromkeys(stages, "default")
    overrides: dict[str, list[str]] = {stage: [] for stage in stages}
    for setting in settings:
        key, equals, value = setting.partition("=")
        stage, dot, rest = key.partition(".")
        if not equals or stage not in overrides:
            raise ConfigError(
                f"{setting!r}: expected stage=choice or stage.key=value with stage in {', '.join(stages)}"
            )
        if dot:
            overrides[stage].append(f"{rest}={value}")
        else:
            choices[stage] = value
    return choices, overrides


@app.command("defaults")
def defaults(
    out: Annotated[Path, typer.Option(help="Folder with the groups.")] = Path("config"),
    stages: Annotated[list[str] | None, typer.Argument(help="Stages; without any, all four.")] = None,
) -> None:
    """Write each stage's group file default.yaml from its dataclass: every field with its sentence and default."""
    from rna_predict.config import STAGE_CONFIGS, stage_config_class
    from rna_predict.contracts import atomic_path

    for stage in stages or STAGE_CONFIGS:
        with atomic_path(out / stage / "default.yaml") as temporary:
            temporary.write_text(default_yaml(stage, stage_config_class(stage)), encoding="utf-8")
        LOG.info("%s: written", out / stage / "default.yaml")


def default_yaml(stage: str, cls: type[Any]) -> str:
    """The text of a stage's `default.yaml`: defaults of the dataclass, its field docstrings as comments."""
    import yaml

    parts = [f"# Settings of {stage}, made by `rna-predict config defaults`; a test compares them with the code.\n"]
    documents = field_documents(cls)
    for name, value in dataclasses.asdict(cls()).items():
        comment = "".join(f"# {line}\n" for line in documents[name].splitlines())
        parts.append(comment + yaml.safe_dump({name: value}, sort_keys=False, default_flow_style=False))
    return "\n".join(parts)


def field_documents(cls: type[Any]) -> dict[str, str]:
    """The docstring under each field of a dataclass, by name.

    Raises:
        ConfigError: a field without one.
    """
    body = ast.parse(inspect.getsource(cls)).body[0]
    found: dict[str, str] = {}
    for node, below in itertools.pairwise([*getattr(body, "body", []), ast.Pass()]):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        if not (isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)):
            raise ConfigError(f"{cls.__name__}.{node.target.id}: has no sentence under it. Write one.")
        found[node.target.id] = inspect.cleandoc(str(below.value.value))
    return found
