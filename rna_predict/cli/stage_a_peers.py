"""Other programs that `rna-predict bench stage-a` runs beside stage A, where they are installed.

Each is run as a command, in its own process: found on PATH, beside this Python, or as a module that this Python can
import. One that is not there, or that fails on a small hairpin, is named with its reason in the output. What such a
program was trained on is its own affair: families that are held out here may have trained it.
"""

import csv
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from rna_predict.cli.stage_a_methods import WARM_UP, Answer
from rna_predict.cli.stage_a_rows import BenchRow
from rna_predict.errors import InputError, PredictionError

CHUNK = 25
"""Sequences that a command is given at once."""

T = TypeVar("T")

Found = list[tuple[np.ndarray, float | None]]
"""Partners of each sequence, integer [L] with -1 for none, and its seconds where they are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How another program is called.

    Attributes:
        name: what its figures are called.
        executable: its command.
        module: what this Python may import instead.
        entry: code that runs the module as the command does.
        run: folds sequences with a command in a folder; partners and seconds of each.
    """

    name: str
    executable: str
    module: str
    entry: str
    run: Callable[[list[str], Sequence[str], Path], Found]

    def command(self) -> list[str]:
        """The words that start it.

        Raises:
            InputError: it is not installed.
        """
        beside = Path(sys.executable).parent / self.executable
        found = shutil.which(self.executable) or (str(beside) if beside.is_file() else None)
        if found:
            return [found]
        if importlib.util.find_spec(self.module) is not None:
            return [sys.executable, "-c", self.entry]
        raise InputError(f"not installed: no command {self.executable} on PATH, no module {self.module}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An installed program that has folded a hairpin.

    Attributes:
        program: which.
        command: the words that start it.
    """

    program: Program
    command: list[str]

    @classmethod
    def find(cls, program: Program) -> "Peer":
        """Look for it and try it.

        Raises:
            InputError: it is not installed.
            PredictionError: it fails, with the last line that it said.
        """
        peer = cls(program=program, command=program.command())
        peer.fold([WARM_UP])
        return peer

    @property
    def name(self) -> str:
        """What its figures are called."""
        return self.program.name

    def fold(self, sequences: Sequence[str]) -> Found:
        """Partners and seconds of each sequence.

        Raises:
            PredictionError: it failed, or did not answer all.
        """
        with tempfile.TemporaryDirectory() as folder:
            found = self.program.run(self.command, sequences, Path(folder))
        for letters, (partner_L, _) in zip(sequences, found, strict=True):
            if len(partner_L) != len(letters):
                raise PredictionError(f"{self.name}: an answer of {len(partner_L)} residues for {len(letters)}")
        return found

    def answers(self, rows: Sequence[BenchRow]) -> Iterator[Answer]:
        """An answer for each row, in order; where a chunk fails, its rows are tried one by one."""
        sequences = [row.row.sequence for row in rows]
        for start in range(0, len(sequences), CHUNK):
            chunk = sequences[start : start + CHUNK]
            try:
                found = self.fold(chunk)
            except PredictionError:
                yield from (self._single(letters) for letters in chunk)
                continue
            yield from (self._answer(partner_L, seconds) for partner_L, seconds in found)

    def _single(self, letters: str) -> Answer:
        try:
            [(partner_L, seconds)] = self.fold([letters])
        except PredictionError as error:
            return Answer.failed(len(letters), str(error))
        return self._answer(partner_L, seconds)

    def _answer(self, partner_L: np.ndarray, seconds: float | None) -> Answer:
        return Answer(partner_L=partner_L, seconds=seconds, how=self.name)


def run_mxfold2(command: list[str], sequences: Sequence[str], folder: Path) -> Found:
    """MXfold2 (Sato, Akiyama, Sakakibara 2021): bpseq on its output, with the seconds of each sequence.

    Raises:
        PredictionError: it failed, or did not answer all.
    """
    (folder / "in.fa").write_text("".join(f">s{n}\n{letters}\n" for n, letters in enumerate(sequences)))
    text = _output([*command, "predict", "--bpseq", "stdout", "in.fa"], folder)
    found: dict[str, tuple[list[int], float]] = {}
    partners: list[int] = []
    for line in text.splitlines():
        if header := re.fullmatch(r"# (s\d+) \(s=\S+, ([\d.]+)s\)", line):
            partners = []
            found[header[1]] = (partners, float(header[2]))
        elif row := re.fullmatch(r"\d+\t[A-Za-z]\t(\d+)", line):
            partners.append(int(row[1]) - 1)
    return [(np.array(partners, dtype=np.int32), seconds) for partners, seconds in _in_order(found, len(sequences))]


def run_sincfold(command: list[str], sequences: Sequence[str], folder: Path) -> Found:
    """SincFold (Bugnon et al. 2024): a table of pairs; seconds are the run's mean, its start-up included.

    Raises:
        PredictionError: it failed (its weights are fetched at the first run), or did not answer all.
    """
    (folder / "in.csv").write_text("id,sequence\n" + "".join(f"s{n},{one}\n" for n, one in enumerate(sequences)))
    longest = str(max(len(letters) for letters in sequences))
    start = time.perf_counter()
    _output([*command, "-j", "0", "-batch", "1", "--max-length", longest, "pred", "in.csv", "-o", "out.csv"], folder)
    seconds = (time.perf_counter() - start) / len(sequences)
    if not (folder / "out.csv").is_file():
        raise PredictionError("sincFold wrote no table")
    found: dict[str, np.ndarray] = {}
    with (folder / "out.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            partner_L = np.full(len(row["sequence"]), -1, dtype=np.int32)
            for i, j in json.loads(row["base_pairs"]):
                partner_L[i - 1], partner_L[j - 1] = j - 1, i - 1
            found[row["id"]] = partner_L
    return [(partner_L, seconds) for partner_L in _in_order(found, len(sequences))]


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            name="mxfold2",
            executable="mxfold2",
            module="mxfold2",
            entry="from mxfold2.__main__ import main; main()",
            run=run_mxfold2,
        ),
        Program(
            name="sincfold",
            executable="sincFold",
            module="sincfold",
            entry="from sincfold import main; main()",
            run=run_sincfold,
        ),
    )
}


def _output(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise PredictionError(f"{Path(command[0]).name} ended with {done.returncode}: {lines[-1][:200]}")
    return done.stdout


def _in_order(found: dict[str, T], count: int) -> list[T]:
    if len(found) != count:
        raise PredictionError(f"{len(found)} answers for {count} sequences")
    return [found[f"s{number}"] for number in range(count)]
