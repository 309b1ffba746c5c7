"""The scripts and the style of the widgets' pages: plain files, shipped with the package, put together without a build."""

from pathlib import Path

FOLDER = Path(__file__).parent / "front"
PARTS = {
    "sculptor": ("common", "asking", "painting", "drawing", "charts", "sculptor"),
    "explorer": ("common", "explorer"),
}


def script(name: str) -> str:
    """A page's module: its parts one after the other, in one scope."""
    return "\n".join((FOLDER / f"{part}.js").read_text(encoding="utf-8") for part in PARTS[name])


def style() -> str:
    """The style of all widgets."""
    return (FOLDER / "widgets.css").read_text(encoding="utf-8")
