"""Other programs beside stage A: how they are called and read, by executables that answer in their formats."""

import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from rna_predict.cli.stage_a_peers import PROGRAMS, Peer
from rna_predict.cli.stage_a_rows import BenchRow
from rna_predict.errors import InputError, PredictionError

from .pair_tables import row

MXFOLD2 = """
import sys
words = sys.argv[1:]
assert words[:3] == ["predict", "--bpseq", "stdout"], words
lines = open(words[3]).read().split()
for name, letters in zip(lines[::2], lines[1::2]):
    if "UUUUU" in letters:
        sys.exit("Traceback:\\nRuntimeError: too many U")
    print(f"# {name[1:]} (s=4.2, 0.01431s)")
    for i, letter in enumerate(letters, start=1):
        print(f"{i}\\t{letter}\\t{len(letters) + 1 - i if min(i, len(letters) + 1 - i) < 4 else 0}")
"""
"""As mxfold2 0.1.1 prints; pairs the first three residues with the last three."""

SINCFOLD = """
import csv, sys
words = sys.argv[1:]
assert words[:4] == ["-j", "0", "-batch", "1"] and words[6:] == ["pred", "in.csv", "-o", "out.csv"], words
rows = [row for row in csv.DictReader(open(words[7])) if len(row["sequence"]) <= int(words[5])]
out = csv.writer(open(words[9], "w"))
out.writerow(["id", "sequence", "base_pairs"])
for row in rows:
    out.writerow([row["id"], row["sequence"], [[1, len(row["sequence"])]]])
"""
"""As sincFold 0.16.2 writes; pairs the first residue with the last."""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """`install("mxfold2", code)` puts an executable on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name: str, code: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!{sys.executable}\n{code}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return put


def bench_row(letters: str) -> BenchRow:
    return BenchRow(row=row("x", letters, "." * len(letters)), across=True)


def test_mxfold2_is_asked_for_all_and_its_own_seconds_are_kept(install):
    install("mxfold2", MXFOLD2)
    peer = Peer.find(PROGRAMS["mxfold2"])
    first, second = peer.answers([bench_row("GGGAAACCC"), bench_row("GGGAAAACCC")])
    assert first.partner_L.tolist() == [8, 7, 6, -1, -1, -1, 2, 1, 0]
    assert second.partner_L.tolist() == [9, 8, 7, -1, -1, -1, -1, 2, 1, 0]
    assert (first.seconds, first.error) == (0.01431, "")


def test_one_sequence_that_fails_does_not_take_the_others_with_it(install):
    install("mxfold2", MXFOLD2)
    peer = Peer.find(PROGRAMS["mxfold2"])
    answers = list(peer.answers([bench_row("GGGAAACCC"), bench_row("UUUUUU"), bench_row("GGGAAACCC")]))
    assert [answer.error for answer in answers] == ["", "mxfold2 ended with 1: RuntimeError: too many U", ""]
    assert answers[1].partner_L.tolist() == [-1] * 6
    assert answers[2].partner_L[0] == 8


def test_sincfold_writes_a_table_of_pairs(install):
    install("sincFold", SINCFOLD)
    peer = Peer.find(PROGRAMS["sincfold"])
    found = peer.fold(["GAAAC", "GAAAAAC"])
    assert [partner_L.tolist() for partner_L, _ in found] == [[4, -1, -1, -1, 0], [6, *[-1] * 5, 0]]
    assert all(seconds is not None and seconds > 0 for _, seconds in found)


def test_more_sequences_than_go_at_once(install):
    install("sincFold", SINCFOLD)
    peer = Peer.find(PROGRAMS["sincfold"])
    lengths = [5 + n for n in range(60)]
    answers = list(peer.answers([bench_row("G" * length) for length in lengths]))
    assert [len(answer.partner_L) for answer in answers] == lengths
    assert {int(np.flatnonzero(answer.partner_L >= 0)[0]) for answer in answers} == {0}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_what_is_not_installed_says_so(name, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(InputError, match="not installed: no command"):
        Peer.find(PROGRAMS[name])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit('no weights')", "mxfold2 ended with 1: no weights"),
        ("print('nothing')", "0 answers for 1 sequences"),
        ("print('# s0 (s=1.0, 0.1s)\\n1\\tG\\t0')", "an answer of 1 residues for 12"),
    ],
)
def test_what_does_not_work_says_why(install, code, message):
    install("mxfold2", code)
    with pytest.raises(PredictionError, match=message):
        Peer.find(PROGRAMS["mxfold2"])


def test_the_python_beside_the_command_may_hold_it_as_a_module(tmp_path, monkeypatch):
    package = tmp_path / "mxfold2"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("def main():\n" + "".join(f"    {line}\n" for line in MXFOLD2.splitlines()))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    assert not (Path(sys.executable).parent / "mxfold2").exists()
    peer = Peer.find(PROGRAMS["mxfold2"])
    assert peer.command[0] == sys.executable
    assert peer.fold(["GGGAAACCC"])[0][0].tolist() == [8, 7, 6, -1, -1, -1, 2, 1, 0]
