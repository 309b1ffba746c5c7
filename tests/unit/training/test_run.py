import numpy as np
import pytest
import torch

import sculptlab as sl
from sculptlab.training.objectives import KL, Reconstruction

QUICK = {"steps": 60, "batch_size": 64, "device": "cpu", "progress": False}


@pytest.fixture
def run(vae, digits):
    return sl.fit(vae, digits, KL(beta=0.1), **QUICK)


def test_codes_of_a_stochastic_encoder_are_means_and_samples(run, digits):
    codes = run.codes(digits, seed=1)
    assert list(codes) == ["means", "samples"]
    assert torch.equal(codes["means"], run.encode(digits))
    assert torch.equal(codes["samples"], run.codes(digits, seed=1)["samples"])
    assert not torch.equal(codes["samples"], run.codes(digits, seed=2)["samples"])
    with torch.no_grad():
        std = (0.5 * run.model.posterior(digits.images).log_variance).exp()
    z = (codes["samples"] - codes["means"]) / std
    assert z.std().item() == pytest.approx(1, abs=0.05)


def test_a_deterministic_encoder_has_one_kind_of_code(plain, digits):
    assert list(sl.fit(plain, digits, Reconstruction(), **QUICK).codes(digits)) == ["codes"]


def test_numpy_in_numpy_out(run, digits):
    images = digits.images[:5]
    for method in (run.encode, run.reconstruct):
        assert isinstance(method(images), torch.Tensor)
        assert isinstance(method(images.numpy()), np.ndarray)
        assert np.allclose(method(images.numpy()), method(images))
    z = run.encode(images)
    assert isinstance(run.decode(z.numpy()), np.ndarray)
    assert run.decode(z).shape == (5, 1, 8, 8)


def test_many_rows_pass_in_chunks(run, digits):
    many = digits.images.repeat(3, 1, 1, 1)
    assert torch.allclose(run.encode(many)[:1797], run.encode(digits), atol=1e-5)


def test_reconstruction_error_by_hand(run, digits):
    by_hand = (run.reconstruct(digits) - digits.images).square().mean().item()
    assert run.reconstruction_error(digits) == pytest.approx(by_hand, rel=1e-5)


def test_samples_come_from_the_prior(run):
    assert run.sample(16).shape == (16, 1, 8, 8)
    assert torch.equal(run.sample(4, seed=3), run.sample(4, seed=3))
    assert torch.equal(run.sample(3, prior=np.zeros((2, 2))), run.decode(torch.zeros(3, 2)))


def test_a_plain_autoencoder_has_no_prior_to_sample(plain, digits):
    run = sl.fit(plain, digits, Reconstruction(), **QUICK)
    with pytest.raises(ValueError, match="prior must be given"):
        run.sample(4)
    assert run.sample(4, prior=sl.priors.Gaussian(2)).shape == (4, 1, 8, 8)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: r.decode(torch.zeros(4, 3)), "codes must have 2 column"),
        (lambda r: r.decode(torch.full((4, 2), torch.inf)), "codes has 8 value"),
        (lambda r: r.encode(torch.zeros(4, 1, 7, 7)), "data must have shape"),
        (lambda r: r.sample(0), "n must be at least 1"),
    ],
)
def test_bad_input_is_named(run, call, words):
    with pytest.raises(ValueError, match=words):
        call(run)


def test_a_run_says_what_it_is_in_three_lines(run):
    lines = repr(run).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("Run of KL(")
    assert "latent(s)" in lines[1]
    assert f"seed {run.seed}, loss " in lines[2]
