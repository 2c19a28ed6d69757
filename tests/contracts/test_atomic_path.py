"""A file appears whole or not at all, whatever goes wrong while it is written."""

import os
import subprocess
import sys

import pytest

from rna_predict.contracts import atomic_path

OLD = "the old file"

WRITE = """
import os, resource, sys
from pathlib import Path
import numpy as np
from rna_predict.contracts import Embeddings, Provenance, atomic_path
os.chdir(sys.argv[1])
{limit}
length = 60
record = Embeddings(id="x", sequence="A" * length, provenance=Provenance(method="m", package_version="0"), channels=[],
                    inputs_LI=np.ones((length, 0), np.float32), distogram_atoms=["C1'"],
                    distogram_bins="af3", conformer_seed=0,
                    single_LS=np.ones((length, 2), np.float32), pair_LLZ=np.ones((length, length, 2), np.float32),
                    distogram_GLLB=np.ones((1, length, length, 64), np.float32))
try:
    record.save(Path("x.safetensors"))
except OSError as error:
    print(type(error).__name__, error.errno)
"""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_text(OLD)
    return path


def save_under(limit, folder):
    """What a process that saves 1 MB to x.safetensors in `folder` prints; `limit` is code that it runs before."""
    command = [sys.executable, "-c", WRITE.format(limit=limit), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(old, error):
    def half_way():
        with atomic_path(old) as temporary:
            temporary.write_text("half of the n")
            assert temporary.parent == old.parent, "a rename is atomic only within one file system"
            assert temporary.name.startswith("."), "no pattern finds a half file"
            raise error

    with pytest.raises(error):
        half_way()
    assert [path.name for path in old.parent.iterdir()] == [old.name]
    assert old.read_text() == OLD


def test_the_new_file_replaces_the_old_one_only_at_the_end_and_others_can_read_it(old):
    with atomic_path(old) as temporary:
        temporary.write_text("new")
        assert old.read_text() == OLD
    assert old.read_text() == "new"
    assert [path.name for path in old.parent.iterdir()] == [old.name]
    assert old.stat().st_mode & 0o777 == 0o644


def test_missing_folders_are_made(tmp_path):
    with atomic_path(tmp_path / "a" / "b" / "c.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_a_full_disk_is_an_error_that_leaves_the_old_file(old):
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    assert save_under(limit, old.parent).startswith("OSError")
    assert [path.name for path in old.parent.iterdir()] == [old.name]
    assert old.read_text() == OLD
    assert save_under("", old.parent) == ""
    assert old.stat().st_size > 900_000, "without the limit it is written"


def test_a_read_only_folder_is_an_error_that_leaves_the_old_file(old):
    old.parent.chmod(0o555)
    unprivileged = "os.geteuid() == 0 and os.seteuid(65534)"
    try:
        assert save_under(unprivileged, old.parent).startswith("PermissionError")
    finally:
        old.parent.chmod(0o755)
    assert [path.name for path in old.parent.iterdir()] == [old.name]
    assert old.read_text() == OLD


def test_two_writers_at_once_both_write_whole_files(old):
    with atomic_path(old) as first, atomic_path(old) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert old.read_text() == "first", "the outer one ends last"
    assert os.listdir(old.parent) == [old.name]  # noqa: PTH208
