"""How many threads of torch `fit` computes with, and work that is spread over all cores."""

import os
import time

import pytest
import torch

import sculptlab as sl
from sculptlab import threads
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
    assert threads_of_fit(many, digits, Predictability(width=64, rounds=2))[1] == [2, 2, 2]


def test_errors_and_callers_with_one_thread_leave_it_as_it_was(two_threads, digits, plain):
    def fail(record):
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        sl.fit(plain, digits, Reconstruction(), steps=1, device="cpu", progress=False, callbacks=fail)
    assert torch.get_num_threads() == 2
    set_torch_threads_here(1)
    assert threads_of_fit(plain, digits, Reconstruction())[1] == [1, 1, 1]


def test_work_on_all_cores_comes_in_order_and_is_made_when_it_is_needed(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    made, before = [], torch.get_num_threads()

    def items():
        for k in range(5):
            made.append(k)
            yield 10 * k

    def work(item, number):
        time.sleep(0.02 * (5 - number))  # the first one takes longest
        return item, number, torch.get_num_threads()

    results = threads.on_all_cores(work, items())
    assert next(results) == (0, 0, 1)
    assert made == [0, 1]  # no further ahead than there are cores
    assert list(results) == [(10 * k, k, 1) for k in range(1, 5)]
    assert torch.get_num_threads() == before


def test_an_error_on_one_core_is_raised_and_nothing_more_is_begun(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    begun = []

    def work(item, number):
        begun.append(number)
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item a"):
        list(threads.on_all_cores(work, "abcdef"))
    assert set(begun) <= {0, 1}


def test_the_report_of_many_latents_is_that_of_one_core(monkeypatch):
    z = torch.randn(600, 34, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    options = {"regressor": "linear", "latents": 3, "permutations": 2, "max_rows": 100, "progress": False}
    made = []
    for cores in ({0}, {0, 1, 2}):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: cores, raising=False)
        made.append(sl.independence_report(z, **options))
    assert made[0].table.equals(made[1].table)
    assert all((made[0].null[name] == made[1].null[name]).all() for name in made[0].null)
