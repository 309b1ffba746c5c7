"""MNIST in pixels: a standard VAE beside autoencoders whose codes a distance, a penalty or a map after training shapes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from sculptlab.data import Dataset
from sculptlab.evaluation import c2st
from sculptlab.evaluation.two_samples import hold_out
from sculptlab.priors import Gaussian
from sculptlab.series.results import Recorded, record_result
from sculptlab.series.rivals import DISTANCE_WEIGHTS, PLAIN
from sculptlab.series.studies.evaluators import lps_scores
from sculptlab.series.studies.principal_components import PrincipalComponents
from sculptlab.series.studies.runner import run_study
from sculptlab.series.studies.samples import LEADING, sample_quality
from sculptlab.series.studies.scorecard import ASIDE, TOLERANCE, active_latents, chosen_weights, relative_to_plain
from sculptlab.series.studies.settings import train_and_test, train_autoencoder
from sculptlab.training.objectives import KL, MMD, Objective, Predictability, Reconstruction
from sculptlab.training.run import Run

TRAINING = {"dim": 16, "steps": 2000, "width": 256, "batch_size": 128, "learning_rate": 1e-3}
ROWS, EVALUATED = 20_000, 2000  # training images; held-out codes that are evaluated
RESHAPED = "plain + Reshaper"
BERNOULLI = "bernoulli"
# weights that are tried, and the objective of a weight; the standard VAE has the weight 1 by definition
OBJECTIVES: dict[str, tuple[tuple[float, ...], Callable[[float], Objective]]] = {
    PLAIN: ((0.0,), lambda _: Reconstruction(likelihood=BERNOULLI)),
    "standard VAE": ((1.0,), lambda w: KL(w, likelihood=BERNOULLI)),
    "MMD": (DISTANCE_WEIGHTS, lambda w: MMD("gaussian", w, likelihood=BERNOULLI)),
    "MMD + predictability": (
        (0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
        lambda w: MMD("gaussian", 100.0, likelihood=BERNOULLI) + Predictability(w, likelihood=BERNOULLI),
    ),
}


@dataclass(frozen=True, eq=False)
class Digits:
    """Training and held-out images."""

    training: Dataset
    held_out: Dataset

    def set_aside(self, share: float) -> Digits:
        """The same with a share of the training images, drawn at random, in place of the held-out ones."""
        kept, aside = hold_out(len(self.training), share)
        return Digits(self.training.subset(kept), self.training.subset(aside))

    @cached_property
    def leading(self) -> PrincipalComponents:
        """The leading principal components of the training images, in which samples are compared."""
        return PrincipalComponents.fit(self.training.images, LEADING)

    def train(self, cell: tuple[str, float], seed: int, **training: Any) -> Run:
        """Train an mlp on pixels with the objective of `cell`, a name of `OBJECTIVES` and a weight."""
        objective = OBJECTIVES[cell[0]][1](cell[1])
        return train_autoencoder(self.training, objective, seed=seed, stochastic=objective.needs_posterior, **training)

    def measures(self, run: Run, seed: int, *, quick: bool = False) -> dict[str, Any]:
        """Errors of held-out images and LPS by networks; without `quick` all other columns too.

        Of a stochastic encoder, reconstruction_mse, cross_entropy and LPS are of the means; drawn_mse, drawn_cross_entropy and
        c2st are of draws of the posteriors. The decoded draws of N(0, I) are compared with held-out images.
        """
        codes = run.codes(self.held_out, seed=seed)
        z, drawn = (codes["means"], codes["samples"]) if "means" in codes else (codes["codes"], codes["codes"])
        active = active_latents(z[:EVALUATED])
        found = {
            **errors(run.decode(z), self.held_out.images, ""), "active_latents": active.shape[1], "evaluated": len(z[:EVALUATED]),
            **lps_scores(active, ("mlp",) if quick else ("mlp", "boosting", "squares"), seed=seed),
        }  # fmt: skip
        if quick:
            return found
        prior_draws = Gaussian(z.shape[1]).sample(EVALUATED, torch.Generator().manual_seed(1000 + seed))
        made, reference = (self.leading.project(x) for x in (run.decode(prior_draws), self.held_out.images[:EVALUATED]))
        found |= errors(run.decode(drawn), self.held_out.images, "drawn_")
        return found | {"c2st": c2st(drawn[:EVALUATED], prior_draws, seed).accuracy, **sample_quality(made, reference, seed)}


def errors(made: Tensor, images: Tensor, prefix: str) -> dict[str, float]:
    """Squared error per pixel and Bernoulli cross-entropy (nats per image) of images `made` (n, ...) from `images`."""
    target = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    entropy = functional.binary_cross_entropy(made, target.reshape(made.shape), reduction="sum").item() / len(made)
    mse = (made - target.reshape(made.shape)).square().mean().item()
    return {"reconstruction_mse" if not prefix else "drawn_mse": mse, f"{prefix}cross_entropy": entropy}


def compare(
    digits: Digits, cells: Sequence[tuple[str, float]], seeds: Sequence[int], kind: str, *, quick: bool = False, **options: Any
) -> pd.DataFrame:
    """Train every cell with every seed; a row of `Digits.measures` for each, and one of the plain one reshaped to N(0, I).

    `options` replace parts of `TRAINING`; `progress` as in `run_study`.
    """
    progress = options.pop("progress", True)

    def train(cell: tuple[str, float], seed: int) -> tuple[Run, float]:
        started = time.process_time()
        return digits.train(cell, seed, **{**TRAINING, **options}), time.process_time() - started

    def evaluate(cell: tuple[str, float], trained: tuple[Run, float], seed: int) -> list[dict[str, Any]]:
        rows = [{**digits.measures(trained[0], seed, quick=quick), "seconds": trained[1]}]
        if cell[0] == PLAIN and not quick:
            started = time.process_time()
            reshaped = trained[0].reshape("gaussian", digits.training, seed=seed)
            seconds = trained[1] + time.process_time() - started
            rows.append({"method": RESHAPED, **digits.measures(reshaped, seed), "seconds": seconds})
        return rows

    constant = {"kind": kind, "data": digits.training.name, "dim": {**TRAINING, **options}["dim"]}
    return relative_to_plain(
        run_study({cell: cell for cell in cells}, seeds, train, evaluate, columns=("method", "weight"), constant=constant,
                  may_diverge=True, progress=progress)
    )  # fmt: skip


def record_standard_vae(seeds: Sequence[int] = range(1, 6)) -> Recorded:
    """Choose the weights with seed 0 on training images that are set aside, by the scorecard's rule, and compare with `seeds`.

    The test images are seen by the rows of kind "chosen" alone.
    """
    training, held_out = train_and_test("mnist")
    digits = Digits(training.subset(range(ROWS)), held_out)
    grid = [(name, weight) for name, (weights, _) in OBJECTIVES.items() for weight in weights]
    tried = compare(digits.set_aside(ASIDE), grid, [0], "tried", quick=True)
    chosen = compare(digits, list(chosen_weights(tried).items()), seeds, "chosen")
    settings = {**TRAINING, "rows": ROWS, "evaluated": EVALUATED, "leading": LEADING, "tolerance": TOLERANCE, "aside": ASIDE}
    return record_result("standard_vae_mnist", pd.concat([tried, chosen], ignore_index=True), seeds=seeds, settings=settings)
