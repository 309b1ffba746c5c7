"""The Sculptor's one thread: it alone moves the engine while it lives, and it lives only while there is something to do."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sculptlab import threads
from sculptlab.live.sculptor_engine import Engine
from sculptlab.live.sculptor_frames import wished
from sculptlab.live.sculptor_priors import NothingPaintedError

FRAME = 1 / 16  # seconds between two frames, at least; twice what a frame costs, on a machine that is busy otherwise …
SLOWEST = 0.25  # … but not more than this
SLOW = 0.4  # seconds a step takes in slow motion
SETTLED = 0.25  # seconds after the last change at which the slow numbers are measured again
LINGER = 1.0  # seconds a thread waits for work before it ends
AHEAD = 2  # frames sent and not yet seen, before the next ones wait
UNSEEN = 1.0  # seconds between frames that nobody has seen
ALONE = 20.0  # seconds without a sign from a page, after which training is paused; a reload takes less

_living: weakref.WeakSet[Worker] = weakref.WeakSet()


class Turns:
    """A lock that is passed on in the order of asking: a loop that takes it again at once cannot starve others."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._next = self._serving = 0

    def __enter__(self) -> None:
        with self._moved:
            mine, self._next = self._next, self._next + 1
            while self._serving != mine:
                self._moved.wait()

    def __exit__(self, *error: object) -> None:
        with self._moved:
            self._serving += 1
            self._moved.notify_all()


