"""How much memory this process holds, as Linux tells it."""

import ctypes
import gc
from pathlib import Path

from rna_predict.errors import PredictionError


def resident_mb(*, reset: bool) -> float:
    """Highest resident set of this process in MB, since the last reset; with `reset`, of this moment.

    Before a reset, memory that was freed goes back to the system: a run that took its temporaries from what earlier
    work left behind would seem to need none.

    Raises:
        PredictionError: the system does not tell (Linux with glibc does).
    """
    try:
        if reset:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except (OSError, AttributeError) as error:
        raise PredictionError(f"peak memory is read from /proc/self, as on Linux: {error}") from error
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
