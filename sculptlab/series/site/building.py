"""The site as a folder of files: pages, documents, figures, style."""

import posixpath
import shutil
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sculptlab.data import folders
from sculptlab.live.standalone import sculptor_script
from sculptlab.series import reference, summary
from sculptlab.series.site.markdown import Addresses, Renderer
from sculptlab.series.site.notebooks import Page, notebook_page
from sculptlab.series.site.searching import search_script

HERE = Path(__file__).parent
MARK = ".sculptlab-site"  # the file by which a folder is known as a site that may be replaced
FILM = "data/results/sculptor.webp"


def build_site(executed: Path, out: Path) -> list[str]:
    """Write the site of the executed pages in the folder `executed` to `out`; an earlier site there is replaced.

    Returns a line for each thing that could not be shown and each link that leads nowhere. Raises ValueError if `out` holds
    anything but such a site, and if a page was not executed or shows an error.
    """
    out = checked_out(out)
    paths = sorted(executed.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise ValueError(f"executed must be a folder with executed pages such as 00_start_here.ipynb, got {executed}")
    texts = documents()
    places = {name: posixpath.splitext(name)[0].replace("/", "_").lower() + ".html" for name in texts}
    addresses = Addresses(folders.clone(), {f"notebooks/{path.name}": f"{path.stem}.html" for path in paths} | places)
    pages = [notebook_page(path, addresses) for path in paths]
    others = [_document(name, text, places[name], addresses) for name, text in texts.items()]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        made = Path(folder) / "site"
        _write(made, pages, others, addresses)
        problems = [f"{page.address}: {problem}" for page in [*pages, *others] for problem in page.problems]
        problems += broken_links(made)
        if out.exists():
            shutil.rmtree(out)
        made.rename(out)
    return problems


def checked_out(out: Path) -> Path:
    """The absolute path of the folder `out`; a ValueError unless it is new, empty, or an earlier site."""
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise ValueError(f"out must be a folder, got the file {out}")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise ValueError(f"out must be a new folder, an empty one or an earlier site, got {out}, which holds other files")
    return out


def documents() -> dict[str, str]:
    """The Markdown of the documents, by their paths in the repository; API.md with whole docstrings."""
    root = folders.clone()
    if root is None:  # an installed package has no other documents
        return {"API.md": reference.reference(docstrings=True), "RESULTS.md": summary.summary()}
    paths = [*sorted(root.glob("*.md")), root / "data" / "README.md", *sorted(root.glob("teaching/*.md"))]
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    return texts | {"API.md": reference.reference(docstrings=True)}


def _document(name: str, text: str, address: str, addresses: Addresses) -> Page:
    renderer = Renderer(addresses, posixpath.dirname(name))
    parts = [("text", renderer.to_html(text))]
    return Page(address, renderer.title or name, parts, renderer.headings, problems=renderer.problems)


def _write(made: Path, pages: list[Page], others: list[Page], addresses: Addresses) -> None:
    """Write all files of the site to the new folder `made`."""
    film = addresses.of(FILM)
    shutil.copytree(HERE / "static", made / "static")
    (made / MARK).touch()
    environment = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
    environment.globals = {"pages": pages, "others": others}

    def write(address: str, template: str, **values: Any) -> None:
        text = environment.get_template(template).render(**values)
        (made / address).write_text(text, encoding="utf-8")

    (made / "static" / "sculptor.js").write_text(sculptor_script(), encoding="utf-8")
    (made / "static" / "search.js").write_text(search_script([*pages, *others]), encoding="utf-8")
    write("search.html", "search.html.j2")
    write("index.html", "index.html.j2", film=film if film in addresses.files else None)
    for before, page, after in zip([None, *pages], pages, [*pages[1:], None], strict=False):
        write(page.address, "page.html.j2", page=page, before=before, after=after)
    for page in others:
        write(page.address, "page.html.j2", page=page, before=None, after=None)
    files = [(name, path.read_bytes()) for name, path in addresses.files.items()]
    for name, content in [*files, *(figure for page in pages for figure in page.figures.items())]:
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_bytes(content)


class _Links(HTMLParser):
    """The ids of an HTML file, the addresses that it links to, and those that it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.loads = set[str](), list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the attributes of one tag."""
        found = {name: value for name, value in attrs if value}
        self.ids |= {found["id"]} if "id" in found else set()
        self.links += [found["href"]] if tag == "a" and "href" in found else []
        self.loads += [found[name] for name in ("src", "href", "data", "poster") if name in found and tag != "a"]


def broken_links(site: Path) -> list[str]:
    """A line for each link of a site that leads to no file or heading of it, and for each thing that it loads from elsewhere."""
    read = {path.name: _Links(path.read_text(encoding="utf-8")) for path in sorted(site.glob("*.html"))}
    found = []
    for name, page in read.items():
        for url in [*page.links, *page.loads]:
            parts = urlsplit(url)
            target = unquote(parts.path) or name
            if parts.scheme or parts.netloc:
                found += [f"{name}: is loaded from elsewhere: {url}"] if url in page.loads and parts.scheme != "data" else []
            elif not (site / target).is_file():
                found.append(f"{name}: a link leads to no file: {url}")
            elif parts.fragment and target in read and unquote(parts.fragment) not in read[target].ids:
                found.append(f"{name}: a link leads to no heading: {url}")
    return found
