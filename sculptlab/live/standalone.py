"""The Sculptor without a kernel: one JavaScript module of the widget's own files, an engine and the digits, for a static page."""

import base64
import html
import json
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from sculptlab.files import write_file
from sculptlab.live.engine import Engine
from sculptlab.live.frames import describe_controls
from sculptlab.live.sculptor import picture_of
from sculptlab.live.settings import Settings
from sculptlab.live.snapshots import ImageSplit
from sculptlab.live.widget import FRONT, LiveWidget, front_script
from sculptlab.names import as_path
from sculptlab.validation import whole

ENGINE = ("random", "priors", "kernels", "products", "network", "state", "engine", "worker")
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sculptor: shape a latent space while it trains</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 12px auto; padding: 0 8px; max-width: 1240px; font: 15px/1.5 system-ui, sans-serif;
  background: #ffffff; color: #1f2328; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #101214; color: #e8eaed; }} a {{ color: #56b4e9; }} }}
img {{ max-width: 100%; background: #ffffff; }}
</style>
</head>
<body>
<p>A small autoencoder of handwritten digits trains on this page, with two latents. Choose, move or paint the target density of
its codes and press Play. Nothing is sent anywhere.</p>
<div id="sculptor">{picture}<noscript><p>The Sculptor needs JavaScript, which is turned off here.</p></noscript></div>
<script type="module">
{module}
mount(document.getElementById("sculptor"));
</script>
</body>
</html>
"""


def _packed_images(images: ImageSplit) -> dict[str, Any]:
    """The digits in their 17 gray levels, held-out ones first, then the held-out labels: compressed, as base64."""
    pixels = [(part * 16).round().to("cpu").numpy().astype(np.uint8) for part in (images.held_out, images.training)]
    labels = [] if images.labels is None else [images.labels.numpy().astype(np.uint8)]
    content = b"".join(part.tobytes() for part in (*pixels, *labels))
    return {
        "packed": base64.b64encode(zlib.compress(content, 9)).decode(), "held": len(images.held_out),
        "count": len(images.training), "names": list(images.label_names),
    }  # fmt: skip


def engine_script() -> str:
    """The engine alone, a classic script for a Web Worker."""
    return "\n".join((FRONT / f"{part}.js").read_text(encoding="utf-8") for part in ENGINE)


def sculptor_module() -> str:
    """The Sculptor as one JavaScript module, without dependencies or requests.

    It holds the widget's front end, an engine in JavaScript that takes the kernel's place, and scikit-learn's digits. The engine
    draws the random numbers that PyTorch draws on a CPU, so that a settings string gives the same run as in a notebook, up to the
    rounding of single precision. The module exports `mount(element)`, which puts the Sculptor in place of what is in an element:
    a picture, say, that stays where the browser cannot run it. The settings are those of the page's address, `#s=...`.

    Returns
    -------
    str
        About 180 kB.

    Examples
    --------
    >>> "export const mount" in sculptor_module()
    True
    """
    engine = Engine()
    defaults: dict[str, Any] = {one.name: {} if one.name == "sliders" else one.default for one in fields(Settings)}
    spec = describe_controls(engine) | {"data": ["digits"], "defaults": defaults}
    constants = {
        "SPEC": spec, "IMAGES": _packed_images(engine.images), "STYLE": LiveWidget._css,
        "ENGINE": f"{engine_script()}\nstartWorker(self);\n",
    }  # fmt: skip
    head = [f"const {name} = {json.dumps(value, ensure_ascii=False)};" for name, value in constants.items()]
    return "\n".join([*head, front_script("asking", "training", "painting", "drawing", "charts", "sculptor", "standalone")])


def sculptor_script() -> str:
    """The module as a classic script that defines `mountSculptor`: browsers load no module from a folder without a server."""
    module = sculptor_module().replace("export default widget;", "").replace("export const mount", "const mount")
    return f"window.mountSculptor = (() => {{\n{module}\nreturn mount;\n}})();\n"


def page_of(module: str, picture: str) -> str:
    """A page in one file of the module, and HTML that stands in where it cannot run."""
    return PAGE.format(module=module.replace("</", "<\\/"), picture=picture)


def standalone_html(steps: int = 300) -> str:
    """A page in one file that is the Sculptor, with a picture that stands in where the browser cannot run it.

    Parameters
    ----------
    steps : int
        Of the run that the picture shows, at least 1.

    Returns
    -------
    str
    """
    engine = Engine()
    engine.run(whole("steps", steps))
    image, description = picture_of(engine)._repr_mimebundle_()
    alt = html.escape(description["image/png"]["alt"])
    return page_of(sculptor_module(), f'<img alt="{alt}" src="data:image/png;base64,{image["image/png"]}">')


def write_standalone(folder: str | Path, steps: int = 300) -> Path:
    """Write `sculptor.js`, the module, and `sculptor.html`, a page that is the Sculptor, into a folder.

    Parameters
    ----------
    folder : str or path
        Made if it does not exist.
    steps : as in `standalone_html`

    Returns
    -------
    Path
        Of the page.
    """
    out = as_path("folder", folder)
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / "sculptor.js", sculptor_module())
    write_file(out / "sculptor.html", standalone_html(steps))
    return out / "sculptor.html"
