"""API.md: every public name, its arguments and what it is, made by `python -m sculptlab.series.reference`."""

import html
import inspect
from importlib import import_module
from typing import Any

from sculptlab.files import write_file
from sculptlab.series.results import PACKAGE

SHOWN = import_module("sculptlab").__all__

PAGE = PACKAGE.parent / "API.md"
HEAD = """# Public names

Made from the docstrings by `python -m sculptlab.series.reference`; do not edit by hand. `import sculptlab as sl`; the names that
`sl` itself shows are bold. `help(sl.mmd2)` prints the whole docstring: formula, shapes, errors, references and an example.
"""
ROOMS = (
    "data", "priors", "mmd", "mmd.kernels", "independence", "factors", "training", "training.objectives", "reshaping",
    "evaluation", "evaluation.compression", "estimator", "plots", "live",
)  # fmt: skip


def reference(docstrings: bool = False) -> str:
    """The text of API.md; with `docstrings`, each name links to its whole docstring below the table (for the web site)."""
    return "\n".join([HEAD, *(_room(name, docstrings) for name in ROOMS)])


def public_names(room: str) -> dict[str, Any]:
    """The functions and classes that a room shows, by name."""
    module = import_module(f"sculptlab.{room}")
    names = getattr(module, "__all__", None) or [name for name in SHOWN if hasattr(module, name)]
    things = {name: getattr(module, name) for name in names}
    return {name: thing for name, thing in things.items() if inspect.isfunction(thing) or inspect.isclass(thing)}


def _room(room: str, docstrings: bool) -> str:
    rows, whole = [], []
    for name, thing in public_names(room).items():
        path = f"sl.{name}" if name in SHOWN else f"sl.{room.removeprefix('training.')}.{name}"
        shown = f"**`{path}`**" if name in SHOWN else f"`{path}`"
        place = f"{room}.{name}"
        rows.append(f"| {f'[{shown}](#{place})' if docstrings else shown} | {_arguments(thing)} | {_sentence(thing)} |")
        text = html.escape(inspect.getdoc(thing) or "")
        whole.append(f'<details><summary><code>{path}</code></summary>\n\n<pre id="{place}">{text}</pre>\n\n</details>\n')
    about = _sentence(import_module(f"sculptlab.{room}"))
    head = f"## `sculptlab.{room}`\n\n{about}\n\n| name | arguments | |\n|---|---|---|"
    return "\n".join([head, *rows, "", *(whole if docstrings else [])])


def _sentence(thing: Any) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").splitlines()[0].replace("|", "\\|")


def _arguments(thing: Any) -> str:
    """The arguments with their defaults, without types."""
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return ""
    signature = inspect.signature(thing)
    kept = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values() if one.name[0] != "_"]
    text = str(signature.replace(parameters=kept, return_annotation=inspect.Signature.empty))
    return f"`{text}`".replace("|", "\\|")


if __name__ == "__main__":
    write_file(PAGE, reference())
