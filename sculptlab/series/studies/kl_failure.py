"""A study: the same measurements on every model of a grid of data, dimensions, objectives and seeds."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor
from tqdm.auto import tqdm

from sculptlab.data.datasets import Dataset, load
from sculptlab.evaluation.diagnosis import INACTIVE_BELOW, diagnose
from sculptlab.independence.dependence import distance_correlation
from sculptlab.plots.figures import most_dependent
from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, write
from sculptlab.training.loop import fit
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import DIP, KL, BetaTC, FactorVAE, InfoVAE, Objective, Reconstruction
from sculptlab.training.objectives.divergences import kl_to_standard_normal
from sculptlab.training.run import Run

HELD_OUT = 1 / 3  # of a set without an official test split
POINTS = 400  # codes kept of each model for pictures
BETAS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
RELATIVES: dict[str, Objective] = {
    "no regularizer": Reconstruction(likelihood="bernoulli"),
    "beta-TC": BetaTC(beta=6.0, likelihood="bernoulli"),
    "DIP-I": DIP(weight=10.0, kind="I", likelihood="bernoulli"),
    "DIP-II": DIP(weight=10.0, kind="II", likelihood="bernoulli"),
    "FactorVAE": FactorVAE(gamma=35.0, width=200, depth=4, likelihood="bernoulli"),
    "InfoVAE": InfoVAE(alpha=0.0, lambda_=1000.0, likelihood="bernoulli"),
}


def train_and_test(name: str) -> tuple[Dataset, Dataset]:
    """The official training and test images of `name`, or two thirds and one third of a set that has no such split."""
    everything = load(name)
    if name in ("mnist", "fashion_mnist", "cifar10"):
        return everything, load(name, split="test")
    return everything.split(test=HELD_OUT, seed=0)


@dataclass(frozen=True)
class Cell:
    """One model of a study's grid."""

    data: str
    dim: int
    objective: str
    seed: int


def measure(run: Run, held_out: Dataset) -> list[dict[str, Any]]:
    """A row for each kind of code the run has (means, samples), measured on held-out images against N(0, I).

    codes                  "means" or "samples" ("codes" for a deterministic encoder)
    reconstruction_mse     mean squared error per pixel through the means; baseline_mse: that of the held-out images' mean image
    kl                     KL(q(z|x) || N(0, I)), nats per image; active: latents with more than 0.01 nats
    the columns of `diagnose(...).joint`: mmd2, mmd_p, c2st, largest_correlation, distance_correlation, dead …
    """
    codes = run.codes(held_out, seed=run.seed)
    joint = diagnose(codes, Gaussian(run.model.dim), seed=run.seed).joint
    common: dict[str, Any] = {
        "reconstruction_mse": run.reconstruction_error(held_out),
        "baseline_mse": held_out.images.float().var(0, correction=0).mean().item(),
    }
    if run.model.stochastic:
        kl = kl_to_standard_normal(run.posterior(held_out)).mean(0)
        common |= {"kl": kl.sum().item(), "active": int((kl > 0.01).sum())}
    floor = {
        f"chance_{column}": joint.loc["prior", column] for column in ("mmd2", "c2st", "coverage_gap", "distance_correlation")
    }
    return [{"codes": name, **common, **{str(k): v for k, v in joint.loc[name].items()}, **floor} for name in codes]


def train(cell: Cell, objective: Objective, data: Dataset, *, steps: int, width: int = 128) -> Run:
    """The model of one cell: an mlp autoencoder with a stochastic encoder, weights and batches drawn from the cell's seed."""
    model = build_autoencoder("mlp", image_shape=data.image_shape, dim=cell.dim, stochastic=True, width=width, seed=cell.seed)
    return fit(model, data, objective, steps=steps, seed=cell.seed, progress=False)


def study(
    sets: Iterable[str],
    dims: Iterable[int],
    objectives: Mapping[str, Objective],
    seeds: Iterable[int],
    *,
    steps: int,
    width: int = 128,
    on_run: Callable[[Cell, Run, Dataset], None] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Train and measure every combination; one row per model and kind of code, with the cell's columns first.

    sets        names of data sets (`load`); training images train, held-out images are measured (`train_and_test`)
    objectives  by the name they get in the table
    steps       of training, each with a batch of 256 and Adam 1e-3 falling along a cosine
    width       hidden units of the mlp
    on_run      called with each cell, its run and the held-out images, to keep codes or pictures
    """
    rows: list[dict[str, Any]] = []
    grid = list(_grid(sets, dims, objectives, seeds))
    loaded: dict[str, tuple[Dataset, Dataset]] = {}
    for cell in tqdm(grid, disable=not progress, unit="model"):
        if cell.data not in loaded:
            loaded = {cell.data: train_and_test(cell.data)}
        train_set, held_out = loaded[cell.data]
        run = train(cell, objectives[cell.objective], train_set, steps=steps, width=width)
        rows += [{**vars(cell), **row} for row in measure(run, held_out)]
        if on_run is not None:
            on_run(cell, run, held_out)
    return pd.DataFrame(rows)


def beta_sweep(betas: Iterable[float] = BETAS) -> dict[str, Objective]:
    """A beta-VAE with a Bernoulli decoder for each beta, by the name it gets in a study's table."""
    return {f"beta {beta:g}": KL(beta=beta, likelihood="bernoulli") for beta in betas}


def record_kl_failure(name: str, seeds: Sequence[int] = range(5), *, steps: int = 1500, width: int = 128) -> Recorded:
    """Run page 01's study on the data set `name` and record it: betas and relatives, d = 2 and 10, all seeds.

    Besides the table, the first seed's codes of 400 held-out images are kept for pictures: at d = 10 of the two latents
    whose means depend most on each other. Array names: "<dim>|<objective>|means", "…|samples", and "labels".
    """
    arrays: dict[str, np.ndarray] = {}

    def keep(cell: Cell, run: Run, held_out: Dataset) -> None:
        if cell.seed == seeds[0]:
            shown = held_out.subset(range(POINTS))
            arrays["labels"] = np.asarray(shown.labels, dtype=np.uint8)
            codes = run.codes(shown, seed=cell.seed)
            pair = most_dependent_pair(codes["means"])
            arrays.update({f"{cell.dim}|{cell.objective}|{k}": z[:, pair].numpy().astype(np.float16) for k, z in codes.items()})

    frame = study([name], (2, 10), beta_sweep() | RELATIVES, seeds, steps=steps, width=width, on_run=keep)
    settings = {
        "steps": steps,
        "width": width,
        "batch_size": 256,
        "likelihood": "bernoulli",
        "relatives": list(map(repr, RELATIVES.values())),
    }
    return write(f"kl_failure_{name}", frame, seeds=list(seeds), settings=settings, arrays=arrays)


def most_dependent_pair(codes: Tensor) -> list[int]:
    """The two columns of codes (n, d) with the largest distance correlation; dead ones (std below 0.05) come last."""
    matrix = distance_correlation(codes).nan_to_num(-1.0)
    dead = codes.std(0) < INACTIVE_BELOW
    matrix[dead[:, None] | dead[None, :]] = -1.0
    return list(most_dependent(matrix.numpy(), 1)[0])


def _grid(sets: Iterable[str], dims: Iterable[int], objectives: Iterable[str], seeds: Iterable[int]) -> Iterator[Cell]:
    dims, objectives, seeds = list(dims), list(objectives), list(seeds)
    for data in sets:
        for dim in dims:
            for objective in objectives:
                yield from (Cell(data, dim, objective, seed) for seed in seeds)
