"""`Explorer`: move through the latent space of a trained model, by one latent, by two, or from code to code."""

import threading
from typing import Any, Self

import numpy as np
import traitlets

from sculptlab.live.exploration import STOPS, Exploration
from sculptlab.live.widget import LiveWidget, front_script
from sculptlab.plots.codes import image_grid
from sculptlab.plots.style import Picture, panels, style
from sculptlab.training.run import Run


class Explorer(LiveWidget):
    """A slider for each latent of a trained model, with its traversal and LPS; plots of pairs; two codes A and B compared.

    The codes are `a` and `b`, arrays of shape (d,).

    Parameters
    ----------
    run : Run
        What `sl.fit` returned, with a model of images and at most 64 latents.
    data : Dataset or array_like of shape (n, c, h, w)
        At least 20 images, best held out; the codes of up to 1,000 of them are shown.
    seed : int, default 0
        Seed of the choice of images and of LPS.

    Raises
    ------
    TypeError
        If `run` is not a `Run`.
    ValueError
        If the model or the data cannot be shown.

    Examples
    --------
    >>> import sculptlab as sl
    >>> data = sl.load("digits")
    >>> model = sl.build_autoencoder("mlp", image_shape=data.image_shape, dim=2)
    >>> run = sl.fit(model, data, sl.objectives.MMD("uniform"), steps=5, progress=False)
    >>> explorer = sl.Explorer(run, data).compare([0.0, 0.0], [1.0, 1.0])
    >>> explorer.b
    array([1., 1.])
    """

    _esm = front_script("explorer")
    spec = traitlets.Dict().tag(sync=True)
    asked = traitlets.Dict(default_value={"views": 0, "revision": 0}).tag(sync=True, echo_update=False)

    def __init__(self, run: Run, data: Any, *, seed: int = 0) -> None:
        self.state = state = Exploration(run, data, seed=seed)
        self._lock = threading.Lock()  # events come on any thread
        self._notice, self._answered = "", (0, 0)
        self.a, self.b = (state.codes[i].astype(float) for i in (0, 1))
        self._pair = (0, min(1, state.dim - 1))
        numbers = {"low": state.low, "high": state.high, "lps": state.lps, "matrix": state.correlation()}
        plain = {name: np.round(np.nan_to_num(value, nan=-1), 4).tolist() for name, value in numbers.items()}
        super().__init__(spec={**plain, "dim": state.dim, "stops": STOPS, "label_names": list(state.label_names)})
        self.observe(self._on_asked, "asked")

    def compare(self, a: Any, b: Any) -> Self:
        """Show these two codes, each of shape (d,)."""
        a, b = self.state.checked_code(a), self.state.checked_code(b)
        with self._lock:
            self.a, self.b = a, b
            self._answer()
        return self

    def _on_asked(self, change: Any) -> None:
        with self._lock:
            asked = change.new
            number = asked.get("revision", 0), asked.get("views", 0)
            if number <= self._answered:
                return
            self._answered, self._notice = number, ""
            try:
                self._follow(asked)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                self._notice = str(error)
            self._answer()

    def _follow(self, asked: dict[str, Any]) -> None:
        """Take the codes and the pair of latents that the page sends, or the code nearest to a point of the pair's plot."""
        if "pair" in asked:
            i, j = asked["pair"]
            self._pair = (range(self.state.dim)[i], range(self.state.dim)[j])
        for name in ("a", "b"):
            if name in asked:
                setattr(self, name, self.state.checked_code(asked[name]))
        if asked.get("pick"):
            row = self.state.nearest_row(self._pair, tuple(asked["pick"]))
            setattr(self, "b" if asked.get("active") == "b" else "a", self.state.codes[row].astype(float))

    def _answer(self) -> None:
        state = self.state
        active = self.b if self.asked.get("active") == "b" else self.a
        line, traversals = state.line_between(self.a, self.b), state.traversals(active).reshape(-1, state.dim)
        images = state.decode(np.concatenate([[self.a, self.b], line, traversals]))
        difference = images[0].astype(float) / 255 - images[1].astype(float) / 255
        content = {
            "kind": "answer", "a": self.a.tolist(), "b": self.b.tolist(), "pair": self._pair, "shape": images.shape,
            "notice": self._notice, "apart": float(np.square(difference).mean()), "revision": self._answered[0],
            "labels": state.labels is not None,
        }  # fmt: skip
        points = np.ascontiguousarray(state.codes[:, list(self._pair)], np.float32)
        labels = np.zeros(len(points), np.uint8) if state.labels is None else state.labels.astype(np.uint8)
        self.send(content, [points.tobytes(), labels.tobytes(), images.tobytes()])

    def figure(self) -> Picture:
        """Traversals of the first eight latents from code A as a figure."""
        count = min(self.state.dim, 8)
        images = self.state.decode(self.state.traversals(self.a)[:count].reshape(-1, self.state.dim))
        figure, axes = panels(1, 1, height=0.75 * count + 0.4, width=6.5)
        image_grid(images.transpose(0, 3, 1, 2) / 255, axes[0, 0], columns=STOPS)
        scores = ", ".join(f"z{i} {value:.2f}" for i, value in enumerate(self.state.lps[:count]))
        style(axes[0, 0], title=f"Each row moves one latent through its range (LPS: {scores})")
        return figure
