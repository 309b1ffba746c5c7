"""Regularizers of 64 and 512 latents: MMD, sliced MMD, SIGReg, sliced Wasserstein and the predictability penalty."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from sculptlab.evaluation import c2st
from sculptlab.independence import lps_curve
from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.studies.ablations import effective_rank
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.settings import PreparedImages, Setting
from sculptlab.training.objectives import MMD, Objective, Predictability, Reconstruction, SIGReg, SlicedMMD, SlicedWasserstein
from sculptlab.training.run import Run
from sculptlab.validation import choice

TOLERANCE = 0.1  # of the relative error on training images that are set aside, when a weight is chosen
FITTED, PREDICTED, EVALUATED = 5000, 4, 2000  # codes that LPS learns from, latents that it predicts, codes in the C2ST
DIRECTIONS = 64  # of everything that is sliced
PLAIN = "no regularizer"
MANY_LATENTS = {
    64: Setting("fashion_mnist", 64, components=128, steps=1000, width=128, rows=20_000),
    512: Setting("fashion_mnist", 512, components=512, steps=400, width=512, rows=20_000),
}


def regularizers(dim: int) -> dict[str, tuple[Callable[[float], Objective], tuple[float, ...]]]:
    """The regularizers that are compared at `dim` latents: name -> (objective of a weight, the weights that are tried)."""
    prior = Gaussian(dim)
    return {
        "MMD": (lambda w: MMD(prior, w), (1.0, 10.0, 100.0, 1000.0)),
        "sliced Wasserstein": (lambda w: SlicedWasserstein(prior, w, projections=DIRECTIONS), (0.1, 1.0, 10.0, 100.0)),
        "sliced MMD": (lambda w: SlicedMMD(prior, w, directions=DIRECTIONS), (1.0, 10.0, 100.0, 1000.0)),
        "SIGReg": (lambda w: SIGReg(w, directions=DIRECTIONS), (0.01, 0.1, 1.0, 10.0)),
        "predictability": (lambda w: Predictability(w, width=16, rounds=2), (0.01, 0.1, 1.0, 10.0)),
    }


def choose_weights(images: PreparedImages, *, tolerance: float = TOLERANCE) -> dict[str, float]:
    """For each of `regularizers` the largest weight whose error is within `tolerance` of the plain autoencoder's.

    All are trained with seed 0 on nine tenths of the training images; the error is that of the rest. Where no weight is within
    the tolerance, the smallest is taken.
    """
    part = images.set_aside(0.1)
    plain, chosen = part.error(part.train(Reconstruction(), 0)), {}
    for name, (objective, weights) in regularizers(images.setting.dim).items():
        errors = {weight: part.error(part.train(objective(weight), 0)) for weight in weights}
        chosen[name] = max((w for w, error in errors.items() if error <= (1 + tolerance) * plain), default=min(weights))
    return chosen


def compare_regularizers(
    images: PreparedImages, weights: Mapping[str, float], seeds: Iterable[int], **options: Any
) -> pd.DataFrame:
    """Train the plain autoencoder and each regularizer with its weight; a row for each model and evaluator of LPS.

    LPS is learned from training codes and scored on held-out ones; seconds are CPU time of the training.
    """
    setting, known = images.setting, regularizers(images.setting.dim)
    goals = {PLAIN: Reconstruction(), **{name: known[name][0](weight) for name, weight in weights.items()}}

    def train(objective: Objective, seed: int) -> tuple[Run, float]:
        started = time.process_time()
        return images.train(objective, seed), time.process_time() - started

    def evaluate(_: Objective, trained: tuple[Run, float], seed: int) -> list[dict[str, Any]]:
        run, seconds = trained
        z, unseen = run.encode(images.training[:FITTED]), run.encode(images.held_out)
        drawn = Gaussian(setting.dim).sample(EVALUATED, torch.Generator().manual_seed(seed))
        common = {"reconstruction_mse": images.error(run), "rank": effective_rank(unseen), "seconds": seconds}
        common["c2st"] = c2st(unseen[:EVALUATED], drawn, seed).accuracy
        found = []
        for regressor in ("linear", "mlp"):
            scores = lps_curve(
                z, unseen, regressor, rows=(len(z),), latents=min(PREDICTED, z.shape[1]), permutations=0, seed=seed
            )
            found += [{**row, **common, "regressor": regressor} for row in scores.frame.to_dict("records")]
        return found

    constant = {"data": setting.data, "dim": setting.dim}
    frame = run_study(goals, seeds, train, evaluate, columns="objective", constant=constant, **options)
    plain = frame.loc[frame["objective"] == PLAIN, "reconstruction_mse"].mean()
    return frame.assign(weight=frame["objective"].map(weights), relative_error=frame["reconstruction_mse"] / plain)


def record_many_latents(dim: int, seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Choose the weights at `dim` latents (a key of `MANY_LATENTS`), compare the regularizers and record "many_latents_DIM"."""
    images = PreparedImages.of(MANY_LATENTS[int(choice("dim", str(dim), [str(d) for d in MANY_LATENTS]))])
    weights = choose_weights(images)
    settings = {**vars(images.setting), "weights": weights, "tolerance": TOLERANCE}
    return record_result(f"many_latents_{dim}", compare_regularizers(images, weights, seeds), seeds=seeds, settings=settings)
