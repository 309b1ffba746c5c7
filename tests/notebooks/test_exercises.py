"""Every exercise: its untouched stub fails its check, its folded solution passes it; hints and solutions are there."""

import ast
import itertools
import re
from pathlib import Path

import nbformat
import pytest

PAGES = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", re.DOTALL)


def exercises(path):
    """(id, names the page imports, the exercise's cell, the markdown cell under it) of each exercise of a page."""
    cells = nbformat.read(path, as_version=4).cells
    imports = "\n".join(
        ast.unparse(node)
        for cell in cells
        if cell.cell_type == "code" and "%pip" not in cell.source
        for node in ast.parse(cell.source).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    )
    for cell, below in itertools.pairwise(cells):
        if any(tag.startswith("exercise") for tag in cell.metadata.get("tags", [])):
            yield cell.metadata.tags[0], imports, cell.source, below.source


EXERCISES = [pytest.param(*rest, id=f"{path.stem}-{name}") for path in PAGES for name, *rest in exercises(path)]


def answer(imports, source):
    """What the last line of an exercise's cell, its check, returns."""
    *body, check = ast.parse(source).body
    namespace = {}
    exec(imports, namespace)
    exec(compile(ast.Module(body, []), "exercise", "exec"), namespace)
    return eval(compile(ast.Expression(check.value), "check", "eval"), namespace)


def test_every_page_has_exercises():
    assert {p.id[:2] for p in EXERCISES} == {path.name[:2] for path in PAGES}


@pytest.mark.parametrize(("imports", "stub", "below"), EXERCISES)
def test_the_untouched_stub_fails(imports, stub, below):
    feedback = answer(imports, stub)
    assert not feedback.passed
    assert "returns nothing yet" in feedback.message


@pytest.mark.parametrize(("imports", "stub", "below"), EXERCISES)
def test_the_solution_passes(imports, stub, below):
    assert "<summary>Hint</summary>" in below
    (solution,) = SOLUTION.findall(below)
    check = ast.unparse(ast.parse(stub).body[-1])
    feedback = answer(imports, f"{solution}\n{check}")
    assert feedback.passed, feedback
