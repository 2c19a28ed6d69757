"""Our networks with drawn weights, built once for all files of this folder."""

from functools import lru_cache
from pathlib import Path

import pytest

from rna_predict.cli.parity_inputs import ARCHITECTURES, Given, prepared
from rna_predict.cli.parity_reference import read_features

REFERENCE = Path(__file__).with_name("reference.safetensors")


@pytest.fixture(scope="session")
def reference_path():
    return REFERENCE


@pytest.fixture(scope="session")
def given():
    """Inputs by size; the RNA's features are the stored ones, whatever featurise makes today."""
    features = prepared(read_features(REFERENCE))
    return {size: Given(architecture, features) for size, architecture in ARCHITECTURES.items()}


@pytest.fixture(scope="session")
def networks(given):
    """Our networks by size."""
    from rna_predict.cli.parity_cases import Ours

    return lru_cache(lambda size: Ours.build(given[size]))
