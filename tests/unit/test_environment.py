"""The ways to install agree: pyproject.toml, environment.yml, README.md and what CI runs."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sculptlab

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAMES = {"torch": "pytorch"}


def bounds(lines):
    """Each requirement's name (as conda-forge has it) with its version bounds."""
    wanted = [Requirement(line) for line in lines]
    return {CONDA_NAMES.get(one.name, one.name): str(one.specifier) for one in wanted}


def test_conda_and_pip_want_the_same():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert (conda["name"], conda["channels"]) == ("sculptlab", ["conda-forge"])
    plain = [line for line in conda["dependencies"] if isinstance(line, str)]
    (by_pip,) = (line["pip"] for line in conda["dependencies"] if isinstance(line, dict))
    assert by_pip[-1] == "-e ."
    ours = bounds(plain + by_pip[:-1])
    assert ours.pop("python") == PROJECT["requires-python"]
    assert ours.pop("pip") == ""
    assert ours == bounds(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"])


def test_every_requirement_has_a_lower_bound():
    for name, bound in bounds(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]).items():
        assert bound.startswith(">="), name


def imported(folder):
    """The distributions that the files of a folder import from, the standard library and this repository left out."""
    names = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    known = packages_distributions()
    foreign = names - sys.stdlib_module_names - {"sculptlab"}
    return {canonicalize_name(known[name][0]) for name in foreign if name in known}


def test_what_is_imported_is_required_and_not_left_to_others():
    extras = PROJECT["optional-dependencies"]
    required, testing = (
        {canonicalize_name(Requirement(line).name) for line in lines}
        for lines in (PROJECT["dependencies"], extras["test"] + extras["oracles"] + extras["interop"])
    )
    assert {"torch", "pillow", "threadpoolctl"} <= imported("sculptlab")
    optional = {canonicalize_name(Requirement(line).name) for line in extras["site"] + extras["app"]}  # the commands ask for it
    assert imported("sculptlab") - required - optional == set()
    assert imported("tests") - required - testing == set()
    assert "ipykernel" in required  # imported by name only, as the kernel's own process


def test_the_version_is_said_once():
    assert PROJECT["version"] == sculptlab.__version__


def test_ci_runs_the_readme_test_line():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    fenced = "\n".join(re.findall(r"^```\w*\n(.*?)^```", readme, re.DOTALL | re.MULTILINE))
    lines = [line.strip() for line in fenced.splitlines() if "-m venv" in line and "-m tests" in line]
    assert len(lines) == 1, "README.md has one line that sets everything up and passes the tests"
    assert lines[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_ci_script_parses_and_can_be_run():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


def test_workflows_run_the_commands_that_are_there():
    folder = ROOT / ".github" / "workflows"
    jobs = [yaml.safe_load((folder / f"{name}.yml").read_text(encoding="utf-8"))["jobs"] for name in ("tests", "site")]
    tests, build = jobs[0]["tests"]["steps"], jobs[1]["build"]["steps"]
    assert ".ci/run" in [step.get("run") for step in tests]
    assert [step["run"] for step in build if "run" in step][-2:] == ['python -m pip install -e ".[site]"', "sculptlab site site"]
    assert build[-1]["with"]["path"] == "site"


def test_importing_the_doctor_leaves_setuptools_usable():
    """Asking for "pip" through every finder makes setuptools fail on Python 3.11, and with it torch.compile."""
    code = "import sculptlab.doctor, sculptlab.cli, setuptools"
    subprocess.run([sys.executable, "-c", code], check=True)
