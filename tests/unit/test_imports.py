"""What an import loads: statistics come without plotting, widgets or ensembles, and the package itself without torch."""

import json
import subprocess
import sys

import pytest

TRAINING = """
import torch
import sculptlab as sl
model = sl.build_autoencoder('mlp', image_shape=(1, 4, 4), dim=2, width=8)
objective = sl.objectives.MMD('gaussian') + sl.objectives.Predictability()
sl.fit(model, torch.rand(40, 1, 4, 4), objective, steps=2, batch_size=20, progress=False, device='cpu')
"""
HEAVY = {"matplotlib", "IPython", "ipywidgets", "sklearn.ensemble"}
ANALYSIS = {"pandas", "scipy", "sklearn", "seaborn", "torchvision"}
# name -> statement, and what has not been loaded after it
STATEMENTS = {
    "package": ("import sculptlab; assert 'SculptedAutoencoder' in dir(sculptlab)", {"torch", "numpy", *ANALYSIS, *HEAVY}),
    "commands": ("import sculptlab.cli, sculptlab.doctor", {"torch"}),
    "data": (
        "import sculptlab.data as data; data.Dataset, data.fetch, data.load('digits')", {"sklearn", "torchvision", "PIL", *HEAVY}
    ),
    "path of a room": (
        "import sculptlab.mmd, sculptlab.independence; sculptlab.mmd.mmd2, sculptlab.independence.lps", {*ANALYSIS, *HEAVY}
    ),
    "mmd": ("import sculptlab.mmd", {*ANALYSIS, *HEAVY}),
    "independence": ("import sculptlab.independence", {*ANALYSIS, *HEAVY}),
    "priors": ("import sculptlab.priors", {*ANALYSIS, *HEAVY}),
    "training": ("import sculptlab.training", {*ANALYSIS, *HEAVY}),
    "evaluation": ("import sculptlab.evaluation", {"sklearn.neighbors", "scipy.stats", "scipy.spatial", "constriction", *HEAVY}),
    "factors": ("import sculptlab.factors", HEAVY),
    "a training": (TRAINING, {"torch._dynamo", *HEAVY}),
}  # fmt: skip
CHILD = """
import json, sys
held = {}
for name, statement in json.loads(sys.argv[1]).items():
    for module in [module for module in sys.modules if module.split(".")[0] == "sculptlab"]:
        del sys.modules[module]  # so that the statement imports all that it needs of the package
    exec(statement, {})
    held[name] = [*sys.modules]
print(json.dumps(held))
"""


@pytest.fixture(scope="module")
def held():
    """The modules that one fresh interpreter holds after each of `STATEMENTS`, which it runs in their order.

    A library that is absent after one of them was loaded by it as little as by those before.
    """
    words = [sys.executable, "-c", CHILD, json.dumps({name: statement for name, (statement, _) in STATEMENTS.items()})]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return {name: set(modules) for name, modules in json.loads(done.stdout).items()}


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_an_import_does_not_load(held, name):
    assert held[name] & STATEMENTS[name][1] == set()


def test_what_an_import_loads(held):
    assert {"sculptlab.cli", "sculptlab.doctor"} < held["commands"]
    assert {"torch", "sculptlab.mmd.distance", "sculptlab.independence.lps"} < held["path of a room"]
    for room in ("data", "mmd", "independence", "priors", "training", "evaluation", "factors"):
        assert f"sculptlab.{room}" in held[room]


def test_the_sculptor_is_shown_before_scikit_learn_and_scipy_are_imported():
    """They take as long as a third of the other imports; a kernel in which nothing was imported waits for them all."""
    shown = "import sys, sculptlab as sl; made = sl.Sculptor(); made._repr_mimebundle_(); made._frame(made._engine, True)"
    words = [sys.executable, "-c", f"{shown}; print(*{{name.split('.')[0] for name in sys.modules}})"]
    loaded = set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    assert {"torch", "pandas", "matplotlib"} < loaded
    assert loaded & {"scipy", "sklearn", "seaborn", "torchvision"} == set()
