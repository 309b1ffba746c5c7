"""Executed pages as what the site's template shows: text, folded code, and outputs as HTML with their figures as files."""

import base64
import html
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from nbconvert.filters import Highlight2HTML, ansi2html
from PIL import Image

from sculptlab.series.execution import swallowed
from sculptlab.series.pages import read_page
from sculptlab.series.site.markdown import Addresses, Renderer, plain

WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg"}
COVER = "cover"  # the tag of the cell whose figure stands for the page; without it, the page's first figure does
NARROW = 330  # pixels of a figure that a phone shows without scrolling
SCULPTOR = "sculptor?"  # the beginning of the settings of a Sculptor
ELSEWHERE = ' <a href="index.html#sculptor">The first page has a Sculptor that runs in the browser.</a>'
_highlight = Highlight2HTML(pygments_lexer="ipython3")


@dataclass
class Page:
    """A page of the site: the file it is written to, its title, its parts as HTML with their kinds, and its headings.

    `figures` are the bytes of its pictures by file name, `problems` what could not be shown, `cover` the figure that stands for
    the page in the list of all pages.
    """

    address: str
    title: str = ""
    parts: list[tuple[str, str]] = field(default_factory=list)
    headings: list[tuple[int, str, str]] = field(default_factory=list)
    figures: dict[str, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    cover: str = ""

    @property
    def name(self) -> str:
        """The title without markup."""
        return plain(self.title)

    @property
    def has_sculptor(self) -> bool:
        """Whether a Sculptor that needs no kernel stands on the page."""
        return any('class="sculptor-here"' in part for kind, part in self.parts if kind == "output")

    @property
    def sections(self) -> list[tuple[int, str, str]]:
        """The headings below the title."""
        return [heading for heading in self.headings if heading[0] == 2]


def read_executed(path: Path) -> Any:
    """The executed notebook at `path`; a ValueError that names it if a code cell was not run or shows an error."""
    notebook = read_page(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if any(cell.execution_count is None for cell in code):
        raise ValueError(f"executed must hold executed pages, got {path.name} with a code cell that was not run")
    if errors := swallowed(notebook):
        raise ValueError(f"executed must hold pages without errors, got {path.name}, which shows {errors[0]}")
    return notebook


def notebook_page(path: Path, addresses: Addresses) -> Page:
    """The page of an executed notebook."""
    notebook, renderer = read_executed(path), Renderer(addresses, "notebooks")
    page = Page(f"{path.stem}.html", headings=renderer.headings, problems=renderer.problems)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            page.parts.append(("text", renderer.to_html(cell.source)))
        elif cell.cell_type == "code" and cell.source.strip():
            page.parts.append(("code", _folded(cell.source)))
            before = len(page.figures)
            shown = [_output(output, page, renderer) for output in cell.outputs]
            page.parts += [("output", part) for part in shown if part]
            added = list(page.figures)[before:]
            if added and (not page.cover or COVER in cell.metadata.get("tags", [])):
                page.cover = added[0]
    page.title = renderer.title or html.escape(path.stem)
    return page


def _folded(source: str) -> str:
    """Code under its first line that is no import and no decorator."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    first = next((line for line in lines if not line.startswith(("import ", "from ", "#", "@", "%"))), lines[0])
    return f"<details><summary>Code: <code>{html.escape(first)}</code></summary>\n{_highlight(source)}\n</details>"


def _output(output: Any, page: Page, renderer: Renderer) -> str:
    """An output as HTML; "" for one that has nothing to show without a kernel, such as a progress bar."""
    if output.output_type == "stream":
        return f'<pre class="{output.name}">{ansi2html(output.text)}</pre>'
    if output.output_type == "error":  # of a cell that is tagged to raise one
        return f"<pre>{ansi2html(chr(10).join(output.traceback))}</pre>"
    data = {kind: value if isinstance(value, str) else json.dumps(value) for kind, value in output.data.items()}
    if "text/html" in data and WIDGET not in data:
        return data["text/html"]
    if "text/markdown" in data:
        return renderer.to_html(data["text/markdown"])
    live = None if WIDGET not in data else ELSEWHERE if "Sculptor" in data.get("text/plain", "") else ""
    for kind in filter(data.__contains__, PICTURES):
        about = output.metadata.get(kind, {})
        if shown := _figure(kind, data[kind], about.get("alt", ""), live, page):
            return _sculptor(shown, about) if live and runs_here(about.get("settings", "")) else shown
    if "text/latex" in data:
        return renderer.to_html(data["text/latex"])
    return "" if WIDGET in data or "text/plain" not in data else f"<pre>{ansi2html(data['text/plain'])}</pre>"


def runs_here(settings: str) -> bool:
    """Whether the Sculptor without a kernel, which has the digits only, can take these settings."""
    words = dict(parse_qsl(settings.removeprefix(SCULPTOR)))
    return settings.startswith(SCULPTOR) and words.get("data", "digits") == "digits" and words.get("prior") != "yours"


def _sculptor(figure: str, about: dict[str, Any]) -> str:
    """The place of a Sculptor without a kernel; its figure stays where the browser cannot run it."""
    settings, steps = html.escape(about["settings"]), int(about.get("steps", 0))
    return f'<div class="sculptor-here" data-settings="{settings}" data-steps="{steps}">{figure}</div>'


def _figure(kind: str, data: str, words: str, live: str | None, page: Page) -> str:
    """A picture, written to a file; "" with a problem noted if it cannot be read."""
    name = f"figures/{Path(page.address).stem}_{len(page.figures) + 1}.{PICTURES[kind]}"
    try:
        raw = data.encode() if kind == "image/svg+xml" else base64.b64decode(data)
        width = None if kind == "image/svg+xml" else Image.open(io.BytesIO(raw)).size[0]
    except (ValueError, OSError) as error:
        page.problems.append(f"a picture cannot be read: {error}")
        return ""
    page.figures[name] = raw
    size = f' style="--width: {width}px"' if width else ""
    image = f'<img src="{name}"{size} alt="{html.escape(words or "a figure without a description")}" loading="lazy">'
    note = f"<figcaption>A widget in the notebook; without a kernel, its picture.{live}</figcaption>" if live is not None else ""
    wide = ' class="wide"' if width and width > NARROW else ""
    return f'<figure{wide}><div class="scroll"><a href="{name}">{image}</a></div>{note}</figure>'
