"""How far are codes from a prior? Effect sizes with intervals, and the margins below which a difference matters little."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.columns import standardize
from sculptlab.evaluation.two_samples import SHARED
from sculptlab.priors import Prior

# A shift by 0.1 standard deviations, a scale 10 % too wide, a share of 0.05 in the wrong place, or a correlation of 0.15 changes
# a Gaussian by a total variation distance of 0.04 to 0.05. The joint margin is twice that: an accuracy of 0.55 is 0.1.
MARGINS = {"shift": 0.1, "scale": 0.1, "shape": 0.05, "excess correlation": 0.15, "c2st": 0.05}
BINS = 10  # of equal probability under the prior, for the shape of a latent
HEAVY_KURTOSIS = 12  # of the prior's draws: from here on, the standard error of a standard deviation may not exist


@dataclass(frozen=True)
class Effect:
    """Estimates (k,) of one kind of difference and their standard errors, on a scale where the errors are about normal.

    `shown` leads to the scale of the tables. Errors shrink with the number of rows to the power 1 / `power`.
    """

    estimate: Tensor
    error: Tensor
    margin: float
    shown: Callable[[Tensor], Tensor] = lambda value: value
    power: int = 2
    one_sided: bool = False  # a difference can only make the estimate larger than 0

    def table(self, name: str = "") -> dict[str, np.ndarray]:
        """Estimates and the ends of their 95 % intervals (name_low, name_high), on the scale that is shown."""
        sides = {"": 0.0, "_low": -1.96, "_high": 1.96}
        return {f"{name}{end}": self.shown(self.estimate + side * self.error).numpy() for end, side in sides.items()}

    def states(self) -> tuple[np.ndarray, np.ndarray]:
        """Whether each estimate is "close", "far" or "undecided", and how many times the rows would decide it.

        Undecided: neither 0 is excluded (at a level of 0.01 for all estimates together, so that the five kinds of effect share
        0.05) nor the margin (by the one-sided bound of 95 %; all estimates must pass, so their number needs no correction).
        Otherwise "far" is an estimate beyond the margin, and "close" one within it.
        """
        from scipy.stats import norm

        size = self.estimate.clamp_min(0) if self.one_sided else self.estimate.abs()
        chance, bound = float(norm.ppf(1 - 0.005 / len(size))) * self.error, 1.645 * self.error
        undecided = (size <= chance) & (size + bound > self.margin)
        states = np.where(undecided, "undecided", np.where(size > self.margin, "far", "close"))
        return states, (((chance + bound) / self.margin) ** self.power).numpy()


class LocationScale(NamedTuple):
    """Location and scale (d,) of columns, and the influence (n, d) of each row on the location and on the log of the scale.

    The standard error of an estimate is the standard deviation of the influence, divided by sqrt(n).
    """

    location: Tensor
    scale: Tensor
    on_location: Tensor
    on_scale: Tensor


def location_and_scale(z: Tensor, heavy: Tensor) -> LocationScale:
    """Mean and standard deviation of the columns of z (n, d); median and interquartile range / 1.349 of `heavy` ones (d,)."""
    mean, std = z.mean(0), z.std(0, correction=0)
    centered = z - mean
    usual = (mean, std, centered, ((centered / torch.where(std > 0, std, 1)).square() - 1) / 2)
    if not heavy.any():
        return LocationScale(*usual)
    ordered, reach, quartiles, influences = z.sort(0).values, 0.5 / len(z) ** 0.5, [], []
    for share in (0.25, 0.5, 0.75):
        low, quartile, high = (_quantiles(ordered, share + side * reach) for side in (-1, 0, 1))
        quartiles.append(quartile)
        influences.append((share - (z <= quartile).double()) * (high - low) / (2 * reach))  # (u - 1[z <= q]) / density
    width = quartiles[2] - quartiles[0]
    on_scale = (influences[2] - influences[0]) / torch.where(width > 0, width, 1)
    robust = (quartiles[1], width / 1.349, influences[1], on_scale)
    return LocationScale(*(torch.where(heavy, one, other) for one, other in zip(robust, usual, strict=True)))


def pooled(z: Tensor, heavy: Tensor) -> LocationScale:
    """`location_and_scale` of all numbers in z (n, d) together; the influences (n, 1) are of whole rows."""
    location, scale, *influences = location_and_scale(z.reshape(-1, 1), heavy.any()[None])
    return LocationScale(location, scale, *(part.reshape(z.shape).mean(1, keepdim=True) for part in influences))


@dataclass(frozen=True)
class Target:
    """Draws (m, d) of a prior; location and scale of each latent and of all numbers together; correlations and their variances.

    They are exact where the prior has formulas, else those of the draws. `heavy` marks the latents (d,) with heavy tails.
    """

    draws: Tensor
    heavy: Tensor
    each: LocationScale
    together: LocationScale
    correlations: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, draws: Tensor, prior: Prior | None = None) -> "Target":
        """The target that is known by draws of a prior and, if it is given, by its formulas."""
        first, third = (_quantiles(draws.sort(0).values, share) for share in (0.25, 0.75))
        heavy = (standardize(draws).pow(4).mean(0) > HEAVY_KURTOSIS) & (third > first)
        mean, covariance = (None, None) if prior is None else (prior.mean, prior.covariance)
        if mean is None or covariance is None or heavy.any() or getattr(prior, "bank", None) is not None:
            return cls(draws, heavy, location_and_scale(draws, heavy), pooled(draws, heavy), correlations(draws))
        mean, covariance = mean.double().cpu(), covariance.double().cpu()
        std, exact = covariance.diagonal().sqrt(), torch.zeros(1, len(mean), dtype=torch.float64, device="cpu")
        all_std = (std.square().mean() + mean.var(correction=0)).sqrt()[None]
        r = (covariance / torch.where(std > 0, std, 1) / torch.where(std > 0, std, 1)[:, None])[_pairs(len(mean))]
        together = LocationScale(mean.mean()[None], all_std, exact[:, :1], exact[:, :1])
        return cls(draws, heavy, LocationScale(mean, std, exact, exact), together, (r, torch.zeros_like(r)))


def latent_effects(z: Tensor, target: Target) -> dict[str, Effect]:
    """Shift, scale and shape of each latent of codes z (n, d) relative to the prior.

    Shift is in units of the prior's scale; scale is a ratio. Shape compares both after they were given the same location and
    scale: half the root of the chi-square divergence of the shares in ten bins, less what is expected by chance.
    """
    own, aim = location_and_scale(z, target.heavy), target.each
    unit = torch.where(aim.scale > 0, aim.scale, 1)
    ratio = torch.where(aim.scale > 0, own.scale / unit, torch.where(own.scale > 0, torch.inf, 1.0))
    by_location, by_scale = (
        _error(own.on_location).hypot(_error(aim.on_location)),
        _error(own.on_scale).hypot(_error(aim.on_scale)),
    )
    matched, draws = (_matched(rows, target.heavy) for rows in (z, target.draws))
    return {
        "shift": Effect((own.location - aim.location) / unit, by_location / unit, MARGINS["shift"]),
        "scale": Effect(ratio.log(), by_scale, float(np.log1p(MARGINS["scale"])), torch.exp),
        "shape": _shape(matched, draws),
    }


def _matched(z: Tensor, heavy: Tensor) -> Tensor:
    location, scale, *_ = location_and_scale(z, heavy)
    return (z - location) / torch.where(scale > 0, scale, 1)


def _shape(z: Tensor, draws: Tensor) -> Effect:
    ordered, m = draws.T.sort(1).values.contiguous(), len(draws)
    cuts = ordered[:, (torch.arange(1, BINS, device="cpu") * m) // BINS].contiguous()
    after = torch.searchsorted(ordered, cuts, right=True)
    between = (cuts + ordered.gather(1, after.clamp(max=m - 1))) / 2  # between two values of a discrete prior
    edges = torch.where(after < m, between, torch.inf).contiguous()
    shares = []
    for rows in (z, draws):
        bins = torch.searchsorted(edges, rows.T.contiguous())
        counts = torch.zeros(len(bins), BINS, dtype=torch.float64, device="cpu")
        shares.append(counts.scatter_add_(1, bins, torch.ones_like(bins, dtype=torch.float64)) / len(rows))
    (q, p), rate = shares, 1 / len(z) + 1 / m
    divergence = torch.where(p > 0, (q - p).square() / torch.where(p > 0, p, 1), 0).sum(1)
    freedom = (p > 0).sum(1) - 1
    error = (2 * freedom * rate**2 + 4 * (divergence - freedom * rate).clamp_min(0) * rate).sqrt()
    return Effect(
        divergence - freedom * rate, error, 4 * MARGINS["shape"] ** 2, lambda value: value.clamp_min(0).sqrt() / 2, 1, True
    )


def correlations(z: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation of each pair of latents (i < j) in z (n, d), and the variance of this estimate."""
    rows = standardize(z)
    r, squares = rows.T @ rows / len(rows), rows.square()
    # The influence of a row on r is x y - r (x^2 + y^2) / 2.
    cubic = (rows**3).T @ rows / len(rows)
    fourth = squares.square().mean(0)
    mixed = squares.T @ squares / len(rows)
    variance = mixed - r * (cubic + cubic.T) + r.square() * (fourth[:, None] + fourth + 2 * mixed) / 4
    above = _pairs(len(r))
    return r[above], variance.clamp_min(0)[above] / len(rows)


