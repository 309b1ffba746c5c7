"""LPS, the Latent Predictability Score: how well each latent is predicted from all the others, beside its chance level."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.columns import permute_columns, standardize, warn_of_repeats
from sculptlab.drawing import draw
from sculptlab.independence.many_latents import choose
from sculptlab.independence.regressors import UNITS, LatentPredictor
from sculptlab.progress import Progress
from sculptlab.validation import as_device, as_float64, as_seed, flag, named_codes, whole

if TYPE_CHECKING:
    import pandas as pd

REPEATS = "a row is then predicted by a model that saw its copy, which looks like dependence"


@dataclass(frozen=True)
class LPSResult:
    """Latent Predictability Score of one sample of codes.

    Attributes
    ----------
    score : float
        Mean of `per_dimension` over the latents that were predicted; NaN if there is none.
    per_dimension, raw : array of shape (d,)
        Held-out R^2 of each latent (bits for the target "distribution"), at least 0; `raw` has no such limit and is negative
        where the regressor does worse than the mean. NaN for a latent that is inactive or was not predicted.
    interval : tuple of two floats
        Central 95 % of the score over bootstrap samples of the rows, with the fitted regressors held fixed. It says how much
        the score depends on these rows, not how far the regressor is from the best one.
    null, floor : array of shape (permutations,), float
        Scores of copies of the codes with every column permuted, regressors fitted anew; and the chance level, their mean.
    p_value : float
        (1 + #{null >= score}) / (1 + permutations); like the chance level NaN without permutations.
    dead, names : list
        Inactive latents, those without variance, which are left out; and all latents: a DataFrame's column labels, else numbers.
    regressor, target, n, folds, group_size, seed : str, str, int, int, int, int
        As given to `lps` or chosen by it; `n` is the number of rows, `folds` equals it for leave-one-out.
    notes : list of str
        What was chosen by default because there are many latents, and what to pass instead.
    """

    score: float
    per_dimension: np.ndarray = field(repr=False)
    raw: np.ndarray = field(repr=False)
    interval: tuple[float, float]
    floor: float
    null: np.ndarray = field(repr=False)
    p_value: float
    dead: list[Any]
    names: list[Any]
    regressor: str
    target: str
    n: int
    folds: int
    group_size: int
    seed: int
    notes: list[str]
    _scores: np.ndarray = field(repr=False)  # (3 + permutations, d): raw, the ends of its 95 % interval, and of each copy
    _active: np.ndarray = field(repr=False)  # (d,): whether a latent varies

    @property
    def unit(self) -> str:
        """Unit of the score."""
        return UNITS[self.target]

    def to_frame(self) -> pd.DataFrame:
        """A row per latent but those not predicted: score, raw, low and high (95 % interval of raw), largest_permuted, dead."""
        import pandas as pd

        columns = {
            "score": self.per_dimension,
            **dict(zip(("raw", "low", "high"), self._scores, strict=False)),
            "largest_permuted": self._scores[3:].max(0) if len(self.null) else np.nan,
            "dead": ~self._active,
        }
        frame = pd.DataFrame(columns, index=pd.Index(self.names, name="dimension"))
        return frame[~self._active | ~np.isnan(self.raw)]

    def plot(self, ax: Any = None) -> Any:
        """Draw each latent's raw score with its interval and the largest one of permuted copies, on `ax` or a new figure."""
        return draw("lps_bars", self, ax)

    def title(self) -> str:
        """Score, chance level and p-value in one line."""
        return f"LPS {self.score:.3f}" + (f", chance {self.floor:.3f}, p = {self.p_value:.2g}" if len(self.null) else "")

    def verdict(self) -> str:
        """Whether this regressor predicts more than it does in permuted copies, and which latents most."""
        if np.isnan(self.score):
            return "no latent varies"
        if not len(self.null):
            return "no chance level (permutations=0)"
        if self.score <= self.null.max():
            return "within the range of permuted copies"
        best = [i for i in np.argsort(-np.nan_to_num(self.per_dimension))[:3] if self.per_dimension[i] > 0]
        labels = [name if isinstance(name, str) else f"z{name}" for name in self.names]
        most = ", ".join(f"{labels[i]} {self.per_dimension[i]:.2f}" for i in best)
        return f"higher than in every permuted copy; most predictable: {most}"

    def __repr__(self) -> str:
        low, high = self.interval
        lines = [f"LPS {self.score:.4f} {self.unit}, bootstrap interval {low:.4f} to {high:.4f}: {self.verdict()}"]
        if len(self.null):
            lines.append(
                f"chance level {self.floor:.4f} (mean of {len(self.null)} permuted copies, largest {self.null.max():.4f}); "
                f"p = {self.p_value:.3g} (at least {1 / (1 + len(self.null)):.3g} with {len(self.null)} permutations)"
            )
        cut = "leave-one-out" if self.folds == self.n else f"{self.folds} folds"
        active = f"{len(self.raw) - len(self.dead)} active of {len(self.raw)} latents"
        groups = f" in groups of {self.group_size}" if self.group_size > 1 else ""
        lines.append(f"{self.regressor} on {active}, n = {self.n:,}{groups}, {cut}, seed {self.seed}")
        if self.dead:
            lines.append(f"inactive: {', '.join(map(str, self.dead))}")
        return "\n".join([*lines, *self.notes])


def lps(
    z: Any,
    regressor: Any = None,
    target: str = "mean",
    *,
    latents: int | str | None = None,
    folds: int | None = None,
    group_size: int = 1,
    permutations: int = 19,
    device: Any = None,
    seed: int = 0,
    progress: bool | str = True,
) -> LPSResult:
    """Latent Predictability Score: how well each latent is predicted from all the others.

    The mean over latents of max(0, R_i^2), where each row is predicted by a regressor that was not fitted to it:
    R_i^2 = 1 - sum_r (y_ri - f_i(z_r,-i))^2 / sum_r (y_ri - mean y_i)^2, over all n rows r.

    It is a lower bound on what a better regressor would find, and grows with n. Shifting or scaling a column does not
    change it. Rows must be independent draws: neighboring frames of a film or repeated rows are predicted by their
    neighbors or duplicates in the codes, but not in the permuted copies. Repeated rows give a warning.

    Parameters
    ----------
    z : array_like of shape (n, d)
        Codes, samples first, at least 20 rows (for "linear" also more than d + 1) and 2 columns. If one column alone varies,
        the score is 0.
    regressor : {"mlp", "linear", "boosting"} or scikit-learn estimator, optional
        "mlp": networks with two layers of 64 ReLU units, stopped early on a fifth of their rows. "linear": least squares in
        closed form. "boosting": scikit-learn's histogram gradient boosting, stopped early. Or any regressor of scikit-learn;
        for the target "distribution" a classifier with predict_proba. By default "mlp", and "linear" for more than 32 latents.
    target : {"mean", "square", "distribution"}
        What is predicted: z_i; (z_i - its mean)^2; or which of 8 equally filled bins z_i falls into. The score of the last is
        the reduction in log-loss relative to predicting the bins' frequencies, between 0 and 3 bits: a lower bound on the
        mutual information of z_i and the other latents. "mean" is blind to a ring or a rotated square; the other two are not.
    latents : int or "all", optional
        How many latents are predicted, drawn by `seed`, each from all others. Default: all; with the default regressor and
        target "distribution", 32 of more than 32. The p-value stays exact, but dependence among the other latents is missed.
    folds : int, optional
        Default 2, and leave-one-out for "linear". More folds leave more rows to train on and cost more.
    group_size : int
        How many consecutive rows belong together, such as all places of one feature map: folds, permutations and bootstrap
        samples take whole groups, of which there must be 20, and "linear" has 2 folds by default. Of 30 samples of 40 images
        of 9 places with 3 independent latents, each correlated by 0.8 within an image, "linear" rejected 1 at a level of 5 %,
        and 21 without groups. What a scikit-learn regressor itself holds back for early stopping is not grouped.
    permutations : int
        Number of copies with every column permuted, for the chance level and the p-value. Each takes as long as the score itself.
    device : str, torch.device or None
        Where "mlp" and "linear" compute, named as in `fit`, but None is where `z` is. In place of an Apple GPU, which has no
        float64, it is the CPU.
    seed : int
        Decides folds, networks, permutations, bootstrap samples and drawn latents.
    progress : bool or str
        Whether to show a progress bar with the time left if the work takes more than 5 seconds; a str is its label.

    Returns
    -------
    LPSResult

    Raises
    ------
    ValueError, TypeError
        For a wrong shape, too few rows, values that are not finite, or an argument that is not among the above.

    References
    ----------
    Fruytier et al. 2025, arXiv 2510.11953. Cross-fitting, chance level and the last two targets are additions.

    Examples
    --------
    >>> z = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> z[:, 1] += z[:, 0]                                     # correlation 0.71: R^2 is 1/2 for both
    >>> round(lps(z, "linear").score, 2)
    0.47
    """
    seed, permutations = as_seed("seed", seed), whole("permutations", permutations, least=0)
    rows, names = named_codes("z", z)
    predictor = LatentPredictor("mlp" if regressor is None else regressor, target, folds, group_size)
    group_size, device = predictor.group_size, None if device is None else as_device(device)
    n, dim = rows.shape
    if dim < 2:
        raise ValueError("z must have at least 2 columns: one latent has no others to be predicted from")
    columns, active, dead = active_columns(rows.detach(), names, device=device)
    predictor, chosen, notes = choose(regressor, predictor, latents, n, len(active), torch.Generator().manual_seed(seed))
    predictor.check_rows(n, len(active))
    warn_of_repeats("z", columns, REPEATS)
    fits = (1 + permutations) * len(chosen) * predictor.fits
    rng, generator, groups = np.random.default_rng(seed), torch.Generator().manual_seed(seed), n // group_size
    shown = isinstance(progress, str) or flag("progress", progress)
    with Progress(progress if isinstance(progress, str) else f"LPS ({predictor.name})", fits, shown) as bar:
        predictor = replace(predictor, advance=bar.advance)
        losses = predictor.cross_fitted(columns, seed, chosen)
        drawn = (rng.integers(0, groups, groups) for _ in range(200))
        counts = (np.bincount(few, minlength=groups).repeat(group_size).astype(float) for few in drawn)
        bootstrap = [predictor.gain(losses, times) for times in counts]
        permuted = (permute_columns(columns, generator, group_size) for _ in range(permutations))
        copies = (predictor.cross_fitted(copy, seed + j, chosen) for j, copy in enumerate(permuted, 1))
        gains = np.stack([predictor.gain(losses), *bootstrap, *map(predictor.gain, copies)])
    means = gains.clip(0).sum(1) / (len(chosen) or np.nan)
    score, null = float(means[0]), means[201:]
    scores = np.full((3 + permutations, dim), np.nan)
    scores[:, [active[i] for i in chosen]] = [gains[0], *np.quantile(bootstrap, [0.025, 0.975], axis=0), *gains[201:]]
    raw, (low, high) = scores[0], np.quantile(means[1:201], [0.025, 0.975]).tolist()
    floor = float(null.mean()) if permutations else np.nan
    p_value = float((1 + (null >= score).sum()) / (1 + permutations)) if permutations and active else np.nan
    folds = n if predictor.leaves_one_out else predictor.fits
    return LPSResult(
        score, raw.clip(0), raw, (low, high), floor, null, p_value, dead, names, predictor.name, target, n, folds, group_size,
        seed, notes, _scores=scores, _active=np.isin(range(dim), active),
    )  # fmt: skip


def active_columns(z: Tensor, names: list[Any], least: int = 0, device: Any = None) -> tuple[Tensor, list[int], list[Any]]:
    """The standardized columns of `z` that vary by more than rounding error in its type; their numbers; the others' names.

    A ValueError if fewer than `least` vary.
    """
    rows = as_float64(z, device)
    varies = rows.amax(0) - rows.amin(0) > 16 * torch.finfo(z.dtype).eps * rows.abs().amax(0)
    active = varies.nonzero()[:, 0].tolist()
    dead = [name for name, kept in zip(names, varies.tolist(), strict=True) if not kept]
    if len(active) < least:
        raise ValueError(f"z must have at least {least} columns that vary, got {len(active)} of {len(names)}")
    return standardize(rows[:, varies]), active, dead
