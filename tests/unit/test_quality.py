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
MODULES = {path.stem: path for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_CELL = 15

# Imports only go down, lazy ones too; on one floor those at the top of the modules make no circle.
FLOORS = {
    0: "claims folders fronts lookout palette profiles sources threads validation",
    1: "backdrop checksums datasets downloads entropy_coding feedback figures fusion image_folders kernel kernels lettering "
    "mirrors mixing plots prior prior_banks prior_clusters prior_combinations prior_dependence prior_drawings prior_draws "
    "prior_families prior_gallery prior_labels prior_maps prior_parameters prior_shapes prior_simplices prior_sources "
    "priors quantisers readers reference_codes reference_truths results sprites",
    2: "alignment autoencoders copy_measures cross_fitting dependence diagnostics discrepancy divergences factor_information "
    "factor_predictors factor_rows factor_scores factor_votes factors independence_table latent_units linear_prediction mmd "
    "network_prediction predictability predictability_curve rounding tiles",
    3: "copying_objectives isometry labelled_objectives objective objectives predictability_game prior_objectives "
    "variational_objectives",
    4: "checkpoints compression devices principal runs training",
    5: "ablation_studies alignment_cases alignment_plots alignment_recipe alignment_studies compression_plots "
    "compression_studies copying copying_plots copying_studies curve_plots curve_studies estimator estimator_inputs "
    "explorer_state mmd_plots particles power_plots power_studies prior_plots prior_studies score_plots score_studies "
    "sculpting_plots sculpting_studies sculptor_code sculptor_data sculptor_engine sculptor_frames sculptor_measures "
    "sculptor_priors sculptor_state sculptor_still sculptor_worker studies study_plots weights",
    6: "explorer sculptor widgets",
    7: "checks cli copying_checks doctor execution mmd_checks pages prior_checks sculpting_checks",
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
    parts = [name.split(".") for name in found]
    return {part[1] for part in parts if part[0] == "sculptlab" and len(part) > 1 and part[1] in MODULES}


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
    tops = {module: imports(path, lazily=False) for module, path in MODULES.items()}
    TopologicalSorter(tops).prepare()  # a CycleError names the circle


def test_floor_reader_sees_lazy_and_aliased_imports(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("import sculptlab.cli as c\ndef f():\n    from sculptlab import pages\n    from sculptlab.mmd import mmd2")
    assert imports(file) == {"cli", "pages", "mmd"}
    assert imports(file, lazily=False) == {"cli"}


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
