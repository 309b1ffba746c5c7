"""The Sculptor in a real JupyterLab: played, dragged, painted, paused, reset, pasted into; twice at a time; after a restart."""

import itertools
import os
import re
import signal
import time

from playwright.sync_api import expect

FIRST = "import sculptlab as sl\na = sl.Sculptor(prior='ring')\na"
SECOND = 'b = sl.Sculptor(prior="moons", compare=True, weight=200)\nb'
LEFT = """import threading, time
until = time.monotonic() + 60
while (names := [t.name for t in threading.enumerate() if t.name == "sculptor"]) and time.monotonic() < until:
    time.sleep(0.1)
print("threads left:", len(names), "settings:", a.settings, a.history.shape[1])"""

EXPLORER = """import sculptlab as sl
data = sl.load("digits")
model = sl.build_autoencoder("mlp", image_shape=data.image_shape, dim=5, width=64)
run = sl.fit(model, data, sl.objectives.MMD(sl.priors.Uniform(5)), steps=150, batch_size=64, progress=False)
e = sl.Explorer(run, data)
e"""


class Shown:
    """One Sculptor on the screen."""

    def __init__(self, page, number):
        self.page, self.number = page, number
        self.root = page.locator(".sculptor").nth(number)
        expect(self.root.locator("canvas.plane").first).to_be_visible()

    def data(self, name):
        return self.root.get_attribute(f"data-{name}")

    def wait(self, condition):
        """Until a JavaScript condition on `d`, the widget's data, holds."""
        self.page.wait_for_function(
            f"n => {{ const d = document.querySelectorAll('.sculptor')[n]?.dataset; return d && ({condition}); }}",
            arg=self.number,
        )

    def press(self, name):
        self.root.get_by_role("button", name=re.compile(name)).first.click()

    def pixels(self, kind):
        """What a canvas shows, and how many colors there are in it."""
        return self.root.locator(f"canvas.{kind}").first.evaluate(
            """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
                      const colors = new Set();
                      for (let i = 0; i < d.length; i += 4) colors.add((d[i] << 16) + (d[i+1] << 8) + d[i+2]);
                      return {url: c.toDataURL(), colors: colors.size}; }"""
        )

    def settings(self, pattern):
        expect(self.root.locator("input[type=text]")).to_have_value(re.compile(pattern))

    def drag(self, locator, *path):
        """Press at the first place of `path` (shares of the element's size), move through the others, let go."""
        locator.scroll_into_view_if_needed()
        box = locator.bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in path]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()


FAR = "a._visit(lambda engine: engine.model().encoder[-1].weight.data.mul_(1e20)) is None"
WATCH = """import os, threading, time
import sculptlab.live.worker as worker
worker.ABANDONED_SECONDS = 600.0
open("pid.txt", "w").write(str(os.getpid()))
def watch():
    while True:
        alive = sum(t.name == "sculptor" for t in threading.enumerate())
        open("state.txt", "w").write(f"{a._engine.step} {alive} {a._engine.notice}.")
        time.sleep(0.2)
threading.Thread(target=watch, daemon=True).start()"""


