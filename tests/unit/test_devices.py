"""The one check of devices, and that no float64 tensor is made where the device has none."""

import sys

import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import sculptlab as sl
from sculptlab import validation
from sculptlab.data import Dataset
from sculptlab.validation import as_device, as_float64


@pytest.mark.parametrize("name", [None, "auto", "cpu", torch.device("cpu")])
def test_every_name_of_a_device_is_taken_everywhere(monkeypatch, digits, plain, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert as_device(name) == torch.device("cpu")
    assert sl.load("digits", n=20, device=name).to(name).images.device.type == "cpu"
    assert sl.fit(plain, digits, sl.objectives.MMD("uniform"), steps=1, progress=False, device=name).device.type == "cpu"
    prior = sl.priors.Gaussian(2)
    assert torch.equal(prior.sample(5, torch.Generator().manual_seed(0), name), prior.sample(5, torch.Generator().manual_seed(0)))
    assert sl.lps(prior.sample(50, torch.Generator().manual_seed(0)), "linear", permutations=0, device=name).n == 50


def test_names_of_gpus(monkeypatch):
    monkeypatch.setattr(torch, "empty", lambda *shape, device, dtype: None)  # as if every device were there
    for cuda, mps, auto, gpu in ((True, True, "cuda", "cuda"), (False, True, "cpu", "mps")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert (as_device("auto").type, as_device("gpu").type, as_device(None, "cpu").type) == (auto, gpu, "cpu")


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="here is a GPU")
@pytest.mark.parametrize("name", ["gpu", "cuda:0", "tpu9", 3.5])
def test_a_device_that_is_not_there_is_refused_before_any_work(digits, plain, name):
    message = rf"device must be None, 'auto', 'gpu' or a torch device of this machine, got {name!r}"
    for call in (
        lambda: sl.fit(plain, digits, sl.objectives.MMD("uniform"), device=name),
        lambda: sl.load("digits", device=name), lambda: digits.to(name),
        lambda: sl.priors.Gaussian(2).sample(3, device=name), lambda: sl.lps(np.eye(30), device=name),
        lambda: sl.SculptedAutoencoder(max_iter=1, device=name).fit(np.random.default_rng(0).random((20, 3))),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()


class NoFloat64(TorchDispatchMode):
    """An error where an operation makes a float64 tensor, as on an Apple GPU; a single number, `Kernel.peak`, is on the CPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        tensors = [part for part in tree_leaves(made) if isinstance(part, torch.Tensor) and part.ndim]
        if any(part.dtype == torch.float64 for part in tensors):
            raise TypeError(f"no float64 here: {function}")
        return made


@pytest.fixture
def without_float64(monkeypatch):
    """The package as on a device without float64: the CPU stands for it."""
    for module in [module for name, module in sys.modules.items() if name.startswith("sculptlab")]:
        if hasattr(module, "widest_dtype"):
            monkeypatch.setattr(module, "widest_dtype", lambda device: torch.float32)
    return NoFloat64()


@pytest.mark.parametrize("kernel", [sl.kernels.IMQ(), sl.kernels.Laplacian(), sl.kernels.Energy()])
def test_statistics_make_no_float64_on_a_device_without_it(without_float64, kernel):
    x, y = torch.randn(2, 60, 2, generator=torch.Generator().manual_seed(0))
    given = np.eye(3, 2)  # float64, so it must be converted when it joins the others
    assert sl.mmd2(x, given, kernel).dtype == torch.float32
    assert sl.witness(x, y, given, kernel).dtype == np.float32
    with without_float64:
        assert sl.mmd2(1e3 + x, y, kernel).dtype == torch.float32
        assert validation.codes("z", torch.tensor([[2**25], [1]])).dtype == torch.float32
        sl.mmd_test(x, y, kernel, permutations=5, views="marginal")


def test_training_makes_no_float64_on_a_device_without_it(without_float64, digits, plain):
    goal = sl.objectives.MMD("gaussian") + sl.objectives.MMD("gaussian", views="marginal") + sl.objectives.Predictability()
    with without_float64:
        sl.fit(plain, digits, goal, steps=2, progress=False, device="cpu")


def test_a_data_set_is_float32_on_a_device_without_float64(without_float64):
    data = Dataset("x", torch.zeros(4, 1, 2, 2), factors=torch.zeros(4, 1, dtype=torch.float64), factor_names=("a",))
    assert data.to("cpu").factors.dtype == torch.float32


def test_double_precision_is_computed_on_the_cpu_in_place_of_an_apple_gpu(monkeypatch):
    moved = []
    rows = torch.zeros(30, 2)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *place: moved.append(place) or self)
    for has_it in (True, False):
        monkeypatch.setattr(validation, "widest_dtype", lambda device, has_it=has_it: torch.float64 if has_it else torch.float32)
        assert as_float64(rows).dtype == torch.float64
        assert isinstance(moved.pop()[0], torch.device) is has_it  # its own device, else "cpu"


def test_scikit_learn_divides_a_dataset(digits):
    data = digits.subset(range(90))
    scores = cross_val_score(sl.SculptedAutoencoder(max_iter=2, device="cpu"), data, cv=3)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    assert data.shape == (90, 1, 8, 8)
    assert torch.equal(data[np.array([3, 1]), ...].images, data.images[[3, 1]])
    assert torch.equal(data[10:20].labels, data.labels[10:20])
    with pytest.raises(ValueError, match="indices must be a non-empty list of whole numbers"):
        data[3]
    with pytest.raises((TypeError, ValueError), match="z must be"):
        sl.lps(data)
