"""What an import loads: statistics come without plotting, widgets or ensembles, and the package itself without torch."""

import subprocess
import sys

import pytest

HEAVY = ("matplotlib", "IPython", "ipywidgets", "sklearn.ensemble")


def loaded(statement, modules):
    """Which of `modules` a fresh interpreter holds after `statement`."""
    code = f"import sys\n{statement}\nprint(*(name for name in {modules!r} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("room", ["mmd", "independence", "factors", "priors", "training", "evaluation"])
def test_a_room_loads_no_plotting_widgets_or_ensembles(room):
    assert loaded(f"import sculptlab.{room}", HEAVY) == []


@pytest.mark.parametrize("room", ["mmd", "independence"])
def test_statistics_of_samples_load_torch_and_little_else(room):
    assert loaded(f"import sculptlab.{room}", ("torch",)) == ["torch"]
    assert loaded(f"import sculptlab.{room}", ("pandas", "scipy", "sklearn", "seaborn", "torchvision")) == []


def test_the_package_loads_no_torch():
    assert loaded("import sculptlab", ("torch", "numpy", "pandas", *HEAVY)) == []


def test_the_path_of_a_room_leads_to_it():
    code = "import sculptlab.mmd, sculptlab.independence; sculptlab.mmd.mmd2, sculptlab.independence.lps"
    assert loaded(code, ("sculptlab.mmd", "sculptlab.independence")) == ["sculptlab.mmd", "sculptlab.independence"]


def test_training_does_not_load_the_compiler_of_torch():
    code = (
        "import sculptlab as sl, torch; x = torch.rand(40, 1, 4, 4)\n"
        "model = sl.build_autoencoder('mlp', image_shape=(1, 4, 4), dim=2, width=8)\n"
        "objective = sl.objectives.MMD('gaussian') + sl.objectives.Predictability()\n"
        "sl.fit(model, x, objective, steps=2, batch_size=20, progress=False, device='cpu')"
    )
    assert loaded(code, ("torch", "torch._dynamo")) == ["torch"]
