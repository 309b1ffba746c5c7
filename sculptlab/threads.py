"""The number of threads that numerical work may use."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

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


_one_blas_thread = Shared(partial(threadpool_limits, limits=1, user_api="blas"))


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch, BLAS and OpenMP to one thread: on small arrays and shared cores, several can be ten times slower.

    The limits of torch and OpenMP hold in the calling thread. BLAS has one limit for the whole process, which ends with the last
    of the threads that are in this context.
    """
    before = set_torch_threads_here(1)
    try:
        with threadpool_limits(limits=1, user_api="openmp"), _one_blas_thread:
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