def accuracy_effect(accuracy: float, rows: int) -> Effect:
    """C2ST accuracy less 1/2, of `rows` rows of each sample."""
    error = (SHARED * accuracy * (1 - accuracy) / (2 * rows)) ** 0.5
    excess, error = torch.tensor([[accuracy - 0.5], [error]], dtype=torch.float64, device="cpu")
    return Effect(excess, error, MARGINS["c2st"], lambda value: value + 0.5, one_sided=True)


def normalizing_constants(z: Tensor, target: Target, names: list[Any]) -> pd.DataFrame:
    """The shift and the scale with which (z - shift) * scale has the prior's location and scale, with 95 % intervals.

    A row for each latent and one, "all", for the same two numbers in all latents.
    """
    parts = []
    for own, aim in ((location_and_scale(z, target.heavy), target.each), (pooled(z, target.heavy), target.together)):
        scale = aim.scale / torch.where(own.scale > 0, own.scale, torch.nan)
        at = aim.location / scale
        by_location = _error(own.on_location - at * own.on_scale).hypot(_error(aim.on_location / scale - at * aim.on_scale))
        shift = Effect(own.location - at, by_location, 1)
        stretch = Effect(scale.log(), _error(own.on_scale).hypot(_error(aim.on_scale)), 1, torch.exp)
        parts.append(pd.DataFrame({**shift.table("shift"), **stretch.table("scale")}))
    return pd.concat(parts).set_axis(pd.Index([*names, "all"], name="dimension"))


