"""Run a command in a child process and kill it: at a moment, or at the very step where a file gets its name."""

import os
import signal
import sys
import time
from pathlib import Path

from rna_predict.cli.main import main


def child(words: list[str], at_rename: int | None = None) -> int:
    """Start `rna-predict words` in a fork of this process, where everything is imported already; returns its pid.

    Args:
        words: the command line.
        at_rename: kill it by its own hand before the file of this number gets its name; None lets it run.
    """
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    if at_rename is not None:
        _kill_at(at_rename)
    sys.argv = ["rna-predict", *words]
    try:
        main()
    except SystemExit as stop:
        os._exit(stop.code or 0)
    finally:
        os._exit(70)


def _kill_at(number: int) -> None:
    real, calls = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, target)

    Path.replace = replace


def ended(pid: int) -> int:
    """The exit code of a child; minus the signal's number where one ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_after(words: list[str], seconds: float) -> int:
    """Kill the command after so many seconds; returns how it ended, as it may have been done before."""
    pid = child(words)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return ended(pid)
