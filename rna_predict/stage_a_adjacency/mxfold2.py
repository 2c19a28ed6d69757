"""The MXfold2 backend: a network's scores added to Turner's energies; the user installs the package.

Sato, Akiyama and Sakakibara 2021, RNA secondary structure prediction using deep learning with thermodynamic
integration, Nat Commun 12:941. Its package carries its weights (TrainSetAB) and a compiled module that must have been
built for this Python. It gives one nested structure and no probabilities.
"""

import hashlib
import importlib
from argparse import ArgumentParser
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rna_predict.errors import ConfigError
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Constraints, Fold

PAIR_PROBABILITY = 0.7
"""What each pair of the structure gets: about the share of them that is right (docs/decisions/0017)."""


def fold(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    """Fold one sequence; each pair of the structure has `PAIR_PROBABILITY`, every other one 0.

    Raises:
        ConfigError: MXfold2 is not installed, or not for this Python.
    """
    del config, constraints  # the registry lets through what does not matter here
    import torch

    network, weights = _network()
    with torch.no_grad():
        _, structures, _ = network([sequence])
    partner_L = from_dot_bracket(structures[0], "MXfold2's structure")
    probability_LL = np.zeros((len(sequence), len(sequence)), dtype=np.float32)
    paired = np.flatnonzero(partner_L >= 0)
    probability_LL[paired, partner_L[paired]] = PAIR_PROBABILITY
    return Fold(probability_LL=probability_LL, partner_L=partner_L, weights=weights)


@lru_cache(maxsize=1)
def _network() -> tuple[Any, str]:
    """MXfold2's network with the weights of its package, and their sha256."""
    import torch

    try:
        package = importlib.import_module("mxfold2.predict")
    except ImportError as error:
        raise ConfigError(
            f"stage_a.backend: mxfold2 cannot be imported ({error}). Install MXfold2 0.1.1 so that its module is "
            "compiled for this Python (github.com/mxfold/mxfold2; needs a C++ compiler), or use backend viennarna."
        ) from error
    models = Path(str(package.__file__)).parent / "models"
    parser = ArgumentParser(fromfile_prefix_chars="@")
    package.Predict.add_args(parser.add_subparsers())
    settings = parser.parse_args(["predict", "-", f"@{models / 'TrainSetAB.conf'}"])
    network, _ = package.Predict().build_model(settings)
    content = models / settings.param
    network.load_state_dict(torch.load(content, map_location="cpu", weights_only=True))
    network.eval()
    return network, hashlib.sha256(content.read_bytes()).hexdigest()
