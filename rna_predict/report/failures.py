"""Why an RNA has no result: from the logs of its jobs."""

import re
from pathlib import Path

from rna_predict.report.outcome import Missing

DATED = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ERROR\s+"
ERROR = re.compile(rf"^(?:{DATED}|rna-predict: |(?=\S+: failed: ))(?P<text>.*\S)\s*$")
"""A line of the package's own log as `cli.console` writes it, what a command says that could not begin, and what a job
says that puts files of a batch in place."""

TRACEBACK = "Traceback (most recent call last):"
"""The last line after this one says what ended a job that had no time for a line of its own."""

TAIL = 65536
"""Bytes at the end of a log that are looked through."""

LONGEST = 1000
"""Letters of a reason that are shown."""


def missing(id: str, logs: Path) -> Missing:
    """Say what is known of an RNA without a result.

    Args:
        id: its name.
        logs: the folder `logs/<id>` of its jobs; it need not be there.
    """
    newest: dict[str, Path] = {}
    for path in sorted((path for path in logs.glob("*.log*") if path.is_file()), key=_age):
        newest[_job(path)] = path
    found = sorted(newest.values(), key=_age, reverse=True)
    error = next((stated for path in found if (stated := _last_error(id, path))), None)
    if error:
        return Missing(id=id, stage=error[0], reason=error[1][:LONGEST])
    if not found:
        return Missing(id=id, stage="", reason="Nothing of it was begun: there is no log.", failed=False)
    lines = _tail(found[0])
    said = f"its log ends with: {lines[-1]}" if lines else "its log is empty: it is at work, or was killed."
    return Missing(id=id, stage=_job(found[0]), reason=f"No error is known; {said}"[:LONGEST], failed=False)


def _last_error(id: str, path: Path) -> tuple[str, str] | None:
    """The job and what it said, where its log states an error of this RNA or of the job as a whole."""
    lines = _tail(path)
    errors = [match["text"] for line in lines if (match := ERROR.match(line))]
    if not errors and TRACEBACK in lines:
        errors = lines[-1:]
    return (_job(path), errors[-1].removeprefix(f"{id}: ").removeprefix("failed: ")) if errors else None


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _job(path: Path) -> str:
    return path.name.partition(".log")[0]


def _tail(path: Path) -> list[str]:
    """The last lines that say something."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - TAIL, 0))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]