class Worker:
    """Plays, pauses, steps and changes an engine in a thread of its own, and shows a frame at most sixteen times a second.

    show    called in the worker's thread with (engine, settled) whenever something new is to be seen.

    `ask` may be called from any thread and only notes what is wanted: "changes" (as a page words them), "reset" (False: with the
    same seed, True: with the next one), "playing", "slow", "steps" (so many single ones), "after" (a function of the engine,
    called last); nothing: a frame. Each start has a run id; a loop whose id is no longer the newest ends
    at its next step.
    """

    def __init__(self, engine: Engine, show: Callable[[Engine, bool], None]) -> None:
        self._engine, self._show = engine, show
        self.playing, self.slow = False, False
        self._waits = False  # it would play, were there a target
        self.error: Exception | None = None
        self._turns, self._wake = Turns(), threading.Condition()
        self._wanted: list[dict[str, Any]] = []
        self._run_id = 0
        self._thread: threading.Thread | None = None
        self._closed = False
        self._sent = self._seen = 0
        self._sign = time.monotonic()
        _living.add(self)

    def ask(self, **wanted: Any) -> None:
        """Note what is wanted, and see to it that somebody does it."""
        with self._wake:
            if self._closed:
                return
            self._sign = time.monotonic()
            self._wanted.append(wanted)
            if self._thread is None:
                self._run_id += 1
                self._thread = threading.Thread(target=self._live, args=(self._run_id,), name="sculptor", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def seen(self, frame: int) -> None:
        """A page has received this frame."""
        with self._wake:
            self._seen, self._sign = max(self._seen, frame), time.monotonic()
            self._wake.notify_all()

    def sent(self) -> int:
        """The number of the frame that is being sent."""
        self._sent += 1
        return self._sent

    @contextmanager
    def visit(self) -> Iterator[Engine]:
        """The engine, for the calling thread alone, between two steps."""
        with self._turns:
            yield self._engine

    def stop(self) -> None:
        """Pause, and wait until the thread has ended."""
        with self._wake:
            self._run_id += 1
            self.playing = self._waits = False
            self._wanted.clear()
            thread, self._thread = self._thread, None
            self._wake.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(10)
            self.playing = self._waits = False  # whatever it did last

    def close(self) -> None:
        """Stop for good, and let the engine go."""
        with self._wake:
            if self._closed:
                return
            self._closed = True
        self.stop()
        del self._engine

    def _live(self, run_id: int) -> None:
        try:
            threads.one_thread_here()
            self._loop(run_id)
        except Exception as error:  # a thread's traceback reaches nobody: kept to be raised where someone looks
            self.error = error
        finally:
            with self._wake:
                if run_id == self._run_id:
                    self._thread, self.playing = None, False

    def _loop(self, run_id: int) -> None:
        self._due = self._changed = self._shown = self._cost = 0.0
        dirty = unsettled = False
        while True:
            with self._wake:
                if run_id != self._run_id:
                    return
                if not self._wanted and not self._pause_for(run_id, dirty, unsettled):
                    return
                if run_id != self._run_id:
                    return
                wanted, self._wanted = self._wanted, []
            with self._turns:
                for one in wanted:
                    dirty, unsettled = True, self._do(one) or unsettled
                now = time.monotonic()
                if self.playing and now >= self._due:
                    self._due = now + SLOW if self.slow else now
                    if not self._engine.advance() or self._abandoned(now):
                        self.playing = False  # never True from here: `stop` may have been called during the step
                    dirty = True
                settled = now - self._changed > SETTLED
                if (dirty or (unsettled and settled)) and self._may_show(now, bool(wanted)):
                    self._shown, dirty = now, False
                    unsettled = unsettled and not settled
                    self._show(self._engine, settled)
                    self._cost = time.monotonic() - now

    def _pause_for(self, run_id: int, dirty: bool, unsettled: bool) -> bool:
        """Wait, under the lock, until there is something to do; False if the thread is no longer needed."""
        now = time.monotonic()
        if self.playing:
            if self._due > now:
                self._wake.wait(min(self._due - now, FRAME) if dirty else self._due - now)
            return True
        if dirty or unsettled:
            self._wake.wait(FRAME)
            return True
        woken = self._wake.wait_for(lambda: bool(self._wanted) or run_id != self._run_id, LINGER)
        if not woken:
            self._thread = None
        return woken

    def _may_show(self, now: float, asked: bool) -> bool:
        """Whether a frame is due: at once for what a hand did, else on a clock, and not faster than the page takes them."""
        waiting = self._sent - self._seen
        if waiting >= (2 * AHEAD if asked else AHEAD):
            return now - self._shown >= UNSEEN
        return asked or now - self._shown >= max(FRAME, min(2 * self._cost, SLOWEST))

    def _abandoned(self, now: float) -> bool:
        if now - self._sign < ALONE:
            return False
        self._engine.notice = (
            f"Paused: no page has answered for {ALONE:.0f} s (closed, or the kernel was busy). Press Play to go on."
        )
        return True

    def _do(self, wanted: dict[str, Any]) -> bool:
        """One thing that was asked for; whether the slow numbers have to be measured again."""
        engine = self._engine
        if "slow" in wanted:
            self.slow, self._due = bool(wanted["slow"]), 0.0
        if "playing" in wanted:
            self._waits = bool(wanted["playing"]) and engine.blank
            self.playing = bool(wanted["playing"]) and not (engine.broken or engine.blank)
        if (self.playing or "steps" in wanted) and not (engine.broken or engine.blank or engine.refused):
            engine.notice = ""  # what was refused, or why it was paused, is over with the next step
        for _ in range(int(wanted.get("steps", 0))):
            self.playing = False
            engine.advance()
        try:
            if "changes" in wanted:
                engine.change(**wished(wanted["changes"]))
            if "reset" in wanted:
                engine.reset(engine.settings.seed + 1 if wanted["reset"] else None)
        except NothingPaintedError:
            engine.wipe()
            self.playing, self._waits = False, self.playing or self._waits
        except Exception as error:  # said on the widget: of a reader's own prior it may be any kind
            engine.notice = f"{error}"
        if engine.broken:
            self.playing = False
        if self._waits and not engine.blank:
            self.playing, self._waits = not engine.broken, False
        if "after" in wanted:
            wanted["after"](engine)
        moved = "changes" in wanted or "reset" in wanted
        if moved:
            self._changed = time.monotonic()
        return moved


@atexit.register
def _stop_all() -> None:
    """A thread inside torch while the interpreter is taken down ends in a crash."""
    for worker in list(_living):
        worker.close()
