"""How many threads of torch `fit` computes with."""

import pytest
import torch

import sculptlab as sl
from sculptlab.threads import set_torch_threads_here
from sculptlab.training.objectives import Predictability, Reconstruction


@pytest.fixture
def two_threads():
    before = set_torch_threads_here(2)
    yield
    set_torch_threads_here(before)


def threads_of_fit(model, images, objective, **options):
    """The number of threads at each step, and after the last."""
    seen = []
    watch = {"callbacks": lambda _: seen.append(torch.get_num_threads()), "device": "cpu", "progress": False}
    run = sl.fit(model, images, objective, steps=2, **watch, **options)
    return run, [*seen, torch.get_num_threads()]


def test_small_dense_networks_train_with_one_thread(two_threads, digits, plain):
    run, seen = threads_of_fit(plain, digits, Reconstruction())
    assert seen == [1, 1, 2]
    run.train_more(1, progress=False, callbacks=lambda _: seen.append(torch.get_num_threads()))
    assert [*seen[3:], torch.get_num_threads()] == [1, 2]


def test_larger_work_keeps_the_number_of_threads(two_threads, digits):
    images = torch.rand(64, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    conv = sl.build_autoencoder("conv", image_shape=(1, 32, 32), dim=2, width=2)
    assert threads_of_fit(conv, images, Reconstruction(), batch_size=8)[1] == [2, 2, 2]
    many = sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=64, width=8)
    assert threads_of_fit(many, digits, Predictability())[1] == [2, 2, 2]


def test_errors_and_callers_with_one_thread_leave_it_as_it_was(two_threads, digits, plain):
    def fail(record):
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        sl.fit(plain, digits, Reconstruction(), steps=1, device="cpu", progress=False, callbacks=fail)
    assert torch.get_num_threads() == 2
    set_torch_threads_here(1)
    assert threads_of_fit(plain, digits, Reconstruction())[1] == [1, 1, 1]
