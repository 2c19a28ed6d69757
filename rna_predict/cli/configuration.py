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
from rna_predict.plain_yaml import hydra_quoted

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
Partial = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Partial checkpoint (.safetensors) of stages B and D, trained on these --weights (or --untrained).",
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
    partial: Partial = None,
) -> None:
    """Write each stage's complete settings as plain YAML; a file whose content stays the same is not touched."""
    from rna_predict.config import STAGE_CONFIGS, resolve_stage_config, write_stage_config

    wanted = stage or list(STAGE_CONFIGS)
    network = network_settings(weights, untrained, partial)
    network = [setting for setting in network if setting.partition(".")[0] in wanted]
    choices, overrides = split_settings([*network, *(settings or [])], wanted)
    resolved = {name: resolve_stage_config(name, config_dir, overrides[name], choices[name]) for name in wanted}
    for name, values in resolved.items():
        changed = write_stage_config(values, out / f"{name}.yaml")
        LOG.info("%s: %s", out / f"{name}.yaml", "written" if changed else "unchanged")


def network_settings(weights: Path | None, untrained: str | None, partial: Path | None = None) -> list[str]:
    """The settings that hand stages B and D over to the networks, as `stage.key=value`; none where neither is named.

    Raises:
        ConfigError: both are named, or a partial checkpoint without what it was trained on.
    """
    if weights is not None and untrained is not None:
        raise ConfigError(f"--weights {weights} and --untrained {untrained}: name one of them.")
    if weights is None and untrained is None:
        if partial is not None:
            raise ConfigError(
                f"--partial {partial}: name the weights that it was trained on as well, --weights FILE or --untrained "
                "PROFILE (`rna-predict weights inspect` on the file says which)."
            )
        return []
    values = {"weights": weights, "untrained_profile": untrained, "partial": partial}
    named = [f"{key}={hydra_quoted(str(value))}" for key, value in values.items() if value is not None]
    backends = {"stage_b": "trunk", "stage_d": "diffusion"}
    return [f"{stage}.{setting}" for stage, name in backends.items() for setting in (f"backend={name}", *named)]


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


@app.command("experiment")
def experiment(
    name: Annotated[str, typer.Argument(help="A file of the group experiment, without .yaml.")],
    out: Annotated[Path, typer.Option(help="YAML file to write.")],
    settings: Annotated[
        list[str] | None, typer.Argument(help="trainer.steps=100 changes one value; adapters=full picks a file.")
    ] = None,
    config_dir: Annotated[Path, typer.Option(help="Folder with the groups.")] = Path("config"),
) -> None:
    """Write a training's complete settings as plain YAML; a file whose content stays the same is not touched."""
    from rna_predict.config import resolve_experiment, write_stage_config

    changed = write_stage_config(resolve_experiment(name, config_dir, settings or []), out)
    LOG.info("%s: %s", out, "written" if changed else "unchanged")


@app.command("defaults")
def defaults(
    out: Annotated[Path, typer.Option(help="Folder with the groups.")] = Path("config"),
    groups: Annotated[list[str] | None, typer.Argument(help="Groups by name; without any, all of them.")] = None,
) -> None:
    """Write the group files from the code: default.yaml of stages and of training, the profiles of the networks."""
    from rna_predict.config import STAGE_CONFIGS, TRAIN_GROUPS, stage_config_class, train_group_class
    from rna_predict.contracts import atomic_path

    texts: dict[Path, str] = {}
    for group in groups or [*STAGE_CONFIGS, *TRAIN_GROUPS, "profile"]:
        if group == "profile":
            texts |= {out / group / f"{name}.yaml": text for name, text in profile_yamls().items()}
        elif group in TRAIN_GROUPS:
            texts[out / group / "default.yaml"] = default_yaml(f"{group} of a training", train_group_class(group))
        else:
            texts[out / group / "default.yaml"] = default_yaml(group, stage_config_class(group))
    for path, text in texts.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        LOG.info("%s: written", path)


def default_yaml(stage: str, cls: type[Any]) -> str:
    """The text of a stage's `default.yaml`: defaults of the dataclass, its field docstrings as comments."""
    return _commented_yaml(f"Settings of {stage}", cls())


def profile_yamls() -> dict[str, str]:
    """The text of each file of the group `profile`, by profile."""
    from rna_predict.nn.profiles import PROFILES

    return {name: _commented_yaml(f"Sizes of the networks, {name}", profile) for name, profile in PROFILES.items()}


def _commented_yaml(what: str, settings: Any) -> str:
    """A dataclass as YAML, the sentence under each of its fields as a comment."""
    import yaml

    parts = [f"# {what}, made by `rna-predict config defaults`; a test compares them with the code.\n"]
    documents = field_documents(type(settings))
    for name, found in dataclasses.asdict(settings).items():
        value = list(found) if isinstance(found, tuple) else found
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
