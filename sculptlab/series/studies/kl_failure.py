"""The study of page 01: KL objectives over data, latents, betas and seeds, evaluated against the prior N(0, I)."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from sculptlab.data import Dataset
from sculptlab.evaluation.diagnosis import INACTIVE_BELOW, PRIOR_ROW, diagnose
from sculptlab.independence.dependence import distance_correlation
from sculptlab.plots.figures import most_dependent
from sculptlab.priors import Gaussian
from sculptlab.series.results import COLUMNS, Recorded, record_result
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.settings import Objectives, train_and_test, train_autoencoder
from sculptlab.training.objectives import DIP, KL, BetaTC, FactorVAE, InfoVAE, Objective, Reconstruction
from sculptlab.training.objectives.divergences import kl_to_standard_normal
from sculptlab.training.run import Run

BETAS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
RELATIVES: dict[str, Objective] = {
    "no regularizer": Reconstruction(likelihood="bernoulli"),
    "beta-TC": BetaTC(beta=6.0, likelihood="bernoulli"),
    "DIP-I": DIP(weight=10.0, kind="I", likelihood="bernoulli"),
    "DIP-II": DIP(weight=10.0, kind="II", likelihood="bernoulli"),
    "FactorVAE": FactorVAE(gamma=35.0, width=200, depth=4, likelihood="bernoulli"),
    "InfoVAE": InfoVAE(alpha=0.0, lambda_=1000.0, likelihood="bernoulli"),
}


def beta_sweep(betas: Iterable[float] = BETAS) -> dict[str, Objective]:
    """A beta-VAE with a Bernoulli decoder for each beta, by the name it gets in a study's table."""
    return {f"beta {beta:g}": KL(beta=beta, likelihood="bernoulli") for beta in betas}


def evaluate_vae(run: Run, held_out: Dataset) -> list[dict[str, Any]]:
    """A row for each kind of code (means, samples) of held-out images, compared with N(0, I).

    The columns of `diagnose(...).joint`, the errors and KL, as far as `results.COLUMNS` describes them.
    """
    codes = run.codes(held_out, seed=run.seed)
    joint = diagnose(codes, Gaussian(run.model.dim), seed=run.seed).joint
    baseline = held_out.images.float().var(0, correction=0).mean().item()
    common: dict[str, Any] = {"reconstruction_mse": run.reconstruction_error(held_out), "baseline_mse": baseline}
    if run.model.stochastic:
        kl = kl_to_standard_normal(run.posterior(held_out)).mean(0)
        common |= {"kl": kl.sum().item(), "active": int((kl > 0.01).sum())}
    chance = {f"chance_{name}": joint.loc[PRIOR_ROW, name] for name in ("mmd2", "c2st", "coverage_gap", "distance_correlation")}
    shown = [name for name in joint if name in COLUMNS]
    return [{"codes": kind, **common, **{str(k): v for k, v in joint.loc[kind, shown].items()}, **chance} for kind in codes]


def kl_study(
    data: str, dims: Iterable[int], objectives: Objectives, seeds: Iterable[int], *, steps: int, width: int = 128, **options: Any
) -> pd.DataFrame:
    """Train a stochastic mlp for every number of latents, objective and seed; one row for each model and kind of code."""
    training, held_out = train_and_test(data)

    def train(condition: tuple[int, str], seed: int) -> Run:
        dim, name = condition
        return train_autoencoder(training, objectives[name], dim=dim, steps=steps, width=width, stochastic=True, seed=seed)

    options |= {"columns": ("dim", "objective"), "constant": {"data": data}}
    return run_study(product(dims, objectives), seeds, train, lambda _, run, seed: evaluate_vae(run, held_out), **options)


def record_kl_failure(name: str, seeds: Sequence[int] = range(5), *, steps: int = 1500, width: int = 128) -> Recorded:
    """Run page 01's study on the data set `name` and record it: betas and relatives, 2 and 10 latents, all seeds.

    The first seed's codes of 400 held-out images are recorded, too: arrays "<dim>|<objective>|means", "...|samples" and
    "labels". Of ten latents these are the two whose means depend most on each other.
    """
    shown = train_and_test(name)[1].subset(range(400))
    arrays: dict[str, np.ndarray] = {"labels": np.asarray(shown.labels, dtype=np.uint8)}

    def keep(condition: tuple[int, str], seed: int, run: Run) -> dict[str, np.ndarray]:
        if seed != seeds[0]:
            return {}
        codes = run.codes(shown, seed=seed)
        pair, (dim, name) = most_dependent_pair(codes["means"]), condition
        return {f"{dim}|{name}|{kind}": z[:, pair].numpy().astype(np.float16) for kind, z in codes.items()}

    objectives = beta_sweep() | RELATIVES
    frame = kl_study(name, (2, 10), objectives, seeds, steps=steps, width=width, keep=keep, arrays=arrays)
    relatives = list(map(repr, RELATIVES.values()))
    settings = {"steps": steps, "width": width, "batch_size": 256, "likelihood": "bernoulli", "relatives": relatives}
    return record_result(f"kl_failure_{name}", frame, seeds=seeds, settings=settings, arrays=arrays)


def most_dependent_pair(codes: Tensor) -> list[int]:
    """The two columns of codes (n, d) with the largest distance correlation; inactive latents (std below 0.05) come last."""
    matrix = distance_correlation(codes).nan_to_num(-1.0)
    inactive = codes.std(0) < INACTIVE_BELOW
    matrix[inactive[:, None] | inactive[None, :]] = -1.0
    return list(most_dependent(matrix.numpy()))
