"""`rna-predict config reference`: commands, options and settings as Markdown, made from the code that has them."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from rna_predict.cli.configuration import field_documents
from rna_predict.cli.console import LOG

MADE = "<!-- Made by `rna-predict config reference`; a test compares it with the code. -->\n"


def reference(
    out: Annotated[Path, typer.Option(help="Folder for commands.md, settings.md and workflow.md.")] = Path(
        "docs/reference"
    ),
    schemas: Annotated[
        Path, typer.Option(help="Folder with the schemas of the workflow's config and sample sheet.")
    ] = Path("workflow/schemas"),
) -> None:
    """Write the reference pages of the documentation: each command's options, each setting, each key of the config."""
    from rna_predict.contracts import atomic_path

    for name, text in reference_pages(schemas).items():
        with atomic_path(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        LOG.info("%s: written", out / name)


def reference_pages(schemas: Path) -> dict[str, str]:
    """The text of each page by file name."""
    return {"commands.md": commands_page(), "settings.md": settings_page(), "workflow.md": workflow_page(schemas)}


def commands_page() -> str:
    """Every command with its arguments and options."""
    from rna_predict.cli.main import app as whole

    root = typer.main.get_command(whole)
    head = f"{MADE}\n# Commands\n\n{_paragraphs(root.help)}\n"
    return head + "".join(_command_section(words, command) for words, command in _commands(root, ["rna-predict"]))


def _commands(command: Any, words: list[str]) -> Iterator[tuple[list[str], Any]]:
    """Each command that does something, with the words that call it."""
    if not hasattr(command, "list_commands"):
        yield words, command
        return
    context = typer.Context(command)
    for name in command.list_commands(context):
        yield from _commands(command.get_command(context, name), [*words, name])


def _command_section(words: list[str], command: Any) -> str:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    rows = [_parameter_row(parameter) for parameter in shown if parameter.name != "help"]
    table = _table(("argument or option", "default", "meaning"), rows) if rows else ""
    return f"\n## {' '.join(words)}\n\n{_paragraphs(command.help)}\n{table}"


def _parameter_row(parameter: Any) -> tuple[str, str, str]:
    option = parameter.param_type_name == "option"
    metavar = parameter.metavar or parameter.name.upper()
    flag = option and parameter.is_flag
    names = [*parameter.opts, *parameter.secondary_opts] if option else [metavar]
    name = ", ".join(f"`{each}`" for each in names) + (
        f" `{parameter.metavar}`" if parameter.metavar and option else ""
    )
    default = parameter.default
    empty = default is None or callable(default) or (flag and default is False) or default in ("", (), [])
    stated = "required" if parameter.required else "" if empty else f"`{default}`"
    repeated = " May be given several times." if parameter.multiple or parameter.nargs == -1 else ""
    return name, stated, f"{parameter.help or ''}{repeated}"


def settings_page() -> str:
    """Every setting of the stages and of training with its default and the sentence under it."""
    from rna_predict.config import STAGE_CONFIGS, TRAIN_GROUPS, stage_config_class, train_group_class

    one = 'Of one stage: `--set stage_d.models=10`, or `overrides: ["models=10"]` in `config/config.yaml`.'
    parts = [f"{MADE}\n# Settings\n\n{one}\nOf a training: `--set trainer.steps=500`.\n"]
    parts += [_settings_section(name, stage_config_class(name)) for name in STAGE_CONFIGS]
    parts += [_settings_section(f"{name} (training)", train_group_class(name)) for name in TRAIN_GROUPS]
    return "".join(parts)


def _settings_section(title: str, cls: type[Any]) -> str:
    documents = field_documents(cls)
    values = dataclasses.asdict(cls())
    rows = [(f"`{name}`", f"`{_plain(values[name])}`", documents[name]) for name in values]
    return f"\n## {title}\n\n{_table(('setting', 'default', 'meaning'), rows)}"


def _plain(value: object) -> str:
    """A value as YAML writes it on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def workflow_page(schemas: Path) -> str:
    """The keys of `config/config.yaml` and the columns of the sample sheet, from their schemas."""
    parts = [f"{MADE}\n# The workflow's config and sample sheet\n"]
    for title, name in (("config/config.yaml", "config"), ("Sample sheet", "samples")):
        schema = yaml.safe_load((schemas / f"{name}.schema.yaml").read_text(encoding="utf-8"))
        rows = list(_keys(schema, schema.get("$defs", {}), "", schema.get("required", [])))
        parts.append(f"\n## {title}\n\n{_table(('key', 'default', 'meaning'), rows)}")
    return "".join(parts)


def _keys(schema: dict[str, Any], shared: dict[str, Any], above: str, required: list[str]) -> Iterator[tuple[str, ...]]:
    for name, entry in schema.get("properties", {}).items():
        known = shared.get(entry.get("$ref", "").rpartition("/")[2], {}) | entry
        default = "required" if name in required else f"`{_plain(known['default'])}`" if "default" in known else ""
        choices = f" (one of {', '.join(f'`{_plain(one)}`' for one in known['enum'])})" if "enum" in known else ""
        yield f"`{above}{name}`", default, f"{known.get('description', '')}{choices}".strip()
        yield from _keys(known, shared, f"{above}{name}: ", known.get("required", []))


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n")) + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    """A cell of a table: one line, no bars, no angle brackets that a browser would take for tags."""
    line = " ".join(text.split()).replace("|", "\\|")
    pieces = line.split("`")
    pieces[::2] = [piece.replace("<", "&lt;").replace("_", "\\_").replace("*", "\\*") for piece in pieces[::2]]
    return "`".join(pieces)
