"""The recipe of semantic alignment: warm starts at turned components, even stretch, restarts judged without labels."""

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
from sculptlab.series.studies.alignment_cases import Sprites
from sculptlab.training.loop import fit
from sculptlab.training.models import build_autoencoder
from sculptlab.training.objectives import MMD, Isometry, Objective
from sculptlab.training.objectives.isometry import distortion
from sculptlab.training.principal_components import warm_start
from sculptlab.training.run import Run

WIDTH, WEIGHT, EVEN = 128, 30.0, 3.0  # units of a layer; nats of MMD^2; nats of the decoder's unevenness
WARM, STEPS = 200, 500  # steps of the warm start and with Isometry
RATE = 2e-3  # learning rate
TURNS = 3  # restarts, spread over a right angle
JUDGED = 2000  # training codes by which a restart is judged, without labels


def network(sprites: Sprites, seed: int) -> Any:
    """A small mlp on the components, with the case's number of latents."""
    return build_autoencoder(
        "mlp", image_shape=(sprites.case.components,), dim=sprites.case.dim, width=WIDTH, output="linear", seed=seed
    )  # fmt: skip


def started(sprites: Sprites, seed: int, turn: float | None = None, *, warm: bool = True, turned: bool = True) -> Any:
    """A `network`, warm-started at its leading components: two of them turned by `turn` (radians), or all at random by `seed`.

    Not `turned`, the components of a moving object may happen to be its axes, and every prior would seem to find them.
    """
    model = network(sprites, seed)
    if warm:
        if not turned:
            matrix = torch.eye(model.dim)
        elif turn is None:
            matrix = torch.from_numpy(ortho_group.rvs(model.dim, random_state=seed))
        else:
            matrix = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        warm_start(model, sprites.training, turn=matrix, steps=WARM, seed=seed)
    return model


def train(sprites: Sprites, model: Any, objective: Objective, steps: int, seed: int, rate: float = RATE) -> Run:
    """`model` trained on the case's components."""
    return fit(model, sprites.training, objective, steps=steps, seed=seed, learning_rate=rate, progress=False)


def unlabeled(sprites: Sprites, run: Run, prior: Prior) -> dict[str, float]:
    """What tells restarts apart without labels, on training images: distortion, reconstruction error, MMD^2 to the prior."""
    rows = sprites.training[:JUDGED]
    z = run.encode(rows)
    return {
        "distortion": distortion(run.model, z),
        "training error": run.reconstruction_error(rows) / rows.var(0, correction=0).mean().item(),
        "training mmd2": mmd2(z, prior.sample(len(z), torch.Generator().manual_seed(1))).item(),
    }


def restarts(
    sprites: Sprites,
    prior: Prior,
    seed: int,
    *,
    even: float = EVEN,
    warm: bool = True,
    turns: int = TURNS,
    steps: int | None = None,
) -> tuple[list[Run], pd.DataFrame]:
    """Train from several starts: the leading components at turns spread over a right angle from a random one on, or at random.

    steps: of each, with Isometry of weight `even`; None: STEPS. Returns the runs and a row for each: the turn in degrees, what
    `unlabeled` says, and the alignment, which chooses nothing.
    """
    first = np.random.default_rng(seed).uniform(0, math.pi / 2)
    runs, rows = [], []
    for k in range(turns):
        turn = (first + k * math.pi / 2 / turns) % (math.pi / 2)
        model = started(sprites, 1000 * seed + k, turn, warm=warm)
        goal = MMD(prior, WEIGHT) + Isometry(even) if even else MMD(prior, WEIGHT)
        runs.append(train(sprites, model, goal, steps or STEPS, seed))
        found = sprites.aligned(runs[-1].encode(sprites.held_out))
        rows.append({"restart": k, "turn": math.degrees(turn), **unlabeled(sprites, runs[-1], prior),
                     "aligned": float(np.mean(list(found.values())))})  # fmt: skip
    return runs, pd.DataFrame(rows)


def judged(sprites: Sprites, run: Run, prior: Prior, *, seed: int = 0) -> dict[str, float]:
    """Everything about a trained model on held-out images: alignment and scores, error, folds, MMD^2 to the prior."""
    z = run.encode(sprites.held_out)
    return {
        "error": sprites.error(run),
        "folded": sprites.folds(run),
        "mmd2": mmd2(z, prior.sample(len(z), torch.Generator().manual_seed(2))).item(),
        "distortion": distortion(run.model, z[:JUDGED]),
        **scores(sprites, z, seed),
    }


def scores(sprites: Sprites, z: Tensor, seed: int = 0) -> dict[str, float]:
    """Alignment by factor and on average, and MIG, DCI disentanglement (forest) and SAP (linear SVM)."""
    found = sprites.aligned(z)
    known = sprites.case.of(sprites.values)
    table = {"aligned": float(np.mean(list(found.values()))), **{f"aligned {name}": value for name, value in found.items()}}
    once: dict[str, Any] = {"baselines": False, "seed": seed}  # floor and ceiling are rows of their own: see `limits`
    return table | {
        "mig": factors.mig(z, known, **once).score,
        "dci": factors.dci(z, known, estimator="forest", **once).score,
        "sap": factors.sap(z, known, **once).score,
    }


def limits(sprites: Sprites, seed: int) -> pd.DataFrame:
    """The scores of the factors themselves, written as the mirror would ("ideal"), and of noise that knows nothing ("noise")."""
    noise = torch.randn(len(sprites.values), sprites.case.dim, generator=torch.Generator().manual_seed(seed))
    codes = {"ideal": sprites.case.ideal(sprites.values), "noise": noise}
    return pd.DataFrame([{"condition": arm, "seed": seed, **scores(sprites, z, seed)} for arm, z in codes.items()])


def traversals(sprites: Sprites, run: Run, steps: int = 7, reach: float = 1.5) -> np.ndarray:
    """Images (dim, steps, size, size): each latent from -reach to +reach standard deviations, the others at 0."""
    dim = sprites.case.dim
    z = torch.zeros(dim, steps, dim)
    z[torch.arange(dim), :, torch.arange(dim)] = torch.linspace(-reach, reach, steps)
    flat = sprites.basis.restore(run.decode(z.reshape(-1, dim))).clamp(0, 1)
    return flat.reshape(dim, steps, sprites.case.size, sprites.case.size).numpy()
