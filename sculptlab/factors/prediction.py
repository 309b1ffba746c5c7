"""Scores from how well dimensions predict factors, fitted and tested on different rows: DCI and SAP."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Unpack

import numpy as np
from scipy.special import log_softmax
from scipy.stats import entropy
from sklearn.linear_model import Lasso, LassoCV, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold
from sklearn.svm import LinearSVC

from sculptlab.factors.rows import FactorRows, standardized
from sculptlab.factors.scores import FactorScore, Split, explicit, one_score, score_with_baselines
from sculptlab.validation import choice, flag


@explicit
def dci(codes: Any, factors: Any, *, estimator: str = "boosting", **protocol: Unpack[Split]) -> FactorScore:
    """Disentanglement, completeness and informativeness, from what a predictor of each factor uses.

    With R (d, k) the predictors' importances, disentanglement is 1 - entropy (base k) of each row, weighted by the rows' sums;
    completeness is 1 - entropy (base d) of each column, weighted by theirs; informativeness is the accuracy on the test rows
    ("lasso": R^2). The table holds R.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k), k >= 2
    estimator : {"boosting", "forest", "lasso"}
        "boosting": gradient-boosted trees, the standard; minutes at 10,000 rows. "forest": ten trees, seconds. "lasso": linear,
        on the factors' values. The three differ by more than most models do: compare within one estimator and one n only.
    train, test, bins, continuous, baselines, seed : as in `sculptlab.factors`

    Returns
    -------
    FactorScore
        With the parts "disentanglement", "completeness" and "informativeness".

    References
    ----------
    Eastwood and Williams 2018; boosted trees as in disentanglement_lib.
    """
    lasso = choice("estimator", estimator, ("boosting", "forest", "lasso")) == "lasso"

    def measure(data: FactorRows) -> FactorScore:
        fit = partial(_lasso_importance, data) if lasso else partial(_trees_importance, data, estimator)
        # The other estimators change warning filters, which threads share.
        with ThreadPoolExecutor(os.cpu_count() if estimator == "boosting" else 1) as pool:
            weights, qualities = zip(*pool.map(fit, range(len(data.names))), strict=True)
        matrix = np.stack(weights, axis=1)
        parts = {"disentanglement": concentration(matrix), "completeness": concentration(matrix.T)}
        parts["informativeness"] = float(np.mean(qualities))
        return one_score("DCI", data, parts, matrix, data.active, estimator, data.size)

    return score_with_baselines(measure, codes, factors, by_value=lasso, least_factors=2, **protocol)


@explicit
def sap(codes: Any, factors: Any, *, kind: str = "discrete", standardize: bool = True, **protocol: Unpack[Split]) -> FactorScore:
    """Separated attribute predictability: how much better the best dimension predicts a factor than the second best.

    Mean over factors of the gap between the two largest entries of A (d, k), which the table holds. Perfect codes score far
    below 1 where a factor has many classes, and it depends on the rows: with dSprites' factors 0.24 at 10,000 training rows
    and 0.18 at 2,000.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k)
    kind : {"discrete", "continuous"}
        "discrete": A is the test accuracy of a linear classifier (support vectors, C = 0.01, balanced) of the factor's classes.
        "continuous": A is the squared correlation with its value, on the training rows. The two are different scores.
    standardize : bool
        Scale each dimension to variance 1 before the classifier, whose penalty depends on the unit. False is the original,
        whose score of the same codes times 0.1 is half as large.
    train, test, bins, continuous, baselines, seed : as in `sculptlab.factors`

    Returns
    -------
    FactorScore

    References
    ----------
    Kumar et al. 2018; classifier as in disentanglement_lib.
    """
    discrete = choice("kind", kind, ("discrete", "continuous")) == "discrete"
    flag("standardize", standardize)

    def measure(data: FactorRows) -> FactorScore:
        z, t = standardized(data.codes) if standardize else data.codes, data.train
        z = np.pad(z, ((0, 0), (0, int(z.shape[1] == 1))))  # a single dimension is compared with a constant one
        if discrete:
            matrix = np.array([[_svm_accuracy(column[:, None], y, t) for y in data.classes.T] for column in z.T])
        else:
            matrix = ((standardized(z[:t]).T @ standardized(data.values[:t]) / t) ** 2).clip(0, 1)
        name, gap, matrix = f"SAP ({kind})", float(largest_gaps(matrix).mean()), matrix[: data.codes.shape[1]]
        method, n = ("linear SVM", data.size) if discrete else ("squared correlation", {"n": t})
        return one_score(name, data, {name: gap}, matrix, data.active, method, n)

    return score_with_baselines(measure, codes, factors, by_value=not discrete, **protocol)


def _trees_importance(rows: FactorRows, estimator: str, factor: int) -> tuple[np.ndarray, float]:
    """Importances (d,) in gradient-boosted trees ("boosting") or ten randomized trees ("forest"), and their accuracy.

    With smaller leaves, or fewer dimensions to choose from at a split, noise dimensions would get importance in the forest.
    """
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

    z, y, t = standardized(rows.codes), rows.classes[:, factor], rows.train
    if np.ptp(y[:t]) == 0:
        return np.zeros(z.shape[1]), float((y[t:] == y[0]).mean())
    forest = RandomForestClassifier(10, min_samples_leaf=20, max_features=None, random_state=rows.seed)
    model = forest if estimator == "forest" else GradientBoostingClassifier(random_state=rows.seed)
    model.fit(z[:t], y[:t])
    return np.abs(model.feature_importances_), float((model.predict(z[t:]) == y[t:]).mean())


def _lasso_importance(rows: FactorRows, factor: int) -> tuple[np.ndarray, float]:
    """Absolute weights (d,) of a lasso on a factor's value, and its R^2, at least 0.

    The penalty is the largest whose cross-validated error is within one standard error of the smallest. With the smallest
    itself, a factor that cannot be predicted keeps one or two weights by chance, which DCI would call disentangled.
    """
    z, y, t, folds = standardized(rows.codes), rows.values[:, factor], rows.train, 5
    spread = y[:t].std()
    if not spread or t < folds or not z[:t].any():
        return np.zeros(z.shape[1]), 0.0
    y = (y - y[:t].mean()) / spread
    tried = LassoCV(random_state=0, cv=KFold(folds, shuffle=True, random_state=rows.seed)).fit(z[:t], y[:t])
    error = tried.mse_path_.mean(1)
    best = error.argmin()
    near = error <= error[best] + tried.mse_path_[best].std(ddof=1) / folds**0.5
    model = Lasso(tried.alphas_[near].max(), random_state=0).fit(z[:t], y[:t])
    variance = y[t:].var()
    missed = np.mean((model.predict(z[t:]) - y[t:]) ** 2) / variance if variance else 1
    return np.abs(model.coef_), float(max(0.0, 1 - missed))


def _svm_accuracy(z: np.ndarray, y: np.ndarray, train: int) -> float:
    """Test accuracy of a linear classifier of classes `y` (n,) from `z` (n, 1)."""
    if np.ptp(y[:train]) == 0:
        return float((y[train:] == y[0]).mean())
    model = LinearSVC(C=0.01, class_weight="balanced", dual=False, random_state=0).fit(z[:train], y[:train])
    return float((model.predict(z[train:]) == y[train:]).mean())


def logistic_scores(rows: FactorRows, *, penalty: float) -> np.ndarray:
    """Test scores (2, k) of logistic regressions of each factor's classes on all dimensions; `penalty` is 1 / C.

    The area under the ROC curve, one class versus the rest, averaged over classes; and the share of the factor's entropy
    that is predicted, at least 0. Without two classes to fit to, or one to test on, the scores are 0.5 and 0.
    """
    z, t = standardized(rows.codes), rows.train
    found = np.tile([[0.5], [0.0]], len(rows.names))
    for j, y in enumerate(rows.classes.T):
        known = np.isin(y[t:], y[:t])  # a class that does not occur among the training rows cannot be predicted
        if np.ptp(y[:t]) == 0 or not known.any():
            continue
        model = LogisticRegression(C=1 / penalty if penalty else np.inf, max_iter=100, random_state=0).fit(z[:t], y[:t])
        right = np.searchsorted(model.classes_, y[t:][known])
        outputs = model.decision_function(z[t:][known])
        logs = log_softmax(outputs if outputs.ndim == 2 else np.stack([0 * outputs, outputs], axis=1), axis=1)
        base = np.log(np.bincount(y[:t])[model.classes_] / t)[right]
        seen = np.unique(right)
        areas = [roc_auc_score(right == c, logs[:, c]) for c in seen] if len(seen) > 1 else [0.5]
        found[:, j] = np.mean(areas), np.clip(1 - logs[np.arange(len(right)), right].mean() / base.mean(), 0, 1)
    return found


def concentration(importance: np.ndarray) -> float:
    """DCI's disentanglement of an importance matrix (m, l); of its transpose, completeness.

    1 - entropy of each row in base l, averaged with the rows' sums as weights; 0 for a matrix of zeros, 1 if l = 1.
    """
    total = importance.sum(1)
    if importance.shape[1] == 1 or not total.any():
        return float(total.any())
    per_row = 1 - entropy(importance[total > 0], base=importance.shape[1], axis=1)
    return float(np.clip(per_row @ total[total > 0] / total.sum(), 0, 1))


def largest_gaps(matrix: np.ndarray) -> np.ndarray:
    """Largest minus second largest entry of each column of a non-negative (d, k) matrix; minus 0 if d = 1."""
    second, largest = np.sort(np.pad(matrix, ((1, 0), (0, 0))), axis=0)[-2:]
    return largest - second
