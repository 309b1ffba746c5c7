"""The units of a latent space: each latent's mean and standard deviation, removed for training and put back for use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sculptlab.columns import constant_columns, without_heavy_tails
from sculptlab.training.encodings import decoded, encoded
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
        usual = without_heavy_tails(rows)
        return cls(usual.mean(0).float(), torch.where(constant_columns(rows), 1.0, usual.std(0)).float())

    def plain(self, codes: Tensor) -> Tensor:
        """Codes (n, d) as standard deviations from the mean, of their own type and on their device."""
        return (codes - self.mean.to(codes)) / self.std.to(codes)

    def wrap(self, model: nn.Module, stochastic: bool) -> Autoencoder:
        """A model whose codes are in these units, while `model` inside works in standard deviations; it shares the weights.

        The codes of an untrained network are near 0 with a standard deviation below 1, and move by steps of the learning rate:
        a latent space with another mean and scale would take long to reach. `stochastic`: the encoder gives a posterior.
        """
        networks: tuple[nn.Module, nn.Module] = _Method(model, encoded), _Method(model, decoded)
        encoder, decoder = (model.encoder, model.decoder) if isinstance(model, Autoencoder) else networks
        scale, shift = self.std, self.mean
        if stochastic:  # the encoder's second half is log-variances, which grow by 2 log std
            scale, shift = torch.cat([scale, torch.ones_like(scale)]), torch.cat([shift, 2 * self.std.log()])
        wrapped = Autoencoder(
            nn.Sequential(encoder, _ScaleAndShift(scale, shift)),
            nn.Sequential(_ScaleAndShift(1 / self.std, -self.mean / self.std), decoder),
            image_shape=getattr(model, "image_shape", ()), dim=len(self.mean), stochastic=stochastic,
            output=model.output if isinstance(model, Autoencoder) else "linear",
        )  # fmt: skip
        if not hasattr(model, "image_shape"):
            del wrapped.image_shape  # images of any shape
        return wrapped.to(next(model.parameters()).device)


class _Method(nn.Module):
    """What `encoded` or `decoded` reads from a model, as a network; of a posterior the means, then the log-variances."""

    def __init__(self, model: nn.Module, read: Callable[[nn.Module, Tensor], Posterior | Tensor]) -> None:
        super().__init__()
        self.model, self.read = model, read

    def forward(self, rows: Tensor) -> Tensor:
        found = self.read(self.model, rows)
        return found if isinstance(found, Tensor) else torch.cat([found.mean, found.log_variance], 1)


class _ScaleAndShift(nn.Module):
    """scale * rows + shift, both fixed."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale, self.shift = nn.Buffer(scale), nn.Buffer(shift)

    def forward(self, rows: Tensor) -> Tensor:
        return rows * self.scale + self.shift
