"""`Sculptor`: a small autoencoder that trains in a notebook while the reader chooses, moves or paints the target of its codes."""

import copy
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd
import traitlets

from sculptlab.live.engine import Engine
from sculptlab.live.frames import describe_controls, frame_message
from sculptlab.live.script import training_script
from sculptlab.live.settings import Settings
from sculptlab.live.snapshots import TILES, code_extent
from sculptlab.live.targets import EXTENT
from sculptlab.live.widget import LiveWidget, front_script
from sculptlab.live.worker import Worker
from sculptlab.plots.codes import density
from sculptlab.plots.style import BAD, CODES, PRIOR, Picture, panels, style
from sculptlab.threads import one_thread
from sculptlab.training.run import Run
from sculptlab.validation import whole

COUNTERS = ("revision", "plays", "steps", "resets", "reseeds", "views", "seen", "codes")  # they only grow
T = TypeVar("T")
NOTHING: dict[str, Any] = dict.fromkeys(COUNTERS, 0) | {
    "changes": {}, "on": False, "slow": False, "arrows": False, "pointer": None,
}  # fmt: skip


class Sculptor(LiveWidget):
    """An autoencoder with two latents that trains in the kernel while the target of its codes is chosen, moved or painted.

    A notebook shows it as a widget, which first takes 50 steps if none was taken. From Python, `run` trains it without a display.
    Reconstruction error, MMD² and LPS are measured on held-out images, a quarter of the set and at most 500. A prior that cannot
    be used, and whatever goes wrong during training, is said on the widget and raised by `run`.

    Parameters
    ----------
    data : str, Dataset or array_like of shape (n, c, h, w), optional
        A name for `sl.load`, or at least 42 images of 1 or 3 channels. By default "digits".
    prior : str or prior, optional
        "gaussian", "square" (the default), "ring", "moons", "spirals", "clusters", "checkerboard" or "triangle"; or any prior
        of two dimensions that `sl.priors.as_prior` takes.
    settings : str, optional
        A settings string, as the widget shows it for copying. The other arguments take precedence.
    **changes : Any
        Other settings by name: `weight` of MMD² in nats per image; `beta`, the weight of KL; `objective`, "mmd" or "kl";
        `compare` (bool), both side by side; `kernel`, "imq", "rbf", "laplace" or "energy"; `bandwidth`, a multiple of the width
        that fits the prior; `rate`, the learning rate; `batch`, images per step; `seed`; and the prior's sliders, such as
        `noise`.

    Raises
    ------
    ValueError, TypeError
        For unusable data or settings.

    Examples
    --------
    >>> import sculptlab as sl
    >>> sculptor = sl.Sculptor("digits", prior="ring", noise=0.2)
    >>> history = sculptor.run(20)
    >>> sculptor.settings
    'sculptor?prior=ring&noise=0.2'
    >>> sculptor.close()
    """

    _esm = front_script("asking", "painting", "drawing", "charts", "sculptor")
    asked = traitlets.Dict(default_value=NOTHING).tag(sync=True, echo_update=False)
    controls = traitlets.Dict().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)

    def __init__(self, data: Any = None, prior: Any = None, *, settings: str | None = None, **changes: Any) -> None:
        initial = Settings() if settings is None else Settings.read(settings)
        if isinstance(prior, str):
            changes, prior = {"prior": prior, **changes}, None
        engine = Engine(data, initial.changed(**changes), prior)
        self._engine: Engine | None = engine
        self._done, self._span, self._shown = dict(NOTHING), EXTENT, False
        self._worker, self._lock = Worker(engine, self._send_frame), threading.Lock()
        super().__init__(controls=describe_controls(engine))
        self.observe(self._on_asked, "asked")

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
            "steps": {"steps": int(new.get("steps", 0))}, "codes": {"after": self._send_script},
        }  # fmt: skip
        request = {} if asked["slow"] == done["slow"] else {"slow": bool(asked["slow"])}
        for name in new:
            request |= requests.get(name, {})
        if request or "views" in new or any(asked[name] != done[name] for name in ("pointer", "arrows")):
            self._worker.request(**request)

    def _send_frame(self, engine: Engine, settled: bool) -> None:
        """Send a frame to the page, in the worker's thread."""
        if not self._done["views"]:
            return
        pointer, arrows = self._done["pointer"], bool(self._done["arrows"])
        content, buffers = frame_message(engine, pointer, self._span, settled=settled, arrows=arrows)
        self._span, worker = content["span"], self._worker
        state = {"number": worker.next_frame(), "playing": worker.playing, "slow": worker.slow, "revision": worker.revision}
        self.send(content | state, buffers)

    def _send_script(self, engine: Engine) -> None:
        text = "\n".join(training_script(engine, objective) for objective in engine.settings.objectives)
        self.send({"kind": "code", "text": text, "settings": str(engine.settings)})

    def _visit(self, use: Callable[[Engine], T]) -> T:
        """What `use` returns for the engine, called between two steps; afterwards the page gets a frame."""
        if self._engine is None:
            raise RuntimeError("this Sculptor was closed: make another one")
        with self._worker.entrance, self._worker.lock:
            found = use(self._engine)
        if self._done["views"]:
            self._worker.request()
        return found

    @property
    def settings(self) -> str:
        """The present settings as a string, which `Sculptor(settings=...)` and the widget's text field take back."""
        return self._visit(lambda engine: str(engine.settings))

    @property
    def history(self) -> pd.DataFrame:
        """A row for each time of measurement: step, and for each objective the reconstruction error, MMD² and LPS."""
        return self._visit(lambda engine: engine.history)

    def run(self, steps: int) -> pd.DataFrame:
        """Pause, take `steps` steps in the calling thread, and return the history; raise whatever stopped training.

        Raises ValueError for a prior that cannot be used, and while the canvas is blank.
        """

        def train(engine: Engine) -> pd.DataFrame:
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

    def code(self, objective: str | None = None) -> str:
        """Python code that trains the model of an objective ("mmd", "kl"; default: the first) to the present step, bit by bit."""
        return self._visit(lambda engine: training_script(engine, objective))

    def result(self, objective: str | None = None) -> Run:
        """A copy of the model of an objective ("mmd", "kl"; default: the first) as a `Run`; raise whatever stopped training."""

        def copied(engine: Engine) -> Run:
            if engine.error is not None:
                raise engine.error
            training = engine.trainings[engine.name_of(objective)]
            return Run(copy.deepcopy(training.model), training.objective, [], seed=engine.settings.seed, steps=training.step)

        return self._visit(copied)

    def figure(self) -> Picture:
        """The codes over their target, the decoded plane and the course of MMD² as a figure, a row for each model."""
        return self._visit(picture_of)

    def close(self) -> None:
        """Stop for good: the thread ends, and the models are released."""
        if (worker := getattr(self, "_worker", None)) is not None:  # None if __init__ raised
            worker.close()
        self._engine = None
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, begun, with its figure, which is saved with the notebook; after `close`, the last figure.

        The figure's metadata say its settings and steps, so that a page without a kernel can repeat the run.
        """
        if self._engine is None:
            return {"image/png": self.picture}, {}
        if not self._shown:
            self._shown = True
            with one_thread():
                self._visit(Engine.begin)
        bundle = super()._repr_mimebundle_(**kwargs)
        self.picture = bundle[0]["image/png"]
        bundle[1]["image/png"] |= self._visit(lambda engine: {"settings": str(engine.settings), "steps": engine.step})
        return bundle


def picture_of(engine: Engine) -> Picture:
    """The codes over their target, the decoded plane and the course of MMD² of each model of an engine."""
    snapshots, box, band = engine.take_snapshots(with_lps=False), engine.target.box, engine.target.null_band
    figure, axes = panels(len(snapshots), 3, height=3.0)
    history, labels = engine.history, engine.images.labels
    later = history[history["step"] >= history["step"].max() / 5]  # the first steps' steep fall would flatten the rest
    values = [0.0, *later.filter(like="mmd2").to_numpy().ravel()]  # NaN once a model diverged
    for (left, middle, right), (name, snapshot) in zip(axes, snapshots.items(), strict=True):
        finite = np.isfinite(snapshot.codes).all(1)
        codes = snapshot.codes[finite]  # none of a model that diverged may be
        if len(codes):
            density(codes, left, engine.target.prior, None if labels is None else labels.numpy()[finite])
            extent = 1.1 * code_extent(codes)
            if extent > max(left.get_xlim()[1], left.get_ylim()[1]):
                left.set(xlim=(-extent, extent), ylim=(-extent, extent))
        left.set_aspect("equal")
        style(left, title=f"{name.upper()}, step {engine.step:,}: codes, target", x="latent 0", y="latent 1")
        square = (-box, box, -box, box)
        middle.imshow(snapshot.tiles.squeeze(), extent=square, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        for edge in np.linspace(-box, box, TILES + 1)[1:-1]:
            middle.axhline(edge, color="white", linewidth=1)
            middle.axvline(edge, color="white", linewidth=1)
        style(middle, title="Decoded plane", x="latent 0", y="latent 1")
        right.plot(history["step"], history[f"{name} mmd2"], color=BAD if name == "kl" else CODES, linewidth=1.6)
        right.axhspan(-band, band, color=PRIOR, alpha=0.4, linewidth=0)
        right.set_ylim(min(-2 * band, np.nanmin(values)), 1.1 * max(2 * band, np.nanmax(values)))
        style(right, title="MMD² (gray: chance level)", x="step", y="MMD²")
    return figure
