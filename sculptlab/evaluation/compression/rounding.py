"""Quantization-aware training: an autoencoder whose decoder sees rounded codes, with the gradient passed straight through."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sculptlab.validation import number, whole


class RoundedCodes(nn.Module):
    """`model` with a decoder that first rounds codes to 2^bits equal steps over [low, high]; its encoder is left as it is.

    The rounding's own slope is zero nearly everywhere: within the box the gradient is that of codes unrounded (Bengio et al.
    2013, arXiv 1308.3432), outside it is 0, or nothing would keep codes of an unshaped model from leaving the box. Objectives see
    the codes before they are rounded, so a distance to a prior shapes them as ever. Deterministic encoders only: the noise of a
    stochastic one is its own quantization-aware training. To be read with `levels="box"` of the same bits. Raises ValueError for
    a stochastic model, bits below 1, low >= high.
    """

    stochastic = False

    def __init__(self, model: Any, bits: int, low: float, high: float) -> None:
        super().__init__()
        if getattr(model, "stochastic", False):
            raise ValueError("model must have a deterministic encoder: build_autoencoder(..., stochastic=False)")
        self.model, self.dim = model, model.dim
        for name in ("image_shape", "output"):  # of a model that says them
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))
        self.size = 2 ** whole("bits", bits)
        self.low, self.high = number("low", low), number("high", high, above=number("low", low))

    def rounded(self, codes: Tensor) -> Tensor:
        """The levels nearest to codes (n, d), with the gradient of codes clamped to the box."""
        step = (self.high - self.low) / self.size
        symbols = ((codes.detach() - self.low) / step).floor().clamp(0, self.size - 1)
        within = codes.clamp(self.low, self.high)
        return within + (self.low + step * (symbols + 0.5) - within).detach()

    def encode(self, images: Tensor) -> Tensor:
        return self.model.encode(images)

    def decode(self, codes: Tensor) -> Tensor:
        return self.model.decode(self.rounded(codes))

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))
