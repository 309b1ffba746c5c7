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
