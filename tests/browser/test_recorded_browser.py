"""The slider of page 01 in a real JupyterLab: the page's own cell, moved by keyboard, looked at on the screen."""

import ast
from pathlib import Path

import nbformat
from playwright.sync_api import expect

PAGE = Path(__file__).resolve().parents[2] / "notebooks" / "01_kl_failure.ipynb"
IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN_CELL = """index => {
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  window.jupyterapp.commands.execute('notebook:run-cell');
}"""


def widget_cell():
    """The imports of page 01, its prior, and its cell with the widget: all that the cell needs, no training."""
    sources = [c.source for c in nbformat.read(PAGE, as_version=4).cells if c.cell_type == "code" and "%pip" not in c.source]
    (cell,) = [source for source in sources if "widgets.Browser(" in source]
    nodes = [node for source in sources for node in ast.parse(source).body]
    imports = [ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    prior = [ast.unparse(node) for node in nodes if ast.unparse(node).startswith("gaussian =")]
    return "\n".join([*imports, *prior, cell])


def shown(page):
    """The address of the picture on the screen: a new one for each new picture."""
    return page.locator(".widget-image").get_attribute("src")


def test_the_slider_of_page_01(tmp_path, lab, page, keep):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(widget_cell())])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "n.ipynb")
    page.goto(f"{lab}/doc/tree/n.ipynb")
    page.wait_for_function(IDLE)
    page.evaluate(RUN_CELL, 0)
    status = page.locator(".widget-label", has_text="data = fashion_mnist, latents = 2, β = 1.0")
    expect(status).to_be_visible()
    first = shown(page)
    keep("start")

    page.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".widget-label", has_text="β = 3.0")).to_be_visible()
    expect(page.locator(".widget-image")).not_to_have_attribute("src", first)

    page.get_by_role("button", name="digits").click()
    expect(page.locator(".widget-label", has_text="data = digits, latents = 2, β = 3.0")).to_be_visible()
    page.get_by_role("button", name="10", exact=True).click()
    expect(page.locator(".widget-label", has_text="data = digits, latents = 10, β = 3.0")).to_be_visible()
    keep("moved")
    box = page.locator(".widget-image").bounding_box()
    assert box["width"] > 600
    assert box["height"] > 150

    page.set_viewport_size({"width": 640, "height": 900})
    keep("narrow")
    assert page.locator(".widget-image").bounding_box()["width"] <= 640
    assert not page.errors
