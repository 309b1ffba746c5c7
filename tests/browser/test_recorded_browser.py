"""The sliders of pages 01, 02 and 05 in a real JupyterLab: the page's own cell, moved by keyboard, looked at on the screen."""

import ast
from pathlib import Path

import nbformat
from playwright.sync_api import expect

PAGES = Path(__file__).resolve().parents[2] / "notebooks"
IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN_CELL = """index => {
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  window.jupyterapp.commands.execute('notebook:run-cell');
}"""


def widget_cell(page, needs=()):
    """The imports of a page, its lines that start with one of `needs`, and its cell with the widget: no training."""
    notebook = nbformat.read(PAGES / f"{page}.ipynb", as_version=4)
    sources = [c.source for c in notebook.cells if c.cell_type == "code" and "%pip" not in c.source]
    (cell,) = [source for source in sources if "series.Browser(" in source]
    nodes = [node for source in sources for node in ast.parse(source).body]
    imports = [ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    needed = [ast.unparse(node) for node in nodes if ast.unparse(node).startswith(tuple(needs))] if needs else []
    return "\n".join([*imports, *needed, cell])


def opened(page, lab, folder, source):
    """Open a notebook with that one cell in JupyterLab and run it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "n.ipynb")
    page.goto(f"{lab}/doc/tree/n.ipynb")
    page.wait_for_function(IDLE)
    page.evaluate(RUN_CELL, 0)
    output = page.locator(".jp-OutputArea-output")
    output.first.wait_for()
    assert "Traceback" not in output.first.inner_text(), output.first.inner_text()  # said at once, not after minutes of waiting


def status(page, words):
    return page.locator(".widget-label", has_text=words)


def shown(page):
    """The address of the picture on the screen: a new one for each new picture."""
    return page.locator(".widget-image").get_attribute("src")


def test_the_slider_of_page_01(tmp_path, lab, page, keep):
    opened(page, lab, tmp_path, widget_cell("01_kl_failure", ["RECORDED ="]))
    expect(status(page, "data = fashion_mnist, latents = 2, β = 1.0")).to_be_visible()
    first = shown(page)
    keep("start")

    page.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    expect(status(page, "β = 3.0")).to_be_visible()
    expect(page.locator(".widget-image")).not_to_have_attribute("src", first)

    page.get_by_role("button", name="digits").click()
    expect(status(page, "data = digits, latents = 2, β = 3.0")).to_be_visible()
    page.get_by_role("button", name="10", exact=True).click()
    expect(status(page, "data = digits, latents = 10, β = 3.0")).to_be_visible()
    keep("moved")
    box = page.locator(".widget-image").bounding_box()
    assert box["width"] > 600
    assert box["height"] > 150

    page.set_viewport_size({"width": 640, "height": 900})
    keep("narrow")
    assert page.locator(".widget-image").bounding_box()["width"] <= 640
    assert not page.errors


def step_right(page, handle, words):
    """One key press on a slider; the status line then says `words`."""
    handle.focus()
    page.keyboard.press("ArrowRight")
    expect(status(page, words)).to_be_visible()


def test_the_sliders_of_page_02(tmp_path, lab, page, keep):
    opened(page, lab, tmp_path, widget_cell("02_latent_predictability_score"))
    expect(status(page, "source = uniform, angle = 27, bend = 0.0")).to_be_visible()
    first = shown(page)
    angle, bend = page.locator(".noUi-handle").all()
    step_right(page, angle, "angle = 36, bend = 0.0")
    expect(page.locator(".widget-image")).not_to_have_attribute("src", first)
    step_right(page, bend, "angle = 36, bend = 0.2")
    page.get_by_role("button", name="gaussian").click()
    expect(status(page, "source = gaussian, angle = 36, bend = 0.2")).to_be_visible()
    keep("moved")
    assert page.locator(".widget-image").bounding_box()["width"] > 600
    assert not page.errors


def test_the_sliders_of_page_05(tmp_path, lab, page, keep):
    opened(page, lab, tmp_path, widget_cell("05_programmable_priors", ["HANDS =", "CLOTHES ="]))
    expect(status(page, "share = 0.5, turn = 45")).to_be_visible()
    first = shown(page)
    share, turn = page.locator(".noUi-handle").all()
    step_right(page, share, "share = 0.75, turn = 45")
    expect(page.locator(".widget-image")).not_to_have_attribute("src", first)
    step_right(page, turn, "share = 0.75, turn = 90")
    keep("moved")
    assert page.locator(".widget-image").bounding_box()["width"] > 600
    assert not page.errors
