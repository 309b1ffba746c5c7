"""`TrainingWidget`: what the widgets share in which a model trains: their thread, what the page asks for, run, play and pause."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar

import pandas as pd
import traitlets

from sculptlab.live.widget import LiveWidget
from sculptlab.live.worker import LiveEngine, Worker
from sculptlab.plots.style import Picture
from sculptlab.threads import one_thread
from sculptlab.validation import whole

COUNTERS = ("revision", "plays", "steps", "resets", "reseeds", "views", "seen", "codes")  # they only grow
NOTHING: dict[str, Any] = dict.fromkeys(COUNTERS, 0) | {
    "changes": {}, "on": False, "slow": False, "arrows": False, "pointer": None,
}  # fmt: skip
E = TypeVar("E", bound=LiveEngine)
T = TypeVar("T")


class TrainingWidget(LiveWidget, Generic[E]):
    """A widget whose engine trains in a thread of its own while a page shows it."""

    asked = traitlets.Dict(default_value=NOTHING).tag(sync=True, echo_update=False)
    controls = traitlets.Dict().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)

    def __init__(self, engine: E, controls: Mapping[str, Any]) -> None:
        self._engine: E | None = engine
        self._done, self._shown = dict(NOTHING), False
        self._worker, self._lock = Worker(engine, self._send_frame, self._follow), threading.Lock()
        super().__init__(controls=dict(controls))
        self.observe(self._on_asked, "asked")

    def _follow(self, engine: E, changes: Mapping[str, Any]) -> None:
        """Take the changes that the page sends, in the worker's thread."""
        engine.change(**changes)

    def _frame(self, engine: E, settled: bool) -> tuple[dict[str, Any], list[bytes]]:
        """All that the page shows at one moment, in the worker's thread."""
        raise NotImplementedError

    def _send_code(self, engine: E) -> None:
        """Send the run as Python code, in the worker's thread, where a widget has it."""

    def _picture(self, engine: E) -> Picture:
        """The figure of an engine's present state."""
        raise NotImplementedError

    def _on_asked(self, change: Any) -> None:
        """Pass on what the page asks for. Events come on any thread and may be lost, hence counters in place of commands."""
        with self._lock:
            asked, done = {**NOTHING, **change.new}, self._done
            self._done = {**asked, **{name: max(asked[name], done[name]) for name in COUNTERS}}
        new = {name: asked[name] - done[name] for name in COUNTERS if asked[name] > done[name]}
        if "seen" in new:
            self._worker.confirm(asked["seen"])
        requests: dict[str, dict[str, Any]] = {
            "revision": {"changes": asked["changes"], "revision": asked["revision"]},
            "resets": {"reset": False}, "reseeds": {"reset": True}, "plays": {"playing": bool(asked["on"])},
            "steps": {"steps": int(new.get("steps", 0))}, "codes": {"after": self._send_code},
        }  # fmt: skip
        request = {} if asked["slow"] == done["slow"] else {"slow": bool(asked["slow"])}
        for name in new:
            request |= requests.get(name, {})
        if request or "views" in new or any(asked[name] != done[name] for name in ("pointer", "arrows")):
            self._worker.request(**request)

    def _send_frame(self, engine: E, settled: bool) -> None:
        if not self._done["views"]:
            return
        content, buffers = self._frame(engine, settled)
        worker = self._worker
        state = {"number": worker.next_frame(), "playing": worker.playing, "slow": worker.slow, "revision": worker.revision}
        self.send(content | state, buffers)

    def _visit(self, use: Callable[[E], T]) -> T:
        """What `use` returns for the engine, called between two steps; afterwards the page gets a frame."""
        if self._engine is None:
            raise RuntimeError(f"this {type(self).__name__} was closed: make another one")
        with self._worker.entrance, self._worker.lock:
            found = use(self._engine)
        if self._done["views"]:
            self._worker.request()
        return found

    @property
    def history(self) -> pd.DataFrame:
        """A row for each time of measurement: the step and the scores."""
        return self._visit(lambda engine: engine.history)

    def run(self, steps: int) -> pd.DataFrame:
        """Pause, take `steps` steps in the calling thread, and return the history; raise whatever stopped training.

        Raises ValueError where nothing can be trained: for a prior that cannot be used, and while a canvas is blank.
        """

        def train(engine: E) -> pd.DataFrame:
            if engine.refused is not None:
                raise ValueError(f"prior cannot be used: {engine.refused}") from engine.refused
            if engine.blank:
                raise ValueError(engine.notice)
            with one_thread():
                history = engine.run(whole("steps", steps))
            if engine.error is not None:
                raise engine.error
            return history

        self._worker.stop()
        return self._visit(train)

    def play(self) -> Self:
        """Train in the background while a page shows the widget, as the Play button does."""
        self._worker.request(playing=True)
        return self

    def pause(self) -> Self:
        """Stop training until `play` is called or the Play button is pressed."""
        self._worker.stop()
        return self._visit(lambda engine: self)

    def change(self, **changes: Any) -> Self:
        """Take other settings, by name, from the next step on."""
        self._visit(lambda engine: engine.change(**changes))
        return self

    def reset(self, seed: int | None = None) -> Self:
        """Begin again at step 0, with the same seed or another."""
        self._visit(lambda engine: engine.reset(seed))
        return self

    def figure(self) -> Picture:
        """The present state as a figure."""
        return self._visit(self._picture)

    def close(self) -> None:
        """Stop for good: the thread ends, and the models are released."""
        if (worker := getattr(self, "_worker", None)) is not None:  # None if __init__ raised
            worker.close()
        self._engine = None
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, begun, with its figure, which is saved with the notebook; after `close`, the last figure."""
        if self._engine is None:
            return {"image/png": self.picture}, {}
        if not self._shown:
            self._shown = True
            with one_thread():
                self._visit(lambda engine: engine.begin())
        bundle = super()._repr_mimebundle_(**kwargs)
        self.picture = bundle[0]["image/png"]
        return bundle
