"""Public names carry numpydoc docstrings whose sections agree with their signatures."""

import dataclasses
import inspect

import pytest
from numpydoc.docscrape import NumpyDocString

from sculptlab.series.reference import PAGE, ROOMS, public_names, reference


def public():
    """Every function and class that a room shows, by its path, once."""
    found = {}
    for room in ROOMS:
        for name, thing in public_names(room).items():
            found.setdefault(id(thing), (f"{room}.{name}", thing))
    return dict(found.values())


def methods():
    """The public methods of a public class, also those of its bases that no room shows; docstrings may be inherited."""
    shown = [thing for thing in PUBLIC.values() if inspect.isclass(thing)]
    for path, thing in PUBLIC.items():
        bases = thing.__mro__ if inspect.isclass(thing) else ()
        own = [base for base in bases if base is thing or (base.__module__.startswith("sculptlab") and base not in shown)]
        for name, member in {name: member for base in reversed(own) for name, member in vars(base).items()}.items():
            if inspect.isfunction(member) and not name.startswith("_") and member.__module__.startswith("sculptlab"):
                yield f"{path}.{name}", getattr(thing, name)


PUBLIC = public()
METHODS = dict(methods())


def parameters(thing):
    """Names as numpydoc writes them, without `self`; of a dataclass those that its constructor takes."""
    if inspect.isclass(thing) and issubclass(thing, tuple | Exception):
        return set()
    signature = inspect.signature(thing)
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names = {stars.get(p.kind, "") + name for name, p in signature.parameters.items()} - {"self", "cls"}
    private = {field.name for field in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()
    return {name for name in names if not (name in private and name.startswith("_"))}


def documented(doc, *sections):
    return {name.strip() for section in sections for entry in doc[section] for name in entry.name.split(",")}


@pytest.mark.parametrize("path", [*PUBLIC, *METHODS])
def test_public_docstring(path):
    thing = PUBLIC.get(path) or METHODS[path]
    text = inspect.getdoc(thing)
    assert text, f"{path} has no docstring"
    assert text.splitlines()[0].endswith("."), f"{path}: the summary must be one line that ends with a period"
    if path in METHODS:
        return  # one sentence will do where the class says the rest
    doc = NumpyDocString(text)
    sections = ("Parameters", "Attributes") if inspect.isclass(thing) else ("Parameters",)
    found, expected = documented(doc, *sections), parameters(thing)
    assert expected <= found, f"{path} does not document {sorted(expected - found)}"
    if not inspect.isclass(thing):
        assert found == expected, f"{path} documents {sorted(found - expected)}, which it does not take"
        returns = inspect.signature(thing).return_annotation
        if returns not in (None, "None", inspect.Signature.empty):
            assert doc["Returns"] or doc["Yields"], f"{path} has no Returns section"


def test_the_list_of_public_names_is_that_of_the_docstrings():
    assert PAGE.read_text(encoding="utf-8") == reference(), "run python -m sculptlab.series.reference"
