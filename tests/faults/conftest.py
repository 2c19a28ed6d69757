"""Predictions that take a second, processes that are killed, and disks that are full."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rna_predict.cli.main import main

QUICK = ("stage_c.method=nerf", "stage_d.models=1", "stage_d.steps=2", "stage_d.refine_iterations=10")
"""Settings of real stages with which a hairpin takes a second."""

HAIRPIN = "GGGCUUCGGCCC"


@pytest.fixture
def quick() -> list[str]:
    """`QUICK` as arguments of `rna-predict predict`."""
    return [word for one in QUICK for word in ("--set", one)]


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    """One hairpin."""
    path = tmp_path / "hairpin.fasta"
    path.write_text(f">hairpin\n{HAIRPIN}\n")
    return path


@pytest.fixture
def command(fasta: Path, tmp_path: Path, quick: list[str]) -> list[str]:
    """`rna-predict predict` of the hairpin into the folder `out`."""
    return ["predict", str(fasta), "--out", str(tmp_path / "out"), *quick]


@pytest.fixture(scope="session")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that an undisturbed `rna-predict predict` of the hairpin leaves."""
    folder = tmp_path_factory.mktemp("predicted")
    (folder / "x.fasta").write_text(f">hairpin\n{HAIRPIN}\n")
    words = ["predict", str(folder / "x.fasta"), "--out", str(folder / "out")]
    words += [word for one in QUICK for word in ("--set", one)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["rna-predict", *words])
        with pytest.raises(SystemExit) as stop:
            main()
    assert not stop.value.code
    return folder / "out"


@pytest.fixture(scope="session")
def stage_settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a file of settings for each stage, as the workflow resolves them."""
    from rna_predict.config import STAGE_CONFIGS, resolve_stage_config, write_stage_config

    folder = tmp_path_factory.mktemp("settings")
    for stage in STAGE_CONFIGS:
        chosen = [one.partition(".")[2] for one in QUICK if one.startswith(f"{stage}.")]
        write_stage_config(resolve_stage_config(stage, None, chosen), folder / f"{stage}.yaml")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """`small_disk(kilobytes)` mounts a file system of that size and returns its folder; needs root."""
    mounted: list[Path] = []

    def mount(kilobytes: int, *options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        wanted = ",".join((f"size={kilobytes}k", *options))
        command = ["mount", "-t", "tmpfs", "-o", wanted, "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
            pytest.skip("mounting a small file system needs root and a kernel that allows it")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
