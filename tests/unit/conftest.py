"""Small things that several test files train and look at."""

import os
from pathlib import Path

import pytest
import torch

import sculptlab as sl


@pytest.fixture(scope="session")
def digits():
    """scikit-learn's digits: (1797, 1, 8, 8) in [0, 1]."""
    return sl.load("digits")


@pytest.fixture
def vae():
    """A small stochastic autoencoder for digits."""
    return sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, stochastic=True, width=32)


@pytest.fixture
def plain():
    """A small deterministic autoencoder for digits."""
    return sl.build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2, width=32)


@pytest.fixture
def real() -> Path:
    """The folder of the real image sets; without one the test is skipped."""
    if not os.environ.get("SCULPTLAB_DATA"):
        pytest.skip("SCULPTLAB_DATA is not set")
    return Path(os.environ["SCULPTLAB_DATA"])


@pytest.fixture(autouse=True)
def global_random_state_is_left_alone():
    """Nothing in the package may draw from, or reset, torch's global generator behind the caller's back."""
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(before, torch.random.get_rng_state()), "the global random state was moved"
