"""The web site: links, formulas, figures and headings of small pages; hostile notebooks; what is refused; what is run again."""

import base64
import html
import io
import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from sculptlab import cli
from sculptlab.series import pages, reference
from sculptlab.series.site import building, running
from sculptlab.series.site.markdown import REPOSITORY, Addresses, Renderer
from sculptlab.series.site.notebooks import WIDGET, notebook_page
from sculptlab.series.site.searching import sections

ADDRESSES = {"notebooks/01_b.ipynb": "01_b.html", "GUIDE.md": "guide.html"}


def png(width=900):
    buffer = io.BytesIO()
    Image.new("RGB", (width, 20)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def code(source, *outputs, run=True, tags=()):
    return new_code_cell(source, outputs=list(outputs), execution_count=1 if run else None, metadata={"tags": list(tags)})


def write(folder, name, *cells):
    folder.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell(f"# {name}") if not cells else cells[0], *cells[1:]]), folder / name)
    return folder / name


def rendered(text, root=None, folder="notebooks"):
    renderer = Renderer(Addresses(root, ADDRESSES), folder)
    return renderer.to_html(text), renderer


@pytest.fixture
def page(tmp_path):
    """page(outputs): a page with one code cell that has these outputs, and its HTML."""

    def make(*outputs, **options):
        path = write(tmp_path / "executed", "00_a.ipynb", new_markdown_cell("# A"), code("1", *outputs, **options))
        made = notebook_page(path, Addresses(None, {}))
        return made, "\n".join(part for kind, part in made.parts if kind == "output")

    return make


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("01_b.ipynb", "01_b.html"),
        ("01_b.ipynb#2-means", "01_b.html#2-means"),
        ("./01_b.ipynb", "01_b.html"),
        ("../GUIDE.md", "guide.html"),
        ("../data/results/x%20y.csv", "files/data_results_x y.csv"),
        ("#here", "#here"),
        ("https://arxiv.org/abs/2510.11953", "https://arxiv.org/abs/2510.11953"),
        ("mailto:a@b.c", "mailto:a@b.c"),
        ("02_missing.ipynb", f"{REPOSITORY}notebooks/02_missing.ipynb"),
        ("../../../etc/passwd", f"{REPOSITORY}../../etc/passwd"),
        ("/etc/passwd", f"{REPOSITORY}/etc/passwd"),
    ],
)
def test_links_lead_to_the_site_where_it_has_the_file(tmp_path, url, address):
    (tmp_path / "data" / "results").mkdir(parents=True)
    (tmp_path / "data" / "results" / "x y.csv").touch()
    addresses = Addresses(tmp_path, ADDRESSES)
    assert addresses.of(url, "notebooks") == address
    assert list(addresses.files) == ([address] if address.startswith("files/") else [])


def test_formulas_are_mathml_in_lines_tables_headings_and_html():
    parts = (
        "# A $z_1$",
        "In $z_2$.",
        "$$z_3^2$$",
        "| a |\n|---|\n| $z_4$ |",
        "<details><summary>$z_5$</summary>",
        "$z_6$",
        "</details>",
    )
    text = "\n\n".join(parts)
    found, renderer = rendered(text)
    assert [f"<mi>z</mi><mn>{k}</mn>" in found for k in range(1, 7)] == [True] * 6
    assert found.count("<math") == 6
    assert found.count('<math display="block">') == 1
    assert '<span class="unbroken"><math>' in found  # the full stop stays with its formula
    assert 'id="a-z1"' in found
    assert not renderer.problems


def test_dollars_in_code_and_prices_stay():
    text = "<pre>$x$ and $y$</pre>\n\n`$a$` costs 5 $\n\n<div>5 $ or 6 $ or \\$x$</div>"
    found, renderer = rendered(text)
    assert "<math" not in found
    assert not renderer.problems


@pytest.mark.parametrize("tex", [r"\nonsense{x}", r"\frac{1", "a & b <script>"])
def test_a_formula_that_cannot_be_converted_is_shown_as_tex(tex):
    found, renderer = rendered(f"See ${tex}$ here.")
    assert "<code>" in found
    assert re.sub(r"&(amp|lt|gt);", lambda it: {"amp": "&", "lt": "<", "gt": ">"}[it[1]], found).count(tex) == 1
    assert len(renderer.problems) == 1
    assert tex in renderer.problems[0]