def effect_table(z: Tensor, target: Target, accuracy: float, rows: int, names: list[Any]) -> pd.DataFrame:
    """Every effect of codes z (n, d), the largest in units of its margin first; columns as in `Diagnosis.effects`.

    `accuracy` is that of the C2ST with `rows` rows of each sample.
    """
    effects = [(name, names, len(z), effect) for name, effect in latent_effects(z, target).items()]
    if len(names) > 1:
        (own, variance), (aim, aim_variance) = correlations(z), target.correlations
        excess = Effect(own - aim, (variance + aim_variance).sqrt(), MARGINS["excess correlation"])
        pairs = [(names[i], names[j]) for i, j in torch.stack(_pairs(len(names)), 1).tolist()]
        effects.append(("excess correlation", pairs, len(z), excess))
    effects.append(("c2st", ["all"], rows, accuracy_effect(accuracy, rows)))
    parts = []
    for name, places, n, effect in effects:
        states, times = effect.states()
        columns = {"effect": name, "where": pd.Series(places, dtype=object), **effect.table("value"), "state": states}
        columns |= {"rows_needed": np.ceil(n * np.maximum(1, times)), "size": effect.estimate.abs() / effect.margin}
        part = pd.DataFrame(columns)
        parts.append(part.sort_values("size", ascending=False, kind="stable"))
    table = pd.concat(parts).sort_values("size", ascending=False, kind="stable", ignore_index=True).drop(columns="size")
    return table.rename(columns={"value_low": "low", "value_high": "high"})


def overall_state(table: pd.DataFrame) -> str:
    """ "far" if any effect is, else "undecided" if any is, else "close"."""
    return next((state for state in ("far", "undecided") if (table["state"] == state).any()), "close")


def _pairs(d: int) -> tuple[Tensor, ...]:
    return torch.triu_indices(d, d, 1, device="cpu").unbind()


def _quantiles(ordered: Tensor, share: float) -> Tensor:
    return ordered[round(min(max(share, 0.0), 1.0) * (len(ordered) - 1))]


def _error(influence: Tensor) -> Tensor:
    return influence.std(0, correction=0) / len(influence) ** 0.5