def test_the_sculptor_by_hand(page, notebook, keep):
    run = notebook([FIRST, SECOND, LEFT, EXPLORER, FAR])
    run(0)
    one = Shown(page, 0)
    one.wait("d.step === '50' && d.frames > 0")  # what is first shown has begun
    keep("start")
    one.press("Reset")
    one.wait("d.step === '0'")
    first = one.pixels("plane")
    assert first["colors"] > 20
    one.press("Arrows")  # what pulls each code
    page.wait_for_function("url => document.querySelector('.sculptor canvas.plane').toDataURL() !== url", arg=first["url"])
    one.press("Arrows")
    page.wait_for_function("url => document.querySelector('.sculptor canvas.plane').toDataURL() === url", arg=first["url"])

    one.press("Play")
    one.wait("+d.step > 60 && d.playing === 'true'")
    assert one.pixels("plane")["url"] != first["url"]
    assert one.pixels("grid")["colors"] > 20
    numbers = [float(text) for text in re.findall(r"\d+\.\d+(?:e-\d+)?", one.root.locator(".charts p").first.inner_text())]
    assert 0.01 < numbers[0] < 0.3
    keep("playing")

    one.drag(one.root.get_by_label("noise"), (0.2, 0.5), (0.8, 0.5))
    one.settings(r"noise=0\.[34]")
    canvas = one.root.locator("canvas.paper")
    before = one.pixels("paper")["url"]
    one.drag(canvas, (0.2, 0.2), (0.8, 0.2), (0.8, 0.8))
    one.settings("prior=painted")
    assert one.pixels("paper")["url"] != before
    expect(one.root.locator(".notice")).to_be_empty()
    plane = one.root.locator("canvas.plane").bounding_box()
    page.mouse.move(plane["x"] + plane["width"] / 2, plane["y"] + plane["height"] / 2)
    expect(one.root.locator(".under p")).to_have_text(re.compile(r"At \("))
    keep("painted")
    page.mouse.move(5, 5)
    one.press("Clear")
    expect(one.root.locator(".notice")).to_contain_text("canvas is blank")
    one.wait("d.playing === 'false'")
    keep("white")
    one.drag(canvas, (0.3, 0.7), (0.7, 0.7))
    one.wait("d.playing === 'true'")
    expect(one.root.locator(".notice")).to_be_empty()

    one.press("Pause")
    one.wait("d.playing === 'false'")
    step = one.data("step")
    page.wait_for_timeout(700)  # long enough for a step that must not come
    assert one.data("step") == step
    one.root.get_by_text("Share:").click()
    field = one.root.locator("input[type=text]")
    field.fill("sculptor?weigth=3")
    field.press("Enter")
    expect(one.root.locator(".refusal")).to_contain_text("settings must be one of")  # once, where it was pasted
    expect(one.root.locator(".notice")).to_be_empty()
    keep("refused", one.root)
    field.fill("sculptor?prior=ring")
    field.press("Enter")
    one.settings(r"^sculptor\?prior=ring$")
    one.press("Reset")
    one.wait("d.step === '0'")
    for place in (".notice", ".refusal"):
        expect(one.root.locator(place)).to_be_empty()
    page.wait_for_function(
        "url => document.querySelector('.sculptor canvas.plane').toDataURL() === url", arg=first["url"]
    )  # the same first frame
    one.root.locator("canvas.plane").press("s")
    one.wait("d.step === '1'")
    one.press("Python")
    expect(one.root.locator("textarea")).to_have_value(re.compile(r"sl\.fit\(model"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    one.root.locator(".share").get_by_role("button", name="Copy").click()
    expect(one.root.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == "sculptor?prior=ring"
    keep("shared", one.root)
    one.root.get_by_text("Share:").click()  # folded up again: a long page takes cells that are out of view out of the document

    run(1)
    two = Shown(page, 1)
    two.wait("d.step === '50'")
    two.press("Play")
    two.wait("+d.step > 55")
    assert one.data("step") == "1"
    assert two.root.locator("canvas.plane").count() == 2
    page.set_viewport_size({"width": 1280, "height": 1500})
    keep("both", two.root)
    two.press("Pause")
    two.wait("d.playing === 'false'")
    run(2)
    expect(page.get_by_text("threads left: 0")).to_be_visible()

    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    two.wait("d.theme === 'dark'")
    keep("dark", one.root)
    page.set_viewport_size({"width": 620, "height": 2600})
    keep("narrow", one.root)
    assert one.root.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    ids = page.evaluate("() => [...document.querySelectorAll('.sculptor [id]')].map(e => e.id)")
    assert len(set(ids)) == len(ids)  # a label names its own widget's control
    page.set_viewport_size({"width": 1280, "height": 1000})

    drawn = one.data("drawn")
    run(4)
    one.wait(f"+d.drawn > {drawn}")  # codes as far away as a divergence may put them still have axes

    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    expect(one.root.locator(".notice")).to_contain_text("kernel was restarted")
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'")
    run(0)
    page.wait_for_function("() => document.querySelector('.sculptor')?.dataset.frames < 5")
    again = Shown(page, 0)
    again.press("Play")
    again.wait("+d.step > 55")
    again.press("Pause")
    again.wait("d.playing === 'false'")
    explore(page, run, keep)
    assert not page.errors
    assert not [text for text in page.said if "sculptor" in text.lower() or "widget" in text.lower()], page.said

    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    again.press("Step")
    page.locator(".explorer").get_by_label("z1", exact=True).press("Home")
    for root in (again.root, page.locator(".explorer")):
        expect(root.locator(".notice")).to_contain_text("No answer from the kernel")


def test_a_page_that_is_reloaded_goes_on_and_one_that_is_left_pauses(page, notebook, idle, tmp_path, keep):
    run = notebook([FIRST, WATCH, "worker.ABANDONED_SECONDS = 3.0"])
    run(0)
    Shown(page, 0).wait("d.step === '50'")
    run(1)
    Shown(page, 0).press("Play")
    Shown(page, 0).wait("+d.step > 55")
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    page.reload()
    again = Shown(page, 0)
    again.wait("d.playing === 'true' && d.frames > 1")
    step = again.data("step")
    again.wait(f"+d.step > {step}")
    keep("reloaded")
    kernel = int((tmp_path / "pid.txt").read_text())
    os.kill(kernel, signal.SIGSTOP)  # it answers nothing, and the reader does nothing
    expect(again.root.locator(".notice")).to_contain_text("No answer from the kernel")
    keep("silent")
    os.kill(kernel, signal.SIGCONT)
    expect(again.root.locator(".notice")).to_be_empty()
    step = again.data("step")
    again.wait(f"d.playing === 'true' && +d.step > {step}")
    run(2)
    idle()
    assert not page.errors
    assert not [text for text in page.said if "sculptor" in text.lower() or "widget" in text.lower()], page.said

    page.goto("about:blank")
    step, alive, notice = "", "1", ""
    until = time.monotonic() + 60
    while alive != "0" and time.monotonic() < until:
        time.sleep(0.3)
        step, alive, notice = [*(tmp_path / "state.txt").read_text().split(" ", 2), "", ""][:3]
    assert "no page has answered" in notice
    time.sleep(1)
    assert (tmp_path / "state.txt").read_text().split()[:2] == [step, "0"]


TOLD = """() => { // what is written under the images from now on, with the places it takes
    window.told = [];
    const write = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        const half = this.measureText(text).width / 2;
        const bottom = this.canvas.clientHeight;
        if (this.canvas.closest('.under')) window.told.push({text, y, from: x - half, to: x + half, bottom});
        return write.apply(this, arguments);
    };
}"""


def painted_pixels(shown):
    """How many pixels of the canvas are clearly painted; a blank one is transparent."""
    return shown.root.locator("canvas.paper").evaluate(
        """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
                  let found = 0;
                  for (let i = 0; i < d.length; i += 4) found += d[i + 3] > 100;
                  return found; }"""
    )


def test_erasing_painting_on_a_blank_canvas_and_names_under_images(page, notebook, keep):
    run = notebook(["import sculptlab as sl\na = sl.Sculptor('sprites', prior='ring')\na"])
    run(0)
    one = Shown(page, 0)
    one.wait("d.frames > 0")
    eraser = one.root.get_by_role("button", name="Eraser")
    eraser.click()
    expect(eraser).to_have_attribute("aria-pressed", "true")
    canvas = one.root.locator("canvas.paper")
    whole = painted_pixels(one)
    one.drag(canvas, (0.1, 0.5), (0.4, 0.5))  # a gap in the ring
    one.settings("prior=painted")
    expect(one.root.locator(".notice")).to_be_empty()
    keep("gap", one.root)
    assert 0.5 * whole < painted_pixels(one) < whole
    one.press("Clear")  # nothing is left to erase
    expect(eraser).to_have_attribute("aria-pressed", "false")
    notice = one.root.locator(".notice")
    expect(notice).to_contain_text("canvas is blank")

    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=4)
    one.settings("prior=painted")  # the kernel has the beginning of the stroke, and the notice is out of date
    assert canvas.bounding_box() == box
    page.mouse.move(x + 80, y, steps=4)
    page.mouse.up()
    expect(notice).to_be_empty()
    keep("stroke", one.root)

    page.evaluate(TOLD)
    one.root.locator("canvas.plane").hover()
    page.wait_for_function("() => window.told.some((one) => one.text === 'recon.')")
    keep("names", one.root)
    page.wait_for_timeout(300)
    told = page.evaluate("() => window.told.slice(window.told.findIndex((one) => one.text === 'here'))")
    lines = {}
    for word in told[: next((k for k, one in enumerate(told) if k and one["text"] == "here"), None)]:
        assert word["y"] < word["bottom"]
        lines.setdefault(word["y"], []).append(word)
    for words in lines.values():
        assert all(left["to"] < right["from"] for left, right in itertools.pairwise(words)), words
    assert {word["text"] for words in lines.values() for word in words} >= {"here", "image", "recon.", "next"}


def explore(page, run, keep):
    """The Explorer: a slider, a pair, a click."""
    run(3)
    root = page.locator(".explorer")
    expect(root).to_have_attribute("data-revision", "0")
    strip, both, plot = (root.locator(f"canvas{which}") for which in (".strip >> nth=0", " >> nth=-1", ".plane"))
    before = [canvas.evaluate("c => c.toDataURL()") for canvas in (strip, both, plot)]
    assert root.locator("input[type=range]").count() == 5
    root.get_by_label("z1", exact=True).press("ArrowRight")
    root.get_by_label("z1", exact=True).press("End")
    page.wait_for_function("() => +document.querySelector('.explorer').dataset.revision >= 1")
    page.wait_for_function("url => document.querySelector('.explorer canvas.strip').toDataURL() !== url", arg=before[0])
    matrix = root.locator("canvas.matrix")
    box = matrix.bounding_box()
    matrix.click(position={"x": 24 + 0.5 * (box["width"] - 24), "y": 0.9 * box["height"]})  # column 2, row 4 of 5
    expect(root.get_by_text("z2 across, z4 up")).to_be_visible()
    root.get_by_role("button", name="Code B").click()
    root.locator("canvas.plane").click(position={"x": 60, "y": 60})
    page.wait_for_function("url => document.querySelectorAll('.explorer canvas')[7].toDataURL() !== url", arg=before[1])
    expect(root.locator(".notice")).to_be_empty()
    keep("explorer", root)
