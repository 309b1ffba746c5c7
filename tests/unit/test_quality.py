"""The house rules that a machine can see: no global plotting, notebooks without outputs."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sculptlab

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sculptlab"
MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
TEXTS = [*ROOT.glob("*.md"), *ROOT.glob("data/*.md"), *ROOT.glob("teaching/*.md")]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_CELL = 15

COLAB = f"""import sys

if "google.colab" in sys.modules:  # Colab alone: install the version this page belongs to
    %pip install -q "sculptlab @ git+https://github.com/sculptlab/sculptlab@v{sculptlab.__version__}\""""


def cells(path, kind):
    page = json.loads(path.read_text(encoding="utf-8"))
    return [("".join(cell["source"]), cell) for cell in page["cells"] if cell["cell_type"] == kind]


def test_every_folder_says_what_it_is_for():
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def statements(source):
    """How many lines hold code: no docstrings, comments, imports or blank lines."""
    tree = ast.parse(source)
    skipped = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node):
            skipped.append(node.body[0])
    empty = {line for node in skipped for line in range(node.lineno, node.end_lineno + 1)}
    lines = enumerate(source.splitlines(), 1)
    return sum(bool(line.strip()) and not line.strip().startswith("#") for number, line in lines if number not in empty)


def test_the_package_is_thin():
    assert statements('"""A module."""\n\nimport os\n\n# a comment\ndef f():\n    """A function."""\n    pass  # this\n') == 2
    counts = {name: statements(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    core = sum(count for name, count in counts.items() if name.split(".")[0] not in ("live", "series"))
    assert core <= 10_000
    assert sum(counts.values()) <= 16_500


@pytest.mark.parametrize("module", MODULES)
def test_no_global_plotting_state(module):
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        names = [name.name for name in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        whole = f"{getattr(node, 'module', '')} {' '.join(names)}"
        assert "pyplot" not in whole, f"{module}:{node.lineno} imports pyplot"
        assert "rcParams" not in whole, f"{module}:{node.lineno} imports rcParams"


def test_the_first_pages_exist():
    assert {"00", "01"} <= {path.name[:2] for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_page_is_clean(path):
    for number, (source, cell) in enumerate(cells(path, "code"), 1):
        assert cell["outputs"] == [], f"code cell {number} has outputs"
        assert cell["execution_count"] is None, f"code cell {number} has an execution count"
        assert len(source.splitlines()) <= LONGEST_CELL, f"code cell {number} is too long:\n{source}"


@pytest.mark.parametrize("path", [*TEXTS, *NOTEBOOKS], ids=lambda path: path.name)
def test_local_links_lead_somewhere_and_nothing_is_left_to_fill_in(path):
    texts = [source for source, _ in cells(path, "markdown")] if path.suffix == ".ipynb" else [path.read_text(encoding="utf-8")]
    for text in texts:
        for link in re.findall(r"\]\(([^)#\s]+)\)", text):
            assert link.startswith("http") or (path.parent / link).exists(), f"{path.name} links to {link}"
        assert not re.search(r"^(TODO|[A-Z]{6,}\d?)$", text, re.MULTILINE), "a placeholder is left"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_page_names_its_kernel(path):
    kernel = json.loads(path.read_text(encoding="utf-8"))["metadata"]["kernelspec"]
    assert kernel["name"] == "python3"  # without it JupyterLab asks, and a headless browser waits for ever


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_colab_installs_this_version(path):
    badge = f"https://colab.research.google.com/github/sculptlab/sculptlab/blob/v{sculptlab.__version__}/notebooks/{path.name}"
    assert cells(path, "code")[0][0] == COLAB
    assert any(f"({badge})" in source for source, _ in cells(path, "markdown"))


SHELL = """
import json, sys, types
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
shell, asked = InteractiveShell(config=Config(HistoryManager={"enabled": False})), []
shell.register_magic_function(lambda line: asked.append(line), "line", "pip")
cell = sys.stdin.read()
shell.run_cell(cell).raise_error()
without = list(asked)
sys.modules["google.colab"] = types.ModuleType("google.colab")
shell.run_cell(cell).raise_error()
print(json.dumps([without, asked]))
"""


def test_the_colab_cell_installs_in_colab_alone():
    done = subprocess.run([sys.executable, "-c", SHELL], input=COLAB, capture_output=True, text=True, check=True)
    without, within = json.loads(done.stdout.splitlines()[-1])
    assert without == []
    address = f"git+https://github.com/sculptlab/sculptlab@v{sculptlab.__version__}"
    assert within == [f'install -q "sculptlab @ {address}"']


def prose(path, folded):
    """The markdown of a page without code, formulas and, unless `folded`, what `<details>` folds away."""
    text = "\n".join(source for source, _ in cells(path, "markdown"))
    text = text if folded else re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)
    return re.sub(r"```.*?```|`[^`]*`|\$[^$]*\$|\]\([^)]*\)", " ", text, flags=re.DOTALL)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_is_a_lesson_and_no_report(path):
    words = len(re.findall(r"\w[\w'-]*", prose(path, folded=False)))
    assert 1500 <= words <= 3000, f"{words} words"
    decimals = re.findall(r"(?<![\w.])\d*\.\d+", prose(path, folded=True))
    assert len(decimals) <= 25, f"measured numbers belong into tables and figures, not into prose: {decimals}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_ends_with_its_own_quiz(path):
    code = "\n".join(source for source, _ in cells(path, "code"))
    assert re.findall(r"series\.quiz\(\s*\"(\d\d)\", (?:answers=)?\"\?\?\?\"", code) == [path.name[:2]]
    assert code.count("show_prediction(") in (1, 2, 3, 4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_prediction_is_written_down_and_shown_again(path):
    page = json.loads(path.read_text(encoding="utf-8"))
    sources = [(cell["cell_type"], "".join(cell["source"])) for cell in page["cells"]]
    asked = [number for number, (kind, source) in enumerate(sources) if kind == "markdown" and "**Predict" in source]
    for number in asked:
        assert sources[number][1].count("**Predict") == 1
        written = re.fullmatch(r'(\w+) = ""  # a, b or c', sources[number + 1][1])
        assert written, f"no cell for the prediction: {sources[number][1]}"
        later = "\n".join(source for kind, source in sources[number + 2 :] if kind == "code")
        assert len(re.findall(rf"show_prediction\(\s*{written[1]},", later)) == 1, f"{written[1]} is not shown again"
    assert sum(source.count("show_prediction(") for kind, source in sources if kind == "code") == len(asked)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pages_lead_to_their_neighbors(path):
    here = NOTEBOOKS.index(path)
    last = cells(path, "markdown")[-1][0]
    for neighbor in NOTEBOOKS[max(0, here - 1) : here] + NOTEBOOKS[here + 1 : here + 2]:
        assert f"({neighbor.name})" in last, f"no link to {neighbor.name}"
