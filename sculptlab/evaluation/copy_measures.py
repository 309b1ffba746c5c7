"""Did a copied latent space take? Distributions compared jointly; places compared on pairs; relative representations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.nn import functional

from sculptlab.evaluation.diagnosis import jointly
from sculptlab.independence.dependence import correlation, distance_correlation
from sculptlab.mmd.kernels import IMQ
from sculptlab.threads import one_thread
from sculptlab.training.latent_units import Units
from sculptlab.validation import codes, whole

NEIGHBORS = 10
MOST_ROWS = 2000
DISTRIBUTION = ("mmd2", "mmd_p", "c2st", "c2st_p", "neighbors", "correlation_gap", "distance_correlation_gap", "rows")


def compare(z: Any, target: Any, *, max_rows: int = MOST_ROWS, permutations: int = 200, seed: int = 0) -> dict[str, float]:
    """How far codes z (n, d) are from the distribution of a target's (m, d): rows of both in equal number, at most `max_rows`.

    mmd2, mmd_p, c2st, c2st_p   the joint tests of `diagnose`: unbiased MMD^2, its permutation p; held-out accuracy of a
                                classifier (0.5 is chance), its p
    neighbors                  `neighbor_overlap`; 0.5 where the two are alike
    correlation_gap             the largest |difference| of two entries of the correlation matrices (a constant latent
                                counts as uncorrelated); NaN for one latent
    distance_correlation_gap    the same of the matrices of distance correlations
    All are taken in the target's units: each latent's mean and standard deviation there. Rows are taken to be independent:
    no row of `z` may belong to the same image as one of `target`. Beside these numbers belong those of a second sample of the
    target. Raises ValueError for other shapes, or fewer than 20 rows.
    """
    whole("max_rows", max_rows, least=20)
    target = codes("target", target, rows=20).detach().cpu()
    z = codes("z", z, dim=target.shape[1], rows=20).detach().cpu()
    generator = torch.Generator().manual_seed(whole("seed", seed, least=0))
    units, n = Units.of(target), min(len(z), len(target), max_rows)
    x, y = (units.plain(rows[torch.randperm(len(rows), generator=generator)[:n]].double()) for rows in (z, target))
    with one_thread():
        found = jointly(x, y, IMQ().fit(y), permutations, seed)
        return {
            **{name: found[name] for name in ("mmd2", "mmd_p", "c2st", "c2st_p")},
            "neighbors": neighbor_overlap(x, y),
            "correlation_gap": _gap(correlation(x), correlation(y)),
            "distance_correlation_gap": _gap(distance_correlation(x), distance_correlation(y)),
            "rows": n,
        }


def neighbor_overlap(x: Any, y: Any, k: int = NEIGHBORS) -> float:
    """The mean share of the k nearest neighbors of a row, among x (n, d) and y (n, d) pooled, that belong to the other set.

    n / (2 n - 1), about 0.5, for two samples of one distribution; 0 for two clouds apart. Above 0.5 where rows of the two come
    in pairs. Raises ValueError for sets of unequal size, of which the larger would lend more neighbors, or k >= 2 n - 1.
    Source: Schilling 1986, JASA 81.
    """
    x = codes("x", x).detach().cpu().double()
    y = codes("y", y, dim=x.shape[1]).detach().cpu().double()
    if len(x) != len(y):
        raise ValueError(f"x and y must have as many rows, got {len(x)} and {len(y)}")
    if whole("k", k) >= 2 * len(x) - 1:
        raise ValueError(f"k must be less than the {2 * len(x) - 1} other rows, got {k}")
    pooled = torch.cat([x, y]).numpy()
    side = np.arange(len(pooled)) < len(x)
    near = NearestNeighbors(n_neighbors=k).fit(pooled).kneighbors(return_distance=False)
    return float((side[near] != side[:, None]).mean())


def places(z: Any, target: Any) -> float:
    """mean |z_i - t_i| over mean |z_i - t_j|, i != j: how far an image's code z_i is from its place, by chance's measure.

    z, target (n, d): codes of the same images in the same order. 0: every image has its place; 1: the two clouds may be alike,
    but who sits where is chance. In units of the target's standard deviations.
    """
    a, b = _paired(z, target)
    distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")  # a product of matrices rounds 0 to 1e-9
    own, n = distances.diagonal().sum(), len(a)
    return float((own / n) / ((distances.sum() - own) / (n * (n - 1))))


def relative(z: Any, anchors: Any) -> Any:
    """Codes (n, d) as their cosine similarities to the codes (k, d) of anchors: (n, k), the same for any rotation or scale.

    A code or anchor of length 0 has similarity 0 to all. Tensor in, tensor out; else an array.
    Source: Moschella et al. 2023, arXiv 2209.15430.

    >>> relative([[1.0, 0.0], [3.0, 3.0]], [[0.0, 2.0]]).round(3).tolist()
    [[0.0], [0.707]]
    """
    rows = codes("z", z, rows=1)
    towards = codes("anchors", anchors, dim=rows.shape[1], rows=1).to(rows)
    found = functional.normalize(rows, dim=1) @ functional.normalize(towards, dim=1).T
    return found if isinstance(z, Tensor) else found.detach().cpu().numpy()


def retrieval(z: Any, target: Any) -> dict[str, float]:
    """How well an image's code in one space finds the same image in the other, by Euclidean distance.

    z, target (n, d): codes of the same images in the same order. The rank of t_i among all t by distance from z_i, ties shared.
    top1: the share of rank 1 (chance: 1 / n); mrr: mean 1 / rank (chance: about ln n / n); rank: the mean of
    (rank - 1) / (n - 1), 0.5 by chance. In units of the target's standard deviations.
    """
    a, b = _paired(z, target)
    distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    own = distances.diagonal()[:, None]
    rank = 1 + (distances < own).sum(1) + ((distances == own).sum(1) - 1) / 2
    return {
        "top1": float((rank == 1).double().mean()),
        "mrr": float((1 / rank).mean()),
        "rank": float(((rank - 1) / (len(a) - 1)).mean()),
    }


def _paired(z: Any, target: Any) -> tuple[Tensor, Tensor]:
    b = codes("target", target).detach().cpu().double()
    a = codes("z", z, dim=b.shape[1]).detach().cpu().double()
    if len(a) != len(b):
        raise ValueError(f"z and target must be codes of the same images, got {len(a)} and {len(b)} rows")
    units = Units.of(b)
    return units.plain(a), units.plain(b)


def _gap(first: Tensor, second: Tensor) -> float:
    if len(first) < 2:
        return float("nan")
    return float((first.nan_to_num(0) - second.nan_to_num(0)).fill_diagonal_(0).abs().max())
