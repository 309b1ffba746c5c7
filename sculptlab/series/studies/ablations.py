"""What each choice of a sculpted autoencoder contributes: kernel, weight, batch, latents, network, each moved alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from tqdm.auto import tqdm

from sculptlab.independence.dependence import correlation
from sculptlab.mmd.kernels import IMQ, RBF, Laplacian
from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, write
from sculptlab.series.studies.kl_failure import train_and_test
from sculptlab.series.studies.sculpting import GAME, QUICK, WEIGHT, Prepared, Setting, described, judge
from sculptlab.training.loop import fit
from sculptlab.training.models import ARCHITECTURES as KINDS
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import MMD, EnergyDistance, Objective, Predictability, Reconstruction, SlicedWasserstein
from sculptlab.validation import choice

ABLATIONS: dict[str, Setting] = {
    "cifar10": Setting("cifar10", 16, components=128, steps=700, width=128, rows=20_000, judged=2000),
    "fashion_mnist": Setting("fashion_mnist", 16, components=128, steps=700, width=128, rows=20_000, judged=2000),
}
SHORT = Setting("cifar10", 16, components=3072, steps=500, width=128, rows=20_000, judged=2000)  # components: all
ARMS = ("no regularizer", "MMD", "MMD + predictability")
ARCHITECTURES: dict[str, tuple[Setting, Sequence[str], Sequence[str]]] = {  # setting, kinds, arms
    "architecture": (SHORT, KINDS, ARMS),
    # are the networks that the game did not reach in 500 steps reached in 2,000?
    "architecture_long": (replace(SHORT, steps=2000), ("mlp", "conv"), ("no regularizer", "MMD + predictability")),
}
CHANNELS = 16  # of the first convolution


def intrinsic_dimension(rows: Any, most: int = 5000, seed: int = 0) -> float:
    """The number of directions in which rows (n, p) spread locally, by the two nearest neighbors of each: n / sum ln(r2 / r1).

    An underestimate where the true dimension is above ten or so; `most` rows are drawn. Rows that occur twice are left out.
    Source: Facco et al. 2017, Scientific Reports 7.
    """
    x = torch.as_tensor(rows).flatten(1).numpy()
    x = x[np.random.default_rng(seed).permutation(len(x))[:most]]
    distances = NearestNeighbors(n_neighbors=3).fit(x).kneighbors(x)[0]
    first, second = distances[:, 1], distances[:, 2]
    apart = first > 0
    return float(apart.sum() / np.log(second[apart] / first[apart]).sum())


def ablations(dim: int) -> list[tuple[str, str, Objective, dict[str, Any]]]:
    """(knob, value, regularizer, changes of the setting) of the ablation: each knob alone is moved away from the base."""
    prior = Gaussian(dim)
    kernels: dict[str, Objective] = {
        "IMQ, one scale": MMD(prior, 7 * WEIGHT, IMQ(scales=(1.0,))),
        "RBF": MMD(prior, 7 * WEIGHT, RBF()),
        "Laplace": MMD(prior, 7 * WEIGHT, Laplacian()),
        "energy": EnergyDistance(prior),
        "sliced Wasserstein": SlicedWasserstein(prior),
    }
    median = RBF().fit(prior).width
    return [
        ("base", "", MMD(prior, WEIGHT), {}),
        *(("kernel", name, term, {}) for name, term in kernels.items()),
        *(("bandwidth", f"{f:g}", MMD(prior, 7 * WEIGHT, RBF(f * median)), {}) for f in (0.25, 4.0)),
        *(("weight", f"{w:g}", MMD(prior, w), {}) for w in (3.0, 30.0, 1000.0)),
        *(("batch", str(b), MMD(prior, WEIGHT), {"batch_size": b}) for b in (64, 1024)),
        *(("dim", str(d), MMD(Gaussian(d), WEIGHT), {"dim": d}) for d in (4, 8, 32, 64)),
        ("64 latents", "weight 10", MMD(Gaussian(64), 10.0), {"dim": 64}),
        ("64 latents", "batch 1024", MMD(Gaussian(64), WEIGHT), {"dim": 64, "batch_size": 1024}),
    ]


def ablate(
    setting: Setting, seeds: Iterable[int], *, knobs: Sequence[str] | None = None, arms: Sequence[str] | None = None,
    progress: bool = True, prepared: Prepared | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Every row of `ablations`, without and with the predictability penalty.

    Columns hyperparameter, value, condition ("MMD", "MMD + predictability"), and those of `judge`. For the base and each dim also
    "no regularizer" and, for the base, "predictability" and "predictability, squared". Kernels of one term weigh seven times as
    much as IMQ's sum of seven, so that k(x, x) agrees.
    """
    prepared = prepared or Prepared.of(setting)
    grid: list[tuple[str, str, str, Objective, dict[str, Any], int]] = []
    for knob, value, term, changes in ablations(setting.dim):
        goals: dict[str, Objective] = {"MMD": term, "MMD + predictability": term + Predictability(GAME)}
        if knob in ("base", "dim"):
            goals["no regularizer"] = Reconstruction()
        if knob == "base":
            squared = Predictability(GAME, "square")
            goals |= {
                "predictability": Predictability(GAME),
                "predictability, squared": squared,
                "MMD + predictability, squared": term + squared,
            }
        if knobs is None or knob in knobs:
            asked = {arm: goal for arm, goal in goals.items() if arms is None or arm in arms}
            grid += [(knob, value, arm, goal, changes, seed) for arm, goal in asked.items() for seed in seeds]
    rows = []
    for knob, value, arm, goal, changes, seed in tqdm(grid, disable=not progress, unit="model"):
        run = prepared.train(goal, seed, **changes)
        z = run.encode(prepared.held_out[: setting.judged])
        rows.append(
            {
                "hyperparameter": knob,
                "value": value,
                "condition": arm,
                "seed": seed,
                **_measured(setting, z, prepared.error(run), seed),
            }
        )
    return pd.DataFrame(rows)


