"""How many threads a command may use, set before numpy and torch are imported, as their pools read it only then."""

import os

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def set_threads(threads: int, torch_too: bool = True) -> None:
    """Limit OpenMP, BLAS and, where the command will use it, torch to `threads`.

    Args:
        threads: at least 1.
        torch_too: False for commands that must not import torch (stage A, evaluation).
    """
    for name in POOLS:
        os.environ[name] = str(threads)
    if torch_too:
        import torch

        torch.set_num_threads(threads)
