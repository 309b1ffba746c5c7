"""The layers of the three architectures.

Each function returns an encoder, with `outputs` numbers for each image of `shape`, and a decoder of `dim` latents.
"""

import math

from torch import Tensor, nn


def mlp_networks(shape: tuple[int, ...], dim: int, outputs: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Two hidden layers each way, with SiLU."""
    pixels = math.prod(shape)

    def layers(into: int, out: int) -> list[nn.Module]:
        return [nn.Linear(into, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, out)]

    encoder = nn.Sequential(nn.Flatten(), *layers(pixels, outputs))
    return encoder, nn.Sequential(*layers(dim, pixels), nn.Unflatten(1, shape))


def conv_networks(shape: tuple[int, ...], dim: int, outputs: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Convolutions that halve the image two to four times, and a hidden layer of 256 units; ReLU."""
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
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, 256), nn.ReLU(), nn.Linear(256, outputs))
    decoder = nn.Sequential(
        nn.Linear(dim, 256), nn.ReLU(), nn.Linear(256, flat), nn.Unflatten(1, (widths[-1], small, small)), *up
    )
    return encoder, decoder


class _ResidualBlock(nn.Module):
    """x + f(x), where f is two 3x3 convolutions with a group norm before each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        groups = math.gcd(8, channels)
        self.body = nn.Sequential(
            *(nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)),
            *(nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def residual_networks(shape: tuple[int, ...], dim: int, outputs: int, width: int) -> tuple[nn.Module, nn.Module]:
    """A convolution and a residual block at each size, down to 4 px; SiLU."""
    channels, size = shape[0], shape[1]
    widths = [width * min(2**i, 4) for i in range(int(math.log2(size // 4)))]
    flat = widths[-1] * 16
    down: list[nn.Module] = []
    for a, b in zip([channels, *widths], widths, strict=False):
        down += [nn.Conv2d(a, b, 4, 2, 1), _ResidualBlock(b)]
    up: list[nn.Module] = []
    for a, b in zip(widths[::-1], [*widths[-2::-1], width], strict=True):
        up += [_ResidualBlock(a), nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, padding=1)]
    encoder = nn.Sequential(*down, nn.SiLU(), nn.Flatten(), nn.Linear(flat, outputs))
    decoder = nn.Sequential(
        *(nn.Linear(dim, flat), nn.Unflatten(1, (widths[-1], 4, 4))), *up, nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1)
    )
    return encoder, decoder
