"""What `rna-predict bench stage-a` compares: stage A with its settings, and ViennaRNA alone, in this process."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from rna_predict.cli.batch import FAILURES
from rna_predict.cli.console import LOG
from rna_predict.cli.stage_a_rows import BenchRow
from rna_predict.contracts import RnaSequence
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency

WARM_UP = "GGGGAAAACCCC"
"""Folded once before the clock starts: the first call of a method pays for imports and files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a method says of one RNA.

    Attributes:
        partner_L: integer [L], index of the paired residue or -1; no pair where it failed.
        seconds: wall time, or None where the method does not tell.
        cpu_seconds: of this process, or None where another one worked.
        how: what was done, in the method's words.
        hits: accessions of the families that it found.
        error: why there is no answer, else empty.
        probability_LL: float32 [L, L], where the method gives it.
    """

    partner_L: np.ndarray
    seconds: float | None
    cpu_seconds: float | None = None
    how: str = ""
    hits: tuple[str, ...] = ()
    error: str = ""
    probability_LL: np.ndarray | None = None

    @classmethod
    def failed(cls, length: int, error: str) -> "Answer":
        """No pair is predicted: a failure is scored as such, as leaving it out would flatter."""
        return cls(partner_L=np.full(length, -1, dtype=np.int32), seconds=None, error=" ".join(error.split())[:200])


class Method(Protocol):
    """One way to predict."""

    @property
    def name(self) -> str:
        """What its figures are called."""
        ...

    def answers(self, rows: Sequence[BenchRow]) -> Iterator[Answer]:
        """An answer for each row, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageA:
    """Stage A as the workflow runs it.

    Attributes:
        name: what its figures are called.
        across: settings for rows whose family is held out.
        within: settings for the other rows.
        probabilities: whether answers carry the probabilities.
    """

    name: str
    across: StageAConfig
    within: StageAConfig
    probabilities: bool = False

    def answers(self, rows: Sequence[BenchRow]) -> Iterator[Answer]:
        """An answer for each row, in order."""
        for config in (self.across, self.within):
            self._answer(WARM_UP, config)
        for row in rows:
            yield timed(row, partial(self._answer, config=self.across if row.across else self.within))

    def _answer(self, letters: str, config: StageAConfig) -> Answer:
        adjacency = predict_adjacency(RnaSequence(id="query", sequence=letters), config)
        return Answer(
            partner_L=adjacency.partner_L,
            seconds=None,
            how=adjacency.provenance.method,
            hits=tuple(found.accession for found in adjacency.families),
            probability_LL=adjacency.probability_LL if self.probabilities else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Vienna:
    """ViennaRNA's library with its own defaults, and nothing of ours.

    Attributes:
        name: what its figures are called.
        mea: read by maximum expected accuracy (γ = 1), else of minimum free energy.
    """

    name: str
    mea: bool

    def answers(self, rows: Sequence[BenchRow]) -> Iterator[Answer]:
        """An answer for each row, in order."""
        self._answer(WARM_UP)
        for row in rows:
            yield timed(row, self._answer)

    def _answer(self, letters: str) -> Answer:
        import RNA

        compound = RNA.fold_compound(letters)
        structure, energy = compound.mfe()
        if self.mea:
            compound.exp_params_rescale(energy)
            compound.pf()
            structure = compound.MEA()[0]
        return Answer(partner_L=from_dot_bracket(structure), seconds=None, how=f"ViennaRNA {RNA.__version__}")


def timed(row: BenchRow, work: Callable[[str], Answer]) -> Answer:
    """The answer with its times; one that fails is logged and says why."""
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
        answer = work(row.row.sequence)
    except FAILURES as error:
        LOG.warning("%s: failed: %s", row.row.id, error)
        return Answer.failed(row.row.length, f"{type(error).__name__}: {error}")
    return replace(answer, seconds=time.perf_counter() - start, cpu_seconds=time.process_time() - cpu_start)
