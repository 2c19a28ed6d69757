"""Fixtures that all tests share."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


@dataclass
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch, capsys) -> Iterator[Callable[..., Result]]:
    """`run("predict", path, …)` returns exit code, stdout and stderr."""
    from rna_predict.cli.main import main
    from rna_predict.cli.threads import POOLS

    before = {name: os.environ.get(name) for name in (*POOLS, "OMP_WAIT_POLICY")}

    def call(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["rna-predict", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return Result(stop.value.code or 0, captured.out, captured.err)

    yield call
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
