"""The number of threads that numerical work may use."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

T = TypeVar("T")
R = TypeVar("R")
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


def map_in_threads(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """`function` of each item, in their order, computed by as many threads as torch may use here, each on its own.

    Between two operations of torch its threads wait for each other; on shared cores this takes several times longer.
    """
    threads = min(torch.get_num_threads(), len(items))
    if threads < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads, initializer=use_one_thread_here) as pool:
        yield from pool.map(function, items)
