"""How many threads numerical work may use."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


@contextmanager
def one_thread() -> Iterator[None]:
    """A team of threads spins while it waits, and where other work shares the cores that is ten times slower than one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def alone() -> None:
    """Let torch work with one thread in the calling thread, and with as many as before in all others, future ones too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    keeper = threading.Thread(target=torch.set_num_threads, args=(before,))  # new threads start with what was set last
    keeper.start()
    keeper.join()