@pytest.mark.parametrize("path", pages.every(), ids=lambda path: path.stem)
def test_every_formula_of_the_pages_is_converted(path):
    renderer = Renderer(Addresses(None, {}), "notebooks")
    cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
    found = "\n".join(map(renderer.to_html, cells))
    assert not [problem for problem in renderer.problems if "formula" in problem]
    outside = re.sub(r"<(pre|code|annotation)\b.*?</\1>", "", found, flags=re.DOTALL)
    assert "$" not in outside
    assert "\\" not in outside


def test_headings_have_ids_of_their_own_and_link_to_themselves():
    found, renderer = rendered("# One & two\n\n## Same\n\n## Same\n\n## ???")
    assert [name for _, name, _ in renderer.headings] == ["one--two", "same", "same-1", "section"]
    assert all(f'id="{name}"' in found and f'href="#{name}"' in found for _, name, _ in renderer.headings)


def test_pictures_of_the_repository_are_copied_and_foreign_ones_become_words(tmp_path):
    (tmp_path / "a.png").touch()
    found, renderer = rendered("![A](a.png) [![Badge](https://x.y/badge.svg)](https://x.y) ![Gone](gone.png)", tmp_path, "")
    assert '<img src="files/a.png" alt="A"' in found
    assert '<a href="https://x.y">Badge</a>' in found
    assert found.count("<img") == 1
    assert "Gone" in found
    assert renderer.problems == ["a picture is missing: gone.png"]


def test_a_figure_becomes_a_file_of_its_size(page):
    output = new_output("display_data", data={"image/png": png(), "text/plain": "Picture"})
    output.metadata["image/png"] = {"alt": 'Codes <b> "x"'}
    made, found = page(output)
    assert list(made.figures) == ["figures/00_a_1.png"]
    assert made.cover == "figures/00_a_1.png"
    assert "--width: 900px" in found
    assert 'alt="Codes &lt;b&gt; &quot;x&quot;"' in found
    assert "Picture" not in found


def test_a_tag_chooses_the_figure_that_stands_for_the_page(tmp_path):
    figure = new_output("display_data", data={"image/png": png()})
    cells = [code("1", figure), code("2", figure, tags=["cover"]), code("3", figure), code("4", tags=["cover"])]
    assert notebook_page(write(tmp_path, "00_a.ipynb", *cells[:3]), Addresses(None, {})).cover == "figures/00_a_2.png"
    assert notebook_page(write(tmp_path, "00_a.ipynb", *cells[::2]), Addresses(None, {})).cover == "figures/00_a_1.png"
    assert notebook_page(write(tmp_path, "00_a.ipynb", cells[3]), Addresses(None, {})).cover == ""


def test_a_widget_shows_its_picture_and_a_progress_bar_nothing(page):
    made, found = page(
        new_output("display_data", data={WIDGET: {"model_id": "x"}, "image/png": png(), "text/plain": "Sculptor"}),
        new_output("display_data", data={WIDGET: {"model_id": "y"}, "text/plain": "  0%|"}),
    )
    assert len(made.figures) == 1
    assert "without a kernel" in found
    assert 'href="index.html#sculptor"' in found
    assert "0%|" not in found


@pytest.mark.parametrize(
    ("settings", "here"),
    [("sculptor?prior=ring&noise=0.2", True), ("sculptor?", True), ("sculptor?data=fashion_mnist_small", False),
     ("sculptor?prior=yours", False), ("elsewhere?", False), ("", False)],
)  # fmt: skip
def test_a_sculptor_of_digits_stands_in_for_the_widget(page, settings, here):
    output = new_output("display_data", data={WIDGET: {"model_id": "x"}, "image/png": png(), "text/plain": "Sculptor"})
    output.metadata = {"image/png": {"alt": "codes", "settings": settings, "steps": 150}}
    made, found = page(output)
    assert made.has_sculptor == here
    assert ('data-steps="150"' in found) == here
    assert (f'data-settings="{html.escape(settings)}"' in found) == here
    assert 'alt="codes"' in found  # the picture stays where the browser cannot run it


