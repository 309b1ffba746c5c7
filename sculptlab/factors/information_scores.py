"""Scores from the information between dimensions and factors: the mutual information gap, modularity and InfoMEC."""

from collections.abc import Collection
from typing import Any

import numpy as np

from sculptlab.factors.information import (
    entropies,
    info_m_and_c,
    largest_gaps,
    modularities,
    neighbor_information,
    plugin_information,
)
from sculptlab.factors.predictors import logistic_scores
from sculptlab.factors.rows import BINNINGS, LEAST_ROWS, FactorRows, active_dimensions, draw_factor_rows
from sculptlab.factors.scores import FactorScore, Measurement, score_with_baselines
from sculptlab.validation import number, whole


def mig(
    codes: Any,
    factors: Any,
    *,
    bins: int = 20,
    continuous: Collection[Any] | None = None,
    binning: str = "width",
    rows: int = 10_000,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """Mutual information gap: how far each factor is known to one dimension alone.

    Mean over factors of (I(z_1; v) - I(z_2; v)) / H(v), where z_1 and z_2 are the two dimensions that know most of v, with
    plug-in estimates from binned codes. Perfect codes score below 1 where a factor has more values than there are bins; a
    rotation of perfect codes scores near 0. The table holds I / H.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k)
        Codes and known factors, samples first.
    binning : {"width", "quantile"}
        "width", the standard, cuts from the smallest code to the largest, so that one outlier at 50 standard deviations
        lowers a score of 0.74 to 0.27. "quantile" bins hold equally many rows and are not affected.
    rows : int
        Number of rows to use.
    bins, continuous, baselines, seed
        As described in `sculptlab.factors`; the codes are cut into `bins` bins, too.

    Returns
    -------
    FactorScore
        With the part "MIG".

    References
    ----------
    Chen et al. 2018; protocol of disentanglement_lib.

    Examples
    --------
    >>> factors = np.stack(np.meshgrid(range(4), range(5)), axis=-1).reshape(-1, 2).repeat(5, axis=0)
    >>> round(mig(-2.0 * factors, factors).score, 2)
    1.0
    """
    data = draw_factor_rows(
        codes,
        factors,
        train=whole("rows", rows, least=LEAST_ROWS),
        bins=bins,
        binning=binning,
        seed=seed,
        continuous=continuous,
    )

    def measure(given: FactorRows) -> Measurement:
        matrix = plugin_information(given.codes, given.classes, bins, binning) / entropies(given.classes)
        return Measurement({"MIG": float(largest_gaps(matrix).mean())}, matrix, given.active)

    method = f"{bins} {BINNINGS[binning]} bins"
    return score_with_baselines("MIG", data, measure, method=method, n={"n": len(data.codes)}, baselines=baselines, seed=seed)


def modularity(
    codes: Any,
    factors: Any,
    *,
    bins: int = 20,
    continuous: Collection[Any] | None = None,
    binning: str = "width",
    train: int = 10_000,
    test: int = 5_000,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """Modularity, each dimension knows one factor only, and explicitness, a linear classifier can read the factors.

    Modularity is the mean over dimensions of 1 - (sum of I^2 over all factors but the best known) / ((k - 1) I_best^2), with
    plug-in information I. A dimension without any scores 0; the part "modularity of active" leaves inactive ones out. Its
    chance level is high, since the estimates' noise is spread unevenly. Explicitness is the area under the ROC curve of
    logistic regression, one value versus the rest, on the test rows, averaged over values and then factors; chance is 0.5.
    The table holds I in nats.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k)
        Codes and known factors, samples first, with k >= 2.
    binning : {"width", "quantile"}
        Bins of the codes, as in `mig`.
    train, test, bins, continuous, baselines, seed
        As described in `sculptlab.factors`; the codes are cut into `bins` bins, too.

    Returns
    -------
    FactorScore
        With the parts "modularity", "modularity of active" and "explicitness".

    References
    ----------
    Ridgeway and Mozer 2018; protocol of disentanglement_lib.
    """
    data = draw_factor_rows(
        codes, factors, train=train, test=test, bins=bins, binning=binning, seed=seed, least_factors=2, continuous=continuous
    )

    def measure(given: FactorRows) -> Measurement:
        information = plugin_information(given.codes[: given.train], given.classes[: given.train], bins, binning)
        each = modularities(information)
        parts = {
            "modularity": float(each.mean()),
            "modularity of active": float(each[given.active].mean()) if given.active.any() else 0.0,
            "explicitness": float(logistic_scores(given, penalty=1.0)[0].mean()),
        }
        return Measurement(parts, information, given.active)

    method = f"{bins} {BINNINGS[binning]} bins, logistic regression"
    return score_with_baselines("Modularity", data, measure, method=method, n=data.split, baselines=baselines, seed=seed)


def info_mec(
    codes: Any,
    factors: Any,
    *,
    prune: float = 0.05,
    train: int = 10_000,
    test: int = 5_000,
    bins: int = 20,
    continuous: Collection[Any] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """InfoM, InfoE and InfoC: modularity, explicitness and compactness in units of information.

    With N (d, k) the nearest-neighbor estimates of I(z_i; v_j) / H(v_j) on the training rows, InfoM is the mean over
    dimensions of (largest / sum of its row - 1/k) / (1 - 1/k), and InfoC the same over factors and columns; a row or column of
    zeros counts as evenly spread. Noise scores well above 0 in both, because its few positive estimates look concentrated:
    compare with the chance level. InfoE is the mean over factors of the share of H(v_j) that an unpenalized logistic
    regression predicts of the test rows, at least 0; the reference scores the training rows, and so credits noise, and
    weighs classes equally. The table holds N.

    Parameters
    ----------
    codes, factors : array_like of shapes (n, d) and (n, k)
        Codes and known factors, samples first, with k >= 2.
    prune : float
        Dimensions whose range is below this share of the widest one's are left out of InfoM and InfoC; both without the
        outermost 0.1 % of rows at either end. For dimensions in very different units, standardize the codes or use 0.
    train, test, bins, continuous, baselines, seed
        As described in `sculptlab.factors`.

    Returns
    -------
    FactorScore
        With the parts "InfoM", "InfoE" and "InfoC". Perfect codes have constant dimensions as filler.

    References
    ----------
    Hsu et al. 2023.
    """
    number("prune", prune, least=0)
    data = draw_factor_rows(codes, factors, train=train, test=test, bins=bins, seed=seed, least_factors=2, continuous=continuous)

    def measure(given: FactorRows) -> Measurement:
        t = given.train
        entropy = entropies(given.classes[:t])
        information = neighbor_information(given.standardized()[:t], given.classes[:t], seed)
        matrix = information / np.where(entropy > 0, entropy, 1)
        used = active_dimensions(given.codes, prune, lambda clipped: np.ptp(clipped, axis=0))
        info_m, info_c = info_m_and_c(matrix[used])
        parts = {"InfoM": info_m, "InfoE": float(logistic_scores(given, penalty=0.0)[1].mean()), "InfoC": info_c}
        return Measurement(parts, matrix, used)

    method = "10 nearest neighbors, logistic regression"
    return score_with_baselines(
        "InfoMEC", data, measure, method=method, n=data.split, baselines=baselines, seed=seed, filler="constant"
    )
