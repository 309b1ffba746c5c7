"""The number of threads that numerical work may use."""

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import islice
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

T = TypeVar("T")
R = TypeVar("R")

_changing = threading.Lock()


class Shared:
    """A context of the whole process: the first thread that enters it begins it, the last one that leaves it ends it."""

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        self._make, self._lock, self._inside, self._end = make, threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._end.enter_context(self._make())
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._end.close()


@contextmanager
def _limit_blas() -> Iterator[None]:
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    # In threadpoolctl 3.7 and later, `set_num_threads` does nothing in all threads but one, which need not be this one.
    change = [getattr(library, "_real_set_num_threads", library.set_num_threads) for library in libraries]
    before = [library.num_threads for library in libraries]
    for limit in change:
        limit(1)
    try:
        yield
    finally:
        for limit, number in zip(change, before, strict=True):
            limit(number)


_one_blas_thread = Shared(_limit_blas)
_warning_filters = Shared(warnings.catch_warnings)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch, BLAS and OpenMP to one thread: on small arrays and shared cores, several can be ten times slower.

    The limits of torch and OpenMP hold in the calling thread. BLAS has one limit for the whole process, which ends with the last
    of the threads that are in this context. So does any change of the warning filters, as scikit-learn makes them.
    """
    own_filters = getattr(sys.flags, "context_aware_warnings", False)  # since Python 3.14 each thread may have its own
    before = set_torch_threads_here(1)
    try:
        openmp = ThreadpoolController().select(user_api="openmp").limit(limits=1)
        with openmp, _one_blas_thread, warnings.catch_warnings() if own_filters else _warning_filters:
            yield
    finally:
        set_torch_threads_here(before)


def set_torch_threads_here(number: int) -> int:
    """Limit torch to `number` threads in the calling thread, and return the limit before.

    All other threads, also new ones, keep theirs.
    """
    with _changing:
        before = torch.get_num_threads()
        if number != before:
            with ThreadPoolExecutor(1) as new:  # a new thread takes the number that any thread set last
                future = new.submit(torch.get_num_threads).result()
                torch.set_num_threads(number)
                new.submit(torch.set_num_threads, future).result()
    return before


def on_all_cores(function: Callable[[T, int], R], items: Iterable[T]) -> Iterator[R]:
    """`function(item, number)` of each item, in order; a thread for each core, in which torch has one thread.

    No more items are made ahead than there are cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    numbered = enumerate(items)

    def run(number: int, item: T) -> R:
        before = set_torch_threads_here(1)
        try:
            return function(item, number)
        finally:
            set_torch_threads_here(before)

    with ThreadPoolExecutor(cores) as pool:
        while group := [pool.submit(run, number, item) for number, item in islice(numbered, cores)]:
            for future in group:
                yield future.result()