@pytest.mark.parametrize("picture", ["", "no base64!", base64.b64encode(b"no picture").decode()])
def test_a_picture_that_cannot_be_read_gives_way_to_the_text(page, picture):
    made, found = page(new_output("display_data", data={"image/png": picture, "text/plain": "<Figure>"}))
    assert "&lt;Figure&gt;" in found
    assert made.figures == {}
    assert "a picture cannot be read" in made.problems[0]


def test_outputs_of_all_kinds_are_shown(page):
    made, found = page(
        new_output("stream", name="stdout", text="a < b\n\x1b[31mred\x1b[0m"),
        new_output("stream", name="stderr", text="UserWarning: hm"),
        new_output("display_data", data={"text/html": "<table><tr><td>1</td></tr></table>", "text/plain": "1"}),
        new_output("display_data", data={"text/markdown": "**bold** $x$", "text/plain": "2"}),
        new_output("display_data", data={"text/latex": "$\\alpha$", "text/plain": "3"}),
        new_output("display_data", data={"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>", "text/plain": "4"}),
        new_output("execute_result", data={"text/plain": "<5>"}, execution_count=1),
        new_output("display_data", data={"application/json": {"only": 1}}),
    )
    assert "a &lt; b" in found
    assert '<pre class="stderr">' in found
    for part in ("<td>1</td>", "<strong>bold</strong>", "<mi>α</mi>", "&lt;5&gt;"):
        assert part in found
    assert list(made.figures) == ["figures/00_a_1.svg"]
    assert not made.problems


def test_a_page_that_was_not_run_or_shows_an_error_is_refused_by_name(page):
    error = new_output("error", ename="KeyError", evalue="'x'", traceback=["KeyError: 'x'"])
    with pytest.raises(ValueError, match=r"got 00_a\.ipynb with a code cell that was not run"):
        page(run=False)
    with pytest.raises(ValueError, match=r"got 00_a\.ipynb, which shows KeyError: 'x'"):
        page(error)
    assert "KeyError" in page(error, tags=["raises-exception"])[1]
    assert page()[1] == ""  # a cell without output is a page all the same


@pytest.fixture
def documents(monkeypatch):
    """Two short documents instead of the repository's own, and no Sculptor."""
    monkeypatch.setattr(building, "sculptor_script", lambda: "window.mountSculptor = () => {};")
    texts = {"GUIDE.md": "# Guide\n\n[A page](notebooks/00_a.ipynb), [API](API.md#x)", "API.md": '# API\n\n<pre id="x">$1$</pre>'}
    monkeypatch.setattr(building, "documents", lambda: texts)


@pytest.fixture
def executed(tmp_path, documents):
    first = new_markdown_cell("# 00 · Can $z$ follow?\n\n[Next](01_b.ipynb#second)\n\n## Why\n\n## How\n\n## Where")
    folder = tmp_path / "executed"
    write(folder, "00_a.ipynb", first, code("print(1)", new_output("display_data", data={"image/png": png()})))
    write(folder, "01_b.ipynb", new_markdown_cell("# 01 · B\n\n## Second\n\n[Back](00_a.ipynb), [guide](../GUIDE.md)"))
    write(folder, "02_c.ipynb", new_markdown_cell("# 02 · C"))
    return folder


def test_a_site_has_its_pages_neighbors_and_an_index(executed, tmp_path):
    out = tmp_path / "new" / "site"
    assert building.build_site(executed, out) == []
    names = ["00_a.html", "01_b.html", "02_c.html", "api.html", "guide.html", "index.html", "search.html"]
    assert sorted(path.name for path in out.glob("*.html")) == names
    read = {name: (out / name).read_text(encoding="utf-8") for name in names}
    assert all(f'href="{name}"' in read["index.html"] for name in [*names[:5], "search.html"])
    assert 'src="figures/00_a_1.png"' in read["index.html"]
    assert re.findall(r'rel="(\w+)" href="(\w+.html)"', read["01_b.html"]) == [("prev", "00_a.html"), ("next", "02_c.html")] * 2
    assert re.findall(r'rel="(\w+)"', read["00_a.html"]) == ["icon", "stylesheet", *["next"] * 2]
    assert '<a href="#how">How</a>' in read["00_a.html"]
    assert "<title>00 · Can z follow?</title>" in read["00_a.html"]
    assert "<summary>Code: <code>print(1)</code></summary>" in read["00_a.html"]
    assert sorted(path.name for path in (out / "static").iterdir()) == ["math.woff2", "sculptor.js", "search.js", "site.css"]
    assert [path.name for path in out.parent.iterdir()] == ["site"]


