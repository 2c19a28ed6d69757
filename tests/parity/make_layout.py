"""Write the state-dict keys and shapes of Protenix's published sizes: `python tests/parity/make_layout.py`.

`layout_base.txt` lists those of base in full, blocks of equal shapes in one line; `layout_digests.json` has the counts
and a sha256 of the sorted list of every size. Nothing is initialised, which would take minutes.
"""

import contextlib
import copy
import hashlib
import importlib
import io
import json
import os
import re
from collections import defaultdict
from pathlib import Path
from unittest import mock

FOLDER = Path(__file__).parent
PUBLISHED = {
    "base": "protenix_base_default_v1.0.0",
    "mini": "protenix_mini_default_v0.5.0",
    "tiny": "protenix_tiny_default_v0.5.0",
    "v2": "protenix-v2",
}
BLOCK = re.compile(r"(?<=blocks\.)\d+(?=\.)")


def state_shapes(published):
    """Key → shape of one published model, from its own configuration; ImportError without protenix."""
    os.environ.setdefault("LAYERNORM_TYPE", "torch")
    with contextlib.redirect_stdout(io.StringIO()):
        configs = {name: importlib.import_module(f"configs.configs_{name}") for name in ("base", "data", "model_type")}
        network = importlib.import_module("protenix.model.protenix")
        primitives = importlib.import_module("protenix.model.modules.primitives")
        layers = importlib.import_module("protenix.model.triangular.layers")
        parse = importlib.import_module("protenix.config.config").parse_configs
    values = {**copy.deepcopy(configs["base"].configs), "data": copy.deepcopy(configs["data"].data_configs)}
    overlay(values, copy.deepcopy(configs["model_type"].model_configs[published]))
    nothing = mock.patch.object
    with (
        contextlib.redirect_stdout(io.StringIO()),
        nothing(layers, "trunc_normal_init_", lambda *_, **__: None),
        nothing(primitives, "trunc_normal_init_", lambda *_, **__: None),
        nothing(primitives.Linear, "reset_parameters", lambda _: None),
    ):
        model = network.Protenix(parse(values, arg_str="", fill_required_with_null=True))
    return {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}


def overlay(values, changes):
    """Lay nested `changes` over `values`."""
    for key, change in changes.items():
        if isinstance(change, dict) and key in values:
            overlay(values[key], change)
        else:
            values[key] = change


def summary(shapes):
    """Counts and a hash of keys and shapes."""
    lines = "".join(f"{key} {list(shapes[key])}\n" for key in sorted(shapes))
    values = sum(count(shape) for shape in shapes.values())
    return {"tensors": len(shapes), "values": values, "sha256": hashlib.sha256(lines.encode()).hexdigest()}


def count(shape):
    """Number of values."""
    return 1 if not shape else shape[0] * count(shape[1:])


def to_text(shapes):
    """One line for a key and shape, with a range such as blocks.{0-47} where all blocks from the first have it."""
    numbers = defaultdict(list)
    for key, shape in shapes.items():
        found = BLOCK.search(key)
        numbers[BLOCK.sub("*", key), shape].append(int(found.group()) if found else 0)
    lines = []
    for (pattern, shape), blocks in sorted(numbers.items()):
        assert sorted(blocks) == list(range(len(blocks))), pattern
        lines.append(f"{pattern.replace('*', f'{{0-{len(blocks) - 1}}}')} {list(shape)}\n")
    return "".join(lines)


def from_text(text):
    """Undo `to_text`."""
    shapes = {}
    for line in text.splitlines():
        pattern, shape = line.split(" ", 1)
        found = re.search(r"\{0-(\d+)\}", pattern)
        for block in range(int(found.group(1)) + 1 if found else 1):
            shapes[re.sub(r"\{0-\d+\}", str(block), pattern)] = tuple(json.loads(shape))
    return shapes


if __name__ == "__main__":
    published = {name: state_shapes(model) for name, model in PUBLISHED.items()}
    digests = {name: summary(shapes) for name, shapes in published.items()}
    (FOLDER / "layout_base.txt").write_text(to_text(published["base"]))
    (FOLDER / "layout_digests.json").write_text(json.dumps(digests, indent=1) + "\n")
