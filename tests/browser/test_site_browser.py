"""A small site in chromium, on a phone and on a desktop: every link, no request to elsewhere, nothing wider than the screen."""

import base64
import functools
import http.server
import io
import re
import threading
from contextlib import contextmanager

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from playwright.sync_api import expect

from sculptlab.series.site.building import build_site
from sculptlab.series.site.notebooks import WIDGET

LOADED = "() => [...document.querySelectorAll('img:not(.sculptor-here img)')].every((one) => one.complete && one.naturalWidth)"
SCREENS = {"phone": (360, 740), "desktop": (1200, 900)}
BADGE = "[![Colab](https://colab.research.google.com/badge.svg)](https://colab.research.google.com)"
KL = r"\mathrm{KL}(q(z|x)\,\|\,N(0,1)) = \tfrac12\,(m^2 + s^2 - \ln s^2 - 1)"
TEXT = rf"""# 00 · Can $z_1$ follow?

[Next page](01_b.ipynb#second), [guide](../GUIDE.md), {BADGE}

## A table and formulas

$$\mathcal L = \frac1b\sum_i \tfrac12\,\|x_i - \hat x_i\|^2 + \lambda\,\mathrm{{MMD}}^2\big(\{{z_i\}}, \{{y_i\}}\big) + {KL}$$

In a line: ${KL}$.

| kernel | $k(x, y)$ | finds differences of these lengths | misses differences of these lengths | remarks |
|---|---|---|---|---|
| `RBF(bandwidth, a_very_long_argument=1.0)` | $e^{{-D^2/2h^2}}$ | about one h | much finer or coarser ones | none |

## Why

## How

<details><summary>Solution</summary>

```python
{"x = " + "1 + " * 60 + "1"}
```

</details>
"""
HOSTILE = """<div><script>
window.ran = true;
fetch("https://example.com/fetched").catch(() => { window.refused = true; });
new Image().src = "https://example.com/image.png";
</script><img src="https://example.com/picture.png" alt="elsewhere"></div>"""


def picture(width):
    buffer = io.BytesIO()
    Image.new("RGB", (width, 280), "#0072B2").save(buffer, "PNG")
    return new_output("display_data", data={"image/png": base64.b64encode(buffer.getvalue()).decode()})


def sculptor(settings, steps):
    """A saved Sculptor, with its picture."""
    saved = picture(400)
    saved.data |= {WIDGET: {"model_id": "x"}, "text/plain": "Sculptor"}
    saved.metadata = {"image/png": {"settings": settings, "steps": steps, "alt": "saved"}}
    return saved


def html(text):
    return new_output("display_data", data={"text/html": text})


