"""The units of a latent space: each latent's mean and spread, taken off for training and put back for use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.training.models import Autoencoder, Posterior


@dataclass(frozen=True, eq=False)
class Units:
    """Each latent's mean and standard deviation, both (d,): codes in plain units are (codes - mean) / std."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, codes: Tensor) -> Units:
        """The units of codes (n, d); a latent that is constant keeps its own, with std 1."""
        rows = codes.detach().cpu().double()
        constant = rows.amax(0) == rows.amin(0)
        return cls(rows.mean(0).float(), torch.where(constant, 1.0, rows.std(0)).float())

    def plain(self, codes: Tensor) -> Tensor:
        """Codes (n, d) in standard deviations from the mean, of their own type and on their device."""
        return (codes - self.mean.to(codes)) / self.std.to(codes)

    def wrap(self, model: nn.Module) -> nn.Module:
        """A model whose codes are in these units, with `model` inside working in plain ones: it shares the weights.

        A network's codes start near 0 with a spread below 1 and move by steps of the learning rate; this way it need not
        first find a latent space of another place and size.
        """
        wrapped = self._wrapped(model)
        return wrapped.to(next(model.parameters()).device)

    def _wrapped(self, model: nn.Module) -> nn.Module:
        if not isinstance(model, Autoencoder):
            return _Scaled(model, self)
        zeros, mean = torch.zeros_like(self.mean), self.mean
        # a stochastic encoder also yields log-variances, which grow by 2 log std
        scale = torch.cat([self.std, zeros + 1]) if model.stochastic else self.std
        shift = torch.cat([mean, 2 * self.std.log()]) if model.stochastic else mean
        return Autoencoder(
            nn.Sequential(model.encoder, _Affine(scale, shift)),
            nn.Sequential(_Affine(1 / self.std, -mean / self.std), model.decoder),
            image_shape=model.image_shape, dim=model.dim, stochastic=model.stochastic, output=model.output,
        )  # fmt: skip


class _Affine(nn.Module):
    """scale * rows + shift, both fixed."""

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, rows: Tensor) -> Tensor:
        return rows * self.scale + self.shift


class _Scaled(nn.Module):
    """Any other module with encode and decode (and posterior, if stochastic), its codes in other units."""

    def __init__(self, model: nn.Module, units: Units) -> None:
        super().__init__()
        self.model: Any = model
        self.outwards = _Affine(units.std, units.mean)
        self.inwards = _Affine(1 / units.std, -units.mean / units.std)
        self.dim = len(units.mean)
        self.stochastic = getattr(model, "stochastic", False)
        for name in ("image_shape", "output"):
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))

    def encode(self, images: Tensor) -> Tensor:
        return self.outwards(self.model.encode(images))

    def posterior(self, images: Tensor) -> Posterior:
        inner = self.model.posterior(images)
        return Posterior(self.outwards(inner.mean), inner.log_variance + 2 * self.outwards.scale.log())

    def decode(self, codes: Tensor) -> Tensor:
        return self.model.decode(self.inwards(codes))
