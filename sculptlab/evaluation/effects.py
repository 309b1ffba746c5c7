"""How far are codes from a prior? Effect sizes with intervals, and the margins below which a difference matters little."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sculptlab.columns import standardize
from sculptlab.evaluation.two_samples import SHARED
from sculptlab.priors import Prior

# A shift by 0.1 standard deviations, a scale 10 % too wide, a share of 0.05 in the wrong place, or a correlation of 0.15 changes
# a Gaussian by a total variation distance of 0.04 to 0.05. The joint margin is twice that: an accuracy of 0.55 is 0.1.
MARGINS = {"shift": 0.1, "scale": 0.1, "shape": 0.05, "correlation": 0.15, "c2st": 0.05}
BINS = 10  # of equal probability under the prior, for the shape of a latent
HEAVY_KURTOSIS = 12  # of the prior's draws: from here on, its mean or standard deviation may not exist
DUPLICATE = 0.95  # absolute correlation from which on one of two latents is a duplicate: it shares 90 % of its variance
RESIDUAL = 0.05  # of its standard deviation: a latent that earlier ones leave less of is a linear function of them


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

    def table(self) -> dict[str, np.ndarray]:
        """Estimates and the ends of their 95 % intervals, on the scale that is shown."""
        sides = {"": 0.0, "_low": -1.96, "_high": 1.96}
        return {end: self.shown(self.estimate + side * self.error).numpy() for end, side in sides.items()}

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


@dataclass(frozen=True)
class Target:
    """Draws (m, d) of a prior; the location, scale and standard errors of both, for each latent (d,) and for all together (1,).

    Mean and standard deviation, by formula and without error where the prior has one. Where the draws have `heavy` tails (d,),
    the median and the interquartile range / 1.349, which always exist.
    """

    draws: Tensor
    heavy: Tensor
    each: tuple[Tensor, ...]
    pooled: tuple[Tensor, ...]

    @classmethod
    def of(cls, prior: Prior, draws: Tensor) -> "Target":
        """The target that is known by these draws of a prior, and by its formulas."""
        first, third = (_quantiles(draws.sort(0).values, share) for share in (0.25, 0.75))
        heavy = (standardize(draws).pow(4).mean(0) > HEAVY_KURTOSIS) & (third > first)
        each, pooled = ((*found[:2], *map(_error, found[2:])) for found in (location_and_scale(draws, heavy), pool(draws, heavy)))
        mean, covariance = prior.mean, prior.covariance
        if mean is not None and covariance is not None and not heavy.any() and getattr(prior, "bank", None) is None:
            mean, variance = mean.double().cpu(), covariance.double().cpu().diagonal()
            whole = (variance.mean() + mean.var(correction=0)).sqrt()[None]
            each = (mean, variance.sqrt(), torch.zeros_like(mean), torch.zeros_like(mean))
            pooled = (mean.mean()[None], whole, torch.zeros_like(whole), torch.zeros_like(whole))
        return cls(draws, heavy, each, pooled)

    def only(self, kept: Tensor) -> "Target":
        """The same for some of the latents."""
        return Target(self.draws[:, kept], self.heavy[kept], tuple(part[kept] for part in self.each), self.pooled)


def location_and_scale(z: Tensor, heavy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Location and scale (d,) of z (n, d), and each row's influence (n, d) on the location and on the log of the scale.

    The standard error of an estimate is the standard deviation of the influence, divided by sqrt(n). See `Target` for `heavy`.
    """
    location, scale = z.mean(0), z.std(0, correction=0)
    on_location = z - location
    on_scale = ((on_location / torch.where(scale > 0, scale, 1)).square() - 1) / 2
    if heavy.any():
        columns = z[:, heavy]
        ordered, reach, quartiles, influences = columns.sort(0).values, 0.5 / len(z) ** 0.5, [], []
        for share in (0.25, 0.5, 0.75):
            low, quartile, high = (_quantiles(ordered, share + side * reach) for side in (-1, 0, 1))
            quartiles.append(quartile)
            influences.append((share - (columns <= quartile).double()) * (high - low) / (2 * reach))  # (u - 1[z <= q]) / density
        width = quartiles[2] - quartiles[0]
        location[heavy], scale[heavy], on_location[:, heavy] = quartiles[1], width / 1.349, influences[1]
        on_scale[:, heavy] = (influences[2] - influences[0]) / torch.where(width > 0, width, 1)
    return location, scale, on_location, on_scale


