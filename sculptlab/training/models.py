"""Autoencoders of three architectures, mlp, conv (28, 32 or 64 px) and residual (32 or 64 px), with or without a posterior."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.training.architectures import conv_networks, mlp_networks, residual_networks
from sculptlab.training.batches import as_unit_floats
from sculptlab.validation import choice, what_came, whole

ARCHITECTURES = ("mlp", "conv", "residual")


@dataclass(frozen=True)
class Posterior:
    """The distribution q(z|x) = N(mean, diag(exp(log_variance))) that a stochastic encoder gives for each image.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (n, dim)
        Of each latent of each image.
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw for each image: mean + std * noise, differentiable in both.

        Parameters
        ----------
        generator : torch.Generator, optional
            Of the noise; by default torch's global one.

        Returns
        -------
        Tensor of shape (n, dim)

        References
        ----------
        Kingma and Welling 2014, arXiv 1312.6114.
        """
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + (0.5 * self.log_variance).exp() * noise


class Autoencoder(nn.Module):
    """An encoder and a decoder network, and the codes and images that they stand for.

    Parameters
    ----------
    encoder : nn.Module
        (n, *image_shape) -> (n, dim), or (n, 2 dim) if stochastic: means, then log-variances.
    decoder : nn.Module
        (n, dim) -> (n, *image_shape): logits if `output` is "sigmoid", values if it is "linear".
    image_shape : sequence of int
        (channels, height, width), or (features,).
    dim : int
        Number of latents.
    stochastic : bool
        Whether the encoder gives a posterior.
    output : {"sigmoid", "linear"}
        Images in [0, 1], or data of any sign.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        image_shape: Sequence[int],
        dim: int,
        stochastic: bool = False,
        output: str = "sigmoid",
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.image_shape = tuple(image_shape)
        self.dim = whole("dim", dim)
        self.stochastic = stochastic
        self.output = choice("output", output, ("sigmoid", "linear"))

    def posterior(self, images: Tensor) -> Posterior:
        """The posterior q(z|x) of each image.

        Parameters
        ----------
        images : Tensor of shape (n, *image_shape)

        Returns
        -------
        Posterior

        Raises
        ------
        ValueError
            If the encoder is deterministic.
        """
        if not self.stochastic:
            raise ValueError("this encoder is deterministic and has no posterior: build it with stochastic=True")
        return Posterior(*self.encoder(images).chunk(2, dim=1))

    def encode(self, images: Tensor) -> Tensor:
        """The codes of `images`: a stochastic encoder's means.

        Parameters
        ----------
        images : Tensor of shape (n, *image_shape)

        Returns
        -------
        Tensor of shape (n, dim)
        """
        return self.posterior(images).mean if self.stochastic else self.encoder(images)

    def logits(self, codes: Tensor) -> Tensor:
        """The decoder's output before the sigmoid; the images themselves if `output` is "linear".

        Parameters
        ----------
        codes : Tensor of shape (n, dim)

        Returns
        -------
        Tensor of shape (n, *image_shape)
        """
        return self.decoder(codes)

    def decode(self, codes: Tensor) -> Tensor:
        """The images of `codes`, in [0, 1] if `output` is "sigmoid".

        Parameters
        ----------
        codes : Tensor of shape (n, dim)

        Returns
        -------
        Tensor of shape (n, *image_shape)
        """
        logits = self.logits(codes)
        return logits.sigmoid() if self.output == "sigmoid" else logits

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction of `images` from their codes.

        Parameters
        ----------
        images : Tensor of shape (n, *image_shape)

        Returns
        -------
        Tensor of shape (n, *image_shape)
        """
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
    choice("architecture", architecture, ARCHITECTURES)
    choice("stochastic", stochastic, (True, False))
    if not isinstance(image_shape, Sequence) or not image_shape:
        raise TypeError(f"image_shape must be (channels, height, width) or (features,), got {image_shape!r}")
    shape = tuple(whole(f"image_shape[{i}]", size) for i, size in enumerate(image_shape))
    sizes = {"conv": (28, 32, 64), "residual": (32, 64)}.get(architecture)
    if sizes and (len(shape) != 3 or shape[1] != shape[2] or shape[1] not in sizes):
        raise ValueError(
            f"image_shape must be (channels, s, s) with s one of {sizes} for architecture={architecture!r}, got {shape}; "
            "architecture='mlp' takes any shape"
        )
    dim = whole("dim", dim)
    width = whole("width", width) if width is not None else (256 if architecture == "mlp" else 32)
    build = {"mlp": mlp_networks, "conv": conv_networks, "residual": residual_networks}[architecture]
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(whole("seed", seed, least=0))
        encoder, decoder = build(shape, dim, 2 * dim if stochastic else dim, width)
    return Autoencoder(encoder, decoder, image_shape=shape, dim=dim, stochastic=stochastic, output=output)


def with_variances(model: Autoencoder) -> Autoencoder:
    """A stochastic copy of a deterministic model: the same means and decoder, and a posterior variance of 1 for every code.

    Raises ValueError for a stochastic model, TypeError for an encoder that does not end with a linear layer.
    """
    if model.stochastic:
        raise ValueError("model must be deterministic: this one has variances")
    made = copy.deepcopy(model)
    layers = made.encoder
    if not isinstance(layers, nn.Sequential) or not isinstance(last := layers[-1], nn.Linear):
        raise TypeError(f"model must have an encoder that ends with a linear layer, got {type(model.encoder).__name__}")
    # made on the meta device, a layer does not draw weights from the global generator
    wider = nn.Linear(last.in_features, 2 * last.out_features, device="meta").to_empty(device=last.weight.device)
    with torch.no_grad():
        wider.weight.copy_(torch.cat([last.weight, torch.zeros_like(last.weight)]))
        wider.bias.copy_(torch.cat([last.bias, torch.zeros_like(last.bias)]))
    layers[-1] = wider
    made.stochastic = True
    return made


def as_model(model: Any) -> nn.Module:
    """`model` itself, if it is a torch module; else a TypeError that says what it is instead."""
    if not isinstance(model, nn.Module):
        came = f"a {type(model).__name__}" if hasattr(model, "__array__") else what_came(model)
        raise TypeError(f"model must be a torch module, such as build_autoencoder(...) makes, got {came}")
    return model


def count_latents(model: Any, images: Tensor) -> int:
    """Number of latents of a model: its `dim`, else the columns of its codes of `images`; 0 if it has no `encode`."""
    if hasattr(model, "dim"):
        return int(model.dim)
    if not hasattr(model, "encode"):
        return 0
    with torch.no_grad():
        return model.encode(as_unit_floats(images[:2], next(model.parameters()).dtype)).shape[1]
