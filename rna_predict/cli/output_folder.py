"""The folder that a command writes results to: usable before any work begins, and held by one run at a time."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rna_predict.cli.console import LOG
from rna_predict.errors import InputError


def check_folder(out: Path) -> None:
    """Make the output folder and see that files can be written there, before any work.

    Raises:
        InputError: it is a file, or nothing can be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InputError(f"--out {out}: cannot write there ({error.strerror}). Name another folder.") from error


@contextmanager
def held_folder(out: Path) -> Iterator[None]:
    """Let one run at a time write to `out`; the kernel frees the lock when the process ends, however it ends.

    Raises:
        InputError: another run holds the folder.
    """
    handle = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"--out {out}: another run is writing there. Wait for it, or name another folder."
            ) from error
        except OSError as error:
            LOG.warning("%s: this file system has no locks (%s); run one at a time there", out, error.strerror)
        yield
    finally:
        os.close(handle)
