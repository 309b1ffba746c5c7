"""`Explorer`: walk through the latent space of any trained model, one latent at a time, two at a time, from code to code."""

from __future__ import annotations

import threading
from typing import Any

import anywidget
import numpy as np
import traitlets

from sculptlab.live.explorer_state import STOPS, Exploration
from sculptlab.live.fronts import script, style
from sculptlab.plots.codes import image_grid
from sculptlab.plots.style import Picture, panels
from sculptlab.plots.style import style as styled
from sculptlab.training.run import Run


class Explorer(anywidget.AnyWidget):
    """A slider for every latent of a trained model, with its traversal and its LPS; pair plots; two codes decoded and compared.

    run    what `sl.fit` returned (a deterministic or stochastic model of images, at most 64 latents).
    data   a Dataset or images whose codes are shown, best held out; up to 1,000 of them.

    `a` and `b` are the two codes (d,), as arrays; `compare(a, b)` sets both; `state` is the same without a display.
    Raises ValueError/TypeError as `explorer_state.Exploration` does.
    """

    _esm = script("explorer")
    _css = style()
    spec = traitlets.Dict().tag(sync=True)
    asked = traitlets.Dict(default_value={"views": 0, "revision": 0}).tag(sync=True, echo_update=False)

    def __init__(self, run: Run, data: Any, *, seed: int = 0) -> None:
        self.state = Exploration(run, data, seed=seed)
        self._lock = threading.Lock()  # events come on any thread
        self._notice, self._answered = "", (0, 0)
        state = self.state
        self.a, self.b = (state.codes[i].astype(float) for i in (0, 1))
        self._pair = (0, min(1, state.dim - 1))
        numbers = {"low": state.low, "high": state.high, "lps": state.lps, "matrix": state.correlation()}
        plain = {name: np.round(np.nan_to_num(value, nan=-1), 4).tolist() for name, value in numbers.items()}
        super().__init__(spec={**plain, "dim": state.dim, "stops": STOPS, "label_names": list(state.label_names)})
        self.observe(self._on_asked, "asked")

    def compare(self, a: Any, b: Any) -> Explorer:
        """Show these two codes (d,)."""
        a, b = self.state.checked(a), self.state.checked(b)
        with self._lock:
            self.a, self.b = a, b
            self._answer()
        return self

    def _on_asked(self, change: Any) -> None:
        with self._lock:
            asked = change.new
            order = asked.get("revision", 0), asked.get("views", 0)
            if order <= self._answered:
                return
            self._answered, self._notice = order, ""
            try:
                self._take(asked)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                self._notice = str(error)
            self._answer()

    def _take(self, asked: dict[str, Any]) -> None:
        """What the page says: codes, the pair of latents, and a place of its plot whose nearest image is wanted."""
        if "pair" in asked:
            i, j = asked["pair"]
            self._pair = (range(self.state.dim)[i], range(self.state.dim)[j])
        for name in ("a", "b"):
            if name in asked:
                setattr(self, name, self.state.checked(asked[name]))
        if asked.get("pick"):
            row = self.state.nearest(self._pair, tuple(asked["pick"]))
            setattr(self, "b" if asked.get("active") == "b" else "a", self.state.codes[row].astype(float))

    def _answer(self) -> None:
        state = self.state
        active = self.b if self.asked.get("active") == "b" else self.a
        paths = np.concatenate([[self.a, self.b], state.way(self.a, self.b), state.traversals(active).reshape(-1, state.dim)])
        images = state.decode(paths)
        ends = images[:2].astype(float) / 255
        content = {
            "kind": "answer", "a": self.a.tolist(), "b": self.b.tolist(), "pair": self._pair, "shape": images.shape,
            "notice": self._notice, "apart": float(np.square(ends[0] - ends[1]).mean()), "revision": self._answered[0],
            "labels": state.labels is not None,
        }  # fmt: skip
        points = np.ascontiguousarray(state.codes[:, list(self._pair)], np.float32)
        labels = np.zeros(len(points), np.uint8) if state.labels is None else state.labels.astype(np.uint8)
        self.send(content, [points.tobytes(), labels.tobytes(), images.tobytes()])

    def picture(self) -> Picture:
        """Traversals of the first latents from code a, for pages without a kernel."""
        shown = min(self.state.dim, 8)
        images = self.state.decode(self.state.traversals(self.a)[:shown].reshape(-1, self.state.dim))
        picture, axes = panels(1, 1, height=0.75 * shown + 0.4, width=6.5)
        image_grid(images.transpose(0, 3, 1, 2) / 255, axes[0, 0], columns=STOPS)
        words = ", ".join(f"z{i} {value:.2f}" for i, value in enumerate(self.state.lps[:shown]))
        styled(axes[0, 0], title=f"Each row moves one latent through its range (LPS: {words})")
        return picture

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, and for pages without a kernel (GitHub, HTML) a picture in its place."""
        live = super()._repr_mimebundle_(**kwargs)
        data, metadata = live if live is not None else ({}, {})
        drawn, in_words = self.picture()._repr_mimebundle_()
        return {**data, "image/png": drawn["image/png"]}, {**metadata, **in_words}
