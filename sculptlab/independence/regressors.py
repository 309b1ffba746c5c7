"""How LPS predicts each latent from all the others: targets, folds, regressors, and the losses on held-out rows."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.columns import random_rows, rows_of
from sculptlab.independence.networks import LEAST_LOG_FREQUENCY, log_frequencies, predict_by_networks
from sculptlab.threads import one_thread
from sculptlab.validation import as_group_size, check_parameters, choice, describe, parameter, whole

REGRESSORS = ("mlp", "linear", "boosting")
UNITS = {"mean": "share of variance (R²)", "square": "share of variance of the squares (R²)", "distribution": "bits"}
BINS = 8  # equally filled bins of the target "distribution": at most log2(8) = 3 bits
HIDDEN = (64, 64)  # units of the two layers of "mlp"
Losses = tuple[np.ndarray, np.ndarray]  # of each row and column (n, d): of the predictions, and without any other column


@dataclass(frozen=True)
class LatentPredictor:
    """A regressor, its target, the number of folds (None: the default), rows in a group, and what counts the fits done.

    Losses are squared errors, with the column's mean as baseline; for the target "distribution" they are log-losses in bits,
    with the bins' frequencies in the training rows as baseline.
    """

    regressor: Any
    target: str = parameter(choice, "mean", legal=UNITS)
    folds: int | None = parameter(whole, None, least=2)
    group_size: int = parameter(whole, 1)
    advance: Callable[[int], Any] = lambda fits: None

    def __post_init__(self) -> None:
        check_parameters(self)
        given, target = self.regressor, self.target
        if isinstance(given, str) and given in REGRESSORS:
            return
        if isinstance(given, (str, type)) or not (hasattr(given, "fit") and hasattr(given, "get_params")):
            error = ValueError if isinstance(given, str) else TypeError
            raise error(f"regressor must be one of {list(REGRESSORS)} or a scikit-learn estimator, got {describe(given)}")
        from sklearn.base import is_classifier, is_regressor

        if target == "distribution" and not (is_classifier(given) and hasattr(given, "predict_proba")):
            raise ValueError(f"regressor must be a classifier with predict_proba for target={target!r}, got {describe(given)}")
        if target != "distribution" and not is_regressor(given):
            raise ValueError(f"regressor must be a regressor for target={target!r}, got {describe(given)}")

    @property
    def name(self) -> str:
        """The regressor's name."""
        return self.regressor if isinstance(self.regressor, str) else type(self.regressor).__name__

    @property
    def leaves_one_out(self) -> bool:
        """Whether each row is a fold of its own."""
        return self.folds is None and self.closed_form and self.group_size == 1

    @property
    def closed_form(self) -> bool:
        """Whether all latents are predicted at once by least squares."""
        return self.regressor == "linear" and self.target != "distribution"

    @property
    def fits(self) -> int:
        """How many fits of each latent predict all rows."""
        return 1 if self.leaves_one_out else self.folds or 2

    def least_rows(self, dim: int) -> int:
        """The smallest number of rows with `dim` columns that can be cross-fitted."""
        if self.leaves_one_out:
            return max(20, dim + 2)
        folds = self.fits
        return max(20, 2 * folds, math.ceil((dim + 2) * folds / (folds - 1)) + 1 if self.closed_form else 0)

    def check_rows(self, n: int, dim: int) -> None:
        """A ValueError if `n` rows are too few for `dim` columns, with what can be done about it, or hold too few groups."""
        least = self.least_rows(dim)
        as_group_size(self.group_size, n, least=max(20, 2 * self.fits) if self.group_size > 1 else 1)
        if n < least:
            remedy = ": give more rows, fewer columns (the first principal components), or regressor='mlp' with a few `latents`"
            given = f"z must have at least {least} rows for {self.name} on {dim} columns, got {n}"
            raise ValueError(given + (remedy if least > self.least_rows(1) else ""))

    def gain(self, losses: Losses, counts: np.ndarray | None = None) -> np.ndarray:
        """R^2 = 1 - loss / baseline, or bits saved per row, (d,). `counts` (n,) says how often each row counts."""
        loss, baseline = (values.sum(0) if counts is None else counts @ values for values in losses)
        if self.target == "distribution":
            bits = (baseline - loss) / len(losses[0])
            return np.where(np.abs(bits) < 1e-6, 0.0, bits)  # less is rounding of the logarithms
        return 1 - np.divide(loss, baseline, out=np.ones_like(loss), where=baseline > 0)

    def cross_fitted(self, z: Tensor, seed: int, columns: Sequence[int]) -> Losses:
        """Losses of `columns` in every row of the standardized `z` (n, d), predicted by a model fitted to the other folds."""
        n, dim = z.shape
        if dim < 2:  # a single column has no others: its prediction is the baseline
            return np.zeros((n, dim)), np.zeros((n, dim))
        if self.leaves_one_out:
            y = self._targets(z, columns)
            errors = left_out_errors(z, y, columns, latents=self.target == "mean")
            self.advance(len(columns))
            return errors.square_().cpu().numpy(), (y - y.mean(0)).square_().cpu().numpy()
        folds = self.fits
        groups = random_rows(n // self.group_size, seed)
        parts = [rows_of(groups[fold::folds].sort().values, self.group_size).to(z.device) for fold in range(folds)]
        splits = [(torch.cat(parts[:i] + parts[i + 1 :]), part) for i, part in enumerate(parts)]
        return self._losses(z, splits, folds * seed, columns)

    def held_out(self, z: Tensor, fitted: int, seed: int, columns: Sequence[int]) -> Losses:
        """Losses of `columns` in the later rows of `z` (n, d), predicted by a model fitted to the first `fitted` rows."""
        rows = torch.arange(len(z), device=z.device)
        return self._losses(z, [(rows[:fitted], rows[fitted:])], seed, columns)

    def _losses(self, z: Tensor, splits: list[tuple[Tensor, Tensor]], seed: int, columns: Sequence[int]) -> Losses:
        """Losses of the rows that the `splits` (to fit to, to score) score, in their order in `z`."""
        classes, latents = BINS if self.target == "distribution" else 0, _columns(z, columns)
        y, loss, baseline = self._targets(z, columns), torch.zeros_like(latents), torch.zeros_like(latents)
        scored = torch.cat([test for _, test in splits]).sort().values
        # With less than 5 million numbers more threads gain little, and cost much time where other work shares the cores.
        with one_thread() if z.numel() < 5_000_000 else nullcontext():
            for i, (train, test) in enumerate(splits):
                if classes:
                    edges = bin_edges(latents.index_select(0, train), BINS)
                    y = torch.searchsorted(edges, latents.T.contiguous(), right=True).T
                x, known, new, actual = (part.index_select(0, rows) for rows in (train, test) for part in (z, y))
                predicted = self._predict(x, known, new, list(columns), (seed + i) % 2**31).to(z)
                if classes:
                    loss[test] = -predicted.gather(2, actual[:, :, None])[:, :, 0] / math.log(2)
                    baseline[test] = -log_frequencies(known, BINS).to(z).T.gather(0, actual) / math.log(2)
                else:
                    loss[test] = (actual - predicted).square()
        if not classes:
            y = y[scored]
            baseline[scored] = (y - y.mean(0)).square()
        return loss[scored].cpu().numpy(), baseline[scored].cpu().numpy()

    def _targets(self, z: Tensor, columns: Sequence[int]) -> Tensor:
        """The latents, or their squares with mean 0 and variance 1; constant squares, those of -1 and 1, become 0."""
        latents = _columns(z, columns)
        if self.target != "square":
            return latents
        squares = latents.square()
        least = 1e-9 * squares.amax(0)
        deviation = squares.sub_(squares.mean(0)).square().mean(0).sqrt()
        return squares.div_(torch.where(deviation > least, deviation, torch.inf))

    def _predict(self, x: Tensor, y: Tensor, new: Tensor, columns: list[int], seed: int) -> Tensor:
        """Predict `y` (n, c) for the rows `new` (t, d), column i from all columns of `x` (n, d) but columns[i].

        Returns values (t, c), or for the target "distribution" log-probabilities (t, c, BINS) of the bins in `y`.
        """
        classes = BINS if self.target == "distribution" else 0
        if self.closed_form:
            self.advance(len(columns))
            return predict_by_least_squares(x, y, new, columns)
        if self.regressor in ("mlp", "linear"):
            return predict_by_networks(
                x.float(), y if classes else y.float(), new.float(), hidden=HIDDEN if self.regressor == "mlp" else (),
                classes=classes, seed=seed, columns=columns, group_size=self.group_size, advance=self.advance,
            )  # fmt: skip
        from sklearn.base import clone

        fitted_rows, targets, new_rows = (part.cpu().numpy() for part in (x, y, new))
        found = []
        for i, target in zip(columns, targets.T, strict=True):
            estimator = _boosting(target) if self.regressor == "boosting" else clone(self.regressor)
            # With random_state=None, in a pipeline's step too, scikit-learn would use NumPy's global generator.
            unset = [k for k, value in estimator.get_params().items() if k.split("__")[-1] == "random_state" and value is None]
            estimator.set_params(**dict.fromkeys(unset, seed)).fit(np.delete(fitted_rows, i, 1), target)
            rest = np.delete(new_rows, i, 1)
            if classes:
                shares = np.full((len(rest), classes), np.exp(LEAST_LOG_FREQUENCY))
                # n rows cannot support a probability far below 1 / n, so smaller ones are raised to 1 / (2 n).
                shares[:, np.asarray(estimator.classes_, dtype=int)] = estimator.predict_proba(rest).clip(0.5 / len(x))
                found.append(np.log(shares / shares.sum(1, keepdims=True)))
            else:
                found.append(np.asarray(estimator.predict(rest)).reshape(len(rest)))
            self.advance(1)
        return torch.from_numpy(np.stack(found, axis=1)).to(x.device)


def _columns(z: Tensor, columns: Sequence[int]) -> Tensor:
    return z if list(columns) == list(range(z.shape[1])) else z[:, list(columns)]


def bin_edges(z: Tensor, bins: int) -> Tensor:
    """Edges (d, bins - 1) that cut each column of `z` (n, d) into bins of equally many rows, as nearly as ties allow.

    Equal values share a bin: an edge moves to the nearer end of a run of equal values, and to infinity beyond the ends of
    the column. A column and its negative are therefore cut alike.
    """
    ordered = z.sort(0).values.T.contiguous()  # sorted, because torch.quantile takes at most 16 million numbers
    n = ordered.shape[1]
    at = (torch.arange(1, bins, device=z.device, dtype=z.dtype) / bins * n).long().expand(len(ordered), -1)
    value = ordered.gather(1, at)
    first, beyond = torch.searchsorted(ordered, value), torch.searchsorted(ordered, value, right=True)
    cut = torch.where(beyond - at < at - first, beyond, first)
    edges = ordered.gather(1, cut.clamp_max(n - 1))
    return torch.where(cut == 0, -torch.inf, torch.where(cut == n, torch.inf, edges)).sort(1).values


def _boosting(targets: np.ndarray) -> Any:
    """Histogram gradient boosting with early stopping, for values or for class numbers."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options = {"max_iter": 300, "early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 5, "max_leaf_nodes": 15}
    if targets.dtype.kind == "f":
        return HistGradientBoostingRegressor(**options)
    counts = np.unique(targets, return_counts=True)[1]
    if len(counts) == 1:
        return DummyClassifier()
    if counts.min() < 10:  # too few rows of a class to hold some back: ten rounds without early stopping
        options |= {"max_iter": 10, "early_stopping": False}
    return HistGradientBoostingClassifier(**options)


def predict_by_least_squares(x: Tensor, y: Tensor, new: Tensor, columns: Sequence[int]) -> Tensor:
    """Predict `y` (n, c) for the rows `new` (t, d) by least squares, column i from all columns of `x` (n, d) but columns[i].

    `x` is in float64, its columns have a variance near 1. All fits share one inverse, see `_weights`.
    """
    center, mean = x.mean(0), y.mean(0)
    x = x - center
    return mean + (new - center) @ _weights(x, y - mean, _inverse(x), columns)


def left_out_errors(x: Tensor, y: Tensor, columns: Sequence[int], latents: bool) -> Tensor:
    """`y` (n, c) less the predictions of `predict_by_least_squares` that are fitted to the n - 1 other rows (n > d + 1).

    The columns of `x` and `y` have mean 0. The errors are those of the fit to all rows, over 1 - leverage. If `y` are the
    `latents` columns[i] of `x` themselves, the errors of the fit are x G[:, k] / G[k, k] with the G of `_weights`.
    """
    inverse = _inverse(x)
    through = x @ inverse
    fixed = 1 - (1 + torch.linalg.vecdot(through, x)) / len(x)
    own, through = inverse.diagonal()[list(columns)], _columns(through, columns)
    errors = through / own
    unexplained = torch.addcmul(fixed[:, None], through, errors, value=1 / len(x))
    return (errors if latents else torch.addmm(y, x, _weights(x, y, inverse, columns), alpha=-1)).div_(unexplained)


def _inverse(x: Tensor) -> Tensor:
    gram = x.T @ x / len(x)
    gram.diagonal().add_(1e-12)  # makes the matrix of duplicate columns invertible, and is too small to change a score
    return torch.cholesky_inverse(torch.linalg.cholesky(gram))


def _weights(x: Tensor, y: Tensor, inverse: Tensor, columns: Sequence[int]) -> Tensor:
    """The weights b[:, i] - G[:, k] b[k, i] / G[k, k] of y_i without column k, with G = (x'x / n + ridge)^-1, b = G x'y / n."""
    full, own, i = inverse @ (x.T @ y) / len(x), inverse[:, list(columns)], torch.arange(y.shape[1], device=y.device)
    return full - own * (full[list(columns), i] / own[list(columns), i])