def pool(z: Tensor, heavy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`location_and_scale` of all numbers in z (n, d) together; the influences (n, 1) are of whole rows."""
    location, scale, *influences = location_and_scale(z.reshape(-1, 1), heavy.any()[None])
    on_location, on_scale = (part.reshape(z.shape).mean(1, keepdim=True) for part in influences)
    return location, scale, on_location, on_scale


def latent_effects(z: Tensor, target: Target) -> dict[str, Effect]:
    """Shift, scale and shape of each latent of codes z (n, d) relative to the prior.

    Shift is in units of the prior's scale; scale is a ratio. Shape compares both after they were given the same location and
    scale: half the root of the chi-square divergence of the shares in ten bins, less what is expected by chance.
    """
    aim, unit, *errors = target.each
    location, scale, *influences = location_and_scale(z, target.heavy)
    by_location, by_scale = map(_error, influences)
    divisor = torch.where(unit > 0, unit, 1)
    ratio = torch.where(unit > 0, scale / divisor, torch.where(scale > 0, torch.inf, 1.0))
    own, own_unit = location_and_scale(target.draws, target.heavy)[:2]
    matched = (z - location) / torch.where(scale > 0, scale, 1)
    return {
        "shift": Effect((location - aim) / divisor, (by_location / divisor).hypot(errors[0] / divisor), MARGINS["shift"]),
        "scale": Effect(ratio.log(), by_scale.hypot(errors[1]), float(np.log1p(MARGINS["scale"])), torch.exp),
        "shape": _shape(matched, (target.draws - own) / torch.where(own_unit > 0, own_unit, 1)),
    }


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


def correlation_effect(z: Tensor, draws: Tensor) -> Effect:
    """Correlation of each pair of latents (i < j) in z (n, d), less that in draws (m, d) of the prior."""
    above = torch.triu_indices(z.shape[1], z.shape[1], 1).unbind()
    found = []
    for rows in map(standardize, (z, draws)):
        r, squares = rows.T @ rows / len(rows), rows.square()
        # The influence of a row on r is x y - r (x^2 + y^2) / 2.
        cubic = (rows**3).T @ rows / len(rows)
        fourth = squares.square().mean(0)
        mixed = squares.T @ squares / len(rows)
        variance = mixed - r * (cubic + cubic.T) + r.square() * (fourth[:, None] + fourth + 2 * mixed) / 4
        found.append((r[above], variance.clamp_min(0)[above] / len(rows)))
    (own, own_variance), (prior, variance) = found
    return Effect(own - prior, (own_variance + variance).sqrt(), MARGINS["correlation"])


def accuracy_effect(accuracy: float, rows: int) -> Effect:
    """C2ST accuracy less 1/2, of `rows` rows of each sample."""
    error = (SHARED * accuracy * (1 - accuracy) / (2 * rows)) ** 0.5
    return Effect(
        torch.tensor([accuracy - 0.5], dtype=torch.float64, device="cpu"),
        torch.tensor([error], dtype=torch.float64, device="cpu"),
        MARGINS["c2st"],
        lambda value: value + 0.5,
        one_sided=True,
    )


def normalizing_constants(z: Tensor, target: Target, names: list[Any]) -> pd.DataFrame:
    """The shift and the scale with which (z - shift) * scale has the prior's location and scale, with 95 % intervals.

    A row for each latent and one, "all", for the same two numbers in all latents.
    """
    parts = []
    for found, aim in ((location_and_scale(z, target.heavy), target.each), (pool(z, target.heavy), target.pooled)):
        location, spread, on_location, on_scale = found
        scale = aim[1] / torch.where(spread > 0, spread, torch.nan)
        by_location = _error(on_location - aim[0] / scale * on_scale).hypot(aim[2] / scale).hypot(aim[0] / scale * aim[3])
        shift = Effect(location - aim[0] / scale, by_location, 1)
        stretch = Effect(scale.log(), _error(on_scale).hypot(aim[3]), 1, torch.exp)
        columns = {f"{name}{end}": v for name, one in (("shift", shift), ("scale", stretch)) for end, v in one.table().items()}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts).set_axis(pd.Index([*names, "all"], name="dimension"))


def effective_rank(z: Tensor) -> float:
    """exp of the entropy of the covariance's eigenvalues, divided by their sum (Roy and Vetterli 2007); 0 if all is constant."""
    spectrum = torch.linalg.eigvalsh(torch.cov(z.T / z.abs().max().clamp_min(1e-300)).reshape(z.shape[1], -1)).clamp_min(0)
    shares = spectrum / spectrum.sum()
    return float(torch.special.entr(shares).sum().exp()) if spectrum.sum() > 0 else 0.0


def duplicated(z: Tensor, draws: Tensor, active: Tensor) -> Tensor:
    """Active latents (d,) that repeat an earlier one, or are a linear function of earlier ones, where the prior's are not."""

    def repeats(rows: Tensor) -> Tensor:
        n, d = rows.shape
        found = ((rows.T @ rows / n).tril(-1).abs() >= DUPLICATE).any(1)
        if n > 2 * d:
            left = torch.linalg.qr(rows, mode="r").R.diagonal().square() / (n - torch.arange(d, device="cpu"))
            found |= left < RESIDUAL**2
        return found

    result = torch.zeros_like(active)
    if active.any():
        result[active] = repeats(standardize(z[:, active])) & ~repeats(standardize(draws[:, active]))
    return result


def effect_table(
    latent: dict[str, Effect], z: Tensor, target: Target, accuracy: float, rows: int, names: list[Any]
) -> pd.DataFrame:
    """A row for each effect and latent or pair, the largest in units of its margin first; columns as in `Diagnosis.effects`.

    `latent` are the `latent_effects` of z (n, d), `accuracy` is that of the C2ST with `rows` rows of each sample.
    """
    first, second = np.triu_indices(len(names), 1)
    pairs = [(names[i], names[j]) for i, j in zip(first, second, strict=True)]
    effects = [(name, names, len(z), effect) for name, effect in latent.items()]
    effects += [("correlation", pairs, len(z), correlation_effect(z, target.draws))] if pairs else []
    effects += [("c2st", ["all"], rows, accuracy_effect(accuracy, rows))]
    parts = []
    for name, places, n, effect in effects:
        (states, times), shown = effect.states(), effect.table()
        columns = {"effect": name, "where": pd.Series(places, dtype=object), "value": shown[""], "low": shown["_low"]}
        columns |= {"high": shown["_high"], "state": states, "rows_needed": np.ceil(n * np.maximum(1, times))}
        part = pd.DataFrame({**columns, "size": effect.estimate.abs() / effect.margin})
        parts.append(part.sort_values("size", ascending=False, kind="stable"))
    return pd.concat(parts).sort_values("size", ascending=False, kind="stable", ignore_index=True).drop(columns="size")


def overall_state(table: pd.DataFrame) -> str:
    """ "far" if any effect is, else "undecided" if any is, else "close"."""
    return next((state for state in ("far", "undecided") if (table["state"] == state).any()), "close")


def _quantiles(ordered: Tensor, share: float) -> Tensor:
    return ordered[round(min(max(share, 0.0), 1.0) * (len(ordered) - 1))]


def _error(influence: Tensor) -> Tensor:
    return influence.std(0, correction=0) / len(influence) ** 0.5