def _measured(setting: Setting, z: Tensor, error: float, seed: int) -> dict[str, Any]:
    judged = judge(z, lines=QUICK, seed=seed)
    return {"data": setting.data, "dim": z.shape[1], "reconstruction_mse": error, "rank": effective_rank(z), **judged}


def effective_rank(z: Tensor) -> float:
    """How many latents the codes z (n, d) would fill if none were a repeat: d^2 / sum of squared correlations, from 1 to d."""
    return z.shape[1] ** 2 / correlation(z).square().sum().item()


def architectures(
    setting: Setting, seeds: Iterable[int], *, kinds: Sequence[str] = KINDS, arms: Sequence[str] = ARMS, progress: bool = True
) -> pd.DataFrame:
    """Networks that see the images themselves, not their components, without and with regularizers; columns as `ablate`'s.

    setting.width is that of the mlp; the others start with `CHANNELS` channels.
    """
    training, held_out = train_and_test(setting.data)
    images, shape = training.images[: setting.rows], MMD(Gaussian(setting.dim), WEIGHT)
    goals: dict[str, Objective] = {
        "no regularizer": Reconstruction(),
        "MMD": shape,
        "MMD + predictability": shape + Predictability(GAME),
    }
    rows = []
    for kind, arm, seed in tqdm([(k, a, s) for k in kinds for a in arms for s in seeds], disable=not progress, unit="model"):
        model = build_autoencoder(
            kind, image_shape=images.shape[1:], dim=setting.dim, width=setting.width if kind == "mlp" else CHANNELS, seed=seed
        )
        run = fit(model, images, goals[arm], steps=setting.steps, batch_size=setting.batch_size, seed=seed, progress=False)
        found = _measured(setting, run.encode(held_out.images[: setting.judged]), run.reconstruction_error(held_out.images), seed)
        rows.append({"hyperparameter": "architecture", "value": kind, "condition": arm, "seed": seed, **found})
    return pd.DataFrame(rows)


def record_ablations(name: str, seeds: Sequence[int] = range(5), knobs: Sequence[str] | None = None) -> Recorded:
    """Run page 04's ablation on the data set `name` (of `ABLATIONS`) and record it; `knobs`: None for all."""
    setting = ABLATIONS[choice("name", name, list(ABLATIONS))]
    frame = ablate(setting, seeds, knobs=knobs)
    return write(f"ablations_{name}", frame, seeds=list(seeds), settings=described(setting))


def record_longer(seeds: Sequence[int] = range(5), *, steps: int = 4000, dims: Sequence[int] = (8, 16)) -> Recorded:
    """Is what the game leaves on Fashion-MNIST a matter of time? The base of its ablation, `steps` long: record it."""
    setting = replace(ABLATIONS["fashion_mnist"], steps=steps)
    asked: dict[str, Any] = {"knobs": ("base",), "arms": ("no regularizer", "MMD + predictability")}
    frame = pd.concat(ablate(replace(setting, dim=dim), seeds, **asked) for dim in dims)
    return write("ablations_fashion_mnist_long", frame, seeds=list(seeds), settings={**described(setting), "dim": list(dims)})


def record_architectures(name: str = "architecture", seeds: Sequence[int] = range(5)) -> Recorded:
    """Run page 04's comparison of networks on CIFAR-10's images, `name` of `ARCHITECTURES`, and record it."""
    setting, kinds, arms = ARCHITECTURES[choice("name", name, list(ARCHITECTURES))]
    frame = architectures(setting, seeds, kinds=kinds, arms=arms)
    return write(f"ablations_{name}", frame, seeds=list(seeds), settings={**described(setting), "channels": CHANNELS})
