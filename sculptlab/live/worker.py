"""The thread of a widget: it trains a model, applies changes and sends frames, and lives only while there is something to do."""

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import pandas as pd

from sculptlab.threads import set_torch_threads_here
from sculptlab.validation import SEEDS

FRAME_SECONDS = 1 / 16  # between two frames at least; twice what a frame costs, where that is more, up to 0.25
SLOW_STEP_SECONDS = 0.4  # a step in slow motion
SETTLED_SECONDS = 0.25  # after the last change, before LPS and the null band are measured again
LINGER_SECONDS = 1.0  # an idle thread waits before it ends
END_SECONDS = 10.0  # that `stop` waits for the thread, which may be in a step or fit a map
STEPS_AT_ONCE = 20  # single steps that one request may ask for; nothing else is done during them
FRAMES_AHEAD = 2  # frames that may be sent before the page has seen them
UNSEEN_SECONDS = 1.0  # between frames that the page does not confirm
ABANDONED_SECONDS = 20.0  # without a sign of the page, before training is paused; reloading the page takes less
ABANDONED_NOTICE = "Paused: no page has answered for {:.0f} s (closed, or the kernel was busy). Press Play to go on."


class LiveEngine(Protocol):
    """What a widget trains: models, settings with a seed, a history, and what is said about them."""

    settings: Any
    notice: str  # what is wrong, or ""
    error: Exception | None  # what stopped training until a reset
    refused: Exception | None  # why what was given from Python cannot be used
    blank: bool  # whether no step can be taken

    @property
    def history(self) -> pd.DataFrame:
        """A row for each time of measurement."""

    def begin(self) -> None:
        """Take the steps after which a run is first shown."""

    def advance(self) -> bool:
        """Take one step; False, with a notice, if that is not possible."""

    def run(self, steps: int) -> pd.DataFrame:
        """Take `steps` steps and return the history; an error is kept in `error`."""

    def change(self, **changes: Any) -> None:
        """Take other settings from the next step on."""

    def reset(self, seed: int | None = None) -> None:
        """Begin again."""


