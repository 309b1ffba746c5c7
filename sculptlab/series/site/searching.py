"""The words of a site's pages, by section, for the search in the browser."""

import html
import json
import re
from collections.abc import Iterable

from sculptlab.series.site.notebooks import Page

_SECTION = re.compile(r'<(h[1-6]|pre) id="([^"]*)"[^>]*>')
_LEFT_OUT = re.compile(r'<(math|annotation)\b.*?</\1>|<a class="anchor".*?</a>|<(script|style)\b.*?</\2>', re.DOTALL)


def search_script(pages: Iterable[Page]) -> str:
    """A script that sets `searchSections`: [address, title of the page, heading, text] of each section of the pages."""
    found = [[f"{page.address}{place}", page.name, heading, text] for page in pages for place, heading, text in sections(page)]
    return f"const searchSections = {json.dumps(found, ensure_ascii=False, separators=(',', ':'))};\n"


def sections(page: Page) -> list[tuple[str, str, str]]:
    """The sections of a page: "#" and the id of the heading, its words, and the words below it; of texts, not of outputs.

    The text above the first heading has "" as its id and heading. A docstring of the reference is a section of its name.
    """
    text = "\n".join(part for kind, part in page.parts if kind == "text")
    first, *rest = _SECTION.split(text)
    found = [("", "", _words(first))]
    for tag, name, content in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        heading, _, below = content.partition(f"</{tag}>") if tag != "pre" else (name, "", content)
        found.append((f"#{name}", _words(heading), _words(below)))
    return [section for section in found if any(section)]


def _words(text: str) -> str:
    """The words of a piece of HTML, without formulas."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", _LEFT_OUT.sub(" ", text))).split())
