"""How LPS predicts each latent from all the others: targets, folds, regressors, and the losses on held-out rows."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.independence.networks import LEAST_LOG_FREQUENCY, log_frequencies, predict_by_networks
from sculptlab.threads import one_thread
from sculptlab.validation import check_parameters, choice, describe, parameter, whole

REGRESSORS = ("mlp", "linear", "boosting")
UNITS = {"mean": "share of variance (R²)", "square": "share of variance of the squares (R²)", "distribution": "bits"}
BINS = 8  # equally filled bins of the target "distribution": at most log2(8) = 3 bits
HIDDEN = (64, 64)  # units of the two layers of "mlp"
Losses = tuple[np.ndarray, np.ndarray]  # of each row and column (n, d): of the predictions, and without any other column


@dataclass(frozen=True)
class LatentPredictor:
    """A regressor, the target it predicts of each latent, the number of folds (None: the default), and a count of fits done.

    Losses are squared errors, with the column's mean as baseline; for the target "distribution" they are log-losses in bits,
    with the bins' frequencies in the training rows as baseline.
    """

    regressor: Any
    target: str = parameter(choice, "mean", legal=UNITS)
    folds: int | None = parameter(whole, None, least=2)
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
            raise ValueError(f"regressor must be a classifier with predict_proba for target={target!r}, got {given!r}")
        if target != "distribution" and not is_regressor(given):
            raise ValueError(f"regressor must be a regressor for target={target!r}, got {given!r}")

    @property
    def name(self) -> str:
        """The regressor's name."""
        return self.regressor if isinstance(self.regressor, str) else type(self.regressor).__name__

    @property
    def leaves_one_out(self) -> bool:
        """Whether each row is a fold of its own."""
        return self.folds is None and self.closed_form

    @property
    def closed_form(self) -> bool:
        """Whether all latents are predicted at once by least squares."""
        return self.regressor == "linear" and self.target != "distribution"

    def least_rows(self, dim: int) -> int:
        """The smallest number of rows with `dim` columns that can be cross-fitted."""
        if self.leaves_one_out:
            return max(20, dim + 2)
        folds = self.folds or 2
        return max(20, 2 * folds, math.ceil((dim + 2) * folds / (folds - 1)) + 1 if self.closed_form else 0)

    def check_rows(self, n: int, dim: int) -> None:
        """A ValueError if `n` rows are too few for `dim` columns, with what can be done about it."""
        least = self.least_rows(dim)
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
            y = self._targets(z)
            errors, deviations = y - predict_by_least_squares(z, y), y - y.mean(0)
            self.advance(len(columns))
            loss, baseline = (part[:, list(columns)].square().cpu().numpy() for part in (errors, deviations))
            return loss, baseline
        folds = self.folds or 2
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed), device="cpu").to(z.device)
        parts = [order[fold::folds].sort().values for fold in range(folds)]
        splits = [(torch.cat(parts[:i] + parts[i + 1 :]), part) for i, part in enumerate(parts)]
        return self._losses(z, splits, folds * seed, columns)

    def held_out(self, z: Tensor, fitted: int, seed: int, columns: Sequence[int]) -> Losses:
        """Losses of `columns` in the later rows of `z` (n, d), predicted by a model fitted to the first `fitted` rows."""
        rows = torch.arange(len(z), device=z.device)
        return self._losses(z, [(rows[:fitted], rows[fitted:])], seed, columns)

    def _losses(self, z: Tensor, splits: list[tuple[Tensor, Tensor]], seed: int, columns: Sequence[int]) -> Losses:
        """Losses of the rows that the `splits` (to fit to, to score) score, in their order in `z`."""
        columns, classes = list(columns), BINS if self.target == "distribution" else 0
        loss, baseline = torch.zeros_like(z[:, columns]), torch.zeros_like(z[:, columns])
        y = torch.zeros(z.shape, dtype=torch.int64, device=z.device) if classes else self._targets(z)
        scored = torch.cat([test for _, test in splits]).sort().values
        # With less than 5 million numbers more threads gain little, and cost much time where other work shares the cores.
        with one_thread() if z.numel() < 5_000_000 else nullcontext():
            for i, (train, test) in enumerate(splits):
                if classes:
                    edges = bin_edges(z[train][:, columns], BINS)
                    y[:, columns] = torch.searchsorted(edges, z[:, columns].T.contiguous(), right=True).T
                predicted = self._predict(z[train], y[train], z[test], columns, (seed + i) % 2**31).to(z)
                actual = y[test][:, columns]
                if classes:
                    loss[test] = -predicted.gather(2, actual[:, :, None])[:, :, 0] / math.log(2)
                    baseline[test] = -log_frequencies(y[train][:, columns], BINS).to(z).T.gather(0, actual) / math.log(2)
                else:
                    loss[test] = (actual - predicted).square()
        if not classes:
            y = y[scored][:, columns]
            baseline[scored] = (y - y.mean(0)).square()
        return loss[scored].cpu().numpy(), baseline[scored].cpu().numpy()

    def _targets(self, z: Tensor) -> Tensor:
        """The latents, or their squares with mean 0 and variance 1; constant squares, those of -1 and 1, become 0."""
        if self.target == "mean":
            return z
        squares = z.square()
        centered = squares - squares.mean(0)
        deviation = centered.square().mean(0).sqrt()
        return torch.where(deviation > 1e-9 * squares.amax(0), centered / deviation, 0)

    def _predict(self, x: Tensor, y: Tensor, new: Tensor, columns: list[int], seed: int) -> Tensor:
        """Predict the `columns` of `y` (n, d) for the rows `new` (t, d), each from all other columns of `x` (n, d).

        Returns values (t, c) for c columns, or for the target "distribution" log-probabilities (t, c, BINS) of the bins in `y`.
        """
        classes = BINS if self.target == "distribution" else 0
        if self.closed_form:
            self.advance(len(columns))
            return predict_by_least_squares(x, y, new)[:, columns]
        if self.regressor in ("mlp", "linear"):
            return predict_by_networks(
                x.float(), y if classes else y.float(), new.float(), hidden=HIDDEN if self.regressor == "mlp" else (),
                classes=classes, seed=seed, columns=columns, advance=self.advance,
            )  # fmt: skip
        from sklearn.base import clone

        fitted_rows, targets, new_rows = (part.cpu().numpy() for part in (x, y, new))
        found = []
        for i in columns:
            estimator = _boosting(targets[:, i]) if self.regressor == "boosting" else clone(self.regressor)
            # With random_state=None, in a pipeline's step too, scikit-learn would use NumPy's global generator.
            unset = [k for k, value in estimator.get_params().items() if k.split("__")[-1] == "random_state" and value is None]
            estimator.set_params(**dict.fromkeys(unset, seed)).fit(np.delete(fitted_rows, i, 1), targets[:, i])
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


def predict_by_least_squares(x: Tensor, y: Tensor, new: Tensor | None = None) -> Tensor:
    """Predict column i of `y` (n, d) for the rows `new` (t, d) by least squares from all other columns of `x` (n, d).

    Without `new`, each row of `y` is predicted by a fit to the n - 1 others (n > d + 1): its residual is that of the fit to
    all rows over 1 - leverage. `x` is in float64, its columns have a variance near 1. All fits share one inverse: with
    G = (x'x / n + ridge)^-1 and b = G x'y / n, the weights without column i are b[:, i] - G[:, i] b[i, i] / G[i, i].
    """
    n, center, mean = len(x), x.mean(0), y.mean(0)
    x = x - center
    gram = x.T @ x / n
    gram.diagonal().add_(1e-12)  # makes the matrix of duplicate columns invertible, and is too small to change a score
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    full = inverse @ (x.T @ (y - mean)) / n
    weights = full - inverse * (full.diagonal() / inverse.diagonal())
    if new is not None:
        return mean + (new - center) @ weights
    through = x @ inverse
    leverage = (1 + (through * x).sum(1, keepdim=True) - through.square() / inverse.diagonal()) / n
    return y - (y - (mean + x @ weights)) / (1 - leverage)
