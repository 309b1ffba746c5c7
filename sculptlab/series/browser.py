"""A widget of controls over recorded results, which redraws its figure at once."""

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
    """Controls and a figure that follows them; each setting is drawn once and kept.

    controls   the values that each control can take, in order; more than two numbers become a slider, all else buttons
    draw       takes the settings, {control: value}, and returns a `Picture` or the bytes of a PNG. It must depend on its
               settings alone and must not use pyplot: it may run on any thread
    start      the first settings; by default each control's first value

    Attributes: `ui` is the widget; `settings` are the current values; `error` is what `draw` raised for them, or None.
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
        options = [(f"{value:g}" if numbers else str(value), value) for value in values]
        layout = ipywidgets.Layout(width="95%", max_width="620px")
        tooltip = f"{name}: one of {', '.join(map(str, values))}"
        made = make(options=options, value=self.settings[name], description=name, tooltip=tooltip, layout=layout)
        made.observe(lambda change: self.show(**{name: change.new}), "value")
        return made

    def _accept(self, settings: Settings) -> None:
        for name, value in settings.items():
            choice("settings", name, self._options)
            choice(name, value, self._options[name])
        self.settings |= settings

    def show(self, **settings: Any) -> None:
        """Move these controls to these values and draw; ValueError if there is no such control or value."""
        with self._lock:  # events may arrive on several threads at once
            self._accept(settings)
            for name, control in self._controls.items():
                if control.value != self.settings[name]:
                    control.value = self.settings[name]
            self._refresh()

    def _refresh(self) -> None:
        started = time.perf_counter()
        try:
            self._image.value = self.picture()
        except Exception as error:  # a notebook does not show the traceback of a callback
            self.error = error
            self._status.value = f"cannot draw this setting: {type(error).__name__}: {error}"
            return
        self.error = None
        words = ", ".join(f"{name} = {value}" for name, value in self.settings.items())
        self._status.value = f"{words}   ({1000 * (time.perf_counter() - started):.0f} ms)"

    def picture(self) -> bytes:
        """The figure at the current settings, as a PNG."""
        with self._lock:
            key = tuple(self.settings.values())
            if key not in self._drawn:
                drawn = self._draw(dict(self.settings))
                self._drawn[key] = drawn if isinstance(drawn, bytes) else drawn._repr_png_()
            return self._drawn[key]

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The widget, and the current figure for pages without a kernel (GitHub, HTML)."""
        return {**self.ui._repr_mimebundle_(**kwargs), "image/png": base64.b64encode(self.picture()).decode()}