def test_the_words_of_a_page_are_found_by_section(tmp_path):
    text = "Before.\n\n# 00 · *A* page\n\nA &lt;b&gt; $x^2$ line.\n\n## Why\n\n| one | two |\n|---|---|\n| 3 | 4 |"
    path = write(
        tmp_path / "executed", "00_a.ipynb", new_markdown_cell(text), code("print(5)"), new_markdown_cell("More.\n\n## Why")
    )
    assert sections(notebook_page(path, Addresses(None, {}))) == [
        ("", "", "Before."), ("#00--a-page", "00 · A page", "A <b> line."),
        ("#why", "Why", "one two 3 4 More."), ("#why-1", "Why", ""),
    ]  # fmt: skip


def test_a_docstring_is_a_section_of_its_name(executed, tmp_path):
    building.build_site(executed, tmp_path / "site")
    script = (tmp_path / "site" / "static" / "search.js").read_text(encoding="utf-8")
    found = json.loads(script.removeprefix("const searchSections = ").removesuffix(";\n"))
    assert ["api.html#x", "API", "x", "$1$"] in found
    assert ["01_b.html#second", "01 · B", "Second", "Back , guide"] in found


def test_a_site_is_replaced_and_nothing_else_is(executed, tmp_path):
    out = tmp_path / "site"
    building.build_site(executed, out)
    (out / "old.html").touch()
    (executed / "02_c.ipynb").unlink()
    building.build_site(executed, out)
    assert not (out / "old.html").exists()
    assert not (out / "02_c.html").exists()
    (out / building.MARK).unlink()
    with pytest.raises(ValueError, match="which holds other files"):
        building.build_site(executed, out)
    assert (out / "index.html").is_file()
    with pytest.raises(ValueError, match="got the file"):
        building.build_site(executed, out / "index.html")
    with pytest.raises(ValueError, match="executed must be a folder with executed pages"):
        building.build_site(tmp_path / "nowhere", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_page_that_is_refused_leaves_the_earlier_site(executed, tmp_path):
    out = tmp_path / "site"
    building.build_site(executed, out)
    write(executed, "02_c.ipynb", new_markdown_cell("# 02 · C"), code("1", run=False))
    with pytest.raises(ValueError, match="02_c"):
        building.build_site(executed, out)
    assert (out / "02_c.html").is_file()


def test_broken_links_and_foreign_requests_are_told(executed, tmp_path):
    text = "# 01 · B\n\n<a href='nowhere.html'>x</a> <img src='https://x.y/z.png'>\n\n[y](02_c.ipynb#no)"
    write(executed, "01_b.ipynb", new_markdown_cell(text))
    assert building.build_site(executed, tmp_path / "site") == [
        "00_a.html: a link leads to no heading: 01_b.html#second",
        "01_b.html: a link leads to no file: nowhere.html",
        "01_b.html: a link leads to no heading: 02_c.html#no",
        "01_b.html: is loaded from elsewhere: https://x.y/z.png",
    ]


def test_the_first_page_has_the_sculptor_without_a_kernel(executed, tmp_path, monkeypatch):
    script = "window.mountSculptor = (element) => { element.innerHTML = '<b>here</b>'; };"
    monkeypatch.setattr(building, "sculptor_script", lambda: script)
    building.build_site(executed, tmp_path / "site")
    index, other = ((tmp_path / "site" / name).read_text(encoding="utf-8") for name in ("index.html", "00_a.html"))
    assert '<div id="sculptor" class="sculptor-here">' in index
    assert "mountSculptor" in index
    assert "mountSculptor" not in other  # which has none
    assert (tmp_path / "site" / "static" / "sculptor.js").read_text(encoding="utf-8") == script


def test_the_reference_of_the_site_has_every_docstring():
    text = reference.reference(docstrings=True)
    assert "[**`sl.mmd2`**](#mmd.mmd2)" in text
    assert '<pre id="mmd.mmd2">' in text
    assert set(re.findall(r"\]\(#([\w.]+)\)", text)) == set(re.findall(r'<pre id="([\w.]+)">', text))
    assert "<pre" not in reference.reference()


@pytest.fixture
def series(tmp_path, monkeypatch):
    """Two pages that count their runs, and the folder of their executed copies."""
    counter = tmp_path / "runs.txt"
    for name in ("00_a", "01_b"):
        source = f"from pathlib import Path\nwith Path({str(counter)!r}).open('a') as file:\n    file.write('{name} ')"
        write(tmp_path / "pages", f"{name}.ipynb", new_markdown_cell(f"# {name}"), code(source, run=False))
    monkeypatch.setattr(pages, "notebooks_folder", lambda: tmp_path / "pages")
    monkeypatch.setattr(running, "_sources", lambda: [])
    monkeypatch.setattr(building, "sculptor_script", lambda: "window.mountSculptor = () => {};")
    return lambda: counter.read_text().split() if counter.exists() else []


def test_only_what_changed_is_run_again(series, tmp_path, monkeypatch, capsys):
    out, executed = tmp_path / "site", tmp_path / "executed"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(building, "documents", dict)
    assert cli.main(["site", str(out)]) == cli.OK
    assert series() == ["00_a", "01_b"]
    assert (out / "00_a.html").is_file()
    assert cli.main(["site", str(out)]) == cli.OK
    assert series() == ["00_a", "01_b"]
    assert "unchanged" in capsys.readouterr().out

    write(tmp_path / "pages", "01_b.ipynb", new_markdown_cell("# new"), code("2", run=False))
    assert cli.main(["site", str(out)]) == cli.OK
    assert series() == ["00_a", "01_b"]
    assert "<h1" in (out / "01_b.html").read_text()
    pages.execute(tmp_path / "pages" / "00_a.ipynb", executed, seed=7, progress=False)  # as `sculptlab run --seed 7` does
    assert cli.main(["site", str(out)]) == cli.OK
    assert series() == ["00_a", "01_b", "00_a", "00_a"]
    assert cli.main(["site", str(out), "--executed", str(executed)]) == cli.OK
    assert series() == ["00_a", "01_b", "00_a", "00_a"]


def test_a_page_that_fails_is_named_and_run_again(series, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(building, "documents", dict)
    write(tmp_path / "pages", "01_b.ipynb", new_markdown_cell("# b"), code("1 / 0", run=False))
    assert cli.main(["site", "out"]) == cli.USAGE
    assert "01_b.ipynb, which shows ZeroDivisionError" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert running.executed_from(tmp_path / "executed" / "01_b.ipynb") is None
    assert running.executed_from(tmp_path / "executed" / "00_a.ipynb") == running.page_key(tmp_path / "pages" / "00_a.ipynb")


def test_the_key_follows_page_package_and_settings(tmp_path, monkeypatch):
    path, source = write(tmp_path, "00_a.ipynb"), tmp_path / "module.py"
    source.write_text("1")
    monkeypatch.setattr(running, "_sources", lambda: [source])
    keys = [running.page_key(path)]
    assert running.page_key(path) == keys[0]
    source.write_text("2")
    keys.append(running.page_key(path))
    write(tmp_path, "00_a.ipynb", new_markdown_cell("# other"))
    keys.append(running.page_key(path))
    monkeypatch.setenv("SCULPTLAB_PROFILE", "full")
    keys.append(running.page_key(path))
    monkeypatch.setenv("SCULPTLAB_SEED", "7")
    keys.append(running.page_key(path))
    assert len(set(keys)) == 5


def test_the_key_does_not_depend_on_the_site_itself():
    names = {path.name for path in running._sources()}
    assert {"lps.py", "columns.csv", "00.toml", "particles.html"} <= names
    assert not {"site.css", "building.py"} & names
    assert not [name for name in names if name.endswith(".pyc")]


def test_the_command_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert cli.main(["site", str(tmp_path / "out")]) == cli.FAILED
    assert "install math-core" in capsys.readouterr().err
    monkeypatch.undo()
    (tmp_path / "mine.txt").touch()
    assert cli.main(["site", str(tmp_path)]) == cli.USAGE
    assert "which holds other files" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").exists()
