"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with the real structures that tests compare with; a user's clone may lack it, CI may not."""
    folder = Path(os.environ.get("RNA_PREDICT_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "rna3d" / "index.csv").is_file():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{folder}: the shared data must be there in CI")
        pytest.skip(f"{folder}: the shared data is not on this machine")
    return folder


@pytest.fixture(scope="session")
def chains_dir(shared_dir: Path) -> Path:
    """Native chains as `<id>.pdb.gz`."""
    return shared_dir / "data" / "rna3d" / "chains"
