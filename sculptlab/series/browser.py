"""Widgets: controls over results that are already there, so that they answer at once; a skin over functions that draw."""

import base64
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets

from sculptlab.plots.style import Picture
from sculptlab.validation import choice

Settings = dict[str, Any]


class Browser:
    """A picture that follows its controls: `draw(settings)` is called once for each setting and remembered.

    controls   name -> the values it can take, in order. Numbers become a slider, words become buttons.
    draw       settings -> Picture, or a PNG's bytes; must depend on its settings alone, and must not use pyplot: it may run
               on any thread.
    start      the first settings; None takes each control's first value.

    `browser.ui` is the widget (a notebook shows a Browser as it); `settings` the current values, `picture()` the current
    PNG; `show(beta=1.0)` moves the controls from code. An error while drawing is shown in the widget's own status line
    and kept in `error`.
    """

    def __init__(
        self, controls: Mapping[str, Sequence[Any]], draw: Callable[[Settings], Picture | bytes], start: Settings | None = None
    ) -> None:
        if not controls or not all(controls.values()):
            raise ValueError(f"controls must name at least one value each, got {dict(controls)!r}")
        self._options = {name: list(values) for name, values in controls.items()}
        self._draw, self._lock = draw, threading.RLock()
        self._drawn: dict[tuple[Any, ...], bytes] = {}
        self.error: Exception | None = None
        self.settings: Settings = {name: values[0] for name, values in self._options.items()}
        self._accept(start or {})
        self._controls = {name: self._control(name) for name in self._options}
        self._image = ipywidgets.Image(format="png", layout=ipywidgets.Layout(width="100%", max_width="900px"))
        self._status = ipywidgets.Label()
        self.ui = ipywidgets.VBox([*self._controls.values(), self._image, self._status])
        self._refresh()

    def _control(self, name: str) -> Any:
        values = self._options[name]
        numbers = all(isinstance(value, (int, float)) for value in values)
        make = ipywidgets.SelectionSlider if numbers and len(values) > 2 else ipywidgets.ToggleButtons
        made = make(
            options=[(f"{value:g}" if numbers else str(value), value) for value in values],
            value=self.settings[name],
            description=name,
            tooltip=f"{name}: one of {', '.join(map(str, values))}",
            layout=ipywidgets.Layout(width="95%", max_width="620px"),
        )
        made.observe(lambda change: self.show(**{name: change.new}), "value")
        return made

    def _accept(self, settings: Settings) -> None:
        for name, value in settings.items():
            choice("settings", name, self._options)
            choice(name, value, self._options[name])
        self.settings |= settings

    def show(self, **settings: Any) -> None:
        """Move to `settings` (those named; the rest stay) and draw; ValueError for a name or value there is not."""
        with self._lock:  # events may arrive on several threads at once; the last one wins
            self._accept(settings)
            for name, control in self._controls.items():
                if control.value != self.settings[name]:
                    control.value = self.settings[name]
            self._refresh()

    def _refresh(self) -> None:
        started = time.perf_counter()
        try:
            self._image.value = self.picture()
        except Exception as error:  # said where the reader looks: a callback's traceback reaches nobody
            self.error = error
            self._status.value = f"cannot draw this setting: {type(error).__name__}: {error}"
            return
        self.error = None
        words = ", ".join(f"{name} = {value}" for name, value in self.settings.items())
        self._status.value = f"{words}   ({1000 * (time.perf_counter() - started):.0f} ms)"

    def picture(self) -> bytes:
        """The PNG of the current settings."""
        with self._lock:
            key = tuple(self.settings.values())
            if key not in self._drawn:
                drawn = self._draw(dict(self.settings))
                self._drawn[key] = drawn if isinstance(drawn, bytes) else drawn._repr_png_()
            return self._drawn[key]

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The widget, and for pages without a kernel (GitHub, HTML) the current picture in its place."""
        return {**self.ui._repr_mimebundle_(**kwargs), "image/png": base64.b64encode(self.picture()).decode()}
