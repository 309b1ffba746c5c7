"""`Sculptor`: a small autoencoder that trains in a notebook while the reader chooses, moves or paints the target of its codes."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from sculptlab.live.engine import Engine
from sculptlab.live.frames import Message, describe_controls, frame_message, read_changes
from sculptlab.live.script import training_script
from sculptlab.live.settings import Settings
from sculptlab.live.snapshots import TILES, code_extent
from sculptlab.live.targets import EXTENT, BlankCanvasError
from sculptlab.live.training_widget import TrainingWidget
from sculptlab.live.widget import front_script
from sculptlab.plots.codes import density
from sculptlab.plots.style import BAD, CODES, PRIOR, Picture, panels, style
from sculptlab.training.run import Run


class Sculptor(TrainingWidget[Engine]):
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

    _esm = front_script("asking", "training", "painting", "drawing", "charts", "sculptor")

    def __init__(self, data: Any = None, prior: Any = None, *, settings: str | None = None, **changes: Any) -> None:
        initial = Settings() if settings is None else Settings.read(settings)
        if isinstance(prior, str):
            changes, prior = {"prior": prior, **changes}, None
        engine = Engine(data, initial.changed(**changes), prior)
        self._span = EXTENT
        super().__init__(engine, describe_controls(engine))

    def _follow(self, engine: Engine, changes: Mapping[str, Any]) -> None:
        try:
            engine.change(**read_changes(changes, engine.offered))
        except BlankCanvasError:
            engine.clear()

    def _frame(self, engine: Engine, settled: bool) -> Message:
        pointer, arrows = self._done["pointer"], bool(self._done["arrows"])
        content, buffers = frame_message(engine, pointer, self._span, settled=settled, arrows=arrows)
        self._span = content["span"]
        return content, buffers

    def _send_code(self, engine: Engine) -> None:
        text = "\n".join(training_script(engine, objective) for objective in engine.settings.objectives)
        self.send({"kind": "code", "text": text, "settings": str(engine.settings)})

    def _picture(self, engine: Engine) -> Picture:
        return picture_of(engine)

    @property
    def settings(self) -> str:
        """The present settings as a string, which `Sculptor(settings=...)` and the widget's text field take back."""
        return self._visit(lambda engine: str(engine.settings))

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

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget with its figure; its metadata say settings and steps, so that a page without a kernel can repeat the run."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if self._engine is not None:
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
