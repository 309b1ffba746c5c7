"""Distributions of one or two dimensions by tables of their quantiles: the Knothe-Rosenblatt map to the standard normal one."""

from typing import cast

import torch
from torch import Tensor

from sculptlab.priors import Prior
from sculptlab.reshaping.maps import Map

STRIPS, ROWS = 256, 1024  # of the largest table; it has two times as many rows, see `_levels`
FORMULA_ROWS, REACH = 8193, 8.0  # of a table that a formula gives, and its largest z: 1e-15 of the mass is beyond it
TINY = 1e-300  # the least slope: quantiles of a bounded prior are equal at its edges
CHUNK = 1024  # codes that are looked up at once


class Quantiles(Map):
    """The map z_1 = Phi^-1(F(x_1)), z_2 = Phi^-1(F(x_2 | x_1)) of a distribution of one or two dimensions.

    It is a table of quantiles: of the first column, and for two dimensions of the second one given the first. Between them it
    interpolates linearly in z, and beyond the last ones it is continued along straight lines. It is therefore continuous, and
    joins the separate parts of a distribution by thin bridges.

    Parameters
    ----------
    scores : Tensor of shape (rows,)
        Sorted values of z.
    first : Tensor of shape (1, rows)
        The quantiles of x_1 at them.
    second : Tensor of shape (strips, rows), optional
        The quantiles of x_2 in strips of x_1 of equal probability.

    References
    ----------
    Rosenblatt 1952, Ann. Math. Statist. 23, 470 (the map). Darmois 1951, in one dimension.
    """

    scores: Tensor
    first: Tensor
    second: Tensor | None

    def __init__(self, scores: Tensor, first: Tensor, second: Tensor | None = None) -> None:
        super().__init__()
        for name, value in (("scores", scores), ("first", first), ("second", second)):
            self.register_buffer(name, value)

    @classmethod
    def of_formula(cls, prior: Prior) -> "Quantiles":
        """The map of a prior of one dimension whose quantiles have a formula."""
        scores = torch.linspace(-REACH, REACH, FORMULA_ROWS, dtype=torch.float64, device="cpu")
        return cls(scores, cast(Tensor, prior.icdf(torch.special.ndtr(scores)))[None].cpu().double())

    @classmethod
    def of_samples(cls, samples: Tensor) -> "Quantiles":
        """The map of the distribution that `samples` (n, 1) or (n, 2) are drawn from, none of them equal to another.

        In two dimensions they are sorted by x_1 and cut into up to 256 strips of equal numbers of rows.
        """
        ordered = samples.double()[samples[:, 0].argsort()]
        strips = max(1, min(STRIPS, round((len(samples) / 16) ** 0.5)))
        parts = [part.sort().values for part in ordered[:, 1].tensor_split(strips)] if samples.shape[1] == 2 else [ordered[:, 0]]
        scores = _levels(min(map(len, parts)), samples.device)
        first, *second = (_at(part, scores)[None] for part in (ordered[:, 0], *(parts if samples.shape[1] == 2 else ())))
        return cls(scores, first, torch.cat(second) if second else None)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._in_chunks(x, inverse=True)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self._in_chunks(z, inverse=False)[0]

    def _in_chunks(self, given: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        parts = [self._mapped(part, inverse) for part in given.split(CHUNK)]
        values, slopes = (torch.cat(part) for part in zip(*parts, strict=True))
        return values, -slopes.log().sum(1)

    def _mapped(self, given: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """x of z, or z of x if `inverse`, and the slopes dx/dz, both (n, d)."""
        first = self._read(self.first, given[:, 0], inverse)
        if self.second is None:
            return first[0][:, None], first[1][:, None]
        z = first[0] if inverse else given[:, 0]
        strips = len(self.second)
        place = (torch.special.ndtr(z) * strips - 0.5).clamp(0, strips - 1)  # 0 is the middle of the first strip
        low = place.floor().long().clamp(max=max(strips - 2, 0))
        table = torch.lerp(self.second[low], self.second[(low + 1).clamp(max=strips - 1)], (place - low)[:, None])
        second = self._read(table, given[:, 1], inverse)
        value, slope = (torch.stack(pair, 1) for pair in zip(first, second, strict=True))
        return value, slope

    def _read(self, table: Tensor, at: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """Interpolate a table of quantiles (1 or n, rows) at scores `at` (n,), or scores at quantiles; and the slopes dx/dz."""
        known = table if inverse else self.scores[None]
        ordered, given = (known[0], at) if len(known) == 1 else (known, at[:, None])
        position = torch.searchsorted(ordered.contiguous(), given.contiguous(), right=True).reshape(-1)
        low = (position - 1).clamp(0, len(self.scores) - 2)
        rows = torch.arange(len(at), device=at.device) if len(table) > 1 else 0
        x0, x1, z0, z1 = table[rows, low], table[rows, low + 1], self.scores[low], self.scores[low + 1]
        slope = ((x1 - x0) / (z1 - z0)).clamp(min=TINY)
        return ((z0 + (at - x0) / slope).clamp(-REACH, REACH) if inverse else x0 + (at - z0) * slope), slope


def _levels(n: int, device: torch.device) -> Tensor:
    """Scores at which n sorted values are read: half of them equally spaced in probability, half in z, for the tails."""
    evenly = (torch.arange(min(n, ROWS), dtype=torch.float64, device=device) + 0.5) / min(n, ROWS)
    scores = torch.special.ndtri(evenly)
    if n <= ROWS:
        return scores
    reach = -torch.special.ndtri(torch.tensor(0.5 / n, dtype=torch.float64, device=device)).item()
    return torch.cat([scores, torch.linspace(-reach, reach, ROWS, dtype=torch.float64, device=device)]).unique()


def _at(ordered: Tensor, scores: Tensor) -> Tensor:
    """The quantiles of sorted values (n,) at `scores`: the i-th value has the probability (i + 1/2) / n."""
    n = len(ordered)
    place = (torch.special.ndtr(scores) * n - 0.5).clamp(0, n - 1)
    low = place.floor().long().clamp(max=n - 2)
    return torch.lerp(ordered[low], ordered[low + 1], place - low)
