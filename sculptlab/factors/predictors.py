"""Predictors of factors from codes, fitted and tested on different rows: the fits behind DCI, SAP, explicitness and InfoE."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax
from scipy.stats import entropy
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LassoCV, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold
from sklearn.svm import LinearSVC

from sculptlab.factors.rows import FactorRows, standardized


class Importance(NamedTuple):
    """How much a factor's predictor uses each dimension, (d,), and its score on the test rows."""

    weights: np.ndarray
    quality: float


def trees_importance(rows: FactorRows, factor: int, seed: int, estimator: str) -> Importance:
    """Gradient-boosted trees ("boosting") or ten randomized trees ("forest") on a factor's classes; quality is accuracy.

    The forest's leaves hold at least 20 rows and each split may use every dimension; otherwise noise dimensions get
    importance.
    """
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

    z, y, t = rows.standardized(), rows.classes[:, factor], rows.train
    if np.ptp(y[:t]) == 0:
        return Importance(np.zeros(z.shape[1]), float((y[t:] == y[0]).mean()))
    if estimator == "boosting":
        model: Any = GradientBoostingClassifier(random_state=seed)
    else:
        model = RandomForestClassifier(10, min_samples_leaf=20, max_features=None, random_state=seed)
    model.fit(z[:t], y[:t])
    return Importance(np.abs(model.feature_importances_), float((model.predict(z[t:]) == y[t:]).mean()))


def lasso_importance(rows: FactorRows, factor: int, seed: int) -> Importance:
    """Absolute weights of a lasso on a factor's value; quality is R^2, at least 0.

    The penalty is the largest whose cross-validated error is within one standard error of the smallest. With the smallest
    itself, a factor that cannot be predicted keeps one or two weights by chance, which DCI would call disentangled.
    """
    z, y, t, folds = rows.standardized(), rows.values[:, factor], rows.train, 5
    center, spread = y[:t].mean(), y[:t].std()
    if not spread or t < folds or not z[:t].any():
        return Importance(np.zeros(z.shape[1]), 0.0)
    y = (y - center) / spread
    with _without_convergence_warnings():
        tried = LassoCV(cv=KFold(folds, shuffle=True, random_state=seed)).fit(z[:t], y[:t])
        error = tried.mse_path_.mean(1)
        best = error.argmin()
        near = error <= error[best] + tried.mse_path_[best].std(ddof=1) / folds**0.5
        model = Lasso(tried.alphas_[near].max()).fit(z[:t], y[:t])
    variance = y[t:].var()
    missed = np.mean((model.predict(z[t:]) - y[t:]) ** 2) / (variance if variance else 1)
    return Importance(np.abs(model.coef_), float(max(0.0, 1 - missed)) if variance else 0.0)


def concentration(importance: np.ndarray) -> float:
    """DCI's disentanglement of an importance matrix (m, l); of its transpose, completeness.

    1 - entropy of each row in base l, averaged with the rows' sums as weights; 0 for a matrix of zeros, 1 if l = 1.
    """
    total = importance.sum(1)
    if not total.sum():
        return 0.0
    if importance.shape[1] == 1:
        return 1.0
    per_row = 1 - entropy(importance[total > 0], base=importance.shape[1], axis=1)
    return float(np.clip(per_row @ total[total > 0] / total.sum(), 0, 1))


def single_dimension_accuracies(z: np.ndarray, rows: FactorRows) -> np.ndarray:
    """Test accuracy of a linear classifier of each factor's classes from each column of `z` (n, d) alone, (d, k)."""
    found = np.zeros((z.shape[1], rows.classes.shape[1]))
    t = rows.train
    for j, y in enumerate(rows.classes.T):
        for i in range(z.shape[1]):
            if np.ptp(y[:t]) == 0:
                found[i, j] = (y[t:] == y[0]).mean()
                continue
            with _without_convergence_warnings():
                model = LinearSVC(C=0.01, class_weight="balanced", dual=False).fit(z[:t, [i]], y[:t])
            found[i, j] = (model.predict(z[t:, [i]]) == y[t:]).mean()
    return found


def squared_correlations_with(z: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Squared correlation of each column of `z` with each factor, (d, k); 0 where one of the two is constant."""
    return ((standardized(z).T @ standardized(values) / len(z)) ** 2).clip(0, 1)


def logistic_scores(rows: FactorRows, *, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Test scores, both (k,), of logistic regressions of each factor's classes on all dimensions; `penalty` is 1 / C.

    The area under the ROC curve, one class versus the rest, and the share of the factor's entropy that is predicted, at
    least 0. Fits take at most 100 steps, scikit-learn's default and that of the reference implementations.
    """
    z, t = rows.standardized(), rows.train
    found = [_logistic(z[:t], y[:t], z[t:], y[t:], penalty) for y in rows.classes.T]
    return np.array([auc for auc, _ in found]), np.array([information for _, information in found])


def _logistic(z: np.ndarray, y: np.ndarray, z_test: np.ndarray, y_test: np.ndarray, penalty: float) -> tuple[float, float]:
    known = np.isin(y_test, y)  # a class that does not occur among the training rows cannot be predicted
    if np.ptp(y) == 0 or not known.any():
        return 0.5, 0.0
    with _without_convergence_warnings():
        model = LogisticRegression(C=1 / penalty if penalty else np.inf, max_iter=100).fit(z, y)
    right = np.searchsorted(model.classes_, y_test[known])
    outputs = model.decision_function(z_test[known])
    logs = log_softmax(outputs if outputs.ndim == 2 else np.stack([0 * outputs, outputs], axis=1), axis=1)
    base = np.log(np.bincount(y)[model.classes_] / len(y))[right]
    gained = 1 - np.take_along_axis(logs, right[:, None], 1).mean() / base.mean()
    return mean_auc(logs, right), float(np.clip(gained, 0, 1))


def mean_auc(scores: np.ndarray, classes: np.ndarray) -> float:
    """Area under the ROC curve of one class versus the rest, averaged over classes; 0.5 if there is only one class."""
    held = np.bincount(classes, minlength=scores.shape[1])
    found = [roc_auc_score(classes == c, scores[:, c]) for c in np.flatnonzero((held > 0) & (held < len(classes)))]
    return float(np.mean(found)) if found else 0.5


@contextmanager
def _without_convergence_warnings() -> Iterator[None]:
    """Steps are limited on purpose, so a fit that has not converged is no reason for a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
