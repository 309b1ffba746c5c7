"""The regressors of LPS: each column of codes predicted from all the others, for rows that they were not fitted to."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.independence.networks import LEAST_LOG_FREQUENCY, predict_by_networks

REGRESSORS = ("mlp", "linear", "boosting")
HIDDEN = (64, 64)  # units of the two layers of "mlp"


def check_regressor(regressor: Any, target: str) -> None:
    """Raise an error if `regressor` is neither one of REGRESSORS nor a scikit-learn estimator that suits `target`."""
    if isinstance(regressor, str) and regressor in REGRESSORS:
        return
    legal = f"one of {list(REGRESSORS)} or a scikit-learn estimator"
    if isinstance(regressor, str):
        raise ValueError(f"regressor must be {legal}, got {regressor!r}")
    if isinstance(regressor, type):
        raise TypeError(f"regressor must be {legal}, got the class {regressor.__name__}: call it, {regressor.__name__}()")
    if not (hasattr(regressor, "fit") and hasattr(regressor, "get_params")):
        raise TypeError(f"regressor must be {legal}, got {regressor!r}")
    from sklearn.base import is_classifier, is_regressor

    if target == "distribution" and not (is_classifier(regressor) and hasattr(regressor, "predict_proba")):
        raise ValueError(f"regressor must be a classifier with predict_proba for target='distribution', got {regressor!r}")
    if target != "distribution" and not is_regressor(regressor):
        raise ValueError(f"regressor must be a regressor for target={target!r}, got {regressor!r}")


def predict_values(regressor: Any, x: Tensor, y: Tensor, new: Tensor, columns: Sequence[int], seed: int) -> Tensor:
    """Predict the `columns` of `y` (n, d) for the rows `new` (t, d), each from all other columns of `x` (n, d)."""
    if isinstance(regressor, str) and regressor == "mlp":
        return predict_by_networks(x.float(), y.float(), new.float(), hidden=HIDDEN, seed=seed)[:, columns]
    if isinstance(regressor, str) and regressor == "linear":
        return predict_by_least_squares(x, y, new)[:, columns]
    return _by_estimators(
        regressor, x, y, new, columns, seed, lambda fitted, rows: np.asarray(fitted.predict(rows)).reshape(len(rows))
    )


def predict_log_probabilities(
    regressor: Any, x: Tensor, labels: Tensor, new: Tensor, columns: Sequence[int], seed: int, classes: int
) -> Tensor:
    """Predict log-probabilities (t, columns, classes) of the class numbers in the `columns` of `labels` (n, d)."""
    if isinstance(regressor, str) and regressor in ("mlp", "linear"):
        hidden = HIDDEN if regressor == "mlp" else ()
        found = predict_by_networks(x.float(), labels, new.float(), hidden=hidden, classes=classes, seed=seed)
        return found[:, columns]

    def log_probabilities(fitted: Any, rows: np.ndarray) -> np.ndarray:
        shares = np.full((len(rows), classes), np.exp(LEAST_LOG_FREQUENCY))
        # A probability below that of half a row among those fitted has no evidence behind it.
        shares[:, np.asarray(fitted.classes_, dtype=int)] = fitted.predict_proba(rows).clip(0.5 / len(x))
        return np.log(shares / shares.sum(1, keepdims=True))

    return _by_estimators(regressor, x, labels, new, columns, seed, log_probabilities)


def _by_estimators(
    regressor: Any,
    x: Tensor,
    y: Tensor,
    new: Tensor,
    columns: Sequence[int],
    seed: int,
    predict: Callable[[Any, np.ndarray], np.ndarray],
) -> Tensor:
    """Fit a scikit-learn estimator for each of `columns`, and stack its predictions along the second axis."""
    from sklearn.base import clone

    fitted_rows, targets, new_rows = (part.cpu().numpy() for part in (x, y, new))
    found = []
    for i in columns:
        estimator = _boosting(targets[:, i]) if isinstance(regressor, str) else clone(regressor)
        # An unset random state, also that of a pipeline's step, would draw from NumPy's global generator.
        unset = [
            name for name, value in estimator.get_params().items() if name.split("__")[-1] == "random_state" and value is None
        ]
        estimator.set_params(**dict.fromkeys(unset, seed)).fit(np.delete(fitted_rows, i, 1), targets[:, i])
        found.append(predict(estimator, np.delete(new_rows, i, 1)))
    return torch.from_numpy(np.stack(found, axis=1)).to(x.device)


def _boosting(targets: np.ndarray) -> Any:
    """Histogram gradient boosting with early stopping, for values or for class numbers."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options = {"max_iter": 300, "early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 5, "max_leaf_nodes": 15}
    if targets.dtype.kind == "f":
        return HistGradientBoostingRegressor(**options)
    counts = np.bincount(targets)
    if (counts > 0).sum() == 1:
        return DummyClassifier()
    if counts[counts > 0].min() < 10:  # too few rows of a class to hold some back: ten rounds without early stopping
        options |= {"max_iter": 10, "early_stopping": False}
    return HistGradientBoostingClassifier(**options)


class LeastSquares:
    """Least squares for each column from all the others, from one inverse that all of them share.

    x: (n, d), float64, columns with mean 0 and variance near 1; y: (n, d), the target of each column. With
    G = (x'x / n + ridge)^-1 and b = G x'y / n, the weights without column i are b[:, i] - G[:, i] b[i, i] / G[i, i], by the
    formula for the inverse of a matrix without one row and column.
    """

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.mean = y.mean(0)
        gram = x.T @ x / len(x)
        gram.diagonal().add_(1e-12)  # makes the matrix of duplicate columns invertible, and is too small to change a score
        self.inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        full = self.inverse @ (x.T @ (y - self.mean)) / len(x)
        self.weights = full - self.inverse * (full.diagonal() / self.inverse.diagonal())

    def predict(self, x: Tensor) -> Tensor:
        """Predictions (t, d) for the rows `x` (t, d)."""
        return self.mean + x @ self.weights

    def leverage(self, x: Tensor) -> Tensor:
        """Diagonal of the hat matrix of each fit, (n, d), for the fitted rows `x`."""
        through = x @ self.inverse
        return (1 + (through * x).sum(1, keepdim=True) - through.square() / self.inverse.diagonal()) / len(x)


def leave_one_out(x: Tensor, y: Tensor) -> Tensor:
    """Predict column i of each row of `y` (n, d) by least squares from the other columns of all other rows of `x` (n, d).

    Exact and without refitting: the residual of a left-out row is its residual in the full fit over 1 - leverage.
    Needs n > d + 1.
    """
    x = x - x.mean(0)
    fit = LeastSquares(x, y)
    return y - (y - fit.predict(x)) / (1 - fit.leverage(x))


def predict_by_least_squares(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Predict the rows `new` (t, d) by least squares fitted to `x` and `y` (n, d), column i from all the others."""
    center = x.mean(0)
    return LeastSquares(x - center, y).predict(new - center)
