"""The Sculptor without a kernel: one JavaScript module of the widget's own files, an engine and the digits, for a static page."""

import base64
import json
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from sculptlab.live.engine import Engine
from sculptlab.live.frames import describe_controls
from sculptlab.live.sculptor import picture_of
from sculptlab.live.settings import Settings
from sculptlab.live.snapshots import ImageSplit
from sculptlab.live.widget import FRONT, LiveWidget, front_script
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
body {{ margin: 12px auto; padding: 0 8px; max-width: 1240px; font: 15px/1.5 system-ui, sans-serif; background: #ffffff; color: #1f2328; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #101214; color: #e8eaed; }} a {{ color: #56b4e9; }} }}
img {{ max-width: 100%; background: #ffffff; }}
</style>
</head>
<body>
<p>A small autoencoder of handwritten digits trains on this page, with two latents. Choose, move or paint the density that its codes
are to have, and press Play. Nothing is sent anywhere.</p>
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
    """The Sculptor as one JavaScript module that exports `mount(element)`, without dependencies or requests.

    It holds the widget's front end, an engine in JavaScript that takes the kernel's place, and scikit-learn's digits.
    """
    engine = Engine()
    defaults = {one.name: {} if one.name == "sliders" else one.default for one in fields(Settings)}
    spec = describe_controls(engine) | {"data": ["digits"], "defaults": defaults}
    constants = {
        "SPEC": spec, "IMAGES": _packed_images(engine.images), "STYLE": LiveWidget._css,
        "ENGINE": f"{engine_script()}\nstartWorker(self);\n",
    }  # fmt: skip
    head = [f"const {name} = {json.dumps(value, ensure_ascii=False)};" for name, value in constants.items()]
    return "\n".join([*head, front_script("asking", "painting", "drawing", "charts", "sculptor", "standalone")])


def standalone_html(steps: int = 300) -> str:
    """A page that is the Sculptor, in one file; a picture of it after so many `steps` stands in where it cannot run."""
    engine = Engine()
    engine.run(whole("steps", steps))
    image, description = picture_of(engine)._repr_mimebundle_()
    text = description["image/png"]["alt"]
    picture = f'<img alt="{text}" src="data:image/png;base64,{image["image/png"]}">'
    return PAGE.format(module=sculptor_module().replace("</", "<\\/"), picture=picture)


def write_standalone(folder: str | Path, steps: int = 300) -> Path:
    """Write `sculptor.js`, the module, and `sculptor.html`, a page that is the Sculptor, into a folder; return the page's path."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    (out / "sculptor.js").write_text(sculptor_module(), encoding="utf-8")
    (out / "sculptor.html").write_text(standalone_html(steps), encoding="utf-8")
    return out / "sculptor.html"
