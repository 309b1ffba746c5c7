"""Ctrl-C in training, and SIGTERM: they end it between two steps, so that what is kept and saved is never a step half taken."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Interrupts:
    """Inside this context Ctrl-C sets `pending`, for a loop to look at between its steps; a second Ctrl-C acts at once.

    Python sends Ctrl-C to the main thread alone, so this changes nothing in others, nor where a handler of the caller's own is
    set. Before the context ends, the handler is put back.
    """

    def __init__(self) -> None:
        self.pending = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if before is signal.default_int_handler or self._outer(before):
                with contextlib.suppress(ValueError):  # of an interpreter inside another
                    signal.signal(signal.SIGINT, self._note)
                    self._before = before
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if outer := self._outer(self._before):  # of a training whose callback has begun this one
            outer.pending = True
        if self.pending:
            raise KeyboardInterrupt
        self.pending = True

    @staticmethod
    def _outer(handler: Any) -> Interrupts | None:
        owner = getattr(handler, "__self__", None)
        return owner if isinstance(owner, Interrupts) else None


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Inside this context SIGTERM, by which torchrun and Slurm end a process, ends training as Ctrl-C does; outside it, at once.

    torchrun sends it when another process has ended: without this, the message and the checkpoint of this one would be lost.
    """

    def end(number: int, frame: FrameType | None) -> None:
        owner = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
        if not isinstance(owner, Interrupts):
            raise KeyboardInterrupt
        owner.pending = True  # torchrun may send it after a Ctrl-C, which reaches all processes: no second one that acts at once

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
