"""The number of threads that numerical work may use."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

_changing = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch, BLAS and OpenMP to one thread: on small arrays and shared cores, several can be ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def use_one_thread_here() -> None:
    """Limit torch to one thread in the calling thread; all others, also future ones, keep their number."""
    with _changing:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        restorer = threading.Thread(target=torch.set_num_threads, args=(before,))  # new threads take the number set last
        restorer.start()
        restorer.join()
