"""Every exercise: its untouched stub fails its check, its folded solution passes it, and no other cell contains an answer."""

import ast
import builtins
import copy
import itertools
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

import sculptlab as sl
from sculptlab.mmd import mmd2
from sculptlab.series.checks.feedback import as_array

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


class Package:
    """What stands for the package in a search for answers: its functions may be called where an exercise is open."""

    mmd2 = staticmethod(mmd2)  # some exercises are to be answered with it

    def __getattr__(self, name):
        return self

    def __call__(self, *_, **__):
        raise RuntimeError("a function of the package")


LIBRARIES = {"math", "torch", "nn", "functional", "np", "pd"}
BUILTINS = "abs all any bool dict enumerate float int len list map max min range reversed set slice sorted sum tuple zip"
ELSEWHERE = re.compile(r"torch\.(manual_seed|save|load|set_num_threads)")  # changes more than its value


def names_of(page):
    """What the code of a page may refer to in the search: libraries, some builtins, and the page's functions."""
    names = {"__builtins__": {name: getattr(builtins, name) for name in BUILTINS.split()}, "sl": Package()}
    for cell in page.cells:
        for node in ast.walk(ast.parse(cell.source)) if cell.cell_type == "code" and "%pip" not in cell.source else ():
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                given, own = {}, str(getattr(node, "module", "")).startswith("sculptlab")
                exec(ast.unparse(node), given)
                kept = {name for name in given if name in LIBRARIES or str(getattr(node, "module", "")).startswith("s")}
                names |= {name: Package() if own else given[name] for name in kept - {"__builtins__", "sl"}}
    return names


def answers_in(source, parameters, names):
    """(code, function) of the cell's functions and expressions of as many variables as the exercise has parameters."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            try:
                exec(ast.unparse(node), names)
            except Exception:  # a default that only the whole page can compute
                continue
            if len(node.args.args) == len(parameters):
                yield ast.unparse(node), names[node.name]
    for text, node in {ast.unparse(node): node for parent in ast.walk(tree) for node in parts_of(parent)}.items():
        inner = list(ast.walk(node))
        bound = {one.id for one in inner if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        bound |= {one.arg for one in inner if isinstance(one, ast.arg)} | {*names, *names["__builtins__"]}
        free = sorted({one.id for one in inner if isinstance(one, ast.Name)} - bound)
        if len(free) == len(parameters) and len(inner) > 3 and not ELSEWHERE.search(text):
            for chosen in itertools.permutations(parameters):
                given = "".join(f"(lambda {name}: " for name in free) + text + "".join(f")({name})" for name in chosen[::-1])
                yield text, eval(f"lambda {', '.join(parameters)}: {given}", names)


def parts_of(node):
    """The expressions that the node takes as a whole, such as a value that is assigned, returned or passed to a function."""
    fields = {ast.Assign: "value", ast.Return: "value", ast.Lambda: "body", ast.keyword: "value", ast.DictComp: "value"}
    several = {ast.Call: "args", ast.Dict: "values", ast.Tuple: "elts", ast.List: "elts"}
    branches = [node.body, node.orelse] if isinstance(node, ast.IfExp) else []
    one = [getattr(node, fields[type(node)])] if type(node) in fields else []
    found = [*branches, *one, *(getattr(node, several[type(node)]) if type(node) in several else [])]
    return [part for part in found if part is not None and not isinstance(part, ast.Starred)]


def values(function, arguments):
    """What the function returns as an array, None where it fails."""
    try:
        with np.errstate(all="ignore"):
            return as_array(function(*copy.deepcopy(arguments)))
    except Exception:
        return None


def first_call(check):
    """The arguments that a check gives to an answer."""
    calls = []
    check(lambda *arguments: calls.append(copy.deepcopy(arguments)))
    return calls[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_other_cell_contains_an_answer(path):
    """Each function and expression of the visible cells is tried as an answer; functions of the package are left out."""
    page, found = nbformat.read(path, as_version=4), []
    names = names_of(page)
    code = [cell.source for cell in page.cells if cell.cell_type == "code" and "%pip" not in cell.source]
    for tag, _, stub, below in exercises(path):
        function, *_, last = ast.parse(stub).body
        parameters, check = [one.arg for one in function.args.args], getattr(sl.series.checks, last.value.func.attr)
        if not parameters:  # any constant could be an answer
            continue
        arguments, solution = first_call(check), {**names, "__builtins__": builtins, "sl": sl}
        exec(SOLUTION.findall(below)[0], solution)
        right = values(solution[function.name], arguments)
        assert right is not None, tag
        for source in (source for source in code if source != stub):
            for text, other in answers_in(source, parameters, names):
                value = values(other, arguments)
                alike = value is not None and value.shape == right.shape
                if alike and (value.ndim or np.isclose(value, right, rtol=1e-3)) and check(other).passed:
                    found.append((tag, text))
    assert found == []
