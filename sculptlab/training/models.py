"""Encoders and decoders: mlp, conv (28, 32, 64 px) and residual; deterministic or stochastic."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sculptlab.validation import choice, whole

KINDS = ("mlp", "conv", "residual")


@dataclass(frozen=True)
class Posterior:
    """What a stochastic encoder says of each image: q(z|x) = N(mean, diag(exp(log_variance))), both (n, dim)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw for each row: mean + std * noise, differentiable in both (Kingma & Welling 2014)."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + (0.5 * self.log_variance).exp() * noise


class Autoencoder(nn.Module):
    """An encoder (n, *image_shape) -> (n, dim or 2 dim) and a decoder (n, dim) -> (n, *image_shape).

    A stochastic encoder yields a mean and a log-variance for each latent; `encode` returns the means.
    The decoder network yields logits if `output` is "sigmoid" and the values themselves if it is "linear".
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
        """q(z|x) of each image; a ValueError for a deterministic encoder, which has none."""
        if not self.stochastic:
            raise ValueError("this encoder is deterministic and has no posterior: build it with stochastic=True")
        return Posterior(*self.encoder(images).chunk(2, dim=1))

    def encode(self, images: Tensor) -> Tensor:
        """The codes (n, dim): a deterministic encoder's output, a stochastic one's means."""
        return self.posterior(images).mean if self.stochastic else self.encoder(images)

    def logits(self, codes: Tensor) -> Tensor:
        """The decoder's output before its sigmoid (n, *image_shape); the output itself if `output` is "linear"."""
        return self.decoder(codes)

    def decode(self, codes: Tensor) -> Tensor:
        """Images (n, *image_shape); in [0, 1] if `output` is "sigmoid"."""
        logits = self.logits(codes)
        return logits.sigmoid() if self.output == "sigmoid" else logits

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction of `images` through their codes (means, if stochastic)."""
        return self.decode(self.encode(images))


def build_autoencoder(
    kind: str,
    *,
    image_shape: Sequence[int],
    dim: int,
    stochastic: bool = False,
    width: int | None = None,
    output: str = "sigmoid",
    seed: int = 0,
) -> Autoencoder:
    """An autoencoder of one of the usual shapes, with PyTorch's default initialization drawn from `seed`.

    kind         "mlp": two hidden layers each way, SiLU; any image_shape, also (features,).
                 "conv": convolutions of kernel 4, stride 2, padding 1 and a hidden layer of 256, ReLU; 28, 32 or 64 px. At
                 64 px it is the field's standard net (Locatello et al. 2019, Table 1, in the variant with kernel 4 throughout).
                 "residual": pre-activation residual blocks with group norm, SiLU; 32 or 64 px, for color images.
    image_shape  (channels, height, width), or (features,) for "mlp".
    dim          number of latents.
    stochastic   the encoder yields a mean and a log-variance, as the KL objectives need.
    width        hidden units of "mlp" (256), channels of the first layer of "conv" (32) and "residual" (32).
    output       "sigmoid" for images in [0, 1], "linear" for data of any sign, best brought to variance 1.
    Raises ValueError for an unknown kind, or an image_shape that the kind does not take.
    """
    choice("kind", kind, KINDS)
    choice("stochastic", stochastic, (True, False))
    if not isinstance(image_shape, Sequence) or not image_shape:
        raise TypeError(f"image_shape must be (channels, height, width) or (features,), got {image_shape!r}")
    shape = tuple(whole(f"image_shape[{i}]", size) for i, size in enumerate(image_shape))
    dim, width = whole("dim", dim), whole("width", width) if width is not None else (256 if kind == "mlp" else 32)
    heads = 2 * dim if stochastic else dim
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(whole("seed", seed, least=0))
        if kind == "mlp":
            encoder, decoder = _mlp(shape, dim, heads, width)
        else:
            _check_pixels(kind, shape)
            encoder, decoder = (_conv if kind == "conv" else _residual)(shape, dim, heads, width)
    return Autoencoder(encoder, decoder, image_shape=shape, dim=dim, stochastic=stochastic, output=output)


def with_variances(model: Autoencoder) -> Autoencoder:
    """The stochastic twin of a deterministic model: the same means and the same decoder, and a variance of 1 for every code.

    It has copies of the weights; log-variances start as a last layer of zeros. Raises ValueError for a stochastic model,
    TypeError for an encoder that does not end with a linear layer.
    """
    if model.stochastic:
        raise ValueError("model must be deterministic: this one has variances")
    twin = copy.deepcopy(model)
    layers = twin.encoder
    if not isinstance(layers, nn.Sequential) or not isinstance(head := layers[-1], nn.Linear):
        raise TypeError(f"model must have an encoder that ends with a linear layer, got {type(model.encoder).__name__}")
    wider = nn.Linear(head.in_features, 2 * head.out_features, device="meta").to_empty(device=head.weight.device)  # draws nothing
    with torch.no_grad():
        wider.weight.copy_(torch.cat([head.weight, torch.zeros_like(head.weight)]))
        wider.bias.copy_(torch.cat([head.bias, torch.zeros_like(head.bias)]))
    layers[-1] = wider
    twin.stochastic = True
    return twin


def _check_pixels(kind: str, shape: tuple[int, ...]) -> None:
    sizes = (28, 32, 64) if kind == "conv" else (32, 64)
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in sizes:
        raise ValueError(
            f"image_shape must be (channels, s, s) with s one of {sizes} for kind={kind!r}, got {shape}; "
            "kind='mlp' takes any shape"
        )


def _mlp(shape: tuple[int, ...], dim: int, heads: int, width: int) -> tuple[nn.Module, nn.Module]:
    pixels = math.prod(shape)

    def stack(a: int, b: int) -> list[nn.Module]:
        return [nn.Linear(a, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, b)]

    return (
        nn.Sequential(nn.Flatten(), *stack(pixels, heads)),
        nn.Sequential(*stack(dim, pixels), nn.Unflatten(1, shape)),
    )


def _conv(shape: tuple[int, ...], dim: int, heads: int, width: int) -> tuple[nn.Module, nn.Module]:
    channels, size = shape[0], shape[1]
    widths = {28: [width, 2 * width], 32: [width, width, 2 * width], 64: [width, width, 2 * width, 2 * width]}[size]
    small = size // 2 ** len(widths)
    flat = widths[-1] * small * small
    down: list[nn.Module] = []
    for a, b in zip([channels, *widths], widths, strict=False):
        down += [nn.Conv2d(a, b, 4, 2, 1), nn.ReLU()]
    up: list[nn.Module] = []
    for a, b in zip(widths[::-1], [*widths[-2::-1], channels], strict=True):
        up += [nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1)]
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, 256), nn.ReLU(), nn.Linear(256, heads))
    decoder = nn.Sequential(
        nn.Linear(dim, 256), nn.ReLU(), nn.Linear(256, flat), nn.Unflatten(1, (widths[-1], small, small)), *up
    )
    return encoder, decoder


class _Block(nn.Module):
    """x + f(x), f of two 3x3 convolutions; the group norm comes before each (He et al. 2016, pre-activation)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        groups = math.gcd(8, channels)
        self.body = nn.Sequential(
            *(nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)),
            *(nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _residual(shape: tuple[int, ...], dim: int, heads: int, width: int) -> tuple[nn.Module, nn.Module]:
    channels, size = shape[0], shape[1]
    widths = [width * min(2**i, 4) for i in range(int(math.log2(size // 4)))]
    flat = widths[-1] * 16
    down: list[nn.Module] = []
    for a, b in zip([channels, *widths], widths, strict=False):
        down += [nn.Conv2d(a, b, 4, 2, 1), _Block(b)]
    up: list[nn.Module] = []
    for a, b in zip(widths[::-1], [*widths[-2::-1], width], strict=True):
        up += [_Block(a), nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, padding=1)]
    encoder = nn.Sequential(*down, nn.SiLU(), nn.Flatten(), nn.Linear(flat, heads))
    decoder = nn.Sequential(
        nn.Linear(dim, flat),
        nn.Unflatten(1, (widths[-1], 4, 4)),
        *up,
        nn.SiLU(),
        nn.Conv2d(width, channels, 3, padding=1),
    )
    return encoder, decoder
