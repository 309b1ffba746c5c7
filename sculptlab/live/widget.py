"""What both widgets share: their front end, plain files that need no build, and a figure for pages without a kernel."""

from pathlib import Path
from typing import Any

import anywidget

from sculptlab.plots.style import Picture

FRONT = Path(__file__).parent / "front"


def front_script(*parts: str) -> str:
    """A page's module: JavaScript files one after the other, in one scope."""
    return "\n".join((FRONT / f"{part}.js").read_text(encoding="utf-8") for part in ("common", *parts))


class LiveWidget(anywidget.AnyWidget):
    """A widget that is also shown as a figure where there is no kernel: on GitHub, or in HTML."""

    _css = (FRONT / "widgets.css").read_text(encoding="utf-8")

    def figure(self) -> Picture:
        """The present state as a figure."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        live = super()._repr_mimebundle_(**kwargs)
        data, metadata = live if live is not None else ({}, {})
        image, description = self.figure()._repr_mimebundle_()
        return {**data, "image/png": image["image/png"]}, {**metadata, **description}
