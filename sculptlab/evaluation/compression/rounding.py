"""Quantization-aware training: an autoencoder whose decoder sees rounded codes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sculptlab.validation import number, whole


class RoundedCodes(nn.Module):
    """A model whose decoder first rounds codes to 2^bits equal steps over [low, high].

    Rounding has slope 0 nearly everywhere, so gradients pass straight through it: inside the range as if codes were not rounded,
    outside they are 0. Objectives see the codes before rounding. Measure the result by `rate_distortion` with levels="box" and
    the same bits.

    Parameters
    ----------
    model : torch.nn.Module
        An autoencoder with a deterministic encoder: the noise of a stochastic one already has the effect of rounding.
    bits : int
        At least 1.
    low, high : float
        The range, low < high.

    References
    ----------
    Bengio et al. 2013, arXiv 1308.3432 (the straight-through estimator).
    """

    stochastic = False

    def __init__(self, model: Any, bits: int, low: float, high: float) -> None:
        super().__init__()
        if getattr(model, "stochastic", False):
            raise ValueError("model must have a deterministic encoder: build_autoencoder(..., stochastic=False)")
        self.model, self.dim = model, model.dim
        for name in ("image_shape", "output"):  # what the model says of its images
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))
        self.size = 2 ** whole("bits", bits)
        self.low, self.high = number("low", low), number("high", high, above=number("low", low))

    def encode(self, images: Tensor) -> Tensor:
        """Encode images. Codes are not rounded here.

        Parameters
        ----------
        images : Tensor of shape (n, ...)

        Returns
        -------
        Tensor of shape (n, d)
        """
        return self.model.encode(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Round codes to the nearest levels, with the gradient of clamped codes, and decode them.

        Parameters
        ----------
        codes : Tensor of shape (n, d)

        Returns
        -------
        Tensor of shape (n, ...)
        """
        step = (self.high - self.low) / self.size
        symbols = ((codes.detach() - self.low) / step).floor().clamp(0, self.size - 1)
        within = codes.clamp(self.low, self.high)
        return self.model.decode(within + (self.low + step * (symbols + 0.5) - within).detach())
