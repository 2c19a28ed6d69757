"""Many RNAs in one command: each on its own, failures listed with their reason at the end."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rna_predict.cli.console import LOG, steps
from rna_predict.errors import RnaPredictError

FAILURES = (
    RnaPredictError,
    OSError,
    MemoryError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
)
"""What may end one RNA without ending the others: our own errors, the machine's, what numpy, torch and ViennaRNA raise,
and faults of the program, which are logged with their traceback. Only a request to stop ends the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one RNA."""

    id: str
    status: str
    """`done` or `failed`."""
    reason: str = ""
    seconds: float = 0.0


class Pace:
    """Writes a table that grows with each RNA so rarely that it takes a twentieth of the time at most.

    With few RNAs that is after each of them; with 100,000 a table of some MB is not written 100,000 times.
    """

    def __init__(self) -> None:
        self._due = 0.0

    def write(self, call: Callable[[], None]) -> None:
        """Write now."""
        start = time.monotonic()
        call()
        end = time.monotonic()
        self._due = end + 20 * (end - start)

    def write_when_due(self, call: Callable[[], None]) -> None:
        """Write, unless it was written too short a while ago."""
        if time.monotonic() >= self._due:
            self.write(call)


def run_batch(
    ids: Sequence[str], work: Callable[[str], None], status: Path | None = None, verb: str = "done"
) -> list[Outcome]:
    """Call `work` for each id, whatever happens to the others.

    Args:
        ids: in order.
        work: does one RNA and writes its files; raising one of `FAILURES` fails this RNA only.
        status: JSON file `{id: {status, reason, seconds}}`, rewritten as the RNAs are done (see `Pace`) and at the end.
        verb: what the log says of a success.
    """
    outcomes: list[Outcome] = []
    pace = Pace()
    try:
        with steps(len(ids)) as progress:
            for name in ids:
                progress.now(name)
                outcomes.append(attempt(name, work, verb))
                progress.done()
                if status is not None:
                    pace.write_when_due(partial(write_status_json, status, outcomes))
    finally:
        if status is not None:
            write_status_json(status, outcomes)
    return outcomes


def attempt(name: str, work: Callable[[str], None], verb: str) -> Outcome:
    """Run `work(name)`, log how it went, and return the outcome."""
    start = time.perf_counter()
    try:
        work(name)
    except FAILURES as error:
        reason = one_line(error)
        expected = isinstance(error, (RnaPredictError, OSError, MemoryError))
        LOG.error("%s: failed: %s", name, reason, exc_info=None if expected else error)
        return Outcome(id=name, status="failed", reason=reason, seconds=round(time.perf_counter() - start, 3))
    seconds = round(time.perf_counter() - start, 3)
    LOG.info("%s: %s (%.1f s)", name, verb, seconds)
    return Outcome(id=name, status="done", seconds=seconds)


def one_line(error: BaseException) -> str:
    """The message without line breaks; for foreign errors with the type's name."""
    text = " ".join(str(error).split())
    return text if isinstance(error, RnaPredictError) and text else f"{type(error).__name__}: {text}"


def write_status_json(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write all outcomes so far, whole or not at all."""
    from rna_predict.contracts import atomic_path

    rows = {outcome.id: {k: v for k, v in asdict(outcome).items() if k != "id"} for outcome in outcomes}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """1 when an RNA failed, else 0; the failures are listed once more, so that they stand at the end of the log."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed and len(outcomes) > 1:
        LOG.error("%d of %d failed:", len(failed), len(outcomes))
        for outcome in failed:
            LOG.error("  %s: %s", outcome.id, outcome.reason)
    return 1 if failed else 0
