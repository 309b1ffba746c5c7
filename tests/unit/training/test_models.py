import math

import pytest
import torch

from sculptlab.training.models import Posterior, build_autoencoder

SHAPES = [
    ("mlp", (1, 8, 8)), ("mlp", (13,)), ("conv", (1, 28, 28)), ("conv", (3, 32, 32)), ("conv", (1, 64, 64)),
    ("residual", (3, 32, 32)), ("residual", (3, 64, 64)),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "shape"), SHAPES)
@pytest.mark.parametrize("stochastic", [False, True])
def test_shapes_and_range(architecture, shape, stochastic):
    model = build_autoencoder(architecture, image_shape=shape, dim=5, stochastic=stochastic)
    images = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    codes = model.encode(images)
    assert codes.shape == (3, 5)
    decoded = model.decode(codes)
    assert decoded.shape == images.shape
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    assert torch.allclose(model.logits(codes).sigmoid(), decoded)


def test_the_64_pixel_net_is_the_fields_standard():
    layers = list(build_autoencoder("conv", image_shape=(1, 64, 64), dim=10, stochastic=True).encoder)
    convolutions = [m for m in layers if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [32, 32, 64, 64]
    assert {(c.kernel_size, c.stride, c.padding) for c in convolutions} == {((4, 4), (2, 2), (1, 1))}
    assert [m.out_features for m in layers if isinstance(m, torch.nn.Linear)] == [256, 20]


def test_seed_decides_the_weights():
    def weights(seed):
        return build_autoencoder("mlp", image_shape=(4,), dim=2, seed=seed).encoder[1].weight

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_encode_gives_the_means():
    model = build_autoencoder("mlp", image_shape=(4,), dim=2, stochastic=True)
    x = torch.ones(2, 4)
    assert torch.equal(model.encode(x), model.posterior(x).mean)


def test_posterior_sample_has_its_mean_and_std():
    rows = 20_000
    posterior = Posterior(torch.full((rows, 1), 3.0), torch.full((rows, 1), 2 * math.log(0.5)))
    z = posterior.sample(torch.Generator().manual_seed(0))
    assert z.mean().item() == pytest.approx(3, abs=4 * 0.5 / rows**0.5)
    assert z.std().item() == pytest.approx(0.5, rel=0.03)


def test_linear_output_is_unbounded():
    model = build_autoencoder("mlp", image_shape=(4,), dim=2, output="linear")
    z = 1000 * torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.decode(z), model.logits(z))
    assert model.decode(z).abs().max() > 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"architecture": "unet"}, "architecture must be one of"),
        ({"architecture": "conv", "image_shape": (1, 30, 30)}, "image_shape must be"),
        ({"architecture": "residual", "image_shape": (3, 28, 28)}, "image_shape must be"),
        ({"architecture": "conv", "image_shape": (64,)}, "image_shape must be"),
        ({"dim": 0}, "dim must be at least 1"),
        ({"width": 0}, "width must be at least 1"),
        ({"image_shape": (1, 0, 8)}, "image_shape"),
        ({"output": "tanh"}, "output must be one of"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        build_autoencoder(**{"architecture": "mlp", "image_shape": (1, 8, 8), "dim": 2} | arguments)


def test_a_deterministic_model_has_no_posterior():
    with pytest.raises(ValueError, match="stochastic=True"):
        build_autoencoder("mlp", image_shape=(4,), dim=2).posterior(torch.ones(1, 4))


@pytest.mark.parametrize("shape", [5, (), None])
def test_an_image_shape_must_be_a_sequence(shape):
    with pytest.raises(TypeError, match="image_shape must be"):
        build_autoencoder("mlp", image_shape=shape, dim=2)
