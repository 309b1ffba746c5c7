"""Every latent predicted from all the others, each row by models that have not seen it: what was lost, row by row."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from torch import Tensor

from sculptlab import linear_prediction, network_prediction
from sculptlab.network_prediction import log_shares
from sculptlab.threads import one_thread

REGRESSORS = ("mlp", "linear", "boosting")
TARGETS = ("mean", "square", "distribution")
HIDDEN = (64, 64)  # units of the layers of "mlp"
BINS = 8  # equally filled parts of a latent for the target "distribution": at most log2(8) = 3 bits
FOLDS = 2
SMALL = 300_000  # numbers in z below which more threads only get in each other's way
BOOSTING = {"max_iter": 300, "early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 5, "max_leaf_nodes": 15}


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
            return (blank - loss) / rows
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
        return max(20, dim + 2 if self.leaves_one_out else math.ceil((dim + 2) * folds / (folds - 1)) + 1)

    def losses(self, z: Tensor, seed: int) -> Loss:
        """What predicting the columns of z (n, d), of mean 0 and variance 1, from each other loses."""
        with one_thread() if z.numel() < SMALL else nullcontext():
            return self._bits(z, seed) if self.target == "distribution" else self._squares(z, seed)

    def _squares(self, z: Tensor, seed: int) -> Loss:
        y = _standard(z.square()) if self.target == "square" else z
        if self.leaves_one_out:
            predicted = linear_prediction.leave_one_out(z, y)
        else:
            predicted = torch.zeros_like(z)
            for part, train, test in _folds(z, self.folds or FOLDS, seed):
                predicted[test] = self._values(z[train], y[train], z[test], part).to(z)
        return Loss(_array(y - predicted) ** 2, _array(y - y.mean(0)) ** 2, in_bits=False)

    def _values(self, x: Tensor, y: Tensor, new: Tensor, seed: int) -> Tensor:
        if self.regressor == "mlp":
            return network_prediction.predict(x.float(), y.float(), new.float(), hidden=HIDDEN, seed=seed)
        if self.regressor == "linear":
            return linear_prediction.predict(x, y, new)
        model = HistGradientBoostingRegressor(**BOOSTING) if self.regressor == "boosting" else self.regressor
        return _each(x, y, new, model, seed, lambda fitted, rows: np.asarray(fitted.predict(rows)).reshape(len(rows)))

    def _bits(self, z: Tensor, seed: int) -> Loss:
        loss, blank = torch.zeros_like(z), torch.zeros_like(z)
        inner = torch.arange(1, BINS, device=z.device, dtype=z.dtype) / BINS
        for part, train, test in _folds(z, self.folds or FOLDS, seed):
            edges = _quantiles(z[train], inner)
            labels = torch.searchsorted(edges, z.T.contiguous(), right=True).T
            predicted = self._log_shares(z[train], labels[train], z[test], part).to(z)
            loss[test] = -predicted.gather(2, labels[test][:, :, None])[:, :, 0]
            blank[test] = -log_shares(labels[train], BINS).to(z).T.gather(0, labels[test])
        return Loss(_array(loss) / math.log(2), _array(blank) / math.log(2), in_bits=True)

    def _log_shares(self, x: Tensor, labels: Tensor, new: Tensor, seed: int) -> Tensor:
        if self.regressor in ("mlp", "linear"):
            hidden = HIDDEN if self.regressor == "mlp" else ()
            return network_prediction.predict(x.float(), labels, new.float(), hidden=hidden, classes=BINS, seed=seed)
        model = HistGradientBoostingClassifier(**BOOSTING) if self.regressor == "boosting" else self.regressor
        floor = 0.5 / (len(x) + 0.5 * BINS)  # as unlikely as the blank prediction takes a bin that never occurred to be

        def read(fitted: Any, rows: np.ndarray) -> np.ndarray:
            shares = np.full((len(rows), BINS), floor)
            shares[:, np.asarray(fitted.classes_, dtype=int)] = fitted.predict_proba(rows).clip(floor)
            return np.log(shares / shares.sum(1, keepdims=True))

        return _each(x, labels, new, model, seed, read)


def checked(regressor: Any, target: str) -> None:
    """Refuse a `regressor` that is neither named here nor fit for `target`."""
    if isinstance(regressor, str) and regressor in REGRESSORS:
        return
    legal = f"one of {list(REGRESSORS)} or a scikit-learn estimator"
    if isinstance(regressor, str):
        raise ValueError(f"regressor must be {legal}, got {regressor!r}")
    if isinstance(regressor, type) or not (hasattr(regressor, "fit") and hasattr(regressor, "get_params")):
        raise TypeError(f"regressor must be {legal}, got {regressor!r}")
    if target == "distribution" and not (is_classifier(regressor) and hasattr(regressor, "predict_proba")):
        raise ValueError(f"regressor must be a classifier with predict_proba for target='distribution', got {regressor!r}")
    if target != "distribution" and not is_regressor(regressor):
        raise ValueError(f"regressor must be a regressor for target={target!r}, got {regressor!r}")


def _folds(z: Tensor, folds: int, seed: int) -> list[tuple[int, Tensor, Tensor]]:
    """For each fold a seed, and the row numbers to train and to test on."""
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed)).to(z.device)
    parts = [order[fold::folds].sort().values for fold in range(folds)]
    return [(folds * seed + i, torch.cat(parts[:i] + parts[i + 1 :]), parts[i]) for i in range(folds)]


def _each(x: Tensor, y: Tensor, new: Tensor, model: Any, seed: int, read: Callable[[Any, np.ndarray], np.ndarray]) -> Tensor:
    """A copy of `model` fitted to each column in turn; what `read` makes of it, columns second."""
    rows, targets, fresh = x.cpu().numpy(), y.cpu().numpy(), new.cpu().numpy()
    found = []
    for i in range(rows.shape[1]):
        copied = clone(model)
        if copied.get_params().get("random_state", 0) is None:
            copied.set_params(random_state=seed)
        fitted = copied.fit(np.delete(rows, i, 1), targets[:, i])
        found.append(read(fitted, np.delete(fresh, i, 1)))
    return torch.from_numpy(np.stack(found, axis=1)).to(x.device)


def _quantiles(z: Tensor, shares: Tensor) -> Tensor:
    """The quantiles of each column of z (n, d), as (d, len(shares)); by sorting: torch.quantile takes 16 million at most."""
    ordered = z.sort(0).values
    return ordered[(shares * len(z)).long()].T.contiguous()


def _standard(y: Tensor) -> Tensor:
    """Columns of mean 0 and variance 1; a constant one (the squares of -1 and 1) is all zeros."""
    centred = y - y.mean(0)
    spread = centred.square().mean(0).sqrt()
    varies = spread > 1e-9 * y.abs().amax(0)
    return torch.where(varies, centred / torch.where(varies, spread, 1), 0)


def _array(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()
