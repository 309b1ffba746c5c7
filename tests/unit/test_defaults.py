"""Results do not depend on torch's default type and device, on a gradient of the data, or on the signs of their integers."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import sculptlab as sl
from sculptlab.evaluation import alignment_error, c2st, coverage_gap, off_support
from sculptlab.independence import dependence
from sculptlab.validation import as_tensor, codes

PACKAGE = Path(sl.__file__).parent
FLOATS = {"empty", "eye", "full", "linspace", "logspace", "ones", "rand", "randn", "tensor", "zeros"}
OTHERS = {"arange", "as_tensor", "randint", "randperm"}  # their type follows from their arguments
INITIALIZED = {"training/initialization.py", "training/objectives/predictability.py"}  # used inside `Initialization` alone


def missing(call):
    """The keywords that a call such as torch.zeros(3) lacks."""
    if not (isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "torch"):
        return set()
    wanted = {"device", "dtype"} if call.func.attr in FLOATS else {"device"} if call.func.attr in OTHERS else set()
    return wanted - {keyword.arg for keyword in call.keywords}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_tensors_are_made_with_an_explicit_type_and_device(path):
    if path.relative_to(PACKAGE).as_posix() in INITIALIZED:
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert [f"line {call.lineno}: {ast.unparse(call)}" for call in calls if missing(call)] == []


FACE = """
import hashlib
import numpy as np
import torch
import sculptlab as sl
from sculptlab import priors
from sculptlab.data import sprites
from sculptlab.evaluation import c2st, compression, coverage_gap, off_support
from sculptlab.independence import dependence

exec(setting)
O = sl.objectives
z = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
f = np.random.default_rng(1).integers(0, 3, (80, 2))
table = np.random.default_rng(2).random((64, 6), dtype=np.float32)
square = table[:, :4].reshape(64, 1, 2, 2)

def network(**options):
    return sl.build_autoencoder("mlp", image_shape=(1, 2, 2), dim=2, width=8, **options)

def trained(objective, **options):
    return sl.fit(network(**options), square, objective, steps=3, batch_size=16, device="cpu", progress=False)

def built(kind):
    return sl.build_autoencoder(kind, image_shape=(1, 32, 32), dim=2, width=8)

copying = {"held_out": 0.4, "steps": 2, "batch_size": 16, "progress": False}

def sampled(prior):
    return [prior.sample(9, torch.Generator().manual_seed(0)), prior.mean, prior.covariance, prior.center]

anchors = O.Anchors(square[:4], np.zeros((4, 2)))
labeled = O.LabeledMMD(lambda y, g: np.stack([y, -y], 1).astype(float), square, np.arange(64) % 3)
plain = [O.Reconstruction(), O.MMD("gaussian", views="marginal") + O.Predictability(), O.SlicedWasserstein("uniform"),
         O.EnergyDistance("gaussian"), O.Isometry(), O.Copying(z[:, :2]), O.MMD("gaussian") + anchors, labeled]
stochastic = [O.KL(), O.BetaTC(), O.FactorVAE(), O.DIP(), O.InfoVAE()]
every = [priors.Gaussian(2), priors.Uniform(2), priors.Ball(2), priors.Sphere(2), priors.Ring(),
         priors.Moons(), priors.Spirals(), priors.SwissRoll(), priors.Grid(2), priors.Simplex(3), priors.Dirichlet([1.0, 2.0]),
         priors.Laplace(2), priors.Logistic(2), priors.StudentT(2, df=5), priors.Checkerboard(), priors.FromText("ab"),
         priors.GaussianMixture(np.eye(2), 0.1), priors.Mixture([priors.Gaussian(2), priors.Uniform(2)]), priors.Samples(z),
         priors.Uniform(1) * priors.Gaussian(1), priors.Gaussian(2).rotated(0.3).shifted(1.0).scaled(2.0),
         priors.Ring().standardized(), priors.Copula(["gaussian", "uniform"], [[1.0, 0.5], [0.5, 1.0]])]
