"""LPS: the batched networks against a loop over scikit-learn's MLPRegressor with the same layers; time and memory when large.

python tests/benchmarks/bench_lps.py            the ratio, at d = 64, n = 10,000 (the loop takes minutes)
python tests/benchmarks/bench_lps.py large      seconds and peak memory at n = 100,000, d = 128
"""

import resource
import sys
import time
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

import sculptlab as sl

LAYERS = (64, 64)
TIMED = 8  # dimensions of the loop that are timed; it is linear in their number


def entangled(n, d, seed=0):
    """Codes that share 20 uniform sources through a random layer, with noise."""
    rng = np.random.default_rng(seed)
    sources = rng.uniform(-(3**0.5), 3**0.5, (n, 20))
    return np.tanh(sources @ rng.normal(0, 0.3, (20, 100))) @ rng.normal(0, 0.1, (100, d)) + 0.3 * rng.normal(size=(n, d))


def correlated(n, d, seed=0):
    """Equicorrelated Gaussian codes with rho = 1/2, where a line is the best there is."""
    rng = np.random.default_rng(seed)
    return 0.5**0.5 * (rng.normal(size=(n, 1)) + rng.normal(size=(n, d)))


def loop(z, dimensions):
    """The held-out R^2 of each of `dimensions` by scikit-learn, two folds, early stopping as it comes."""
    fold, scores = np.arange(len(z)) % 2, []
    z = (z - z.mean(0)) / z.std(0)
    for i in dimensions:
        rest, predicted = np.delete(z, i, 1), np.empty(len(z))
        for part in (0, 1):
            model = MLPRegressor(hidden_layer_sizes=LAYERS, early_stopping=True, random_state=0)
            model.fit(rest[fold != part], z[fold != part, i])
            predicted[fold == part] = model.predict(rest[fold == part])
        scores.append(1 - ((z[:, i] - predicted) ** 2).sum() / ((z[:, i] - z[:, i].mean()) ** 2).sum())
    return np.array(scores)


def ratio(n=10_000, d=64):
    warnings.simplefilter("ignore", ConvergenceWarning)
    for draw in (entangled, correlated):
        z = draw(n, d)
        started = time.perf_counter()
        found = sl.lps(z, permutations=0)
        ours = time.perf_counter() - started
        started = time.perf_counter()
        theirs = loop(z, range(TIMED))
        loops = (time.perf_counter() - started) * d / TIMED
        print(f"{draw.__name__}, n = {n}, d = {d}, {torch.get_num_threads()} threads: batched {ours:.1f} s, "
              f"loop {loops:.1f} s (from {TIMED} dimensions), ratio {loops / ours:.1f}; "
              f"R² of those dimensions: batched {found.raw[:TIMED].mean():.4f}, loop {theirs.mean():.4f}")  # fmt: skip


def large(n=100_000, d=128):
    z = entangled(n, d).astype(np.float32)
    for regressor, permutations in (("linear", 19), ("mlp", 0)):
        started = time.perf_counter()
        found = sl.lps(z, regressor, permutations=permutations)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{regressor}, n = {n}, d = {d}, {permutations} permutations: {time.perf_counter() - started:.0f} s, "
              f"peak {peak:.1f} GiB, score {found.score:.3f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    large() if "large" in sys.argv[1:] else ratio()
