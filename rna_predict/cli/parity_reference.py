"""Outputs of Protenix that a checkout carries, for machines where Protenix is not installed.

`python tests/parity/make_reference.py` writes the file. It holds the RNA's features and, of each output, at most
`MOST` entries at drawn places; everything else is drawn again from names (`parity_inputs`).
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import rna_predict
from rna_predict.cli.parity_inputs import Outputs, draw_integers
from rna_predict.errors import InputError
from rna_predict.nn.features import Features

MOST = 2048
"""Most entries kept of one output."""


def reference_file() -> Path:
    """The file in the checkout that this package runs from.

    Raises:
        InputError: the package does not run from a checkout.
    """
    path = Path(rna_predict.__file__).parents[1] / "tests" / "parity" / "reference.safetensors"
    if not path.is_file():
        raise InputError(
            f"{path}: there is no reference here, and protenix is not installed. "
            "Run this in a checkout of the project, or install what `make install-test` installs for it."
        )
    return path


def thin(case: str, outputs: Outputs) -> Outputs:
    """The entries of the outputs of one "size/case" that the reference keeps, each output as one row."""
    return {name: _thinned(f"{case}/{name}", values.flatten()) for name, values in outputs.items()}


def _thinned(key: str, values: Tensor) -> Tensor:
    return values if len(values) <= MOST else values[draw_integers(f"places {key}", 0, len(values) - 1, MOST)]


def write_reference(path: Path, features: Features, outputs: Mapping[str, Outputs]) -> None:
    """Write features and thinned outputs; `outputs` are keyed "size/case"."""
    tensors = {f"features/{name}": value for name, value in _plain(features).items()}
    for case, named in outputs.items():
        tensors |= {f"{case}/{name}": values.contiguous() for name, values in thin(case, named).items()}
    save_file(tensors, path)


def read_features(path: Path) -> Features:
    """The RNA's features, without an alignment."""
    stored = {f.name: _stored(path)[f"features/{f.name}"] for f in fields(Features) if f.name != "alignment"}
    whole = {name: value.long() if value.dtype == torch.int32 else value for name, value in stored.items()}
    return Features(**whole, alignment=None)


def read_outputs(path: Path, case: str) -> Outputs:
    """Thinned outputs of one "size/case"."""
    beginning = f"{case}/"
    return {key.removeprefix(beginning): value for key, value in _stored(path).items() if key.startswith(beginning)}


@lru_cache(maxsize=1)
def _stored(path: Path) -> dict[str, Tensor]:
    return load_file(path)


def _plain(features: Features) -> dict[str, Tensor]:
    values = {f.name: getattr(features, f.name) for f in fields(Features) if f.name != "alignment"}
    return {name: value.int() if value.dtype == torch.int64 else value for name, value in values.items()}
