"""LPS, the Latent Predictability Score: how well each latent is predicted from all the others, beside its noise floor."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from sculptlab.drawing import draw
from sculptlab.independence.dependence import permuted_columns
from sculptlab.independence.regressors import FOLDS, TARGETS, Loss, Predictor, checked
from sculptlab.validation import choice, codes, whole

RESAMPLES = 200  # of the rows, for the interval
UNITS = {"mean": "share of variance (R²)", "square": "share of variance of the squares (R²)", "distribution": "bits"}


@dataclass(frozen=True)
class LPSResult:
    """What `lps` found.

    score           the mean of `per_dimension` over the live dimensions; NaN if there are none
    per_dimension   (d,) held-out R^2 (bits for the target "distribution"), clipped at 0; NaN where dead
    raw             (d,) the same, not clipped: below 0 where the regressor does worse than the mean
    interval        95 % of the scores when rows are drawn anew (bootstrap), the fitted regressors held fixed: how far these
                    rows decide the score. Not an interval for the best regressor's value, below which a fit to n rows
                    stays (least squares by about (1 - R^2) d / n)
    floor           the mean score of `null`: what independent columns with these marginals score at this size
    null            (permutations,) the scores of column-wise permuted copies of z, regressors fitted anew
    p_value         (1 + #{null >= score}) / (1 + permutations), never less than 1 / (1 + permutations); NaN without any
    dead            the dimensions without variance: left out, as target and as input
    """

    score: float
    per_dimension: np.ndarray = field(repr=False)
    raw: np.ndarray = field(repr=False)
    interval: tuple[float, float]
    floor: float
    null: np.ndarray = field(repr=False)
    p_value: float
    dead: list[int]
    regressor: str
    target: str
    n: int
    folds: int
    seed: int
    _ranges: np.ndarray = field(repr=False)  # (2, d): 95 % interval of raw
    _null_raw: np.ndarray = field(repr=False)  # (permutations, d)

    @property
    def unit(self) -> str:
        return UNITS[self.target]

    def to_frame(self) -> pd.DataFrame:
        """A row for each dimension: score, raw, the raw value's 95 % interval, the largest raw value of a permuted copy, dead."""
        columns = {
            "score": self.per_dimension,
            "raw": self.raw,
            "low": self._ranges[0],
            "high": self._ranges[1],
            "largest_permuted": _largest(self._null_raw),
            "dead": np.isin(np.arange(len(self.raw)), self.dead),
        }
        return pd.DataFrame(columns).rename_axis("dimension")

    def plot(self, ax: Any = None) -> Any:
        """Each dimension's raw value, its interval, and the reach of permuted copies; on `ax`, or as a new picture."""
        return draw("lps_bars", self, ax)

    def title(self) -> str:
        return f"LPS {self.score:.3f}" + (f", floor {self.floor:.3f}, p = {self.p_value:.2g}" if len(self.null) else "")

    def __repr__(self) -> str:
        low, high = self.interval
        lines = [f"LPS {self.score:.4f} {self.unit}, {low:.4f} to {high:.4f} for other rows: {self.verdict()}"]
        if len(self.null):
            lines.append(
                f"floor {self.floor:.4f} (mean of {len(self.null)} permuted copies, largest {self.null.max():.4f}); "
                f"p = {self.p_value:.3g}, at least {1 / (1 + len(self.null)):.3g} with so many"
            )
        cut = "each row left out" if self.folds == self.n else f"{self.folds} folds"
        live = len(self.raw) - len(self.dead)
        lines.append(f"{self.regressor} on {live} live of {len(self.raw)} dimensions, n = {self.n:,}, {cut}, seed {self.seed}")
        if self.dead:
            lines.append(f"dead: {', '.join(map(str, self.dead))}")
        return "\n".join(lines)

    def verdict(self) -> str:
        """In plain words: did this regressor find more than in independent columns?"""
        if np.isnan(self.score):
            return "no dimension varies"
        if not len(self.null):
            return "no floor asked for (permutations=0)"
        if self.score <= self.null.max():
            return "no more than independent columns give"
        best = np.argsort(-np.nan_to_num(self.per_dimension))[:3]
        named = ", ".join(f"z{i} {self.per_dimension[i]:.2f}" for i in best if self.per_dimension[i] > 0)
        return f"more than any permuted copy; most predictable {named}"


def lps(
    z: Any,
    regressor: Any = "mlp",
    target: str = "mean",
    *,
    folds: int | None = None,
    permutations: int = 19,
    device: Any = None,
    seed: int = 0,
) -> LPSResult:
    """The Latent Predictability Score of codes z (n, d): the mean over dimensions of max(0, R^2) of z_i predicted from
    all the others, each row by regressors that have not seen it.

    R_i^2 = 1 - sum_r (y_ri - f_i(z_r,-i))^2 / sum_r (y_ri - mean y_i)^2, over all n rows.

    regressor     "mlp": all d networks (64, 64 ReLU) as one, Adam, each stopped on a fifth of its rows; "linear": least
                  squares in closed form; "boosting": scikit-learn's histogram gradient boosting, stopped early; or any
                  scikit-learn regressor (for the target "distribution", a classifier with predict_proba)
    target        "mean": y = z_i. "square": y = (z_i - its mean)^2. "distribution": which of 8 equally filled bins z_i
                  falls into; the score is then the log-loss saved over the bins' shares, in bits, between 0 and 3: a lower
                  bound on the mutual information I(z_i; z_-i), but for the noise of n rows. "mean" asks for the conditional
                  mean alone: of a ring or a rotated square it sees nothing, the other two do.
    folds         into which the rows are cut; None is 2, and for "linear" every row by itself (exact leave-one-out).
                  More folds see weaker dependence and cost more.
    permutations  copies of z with every column permuted by itself, scored in the same way: the floor, and the p-value
                  with its resolution of 1 / (1 + permutations). They cost as many more fits; 0 goes without.
    device        where "mlp" and "linear" compute; None is where z lies

    Rows must be independent draws. Frames of a film, or rows that occur twice, are predicted by their neighbors in time or
    by their twins, in the codes and not in the permuted copies; repeated rows of codes that do not tie otherwise are warned of.
    The score is of these n rows with this regressor: it is a lower bound on what a better one would find, and grows with
    n. It does not change when a column is shifted or scaled. With one live dimension there is nothing to predict it from:
    the score is 0; with none, NaN. A column whose target is constant (the squares of -1 and 1) scores 0.
    Raises ValueError for wrong shapes, one column, values that are not finite, too few rows (20; for "linear" more than
    d + 1), TypeError for what is no regressor. Source: Fruytier et al. 2025, arXiv 2510.11953; cross-fitting, floor,
    and the second and third target are ours.

    >>> z = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> z[:, 1] += z[:, 0]                                     # correlation 0.71: R^2 is 1/2 for both
    >>> round(lps(z, "linear").score, 2)
    0.47
    """
    choice("target", target, TARGETS)
    checked(regressor, target)
    permutations, seed = whole("permutations", permutations, least=0), whole("seed", seed, least=0)
    predictor = Predictor(regressor, target, None if folds is None else whole("folds", folds, least=2))
    given = codes("z", z).detach()
    columns, dead = live_columns(given if device is None else given.to(device))
    n, dim = given.shape
    if dim < 2:
        raise ValueError("z must have at least 2 columns: one latent has no others to be predicted from")
    if n < predictor.least_rows(dim):
        raise ValueError(f"z must have at least {predictor.least_rows(dim)} rows for {predictor.name} on {dim} columns, got {n}")
    live = [i for i in range(dim) if i not in dead]
    _warn_of_repeats(columns)
    found = _losses(predictor, columns, seed)
    generator = torch.Generator().manual_seed(seed)
    permuted = [_losses(predictor, permuted_columns(columns, generator), seed + 1 + j).raw() for j in range(permutations)]
    null_raw = np.stack(permuted) if permuted else np.empty((0, len(live)))
    resampled = _resampled(found, seed)
    score, null, scores = (_score(raw) for raw in (found.raw(), null_raw, resampled))
    return LPSResult(
        score=float(score),
        per_dimension=_spread(found.raw().clip(0), live, dim),
        raw=_spread(found.raw(), live, dim),
        interval=(float(np.quantile(scores, 0.025)), float(np.quantile(scores, 0.975))),
        floor=float(null.mean()) if permutations else np.nan,
        null=null,
        p_value=float((1 + (null >= score).sum()) / (1 + permutations)) if permutations and live else np.nan,
        dead=dead,
        regressor=predictor.name,
        target=target,
        n=n,
        folds=n if predictor.leaves_one_out else predictor.folds or FOLDS,
        seed=seed,
        _ranges=_spread(np.quantile(resampled, [0.025, 0.975], axis=0), live, dim),
        _null_raw=_spread(null_raw, live, dim),
    )


def live_columns(z: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """The live columns with mean 0 and variance 1, in float64, and the numbers of the dead ones.

    Dead is a column that moves by no more than its own rounding.
    """
    largest = z.abs().amax(0)
    scaled = z.double() / torch.where(largest > 0, largest, 1).double()  # no square of it can overflow
    live = scaled.amax(0) - scaled.amin(0) > 16 * torch.finfo(z.dtype).eps
    kept = scaled[:, live]
    kept = kept - kept.mean(0)
    return kept / kept.square().mean(0).sqrt(), [int(i) for i in torch.where(~live)[0]]


def _warn_of_repeats(columns: torch.Tensor) -> None:
    """Warn where rows occur more than once although some column alone tells rows apart: a table repeated, not ties."""
    n, dim = columns.shape
    distinct = [len(torch.unique(column)) for column in columns.T]
    if dim < 2 or max(distinct) > 0.99 * n:  # of a column alone, ties and repeats are the same
        return
    telling = columns[:, int(np.argmax(distinct))]
    # were the ties that column's own, rows that share its value would differ elsewhere
    together = torch.stack([telling, columns @ torch.linspace(1, 2, dim).to(columns)], 1)
    if len(torch.unique(together, dim=0)) == max(distinct) > n / 50:
        warnings.warn(
            f"z has {1 - max(distinct) / n:.0%} repeated rows: a row is then predicted by a model that saw its copy, which looks "
            "like dependence; drop the copies",
            stacklevel=3,
        )


def _losses(predictor: Predictor, columns: torch.Tensor, seed: int) -> Loss:
    if columns.shape[1] > 1:
        return predictor.losses(columns, seed)
    nothing = np.zeros(tuple(columns.shape))  # a column alone: its best prediction is the blank one
    return Loss(nothing, nothing, in_bits=False)


def _resampled(found: Loss, seed: int) -> np.ndarray:
    """The raw values of `RESAMPLES` draws of the rows with replacement, (RESAMPLES, d)."""
    rng, n = np.random.default_rng(seed), len(found.loss)
    values = []
    for _ in range(RESAMPLES):
        counts = np.bincount(rng.integers(0, n, n), minlength=n).astype(float)
        values.append(found.gain(counts @ found.loss, counts @ found.blank, n))
    return np.stack(values)


def _score(raw: np.ndarray) -> np.ndarray:
    """The mean over dimensions, the last axis, of max(0, raw); NaN without any."""
    return raw.clip(0).mean(-1) if raw.shape[-1] else np.full(raw.shape[:-1], np.nan)


def _spread(values: np.ndarray, live: list[int], dim: int) -> np.ndarray:
    """Values of the live dimensions among all `dim`, NaN for the dead, along the last axis."""
    full = np.full((*values.shape[:-1], dim), np.nan)
    full[..., live] = values
    return full


def _largest(null_raw: np.ndarray) -> np.ndarray:
    return null_raw.max(0) if len(null_raw) else np.full(null_raw.shape[1], np.nan)
