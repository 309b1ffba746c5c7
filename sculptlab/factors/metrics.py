"""The scores of `sculptlab.factors`: each draws its rows, measures, and is measured on perfect codes and on noise."""

import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from sculptlab.factors import predictors as predictors
from sculptlab.factors import votes as factor_votes
from sculptlab.factors.information import entropies, gaps, modularities, neighbor_information, plugin_information, shares
from sculptlab.factors.rows import BINNINGS, FEWEST_ROWS, Rows, deviations, live, read
from sculptlab.factors.scores import FactorScore, Measured, scored, table
from sculptlab.validation import choice, number, whole

TRAIN, TEST, BINS = 10_000, 5_000, 20  # the protocol of disentanglement_lib


def mig(
    codes: Any,
    factors: Any,
    *,
    bins: int = BINS,
    continuous: Collection[Any] | None = None,
    binning: str = "width",
    rows: int = TRAIN,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """The mutual information gap: is each factor known to one dimension alone?

    Mean over factors of (I(z_1; v) - I(z_2; v)) / H(v), where z_1 and z_2 are the two dimensions that know most of v; plug-in
    estimates on `rows` rows of codes cut into `bins` bins. "width" bins are the standard, from the smallest code to the
    largest: one row at 50 standard deviations takes codes of .74 to .27. "quantile" bins, of equally many rows, do not mind.
    Perfect codes score below 1 where a factor has more values than there are bins; a rotation of perfect codes scores near 0.
    details: I / H, (d, k). Source: Chen et al. 2018, as in disentanglement_lib.
    """
    drawn = read(
        codes, factors, train=whole("rows", rows, least=FEWEST_ROWS), bins=bins, binning=binning, seed=seed, continuous=continuous
    )

    def measure(given: Rows) -> Measured:
        shown = plugin_information(given.codes, given.classes, bins, binning) / entropies(given.classes)
        return Measured({"MIG": float(gaps(shown).mean())}, table(shown, given), given.dead)

    words = f"{bins} {_kind(binning)} bins"
    return scored("MIG", drawn, measure, estimator=words, n={"n": len(drawn.codes)}, baselines=baselines, seed=seed)


def dci(
    codes: Any,
    factors: Any,
    *,
    estimator: str = "boosting",
    train: int = TRAIN,
    test: int = TEST,
    bins: int = BINS,
    continuous: Collection[Any] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """Disentanglement, completeness and informativeness, from what a predictor of each factor uses.

    With R (d, k) the predictors' importances: disentanglement is 1 - entropy (base k) of each row, weighted by the rows' sums;
    completeness 1 - entropy (base d) of each column, weighted by theirs; informativeness the held-out accuracy ("lasso": R^2).
    estimator: "boosting" (gradient-boosted trees, the standard; minutes at 10,000 rows, with a thread per factor), "forest"
    (ten trees, leaves of at least 20 rows; seconds) or "lasso" (on the factors' values, the penalty by cross-validation, the
    strongest within a standard error of the best; blind to what is not linear).
    The three differ by more than most models do: compare within one estimator and one n only. details: R.
    Source: Eastwood and Williams 2018; the boosted trees, disentanglement_lib.
    """
    fit = predictors.PREDICTORS[choice("estimator", estimator, predictors.PREDICTORS)]
    drawn = read(
        codes, factors, train=train, test=test, bins=bins, binning="width", seed=seed, fewest_factors=2, continuous=continuous
    )

    def measure(given: Rows) -> Measured:
        with ThreadPoolExecutor(1 if estimator == "lasso" else os.cpu_count()) as pool:  # lasso silences warnings: one at a time
            found = list(pool.map(lambda factor: fit(given, factor, seed), range(len(given.names))))
        matrix = np.stack([importance.of for importance in found], axis=1)
        parts = {
            "disentanglement": predictors.concentration(matrix),
            "completeness": predictors.concentration(matrix.T),
            "informativeness": float(np.mean([importance.quality for importance in found])),
        }
        return Measured(parts, table(matrix, given), given.dead)

    return scored(
        "DCI", drawn, measure, estimator=estimator, n=_split(drawn), baselines=baselines, seed=seed, numbers=estimator == "lasso"
    )


def sap(
    codes: Any,
    factors: Any,
    *,
    kind: str = "discrete",
    standardize: bool = True,
    train: int = TRAIN,
    test: int = TEST,
    bins: int = BINS,
    continuous: Collection[Any] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """The separated attribute predictability: how much better the best single dimension predicts a factor than the second.

    Mean over factors of the gap between the two largest of A (d, k). kind="discrete": A is the held-out accuracy of a linear
    classifier (support vectors, C = 0.01, balanced) of the factor's classes, which reaches far less than 1 where a factor has
    many; "continuous": A is the squared correlation with the factor's value, on the training rows. The two are different
    scores. The classifier's penalty depends on the codes' unit, so each dimension is brought to variance 1 first;
    `standardize=False` is the original, whose score of the same codes times 0.1 is half as large. It depends on the rows, too:
    perfect codes of dSprites' factors score .24 at 10,000 training rows and .18 at 2,000. details: A.
    Source: Kumar et al. 2018; the classifier, disentanglement_lib.
    """
    choice("kind", kind, ("discrete", "continuous"))
    _flag("standardize", standardize)
    drawn = read(codes, factors, train=train, test=test, bins=bins, binning="width", seed=seed, continuous=continuous)

    def measure(given: Rows) -> Measured:
        z, t = given.standardized() if standardize else given.codes, given.train
        if z.shape[1] == 1:
            z = np.concatenate([z, np.zeros_like(z)], axis=1)  # what the only dimension is better than: nothing
        if kind == "discrete":
            matrix = predictors.accuracies(z, given)
        else:
            matrix = predictors.squared_correlations(z[:t], given.values[:t])
        shown = table(matrix[: given.codes.shape[1]], given)
        return Measured({f"SAP ({kind})": float(gaps(matrix).mean())}, shown, given.dead)

    words, sizes = ("linear SVM", _split(drawn)) if kind == "discrete" else ("squared correlation", {"n": drawn.train})
    return scored(
        f"SAP ({kind})", drawn, measure, estimator=words, n=sizes, baselines=baselines, seed=seed, numbers=kind == "continuous"
    )


def factor_vae(
    codes: Any,
    factors: Any,
    *,
    train: int = TRAIN,
    test: int = TEST,
    batch: int = 64,
    prune: float = 0.05,
    bins: int = BINS,
    continuous: Collection[Any] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """FactorVAE's score: which factor was held fixed, told by the dimension that varies least?

    A vote: a factor and a row are drawn, then `batch` rows that share the row's value of it (its bin, if continuous), with
    replacement; the dimension with the least variance, relative to its variance over all rows, votes. Each dimension stands
    for the factor of most of its `train` votes; the score is the accuracy of `test` further ones. The original draws from a
    generator with every combination of factors; here the rows given are the supply, and values seen in one row only are never
    held fixed. Dimensions with a standard deviation below `prune` times the largest are left out: the original's threshold,
    0.05, is in units of a prior N(0, I), which codes of other models do not have. Standard deviations are those without the
    outermost 0.1 % of rows at either end, so that no outlier prunes the others. Dimensions in very different units (codes
    times [1, 1, 1, 100], or in the factors' own, 0 to 399 and 0 to 2) defeat this: a small unit looks dead. Standardize
    such codes first, or keep them all with `prune=0`. details: the training votes, (d, k).
    Blind to a rotation: it still scores about .86. Source: Kim and Mnih 2018; numbers as in disentanglement_lib.
    """
    sizes = _votes(train, test, batch)
    number("prune", prune, least=0)
    drawn = _everything(codes, factors, bins, seed, continuous)

    def measure(given: Rows) -> Measured:
        alive = live(given.codes, prune, deviations)
        kept = np.flatnonzero(alive)
        votes, accuracy = np.zeros((given.codes.shape[1], len(given.names)), dtype=int), 0.0
        if len(kept):
            rng = np.random.default_rng([seed, 4])
            fixed, winners = factor_votes.least_varying(
                factor_votes.scaled(given.codes[:, kept]), given, train + test, batch, rng
            )
            votes, accuracy = factor_votes.majority(fixed, kept[winners], train, *votes.shape[::-1])
        return Measured({"FactorVAE": accuracy}, table(votes, given), _numbers_of(~alive))

    words = f"majority vote, batches of {batch}"
    return scored(
        "FactorVAE", drawn, measure, estimator=words, n={"n": len(drawn.codes), **sizes}, baselines=baselines, seed=seed
    )


def beta_vae(
    codes: Any,
    factors: Any,
    *,
    train: int = TRAIN,
    test: int = TEST,
    batch: int = 64,
    standardize: bool = True,
    bins: int = BINS,
    continuous: Collection[Any] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """BetaVAE's score: which factor did the pairs share, told by a linear classifier from how far apart their codes are?

    A vote: a factor is drawn, then `batch` pairs of different rows that share its value (its bin, if continuous); its
    features are the mean |difference| of each dimension. Logistic regression on `train` votes, accuracy on `test` further
    ones; chance is 1 / k. The rows given are the supply, and values seen in one row only are never shared. The classifier's
    penalty depends on the codes' unit, so each dimension is brought to variance 1 first; `standardize=False` is the original.
    details: the classifier's weights, (d, k). Blind to a rotation: it still scores about .95. Source: Higgins et al. 2017;
    numbers as in disentanglement_lib.
    """
    sizes = _votes(train, test, batch)
    _flag("standardize", standardize)
    drawn = _everything(codes, factors, bins, seed, continuous)

    def measure(given: Rows) -> Measured:
        z = given.standardized() if standardize else given.codes
        fixed, means = factor_votes.mean_differences(z, given, train + test, batch, np.random.default_rng([seed, 5]))
        weights, accuracy = factor_votes.told_apart(fixed, means, train, len(given.names))
        return Measured({"BetaVAE": accuracy}, table(weights, given), given.dead)

    words = f"logistic regression, batches of {batch}"
    return scored("BetaVAE", drawn, measure, estimator=words, n={"n": len(drawn.codes), **sizes}, baselines=baselines, seed=seed)


def modularity(
    codes: Any,
    factors: Any,
    *,
    bins: int = BINS,
    continuous: Collection[Any] | None = None,
    binning: str = "width",
    train: int = TRAIN,
    test: int = TEST,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """Modularity: does each dimension know of one factor only? And explicitness: can a linear classifier read the factors?

    Modularity is the mean over dimensions of 1 - (sum of I^2 over all factors but the best known) / ((k - 1) I_best^2), with
    plug-in information I from `bins` bins of the training rows; a dimension without any scores 0, and "modularity of live"
    leaves the dead ones out of the mean. Its floor is high, as the noise of the estimate is spread unevenly. Explicitness is
    the one-versus-rest area under the ROC curve of logistic regression, mean over values, then factors; on the test rows;
    chance is 0.5. details: I in nats, (d, k). Source: Ridgeway and Mozer 2018, as in disentanglement_lib.
    """
    drawn = read(
        codes, factors, train=train, test=test, bins=bins, binning=binning, seed=seed, fewest_factors=2, continuous=continuous
    )

    def measure(given: Rows) -> Measured:
        t = given.train
        information = plugin_information(given.codes[:t], given.classes[:t], bins, binning)
        each = modularities(information)
        moving = np.delete(each, given.dead)
        parts = {
            "modularity": float(each.mean()),
            "modularity of live": float(moving.mean()) if len(moving) else 0.0,
            "explicitness": float(predictors.linear(given, penalty=1.0).auc.mean()),
        }
        return Measured(parts, table(information, given), given.dead)

    words = f"{bins} {_kind(binning)} bins, logistic regression"
    return scored("Modularity", drawn, measure, estimator=words, n=_split(drawn), baselines=baselines, seed=seed)


def info_mec(
    codes: Any,
    factors: Any,
    *,
    prune: float = 0.05,
    train: int = TRAIN,
    test: int = TEST,
    bins: int = BINS,
    continuous: Collection[Any] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> FactorScore:
    """InfoM, InfoE and InfoC: modularity, explicitness and compactness in units of information.

    With N (d, k) the nearest-neighbor estimates (10 neighbors, training rows) of I(z_i; v_j) / H(v_j): InfoM is the mean over
    dimensions of (largest / sum of its row - 1/k) / (1 - 1/k), InfoC the same over factors and columns; a row or column of
    zeros counts as evenly spread, so that nothing is NaN. Noise scores well above 0 in both, as its few estimates above 0
    look concentrated: read them beside the floor. InfoE is the mean over factors of the share of H(v_j) that an unpenalized
    logistic regression (100 steps) predicts of the test rows, at least 0; the reference scores the rows it was fitted to and
    so credits noise, and weighs classes equally, which for uneven factors differs from the entropy. Dimensions that span
    less than `prune` of the widest, both without the outermost 0.1 % of rows at either end, are left out of InfoM and InfoC;
    the ceiling's spare dimensions are such. Dimensions in very different units (codes times [1, 1, 1, 100], or in the
    factors' own, 0 to 399 and 0 to 2) defeat this: a small unit looks dead. Standardize such codes first, or keep them all
    with `prune=0`.
    details: N, (d, k), all dimensions. Source: Hsu et al. 2023.
    """
    number("prune", prune, least=0)
    drawn = read(
        codes, factors, train=train, test=test, bins=bins, binning="width", seed=seed, fewest_factors=2, continuous=continuous
    )

    def measure(given: Rows) -> Measured:
        t = given.train
        entropy = entropies(given.classes[:t])
        information = neighbor_information(given.standardized()[:t], given.classes[:t], seed)
        shown = information / np.where(entropy > 0, entropy, 1)
        alive = live(given.codes, prune, lambda inner: np.ptp(inner, axis=0))
        m, c = shares(shown[alive])
        parts = {"InfoM": m, "InfoE": float(predictors.linear(given, penalty=0.0).information.mean()), "InfoC": c}
        return Measured(parts, table(shown, given), _numbers_of(~alive))

    words = "10 nearest neighbors, logistic regression"
    return scored("InfoMEC", drawn, measure, estimator=words, n=_split(drawn), baselines=baselines, seed=seed, filler="dead")


def _everything(codes: Any, factors: Any, bins: int, seed: int, continuous: Collection[Any] | None) -> Rows:
    """All rows: they are what batches are drawn from."""
    return read(
        codes,
        factors,
        train=np.iinfo(np.int64).max,
        bins=bins,
        binning="width",
        seed=seed,
        fewest_factors=2,
        continuous=continuous,
    )


def _numbers_of(dimensions: np.ndarray) -> list[int]:
    return [int(i) for i in np.flatnonzero(dimensions)]


def _votes(train: int, test: int, batch: int) -> dict[str, int]:
    whole("batch", batch, least=2)
    return {"training votes": whole("train", train), "test votes": whole("test", test)}


def _split(rows: Rows) -> dict[str, int]:
    return {"train": rows.train, "test": len(rows.codes) - rows.train}


def _kind(binning: str) -> str:
    return "equal-width" if choice("binning", binning, BINNINGS) == "width" else "quantile"


def _flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
