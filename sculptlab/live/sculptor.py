"""`Sculptor`: a latent space that is trained and shaped by hand while one looks on, in a notebook."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import anywidget
import pandas as pd
import traitlets

from sculptlab.live.fronts import script, style
from sculptlab.live.sculptor_code import code
from sculptlab.live.sculptor_engine import Engine
from sculptlab.live.sculptor_frames import Packer, controls
from sculptlab.live.sculptor_state import Settings
from sculptlab.live.sculptor_still import still
from sculptlab.live.sculptor_worker import Worker
from sculptlab.threads import one_thread
from sculptlab.training.run import Run
from sculptlab.validation import whole

COUNTERS = ("revision", "plays", "steps", "resets", "reseeds", "views", "seen", "codes")  # they only grow
NOTHING: dict[str, Any] = {**dict.fromkeys(COUNTERS, 0), "changes": {}, "on": False, "slow": False, "pointer": None}


class Sculptor(anywidget.AnyWidget):
    """A small autoencoder that trains in the kernel while a target for its codes is chosen, moved or painted by hand.

    data       a name for `sl.load` ("digits"), a Dataset, or images (n, c, h, w); the latent space has 2 dimensions.
    prior      a name: "gaussian", "square", "ring", "moons", "spirals", "clusters", "checkerboard", "triangle"; or any prior of
               two dimensions that `sl.priors.as_prior` takes.
    settings   a settings string, as the widget shows it for copying; what is given besides goes before it.
    changes    any other setting by its name: weight, beta, objective ("mmd" or "kl"), compare (both side by side), kernel,
               bandwidth, rate, batch, seed; and the prior's sliders, such as noise.

    Shown in a notebook it is played by hand. From Python: `run(steps)` trains without a display and gives the history; `settings`
    is the settings string; `code()` plain Python that repeats the run to the same bits; `result()` the model as a `Run`;
    `change(…)`, `reset(seed)`, `play()`, `pause()`, `close()`. Reconstruction, MMD² and LPS are of up to 500 held-out images.
    Raises ValueError/TypeError for unusable arguments; a prior that cannot be used, and whatever goes wrong later, is said
    on the widget, and raised by `run`.
    """

    _esm = script("sculptor")
    _css = style()
    asked = traitlets.Dict(default_value=NOTHING).tag(sync=True, echo_update=False)
    controls = traitlets.Dict().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)

    def __init__(self, data: Any = None, prior: Any = None, *, settings: str | None = None, **changes: Any) -> None:
        wanted = Settings() if settings is None else Settings.read(settings)
        named = {"prior": prior} if isinstance(prior, str) else {}
        engine = Engine(data, wanted.changed(**named, **changes), None if named else prior)
        self._engine: Engine | None = engine
        self._packer, self._done, self._applied = Packer(), dict(NOTHING), 0
        self._in_words: dict[str, dict[str, str]] = {}
        self._worker, self._lock = Worker(engine, self._send_frame), threading.Lock()
        super().__init__(controls=controls(engine))
        self.observe(self._on_asked, "asked")

    def _on_asked(self, change: Any) -> None:
        """Hand what a page asks for to the worker. Events come on any thread, and some never: hence counters, not commands."""
        with self._lock:
            asked, done = {**NOTHING, **change.new}, self._done
            self._done = {**asked, **{name: max(asked[name], done[name]) for name in COUNTERS}}
        if asked["seen"] > done["seen"]:
            self._worker.seen(asked["seen"])
        more = {name: asked[name] - done[name] for name in COUNTERS if asked[name] > done[name]}
        wanted: dict[str, Any] = {}
        if "revision" in more:
            wanted |= {"changes": asked["changes"], "after": partial(self._note_revision, asked["revision"])}
        if "resets" in more or "reseeds" in more:
            wanted["reset"] = "reseeds" in more
        if "plays" in more:
            wanted["playing"] = asked["on"]
        if "steps" in more:
            wanted["steps"] = more["steps"]
        if asked["slow"] != done["slow"]:
            wanted["slow"] = asked["slow"]
        if wanted or "views" in more or asked["pointer"] != done["pointer"]:
            self._worker.ask(**wanted)
        if "codes" in more:
            self._worker.ask(after=self._send_code)

    def _note_revision(self, revision: int, engine: Engine) -> None:
        self._applied = revision

    def _send_frame(self, engine: Engine, settled: bool) -> None:
        """In the worker's thread."""
        if not self._done["views"]:
            return
        content, buffers = self._packer.message(engine, self._done["pointer"], settled=settled)
        worker = self._worker
        told = {"number": worker.sent(), "playing": worker.playing, "slow": worker.slow, "revision": self._applied}
        self.send(content | told, buffers)

    def _send_code(self, engine: Engine) -> None:
        text = "\n".join(code(engine, lane) for lane in engine.settings.lanes)
        self.send({"kind": "code", "text": text, "settings": str(engine.settings)})

    @contextmanager
    def _visit(self) -> Iterator[Engine]:
        """The engine, between two steps; then a page that shows it is told."""
        if self._engine is None:
            raise RuntimeError("this Sculptor was closed: make another one")
        with self._worker.visit() as engine:
            yield engine
        if self._done["views"]:
            self._worker.ask()

    @property
    def settings(self) -> str:
        """The settings now, as a string that `Sculptor(settings=…)` and the widget's own field take back."""
        with self._visit() as engine:
            return str(engine.settings)

    @property
    def history(self) -> pd.DataFrame:
        """A row for each look at the models: step, and for each lane the held-out reconstruction error, MMD² and LPS."""
        with self._visit() as engine:
            return engine.history

    def run(self, steps: int) -> pd.DataFrame:
        """Pause, take `steps` steps in the calling thread, and return the history. Raises what broke training, and ValueError
        for a prior that cannot be used, and while the paper is white."""
        self._worker.stop()
        with self._visit() as engine, one_thread():
            if engine.refused is not None:
                raise ValueError(f"prior cannot be used: {engine.refused}") from engine.refused
            if engine.blank:
                raise ValueError(engine.notice)
            found = engine.run(whole("steps", steps))
            if engine.error is not None:
                raise engine.error
            return found

    def play(self) -> Sculptor:
        """Train in the background, as the button does, while a page shows it."""
        self._worker.ask(playing=True)
        return self

    def pause(self) -> Sculptor:
        """Stop training until it is played again; its thread ends."""
        self._worker.stop()
        with self._visit():
            return self

    def change(self, **changes: Any) -> Sculptor:
        """Other settings by name, from the next step on."""
        with self._visit() as engine:
            engine.change(**changes)
        return self

    def reset(self, seed: int | None = None) -> Sculptor:
        """Begin again with the same seed, or with another."""
        with self._visit() as engine:
            engine.reset(seed)
        return self

    def code(self, lane: str | None = None) -> str:
        """Plain Python that trains the model of a lane ("mmd", "kl"; None: the first) to the present step, to the same bits."""
        with self._visit() as engine:
            return code(engine, lane)

    def result(self, lane: str | None = None) -> Run:
        """A copy of the model of a lane as a `Run`: its codes, reconstructions and scores. Raises what stopped training."""
        with self._visit() as engine:
            if engine.error is not None:
                raise engine.error
            run = engine.result(lane)
            return replace(run, model=copy.deepcopy(run.model))

    def close(self) -> None:
        """Stop for good: the thread ends, the models are let go."""
        if (worker := getattr(self, "_worker", None)) is not None:  # of one whose making failed there is none
            worker.close()
        self._engine = None
        super().close()

    def _still(self) -> None:
        """Draw the picture for pages without a kernel anew, as long as there is something to draw."""
        if self._engine is not None:
            with self._worker.visit() as engine:
                drawn, self._in_words = still(engine)._repr_mimebundle_()
            self.picture = drawn["image/png"]

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, and for pages without a kernel (GitHub, HTML) a picture in its place."""
        live = super()._repr_mimebundle_(**kwargs)
        data, metadata = live if live is not None else ({}, {})
        self._still()
        return {**data, "image/png": self.picture}, {**metadata, **self._in_words}
