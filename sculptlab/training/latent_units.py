"""The units of a latent space: each latent's mean and standard deviation, removed for training and put back for use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sculptlab.columns import constant_columns
from sculptlab.training.models import Autoencoder, Posterior


@dataclass(frozen=True, eq=False)
class Units:
    """The mean and standard deviation (d,) of each latent of a sample of codes."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, codes: Tensor) -> Units:
        """The units of codes (n, d); a constant latent has std 1."""
        rows = codes.detach().cpu().double()
        return cls(rows.mean(0).float(), torch.where(constant_columns(rows), 1.0, rows.std(0)).float())

    def plain(self, codes: Tensor) -> Tensor:
        """Codes (n, d) as standard deviations from the mean, of their own type and on their device."""
        return (codes - self.mean.to(codes)) / self.std.to(codes)

    def wrap(self, model: nn.Module) -> nn.Module:
        """A model whose codes are in these units, while `model` inside works in standard deviations; it shares the weights.

        The codes of an untrained network are near 0 with a standard deviation below 1, and move by steps of the learning rate:
        a latent space with another mean and scale would take long to reach.
        """
        return self._wrapped(model).to(next(model.parameters()).device)

    def _wrapped(self, model: nn.Module) -> nn.Module:
        if not isinstance(model, Autoencoder):
            return _InOtherUnits(model, self)
        scale, shift = self.std, self.mean
        if model.stochastic:  # the encoder's second half is log-variances, which grow by 2 log std
            scale, shift = torch.cat([scale, torch.ones_like(scale)]), torch.cat([shift, 2 * self.std.log()])
        return Autoencoder(
            nn.Sequential(model.encoder, _ScaleAndShift(scale, shift)),
            nn.Sequential(_ScaleAndShift(1 / self.std, -self.mean / self.std), model.decoder),
            image_shape=model.image_shape, dim=model.dim, stochastic=model.stochastic, output=model.output,
        )  # fmt: skip


class _ScaleAndShift(nn.Module):
    """scale * rows + shift, both fixed."""

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, rows: Tensor) -> Tensor:
        return rows * self.scale + self.shift


class _InOtherUnits(nn.Module):
    """Any other module with encode and decode (and posterior, if stochastic), its codes in other units."""

    def __init__(self, model: nn.Module, units: Units) -> None:
        super().__init__()
        self.model: Any = model
        self.into_units = _ScaleAndShift(units.std, units.mean)
        self.out_of_units = _ScaleAndShift(1 / units.std, -units.mean / units.std)
        self.dim = len(units.mean)
        self.stochastic = getattr(model, "stochastic", False)
        for name in ("image_shape", "output"):
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))

    def encode(self, images: Tensor) -> Tensor:
        return self.into_units(self.model.encode(images))

    def posterior(self, images: Tensor) -> Posterior:
        inner = self.model.posterior(images)
        return Posterior(self.into_units(inner.mean), inner.log_variance + 2 * self.into_units.scale.log())

    def decode(self, codes: Tensor) -> Tensor:
        return self.model.decode(self.out_of_units(codes))
