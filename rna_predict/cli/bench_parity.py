"""`rna-predict bench parity`: our networks beside Protenix 2.0.0 on the same drawn weights and inputs, in float32.

A row is one module at one size: the largest absolute difference of all its outputs, and how large they are (root mean
square). Where Protenix is installed it is run by both of its paths, in place and not; else its outputs are read from
the checkout. Coordinates are in units of 16 Å, in which the network works.
"""

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from rna_predict.cli import parity_peer
from rna_predict.cli.parity_cases import CASES, Ours
from rna_predict.cli.parity_inputs import ARCHITECTURES, SEQUENCE, Given, Outputs, prepared
from rna_predict.cli.parity_protenix import VERSION, build
from rna_predict.cli.parity_reference import read_features, read_outputs, reference_file, thin
from rna_predict.errors import PredictionError
from rna_predict.nn.featurise import featurise

Row = dict[str, Any]


def run() -> tuple[list[Row], dict[str, Any]]:
    """Rows, one a module and size; for each module the largest difference at any size, and the worst of all."""
    installed = protenix_installed()
    path = None if installed else reference_file()
    features = prepared(featurise(SEQUENCE, seed=0) if path is None else read_features(path))
    rows: list[Row] = []
    figures: dict[str, Any] = {}
    for size, architecture in ARCHITECTURES.items():
        given = Given(architecture, features)
        compare = package(given) if path is None else reference(path)
        ours = Ours.build(given)
        for module in CASES:
            gap, scale = compare(ours, module)
            figures[module] = max(gap, figures.get(module, 0.0))
            shown = {"difference": f"{gap:.1e}", "scale": f"{scale:.2f}"}
            rows.append({"module": module, "size": size} | shown)
    worst = max(figures.values())
    return rows, figures | {"worst": worst, "against": "package" if installed else "reference file"}


Compare = Callable[[Ours, str], tuple[float, float]]
"""Runs one of our modules, and gives the difference to Protenix and the size of the outputs."""


def protenix_installed() -> bool:
    """Whether the version that the check is about is installed."""
    try:
        return importlib.metadata.version("protenix") == VERSION
    except importlib.metadata.PackageNotFoundError:
        return False


def package(given: Given) -> Compare:
    """Compare with Protenix itself, by its paths in place and not."""
    network = build(given.architecture)

    @torch.no_grad()
    def compare(ours: Ours, module: str) -> tuple[float, float]:
        peers = [parity_peer.Peer(network, given, in_place) for in_place in (False, True)]
        return difference(module, ours.outputs(module), [parity_peer.CASES[module](peer) for peer in peers])

    return compare


def reference(path: Path) -> Compare:
    """Compare with the outputs in a checkout."""

    @torch.no_grad()
    def compare(ours: Ours, module: str) -> tuple[float, float]:
        case = f"{ours.given.architecture.name}/{module}"
        return difference(case, thin(case, ours.outputs(module)), [read_outputs(path, case)])

    return compare


def difference(name: str, ours: Outputs, theirs: Sequence[Outputs]) -> tuple[float, float]:
    """Largest absolute difference of any output to any of Protenix's paths, and the outputs' root mean square.

    Raises:
        PredictionError: another output or shape, or a number that is not finite.
    """
    shapes = {key: tuple(value.shape) for key, value in ours.items()}
    gaps, scales = [], []
    for found in theirs:
        expected = {key: tuple(value.shape) for key, value in found.items()}
        if shapes != expected:
            raise PredictionError(f"{name}: our outputs are {shapes}, Protenix's {expected}")
        gaps += [(ours[key] - value).abs().max() for key, value in found.items()]
        scales += [value.square().mean().sqrt() for value in found.values()]
    worst = float(torch.stack(gaps).max())
    if not worst < float("inf"):
        raise PredictionError(f"{name}: an output is not finite")
    return worst, float(torch.stack(scales).max())
