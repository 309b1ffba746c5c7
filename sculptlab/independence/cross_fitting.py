"""What LPS predicts and on which rows: targets, folds, and the loss of every row under a model that has not seen it."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sculptlab.independence.networks import log_frequencies
from sculptlab.independence.regressors import leave_one_out, predict_log_probabilities, predict_values
from sculptlab.threads import one_thread

TARGETS = ("mean", "square", "distribution")
UNITS = {"mean": "share of variance (R²)", "square": "share of variance of the squares (R²)", "distribution": "bits"}
BINS = 8  # equally filled bins of the target "distribution": at most log2(8) = 3 bits
Split = tuple[int, Tensor, Tensor]  # a seed, the numbers of the rows to fit to, and those of the rows to score


@dataclass(frozen=True)
class HeldOutLoss:
    """Loss of each row and column, (n, d), and of the `baseline` that uses no other column.

    Squared errors, with the column's mean as baseline, or bits, with the bins' frequencies in the training rows.
    """

    loss: np.ndarray
    baseline: np.ndarray
    in_bits: bool

    def gain(self, counts: np.ndarray | None = None) -> np.ndarray:
        """R^2 = 1 - loss / baseline, or bits saved per row, (d,). `counts` (n,) says how often each row counts."""
        loss, baseline = (values.sum(0) if counts is None else counts @ values for values in (self.loss, self.baseline))
        if self.in_bits:
            bits = (baseline - loss) / len(self.loss)
            return np.where(np.abs(bits) < 1e-6, 0.0, bits)  # less is rounding of the logarithms
        return np.where(baseline > 0, 1 - loss / np.where(baseline > 0, baseline, 1), 0.0)


@dataclass(frozen=True)
class LatentPredictor:
    """A regressor, the target it predicts of each latent, and the number of folds (None: the default)."""

    regressor: Any
    target: str
    folds: int | None = None

    @property
    def name(self) -> str:
        """The regressor's name."""
        return self.regressor if isinstance(self.regressor, str) else type(self.regressor).__name__

    @property
    def leaves_one_out(self) -> bool:
        """Whether each row is a fold of its own."""
        return self.folds is None and self.regressor == "linear" and self.target != "distribution"

    def folds_of(self, n: int) -> int:
        """The number of folds for n rows."""
        return n if self.leaves_one_out else self.folds or 2

    def least_rows(self, dim: int) -> int:
        """The smallest number of rows with `dim` columns that can be cross-fitted."""
        if self.leaves_one_out:
            return max(20, dim + 2)
        folds = self.folds or 2
        linear = self.regressor == "linear" and self.target != "distribution"
        return max(20, 2 * folds, math.ceil((dim + 2) * folds / (folds - 1)) + 1 if linear else 0)

    def cross_fitted(self, z: Tensor, seed: int) -> HeldOutLoss:
        """Loss of every row of the standardized columns `z` (n, d), predicted by a model fitted to the other folds."""
        if z.shape[1] < 2:  # a single column has no others: its prediction is the baseline
            return HeldOutLoss(np.zeros(tuple(z.shape)), np.zeros(tuple(z.shape)), in_bits=False)
        if self.leaves_one_out:
            y = self._targets(z)
            return HeldOutLoss(_array(y - leave_one_out(z, y)) ** 2, _array(y - y.mean(0)) ** 2, in_bits=False)
        order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed)).to(z.device)
        folds = self.folds_of(len(z))
        parts = [order[fold::folds].sort().values for fold in range(folds)]
        splits = [(_bounded(folds * seed + i), torch.cat(parts[:i] + parts[i + 1 :]), parts[i]) for i in range(folds)]
        return self._losses(z, splits, range(z.shape[1]))

    def held_out(self, z: Tensor, fitted: int, seed: int, columns: Sequence[int]) -> HeldOutLoss:
        """Loss of `columns` in the later rows of `z` (n, d), predicted by a model fitted to the first `fitted` rows."""
        rows = torch.arange(len(z), device=z.device)
        return self._losses(z, [(_bounded(seed), rows[:fitted], rows[fitted:])], columns)

    def _losses(self, z: Tensor, splits: list[Split], columns: Sequence[int]) -> HeldOutLoss:
        columns = list(columns)
        scored = torch.cat([test for _, _, test in splits]).sort().values
        # With less than 5 million numbers more threads gain little, and cost much time where other work shares the cores.
        with one_thread() if z.numel() < 5_000_000 else nullcontext():
            if self.target == "distribution":
                loss, baseline = self._bits(z, splits, columns)
                return HeldOutLoss(_array(loss[scored]), _array(baseline[scored]), in_bits=True)
            y = self._targets(z)
            predicted = torch.zeros_like(y[:, columns])
            for seed, train, test in splits:
                predicted[test] = predict_values(self.regressor, z[train], y[train], z[test], columns, seed).to(z)
        y = y[scored][:, columns]
        return HeldOutLoss(_array(y - predicted[scored]) ** 2, _array(y - y.mean(0)) ** 2, in_bits=False)

    def _targets(self, z: Tensor) -> Tensor:
        """The latents, or their squares with mean 0 and variance 1; constant squares, those of -1 and 1, become 0."""
        if self.target == "mean":
            return z
        squares = z.square()
        centered = squares - squares.mean(0)
        deviation = centered.square().mean(0).sqrt()
        varies = deviation > 1e-9 * squares.amax(0)
        return torch.where(varies, centered / torch.where(varies, deviation, 1), 0)

    def _bits(self, z: Tensor, splits: list[Split], columns: list[int]) -> tuple[Tensor, Tensor]:
        """Log-losses in bits of predictions and of the baseline, (n, columns); zero in rows that no split scores."""
        loss, baseline = torch.zeros_like(z[:, columns]), torch.zeros_like(z[:, columns])
        for seed, train, test in splits:
            labels = torch.searchsorted(bin_edges(z[train], BINS), z.T.contiguous(), right=True).T
            predicted = predict_log_probabilities(self.regressor, z[train], labels[train], z[test], columns, seed, BINS).to(z)
            actual = labels[test][:, columns]
            loss[test] = -predicted.gather(2, actual[:, :, None])[:, :, 0]
            baseline[test] = -log_frequencies(labels[train][:, columns], BINS).to(z).T.gather(0, actual)
        return loss / math.log(2), baseline / math.log(2)


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


def _bounded(seed: int) -> int:
    return seed % 2**31  # scikit-learn takes no larger seed


def _array(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()
