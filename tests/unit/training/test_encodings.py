"""Encoders and decoders of other people's models: what they return is read as codes, a posterior or images, or refused."""

from collections import OrderedDict, namedtuple
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Independent, Laplace, MultivariateNormal, Normal

import sculptlab as sl
from sculptlab.training import Posterior
from sculptlab.training.encodings import decoded, encoded, encoding, evaluating, placement

IMAGES = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
MEAN = torch.linspace(-1, 1, 15).reshape(5, 3)
STD = torch.linspace(0.1, 2, 15).reshape(5, 3)
LOGVAR = 2 * STD.log()
Pair = namedtuple("Pair", "mu logvar")
Odd = namedtuple("Odd", "first second")


@dataclass
class Output:
    mean: torch.Tensor
    log_var: torch.Tensor


class Model(nn.Module):
    """A model that returns what it was given."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def encode(self, images):
        return self.found

    decode = encode


@pytest.mark.parametrize(
    "found",
    [
        Posterior(MEAN, LOGVAR), (MEAN, LOGVAR), [MEAN, LOGVAR], Pair(MEAN, LOGVAR), (MEAN, LOGVAR, torch.tensor(0.5)),
        ((MEAN, LOGVAR), None), Output(MEAN, LOGVAR), SimpleNamespace(loc=MEAN, scale=STD),
        {"mean": MEAN, "logvar": LOGVAR}, {"mu": MEAN, "log_var": LOGVAR, "z": MEAN + 1}, {"mu": MEAN, "sigma": STD, "z": None},
        {"mu": MEAN, "std": STD}, {"loc": MEAN, "scale": STD}, {"mean": MEAN, "variance": STD**2},
        {"mu": MEAN, "log_std": STD.log()}, {"mean": MEAN, "logvar": LOGVAR, "std": STD + 7},
        OrderedDict(embedding=MEAN, log_covariance=LOGVAR), {"latent_dist": Normal(MEAN, STD)}, Normal(MEAN, STD),
        Independent(Normal(MEAN, STD), 1), MultivariateNormal(MEAN, scale_tril=torch.diag_embed(STD)),
        (Normal(MEAN, STD), MEAN + 1), {"latent_dist": SimpleNamespace(mean=MEAN, logvar=LOGVAR, std=STD), "loss": MEAN[0, 0]},
    ],
    ids=lambda found: type(found).__name__,
)  # fmt: skip
def test_a_posterior_is_read(found):
    read = encoded(Model(found), IMAGES)
    assert isinstance(read, Posterior)
    torch.testing.assert_close(read.mean, MEAN, rtol=0, atol=0)
    torch.testing.assert_close(read.log_variance, LOGVAR)


@pytest.mark.parametrize("spread", [0.5, torch.tensor(0.5), torch.full((3,), 0.5), torch.full((5, 1), 0.5)], ids=str)
def test_one_standard_deviation_for_many_latents_or_images(spread):
    read = encoded(Model({"mu": MEAN, "std": spread}), IMAGES)
    torch.testing.assert_close(read.log_variance, torch.full((5, 3), 2 * np.log(0.5), dtype=torch.float32))


@pytest.mark.parametrize(
    "found",
    [
        MEAN, (MEAN,), {"z": MEAN}, {"embedding": MEAN}, {"mu": MEAN}, SimpleNamespace(latents=MEAN), {"latents": (MEAN, None)},
        (MEAN, torch.tensor(0.3)), (MEAN, torch.tensor(0.3), (None, None, torch.arange(5))), (MEAN, torch.ones(5)),
        (MEAN, torch.ones(5, 3, dtype=torch.int64)), (MEAN, "ab"),
    ],
    ids=lambda found: type(found).__name__,
)  # fmt: skip
def test_codes_are_read(found):
    assert encoded(Model(found), IMAGES) is MEAN


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((MEAN + 1, MEAN, LOGVAR), r"Model\.encode must return .* got tuple of \(Tensor \(5, 3\), Tensor \(5, 3\), Tensor"),
        ((MEAN, torch.ones(5, 4)), r"got tuple of \(Tensor \(5, 3\), Tensor \(5, 4\)\): or pass encode="),
        (Odd(MEAN, LOGVAR), "got Odd of"),
        ({"a": MEAN}, r"got dict of \{a: Tensor \(5, 3\)\}"),
        ({"z": MEAN, "mu": MEAN}, "got dict of"),
        ({"z": MEAN, "logvar": LOGVAR}, "got dict of"),
        ({"mu": MEAN, "std": torch.ones(5, 4)}, r"std: Tensor \(5, 4\)"),
        ({"mu": MEAN, "std": "wide"}, "std: str"),
        ((Normal(MEAN, STD), Normal(MEAN, 1.0)), r"got tuple of \(Normal, Normal\)"),
        (Laplace(MEAN, STD), "got Laplace"),
        (MultivariateNormal(MEAN, 0.9 + torch.eye(3)), "got MultivariateNormal"),
        (None, "got NoneType"),
        (np.ones((5, 3)), r"got ndarray \(5, 3\)"),
        ("ab", "got str"),
        ({"z": np.ones((5, 3))}, "got dict of"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_clear_is_refused(found, words):
    with pytest.raises(TypeError, match=words):
        encoded(Model(found), IMAGES)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (torch.ones(5), r"a row for each of 5 images, got Tensor \(5,\)"), (torch.ones(4, 3), r"got Tensor \(4, 3\)"),
        (torch.ones(5, 3, dtype=torch.int64), r"must return floats .* got Tensor \(5, 3\) of torch\.int64"),
        (torch.ones(5, 2, 4, 4), r"Model must give codes of shape \(n, d\), got feature maps \(5, 2, 4, 4\)"),
        ((torch.ones(5, 2, 4, 4), torch.ones(5, 2, 4, 4)), "got feature maps"),
    ],
    ids=str,
)  # fmt: skip
def test_other_shapes_are_refused(found, words):
    with pytest.raises(ValueError, match=words):
        encoded(Model(found), IMAGES)


def test_feature_maps_are_read_where_they_are_wanted():
    found = encoding(Model((torch.ones(5, 2, 4, 4), torch.zeros(5, 2, 4, 4))), IMAGES)
    assert found.log_variance.shape == (5, 2, 4, 4)


def test_our_own_models():
    plain, vae = (sl.build_autoencoder("mlp", image_shape=(1, 4, 4), dim=2, width=8, stochastic=s) for s in (False, True))
    assert torch.equal(encoded(plain, IMAGES), plain.encode(IMAGES))
    assert torch.equal(encoded(vae, IMAGES).log_variance, vae.posterior(IMAGES).log_variance)
    assert torch.equal(decoded(vae, MEAN[:, :2]), vae.decode(MEAN[:, :2]))


def test_gradients_pass():
    mean, std = MEAN.clone().requires_grad_(), STD.clone().requires_grad_()
    encoded(Model({"mu": mean, "std": std}), IMAGES).log_variance.sum().backward()
    torch.testing.assert_close(std.grad, 2 / STD)


def test_a_function_in_place_of_the_method():
    assert torch.equal(encoded(nn.Sequential(nn.Flatten()), IMAGES, encode=lambda x: x.flatten(1)), IMAGES.flatten(1))
    with pytest.raises(TypeError, match=r"^encode must return"):
        encoded(Model(MEAN), IMAGES, encode=lambda x: None)


class Layered(nn.Module):
    """An encoder and a decoder network without methods of their own."""

    def __init__(self, found):
        super().__init__()
        self.encoder, self.decoder = Model(found).encode, Model({"reconstruction": IMAGES}).decode


def test_an_encoder_that_says_what_it_returns():
    read = encoded(Layered({"embedding": MEAN, "log_covariance": LOGVAR}), IMAGES)
    torch.testing.assert_close(read.log_variance, LOGVAR)
    assert decoded(Layered(None), MEAN) is IMAGES
    with pytest.raises(
        TypeError,
        match=r"Layered\.encoder must .*may be features\); got Tensor \(5, 3\): or pass encode=",
    ):
        encoded(Layered(MEAN), IMAGES)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            nn.Sequential(nn.Flatten()),
            "model must have a method encode, or, for sl.latents alone, pass encode=.*; a Sequential has none",
        ),
        (nn.DataParallel(Model(MEAN)), r"a DataParallel has none; its \.module, of class Model, has one: pass that"),
    ],
)
def test_a_model_without_the_method_is_refused(model, words):
    with pytest.raises(TypeError, match=words):
        encoded(model, IMAGES)
    with pytest.raises(TypeError, match="method decode"):
        decoded(model, MEAN)


def test_a_stochastic_model_without_a_posterior():
    model = Model(MEAN)
    model.stochastic = True
    with pytest.raises(TypeError, match=r"encode must return \(mean, log_variance\).*it has stochastic=True\); got Tensor"):
        encoded(model, IMAGES)
    model.found = MEAN, LOGVAR
    assert isinstance(encoded(model, IMAGES), Posterior)


@pytest.mark.parametrize(
    "found",
    [IMAGES, (IMAGES,), (IMAGES, IMAGES + 1), (None, IMAGES), {"recon_x": IMAGES}, SimpleNamespace(sample=IMAGES),
     Normal(IMAGES, 1.0), Independent(Bernoulli(probs=IMAGES), 3), OrderedDict(commit=None, sample=IMAGES)],
    ids=lambda found: type(found).__name__,
)  # fmt: skip
def test_images_are_read(found):
    torch.testing.assert_close(decoded(Model(found), MEAN), IMAGES, rtol=0, atol=0)


@pytest.mark.parametrize("found", [None, (), {"a": 1}, torch.ones(5), torch.ones(4, 1, 4, 4), 3.0], ids=str)
def test_what_is_no_image_is_refused(found):
    with pytest.raises(TypeError, match=r"Model\.decode must return one image for each of 5 codes, got"):
        decoded(Model(found), MEAN)


def test_where_a_module_is():
    assert placement(nn.Flatten()) == (torch.device("cpu"), torch.float32)
    assert placement(nn.BatchNorm1d(2, dtype=torch.float64)) == (torch.device("cpu"), torch.float64)
    assert placement(nn.BatchNorm1d(2, affine=False, device="meta")) == (torch.device("meta"), torch.float32)


def test_a_posterior_on_a_sphere_is_refused():
    with pytest.raises(TypeError, match="log_concentration"):
        encoded(Layered({"embedding": MEAN, "log_concentration": MEAN[:, :1]}), IMAGES)
    assert encoded(Layered({"embedding": MEAN}), IMAGES) is MEAN


def test_eval_mode_and_gradients_are_as_before():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout().eval()))
    with suppress(KeyError), evaluating(model, None):
        assert not any(part.training for part in model.modules())
        assert not torch.is_grad_enabled()
        raise KeyError
    assert [part.training for part in model.modules()] == [True, True, True, False]
    assert torch.is_grad_enabled()
