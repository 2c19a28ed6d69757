"""`rna-predict config`: compose the stages' settings from Hydra groups and overrides."""

from pathlib import Path
from typing import Annotated

import typer

from rna_predict.cli.console import LOG
from rna_predict.errors import ConfigError

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
    out: Annotated[Path, typer.Option(help="Folder for stage_a.yaml … stage_d.yaml.")] = Path("results/config"),
    config_dir: Annotated[Path | None, typer.Option(help="Folder with the groups; without it the defaults.")] = None,
) -> None:
    """Write each stage's complete settings as plain YAML; a file whose content stays the same is not touched."""
    from rna_predict.config import STAGE_CONFIGS, resolve_stage_config, write_stage_config

    choices, overrides = split_settings(settings or [], tuple(STAGE_CONFIGS))
    resolved = {
        stage: resolve_stage_config(stage, config_dir, overrides[stage], choices[stage]) for stage in STAGE_CONFIGS
    }
    for stage, values in resolved.items():
        changed = write_stage_config(values, out / f"{stage}.yaml")
        LOG.info("%s: %s", out / f"{stage}.yaml", "written" if changed else "unchanged")


def split_settings(settings: list[str], stages: tuple[str, ...]) -> tuple[dict[str, str], dict[str, list[str]]]:
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