found = {
    "priors": [sampled(prior) for prior in every],
    "mmd": [sl.mmd2(z, "gaussian"), sl.mmd_test(z, z + 0.1, permutations=9).null, sl.witness(z, z + 0.1, z)],
    "bits of linear": sl.lps(z, "linear", "distribution", permutations=1).null,
    "lps": [sl.lps(z, kind, target, permutations=0).raw for kind in ("mlp", "linear") for target in ("mean", "square")],
    "bits": [sl.lps(z, "mlp", "distribution", permutations=0).raw, sl.lps_curve(z, permutations=1).frame.to_numpy()],
    "report": sl.independence_report(z, regressor="linear", permutations=1).table.to_numpy()[:, :3].astype(float),
    "pairs": [dependence.correlation(z), dependence.distance_correlation(z), dependence.hsic_to_rest(z)],
    "factors": [score(z, f).table.to_numpy() for score in (sl.factors.mig, sl.factors.sap, sl.factors.modularity)],
    "diagnosis": [sl.diagnose(z, "gaussian", permutations=9).joint.to_numpy(), c2st(z, z + 1).accuracy],
    "off support": off_support(z, "uniform"),
    "gap": coverage_gap(z, z, z + 0.1),
    "runs": [trained(objective).encode(square) for objective in plain],
    "stochastic runs": [trained(objective, stochastic=True).encode(square) for objective in stochastic],
    "draws": [trained(O.MMD("gaussian")).sample(3), trained(O.KL(), stochastic=True).codes(square)["samples"]],
    "networks": [list(built(kind).state_dict().values()) for kind in ("conv", "residual")],
    "copy": sl.copy_latents(np.tile(z[:, :2], (2, 1)), network(), np.tile(square, (3, 1, 1, 1)), **copying).report.to_numpy(),
    "estimator": sl.SculptedAutoencoder(max_iter=2, hidden_size=8).fit_transform(table),
    "data": [sl.load("digits", n=9).images, sprites.render(sprites.sample(4, continuous=True), 16)],
    "rates": compression.rate_distortion(trained(O.Reconstruction()), square, square, bits=[2]).to_numpy()[:, 2:].astype(float),
}
sculptor = sl.Sculptor(batch=16)
found["sculptor"] = sculptor.run(2).to_numpy()
sculptor.close()

def plain_numbers(value):
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [plain_numbers(one) for one in value]
    array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    return [str(array.dtype), hashlib.md5(np.ascontiguousarray(array).tobytes()).hexdigest()]

