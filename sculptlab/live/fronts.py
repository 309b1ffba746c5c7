"""The scripts and the style of the widgets' pages: plain files, shipped with the package, put together without a build."""

from pathlib import Path

FOLDER = Path(__file__).parent / "front"


def script(name: str) -> str:
    """A page's module: what all pages share, then its own."""
    return "\n".join((FOLDER / part).read_text(encoding="utf-8") for part in ("common.js", f"{name}.js"))


def style() -> str:
    """The style of all widgets."""
    return (FOLDER / "widgets.css").read_text(encoding="utf-8")
