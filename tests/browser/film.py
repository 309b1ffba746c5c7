"""Film the Sculptor for the README: digits follow a square, a ring, and a heart that is painted while they train.

    python tests/browser/film.py data/results/sculptor.webp

It films a real run in JupyterLab and chromium, with the mouse moved by the script. It takes half a minute.
"""

import io
import math
import shutil
import sys
import tempfile
from pathlib import Path

from conftest import jupyterlab, open_notebook
from PIL import Image
from playwright import sync_api

CELL = "import sculptlab as sl\nsl.Sculptor()"
PAUSE = 250  # milliseconds between two frames, also in the film
WIDTH = 760  # pixels


def heart(turns: float) -> tuple[float, float]:
    """A place on its outline, as fractions of the canvas's size."""
    t = 2 * math.pi * turns
    x, y = 16 * math.sin(t) ** 3, 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
    return 0.5 + x / 48, 0.47 - y / 48


class Film:
    """Pictures of the widget's stage, one after the other."""

    def __init__(self, page: sync_api.Page) -> None:
        self.page, self.frames = page, []
        self.stage = page.locator(".sculptor .stage")

    def roll(self, count: int) -> None:
        for _ in range(count):
            image = Image.open(io.BytesIO(self.stage.screenshot()))
            self.frames.append(image.convert("RGB").resize((WIDTH, WIDTH * image.height // image.width), Image.LANCZOS))
            self.page.wait_for_timeout(PAUSE)

    def paint(self) -> None:
        box = self.stage.locator("canvas.paper").bounding_box()
        for k in range(17):
            across, down = heart(k / 16)
            self.page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"], steps=3)
            if k == 0:
                self.page.mouse.down()
            self.roll(1)
        self.page.mouse.up()

    def save(self, path: str) -> None:
        first, *others = self.frames
        first.save(
            path, save_all=True, append_images=others, duration=[PAUSE] * len(others) + [2000], loop=0, quality=50, method=6
        )


def main(path: str) -> None:
    with tempfile.TemporaryDirectory() as name, jupyterlab(Path(name)) as (url, _), sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(180_000)
        open_notebook(page, f"{url}/doc/tree", Path(name), [CELL])(0)
        film = Film(page)
        film.roll(2)
        page.locator(".sculptor").get_by_role("button", name="Play").click()
        film.roll(14)
        page.get_by_label("Shape").select_option("ring")
        film.roll(12)
        film.paint()
        film.roll(16)
        film.save(path)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
