"""Why an RNA has no result: from the status that a batch wrote, else from the logs of its jobs."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from rna_predict.errors import InputError
from rna_predict.formats.reading import read_text
from rna_predict.report.prediction import Missing

ERROR = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ERROR\s+(?P<text>.*\S)\s*$")
"""A line of the package's own log, as `cli.console` writes it."""

TAIL = 65536
"""Bytes at the end of a log that are looked through."""

LONGEST = 1000
"""Letters of a reason that are shown."""


def read_status(path: Path) -> dict[str, str]:
    """Reasons of the RNAs that failed, from a file `{id: {status, reason, seconds}}`.

    Raises:
        InputError: not such a file.
    """
    try:
        content = json.loads(read_text(path))
        return {str(id): str(row["reason"]) for id, row in content.items() if row["status"] == "failed"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: is no status file of this package ({error}). Remove it, or run again.") from error


def missing(id: str, logs: Path, reasons: Mapping[str, str]) -> Missing:
    """Say what is known of an RNA without a result.

    Args:
        id: its name.
        logs: the folder `logs/<id>` of its jobs; it need not be there.
        reasons: what status files say, by id: they come before logs.
    """
    found = [path for path in logs.glob("*.log*") if path.is_file()]
    found.sort(key=lambda path: (path.stat().st_mtime, path.name), reverse=True)
    error = next((stated for path in found if (stated := _last_error(id, path))), None)
    if id in reasons or error:
        stage, reason = error or ("", "")
        return Missing(id=id, stage=stage, reason=reasons.get(id, reason)[:LONGEST])
    if not found:
        return Missing(id=id, stage="", reason="Nothing of it was begun: there is no log.", failed=False)
    lines = [line.strip() for line in _tail(found[0]) if line.strip()]
    said = f"its log ends with: {lines[-1]}" if lines else "its log is empty: it is at work, or was killed."
    return Missing(id=id, stage=_job(found[0]), reason=f"No error is known; {said}"[:LONGEST], failed=False)


def _last_error(id: str, path: Path) -> tuple[str, str] | None:
    """The job and what it said, where its log states an error of this RNA or of the job as a whole."""
    errors = [match["text"] for line in _tail(path) if (match := ERROR.match(line))]
    return (_job(path), errors[-1].removeprefix(f"{id}: ").removeprefix("failed: ")) if errors else None


def _job(path: Path) -> str:
    return path.name.partition(".log")[0]


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - TAIL, 0))
        return file.read().decode("utf-8", errors="replace").splitlines()
