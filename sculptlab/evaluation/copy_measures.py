"""How well a latent space was copied: the distribution jointly, alignment of single images, relative representations."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sculptlab.evaluation.two_samples import LEAST_ROWS, two_sample_tests
from sculptlab.independence.dependence import correlation, distance_correlation
from sculptlab.mmd.kernels import IMQ
from sculptlab.threads import one_thread
from sculptlab.training.latent_units import Units
from sculptlab.validation import as_seed, codes


def compare(z: Any, target: Any, *, permutations: int = 200, seed: int = 0) -> dict[str, float]:
    """Compare the distributions of codes z (n, d) and target (m, d), at least 20 each, in the target's standard deviations.

    Returns mmd2, mmd_p, c2st, c2st_p as in `Diagnosis.joint`; neighbors (`neighbor_overlap`); correlation_gap (the largest
    difference between entries of the correlation matrices, where constant latents count as uncorrelated; NaN for one latent);
    distance_correlation_gap (the same for distance correlations); rows, at most 2,000. Read them beside those of a second
    sample of the target. No row of `z` may belong to the same image as one of `target`: rows count as independent.
    """
    generator = torch.Generator().manual_seed(as_seed("seed", seed))
    target = codes("target", target, rows=LEAST_ROWS).detach().cpu()
    z = codes("z", z, dim=target.shape[1], rows=LEAST_ROWS).detach().cpu()
    units, n = Units.of(target), min(len(z), len(target), 2000)
    x, y = (units.plain(rows[torch.randperm(len(rows), generator=generator, device="cpu")[:n]].double()) for rows in (z, target))
    with one_thread():
        tests = two_sample_tests(x, y, IMQ().fit(y), permutations, seed)
        found = {name: tests[name] for name in ("mmd2", "mmd_p", "c2st", "c2st_p")} | {"neighbors": neighbor_overlap(x, y)}
        for name, measure in (("correlation_gap", correlation), ("distance_correlation_gap", distance_correlation)):
            gap = (measure(x).nan_to_num(0) - measure(y).nan_to_num(0)).fill_diagonal_(0).abs().max()
            found[name] = float(gap) if x.shape[1] > 1 else float("nan")
    return found | {"rows": n}


def neighbor_overlap(x: Tensor, y: Tensor, k: int = 10) -> float:
    """Mean share of a row's k nearest neighbors, among x (n, d) and y (n, d) pooled, that belong to the other sample.

    n / (2 n - 1), about 0.5, for two samples of one distribution; 0 for separate ones; more than 0.5 where rows come in pairs.
    Reference: Schilling 1986, JASA 81.
    """
    from sklearn.neighbors import NearestNeighbors

    first = np.arange(len(x) + len(y)) < len(x)
    nearest = NearestNeighbors(n_neighbors=k).fit(torch.cat([x, y]).numpy()).kneighbors(return_distance=False)
    return float((first[nearest] != first[:, None]).mean())


def alignment_error(z: Any, target: Any) -> float:
    """How far an image's code is from its target, relative to the targets of other images.

    mean |z_i - t_i| / mean |z_i - t_j|, i != j, in units of the target's standard deviations.

    Parameters
    ----------
    z, target : array_like of shape (n, d)
        Codes of the same images, in the same order.

    Returns
    -------
    float
        0 where every code is at its target; 1 by chance, also where the distributions agree.
    """
    distances = paired_distances(z, target)
    own, n = distances.diagonal().sum(), len(distances)
    chance = (distances.sum() - own) / (n * (n - 1))
    if not 0 < chance < torch.inf:
        raise ValueError(f"target must have distances above 0 and within the range of floats, got a mean distance of {chance:g}")
    return float(own / n / chance)


def paired_distances(z: Any, target: Any) -> Tensor:
    """Distances (n, n) from each code to each target of the same n images, in units of the target's standard deviations."""
    goals = codes("target", target).detach().cpu().double()
    rows = codes("z", z, dim=goals.shape[1]).detach().cpu().double()
    if len(rows) != len(goals):
        raise ValueError(f"z and target must be codes of the same images, got {len(rows)} and {len(goals)} rows")
    units, exact = Units.of(goals), "donot_use_mm_for_euclid_dist"  # the faster way leaves 1e-9 where a distance is 0
    return torch.cdist(units.plain(rows), units.plain(goals), compute_mode=exact)


def relative(z: Any, anchors: Any) -> Any:
    """Relative representation (n, k): cosine similarities of codes z (n, d) to the codes (k, d) of anchor images.

    It is the same for any rotation or scale of the latent space. A code of length 0 has similarity 0 to all. A tensor where `z`
    is one, else an array. Reference: Moschella et al. 2023, arXiv 2209.15430.

    >>> relative([[1.0, 0.0], [3.0, 3.0]], [[0.0, 2.0]]).round(3).tolist()
    [[0.0], [0.707]]
    """
    rows = codes("z", z, rows=1).detach()
    towards = codes("anchors", anchors, dim=rows.shape[1], rows=1).detach().to(rows)
    found = functional.normalize(rows, dim=1) @ functional.normalize(towards, dim=1).T
    return found if isinstance(z, Tensor) else found.detach().cpu().numpy()
