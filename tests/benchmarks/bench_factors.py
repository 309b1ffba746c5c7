"""How long each score against known factors takes at the standard size, on one core, with and without ceiling and floor.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_factors.py

15,000 rows, the number of values of dSprites' factors, ten dimensions. DCI with boosted trees takes minutes and is left out.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from sculptlab import factors as scores

SCORES: dict[str, Callable] = {
    "mig": scores.mig,
    "sap, discrete": scores.sap,
    "sap, continuous": partial(scores.sap, kind="continuous"),
    "factor_vae": scores.factor_vae,
    "beta_vae": scores.beta_vae,
    "modularity": scores.modularity,
    "info_mec": scores.info_mec,
    "dci, lasso": partial(scores.dci, estimator="lasso"),
    "dci, forest": partial(scores.dci, estimator="forest"),
}


def main() -> None:
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, count, 15_000) for count in (3, 6, 40, 32, 32)], axis=1)
    perfect = (factors - factors.mean(0)) / factors.std(0)
    codes = np.concatenate([perfect, rng.normal(size=perfect.shape)], axis=1) + 0.1 * rng.normal(size=(15_000, 10))
    for name, score in SCORES.items():
        seconds = []
        for baselines in (False, True):
            started = time.process_time()
            score(codes, factors, baselines=baselines)
            seconds.append(time.process_time() - started)
        print(f"{name}: {seconds[0]:.2f} s, with ceiling and floor {seconds[1]:.2f} s ({seconds[1] / seconds[0]:.1f} times)")


if __name__ == "__main__":
    main()