numbers = {name: plain_numbers(value) for name, value in found.items()}
"""
SETTINGS = ["", "torch.set_default_dtype(torch.float64)", "torch.set_default_device('meta')"]
CHILD = """
import json, sys
import torch
found = []
for setting in json.loads(sys.argv[1]):
    for module in [module for module in sys.modules if module.split(".")[0] == "sculptlab"]:
        del sys.modules[module]  # what it imports late, it imports under this setting
    scope = {"setting": setting}
    exec(sys.argv[2], scope)
    found.append(scope["numbers"])
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def faces():
    """What one process finds under each of `SETTINGS`."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, json.dumps(SETTINGS), FACE],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(SETTINGS, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("setting", SETTINGS[1:])
def test_results_do_not_depend_on_torchs_defaults(faces, setting):
    expected, found = faces[""], faces[setting]
    assert {name: found[name] for name in found if found[name] != expected[name]} == {}
    assert found.keys() == expected.keys()


@pytest.mark.parametrize("kind", [torch.uint16, torch.uint32, torch.uint64])
@pytest.mark.parametrize("array", [False, True])
def test_unsigned_integers_are_taken_as_signed_ones_are(kind, array):
    small = torch.arange(80).reshape(40, 2)
    given = small.to(kind).numpy() if array else small.to(kind)
    assert torch.equal(as_tensor("z", given), small)
    assert torch.equal(codes("z", given), codes("z", small.short()))
    factors = np.arange(40)[:, None] % 3
    assert sl.factors.mig(given, factors.astype("uint16")).score == sl.factors.mig(small.short(), factors).score
    assert sl.priors.as_prior(given).bank.dtype == torch.float32
    with pytest.raises(TypeError, match="must be a floating"):
        sl.mmd2(given, given)
    model = sl.build_autoencoder("mlp", image_shape=(2,), dim=2, width=8)
    with pytest.raises(TypeError, match=r"must be uint8 or floats, got torch\.int"):
        sl.fit(model, given, sl.objectives.Reconstruction(), steps=1)


def test_the_largest_unsigned_integers_become_float64():
    for given in (np.array([[2**64 - 1, 1], [2, 3]], np.uint64), torch.from_numpy(np.array([[2**64 - 1, 1], [2, 3]], np.uint64))):
        found = codes("z", given)
        assert found.dtype == torch.float64
        assert found.tolist() == [[2.0**64, 1.0], [2.0, 3.0]]


ROWS = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
STATISTICS = {
    "lps": lambda z: sl.lps(z, "linear", permutations=1).raw,
    "lps_curve": lambda z: sl.lps_curve(z, regressor="linear", permutations=1, held_out=z).frame,
    "independence_report": lambda z: sl.independence_report(z, regressor="linear", permutations=1).table["value"],
    "correlation": dependence.correlation, "distance_correlation": dependence.distance_correlation,
    "distance_correlation_to_rest": dependence.distance_correlation_to_rest, "hsic_to_rest": dependence.hsic_to_rest,
    "mmd_test": lambda z: sl.mmd_test(z, z + 0.1, permutations=9).null,
    "c2st": lambda z: c2st(z, z + 0.1).accuracy, "coverage_gap": lambda z: coverage_gap(z, z, z + 0.1),
    "off_support": lambda z: off_support(z, "gaussian"), "alignment_error": lambda z: alignment_error(z, z + 0.1),
    "diagnose": lambda z: sl.diagnose(z, z, permutations=9).joint.to_numpy(),
    "mig": lambda z: sl.factors.mig(z, z[:, :2]).table, "alignment": lambda z: sl.factors.alignment(z, z),
    "as_prior": lambda z: sl.priors.as_prior(z).sample(5, torch.Generator().manual_seed(0)),
    "kernel": lambda z: sl.kernels.RBF().fit(z).bandwidth,
}  # fmt: skip


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_of_codes_that_carry_a_graph(name):
    leaf = ROWS.clone().requires_grad_()
    expected = STATISTICS[name](ROWS)
    for z in (leaf, leaf * 1.0):
        found = STATISTICS[name](z)
        assert not getattr(found, "requires_grad", False)
        np.testing.assert_array_equal(found, expected)
    assert leaf.grad is None


def test_objectives_that_hold_images_and_codes_with_a_graph():
    images = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))
    held, unit = images[:5].clone().requires_grad_(), torch.ones(2, requires_grad=True)
    z = torch.randn(40, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()

    def given(labels, generator):
        return z[torch.as_tensor(labels)] * 1.0

    objectives = [
        sl.objectives.Anchors(held * 1.0, z[:5] * 1.0, unit=unit * 1.0), sl.objectives.Copying(z * 1.0),
        sl.objectives.LabeledMMD(given, held * 1.0, torch.tensor([0, 0, 1, 1, 1])), sl.objectives.MMD(z * 1.0),
    ]  # fmt: skip
    for objective in objectives:
        model = sl.build_autoencoder("mlp", image_shape=(6,), dim=2, width=8)
        run = sl.fit(model, images, objective, steps=3, batch_size=20, progress=False)
        assert run.steps == 3
    assert held.grad is None
    assert unit.grad is None
    assert z.grad is None
