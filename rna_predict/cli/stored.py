"""One stage of many RNAs through the store: look each up, make those that are missing, say what became of each.

What a job of the workflow with `batches` runs. One RNA that fails is listed with its reason and the exit code stays 0,
as the others' results are good. What another attempt with more memory may mend (memory, disk, a process that was
killed) is not listed before the last attempt: the job then ends with exit code 1, and the next attempt finds in the
store all that was done.
"""

import errno
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rna_predict.cli.batch import Outcome, run_batch
from rna_predict.cli.console import LOG
from rna_predict.cli.store import (
    STAGE_FILES,
    Store,
    digest_of_package,
    digest_of_path,
    digest_of_settings,
    key_of,
)
from rna_predict.errors import ContractError, InputError, PredictionError

if TYPE_CHECKING:
    from rna_predict.cli.stage_files import StageFiles

Work = Callable[["StageFiles", Any], None]
"""One RNA: reads the files of earlier stages in its folder and writes this stage's beside them."""

KILLS = 2
"""An RNA whose process was killed this often is given up at the last attempt, so that the others go on."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM)

NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""What torch says, as a RuntimeError, where an allocation failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """What one command does to its RNAs."""

    stage: str
    ids: Sequence[str]
    config: Path | None = None
    """Resolved settings."""
    status: Path | None = None
    store: Path | None = None
    upstream: Path | None = None
    """Status of the stage before, which names the entries that this one reads; None for the first stage."""
    attempts_left: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    """By id, what else decides the result: letters, and the files that are its own."""


def run_stored(run: StageRun, load: Callable[[], Work]) -> None:
    """Do one stage of all RNAs of a job.

    Args:
        run: what to do.
        load: imports what the work needs and returns it; called only where the store lacks something.

    Raises:
        InputError: the command names no status.
        ContractError: the status of the stage before cannot be read or lacks an RNA.
        typer.Exit: always; code 1 where another attempt may mend what failed, else 0.
    """
    if run.store is None or run.status is None:
        raise InputError("--store: needs --status as well, a file for what became of each RNA.")
    store = Store(run.store)
    before = read_status(run.upstream, run.ids)
    lost = {name: row["reason"] for name, row in before.items() if row["status"] != "done"}
    settings = digest_of_settings(run.config)
    parts = {name: _parts(run, name, settings, before[name]["entries"]) for name in run.ids if name not in lost}
    keys = {name: key_of(found) for name, found in parts.items()}
    made = {name for name, key in keys.items() if store.find(run.stage, key)}
    left = [name for name in keys if name not in made]
    LOG.info("%s: %d of %d found in %s", run.stage, len(made), len(run.ids), run.store)
    outcomes, again = _make(run, store, left, keys, parts, before, load) if left else ([], [])
    if again and run.attempts_left:
        LOG.error("%d RNAs need another attempt: %s", len(again), ", ".join(again))
        raise typer.Exit(1)
    rows = {outcome.id: outcome for outcome in outcomes}
    rows |= {name: Outcome(id=name, status="done") for name in made}
    rows |= {name: Outcome(id=name, status="failed", reason=reason) for name, reason in lost.items()}
    _write(run.status, run, before, rows, keys, made)
    failed = [name for name in run.ids if rows[name].status == "failed"]
    for name in failed:
        LOG.error("%s: failed: %s", name, rows[name].reason)
    LOG.info("%s: %d of %d done, %d failed", run.stage, len(run.ids) - len(failed), len(run.ids), len(failed))
    raise typer.Exit(0)


def read_status(path: Path | None, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What became of each RNA in the stage before; all done and made from nothing where there is none.

    Raises:
        ContractError: no such file, no status, or an RNA is missing in it.
    """
    if path is None:
        return {name: {"status": "done", "entries": {}} for name in ids}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {name: rows[name] for name in ids}
    except (OSError, ValueError) as error:
        raise ContractError(f"{path}: cannot be read ({error}). Remove it and run again.") from error
    except KeyError as error:
        raise ContractError(f"{path}: lacks {error.args[0]}. Remove it and run again.") from error


def _parts(run: StageRun, name: str, settings: str, entries: Mapping[str, str]) -> dict[str, Any]:
    """What decides the entry of one RNA; files by what is in them."""
    facts = {
        what: digest_of_path(value) if isinstance(value, Path) else value
        for what, value in run.facts.get(name, {}).items()
    }
    ours = {"stage": run.stage, "id": name, "package": digest_of_package(), "settings": settings}
    return ours | {"facts": facts, "entries": dict(entries)}


def _make(
    run: StageRun,
    store: Store,
    left: Sequence[str],
    keys: Mapping[str, str],
    parts: Mapping[str, Mapping[str, Any]],
    before: Mapping[str, Mapping[str, Any]],
    load: Callable[[], Work],
) -> tuple[list[Outcome], list[str]]:
    """Make what is missing, those last whose process was killed before.

    Returns:
        What became of each, and which another attempt may mend.
    """
    from rna_predict.cli.stage_files import StageFiles
    from rna_predict.config import read_stage_config

    kills = {name: store.kills(run.stage, keys[name]) for name in left}
    again: list[str] = []
    settings: Any = read_stage_config(run.stage, run.config)
    work = load()
    with store.bench() as bench:

        def make(name: str) -> None:
            key, number = keys[name], kills[name]
            if number >= KILLS and not run.attempts_left:
                store.set_kills(run.stage, key, 0)
                raise PredictionError(f"its process was killed {number} times. Give it more memory or time.")
            folder = bench / name
            folder.mkdir()
            for stage, place in before[name]["entries"].items():
                for file in STAGE_FILES[stage]:
                    (folder / file).symlink_to((store.root / place / file).resolve())
            store.set_kills(run.stage, key, number + 1)
            try:
                work(StageFiles(bench, name), settings)
            except (MemoryError, OSError, RuntimeError) as error:
                if may_mend(error):
                    again.append(name)
                raise
            finally:
                store.set_kills(run.stage, key, number)
            store.put(run.stage, key, folder, parts[name])
            store.set_kills(run.stage, key, 0)

        outcomes = run_batch(sorted(left, key=kills.__getitem__), make, None, f"{run.stage} done")
    return outcomes, again


def may_mend(error: BaseException) -> bool:
    """Whether more memory or disk, or another machine, may do away with an error."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY)


def _write(
    path: Path,
    run: StageRun,
    before: Mapping[str, Mapping[str, Any]],
    rows: Mapping[str, Outcome],
    keys: Mapping[str, str],
    found: set[str],
) -> None:
    """Write the status: RNAs that were made in the order of the work, then the others."""
    from rna_predict.atomic import atomic_path

    table = {}
    for name, outcome in rows.items():
        row: dict[str, Any] = {"status": outcome.status, "reason": outcome.reason, "seconds": outcome.seconds}
        row["found"] = name in found
        if outcome.status == "failed" and outcome.id in keys:
            row["reason"] = f"{run.stage}: {outcome.reason}"
        entries = dict(before[name].get("entries", {}))
        if outcome.status == "done":
            entries[run.stage] = str(Store(Path()).place(run.stage, keys[name]))
        table[name] = row | {"entries": entries}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
