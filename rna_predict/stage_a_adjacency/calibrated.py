"""Pair probabilities that mean what they say: the carried map of a backend, or the user's own.

Maps are fitted by `rna-predict bench stage-a TABLE --across validation --calibration FILE`, on families that neither
train nor test; `evaluation.calibration` says how. A map belongs to one backend with one set of energies.
"""

import dataclasses
import functools
import json
from importlib import resources
from pathlib import Path

from rna_predict.errors import ConfigError
from rna_predict.evaluation.calibration import Calibration
from rna_predict.formats.reading import read_text
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Fold

CARRIED = "calibration.json"
"""Maps that the package carries, by `map_name`."""


def calibrated(fold: Fold, config: StageAConfig) -> Fold:
    """The fold with mapped probabilities; its matching stays.

    With `auto` the carried map of the backend is used where there is one: probabilities of a backend without one are
    its own, and so are those made with other settings of the energy model than the map was fitted for.

    Raises:
        ConfigError: the user's map cannot be read.
    """
    found = calibration_of(config)
    if found is None:
        return fold
    return dataclasses.replace(fold, probability_LL=found.apply(fold.probability_LL))


def calibration_of(config: StageAConfig) -> Calibration | None:
    """The map that a config means, or None."""
    if config.calibration == "off":
        return None
    if config.calibration != "auto":
        return _read(Path(config.calibration))
    usual = config.temperature_celsius == 37.0 and config.lonely_pairs and not config.max_pair_span
    own = not (config.weights or config.untrained_profile or config.partial)
    return _carried().get(map_name(config)) if usual and own else None


def map_name(config: StageAConfig) -> str:
    """What a carried map is found by."""
    return f"{config.backend}/{config.energy_parameters}"


def _read(path: Path) -> Calibration:
    try:
        values = json.loads(read_text(path))
    except ValueError as error:
        raise ConfigError(f"stage_a.calibration: {path} is no JSON ({error}). Fit it again, or use auto.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"stage_a.calibration: {path} holds no numbers by name. Fit it again, or use auto.")
    return Calibration.from_values(values, str(path))


@functools.cache
def _carried() -> dict[str, Calibration]:
    text = (resources.files("rna_predict.stage_a_adjacency") / CARRIED).read_text(encoding="utf-8")
    return {name: Calibration.from_values(values, f"{CARRIED}: {name}") for name, values in json.loads(text).items()}
