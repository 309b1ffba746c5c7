"""Every latent predicted from all the others, each row by models that have not seen it: what was lost, row by row."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from torch import Tensor

from sculptlab.independence import linear as linear_prediction
from sculptlab.independence import networks as network_prediction
from sculptlab.independence.networks import NEVER, log_shares
from sculptlab.threads import one_thread

REGRESSORS = ("mlp", "linear", "boosting")
TARGETS = ("mean", "square", "distribution")
HIDDEN = (64, 64)  # units of the layers of "mlp"
BINS = 8  # equally filled parts of a latent for the target "distribution": at most log2(8) = 3 bits
FOLDS = 2
ROUNDING = 1e-6  # bits: what the logarithms of one and the same prediction differ by
SEEDS = 2**31  # scikit-learn takes no larger seed
SMALL = 5_000_000  # numbers in z below which more threads gain little, and lose much where other work shares the cores
FEWEST_OF_A_CLASS = 10  # rows; of fewer none can be spared to stop by, and the trees stop after
FEW_ROUNDS = 10
Part = tuple[int, Tensor, Tensor]  # a seed, the numbers of the rows to fit to, and of those to test on
BOOSTING = {"max_iter": 300, "early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 5, "max_leaf_nodes": 15}


class _Boosting(BaseEstimator):
    """Boosted trees that stop early where every class has rows enough to be held back, else after a few rounds."""

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, x: np.ndarray, y: np.ndarray) -> Any:
        counts = np.bincount(y)
        if len(np.unique(y)) == 1:
            return DummyClassifier().fit(x, y)
        few = counts[counts > 0].min() < FEWEST_OF_A_CLASS
        options = BOOSTING | ({"max_iter": FEW_ROUNDS, "early_stopping": False} if few else {})
        return HistGradientBoostingClassifier(**options, random_state=self.random_state).fit(x, y)


@dataclass(frozen=True)
class Loss:
    """Per row and dimension, (n, d): the `loss` of the prediction, and that of a `blank` one which has seen no other latent.

    Squared errors (blank: from the column's mean), or bits (blank: from the training rows' shares of the bins).
    """

    loss: np.ndarray
    blank: np.ndarray
    in_bits: bool

    def gain(self, loss: np.ndarray, blank: np.ndarray, rows: int) -> np.ndarray:
        """R^2 = 1 - loss / blank, or the bits per row that were saved, from sums over `rows` rows; 0 where blank is 0."""
        if self.in_bits:
            bits = (blank - loss) / rows
            return np.where(np.abs(bits) < ROUNDING, 0.0, bits)
        return np.where(blank > 0, 1 - loss / np.where(blank > 0, blank, 1), 0.0)

    def raw(self) -> np.ndarray:
        return self.gain(self.loss.sum(0), self.blank.sum(0), len(self.loss))


@dataclass(frozen=True)
class Predictor:
    """How latents are predicted: the regressor, what of them (`target`), and into how many folds the rows are cut."""

    regressor: Any
    target: str
    folds: int | None

    @property
    def name(self) -> str:
        return self.regressor if isinstance(self.regressor, str) else type(self.regressor).__name__

    @property
    def leaves_one_out(self) -> bool:
        return self.folds is None and self.regressor == "linear" and self.target != "distribution"

    def least_rows(self, dim: int) -> int:
        """The fewest rows that this predictor can be fitted to."""
        folds = self.folds or FOLDS
        if self.regressor != "linear" or self.target == "distribution":
            return max(20, 2 * folds)
        return max(20, dim + 2 if self.leaves_one_out else max(2 * folds, math.ceil((dim + 2) * folds / (folds - 1)) + 1))

    def losses(self, z: Tensor, seed: int) -> Loss:
        """What predicting the columns of z (n, d), of mean 0 and variance 1, from each other loses."""
        if not self.leaves_one_out:
            return self._losses(z, _folds(z, self.folds or FOLDS, seed), None)
        y = self._targets(z)
        return Loss(_array(y - linear_prediction.leave_one_out(z, y)) ** 2, _array(y - y.mean(0)) ** 2, in_bits=False)

    def transfer(self, z: Tensor, fitted: int, seed: int, only: Sequence[int] | None = None) -> Loss:
        """What predicting the later rows of z (n, d), columns of about unit size, loses after a fit to the first `fitted`.

        only: the columns that are predicted, from all others; None: all.
        """
        rows = torch.arange(len(z), device=z.device)
        return self._losses(z, [(seed % SEEDS, rows[:fitted], rows[fitted:])], only)

    def _losses(self, z: Tensor, parts: list[Part], only: Sequence[int] | None) -> Loss:
        """Of the rows that any of `parts` tests, in the order of z, and of the columns `only`."""
        chosen = list(range(z.shape[1]) if only is None else only)
        tested = torch.cat([test for _, _, test in parts]).sort().values
        with one_thread() if z.numel() < SMALL else nullcontext():
            if self.target == "distribution":
                loss, blank = self._bits(z, parts, chosen)
                return Loss(_array(loss[tested]) / math.log(2), _array(blank[tested]) / math.log(2), in_bits=True)
            y = self._targets(z)
            predicted = torch.zeros_like(y[:, chosen])
            for part, train, test in parts:
                predicted[test] = self._values(z[train], y[train], z[test], part, chosen).to(z)
        y = y[tested][:, chosen]
        return Loss(_array(y - predicted[tested]) ** 2, _array(y - y.mean(0)) ** 2, in_bits=False)

    def _targets(self, z: Tensor) -> Tensor:
        return _standard(z.square()) if self.target == "square" else z

    def _values(self, x: Tensor, y: Tensor, new: Tensor, seed: int, chosen: list[int]) -> Tensor:
        if self.regressor == "mlp":
            return network_prediction.predict(x.float(), y.float(), new.float(), hidden=HIDDEN, seed=seed)[:, chosen]
        if self.regressor == "linear":
            return linear_prediction.predict(x, y, new)[:, chosen]
        model = HistGradientBoostingRegressor(**BOOSTING) if self.regressor == "boosting" else self.regressor
        return _each(x, y, new, model, seed, chosen, lambda fitted, rows: np.asarray(fitted.predict(rows)).reshape(len(rows)))

    def _bits(self, z: Tensor, parts: list[Part], chosen: list[int]) -> tuple[Tensor, Tensor]:
        """Log-losses in nats, of predictions and of blank ones, (n, columns chosen); zero in rows that no part tests."""
        loss, blank = torch.zeros_like(z[:, chosen]), torch.zeros_like(z[:, chosen])
        inner = torch.arange(1, BINS, device=z.device, dtype=z.dtype) / BINS
        for part, train, test in parts:
            edges = _edges(z[train], inner)
            labels = torch.searchsorted(edges, z.T.contiguous(), right=True).T
            predicted = self._log_shares(z[train], labels[train], z[test], part, chosen).to(z)
            actual = labels[test][:, chosen]
            loss[test] = -predicted.gather(2, actual[:, :, None])[:, :, 0]
            blank[test] = -log_shares(labels[train][:, chosen], BINS).to(z).T.gather(0, actual)
        return loss, blank

    def _log_shares(self, x: Tensor, labels: Tensor, new: Tensor, seed: int, chosen: list[int]) -> Tensor:
        if self.regressor in ("mlp", "linear"):
            hidden = HIDDEN if self.regressor == "mlp" else ()
            found = network_prediction.predict(x.float(), labels, new.float(), hidden=hidden, classes=BINS, seed=seed)
            return found[:, chosen]
        boosting = self.regressor == "boosting"
        floor = 0.5 / len(x)  # nothing is less likely than what half a row in so many would show

        def read(fitted: Any, rows: np.ndarray) -> np.ndarray:
            shares = np.full((len(rows), BINS), np.exp(NEVER))
            shares[:, np.asarray(fitted.classes_, dtype=int)] = fitted.predict_proba(rows).clip(floor)
            return np.log(shares / shares.sum(1, keepdims=True))

        return _each(x, labels, new, _Boosting() if boosting else self.regressor, seed, chosen, read)


def checked(regressor: Any, target: str) -> None:
    """Refuse a `regressor` that is neither named here nor fit for `target`."""
    if isinstance(regressor, str) and regressor in REGRESSORS:
        return
    legal = f"one of {list(REGRESSORS)} or a scikit-learn estimator"
    if isinstance(regressor, str):
        raise ValueError(f"regressor must be {legal}, got {regressor!r}")
    if isinstance(regressor, type):
        raise TypeError(f"regressor must be {legal}, got the class {regressor.__name__}: call it, {regressor.__name__}()")
    if not (hasattr(regressor, "fit") and hasattr(regressor, "get_params")):
        raise TypeError(f"regressor must be {legal}, got {regressor!r}")
    if target == "distribution" and not (is_classifier(regressor) and hasattr(regressor, "predict_proba")):
        raise ValueError(f"regressor must be a classifier with predict_proba for target='distribution', got {regressor!r}")
    if target != "distribution" and not is_regressor(regressor):
        raise ValueError(f"regressor must be a regressor for target={target!r}, got {regressor!r}")


def _folds(z: Tensor, folds: int, seed: int) -> list[Part]:
    """For each fold a seed, and the row numbers to train and to test on."""
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed)).to(z.device)
    parts = [order[fold::folds].sort().values for fold in range(folds)]
    return [((folds * seed + i) % SEEDS, torch.cat(parts[:i] + parts[i + 1 :]), parts[i]) for i in range(folds)]


def _each(
    x: Tensor, y: Tensor, new: Tensor, model: Any, seed: int, chosen: list[int], read: Callable[[Any, np.ndarray], np.ndarray]
) -> Tensor:
    """A copy of `model` fitted to each of the `chosen` columns in turn; what `read` makes of it, columns second."""
    rows, targets, fresh = x.cpu().numpy(), y.cpu().numpy(), new.cpu().numpy()
    found = []
    for i in chosen:
        copied = clone(model)
        # those of a pipeline's steps too: what is left open would draw from NumPy's global generator
        unset = [name for name, value in copied.get_params().items() if name.split("__")[-1] == "random_state" and value is None]
        copied.set_params(**dict.fromkeys(unset, seed))
        fitted = copied.fit(np.delete(rows, i, 1), targets[:, i])
        found.append(read(fitted, np.delete(fresh, i, 1)))
    return torch.from_numpy(np.stack(found, axis=1)).to(x.device)


def _edges(z: Tensor, shares: Tensor) -> Tensor:
    """Where to cut each column of z (n, d) into parts that hold these `shares` of it, as nearly as ties allow; (d, len(shares)).

    A value stays whole: the cut goes to the nearer end of its run of equal ones, and beyond the ends of the column there is
    none. So no part that any value can fall into is empty, and a column and its negative are cut alike.
    """
    ordered = z.sort(0).values.T.contiguous()  # by sorting: torch.quantile takes 16 million numbers at most
    n = ordered.shape[1]
    at = (shares * n).long().expand(len(ordered), -1)
    value = ordered.gather(1, at)
    first, beyond = torch.searchsorted(ordered, value), torch.searchsorted(ordered, value, right=True)
    cut = torch.where(beyond - at < at - first, beyond, first)
    edges = ordered.gather(1, cut.clamp_max(n - 1))
    return torch.where(cut == 0, -torch.inf, torch.where(cut == n, torch.inf, edges)).sort(1).values


def _standard(y: Tensor) -> Tensor:
    """Columns of mean 0 and variance 1; a constant one (the squares of -1 and 1) is all zeros."""
    centered = y - y.mean(0)
    spread = centered.square().mean(0).sqrt()
    varies = spread > 1e-9 * y.abs().amax(0)
    return torch.where(varies, centered / torch.where(varies, spread, 1), 0)


def _array(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()
