"""How well, and from which dimensions, factors are predicted: the fits behind DCI, SAP, explicitness and InfoE."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax
from scipy.stats import entropy, rankdata
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LassoCV, LogisticRegression
from sklearn.model_selection import KFold
from sklearn.svm import LinearSVC

from sculptlab.factors.rows import Rows, standardized

LASSO_FOLDS = 5
MOST_STEPS = 100  # of a logistic regression: scikit-learn's default, at which the reference scores stop too


class Importance(NamedTuple):
    """What a factor's predictor used, (d,), and how well it did on the held-out rows."""

    of: np.ndarray
    quality: float


def boosting(rows: Rows, factor: int, seed: int) -> Importance:
    """Gradient-boosted trees on a factor's classes; quality is accuracy."""
    return _trees(rows, factor, GradientBoostingClassifier(random_state=seed))


def forest(rows: Rows, factor: int, seed: int) -> Importance:
    """Ten randomized trees on a factor's classes; quality is accuracy.

    Leaves of 20 rows at least, and every dimension open to every split: else importance goes to dimensions of noise.
    """
    return _trees(rows, factor, RandomForestClassifier(10, min_samples_leaf=20, max_features=None, random_state=seed))


def lasso(rows: Rows, factor: int, seed: int) -> Importance:
    """Lasso on a factor's value, importance |weight|; quality is R^2, at least 0.

    The penalty is the largest whose cross-validated error is within one standard error of the least: at the least itself a
    factor that cannot be predicted leaves a weight or two of chance, which DCI would call perfectly disentangled.
    """
    z, y, t = rows.standardized(), rows.values[:, factor], rows.train
    center, spread = y[:t].mean(), y[:t].std()
    if not spread or t < LASSO_FOLDS or not z[:t].any():
        return Importance(np.zeros(z.shape[1]), 0.0)
    y = (y - center) / spread
    with _quiet():
        tried = LassoCV(cv=KFold(LASSO_FOLDS, shuffle=True, random_state=seed)).fit(z[:t], y[:t])
        error = tried.mse_path_.mean(1)
        best = error.argmin()
        near = error <= error[best] + tried.mse_path_[best].std(ddof=1) / LASSO_FOLDS**0.5
        model = Lasso(tried.alphas_[near].max()).fit(z[:t], y[:t])
    variance = y[t:].var()
    missed = np.mean((model.predict(z[t:]) - y[t:]) ** 2) / (variance if variance else 1)
    return Importance(np.abs(model.coef_), float(max(0.0, 1 - missed)) if variance else 0.0)


def _trees(rows: Rows, factor: int, model: Any) -> Importance:
    z, y, t = rows.standardized(), rows.classes[:, factor], rows.train
    if np.ptp(y[:t]) == 0:
        return Importance(np.zeros(z.shape[1]), float((y[t:] == y[0]).mean()))
    model.fit(z[:t], y[:t])
    return Importance(np.abs(model.feature_importances_), float((model.predict(z[t:]) == y[t:]).mean()))


PREDICTORS: dict[str, Callable[[Rows, int, int], Importance]] = {"boosting": boosting, "forest": forest, "lasso": lasso}


def concentration(importance: np.ndarray) -> float:
    """1 - entropy of each row of (m, l), in base l, weighted by the rows' sums: DCI's D; its C of the transpose.

    0 for a matrix of zeros; 1 where a row has but one entry. Source: Eastwood and Williams 2018.
    """
    total = importance.sum(1)
    if not total.sum():
        return 0.0
    if importance.shape[1] == 1:
        return 1.0
    per_row = 1 - entropy(importance[total > 0], base=importance.shape[1], axis=1)
    return float(np.clip(per_row @ total[total > 0] / total.sum(), 0, 1))


def accuracies(z: np.ndarray, rows: Rows) -> np.ndarray:
    """Of each column of `z` (n, d) alone, a linear classifier's held-out accuracy on each factor's classes, (d, k)."""
    found = np.zeros((z.shape[1], rows.classes.shape[1]))
    t = rows.train
    for j, y in enumerate(rows.classes.T):
        for i in range(z.shape[1]):
            if np.ptp(y[:t]) == 0:
                found[i, j] = (y[t:] == y[0]).mean()
                continue
            with _quiet():
                model = LinearSVC(C=0.01, class_weight="balanced", dual=False).fit(z[:t, [i]], y[:t])
            found[i, j] = (model.predict(z[t:, [i]]) == y[t:]).mean()
    return found


def squared_correlations(z: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The squared correlation of each column of `z` with each factor, (d, k); 0 where one of the two is constant."""
    return ((standardized(z).T @ standardized(values) / len(z)) ** 2).clip(0, 1)


class Linear(NamedTuple):
    """Per factor: one-versus-rest AUC, and the share of the factor's entropy that was predicted, at least 0; held out."""

    auc: np.ndarray
    information: np.ndarray


def linear(rows: Rows, *, penalty: float) -> Linear:
    """Multinomial logistic regression of each factor's classes on all dimensions; `penalty` is 1 / C, 0 for none."""
    z, t = rows.standardized(), rows.train
    found = [_logistic(z[:t], y[:t], z[t:], y[t:], penalty) for y in rows.classes.T]
    return Linear(np.array([auc for auc, _ in found]), np.array([information for _, information in found]))


def _logistic(z: np.ndarray, y: np.ndarray, z_test: np.ndarray, y_test: np.ndarray, penalty: float) -> tuple[float, float]:
    known = np.isin(y_test, y)  # a class that was never shown cannot be predicted
    if np.ptp(y) == 0 or not known.any():
        return 0.5, 0.0
    with _quiet():
        model = LogisticRegression(C=1 / penalty if penalty else np.inf, max_iter=MOST_STEPS).fit(z, y)
    right = np.searchsorted(model.classes_, y_test[known])
    outputs = model.decision_function(z_test[known])
    logs = log_softmax(outputs if outputs.ndim == 2 else np.stack([0 * outputs, outputs], axis=1), axis=1)
    base = np.log(np.bincount(y)[model.classes_] / len(y))[right]
    gained = 1 - np.take_along_axis(logs, right[:, None], 1).mean() / base.mean()
    return _auc(logs, right), float(np.clip(gained, 0, 1))


def _auc(scores: np.ndarray, classes: np.ndarray) -> float:
    """The mean over classes of the chance that a row of the class outscores one that is not; 0.5 if there is but one."""
    held = np.bincount(classes, minlength=scores.shape[1])
    asked = (held > 0) & (held < len(classes))
    if not asked.any():
        return 0.5
    ranks = rankdata(scores, axis=0)
    own = np.array([ranks[classes == c, c].sum() for c in range(scores.shape[1])])
    pairs = np.where(asked, held * (len(classes) - held), 1)
    return float(((own - held * (held + 1) / 2) / pairs)[asked].mean())


@contextmanager
def _quiet() -> Iterator[None]:
    """Steps are limited by design, so a fit that has not converged is no news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
