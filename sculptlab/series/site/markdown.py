"""Markdown as HTML for the site: formulas as MathML, links between the site's own files, headings that can be linked."""

import html
import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from math_core import LatexError, LatexToMathML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

REPOSITORY = "https://github.com/sculptlab/sculptlab/blob/main/"
LONG = 40  # characters of TeX: a longer formula in a line scrolls in itself on a narrow screen
_TEX = re.compile(r"(?<![\\$])\$(?P<block>\$)?(?=\S)(.+?)(?<![\\\s])\$(?(block)\$)", re.DOTALL)
_ENDS = re.compile(r"(<math>(?:(?!</math>).)*</math>[.,;:?!)]+)", re.DOTALL)  # a formula and the sign that ends its clause
_MATH = LatexToMathML(annotation=True, fancy_error=False)


def plain(text: str) -> str:
    """The words of a piece of HTML."""
    return html.unescape(re.sub(r"<annotation.*?</annotation>|<[^>]+>", "", text, flags=re.DOTALL))


class Addresses:
    """Where the links of the repository's files lead on the site.

    `root` is the repository's folder, or None without one. `pages` maps those of its paths that are pages of the site to their
    file names, such as {"GUIDE.md": "guide.html"}. A link to another existing file is noted in `files`, {name on the site: path},
    to be copied.
    """

    def __init__(self, root: Path | None, pages: dict[str, str]) -> None:
        self.root, self.pages, self.files = root, pages, dict[str, Path]()

    def of(self, url: str, folder: str = "") -> str:
        """The address on the site of `url` in a file of `folder`; what the site does not have leads to the repository."""
        parts = urlsplit(url)
        if parts.scheme or parts.netloc or not parts.path:
            return url
        path = posixpath.normpath(posixpath.join(folder, unquote(parts.path)))
        end = f"#{parts.fragment}" if parts.fragment else ""
        if path in self.pages:
            return self.pages[path] + end
        if self.root and path[0] not in "./" and (self.root / path).is_file():
            name = f"files/{path.replace('/', '_')}"
            self.files[name] = self.root / path
            return name + end
        return REPOSITORY + path + end


class Renderer(IPythonRenderer):
    """nbconvert's renderer for one page; `headings` are (level, id, HTML) of its headings, `problems` what it could not show."""

    def __init__(self, addresses: Addresses, folder: str = "") -> None:
        super().__init__(escape=False)
        self.addresses, self.folder = addresses, folder
        self.headings: list[tuple[int, str, str]] = []
        self.problems: list[str] = []

    @property
    def title(self) -> str:
        """The HTML of the first heading; "" where there is none."""
        return self.headings[0][2] if self.headings else ""

    def to_html(self, text: str) -> str:
        """A Markdown text of this page."""
        shown = str(MarkdownWithMath(renderer=self).render(text))
        return _ENDS.sub(r'<span class="unbroken">\1</span>', shown)

    def formula(self, tex: str, block: bool) -> str:
        """A formula as MathML; one that cannot be converted as its TeX."""
        try:
            shown = _MATH.convert_with_local_state(tex.strip(), displaystyle=block)
        except LatexError as error:
            self.problems.append(f"a formula is shown as TeX: {tex.strip()} ({str(error).strip()})")
            shown = f"<code>{html.escape(tex.strip())}</code>"
        if block:
            return f'<span class="formula">{shown}</span>'
        return f'<span class="long">{shown}</span>' if len(tex) > LONG else shown

    def block_math(self, body: str) -> str:
        """A formula of its own line."""
        return self.formula(body, block=True)

    def inline_math(self, body: str) -> str:
        """A formula in a line."""
        return self.formula(body, block=False)

    def latex_environment(self, name: str, body: str) -> str:
        """A formula without dollar signs."""
        return self.formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", block=True)

    def block_html(self, html: str) -> str:
        """HTML as it stands, its formulas converted."""
        shown = str(super().block_html(html))
        return shown if shown.startswith("<pre") else _TEX.sub(lambda it: self.formula(it[2], bool(it["block"])), shown)

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        """A heading with an id made of its words, unique in the page, and a link to itself."""
        name = base = re.sub(r"[^\w\- ]", "", plain(text).lower()).strip().replace(" ", "-") or "section"  # as GitHub makes them
        taken = {one for _, one, _ in self.headings}
        number = 0
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        self.headings.append((level, name, text))
        link = f'<a class="anchor" href="#{name}" aria-label="link to this section">#</a>'
        return f'<h{level} id="{name}">{text}{link}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """A link, to the site's own file where there is one."""
        return str(super().link(text, self.addresses.of(url, self.folder), title))

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """A picture of the repository; of any other, which a browser would fetch elsewhere, its words."""
        address = self.addresses.of(url, self.folder)
        if address not in self.addresses.files:
            if not urlsplit(url).scheme:
                self.problems.append(f"a picture is missing: {url}")
            return text
        return f'<img src="{html.escape(address)}" alt="{html.escape(text)}" loading="lazy">'

    def table(self, text: str) -> str:
        """A table that scrolls in itself."""
        return f'<div class="scroll"><table>\n{text}</table></div>\n'