def build(folder, pages):
    """Build a site of pages, {file name: cells}, in folder/out; what could not be shown."""
    folder.mkdir(exist_ok=True)
    for name, cells in pages.items():
        nbformat.write(new_notebook(cells=cells), folder / name)
    return build_site(folder, folder / "out")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Print nothing."""


@contextmanager
def serving(folder):
    """The address of a folder's files."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder and the address of a site of two pages and the repository's documents."""
    folder = tmp_path_factory.mktemp("pages")
    wide = html("<table><tr>" + "<td>0.123456789</td>" * 20 + "</tr></table>")
    printed = new_output("stream", name="stdout", text="a line " * 40)
    outputs = [picture(900), picture(300), printed, wide, html('<div style="color:#00684a">✓ holds</div>')]
    cell = new_code_cell("import sculptlab as sl  # " + "long " * 40, outputs=outputs, execution_count=1)
    other = new_markdown_cell("# 01 · B\n\n## Second\n\n[Back](00_a.ipynb)")
    far = new_markdown_cell("A line.\n\n" * 60)
    two = new_code_cell("1", outputs=[sculptor("sculptor?prior=ring", 60)], execution_count=1)
    three = new_code_cell("2", outputs=[sculptor("sculptor?prior=moons", 55)], execution_count=2)
    assert build(folder, {"00_a.ipynb": [new_markdown_cell(TEXT), cell], "01_b.ipynb": [other, two, far, three]}) == []
    with serving(folder / "out") as address:
        yield folder / "out", address


@pytest.fixture
def show(page, site):
    """show(url): open a page with all its pictures; requests to elsewhere are ended, and noted in `page.foreign`."""
    page.foreign = []

    def route(route):
        if route.request.url.startswith((site[1], "data:", "file:", "blob:")):
            return route.continue_()
        page.foreign.append(route.request.url)
        return route.abort()

    def open_url(url):
        page.goto(url)
        page.evaluate("document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })")
        page.wait_for_function(LOADED)

    page.route("**/*", route)
    return open_url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_fits_the_screen_and_asks_nobody_else(site, page, show, keep, screen, scheme):
    folder, address = site
    width, height = SCREENS[screen]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    names = sorted(path.name for path in folder.glob("*.html"))
    assert {"index.html", "00_a.html", "api.html", "guide.html", "readme.html", "results.html"} <= set(names)
    for name in names:
        show(address + name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name}, unfolded"
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (scheme == "dark")
        if name in ("00_a.html", "index.html"):
            keep(name.removesuffix(".html"))
    assert page.foreign == page.errors == page.said == []


SMALL = """least => [...document.querySelectorAll('a, button, input, select, summary')].filter((one) => {
  const { width, height } = one.getBoundingClientRect();
  const inText = one.tagName === 'A' && one.closest('p, li, td') && !one.classList.contains('anchor');
  return width && !inText && (height < (one.tagName === 'A' ? 24 : least) || width < least);
}).map((one) => one.outerHTML.slice(0, 90))"""


def test_on_a_phone_what_one_touches_is_large_enough(site, page, keep):
    """At least 40 pixels wide and high, links 24 high; a link within a text is as high as its line."""
    phone = page.context.browser.new_context(
        viewport={"width": 360, "height": 740}, device_scale_factor=3, is_mobile=True, has_touch=True
    )
    touched = phone.new_page()
    for name in ("00_a.html", "guide.html", "search.html", "index.html"):
        touched.goto((site[0] / name).as_uri())
        if name == "index.html":
            touched.wait_for_function("() => +document.querySelector('.sculptor')?.dataset.frames > 0")
        assert touched.evaluate(SMALL, 40) == [], name
        assert touched.evaluate("document.documentElement.scrollWidth") <= 360, name
    keep("index", touched.locator(".sculptor"))
    touched.get_by_role("button", name="Play").tap()
    touched.wait_for_function("() => +document.querySelector('.sculptor').dataset.step > 52")
    phone.close()


def test_links_lead_through_the_site(site, page, show):
    show(site[1])
    page.get_by_role("link", name="00 · Can").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Can")
    page.get_by_role("link", name="Next page").click()
    expect(page).to_have_url(f"{site[1]}01_b.html#second")
    page.locator("[rel=prev]").first.click()
    page.get_by_role("link", name="guide", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Guide")
    page.get_by_role("navigation", name="site").get_by_role("link", name="API").click()
    expect(page.locator("pre[id='mmd.mmd2']")).to_be_hidden()
    page.get_by_role("link", name="sl.mmd2", exact=True).click()
    expect(page.locator("pre[id='mmd.mmd2']")).to_be_visible()  # a link into a fold opens it
    page.locator("h2 .anchor").first.click()
    expect(page).to_have_url(re.compile("#sculptlabdata$"))
    page.get_by_role("link", name="sculptlab", exact=True).first.click()
    expect(page).to_have_url(f"{site[1]}index.html")


def test_formulas_figures_and_folded_code(site, page, show):
    page.set_viewport_size({"width": 360, "height": 740})
    show(f"{site[1]}00_a.html")
    assert page.locator("main math").count() == 5
    page.wait_for_function("() => [...document.fonts].every((font) => font.status === 'loaded')")
    assert page.locator("math annotation").first.evaluate("one => getComputedStyle(one).display") == "none"
    widths = [image.bounding_box()["width"] for image in page.locator("figure img").all()]
    assert widths == [900, 300]  # as drawn: one scrolls to the panels of a wide figure
    assert page.locator("figure .scroll").first.evaluate("one => one.scrollWidth > one.clientWidth")
    expect(page.locator(".code pre")).to_be_hidden()
    page.locator(".code summary").click()
    expect(page.locator(".code pre")).to_contain_text("import sculptlab")
    expect(page.locator(".code pre")).to_be_visible()
    page.emulate_media(color_scheme="dark")
    assert page.locator("figure img").first.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(255, 255, 255)"
    assert page.get_by_text("✓ holds").evaluate("one => getComputedStyle(one).color") == "rgb(95, 207, 168)"


def test_the_site_is_read_from_a_folder_without_a_server(site, page, show):
    show((site[0] / "index.html").as_uri())
    page.get_by_role("link", name="00 · Can").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Can")
    page.wait_for_function("() => [...document.fonts].every((font) => font.status === 'loaded')")
    assert page.evaluate("getComputedStyle(document.body).maxWidth") == "932px"  # the style is there
    assert page.foreign == page.errors == page.said == []


def test_words_are_found_without_a_server(site, page, show, keep):
    page.set_viewport_size({"width": 360, "height": 740})
    show((site[0] / "index.html").as_uri())
    page.get_by_role("link", name="Search").click()
    field, count, found = page.get_by_role("searchbox"), page.locator("#count"), page.locator("#found li")
    expect(field).to_be_focused()
    expect(found).to_have_count(0)
    field.fill("kernel DIFFERENCES remarks")  # every one of them, in any order
    expect(count).to_have_text("1 section")
    expect(found.get_by_role("link")).to_have_text("00 · Can z1 follow?: A table and formulas")
    assert [word.lower() for word in found.locator("mark").all_inner_texts()][:3] == ["kernel", "differences", "differences"]
    keep("search")
    field.fill("no such words anywhere")
    expect(count).to_have_text("No sections")
    field.fill("<img src=x onerror=alert(1)> (a[")
    expect(count).to_have_text("No sections")
    field.fill("mmd2")
    expect(found.first.get_by_role("link")).to_contain_text("mmd.mmd2")
    expect(count).to_contain_text("sections")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    found.first.get_by_role("link").click()
    expect(page.locator("pre[id='mmd.mmd2']")).to_be_visible()
    page.go_back()
    expect(field).to_have_value("mmd2")
    expect(found.first.get_by_role("link")).to_contain_text("mmd.mmd2")
    assert page.foreign == page.errors == page.said == []


def test_the_sculptor_of_the_first_page_trains_without_a_server(site, page, show):
    show((site[0] / "index.html").as_uri())
    page.wait_for_selector("#sculptor canvas", state="visible")
    assert page.locator("#sculptor > img").count() == 0  # the film made room
    page.locator("#sculptor").get_by_role("button", name="Play").first.click()
    page.wait_for_function("() => +document.querySelector('#sculptor .sculptor')?.dataset.step > 5")
    assert page.foreign == page.errors == page.said == []


def test_a_widget_of_a_page_is_replaced_when_the_reader_comes_near_it(site, page, show):
    show((site[0] / "01_b.html").as_uri())
    first, second = page.locator(".sculptor-here").all()
    expect(first.locator(".sculptor")).to_have_attribute("data-step", "60")
    expect(first.locator("input[type=text]")).to_have_value("sculptor?prior=ring")
    expect(first.get_by_alt_text("saved", exact=True)).to_have_count(0)
    expect(second.get_by_alt_text("saved", exact=True)).to_have_count(1)
    second.scroll_into_view_if_needed()
    expect(second.locator(".sculptor")).to_have_attribute("data-step", "55")
    assert page.locator("script[src='static/sculptor.js']").count() == 1
    assert page.foreign == page.errors == page.said == []


def test_a_script_in_an_output_reaches_nobody(tmp_path, page, show):
    cell = new_code_cell("1", outputs=[html(HOSTILE)], execution_count=1)
    told = build(tmp_path / "hostile", {"00_a.ipynb": [new_markdown_cell("# A"), cell, new_markdown_cell("After it.")]})
    assert told == ["00_a.html: is loaded from elsewhere: https://example.com/picture.png"]
    page.goto((tmp_path / "hostile" / "out" / "00_a.html").as_uri())
    page.wait_for_function("() => window.refused")
    assert page.evaluate("window.ran")  # an animation of ours is a script too
    expect(page.get_by_text("After it.")).to_be_visible()
    assert page.foreign == []
