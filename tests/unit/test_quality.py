"""The house rules that a machine can see: lint, types, floors, no global plotting, notebooks without outputs."""

import ast
import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sculptlab

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sculptlab"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py" or (path.parent != PACKAGE and len(ast.parse(path.read_text(encoding="utf-8")).body) > 1)
}  # a folder is a module where it says more than what it is for
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_CELL = 15

# Imports only go down, lazy ones too; on one floor those at the top of the modules make no circle.
FLOORS = {
    0: "claims image_sets.folders image_sets.sources live.fronts pictures.palette profiles series.lookout threads validation",
    1: "checks.feedback coding.entropy_coding coding.quantisers datasets engine.fusion engine.kernel "
    "experiments.prior_gallery image_sets.checksums image_sets.downloads image_sets.image_folders image_sets.mirrors "
    "image_sets.readers judges.mixing judges.reference_codes judges.reference_truths kernels "
    "pictures.backdrop pictures.figures plots priors priors.banks priors.base priors.clusters priors.combinations "
    "priors.dependence priors.drawings priors.draws priors.families priors.labels priors.lettering priors.maps "
    "priors.parameters priors.shapes priors.simplices priors.sources results sprites",
    2: "alignment autoencoders coding.rounding copy_measures diagnostics divergences engine.discrepancy engine.tiles "
    "factors factors.information factors.metrics factors.predictors factors.rows factors.scores factors.votes "
    "judges.cross_fitting judges.dependence judges.independence_table "
    "judges.linear_prediction judges.network_prediction judges.predictability_curve latent_units "
    "mmd predictability",
    3: "objectives objectives.base objectives.copying_objectives objectives.isometry objectives.labelled_objectives "
    "objectives.predictability_game objectives.prior_objectives objectives.variational_objectives",
    4: "checkpoints compression devices principal runs trainer training",
    5: "copying estimator estimator_inputs experiments.ablation_studies experiments.alignment_cases "
    "experiments.alignment_recipe experiments.alignment_studies experiments.compression_studies "
    "experiments.copying_studies experiments.curve_studies experiments.power_studies experiments.prior_studies "
    "experiments.score_studies experiments.sculpting_studies experiments.studies live.explorer_state "
    "live.sculptor_code live.sculptor_data live.sculptor_engine live.sculptor_frames live.sculptor_measures "
    "live.sculptor_priors live.sculptor_state live.sculptor_still live.sculptor_worker pictures.alignment_plots "
    "pictures.compression_plots pictures.copying_plots pictures.curve_plots pictures.mmd_plots pictures.particles "
    "pictures.power_plots pictures.prior_plots pictures.score_plots pictures.sculpting_plots pictures.study_plots "
    "weights",
    6: "live.explorer live.sculptor widgets",
    7: "checks checks.copying_checks checks.latent_checks checks.mmd_checks checks.prior_checks checks.sculpting_checks "
    "cli doctor series.execution series.pages",
}
FLOOR = {module: floor for floor, modules in FLOORS.items() for module in modules.split()}

COLAB = f"""import sys

if "google.colab" in sys.modules:  # Colab alone: install the version this page belongs to
    %pip install -q "sculptlab @ git+https://github.com/sculptlab/sculptlab@v{sculptlab.__version__}\""""


def imports(path, *, lazily=True):
    """The modules of this package that a file imports; without those inside functions if not `lazily`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if lazily else tree.body:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{name.name}" for name in node.names}
    parts = [name.split(".") for name in found if name.startswith("sculptlab.")]
    nearest = [next((n for n in (".".join(p[1:3]), p[1]) if n in MODULES), None) for p in parts]
    return {name for name in nearest if name}


def with_folders(module, others):
    """`others`, and the folders whose __init__ runs before them."""
    folders = {other.split(".")[0] for other in others} & set(MODULES)
    return others | (folders - {module.split(".")[0]})


def cells(path, kind):
    page = json.loads(path.read_text(encoding="utf-8"))
    return [("".join(cell["source"]), cell) for cell in page["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=["lint", "format", "types"],
)
def test_tool_is_content(command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_has_a_floor():
    assert set(MODULES) <= set(FLOOR), "give the new module its floor in FLOORS"


def test_imports_only_go_down():
    up = [f"{m} -> {other}" for m, path in MODULES.items() for other in imports(path) if FLOOR[other] > FLOOR[m]]
    assert not up
    tops = {module: with_folders(module, imports(path, lazily=False)) for module, path in MODULES.items()}
    TopologicalSorter(tops).prepare()  # a CycleError names the circle


def test_every_folder_says_what_it_is_for():
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_floor_reader_sees_lazy_and_aliased_imports(tmp_path):
    file = tmp_path / "x.py"
    file.write_text(
        "import sculptlab.cli as c\ndef f():\n    from sculptlab.series import pages\n    from sculptlab.mmd import mmd2"
    )
    assert imports(file) == {"cli", "series.pages", "mmd"}
    assert imports(file, lazily=False) == {"cli"}


def test_a_folder_that_imports_its_modules_is_imported_with_each_of_them():
    assert with_folders("mmd", {"priors.base", "engine.tiles"}) == {"priors", "priors.base", "engine.tiles"}
    assert with_folders("priors.maps", {"priors.base"}) == {"priors.base"}


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


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "data" / "README.md", *NOTEBOOKS], ids=lambda path: path.name)
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
