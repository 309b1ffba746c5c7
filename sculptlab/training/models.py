"""Autoencoders of three architectures, mlp, conv (28, 32 or 64 px) and residual (32 or 64 px), with or without a posterior."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.training.initialization import Initialization
from sculptlab.validation import as_seed, choice, describe, whole

ARCHITECTURES = ("mlp", "conv", "residual")


@dataclass(frozen=True)
class Posterior:
    """The distribution q(z|x) = N(mean, diag(exp(log_variance))) that a stochastic encoder gives for each image.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (n, dim)
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw (n, dim) for each image, mean + std * noise, differentiable in both; arXiv 1312.6114."""
        return self.at(torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype))

    def at(self, noise: Tensor) -> Tensor:
        """mean + std * noise, (n, dim)."""
        return self.mean + (0.5 * self.log_variance).exp() * noise


class Autoencoder(nn.Module):
    """An encoder and a decoder network, and the codes and images that they stand for.

    Parameters
    ----------
    encoder : nn.Module
        (n, *image_shape) -> (n, dim), or (n, 2 dim) if stochastic: means, then log-variances.
    decoder : nn.Module
        (n, dim) -> (n, *image_shape): logits if `output` is "sigmoid", values if it is "linear".
    image_shape, dim, stochastic, output : as in `build_autoencoder`
    """

    built_with: dict[str, Any] | None = None  # the arguments of `build_autoencoder`, from which a saved model is built again

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, *, image_shape: Sequence[int], dim: int, stochastic: bool = False,
        output: str = "sigmoid",
    ) -> None:  # fmt: skip
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.image_shape, self.dim, self.stochastic = tuple(image_shape), whole("dim", dim), stochastic
        self.output = choice("output", output, ("sigmoid", "linear"))

    def posterior(self, images: Tensor) -> Posterior:
        """The posterior of each of `images` (n, *image_shape); a deterministic encoder raises a ValueError."""
        if not self.stochastic:
            raise ValueError("this encoder is deterministic and has no posterior: build it with stochastic=True")
        return Posterior(*self.encoder(images).chunk(2, dim=1))

    def encode(self, images: Tensor) -> Tensor:
        """The codes (n, dim) of `images` (n, *image_shape): a stochastic encoder's means."""
        return self.posterior(images).mean if self.stochastic else self.encoder(images)

    def logits(self, codes: Tensor) -> Tensor:
        """The decoder's output for `codes` (n, dim) before the sigmoid; the images themselves if `output` is "linear"."""
        return self.decoder(codes)

    def decode(self, codes: Tensor) -> Tensor:
        """The images (n, *image_shape) of `codes` (n, dim), in [0, 1] if `output` is "sigmoid"."""
        logits = self.logits(codes)
        return logits.sigmoid() if self.output == "sigmoid" else logits

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction of `images` (n, *image_shape) from their codes."""
        return self.decode(self.encode(images))


def build_autoencoder(
    architecture: str,
    *,
    image_shape: Sequence[int],
    dim: int,
    stochastic: bool = False,
    width: int | None = None,
    output: str = "sigmoid",
    seed: int = 0,
) -> Autoencoder:
    """Build an autoencoder with PyTorch's default initialization, drawn from `seed`.

    Parameters
    ----------
    architecture : {"mlp", "conv", "residual"}
        "mlp": two hidden layers each way, SiLU; any image_shape. "conv": convolutions of kernel 4, stride 2 and padding 1, then a
        hidden layer of 256 units, ReLU; 28, 32 or 64 px. At 64 px it is the network of Locatello et al. with kernel 4 throughout.
        "residual": pre-activation residual blocks with group norm, SiLU; 32 or 64 px, for color images.
    image_shape : sequence of int
        (channels, height, width); "mlp" also takes (features,).
    dim : int
        Number of latents.
    stochastic : bool
        Whether the encoder gives a mean and a log-variance for each latent, as the KL objectives need.
    width : int, optional
        Hidden units of "mlp" (default 256), channels of the first layer of "conv" and "residual" (default 32).
    output : {"sigmoid", "linear"}
        "sigmoid" for images in [0, 1]; "linear" for data of any sign, best brought to variance 1.
    seed : int
        Of the weights.

    Returns
    -------
    Autoencoder

    Raises
    ------
    ValueError
        For an unknown architecture, or an image_shape that it does not take.

    References
    ----------
    Locatello et al. 2019, arXiv 1811.12359, table 1. He et al. 2016, arXiv 1603.05027 (pre-activation).

    Examples
    --------
    >>> build_autoencoder("mlp", image_shape=(1, 8, 8), dim=2).encode(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 2])
    """
    seed = as_seed("seed", seed)
    choice("architecture", architecture, ARCHITECTURES)
    choice("stochastic", stochastic, (True, False))
    if not isinstance(image_shape, Sequence) or not image_shape:
        raise TypeError(f"image_shape must be (channels, height, width) or (features,), got {describe(image_shape)}")
    shape = tuple(whole(f"image_shape[{i}]", size) for i, size in enumerate(image_shape))
    sizes = {"conv": (28, 32, 64), "residual": (32, 64)}.get(architecture)
    if sizes and (len(shape) != 3 or shape[1] != shape[2] or shape[1] not in sizes):
        raise ValueError(
            f"image_shape must be (channels, s, s) with s one of {sizes} for architecture={architecture!r}, got {shape}; "
            "architecture='mlp' takes any shape"
        )
    dim = whole("dim", dim)
    width = whole("width", width) if width is not None else (256 if architecture == "mlp" else 32)
    networks = {"mlp": _mlp, "conv": _conv, "residual": _residual}[architecture]
    with Initialization(seed):
        encoder, decoder = networks(shape, dim, 2 * dim if stochastic else dim, width)
    model = Autoencoder(encoder, decoder, image_shape=shape, dim=dim, stochastic=stochastic, output=output)
    model.built_with = {
        "architecture": architecture, "image_shape": shape, "dim": dim, "stochastic": stochastic, "width": width,
        "output": output,
    }  # fmt: skip
    return model


def _mlp(shape: tuple[int, ...], dim: int, outputs: int, width: int) -> tuple[nn.Module, nn.Module]:
    """An encoder that gives `outputs` numbers for an image, and a decoder of `dim` latents: two hidden layers each way; SiLU."""
    ends = (math.prod(shape), outputs), (dim, math.prod(shape))
    layers = ([nn.Linear(a, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, b)] for a, b in ends)
    encoder, decoder = layers
    return nn.Sequential(nn.Flatten(), *encoder), nn.Sequential(*decoder, nn.Unflatten(1, shape))


def _conv(shape: tuple[int, ...], dim: int, outputs: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Convolutions that halve the image two to four times, and a hidden layer of 256 units; ReLU."""
    channels, size = shape[:2]
    widths = {28: [width, 2 * width], 32: [width, width, 2 * width], 64: [width, width, 2 * width, 2 * width]}[size]
    small = widths[-1], size // 2 ** len(widths), size // 2 ** len(widths)
    flat = math.prod(small)
    down = [layer for a, b in pairwise([channels, *widths]) for layer in (nn.Conv2d(a, b, 4, 2, 1), nn.ReLU())]
    up = [layer for a, b in pairwise([*widths[::-1], channels]) for layer in (nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1))]
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, 256), nn.ReLU(), nn.Linear(256, outputs))
    return encoder, nn.Sequential(nn.Linear(dim, 256), nn.ReLU(), nn.Linear(256, flat), nn.Unflatten(1, small), *up)


class _ResidualBlock(nn.Module):
    """x + f(x), where f is two 3x3 convolutions with a group norm before each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        groups = math.gcd(8, channels)
        halves = ((nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)) for _ in range(2))
        self.body = nn.Sequential(*(layer for half in halves for layer in half))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _residual(shape: tuple[int, ...], dim: int, outputs: int, width: int) -> tuple[nn.Module, nn.Module]:
    """A convolution and a residual block at each size, down to 4 px; SiLU."""
    channels, size = shape[:2]
    widths = [width * min(2**i, 4) for i in range(int(math.log2(size // 4)))]
    small = widths[-1], 4, 4
    flat = math.prod(small)
    down = [layer for a, b in pairwise([channels, *widths]) for layer in (nn.Conv2d(a, b, 4, 2, 1), _ResidualBlock(b))]
    sizes = pairwise([*widths[::-1], width])
    up = [layer for a, b in sizes for layer in (_ResidualBlock(a), nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, padding=1))]
    encoder = nn.Sequential(*down, nn.SiLU(), nn.Flatten(), nn.Linear(flat, outputs))
    into = nn.Linear(dim, flat), nn.Unflatten(1, small)
    return encoder, nn.Sequential(*into, *up, nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1))
