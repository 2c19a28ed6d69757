"""Results of stages A, B and C for many chains ahead of training, in one process or several."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rna_predict.data.dataset import ChainDataset, open_dataset
from rna_predict.data.stage_results import StageResultsStore
from rna_predict.errors import ConfigError, InputError, RnaPredictError

logger = logging.getLogger(__name__)

FOUND, MADE, FAILED = "found", "made", "failed"
FAULTS = (MemoryError, ArithmeticError, LookupError, RuntimeError, ValueError, TypeError, AttributeError)
"""What may end one chain without ending the others, logged with its traceback; a disk that is full ends all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What became of one chain.

    Attributes:
        id: the chain.
        pairs: whose base pairs.
        status: `found`, `made`, or `failed`. What stage C cannot build is found or made, only without coordinates.
        failure: why there are no coordinates, or with `failed` no result at all.
        seconds: that it took.
    """

    id: str
    pairs: str
    status: str
    failure: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What to make, and how.

    Attributes:
        pairs: sources of pairs, each of `stage_results.PAIR_SOURCES`.
        coordinates: whether stage C runs.
        processes: that share the work.
        begin: called first in each process but this one, where there are several; sets up its log.
    """

    pairs: tuple[str, ...]
    coordinates: bool = True
    processes: int = 1
    begin: Callable[[], None] | None = None


def fill_store(
    dataset: ChainDataset,
    ids: Sequence[str],
    store: StageResultsStore,
    filling: Filling,
    advance: Callable[[Filled], None] = lambda one: None,
) -> list[Filled]:
    """Make what the store lacks of these chains, longest first, so that no process waits long at the end.

    Each result is on disk when `advance` is told of it; a stopped run goes on with what is missing.

    Args:
        dataset: has the chains.
        ids: of the chains.
        store: where results go.
        filling: what to make.
        advance: is told of each chain and source of pairs.

    Raises:
        ConfigError: an unknown source of pairs.
        InputError: a process was killed.
        OSError: the store cannot be written.
    """
    for pairs in filling.pairs:
        store.path("any", pairs)
    length = dict(zip(dataset.ids, dataset.length_N.tolist(), strict=True))
    order = sorted(ids, key=lambda id: -length[id])
    tasks = [(id, pairs) for id in order for pairs in filling.pairs]
    filled = []
    for one in _results(dataset, tasks, store, filling):
        filled.append(one)
        advance(one)
    return filled


def _results(
    dataset: ChainDataset, tasks: Sequence[tuple[str, str]], store: StageResultsStore, filling: Filling
) -> Iterator[Filled]:
    """What becomes of each task, as it is done."""
    if filling.processes == 1:
        for id, pairs in tasks:
            yield _fill(dataset, id, pairs, store, filling.coordinates)
        return
    if filling.processes < 1:
        raise ConfigError(f"processes: {filling.processes}; at least 1.")
    context = multiprocessing.get_context("spawn")  # lancedb and torch run threads, which a fork would leave behind
    pool = ProcessPoolExecutor(filling.processes, context, begin_process, (filling.begin,))
    try:
        futures: list[Future[Filled]] = [
            pool.submit(_fill_elsewhere, dataset.folder, id, pairs, store, filling.coordinates) for id, pairs in tasks
        ]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a process that ran the stages was killed, perhaps for lack of memory. What is done is kept: start again, "
            "with fewer --processes."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _fill(dataset: ChainDataset, id: str, pairs: str, store: StageResultsStore, coordinates: bool) -> Filled:
    start = time.perf_counter()
    try:
        results = store.get(dataset.get(id), pairs, coordinates=coordinates)
        status, failure = MADE if results.made else FOUND, results.failure
    except RnaPredictError as error:
        status, failure = FAILED, str(error)
    except FAULTS as error:
        logger.error("%s, %s pairs: %s", id, pairs, type(error).__name__, exc_info=error)
        status, failure = FAILED, f"{type(error).__name__}: {error}"
    seconds = round(time.perf_counter() - start, 3)
    return Filled(id=id, pairs=pairs, status=status, failure=" ".join(failure.split()), seconds=seconds)


def _fill_elsewhere(folder: Path, id: str, pairs: str, store: StageResultsStore, coordinates: bool) -> Filled:
    return _fill(_opened(folder), id, pairs, store, coordinates)


@lru_cache(maxsize=1)
def _opened(folder: Path) -> ChainDataset:
    """The dataset, opened once by each process."""
    return open_dataset(folder)


def begin_process(begin: Callable[[], None] | None = None) -> None:
    """In a new process: end at once on Ctrl-C, and with the process that started it however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
