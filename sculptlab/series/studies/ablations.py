"""Ablations of page 04: the kernel, weight, batch size, number of latents and network, each varied alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pandas as pd
from torch import Tensor

from sculptlab.independence.dependence import correlation
from sculptlab.mmd.kernels import IMQ, RBF, Laplacian
from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.evaluators import QUICK_LPS, independence_measures
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.sculpting import JOINT_WEIGHT, PENALTY_WEIGHT, recorded_settings
from sculptlab.series.studies.settings import PreparedImages, Setting, train_and_test, train_autoencoder
from sculptlab.training.models import ARCHITECTURES
from sculptlab.training.objectives import MMD, EnergyDistance, Objective, Predictability, Reconstruction, SlicedWasserstein
from sculptlab.training.run import Run
from sculptlab.validation import choice

Chosen = Sequence[str] | None

CONDITIONS = ("no regularizer", "MMD", "MMD + predictability")
CHANNELS = 16  # of the first convolution
COMPONENTS = Setting("cifar10", 16, components=128, steps=700, width=128, rows=20_000, evaluated=2000)
FASHION = replace(COMPONENTS, data="fashion_mnist")
PIXELS = replace(COMPONENTS, components=3072, steps=500)  # all components of CIFAR-10
# recorded study -> its setting and options of `ablate`, or of `architectures` where these are kinds of networks
ABLATIONS: dict[str, tuple[Setting, dict[str, Any]]] = {
    "cifar10": (COMPONENTS, {}),
    "fashion_mnist": (FASHION, {"hyperparameters": ("base", "dim")}),
    # do longer trainings make those latents and networks independent that short ones do not?
    "fashion_mnist_long": (replace(FASHION, steps=4000), {"hyperparameters": ("base",), "conditions": CONDITIONS[::2]}),
    "architecture": (PIXELS, {"kinds": ARCHITECTURES}),
    "architecture_long": (replace(PIXELS, steps=2000), {"kinds": ("mlp", "conv"), "conditions": CONDITIONS[::2]}),
}


def effective_rank(z: Tensor) -> float:
    """d^2 / sum of squared correlations of codes z (n, d): d if the latents are uncorrelated, 1 if all are duplicates."""
    return z.shape[1] ** 2 / correlation(z).square().sum().item()


def ablations(dim: int) -> list[tuple[str, str, Objective, dict[str, Any]]]:
    """(hyperparameter, value, regularizer, changes of the setting); each differs from the first, the base, in one choice.

    Kernels of one term get seven times the weight of IMQ, which sums seven terms, so that the kernels agree at distance 0.
    """
    prior, single = Gaussian(dim), 7 * JOINT_WEIGHT
    kernels: dict[str, Objective] = {
        "IMQ, one scale": MMD(prior, single, IMQ(scales=(1.0,))),
        "RBF": MMD(prior, single, RBF()),
        "Laplace": MMD(prior, single, Laplacian()),
        "energy": EnergyDistance(prior),
        "sliced Wasserstein": SlicedWasserstein(prior),
    }
    median = RBF().fit(prior).width
    return [
        ("base", "", MMD(prior, JOINT_WEIGHT), {}),
        *(("kernel", name, term, {}) for name, term in kernels.items()),
        *(("bandwidth", f"{f:g}", MMD(prior, single, RBF(f * median)), {}) for f in (0.25, 4.0)),
        *(("weight", f"{w:g}", MMD(prior, w), {}) for w in (3.0, 30.0, 1000.0)),
        *(("batch", str(b), MMD(prior, JOINT_WEIGHT), {"batch_size": b}) for b in (64, 1024)),
        *(("dim", str(d), MMD(Gaussian(d), JOINT_WEIGHT), {"dim": d}) for d in (4, 8, 32, 64)),
        ("64 latents", "weight 10", MMD(Gaussian(64), 10.0), {"dim": 64}),
        ("64 latents", "batch 1024", MMD(Gaussian(64), JOINT_WEIGHT), {"dim": 64, "batch_size": 1024}),
    ]


def ablate(
    images: PreparedImages, seeds: Iterable[int], hyperparameters: Chosen = None, conditions: Chosen = None, **options: Any
) -> pd.DataFrame:
    """Train every row of `ablations` with and without the predictability penalty.

    The base and each dim are also trained without regularizer; the base also with the penalty alone and with the squared
    penalty. `hyperparameters` and `conditions` select a part; None: all.
    """
    setting, grid = images.setting, dict[tuple[str, str, str], tuple[Objective, dict[str, Any]]]()
    penalty, squared = (Predictability(PENALTY_WEIGHT, kind, width=64, rounds=2) for kind in ("nats", "square"))
    for hyperparameter, value, term, changes in ablations(setting.dim):
        objectives: dict[str, Objective] = {"MMD": term, "MMD + predictability": term + penalty}
        if hyperparameter in ("base", "dim"):
            objectives["no regularizer"] = Reconstruction()
        if hyperparameter == "base":
            objectives |= {"predictability": penalty, "predictability, squared": squared}
            objectives["MMD + predictability, squared"] = term + squared
        for name, objective in objectives.items():
            if (not hyperparameters or hyperparameter in hyperparameters) and (not conditions or name in conditions):
                grid[hyperparameter, value, name] = (objective, changes)

    def evaluate(_: Any, run: Run, seed: int) -> list[dict[str, Any]]:
        return [_measured(run.encode(images.held_out[: setting.evaluated]), images.error(run), seed)]

    options |= {"columns": ("hyperparameter", "value", "condition"), "constant": {"data": setting.data}}
    return run_study(grid, seeds, lambda goal, seed: images.train(goal[0], seed, **goal[1]), evaluate, **options)


def _measured(z: Tensor, error: float, seed: int) -> dict[str, Any]:
    measures = independence_measures(z, names=QUICK_LPS, seed=seed)
    return {"dim": z.shape[1], "reconstruction_mse": error, "rank": effective_rank(z), **measures}


def architectures(
    setting: Setting, seeds: Iterable[int], kinds: Sequence[str], conditions: Sequence[str] = CONDITIONS, **options: Any
) -> pd.DataFrame:
    """Train networks on the images themselves, not on components; columns and `options` as in `ablate`.

    `setting.width` is the width of the mlp; the other networks start with `CHANNELS` channels.
    """
    training, held_out = train_and_test(setting.data)
    images, mmd = training.images[: setting.rows], MMD(Gaussian(setting.dim), JOINT_WEIGHT)
    objectives = dict(zip(CONDITIONS, (Reconstruction(), mmd, mmd + Predictability(PENALTY_WEIGHT)), strict=True))

    def train(condition: tuple[str, str], seed: int) -> Run:
        kind, name = condition
        return train_autoencoder(
            images, objectives[name], dim=setting.dim, steps=setting.steps, seed=seed, kind=kind,
            width=setting.width if kind == "mlp" else CHANNELS, batch_size=setting.batch_size,
        )  # fmt: skip

    def evaluate(_: Any, run: Run, seed: int) -> list[dict[str, Any]]:
        return [_measured(run.encode(held_out.images[: setting.evaluated]), run.reconstruction_error(held_out.images), seed)]

    options |= {"columns": ("value", "condition"), "constant": {"data": setting.data, "hyperparameter": "architecture"}}
    return run_study(product(kinds, conditions), seeds, train, evaluate, **options)


def record_ablations(name: str, seeds: Sequence[int] = range(5)) -> Recorded:
    """Run page 04's ablation `name` (of `ABLATIONS`) and record it."""
    setting, options = ABLATIONS[choice("name", name, list(ABLATIONS))]
    settings = recorded_settings(setting)
    if "kinds" in options:
        frame, settings["channels"] = architectures(setting, seeds, **options), CHANNELS
    else:
        dims = (8, 16) if name == "fashion_mnist_long" else (setting.dim,)
        frame = pd.concat(ablate(PreparedImages.of(replace(setting, dim=dim)), seeds, **options) for dim in dims)
        settings["dim"] = list(dims) if len(dims) > 1 else setting.dim
    return record_result(f"ablations_{name}", frame, seeds=seeds, settings=settings)
