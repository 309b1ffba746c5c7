"""The sliders of pages 01, 02 and 05 in a real JupyterLab: the page's own cell, moved by keyboard, looked at on the screen."""

import ast
from pathlib import Path

import nbformat
from playwright.sync_api import expect

PAGES = Path(__file__).resolve().parents[2] / "notebooks"


def widget_cell(page, needs=()):
    """The imports of a page, its lines that start with one of `needs`, and its cell with the widget: no training."""
    notebook = nbformat.read(PAGES / f"{page}.ipynb", as_version=4)
    sources = [c.source for c in notebook.cells if c.cell_type == "code" and "%pip" not in c.source]
    (cell,) = [source for source in sources if "series.Browser(" in source]
    nodes = [node for source in sources for node in ast.parse(source).body]
    imports = [ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    needed = [ast.unparse(node) for node in nodes if ast.unparse(node).startswith(tuple(needs))] if needs else []
    return "\n".join([*imports, *needed, cell])


def status(page, words):
    return page.locator(".widget-label", has_text=words)


def shown(page):
    """The address of the picture on the screen: a new one for each new picture."""
    return page.locator(".widget-image").get_attribute("src")


def step_right(page, handle, words):
    """One key press on a slider; the status line then says `words`."""
    handle.focus()
    page.keyboard.press("ArrowRight")
    expect(status(page, words)).to_be_visible()


def page_01(page, keep):
    expect(status(page, "data = fashion_mnist, latents = 2, β = 1.0")).to_be_visible()
    first = shown(page)
    keep("01-start")
    step_right(page, page.locator(".noUi-handle"), "β = 3.0")
    expect(page.locator(".widget-image")).not_to_have_attribute("src", first)
    page.get_by_role("button", name="digits").click()
    expect(status(page, "data = digits, latents = 2, β = 3.0")).to_be_visible()
    page.get_by_role("button", name="10", exact=True).click()
    expect(status(page, "data = digits, latents = 10, β = 3.0")).to_be_visible()
    keep("01-moved")
    box = page.locator(".widget-image").bounding_box()
    assert box["width"] > 600
    assert box["height"] > 150
    wide = page.viewport_size
    page.set_viewport_size({"width": 640, "height": 900})
    keep("01-narrow")
    assert page.locator(".widget-image").bounding_box()["width"] <= 640
    page.set_viewport_size(wide)


def page_02(page, keep):
    expect(status(page, "source = uniform, angle = 27, bend = 0.0")).to_be_visible()
    first = shown(page)
    angle, bend = page.locator(".noUi-handle").all()
    step_right(page, angle, "angle = 36, bend = 0.0")
    expect(page.locator(".widget-image")).not_to_have_attribute("src", first)
    step_right(page, bend, "angle = 36, bend = 0.2")
    page.get_by_role("button", name="gaussian").click()
    expect(status(page, "source = gaussian, angle = 36, bend = 0.2")).to_be_visible()
    keep("02-moved")
    assert page.locator(".widget-image").bounding_box()["width"] > 600


def page_05(page, keep):
    expect(status(page, "share = 0.5, turn = 45")).to_be_visible()
    first = shown(page)
    share, turn = page.locator(".noUi-handle").all()
    step_right(page, share, "share = 0.75, turn = 45")
    expect(page.locator(".widget-image")).not_to_have_attribute("src", first)
    step_right(page, turn, "share = 0.75, turn = 90")
    keep("05-moved")
    assert page.locator(".widget-image").bounding_box()["width"] > 600


def test_the_sliders_of_pages_01_02_and_05(page, notebook, keep):
    """One after the other in one notebook: a kernel of its own for each would spend most of the time on imports."""
    run = notebook([
        widget_cell("01_kl_failure", ["RECORDED ="]), widget_cell("02_latent_predictability_score"),
        widget_cell("05_programmable_priors", ["HANDS =", "CLOTHES ="]),
    ])  # fmt: skip
    for number, moved in enumerate((page_01, page_02, page_05)):
        run(number)
        output = page.locator(".jp-OutputArea-output")
        output.first.wait_for()
        assert "Traceback" not in output.first.inner_text(), output.first.inner_text()  # at once, not after minutes of waiting
        moved(page, keep)
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        expect(page.locator(".widget-image")).to_have_count(0)
    assert not page.errors
