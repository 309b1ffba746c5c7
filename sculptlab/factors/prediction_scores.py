"""Scores from how well dimensions predict factors: DCI and SAP."""

import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from sculptlab.factors.information import largest_gaps
from sculptlab.factors.predictors import (
    Importance,
    concentration,
    lasso_importance,
    single_dimension_accuracies,
    squared_correlations_with,
    trees_importance,
)
from sculptlab.factors.rows import FactorRows, draw_factor_rows
from sculptlab.factors.scores import FactorScore, Measurement, score_with_baselines
from sculptlab.validation import choice, flag


def dci(
    codes: Any,
    factors: Any,
    *,
    estimator: str = "boosting",
    train: int = 10_000,
    test: int = 5_000,
    bins: int = 20,
    continuous: Collection[Any] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """Disentanglement, completeness and informativeness, from what a predictor of each factor uses.

    With R (d, k) the predictors' importances, disentanglement is 1 - entropy (base k) of each row, weighted by the rows' sums;
    completeness is 1 - entropy (base d) of each column, weighted by theirs; informativeness is the accuracy on the test rows
    ("lasso": R^2). The table holds R.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k)
        Codes and known factors, samples first, with k >= 2.
    estimator : {"boosting", "forest", "lasso"}
        "boosting": gradient-boosted trees, the standard; minutes at 10,000 rows. "forest": ten trees, seconds. "lasso": linear,
        on the factors' values. The three differ by more than most models do: compare within one estimator and one n only.
    train, test, bins, continuous, baselines, seed
        As described in `sculptlab.factors`.

    Returns
    -------
    FactorScore
        With the parts "disentanglement", "completeness" and "informativeness".

    References
    ----------
    Eastwood and Williams 2018; boosted trees as in disentanglement_lib.
    """
    lasso = choice("estimator", estimator, ("boosting", "forest", "lasso")) == "lasso"
    data = draw_factor_rows(codes, factors, train=train, test=test, bins=bins, seed=seed, least_factors=2, continuous=continuous)

    def measure(given: FactorRows) -> Measurement:
        def importance(factor: int) -> Importance:
            return lasso_importance(given, factor, seed) if lasso else trees_importance(given, factor, seed, estimator)

        with ThreadPoolExecutor(1 if lasso else os.cpu_count()) as pool:  # lasso's warning filter is not safe with threads
            found = list(pool.map(importance, range(len(given.names))))
        matrix = np.stack([each.weights for each in found], axis=1)
        parts = {
            "disentanglement": concentration(matrix),
            "completeness": concentration(matrix.T),
            "informativeness": float(np.mean([each.quality for each in found])),
        }
        return Measurement(parts, matrix, given.active)

    return score_with_baselines(
        "DCI", data, measure, method=estimator, n=data.split, baselines=baselines, seed=seed, as_values=lasso
    )


def sap(
    codes: Any,
    factors: Any,
    *,
    kind: str = "discrete",
    standardize: bool = True,
    train: int = 10_000,
    test: int = 5_000,
    bins: int = 20,
    continuous: Collection[Any] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """Separated attribute predictability: how much better the best dimension predicts a factor than the second best.

    Mean over factors of the gap between the two largest entries of A (d, k), which the table holds. Perfect codes score far
    below 1 where a factor has many classes, and it depends on the rows: with dSprites' factors 0.24 at 10,000 training rows
    and 0.18 at 2,000.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k)
        Codes and known factors, samples first.
    kind : {"discrete", "continuous"}
        "discrete": A is the test accuracy of a linear classifier (support vectors, C = 0.01, balanced) of the factor's classes.
        "continuous": A is the squared correlation with its value, on the training rows. The two are different scores.
    standardize : bool
        Scale each dimension to variance 1 before the classifier, whose penalty depends on the unit. False is the original,
        whose score of the same codes times 0.1 is half as large.
    train, test, bins, continuous, baselines, seed
        As described in `sculptlab.factors`.

    Returns
    -------
    FactorScore
        With the part "SAP (discrete)" or "SAP (continuous)".

    References
    ----------
    Kumar et al. 2018; classifier as in disentanglement_lib.
    """
    discrete = choice("kind", kind, ("discrete", "continuous")) == "discrete"
    flag("standardize", standardize)
    data = draw_factor_rows(codes, factors, train=train, test=test, bins=bins, seed=seed, continuous=continuous)

    def measure(given: FactorRows) -> Measurement:
        z, t = given.standardized() if standardize else given.codes, given.train
        if z.shape[1] == 1:
            z = np.concatenate([z, np.zeros_like(z)], axis=1)  # a single dimension is compared with a constant one
        matrix = single_dimension_accuracies(z, given) if discrete else squared_correlations_with(z[:t], given.values[:t])
        return Measurement({f"SAP ({kind})": float(largest_gaps(matrix).mean())}, matrix[: given.codes.shape[1]], given.active)

    method, n = ("linear SVM", data.split) if discrete else ("squared correlation", {"n": data.train})
    return score_with_baselines(
        f"SAP ({kind})", data, measure, method=method, n=n, baselines=baselines, seed=seed, as_values=not discrete
    )
