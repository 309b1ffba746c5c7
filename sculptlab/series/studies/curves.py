"""Studies of how LPS grows with the number of codes: is a sculpted autoencoder independent, or is its judge short of codes?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from tqdm.auto import tqdm

from sculptlab.independence.curve import lps_curve
from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, write
from sculptlab.series.studies.sculpting import FRONTIERS, GAME, WEIGHT, Prepared, described, marginal
from sculptlab.training.objectives import KL, MMD, Objective, Predictability, Reconstruction
from sculptlab.validation import choice

PREDICTED = 16  # latents that trees predict, each from all the others: at 64 all of them would take an hour
STRONG = Predictability(GAME, rounds=8)  # of 2, 8 and 16 rounds and 64 and 256 units, judged on training images of another seed


@dataclass(frozen=True)
class Curves:
    """A frontier whose models are judged again, with which numbers of codes, and which of the `contenders` (None: all).

    beta: of the KL method, at about the others' price.
    """

    frontier: str
    beta: float
    rows: tuple[int, ...]
    only: tuple[str, ...] | None = None


CURVES: dict[str, Curves] = {
    "cifar10_16": Curves("cifar10_16", 0.2, (1000, 4000, 16_000, 50_000)),
    # MMD alone and KL leave .6 and more that 2,000 codes show already; three arms take an hour as it is
    "cifar10_64": Curves(
        "cifar10_64",
        0.01,
        (1000, 4000, 16_000, 50_000),
        only=("no regularizer", "marginal MMD + predictability", "marginal MMD + strong predictability"),
    ),
    "tiny_imagenet_32": Curves("tiny_imagenet_32", 0.1, (1000, 2000, 4000, 6667)),
}


def contenders(dim: int, beta: float) -> dict[str, Objective]:
    """The objectives that are compared at `dim` latents, by the names they get in the table."""
    prior = Gaussian(dim)
    return {
        "no regularizer": Reconstruction(),
        f"beta {beta:g}": KL(beta=beta),
        "MMD": MMD(prior, WEIGHT),
        "MMD + predictability": MMD(prior, WEIGHT) + Predictability(GAME),
        "marginal MMD + predictability": marginal(dim) + Predictability(GAME),
        "marginal MMD + strong predictability": marginal(dim) + STRONG,
    }


def curves(
    prepared: Prepared,
    objectives: Mapping[str, Objective],
    rows: Sequence[int],
    seeds: Iterable[int],
    *,
    regressors: Sequence[str] = ("mlp", "boosting"),
    progress: bool = True,
) -> pd.DataFrame:
    """Train every objective and seed; LPS by regressors fitted to n codes (a VAE's means) of training images, scored on all
    held-out images.

    A row per objective, seed, regressor and n: score, worst, floor as in `lps_curve`; price, the held-out error over the plain
    autoencoder's mean.
    """
    found = []
    for seed, name in tqdm([(s, o) for s in seeds for o in objectives], disable=not progress, unit="model"):
        run = prepared.train(objectives[name], seed)
        z, held_out = run.encode(prepared.training), run.encode(prepared.held_out)
        common = {"objective": name, "seed": seed, "reconstruction_mse": prepared.error(run)}
        for regressor in regressors:
            latents = min(PREDICTED, z.shape[1]) if regressor == "boosting" else None
            frame = lps_curve(z, held_out, regressor, rows=rows, latents=latents, seed=seed).frame
            found.append(frame.assign(**common, regressor=regressor, scored=len(held_out)))
    table = pd.concat(found, ignore_index=True)
    plain = table.loc[table["objective"] == "no regularizer", "reconstruction_mse"].mean()
    return table.assign(price=table["reconstruction_mse"] / plain)


def record_curves(name: str, seeds: Sequence[int] = range(5)) -> Recorded:
    """Run page 04's study `name` (of `CURVES`) and record it as "curves_NAME"."""
    plan = CURVES[choice("name", name, list(CURVES))]
    setting = FRONTIERS[plan.frontier]
    goals = contenders(setting.dim, plan.beta)
    frame = curves(Prepared.of(setting), {name: goals[name] for name in plan.only or goals}, plan.rows, seeds)
    return write(
        f"curves_{name}", frame, seeds=list(seeds), settings={**described(setting), **vars(plan), "strong": repr(STRONG)}
    )
