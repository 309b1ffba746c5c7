"""The recipe of semantic alignment: warm starts at rotated components, an isometry penalty, restarts chosen without labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import ortho_group
from torch import Tensor

from sculptlab import factors
from sculptlab.mmd import mmd2
from sculptlab.priors import Prior
from sculptlab.series.studies.alignment_cases import SpriteSet
from sculptlab.series.studies.principal_components import warm_start
from sculptlab.training.loop import fit_to_the_end
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import MMD, Isometry, Objective
from sculptlab.training.objectives.isometry import distortion
from sculptlab.training.run import Run
from sculptlab.validation import SEEDS

WIDTH, LEARNING_RATE = 128, 2e-3
MMD_WEIGHT, ISOMETRY_WEIGHT = 30.0, 3.0  # nats per unit
WARM_STEPS, STEPS = 200, 500  # of the warm start; of the training with the isometry penalty
RESTARTS = 3
EVALUATED = 2000  # codes that distortion and the choice of a restart are computed on


def alignment_network(sprites: SpriteSet, seed: int) -> Any:
    """An untrained mlp on the components, with the case's number of latents."""
    shape, dim = (sprites.case.components,), sprites.case.dim
    return build_autoencoder("mlp", image_shape=shape, dim=dim, width=WIDTH, output="linear", seed=seed)


def warm_started(sprites: SpriteSet, seed: int, turn: float | None = None, *, rotate: bool = True) -> Any:
    """An `alignment_network` trained to the leading components, rotated by `turn` (radians; two latents) or at random.

    Without rotation the components of a moving object may happen to be its factors, whatever the prior.
    """
    model = alignment_network(sprites, seed)
    if turn is None:
        matrix = ortho_group.rvs(model.dim, random_state=seed) if rotate else np.eye(model.dim, dtype=np.float32)
    else:
        matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]], np.float32)
    warm_start(model, sprites.training, turn=matrix, steps=WARM_STEPS, seed=seed)
    return model


def continue_training(
    sprites: SpriteSet, model: Any, objective: Objective, steps: int, seed: int, learning_rate: float = LEARNING_RATE
) -> Run:
    """Train `model`, as it is, on the case's components."""
    return fit_to_the_end(model, sprites.training, objective, steps=steps, seed=seed, learning_rate=learning_rate, progress=False)


def restarts(
    sprites: SpriteSet,
    prior: Prior,
    seed: int,
    *,
    isometry: bool = True,
    warm: bool = True,
    count: int = RESTARTS,
    steps: int = 0,
) -> tuple[list[Run], pd.DataFrame]:
    """Train `count` models with two latents from different starts; return the runs and a row for each.

    Starts are the leading components, at rotations spread over a right angle, or random networks (`warm` False). `isometry`
    False leaves out that penalty; `steps` 0 takes `STEPS`. Columns: turn (degrees), what can be measured without labels on
    training images (distortion, training error, training mmd2), and aligned, which is not used to choose.
    """
    first = np.random.default_rng(seed).uniform(0, math.pi / 2)
    objective = MMD(prior, MMD_WEIGHT) + Isometry(ISOMETRY_WEIGHT) if isometry else MMD(prior, MMD_WEIGHT)
    runs, rows = [], []
    for k in range(count):
        turn, start = (first + k * math.pi / 2 / count) % (math.pi / 2), (1000 * seed + k) % SEEDS
        model = warm_started(sprites, start, turn) if warm else alignment_network(sprites, start)
        run = continue_training(sprites, model, objective, steps or STEPS, seed)
        images = sprites.training[:EVALUATED]
        z = run.encode(images)
        runs.append(run)
        rows.append({
            "restart": k,
            "turn": math.degrees(turn),
            "distortion": _distortion(run, z),
            "training error": run.reconstruction_error(images) / images.var(0, correction=0).mean().item(),
            "training mmd2": _mmd2_to(prior, z, 1),
            "aligned": sprites.alignment(run.encode(sprites.held_out))["aligned"],
        })  # fmt: skip
    return runs, pd.DataFrame(rows)


def fit_measures(sprites: SpriteSet, run: Run, z: Tensor, prior: Prior) -> dict[str, float]:
    """Reconstruction error, folds, MMD^2 to the prior and distortion of a trained model with codes z of held-out images."""
    measures = {"error": sprites.error(run), "folded": sprites.folds(run)}
    return {**measures, "mmd2": _mmd2_to(prior, z, 2), "distortion": _distortion(run, z[:EVALUATED])}


def _distortion(run: Run, z: Tensor) -> float:
    with torch.no_grad():
        return distortion(run.model, z.to(next(run.model.parameters())), generator=torch.Generator().manual_seed(0)).item()


def _mmd2_to(prior: Prior, z: Tensor, seed: int) -> float:
    return mmd2(z, prior.sample(len(z), torch.Generator().manual_seed(seed))).item()


def alignment_scores(sprites: SpriteSet, z: Tensor, seed: int = 0) -> dict[str, float]:
    """Alignment by factor and on average, MIG, DCI disentanglement (random forests) and SAP of codes of held-out images."""
    known = sprites.case.varying(sprites.values)
    options: dict[str, Any] = {"baselines": False, "seed": seed}  # `reference_scores` has the baselines
    return {
        **sprites.alignment(z),
        "MIG": factors.mig(z, known, **options).score,
        "DCI disentanglement": factors.dci(z, known, estimator="forest", **options).score,
        "SAP": factors.sap(z, known, **options).score,
    }


def reference_scores(sprites: SpriteSet, seed: int) -> list[dict[str, Any]]:
    """The best and the chance values of the scores: of the factors as the mirror prior has them ("ideal"), and of noise."""
    noise = torch.randn(
        len(sprites.values), sprites.case.dim, generator=torch.Generator().manual_seed(seed), device="cpu", dtype=torch.float32
    )
    codes = {"ideal": sprites.case.ideal(sprites.values), "noise": noise}
    return [{"condition": name, "seed": seed, **alignment_scores(sprites, z, seed)} for name, z in codes.items()]
