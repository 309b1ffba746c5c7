"""How many threads numerical work may use."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread inside the block. Waiting threads keep their cores busy: beside other work, several are ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def one_thread_here() -> None:
    """Let torch use one thread in the calling thread, and as many as before in all other threads, also in new ones."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    setter = threading.Thread(target=torch.set_num_threads, args=(before,))  # new threads start with the number that was set last
    setter.start()
    setter.join()
