"""Ctrl-C in training: it ends training between two steps, so that what is kept and saved is never a step half taken."""

from __future__ import annotations

import contextlib
import signal
import threading
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
