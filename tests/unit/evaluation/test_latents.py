"""Codes of other people's models: vectors and feature maps, torch modules and others, drawn by a seed."""

import time
from threading import Event, Thread
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.distributions import Normal

import sculptlab as sl
from sculptlab.evaluation import latents

IMAGES = torch.rand(600, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Model(nn.Module):
    """A module without weights whose encoder is any function of the images."""

    def __init__(self, function):
        super().__init__()
        self.encode, self.dropout = function, nn.Dropout()


def pair(images):
    flat = images.flatten(1)
    return flat[:, :3], flat[:, 3:6] - 3


def maps(images):
    """Feature maps (n, 3, 4, 4): which image it is, which place, and noise of their own."""
    number = images[:, 0, 0, 0, None, None].expand(-1, 4, 4)
    place = torch.arange(16.0).reshape(4, 4).expand(len(images), 4, 4)
    return torch.stack([number, place, images[:, 0, :4, :4]], 1)


@pytest.mark.parametrize("seed", [0, 3])
def test_our_own_models_give_the_bits_of_the_run(vae, plain, digits, seed):
    for model in (vae, plain):
        run = sl.Run(model.eval(), sl.objectives.Reconstruction(), [], seed=0, steps=0)
        expected = run.codes(digits, seed=seed)
        for given in (model, run):
            found = sl.latents(given, digits, seed)
            assert list(found) == list(expected)
            assert all(torch.equal(found[name], expected[name]) for name in expected)
    arrays = sl.latents(vae, digits.images.numpy())
    assert all(isinstance(z, np.ndarray) for z in arrays.values())


def test_samples_follow_the_posterior():
    model = Model(lambda x: Normal(x.flatten(1)[:, :2], 0.25))
    found = sl.latents(model, IMAGES)
    noise = (found["samples"] - found["means"]) / 0.25
    assert abs(noise.mean()) < 0.1
    assert noise.std() == pytest.approx(1, abs=0.1)
    again, other = sl.latents(model, IMAGES), sl.latents(model, IMAGES, 1)
    assert torch.equal(found["samples"], again["samples"])
    assert not torch.equal(found["samples"], other["samples"])


def test_a_pair_is_mean_and_log_variance():
    found = sl.latents(Model(pair), IMAGES, batch_size=7)
    assert torch.equal(found["means"], IMAGES.flatten(1)[:, :3])
    assert (found["samples"] - found["means"]).std() == pytest.approx(np.exp(-1.25), abs=0.03)
    with pytest.warns(UserWarning, match=r"every posterior of Model is wider than N\(0, 1\): .* standard deviations"):
        sl.latents(Model(lambda x: (x.flatten(1), x.flatten(1) + 0.1)), IMAGES)


def test_the_mode_of_each_layer_and_gradients():
    model = Model(lambda x: model.dropout(x.flatten(1)) * model.scale).train()
    model.scale = nn.Parameter(torch.ones(()))
    found = sl.latents(model, IMAGES)["codes"]
    assert torch.equal(found, IMAGES.flatten(1))
    assert not found.requires_grad
    assert model.training
    assert model.dropout.training
    with pytest.raises(ValueError, match="not clear which axis"):
        sl.latents(Model(lambda x: x[:, 0]), IMAGES)
    assert torch.is_grad_enabled()


def test_threads_that_share_a_model_take_turns():
    entered = Event()

    def encode(images):
        entered.set()
        time.sleep(0.2 * len(images))
        return model.dropout(1 + images.flatten(1))

    model = Model(encode).train()
    found = {}
    threads = [Thread(target=lambda n=n: found.update({n: latents(model, IMAGES[:n])["codes"]})) for n in (2, 4)]
    for thread in threads:
        thread.start()
        entered.wait()
    for thread in threads:
        thread.join()
    assert all(torch.equal(codes, 1 + IMAGES[:n].flatten(1)) for n, codes in found.items())
    assert len(found) == 2
    assert model.training
    assert model.dropout.training


def test_bytes_and_half_precision():
    whole = (IMAGES * 255).to(torch.uint8)
    model = Model(lambda x: x.flatten(1)).to(torch.float32)
    torch.testing.assert_close(sl.latents(model, whole)["codes"], whole.flatten(1) / 255)
    model.scale = nn.Parameter(torch.ones((), dtype=torch.bfloat16))
    assert sl.latents(model, IMAGES.numpy())["codes"].dtype == np.float32


def test_one_place_of_each_image():
    found = sl.latents(Model(maps), IMAGES)["codes"]
    assert found.shape == (600, 3)
    assert torch.equal(found[:, 0], IMAGES[:, 0, 0, 0])  # each row is its own image's
    counts = torch.bincount(found[:, 1].long(), minlength=16)
    assert (counts - 600 / 16).square().sum() / (600 / 16) < 37.7  # chi-squared with 15 degrees of freedom, p = 0.001
    assert torch.equal(found, sl.latents(Model(maps), IMAGES, batch_size=7)["codes"])
    assert not torch.equal(found, sl.latents(Model(maps), IMAGES, 1)["codes"])
    with pytest.raises(ValueError, match=r"places must be one of \['one', 'all'\]"):
        sl.latents(Model(maps), IMAGES, places="two")


def test_all_places_image_by_image():
    found = sl.latents(Model(maps), IMAGES, places="all")["codes"].reshape(600, 16, 3)
    assert torch.equal(found, maps(IMAGES).flatten(2).transpose(1, 2))
    noisy = sl.latents(Model(lambda x: (maps(x), torch.full((len(x), 3, 4, 4), -2.0))), IMAGES, places="all")
    assert (noisy["samples"] - noisy["means"]).std() == pytest.approx(np.exp(-1), abs=0.02)


def test_a_function_in_place_of_the_method():
    layers = nn.Sequential(nn.Flatten(), nn.Dropout())
    assert torch.equal(sl.latents(layers, IMAGES, encode=layers)["codes"], IMAGES.flatten(1))
    assert torch.equal(sl.latents(layers, IMAGES, encode=pair)["means"], IMAGES.flatten(1)[:, :3])
    assert layers[1].training
    with pytest.raises(TypeError, match="a Sequential has none"):
        sl.latents(layers, IMAGES)


class Encoder(nn.Module):
    """Layers, before which the axes of the images may be permuted."""

    def __init__(self, layer, axes=None):
        super().__init__()
        self.layer, self.axes = layer, axes

    def encode(self, images):
        return self.layer(images if self.axes is None else images.permute(self.axes)).flatten(1)


@pytest.mark.parametrize(
    ("model", "shape", "example"),
    [
        (Encoder(nn.Linear(192, 2)), (3, 8, 8), "x.flatten(1)"),
        (Encoder(nn.Conv2d(3, 2, 3)), (8, 8, 3), "x.movedim(-1, 1)"),
        (Encoder(nn.Conv2d(3, 2, 3), (0, 3, 1, 2)), (3, 8, 8), "x.movedim(1, -1)"),
    ],
    ids=["flat", "channels first", "channels last"],
)
def test_a_model_that_takes_another_shape_is_told_how_to_pass_it(model, shape, example):
    images = torch.rand(20, *shape, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="data must have the shape that Encoder takes, got") as error:
        sl.latents(model, images)
    words = str(error.value)
    assert str(tuple(images.shape)) in words
    assert f"its first layer, {model.layer}, takes" in words
    assert f"lambda x: model.encode({example})" in words
    change = eval(f"lambda x: {example}")
    assert len(sl.latents(model, images, encode=lambda x: model.encode(change(x)))["codes"]) == 20


def test_codes_that_are_not_finite():
    with pytest.raises(ValueError, match=r"samples of Model has 600 value\(s\) that are NaN"):
        sl.latents(Model(lambda x: {"mean": x.flatten(1)[:, :1], "std": x.flatten(1)[:, :1] - 2}), IMAGES)


def test_transformers_and_tables():
    from sklearn.preprocessing import StandardScaler

    table = pd.DataFrame(IMAGES.flatten(1)[:, :3].numpy(), columns=["a", "b", "c"])
    scaler = StandardScaler().set_output(transform="pandas").fit(table)
    found = sl.latents(scaler, table)["codes"]
    assert list(found.columns) == ["a", "b", "c"]
    assert sl.lps(found, "linear").names == ["a", "b", "c"]


@pytest.mark.parametrize("texts", [["a", "bb"] * 20, np.array(["a", "bb"] * 20), pd.Series(["a", "bb"] * 20)], ids=type)
def test_texts_go_to_the_model_as_they_are(texts):
    def encode(given):
        assert given is texts
        return np.array([[len(text), 1.0] for text in given])

    assert sl.latents(Model(encode), texts)["codes"].sum() == 100


def test_arrays_in_other_frameworks():
    mean = np.ones((40, 2), np.float32)
    for found in ((mean, mean - 3), [mean, mean - 3], {"z_mean": mean, "log_var": mean - 3}):
        read = sl.latents(SimpleNamespace(encode=lambda _, found=found: found), range(40))
        assert np.array_equal(read["means"], mean)
        assert read["samples"].std() == pytest.approx(np.exp(-1), abs=0.1)
    with pytest.raises(TypeError, match="got tuple of"):
        sl.latents(SimpleNamespace(encode=lambda _: (mean, mean, mean)), range(40))


class Cells:
    """What scvi-tools' models have: the mean and variance of each cell's posterior."""

    def get_latent_representation(self, cells, give_mean=True, return_dist=False):
        return (cells, np.full_like(cells, 0.25)) if return_dist else cells


def test_the_posterior_of_scvi_tools():
    cells = IMAGES.flatten(1)[:, :3].numpy()
    found = sl.latents(Cells(), cells)
    assert np.array_equal(found["means"], cells)
    assert (found["samples"] - cells).std() == pytest.approx(0.5, abs=0.03)
    plain = SimpleNamespace(get_latent_representation=lambda given: given)
    assert sl.latents(plain, cells)["codes"] is cells


@pytest.mark.parametrize("model", [np.ones((5, 2)), "vae", None, pair], ids=["array", "name", "None", "function"])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(TypeError, match=r"model must be a Run, a torch module, or have a method encode, .* pass encode="):
        sl.latents(model, IMAGES)


def test_the_result_goes_where_codes_go():
    found = sl.latents(Model(lambda x: x.flatten(1)[:, 10:13]), IMAGES)
    factors = (found["codes"] > 0.5).long().numpy()
    assert sl.lps(found, "linear", permutations=1).n == 600
    assert sl.factors.sap(found, factors).score > 0.4
    assert sl.diagnose(found, "uniform").per_dimension is not None
    with pytest.raises(TypeError, match=r"z must be one array, got a mapping of \['means', 'samples'\]: choose one"):
        sl.lps(sl.latents(Model(pair), IMAGES))
