"""How many threads a command may use, set before numpy and torch are imported, as their pools read it only then."""

import os
import sys

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def set_threads(threads: int) -> None:
    """Limit OpenMP, BLAS and torch to `threads`.

    Torch is not imported here, as some stages never need it: it takes its number from OMP_NUM_THREADS when it is
    imported, and is told here where it is there already.
    """
    for name in POOLS:
        os.environ[name] = str(threads)
    # Threads that spin while they wait take the cores that other jobs need: on a busy machine two were slower than one.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
