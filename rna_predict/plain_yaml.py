"""YAML of plain values, the only kind of configuration file that this package reads; and quoting for overrides."""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.events import AliasEvent

from rna_predict.errors import ConfigError

MAX_YAML_BYTES = 1_000_000


class _PlainLoader(yaml.SafeLoader):
    """YAML of plain values: no aliases (their expansion can be exponential), no tags, no key twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias where it is used."""
        if self.check_event(AliasEvent):
            event = self.peek_event()
            raise ComposerError(None, None, f"alias *{event.anchor} is refused", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise ConstructorError(None, None, f"key {key.value!r} twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


# YAML 1.1 reads 1e-3 as a string, as it lacks a dot; people mean the number (OmegaConf's loader agrees).
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a small YAML file of plain values: no tags, no aliases, no key twice, a mapping at the top.

    Raises:
        ConfigError: naming file and line.
    """
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_YAML_BYTES} bytes; this is no configuration file.")
        content = yaml.load(path.read_text(encoding="utf-8"), _PlainLoader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        first = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(f"{path}{line}: {getattr(error, 'problem', None) or first}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(content).__name__}.")
    return content


def hydra_quoted(value: str) -> str:
    """A value as one word of Hydra's override grammar, where a backslash is one, unless a quote follows."""
    return "'" + re.sub(r"(\\+)(?='|\Z)", r"\1\1", value).replace("'", "\\'") + "'"