class Worker:
    """Trains and changes an engine in a thread of its own, and shows a frame at most sixteen times a second.

    `show(engine, settled)` is called in that thread when there is something new to show, `follow(engine, changes)` to take what a
    page has changed. `request` may be called from any thread. Each thread has an id; one whose id is no longer the newest ends at
    its next step. Others use the engine inside `with worker.entrance, worker.lock`: the loop waits at the entrance, so that it
    cannot take the lock again before them. Only locks of the interpreter's own are safe there. An interrupt (Ctrl-C) between the
    last line of an `__enter__` in Python and the body of the `with` statement would leave the lock taken for good.
    """

    def __init__(self, engine: Any, show: Callable[[Any, bool], None], follow: Callable[[Any, Any], None]) -> None:
        self._engine: LiveEngine = engine
        self._show, self._follow = show, follow
        self.slow, self.revision = False, 0
        self._play = False  # as asked for; while the canvas is blank, no steps are taken
        self.entrance, self.lock, self._state = threading.Lock(), threading.Lock(), threading.Lock()
        self._wake = threading.Condition(self._state)  # entered as `_state`: its own `__enter__` is written in Python
        self._requests: list[dict[str, Any]] = []
        self._thread: threading.Thread | None = None
        self._thread_id = self._sent = self._seen = 0
        self._closed = False
        self._last_sign = time.monotonic()
        _living.add(self)

    @property
    def playing(self) -> bool:
        """Whether steps are being taken."""
        return self._play and not (self._engine.blank or self._engine.error)

    def request(self, **request: Any) -> None:
        """Ask for a frame, and before it for any of these, which are done in this order.

        slow (bool), playing (bool), steps (a number of single steps), changes (as the page sends them) with their revision, reset
        (False: with the same seed, True: with the next one), after (a function of the engine, called last).
        """
        with self._state:
            if self._closed:
                return
            self._last_sign = time.monotonic()
            self._requests.append(request)
            if self._thread is None or not self._thread.is_alive():  # an error may have ended it
                self._thread_id += 1
                self._thread = threading.Thread(target=self._work, args=(self._thread_id,), name="sculptor", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def confirm(self, frame: int) -> None:
        """Note that the page has received this frame."""
        with self._state:
            self._seen, self._last_sign = max(self._seen, frame), time.monotonic()
            self._wake.notify_all()

    def next_frame(self) -> int:
        """The number of the frame that is about to be sent."""
        self._sent += 1
        return self._sent

    def stop(self) -> None:
        """Pause, and wait until the thread has ended."""
        with self._state:
            self._thread_id += 1
            self._play = False
            self._requests.clear()
            thread, self._thread = self._thread, None
            self._wake.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(END_SECONDS)
            self._play = False  # a request that was being carried out may have set it

    def close(self) -> None:
        """Stop for good, and let the engine go."""
        if not self._closed:
            self._closed = True
            self.stop()
            del self._engine

    def _work(self, thread_id: int) -> None:
        set_torch_threads_here(1)
        self._next_step = self._last_change = self._last_frame = self._frame_cost = 0.0
        dirty = unsettled = False  # there is something to show; LPS and the null band are to be measured again
        while True:
            with self._state:
                if not self._requests and thread_id == self._thread_id and not self._wait(thread_id, dirty or unsettled):
                    return
                if thread_id != self._thread_id:
                    return
                requests, self._requests = self._requests, []
            with self.entrance:
                self.lock.acquire()
            try:
                dirty, unsettled = self._turn(requests, dirty, unsettled)
            finally:
                self.lock.release()

    def _turn(self, requests: list[dict[str, Any]], dirty: bool, unsettled: bool) -> tuple[bool, bool]:
        """Carry out requests, take a step and send a frame, where they are due; what is still to be shown and measured."""
        for request in requests:
            dirty, unsettled = True, self._carry_out(request) or unsettled
            if self._closed:  # during a request that took longer than END_SECONDS
                return False, False
        now = time.monotonic()
        if self.playing and now >= self._next_step:
            self._next_step = now + SLOW_STEP_SECONDS if self.slow else now
            stopped = not self._engine.advance()
            if not stopped and now - self._last_sign >= ABANDONED_SECONDS:
                stopped, self._engine.notice = True, ABANDONED_NOTICE.format(ABANDONED_SECONDS)
            if stopped:
                self._play = False  # only ever set to False here: `stop` may have been called during the step
            dirty = True
        settled = now - self._last_change > SETTLED_SECONDS
        if (dirty or (unsettled and settled)) and self._may_show(now, bool(requests)):
            self._last_frame, dirty = now, False
            unsettled = unsettled and not settled
            self._show(self._engine, settled)
            self._frame_cost = time.monotonic() - now
        return dirty, unsettled

    def _wait(self, thread_id: int, unshown: bool) -> bool:
        """Wait, holding `_state`, until there is something to do; False if the thread is no longer needed."""
        if self.playing or unshown:
            seconds = self._next_step - time.monotonic() if self.playing else FRAME_SECONDS
            if seconds > 0:
                self._wake.wait(min(seconds, FRAME_SECONDS) if unshown else seconds)
            return True
        woken = self._wake.wait_for(lambda: bool(self._requests) or thread_id != self._thread_id, LINGER_SECONDS)
        if not woken:
            self._thread = None
        return woken

    def _may_show(self, now: float, asked: bool) -> bool:
        """Whether to send a frame: at once for a request, else at the frame rate, and not faster than the page takes them."""
        if self._sent - self._seen >= (2 * FRAMES_AHEAD if asked else FRAMES_AHEAD):
            return now - self._last_frame >= UNSEEN_SECONDS
        return asked or now - self._last_frame >= max(FRAME_SECONDS, min(2 * self._frame_cost, 0.25))

    def _carry_out(self, request: dict[str, Any]) -> bool:
        """Do what a request asks for; whether LPS and the null band are to be measured again."""
        engine = self._engine
        if "slow" in request:
            self.slow, self._next_step = request["slow"], 0.0
        if "playing" in request:
            self._play = request["playing"]
        if (self.playing or "steps" in request) and not (engine.error or engine.blank or engine.refused):
            engine.notice = ""  # the next step follows, so what was refused, or why it was paused, is over
        for _ in range(min(request.get("steps", 0), STEPS_AT_ONCE)):
            if engine.advance():
                self._play = False
        try:
            if "changes" in request:
                self._follow(engine, request["changes"])
            if "reset" in request:
                engine.reset((engine.settings.seed + 1) % SEEDS if request["reset"] else None)
        except Exception as error:  # shown on the page; of the caller's own prior it may be of any kind
            engine.notice = f"{error}"
        if engine.error:
            self._play = False
        self.revision = request.get("revision", self.revision)
        if "after" in request:
            request["after"](engine)
        changed = "changes" in request or "reset" in request
        if changed:
            self._last_change = time.monotonic()
        return changed


_living: weakref.WeakSet[Worker] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """End all threads: one that is inside torch while the interpreter shuts down ends in a crash."""
    for worker in list(_living):
        worker.close()
