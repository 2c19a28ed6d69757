"""A folder is there whole or not at all, whenever its writer dies, and nobody else's folder is ever deleted."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from rna_predict.data.whole_folder import whole_folder
from rna_predict.errors import InputError


def write(path: Path, text: str) -> None:
    with whole_folder(path, "mark") as folder:
        (folder / "mark").write_text(text)
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text(text)


def fails(path: Path) -> None:
    with whole_folder(path, "mark") as folder:
        (folder / "mark").write_text("half")
        raise ZeroDivisionError


def content(path: Path) -> dict[str, str]:
    return {file.relative_to(path).as_posix(): file.read_text() for file in path.rglob("*") if file.is_file()}


def dies_at_rename(path: Path, number: int) -> None:
    """Write, and die by SIGKILL instead of making the given rename."""
    real, made = Path.rename, []

    def rename(self, target):
        if len(made) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        made.append(target)
        return real(self, target)

    Path.rename = rename  # in a child process only
    write(path, "new")


@pytest.mark.filterwarnings("ignore:lancedb fork support")
@pytest.mark.parametrize("number", [0, 1])
def test_killed_between_the_renames_the_next_run_begins_from_the_old_folder(tmp_path, number):
    path = tmp_path / "set"
    write(path, "old")
    child = multiprocessing.get_context("fork").Process(target=dies_at_rename, args=(path, number))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert path.exists() == (number == 0)
    with pytest.raises(ZeroDivisionError):
        fails(path)
    assert content(path) == {"mark": "old", "deep/file": "old"}
    write(path, "new")
    assert content(path) == {"mark": "new", "deep/file": "new"}
    assert [one.name for one in tmp_path.iterdir()] == ["set"]


def test_an_error_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError):
        fails(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_second_writer_is_refused_while_the_first_is_at_work(tmp_path):
    with whole_folder(tmp_path / "set", "mark") as folder:
        (folder / "mark").write_text("first")
        with pytest.raises(InputError, match="another run"):
            write(tmp_path / "set", "second")
        write(tmp_path / "other", "beside it")
    assert content(tmp_path / "set") == {"mark": "first"}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other", "set"]


def test_a_folder_of_other_things_a_file_and_a_link_are_not_replaced(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    write(tmp_path / "real", "x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("mine", "file", "link", "loop"):
        with pytest.raises(InputError, match=name):
            write(tmp_path / name, "new")
    assert content(mine) == {"thesis.txt": "years of work"}
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "x")
    assert content(tmp_path / "empty") == {"mark": "x", "deep/file": "x"}
